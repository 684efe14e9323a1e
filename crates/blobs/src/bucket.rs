//! Files in a bucket of S3, or of a service that speaks as it does.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::media::TempMedia;
use domain::ports::{Blob, BlobError, BlobStore, FilePart, NotKept};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::buffered::BufWriter;
use object_store::prefix::PrefixStore;
use object_store::{ClientConfigKey, Error, ObjectStore, ObjectStoreExt as _, RetryConfig};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::{blocking, empty_drafts, fault, names_older_than, new_draft, open};

/// Bytes of a file that are in memory while it is uploaded: the least that S3 takes as a part.
const PART_BYTES: usize = 5 << 20;
/// How often a request is repeated at once. Beyond that the file waits.
const RETRIES_MAX: usize = 2;
/// How long a request and its repetitions last.
const RETRIES_LAST: Duration = Duration::from_secs(20);
/// How long an address that does not answer is waited for.
const CONNECT_MAX: &str = "5 seconds";
/// How S3 says that there is no such bucket; of a file that is missing it says `NoSuchKey`.
const NO_BUCKET: &str = "<Code>NoSuchBucket</Code>";

/// A bucket, or the part of it below a prefix.
pub struct BucketBlobs {
    bucket: Arc<dyn ObjectStore>,
    drafts: PathBuf,
}

impl BucketBlobs {
    /// Takes `s3://BUCKET/PREFIX` and the usual variables by their names (`AWS_ACCESS_KEY_ID` and so on).
    /// Files are written into `drafts` before they are uploaded; what an earlier process left there is removed.
    /// The bucket itself is not asked: one that cannot be reached now may be later.
    ///
    /// # Errors
    /// The address or a variable is none, or the directory cannot be used.
    pub fn open(
        url: &str,
        variables: impl IntoIterator<Item = (String, String)>,
        drafts: &Path,
    ) -> Result<Self, BlobError> {
        let address = url.strip_prefix("s3://").unwrap_or(url).trim_matches('/');
        let (name, prefix) = address.split_once('/').unwrap_or((address, ""));
        let retries = RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: RETRIES_LAST,
            ..RetryConfig::default()
        };
        let connect = AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout);
        let mut builder = AmazonS3Builder::new().with_config(connect, CONNECT_MAX);
        for (variable, value) in variables {
            let Ok(key) = variable.to_ascii_lowercase().parse() else { continue };
            if key == AmazonS3ConfigKey::Endpoint {
                builder = builder.with_allow_http(value.starts_with("http://"));
            }
            builder = builder.with_config(key, value);
        }
        let bucket = builder.with_bucket_name(name).with_retry(retries).build().map_err(fault)?;
        empty_drafts(drafts).map_err(fault)?;
        let bucket: Arc<dyn ObjectStore> = match prefix {
            "" => Arc::new(bucket),
            prefix => Arc::new(PrefixStore::new(bucket, prefix)),
        };
        Ok(Self { bucket, drafts: drafts.to_owned() })
    }

    async fn upload(&self, key: &str, draft: &TempMedia) -> Result<(), BlobError> {
        let mut file = File::open(&draft.path).await.map_err(fault)?;
        let mut upload = BufWriter::with_capacity(self.bucket.clone(), key.into(), PART_BYTES)
            .with_max_concurrency(1);
        if let Err(error) = tokio::io::copy(&mut file, &mut upload).await {
            // Else its parts stay in the bucket, and are paid for.
            drop(upload.abort().await);
            return Err(fault(error));
        }
        // Removes the parts itself when it fails.
        upload.shutdown().await.map_err(fault)
    }
}

/// Lets errors pass that say that a file is missing; where the bucket itself is, no file is lost.
fn missing_file(error: Error) -> Result<(), BlobError> {
    match &error {
        Error::NotFound { source, .. } if !source.to_string().contains(NO_BUCKET) => Ok(()),
        _ => Err(fault(error)),
    }
}

#[async_trait]
impl BlobStore for BucketBlobs {
    async fn draft(&self) -> Result<TempMedia, BlobError> {
        new_draft(self.drafts.clone()).await
    }

