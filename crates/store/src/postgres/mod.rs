//! PostgreSQL: a pool, and a group-commit worker for requests that come in large numbers.
//!
//! Every operation runs in a task of its own, so that a dropped caller leaves no transaction
//! open. A write returns after the commit.

mod changes;
mod facts;
mod groups;
mod guard;
mod hints;
mod link;
mod lost_answers;
mod reach;
mod schema;
mod silence;
mod target;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use domain::ids::AccountId;
use domain::leases::Leases;
use futures_util::future::BoxFuture;
use sqlx::PgPool;
use sqlx::postgres::{PgConnection, PgPoolOptions};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout, timeout_at};

use crate::OpenError;
use crate::cache::Cache;
use crate::job::{GroupItem, Reply};
use crate::rows::UnreadableRows;
use crate::sql::{ConnectionRole, SqlError, SqlResult, Tx};

use changes::Follower;
pub use facts::{address, facts};
use groups::Worker;
use guard::refuse_earlier_release;
use hints::Hints;
pub(crate) use link::PostgresLink;
#[cfg(debug_assertions)]
pub use link::ROUND_TRIPS;
use link::{MessageIds, from_sqlx};
use lost_answers::LostAnswers;
use schema::migrate_alone;
use silence::{PING_MAX, Silence};
pub(crate) use target::Target;

/// Most connections.
const CONNECTIONS_MAX: u32 = 12;
/// How long an operation waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the beginning and the end of a transaction may take, and the work of a group. A server that is gone
/// without a word, or behind a wire that is cut, closes no connection and answers nothing on it.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The same for the work of any other operation.
const WORK_MAX: Duration = Duration::from_secs(15);
/// The same for what may take long, such as deleting an account with all it has. Nothing waits for it meanwhile.
const LONG_WORK_MAX: Duration = Duration::from_secs(300);
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_initial.sql"),
    include_str!("../../migrations/postgres/0002_bounds.sql"),
    include_str!("../../migrations/postgres/0003_heartbeats.sql"),
    include_str!("../../migrations/postgres/0004_keys_without_age.sql"),
    include_str!("../../migrations/postgres/0005_device_client.sql"),
    include_str!("../../migrations/postgres/0006_identities.sql"),
    include_str!("../../migrations/postgres/0007_people.sql"),
    include_str!("../../migrations/postgres/0008_amendments.sql"),
    include_str!("../../migrations/postgres/0009_incoming_files.sql"),
    include_str!("../../migrations/postgres/0010_key_rights.sql"),
    include_str!("../../migrations/postgres/0011_message_hours.sql"),
    include_str!("../../migrations/postgres/0012_media_download.sql"),
    include_str!("../../migrations/postgres/0013_portal_links_and_audit.sql"),
    include_str!("../../migrations/postgres/0014_chats.sql"),
    include_str!("../../migrations/postgres/0015_nodes.sql"),
    include_str!("../../migrations/postgres/0018_between_nodes.sql"),
    include_str!("../../migrations/postgres/0020_chat_facts.sql"),
    include_str!("../../migrations/postgres/0023_second_factors.sql"),
    include_str!("../../migrations/postgres/0024_delivery_tries.sql"),
    include_str!("../../migrations/postgres/0026_makers_of_links.sql"),
    include_str!("../../migrations/postgres/0027_stored_bytes.sql"),
    include_str!("../../migrations/postgres/0028_bans.sql"),
    include_str!("../../migrations/postgres/0029_sent_forms.sql"),
    include_str!("../../migrations/postgres/0030_chats_of_messages.sql"),
    include_str!("../../migrations/postgres/0031_spellings.sql"),
    include_str!("../../migrations/postgres/0032_request_files.sql"),
    include_str!("../../migrations/postgres/0033_hours_of_devices.sql"),
    include_str!("../../migrations/postgres/0034_mentions_of_amendments.sql"),
    include_str!("../../migrations/postgres/0035_recent_keys.sql"),
];

#[derive(Clone)]
struct Pool {
    connections: PgPool,
    unreadable: Arc<UnreadableRows>,
    ids: Arc<MessageIds>,
    leases: Arc<Leases>,
    hints: Arc<Hints>,
    lost_answers: Arc<LostAnswers>,
    silence: Arc<Silence>,
}

impl Pool {
    async fn acquire(&self) -> SqlResult<Tx> {
        let connection = self.connections.acquire().await.map_err(from_sqlx)?;
        let link = ConnectionRole::Postgres(PostgresLink { connection, ids: self.ids.clone() });
        Ok(Tx::new(link, self.unreadable.clone(), self.leases.clone()))
    }

