//! SQLite: one writer with group commit, a few readers, and no other process.
//!
//! Invariants: an answer to a write leaves after the commit, and a commit is a completed `fsync`
//! (`synchronous=FULL`); a second process is refused by a lock file beside the database, whatever link it is
//! opened by.

mod copy;
mod link;
mod readers;
mod reserve;
mod source;
mod writer;

#[cfg(debug_assertions)]
pub use link::STEPS;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::leases::Leases;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use crate::OpenError;
use crate::cache::Cache;
use crate::job::{ClosureJob, GroupItem, Reply, answer};
use crate::migrate::migrate;
use crate::recent_keys;
use crate::rows::UnreadableRows;
use crate::sql::{ConnectionRole, SqlError, SqlResult, Tx};
use crate::transfer::marker;

pub use copy::copy;
pub(crate) use link::SqliteLink;
use readers::Readers;
use reserve::Reserve;
pub(crate) use source::Source;
use writer::{Writer, WriterItem};

/// Oldest SQLite: earlier ones may corrupt a WAL database that is checkpointed and written at once.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// How long a statement waits for a lock; only an outside tool, such as a backup, can hold one.
const BUSY_TIMEOUT_MS: u64 = 5_000;
/// Pages of the log before a commit also checkpoints: 16 MiB.
const CHECKPOINT_PAGES: u32 = 4_096;
const WRITER_CACHE_KIB: u32 = 16_384;
const READER_CACHE_KIB: u32 = 4_096;
const NO_SPACE: &str = "no space is left on its disk";
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_initial.sql"),
    include_str!("../../migrations/sqlite/0002_bounds.sql"),
    include_str!("../../migrations/sqlite/0003_heartbeats.sql"),
    include_str!("../../migrations/sqlite/0004_keys_without_age.sql"),
    include_str!("../../migrations/sqlite/0005_device_client.sql"),
    include_str!("../../migrations/sqlite/0006_identities.sql"),
    include_str!("../../migrations/sqlite/0007_people.sql"),
    include_str!("../../migrations/sqlite/0008_amendments.sql"),
    include_str!("../../migrations/sqlite/0009_incoming_files.sql"),
    include_str!("../../migrations/sqlite/0010_key_rights.sql"),
    include_str!("../../migrations/sqlite/0011_message_hours.sql"),
    include_str!("../../migrations/sqlite/0012_media_download.sql"),
    include_str!("../../migrations/sqlite/0013_portal_links_and_audit.sql"),
    include_str!("../../migrations/sqlite/0014_chats.sql"),
    include_str!("../../migrations/sqlite/0015_nodes.sql"),
    include_str!("../../migrations/sqlite/0018_between_nodes.sql"),
    include_str!("../../migrations/sqlite/0020_chat_facts.sql"),
    include_str!("../../migrations/sqlite/0023_second_factors.sql"),
    include_str!("../../migrations/sqlite/0024_delivery_tries.sql"),
    include_str!("../../migrations/sqlite/0026_makers_of_links.sql"),
    include_str!("../../migrations/sqlite/0027_stored_bytes.sql"),
    include_str!("../../migrations/sqlite/0028_bans.sql"),
    include_str!("../../migrations/sqlite/0029_sent_forms.sql"),
    include_str!("../../migrations/sqlite/0030_chats_of_messages.sql"),
    include_str!("../../migrations/sqlite/0031_spellings.sql"),
    include_str!("../../migrations/sqlite/0032_request_files.sql"),
    include_str!("../../migrations/sqlite/0033_hours_of_devices.sql"),
    include_str!("../../migrations/sqlite/0034_mentions_of_amendments.sql"),
    include_str!("../../migrations/sqlite/0035_recent_keys.sql"),
];

/// The database, open.
pub(crate) struct Sqlite {
    writer: Writer,
    readers: Readers,
    pub(crate) cache: Arc<Cache>,
    pub(crate) unreadable: Arc<UnreadableRows>,
    pub(crate) leases: Arc<Leases>,
    reserve: Reserve,
    /// Released by [`Sqlite::close`], or with the last handle.
    lock: Mutex<Option<File>>,
}

