//! A media store in memory, for files that come with requests.

use std::collections::BTreeMap;

use async_trait::async_trait;
use domain::media::TempMedia;
use domain::ports::{Blob, BlobError, BlobStore, FilePart, NotKept};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use jiff::Timestamp;
use parking_lot::Mutex;

/// What is wrong with a media store in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// No space is left.
    Full,
    /// It does not answer.
    Away,
}

/// Files in memory. Each counts as older than any time; drafts are not made.
#[derive(Debug, Default)]
pub struct MemoryBlobs {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
    trouble: Mutex<Trouble>,
}

impl MemoryBlobs {
    /// What is wrong with it from now on.
    pub fn set_trouble(&self, trouble: Trouble) {
        *self.trouble.lock() = trouble;
    }

    /// The names of its files.
    pub fn names(&self) -> Vec<String> {
        self.files.lock().keys().cloned().collect()
    }

    /// The bytes of a file.
    pub fn file(&self, key: &str) -> Option<Vec<u8>> {
        self.files.lock().get(key).cloned()
    }

    fn answer(&self) -> Result<(), BlobError> {
        match *self.trouble.lock() {
            Trouble::Away => Err(BlobError("it is away".into())),
            Trouble::None | Trouble::Full => Ok(()),
        }
    }
}

#[async_trait]
impl BlobStore for MemoryBlobs {
    async fn draft(&self) -> Result<TempMedia, BlobError> {
        Err(BlobError("there are no drafts here".into()))
    }

    async fn put(&self, _: &str, _: TempMedia) -> Result<(), BlobError> {
        Err(BlobError("there are no drafts here".into()))
    }

    async fn put_bytes(&self, key: &str, bytes: Vec<u8>) -> Result<(), NotKept> {
        self.answer()?;
        if *self.trouble.lock() == Trouble::Full {
            return Err(NotKept::DiskFull);
        }
        self.files.lock().insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn open(&self, key: &str, part: Option<FilePart>) -> Result<Option<Blob>, BlobError> {
        self.answer()?;
        let Some(bytes) = self.file(key) else { return Ok(None) };
        let size = u64::try_from(bytes.len()).expect("a small file");
        let range = part.map_or(0..size, |part| part.of(size));
        let place = |at: u64| usize::try_from(at).expect("a small file");
        let part = bytes[place(range.start)..place(range.end)].to_vec();
        Ok(Some(Blob { size, range, bytes: stream::iter([Ok(part.into())]).boxed() }))
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        self.answer()?;
        self.files.lock().remove(key);
        Ok(())
    }

    async fn delete_all(&self, prefix: &str) -> Result<(), BlobError> {
        self.answer()?;
        self.files.lock().retain(|key, _| !key.starts_with(prefix));
        Ok(())
    }

    fn older_than(&self, _: Timestamp) -> BoxStream<'static, Result<String, BlobError>> {
        stream::iter(self.names().into_iter().map(Ok)).boxed()
    }
}
