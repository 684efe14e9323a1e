//! The archive of messages: `ACCOUNT/YYYY-MM.jsonl.gz`, a line of JSON for each message, by the month in which
//! it was accepted or came in (UTC).
//!
//! Invariants: a batch is a gzip member of its own at the end of its file, synced before [`append`] returns; gzip
//! reads the members as one text. A file is *settled* while everything in it is deleted from the database. One that
//! is not, as after a crash between the sync and the deletion, is read before it is written: a torn last member is
//! cut off, and what is there is not added again.
//!
//! [`append`]: MessageArchive::append

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::ids::{AccountId, MessageId};
use domain::ports::{ArchiveError, MessageArchive, OldMessage};
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::make_dir;

/// Held by the process that writes.
const LOCK: &str = ".lock";
const ENDING: &str = ".jsonl.gz";
/// Most files that are known as settled: beyond these they are read again.
const SETTLED_MAX: usize = 10_000;

/// Files in a directory of this machine, or one that is shared.
pub struct FileArchive {
    files: Arc<Mutex<Files>>,
}

struct Files {
    dir: PathBuf,
    lock: Option<File>,
    settled: HashSet<PathBuf>,
    /// Written since the last call of [`MessageArchive::settle`].
    written: Vec<PathBuf>,
}

impl FileArchive {
    /// Makes the directory, readable for us alone.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub fn open(dir: &Path) -> Result<Self, ArchiveError> {
        make_dir(dir).map_err(|error| ArchiveError(format!("{}: {error}", dir.display())))?;
        let files =
            Files { dir: dir.to_owned(), lock: None, settled: HashSet::new(), written: Vec::new() };
        Ok(Self { files: Arc::new(Mutex::new(files)) })
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Files) -> io::Result<T> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let files = self.files.clone();
        let done = tokio::task::spawn_blocking(move || work(&mut files.lock())).await;
        done.map_err(fault)?.map_err(fault)
    }
}

fn fault(error: impl std::fmt::Display) -> ArchiveError {
    ArchiveError(error.to_string())
}

#[async_trait]
impl MessageArchive for FileArchive {
    async fn append(&self, messages: Vec<OldMessage>) -> Result<bool, ArchiveError> {
        self.with(move |files| files.append(messages)).await
    }

    fn settle(&self) {
        let mut files = self.files.lock();
        if files.settled.len() >= SETTLED_MAX {
            files.settled.clear();
        }
        let written = std::mem::take(&mut files.written);
        files.settled.extend(written);
    }

    async fn accounts(&self) -> Result<Vec<AccountId>, ArchiveError> {
        self.with(|files| {
            let mut accounts = Vec::new();
            for entry in fs::read_dir(&files.dir)? {
                let name = entry?.file_name();
                accounts.extend(name.to_str().and_then(|name| name.parse().ok()).map(AccountId));
            }
            Ok(accounts)
        })
        .await
    }

    async fn remove(&self, account: AccountId) -> Result<(), ArchiveError> {
        self.with(move |files| {
            let dir = files.dir.join(account.to_string());
            files.settled.retain(|path| !path.starts_with(&dir));
            match fs::remove_dir_all(dir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => sync_dir(&files.dir),
            }
        })
        .await
    }
}

impl Files {
    fn append(&mut self, messages: Vec<OldMessage>) -> io::Result<bool> {
        if !self.lock()? {
            return Ok(false);
        }
        let mut batches: BTreeMap<PathBuf, Vec<OldMessage>> = BTreeMap::new();
        for message in messages {
            batches.entry(self.path_of(&message)).or_default().push(message);
        }
        // What the last batch wrote was not deleted, unless it was said.
        self.written.clear();
        for (path, mut batch) in batches {
            let is_settled = self.settled.remove(&path);
            if !is_settled && let Some(known) = mend(&path, &batch)? {
                batch.retain(|message| !known.contains(&message.id));
            }
            if !batch.is_empty() {
                self.write(&path, &batch)?;
            }
            self.written.push(path);
        }
        Ok(true)
    }