    async fn begin(&self) -> SqlResult<Tx> {
        let mut tx = self.acquire().await?;
        in_time(&mut tx, "BEGIN").await?;
        Ok(tx)
    }

    /// The same on a connection that was used just now and not given back: BEGIN itself shows whether it still works,
    /// and one that does not is replaced, as one that waited in the pool is.
    async fn begin_on(&self, kept: Option<Tx>) -> SqlResult<Tx> {
        if let Some(mut tx) = kept {
            tx.touched.clear();
            let asked_at = Instant::now();
            if let Ok(Ok(_)) = timeout(PING_MAX, tx.execute("BEGIN", &[])).await {
                return Ok(tx);
            }
            self.silence.note(asked_at);
            close(&mut tx);
        }
        self.begin().await
    }

    /// Runs something outside a transaction. The connection on which it takes longer is closed: the pool would wait
    /// without end for a silent one that is given back.
    async fn run<T>(
        &self,
        longest: Duration,
        work: impl for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>>,
    ) -> SqlResult<T> {
        let deadline = Instant::now() + longest;
        let mut tx =
            timeout_at(deadline, self.acquire()).await.unwrap_or_else(|_| Err(silent()))?;
        timeout_at(deadline, work(&mut tx)).await.unwrap_or_else(|_| {
            close(&mut tx);
            Err(silent())
        })
    }
}

/// The database, open.
pub(crate) struct PostgreSql {
    pool: Pool,
    worker: Worker,
    pub(crate) cache: Arc<Cache>,
    /// Counts what keys, accounts and plans other nodes have changed.
    keys_changed: watch::Receiver<u64>,
    follower: JoinHandle<()>,
}

/// PostgreSQL ends a transaction whose process says nothing for two seconds: one that is frozen or cut off holds its
/// locks otherwise, and no other node could take its devices over. Its other transactions may have waited for the same
/// locks, and hold them for as long one after another: all of them together must be gone before the other nodes give up
/// ([`ANSWER_MAX`]). And a commit is on the disk when it returns,
/// also where the database or the user is set to answer before. From version 14 on it also ends what a connection asked
/// for that is closed: a read that took too long.
async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const SET: &str = "SELECT set_config('idle_in_transaction_session_timeout', '2s', false),
        CASE WHEN current_setting('server_version_num')::int >= 140000
            THEN set_config('client_connection_check_interval', '5s', false) END,
        set_config('synchronous_commit', CASE current_setting('synchronous_commit')
            WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)";
    sqlx::query(SET).execute(connection).await.map(drop)
}

impl PostgreSql {
    /// Opens the database at `url`, which exists already.
    ///
    /// Without `notify` no hints are sent or heard.
    pub(crate) async fn open(url: &str, notify: bool) -> Result<Self, OpenError> {
        let options = facts::options(url)?;
        reach::reach(&options).await?;
        reach::fits(&options).await?;
        let cache = Arc::new(Cache::default());
        refuse_earlier_release(&options).await?;
        let silence = Arc::new(Silence::default());
        let noted = silence.clone();
        let connections = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .test_before_acquire(false)
            .before_acquire(move |connection, known| {
                let silence = noted.clone();
                Box::pin(async move { silence.works(connection, known.idle_for).await })
            })
            .after_connect(|connection, _| Box::pin(prepare(connection)))
            .connect_with(options.clone())
            .await
            .map_err(from_sqlx)?;
        let leases = Arc::default();
        let hints = Arc::new(Hints::start(options, &connections, &leases, notify));
        let pool = Pool {
            connections,
            unreadable: Arc::default(),
            ids: Arc::default(),
            leases,
            hints,
            lost_answers: Arc::default(),
            silence,
        };
        let mut tx = pool.acquire().await?;
        migrate_alone(&mut tx).await?;
        drop(tx);
        let (changed, keys_changed) = watch::channel(0);
        let follower = Follower {
            pool: pool.clone(),
            cache: cache.clone(),
            hint: pool.hints.changed.clone(),
            keys_changed: changed,
        };
        let follower = tokio::spawn(follower.run());
        let worker = Worker::start(&pool, &cache);
        Ok(Self { worker, pool, cache, keys_changed, follower })
    }

    /// Counts what keys, accounts and plans other nodes have changed.
    pub(crate) fn keys_changed(&self) -> watch::Receiver<u64> {
        self.keys_changed.clone()
    }