    async fn put(&self, key: &str, draft: TempMedia) -> Result<(), BlobError> {
        self.upload(key, &draft).await?;
        blocking(move || {
            drop(draft);
            Ok(())
        })
        .await
    }

    async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> Result<(), NotKept> {
        self.bucket.put(&key.into(), bytes.into()).await.map_err(fault)?;
        Ok(())
    }

    async fn open(&self, key: &str, part: Option<FilePart>) -> Result<Option<Blob>, BlobError> {
        let blob = open(&*self.bucket, key, part).await?;
        if blob.is_none() {
            // What is missing stands in a body, and the answer to HEAD has none.
            self.bucket.get(&key.into()).await.map(drop).or_else(missing_file)?;
        }
        Ok(blob)
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.bucket.delete(&key.into()).await.or_else(missing_file)
    }

    async fn delete_all(&self, prefix: &str) -> Result<(), BlobError> {
        let found = self.bucket.list(Some(&prefix.trim_end_matches('/').into()));
        let names = found.map(|meta| meta.map(|meta| meta.location)).boxed();
        let mut deleted = self.bucket.delete_stream(names);
        while let Some(one) = deleted.next().await {
            one.map(drop).or_else(missing_file)?;
        }
        Ok(())
    }

    fn older_than(&self, at: Timestamp) -> BoxStream<'static, Result<String, BlobError>> {
        names_older_than(&*self.bucket, at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn variables(endpoint: &str) -> Vec<(String, String)> {
        let all = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "ap-southeast-3"),
            ("AWS_ENDPOINT", endpoint),
            ("AWS_OF_ANOTHER_PROGRAM", "x"),
        ];
        all.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[tokio::test]
    async fn a_bucket_that_cannot_be_reached_is_an_error_and_no_end() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let endpoint = format!("http://{closed}");
        let drafts = dir.path().join("drafts");
        let blobs = BucketBlobs::open("s3://files/a/b/", variables(&endpoint), &drafts).unwrap();
        let draft = blobs.draft().await.unwrap();
        let path = draft.path.clone();
        std::fs::write(&path, "some bytes").unwrap();
        assert!(blobs.put("1/a/7", draft).await.is_err());
        assert!(!path.exists(), "nothing stays of it");
        assert!(blobs.put_bytes("1/a/request-3EB0", b"some bytes".to_vec()).await.is_err());
        assert!(blobs.open("1/a/7", None).await.is_err());
        assert!(blobs.delete_all("1/").await.is_err());
    }

    /// Answers a request with 404 and this code, in a body where the method allows one.
    fn answer(connection: &TcpStream, code: &str) {
        let mut reader = BufReader::new(connection);
        let (mut head, mut body_bytes) = (String::new(), 0);
        loop {
            let start = head.len();
            reader.read_line(&mut head).unwrap();
            let line = head[start..].trim_end().to_ascii_lowercase();
            if let Some(length) = line.strip_prefix("content-length: ") {
                body_bytes = length.parse().unwrap();
            }
            if line.is_empty() {
                break;
            }
        }
        std::io::copy(&mut reader.take(body_bytes), &mut std::io::sink()).unwrap();
        let body = match head.starts_with("HEAD ") {
            true => String::new(),
            false => format!("<Error><Code>{code}</Code></Error>"),
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut connection = connection;
        // Who asked may be gone.
        drop(connection.write_all(answer.as_bytes()));
    }

    /// The address of a service that knows nothing.
    fn service(code: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                answer(&connection.unwrap(), code);
            }
        });
        endpoint
    }

    #[tokio::test]
    async fn where_the_bucket_is_missing_no_file_is() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let drafts = dir.path().join("drafts");
        for (code, is_away) in [("NoSuchKey", false), ("NoSuchBucket", true)] {
            let blobs =
                BucketBlobs::open("s3://files/a", variables(&service(code)), &drafts).unwrap();
            let opened = blobs.open("1/a/7", None).await;
            assert_eq!(opened.is_err(), is_away, "{code}");
            assert!(opened.is_err() || matches!(opened, Ok(None)), "{code}");
            assert_eq!(blobs.delete("1/a/7").await.is_err(), is_away, "{code}");
        }
    }
}