    /// Whether this process writes, now and until it ends.
    fn lock(&mut self) -> io::Result<bool> {
        if self.lock.is_some() {
            return Ok(true);
        }
        let file = writable().open(self.dir.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => self.lock = Some(file),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        Ok(true)
    }

    fn path_of(&self, message: &OldMessage) -> PathBuf {
        let month = message.created_at.strftime("%Y-%m");
        self.dir.join(message.account.to_string()).join(format!("{month}{ENDING}"))
    }

    /// Adds a member, whole or not at all unless the process ends.
    fn write(&self, path: &Path, batch: &[OldMessage]) -> io::Result<()> {
        let member = member_of(batch)?;
        let parent = path.parent().unwrap_or(&self.dir);
        let is_new = !path.exists();
        make_dir(parent)?;
        let mut file = writable().append(true).open(path)?;
        let before = file.metadata()?.len();
        let written = file.write_all(&member).and_then(|()| file.sync_all());
        if written.is_err() {
            // Where even this fails, the torn end is found before the next write.
            let _ = file.set_len(before);
        }
        written?;
        if is_new {
            sync_dir(parent)?;
            sync_dir(&self.dir)?;
        }
        Ok(())
    }
}

fn writable() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn member_of(batch: &[OldMessage]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for message in batch {
        encoder.write_all(message.line.as_bytes())?;
        encoder.write_all(b"\n")?;
    }
    encoder.finish()
}

/// Reads a file: which of these messages are in it. A torn last member is cut off; a file that is damaged
/// otherwise is put aside under a name of its own, and a new one begins. `None` when there is no file.
fn mend(path: &Path, batch: &[OldMessage]) -> io::Result<Option<HashSet<MessageId>>> {
    let mut file = match writable().create(false).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let wanted: HashSet<MessageId> = batch.iter().map(|message| message.id).collect();
    let mut found = HashSet::new();
    let length = file.metadata()?.len();
    let mut reader = Counted { inner: BufReader::new(&mut file), taken: 0 };
    let mut whole = 0;
    while whole < length {
        match read_member(&mut reader, &wanted) {
            Ok(ids) => found.extend(ids),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => {
                let aside = path.with_extension(format!("{whole}.damaged.gz"));
                tracing::error!(path = %path.display(), aside = %aside.display(), %error,
                    "a file of the archive is damaged and put aside");
                fs::rename(path, aside)?;
                return Ok(None);
            }
        }
        whole = reader.taken;
    }
    drop(reader);
    if whole < length {
        file.seek(SeekFrom::Start(whole))?;
        file.set_len(whole)?;
        file.sync_all()?;
    }
    Ok(Some(found))
}

/// The one field of a line that is read.
#[derive(Deserialize)]
struct Line {
    id: i64,
}

/// Reads a gzip member to its end: which of these messages are in it.
fn read_member(
    reader: &mut impl BufRead,
    wanted: &HashSet<MessageId>,
) -> io::Result<Vec<MessageId>> {
    let mut lines = BufReader::new(GzDecoder::new(reader));
    let (mut found, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line)? == 0 {
            return Ok(found);
        }
        let Line { id } = serde_json::from_slice(&line)?;
        found.extend(Some(MessageId(id)).filter(|id| wanted.contains(id)));
    }
}

/// Counts what is taken out of a reader.
struct Counted<R> {
    inner: R,
    taken: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.taken += count as u64;
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken += count as u64;
        self.inner.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use flate2::read::MultiGzDecoder;

    use super::*;