    /// Waits for a hint that another node has accepted messages for devices of this one; of which accounts, if that
    /// is known.
    pub(crate) async fn accepted_elsewhere(&self) -> Option<BTreeSet<AccountId>> {
        self.pool.hints.accepted_elsewhere().await
    }

    /// Whether a commit was not answered lately, and may have happened.
    pub(crate) fn has_lost_answers(&self) -> bool {
        self.pool.lost_answers.are_recent()
    }

    /// Queues a request for the group commit.
    pub(crate) async fn queue(&self, item: GroupItem) -> SqlResult<()> {
        self.worker.send(item).await
    }

    /// Hands a request to the group commit.
    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(Reply<T>) -> GroupItem) -> SqlResult<T> {
        self.worker.ask(ask).await
    }

    pub(crate) async fn write<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        self.write_within(WORK_MAX, work).await
    }

    /// The same for what may take long.
    pub(crate) async fn write_long<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        self.write_within(LONG_WORK_MAX, work).await
    }

    async fn write_within<T, F>(&self, longest: Duration, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        let (pool, cache) = (self.pool.clone(), self.cache.clone());
        let task = async move {
            let mut tx = pool.begin().await?;
            let outcome = timeout(longest, work(&mut tx)).await;
            end(&pool, &mut tx, outcome, &cache).await
        };
        tokio::spawn(task).await.unwrap_or_else(|_| Err(crashed()))
    }

    pub(crate) async fn read<T, F>(&self, work: F) -> SqlResult<T>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a mut Tx) -> BoxFuture<'a, SqlResult<T>> + Send + 'static,
    {
        let pool = self.pool.clone();
        let task = async move { pool.run(WORK_MAX, work).await };
        tokio::spawn(task).await.unwrap_or_else(|_| Err(crashed()))
    }

    pub(crate) fn leases(&self) -> &Arc<Leases> {
        &self.pool.leases
    }

    pub(crate) fn unreadable(&self) -> &UnreadableRows {
        &self.pool.unreadable
    }

    /// Finishes what is queued and closes every connection.
    pub(crate) async fn close(&self) {
        self.worker.close().await;
        self.follower.abort();
        self.pool.hints.close();
        // One that has fallen silent is given back late.
        if timeout(ANSWER_MAX, self.pool.connections.close()).await.is_err() {
            tracing::warn!("a connection to PostgreSQL did not close in time");
        }
    }
}

/// Begins or ends a transaction. A connection on which that fails is closed.
async fn in_time(tx: &mut Tx, statement: &'static str) -> SqlResult<()> {
    let done = timeout(ANSWER_MAX, tx.execute(statement, &[])).await;
    let done = done.unwrap_or_else(|_| Err(silent()));
    if done.is_err() {
        close(tx);
    }
    done.map(drop)
}

/// Closes a connection once it is not used any more, in place of keeping it.
fn close(tx: &mut Tx) {
    if let ConnectionRole::Postgres(link) = &mut tx.link {
        link.connection.close_on_drop();
    }
}

fn silent() -> SqlError {
    SqlError::Unavailable("PostgreSQL does not answer".into())
}

fn crashed() -> SqlError {
    SqlError::Fault("an operation did not end".into())
}

/// Commits what went well and rolls back the rest. A connection whose transaction did not end, or that has
/// fallen silent, is closed.
async fn end<T>(
    pool: &Pool,
    tx: &mut Tx,
    outcome: Result<SqlResult<T>, Elapsed>,
    cache: &Cache,
) -> SqlResult<T> {
    let outcome = match outcome {
        Ok(Ok(value)) => {
            let noted = timeout(ANSWER_MAX, changes::write(tx)).await;
            noted.map(|noted| noted.map(|()| value))
        }
        failed => failed,
    };
    let ended = match &outcome {
        Ok(Ok(_)) => {
            let committed = in_time(tx, "COMMIT").await;
            if committed.is_err() {
                pool.lost_answers.note();
            }
            committed
        }
        Ok(Err(_)) => in_time(tx, "ROLLBACK").await,
        Err(_) => {
            close(tx);
            Err(silent())
        }
    };
    // After a failure too: a commit whose answer was lost may have happened.
    cache.forget(&tx.touched);
    let value = outcome.unwrap_or_else(|_| Err(silent()))?;
    ended?;
    if !tx.touched.is_empty() {
        pool.hints.send_changed();
    }
    Ok(value)
}
