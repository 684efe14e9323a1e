//! The media store: the bytes of files that came in or with a request, through `object_store`; and the archive of
//! old messages.
//!
//! Invariants: a file that [`BlobStore::put`] or [`BlobStore::put_bytes`] has taken is on the disk, or in the
//! bucket, with its name, whatever happens then; a name is seen with all of its bytes or not at all. The library's
//! own local store does not wait for the disk, so drafts are written beside the files, synced and renamed here.

mod archive;
mod bucket;

pub use archive::FileArchive;
pub use bucket::BucketBlobs;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::media::TempMedia;
use domain::ports::{Blob, BlobError, BlobStore, FilePart, NotKept};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use tokio::sync::oneshot;

/// The folder of drafts inside the media store, with a name that no file has.
const DRAFTS: &str = ".drafts";

/// Files in a directory of this machine.
pub struct LocalBlobs {
    dir: PathBuf,
    drafts: PathBuf,
    files: Arc<LocalFileSystem>,
}

impl LocalBlobs {
    /// Makes the directory, readable for us alone, and removes the drafts of an earlier process. Processes
    /// that share it have drafts of their own, by the name of their `node`.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn open(dir: &Path, node: Option<&str>) -> Result<Self, BlobError> {
        let (drafts, is_new) = (dir.join(drafts_of(node)), !dir.exists());
        empty_drafts(&drafts).map_err(fault)?;
        let dir = dir.canonicalize().map_err(fault)?;
        if is_new && let Some(above) = dir.parent() {
            // Later syncs are of what is in it.
            File::open(above).and_then(|above| above.sync_all()).map_err(fault)?;
        }
        let files = LocalFileSystem::new_with_prefix(&dir).map_err(fault)?;
        Ok(Self { dir, drafts, files: Arc::new(files) })
    }
}

/// The folder of a process's drafts.
fn drafts_of(node: Option<&str>) -> String {
    let Some(node) = node else { return DRAFTS.to_owned() };
    let name = node.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("{DRAFTS}-{}", name.collect::<String>())
}

fn fault(error: impl std::fmt::Display) -> BlobError {
    BlobError(error.to_string())
}

/// Makes the directory of drafts, without those of an earlier process.
fn empty_drafts(drafts: &Path) -> io::Result<()> {
    if drafts.exists() {
        fs::remove_dir_all(drafts)?;
    }
    make_dir(drafts)
}

async fn new_draft(drafts: PathBuf) -> Result<TempMedia, BlobError> {
    let file = blocking(move || tempfile::NamedTempFile::new_in(drafts)).await?;
    let path = file.into_temp_path();
    Ok(TempMedia { path: path.to_path_buf(), size: 0, guard: Arc::new(path) })
}

async fn open(
    files: &dyn ObjectStore,
    key: &str,
    part: Option<FilePart>,
) -> Result<Option<Blob>, BlobError> {
    let key = key.into();
    let size = match files.head(&key).await {
        Ok(meta) => meta.size,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let range = part.map_or(0..size, |part| part.of(size));
    if range.is_empty() {
        return Ok(Some(Blob { size, range, bytes: stream::empty().boxed() }));
    }
    let wanted = Some(GetRange::Bounded(range.clone()));
    let options = GetOptions { range: wanted, ..GetOptions::default() };
    match files.get_opts(&key, options).await {
        Ok(found) => {
            let bytes = found.into_stream().map_err(io::Error::other).boxed();
            Ok(Some(Blob { size, range, bytes }))
        }
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

fn names_older_than(
    files: &dyn ObjectStore,
    at: Timestamp,
) -> BoxStream<'static, Result<String, BlobError>> {
    let is_older = move |time: i64| time < at.as_millisecond();
    let listed = files.list(None).map_err(fault);
    let names = listed.try_filter_map(move |meta| async move {
        let name = meta.location.to_string();
        let is_file = !name.starts_with(DRAFTS);
        Ok((is_file && is_older(meta.last_modified.timestamp_millis())).then_some(name))
    });
    names.boxed()
}

fn make_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    tokio::task::spawn_blocking(work).await.map_err(fault)?.map_err(fault)
}

fn not_kept(error: io::Error) -> NotKept {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => NotKept::DiskFull,
        _ => fault(error).into(),
    }
}

/// Gives a draft its name: its bytes reach the disk first, then the name and those of new folders.
fn keep(dir: &Path, key: &str, draft: &Path) -> io::Result<()> {
    File::open(draft)?.sync_all()?;
    let path = dir.join(key);
    let parent = path.parent().unwrap_or(dir);
    make_dir(parent)?;
    fs::rename(draft, &path)?;
    let inside = parent.ancestors().take_while(|folder| folder.starts_with(dir));
    inside.into_iter().try_for_each(|folder| File::open(folder)?.sync_all())
}

fn keep_bytes(dir: &Path, drafts: &Path, key: &str, bytes: &[u8]) -> io::Result<()> {
    let mut draft = tempfile::NamedTempFile::new_in(drafts)?;
    draft.write_all(bytes)?;
    keep(dir, key, draft.path())
}

#[async_trait]
impl BlobStore for LocalBlobs {
    async fn draft(&self) -> Result<TempMedia, BlobError> {
        new_draft(self.drafts.clone()).await
    }

    async fn put(&self, key: &str, draft: TempMedia) -> Result<(), BlobError> {
        let (dir, key) = (self.dir.clone(), key.to_owned());
        blocking(move || keep(&dir, &key, &draft.path)).await
    }