    fn message(account: i64, id: i64, at: &str) -> OldMessage {
        let line = format!(r#"{{"account_id":{account},"id":{id},"text":"text of {id}"}}"#);
        let created_at = at.parse().unwrap();
        OldMessage { id: MessageId(id), account: AccountId(account), created_at, line }
    }

    fn some(ids: std::ops::RangeInclusive<i64>) -> Vec<OldMessage> {
        ids.map(|id| message(7, id, "2026-03-31T23:59:59Z")).collect()
    }

    /// The ids in a file, as any gzip reads it.
    fn ids(path: &Path) -> Vec<i64> {
        let lines = BufReader::new(MultiGzDecoder::new(File::open(path).unwrap())).lines();
        lines.map(|line| serde_json::from_str::<Line>(&line.unwrap()).unwrap().id).collect()
    }

    #[tokio::test]
    async fn messages_are_kept_by_account_and_month() {
        let dir = tempfile::tempdir().unwrap();
        let archive = FileArchive::open(&dir.path().join("archive")).unwrap();
        let file = |name: &str| dir.path().join("archive").join(name);
        let first = vec![
            message(7, 1, "2026-03-31T23:59:59Z"),
            message(7, 2, "2026-04-01T00:00:00Z"),
            message(8, -3, "2026-04-01T00:00:00Z"),
        ];
        assert!(archive.append(first).await.unwrap());
        archive.settle();
        assert!(archive.append(vec![message(7, 4, "2026-03-01T00:00:00Z")]).await.unwrap());
        archive.settle();
        assert_eq!(ids(&file("7/2026-03.jsonl.gz")), [1, 4]);
        assert_eq!(ids(&file("7/2026-04.jsonl.gz")), [2]);
        assert_eq!(ids(&file("8/2026-04.jsonl.gz")), [-3]);
        let mut accounts = archive.accounts().await.unwrap();
        accounts.sort_unstable();
        assert_eq!(accounts, [AccountId(7), AccountId(8)]);
        archive.remove(AccountId(7)).await.unwrap();
        archive.remove(AccountId(7)).await.unwrap();
        assert_eq!(archive.accounts().await.unwrap(), [AccountId(8)]);
        assert!(!file("7").exists());
    }

    #[tokio::test]
    async fn what_was_added_and_not_deleted_is_not_added_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7/2026-03.jsonl.gz");
        let archive = FileArchive::open(dir.path()).unwrap();
        archive.append(some(1..=3)).await.unwrap();
        // The deletion has failed, twice.
        archive.append(some(1..=5)).await.unwrap();
        archive.append(some(1..=6)).await.unwrap();
        assert_eq!(ids(&path), [1, 2, 3, 4, 5, 6]);
        drop(archive);
        // So has it for a process that was killed.
        let archive = FileArchive::open(dir.path()).unwrap();
        archive.append(some(4..=8)).await.unwrap();
        archive.settle();
        archive.append(some(9..=9)).await.unwrap();
        assert_eq!(ids(&path), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[tokio::test]
    async fn a_write_that_a_crash_has_torn_is_cut_off_wherever_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7/2026-03.jsonl.gz");
        let archive = FileArchive::open(dir.path()).unwrap();
        archive.append(some(1..=3)).await.unwrap();
        archive.settle();
        let whole = fs::read(&path).unwrap();
        archive.append(some(4..=6)).await.unwrap();
        let both = fs::read(&path).unwrap();
        drop(archive);
        for end in whole.len()..=both.len() {
            fs::write(&path, &both[..end]).unwrap();
            let archive = FileArchive::open(dir.path()).unwrap();
            archive.append(some(4..=7)).await.unwrap();
            assert_eq!(ids(&path), [1, 2, 3, 4, 5, 6, 7], "cut at {end}");
        }
    }

    #[tokio::test]
    async fn a_damaged_file_is_put_aside_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7/2026-03.jsonl.gz");
        FileArchive::open(dir.path()).unwrap().append(some(1..=3)).await.unwrap();
        let damaged = [&[0; 4][..], &fs::read(&path).unwrap()].concat();
        fs::write(&path, &damaged).unwrap();
        FileArchive::open(dir.path()).unwrap().append(some(4..=4)).await.unwrap();
        assert_eq!(ids(&path), [4]);
        let aside = fs::read(dir.path().join("7/2026-03.jsonl.0.damaged.gz")).unwrap();
        assert_eq!(aside, damaged);
    }

    #[tokio::test]
    async fn one_process_writes() {
        let dir = tempfile::tempdir().unwrap();
        let first = FileArchive::open(dir.path()).unwrap();
        let second = FileArchive::open(dir.path()).unwrap();
        assert!(first.append(some(1..=1)).await.unwrap());
        assert!(!second.append(some(2..=2)).await.unwrap());
        drop(first);
        assert!(second.append(some(2..=2)).await.unwrap());
        assert_eq!(ids(&dir.path().join("7/2026-03.jsonl.gz")), [1, 2]);
    }
}
