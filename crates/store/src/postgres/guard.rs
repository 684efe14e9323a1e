//! One gateway for one database: an advisory lock, held by a connection of its own.
//!
//! Until devices have leases, two gateways on one database would send everything twice. The lock
//! is the schema's, and lasts as long as the connection; when that is lost it is taken again.
//! Without it another gateway may write, so the cache is cleared at every check.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::link::from_sqlx;
use crate::OpenError;
use crate::cache::Cache;
use crate::sql::SqlResult;

/// Between two checks of the connection, and between two tries to lock again.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// How long the start waits for the lock: the server takes a moment to notice that a killed gateway's
/// connection is gone.
const TAKE_MAX: Duration = Duration::from_secs(5);
/// Between two tries during that wait.
const TAKE_PAUSE: Duration = Duration::from_millis(100);

/// The lock, while it is held.
pub(super) struct Guard(Mutex<Option<Holder>>);

struct Holder {
    release: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Guard {
    /// Takes the lock, waiting up to [`TAKE_MAX`] for it.
    ///
    /// # Errors
    /// [`OpenError::InUse`] when another process has it.
    pub(super) async fn take(
        options: PgConnectOptions,
        cache: Arc<Cache>,
    ) -> Result<Self, OpenError> {
        let connection = tokio::time::timeout(TAKE_MAX, wait_for_lock(&options)).await;
        let connection = connection.map_err(|_| OpenError::InUse("this PostgreSQL".into()))??;
        let (release, released) = oneshot::channel();
        let task = tokio::spawn(hold(options, connection, cache, released));
        Ok(Self(Mutex::new(Some(Holder { release, task }))))
    }

    /// Releases the lock.
    pub(super) async fn release(&self) {
        let holder = self.0.lock().take();
        if let Some(Holder { release, task }) = holder {
            let _ = release.send(());
            let _ = task.await;
        }
    }
}

async fn wait_for_lock(options: &PgConnectOptions) -> SqlResult<PgConnection> {
    loop {
        if let Some(connection) = lock(options).await? {
            return Ok(connection);
        }
        tokio::time::sleep(TAKE_PAUSE).await;
    }
}

/// A connection with the lock; `None` when another process has it.
async fn lock(options: &PgConnectOptions) -> SqlResult<Option<PgConnection>> {
    const LOCK: &str =
        "SELECT pg_try_advisory_lock(hashtext('gerbang'), hashtext(current_schema()))";
    let mut connection = PgConnection::connect_with(options).await.map_err(from_sqlx)?;
    let row = sqlx::query(LOCK).fetch_one(&mut connection).await.map_err(from_sqlx)?;
    let is_locked: bool = row.try_get(0).map_err(from_sqlx)?;
    Ok(is_locked.then_some(connection))
}

async fn hold(
    options: PgConnectOptions,
    connection: PgConnection,
    cache: Arc<Cache>,
    mut released: oneshot::Receiver<()>,
) {
    let mut held = Some(connection);
    loop {
        if tokio::time::timeout(CHECK_INTERVAL, &mut released).await.is_ok() {
            break;
        }
        held = match held {
            Some(mut connection) => connection.ping().await.is_ok().then_some(connection),
            None => {
                let taken = retake(&options).await;
                cache.clear();
                taken
            }
        };
    }
    if let Some(connection) = held {
        let _ = connection.close().await;
    }
}

async fn retake(options: &PgConnectOptions) -> Option<PgConnection> {
    match lock(options).await {
        Ok(None) => {
            tracing::error!("another gateway uses this database: stop one of the two");
            None
        }
        Ok(connection) => connection,
        Err(error) => {
            tracing::warn!(%error, "the connection that holds the database's lock is lost");
            None
        }
    }
}