impl Sqlite {
    /// Opens or creates the database at `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        Self::open_file(path).map_err(|error| reason_of_disk(path, error))
    }

    fn open_file(path: &Path) -> Result<Self, OpenError> {
        if rusqlite::version_number() < SQLITE_VERSION_MIN {
            return Err(OpenError::SqliteTooOld(rusqlite::version()));
        }
        create_private(path)?;
        let path = &only_name(path)?;
        let lock = take_lock(path)?;
        let reserve = Reserve::of(path);
        // It takes space to open the database, too.
        reserve.release_if_full();
        if reserve.is_without_room() {
            return Err(OpenError::Path(path.clone(), NO_SPACE.to_owned()));
        }
        let unreadable = Arc::new(UnreadableRows::default());
        let leases = Arc::new(Leases::default());
        let tx_over = |link| {
            let link = ConnectionRole::Sqlite(Box::new(link));
            Tx::new(link, Arc::clone(&unreadable), Arc::clone(&leases))
        };
        let mut tx = tx_over(connect(path, true)?);
        block_on(migrate(&mut tx, MIGRATIONS))?;
        if let Some(marker) = block_on(marker::read(&mut tx))? {
            return Err(marker.refusal());
        }
        block_on(recent_keys::load(&mut tx))?;
        let cache = Arc::new(Cache::default());
        let readers = (0..readers::READERS)
            .map(|_| connect(path, false).map(tx_over))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            writer: Writer::start(tx, Arc::clone(&cache))?,
            readers: Readers::start(readers)?,
            cache,
            unreadable,
            leases,
            reserve,
            lock: Mutex::new(Some(lock)),
        })
    }

    /// Queues a request for the group commit.
    pub(crate) async fn queue(&self, item: GroupItem) -> SqlResult<()> {
        self.writer.send(WriterItem::Group(item)).await
    }

    /// Hands a request to the group commit.
    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> GroupItem) -> SqlResult<T> {
        let (reply, receiver) = oneshot::channel();
        self.writer.send(WriterItem::Group(ask(reply))).await?;
        answer(receiver).await
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        let (job, receiver) = ClosureJob::boxed(work);
        self.writer.send(WriterItem::Other(job)).await?;
        answer(receiver).await
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        let (job, receiver) = ClosureJob::boxed(work);
        self.readers.send(job).await?;
        answer(receiver).await
    }

    /// Reads with one short statement: on the caller's thread, unless every connection is taken.
    pub(crate) async fn look_up<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        match self.readers.run_here(work) {
            Ok(found) => found,
            Err(work) => self.read(work).await,
        }
    }

    /// Keeps space for deletions on a full disk.
    pub(crate) fn keep_reserve(&self) {
        self.reserve.hold();
    }

    /// Lets a deletion have that space where there is no other; whether there is none.
    pub(crate) fn make_room(&self) -> bool {
        self.reserve.release_if_full()
    }

    /// Finishes what is queued and closes every connection.
    pub(crate) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
        drop(self.lock.lock().take());
    }
}

/// Says of a file that cannot be used what is wrong with its disk, where that is it.
fn reason_of_disk(path: &Path, error: OpenError) -> OpenError {
    let OpenError::Unavailable(text) = error else { return error };
    let text = if reserve::is_out_of_space(path) { NO_SPACE.to_owned() } else { text };
    OpenError::Path(path.to_owned(), text)
}

/// Runs a future that never waits, as all futures over SQLite are.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("nothing over SQLite ever waits")
}

/// An empty database in memory.
#[cfg(test)]
pub(crate) fn memory() -> Tx {
    let link = SqliteLink::new(Connection::open_in_memory().expect("a database in memory"));
    Tx::new(ConnectionRole::Sqlite(Box::new(link)), Arc::default(), Arc::default())
}

/// The one name of a file, behind symbolic links: what is beside it is under that name, the lock as well as
/// SQLite's own files. One with further names is refused, for SQLite would not find its log by them.
fn only_name(path: &Path) -> Result<PathBuf, OpenError> {
    let fault = |error: std::io::Error| OpenError::Path(path.to_owned(), error.to_string());
    let name = path.canonicalize().map_err(fault)?;
    #[cfg(unix)]
    {
        let metadata = name.metadata().map_err(fault)?;
        if std::os::unix::fs::MetadataExt::nlink(&metadata) > 1 {
            let why = "the file has several names (hard links), and a database must have one";
            return Err(OpenError::Path(path.to_owned(), why.to_owned()));
        }
    }
    Ok(name)
}

fn take_lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let lock = open_private(&lock_path);
    let lock = lock.map_err(|error| OpenError::Path(lock_path, error.to_string()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(OpenError::Path(path.to_owned(), error.to_string())),
    }
}

/// Makes the file readable by its owner alone; SQLite gives its companions the same mode.
fn create_private(path: &Path) -> Result<(), OpenError> {
    let created = open_private(path);
    created.map(drop).map_err(|error| OpenError::Path(path.to_owned(), error.to_string()))
}

fn open_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn connect(path: &Path, is_writer: bool) -> Result<SqliteLink, OpenError> {
    let (access, cache_kib) = if is_writer {
        (OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB)
    } else {
        (OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)
    };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let settings = format!(
        "PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA cache_size = -{cache_kib};
         PRAGMA temp_store = MEMORY;"
    );
    let opened = Connection::open_with_flags(path, flags)
        .and_then(|connection| connection.execute_batch(&settings).map(|()| connection))
        .and_then(|connection| {
            // Or it plans many statements anew each time they run, in case the values ask for another plan.
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
            Ok(connection)
        });
    match opened {
        Ok(connection) => Ok(SqliteLink::new(connection)),
        Err(error) => Err(SqlError::into(link::from_sqlite(error))),
    }
}