    async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> Result<(), NotKept> {
        let (dir, drafts, key) = (self.dir.clone(), self.drafts.clone(), key.to_owned());
        let (answer, kept) = oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let is_unheard = answer.send(keep_bytes(&dir, &drafts, &key, &bytes)).is_err();
            if is_unheard {
                // Whose request was dropped accepts no message of this name any more.
                drop(fs::remove_file(dir.join(&key)));
            }
        });
        kept.await.map_err(fault)?.map_err(not_kept)
    }

    async fn open(&self, key: &str, part: Option<FilePart>) -> Result<Option<Blob>, BlobError> {
        let blob = open(&*self.files, key, part).await?;
        if blob.is_none() {
            // Drafts have their folder since the start: without it the directory is not mounted, and nothing is lost.
            let drafts = self.drafts.clone();
            blocking(move || fs::metadata(drafts).map(drop)).await?;
        }
        Ok(blob)
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        match self.files.delete(&key.into()).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(fault(error)),
        }
    }

    async fn delete_all(&self, prefix: &str) -> Result<(), BlobError> {
        let dir = self.dir.join(prefix.trim_end_matches('/'));
        blocking(move || match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    fn older_than(&self, at: Timestamp) -> BoxStream<'static, Result<String, BlobError>> {
        names_older_than(&*self.files, at)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    async fn whole(blobs: &LocalBlobs, key: &str, part: Option<FilePart>) -> Option<Vec<u8>> {
        let blob = blobs.open(key, part).await.unwrap()?;
        let pieces: Vec<_> = blob.bytes.try_collect().await.unwrap();
        Some(pieces.concat())
    }

    #[tokio::test]
    async fn what_is_put_is_there_until_it_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = LocalBlobs::open(&dir.path().join("media"), None).unwrap();
        for key in ["1/a/7", "1/a/8", "1/b/9", "2/c/10"] {
            let draft = blobs.draft().await.unwrap();
            fs::write(&draft.path, format!("the bytes of {key}")).unwrap();
            blobs.put(key, draft).await.unwrap();
        }
        assert_eq!(whole(&blobs, "1/a/7", None).await.unwrap(), b"the bytes of 1/a/7");
        assert_eq!(whole(&blobs, "1/a/7", Some(FilePart::Bytes(4..9))).await.unwrap(), b"bytes");
        assert_eq!(whole(&blobs, "1/a/7", Some(FilePart::From(13))).await.unwrap(), b"1/a/7");
        let later = Timestamp::from_second(32_503_680_000).unwrap();
        let mut names: Vec<String> = blobs.older_than(later).try_collect().await.unwrap();
        names.sort();
        assert_eq!(names, ["1/a/7", "1/a/8", "1/b/9", "2/c/10"]);
        let long_ago: Vec<String> =
            blobs.older_than(Timestamp::UNIX_EPOCH).try_collect().await.unwrap();
        assert!(long_ago.is_empty());
        blobs.delete("1/a/7").await.unwrap();
        blobs.delete("1/a/7").await.unwrap();
        assert!(whole(&blobs, "1/a/7", None).await.is_none());
        blobs.delete_all("1/").await.unwrap();
        let left: Vec<String> = blobs.older_than(later).try_collect().await.unwrap();
        assert_eq!(left, ["2/c/10"]);
    }

    #[tokio::test]
    async fn bytes_are_kept_as_files_are() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = LocalBlobs::open(dir.path(), None).unwrap();
        for bytes in ["first", "again"] {
            blobs.put_bytes("1/a/request-3EB0", bytes.into()).await.unwrap();
            assert_eq!(whole(&blobs, "1/a/request-3EB0", None).await.unwrap(), bytes.as_bytes());
        }
        assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
        // A file where the folder is to be.
        fs::write(dir.path().join("2"), "in the way").unwrap();
        let refused = blobs.put_bytes("2/a/request-3EB0", b"x".to_vec()).await;
        assert!(matches!(refused, Err(NotKept::Failed(_))), "{refused:?}");
        let full = not_kept(io::ErrorKind::StorageFull.into());
        assert!(matches!(full, NotKept::DiskFull), "{full:?}");
    }

    #[test]
    fn bytes_that_nobody_waits_for_any_more_are_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = LocalBlobs::open(dir.path(), None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let put = blobs.put_bytes("1/a/request-3EB0", vec![7; 4 << 20]);
            assert!(put.now_or_never().is_none(), "it is written meanwhile");
        });
        // Waits for what it has begun.
        drop(runtime);
        assert!(!dir.path().join("1/a/request-3EB0").exists());
        assert_eq!(fs::read_dir(dir.path().join(DRAFTS)).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_directory_that_is_not_mounted_has_lost_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let (media, away) = (dir.path().join("media"), dir.path().join("away"));
        let blobs = LocalBlobs::open(&media, None).unwrap();
        blobs.put_bytes("1/a/request-3EB0", b"bytes".to_vec()).await.unwrap();
        assert!(blobs.open("1/a/7", None).await.unwrap().is_none());
        fs::rename(&media, &away).unwrap();
        fs::create_dir(&media).unwrap();
        assert!(blobs.open("1/a/request-3EB0", None).await.is_err());
        fs::remove_dir(&media).unwrap();
        fs::rename(&away, &media).unwrap();
        assert_eq!(whole(&blobs, "1/a/request-3EB0", None).await.unwrap(), b"bytes");
    }

    #[tokio::test]
    async fn a_draft_that_is_not_kept_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = LocalBlobs::open(dir.path(), None).unwrap();
        let draft = blobs.draft().await.unwrap();
        let path = draft.path.clone();
        assert!(path.exists());
        drop(draft);
        assert!(!path.exists());
        fs::write(&path, "of a process that was killed").unwrap();
        LocalBlobs::open(dir.path(), None).unwrap();
        assert!(!path.exists());
    }
}
