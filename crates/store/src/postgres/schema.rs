//! Migrations of a database that several nodes use: one node at a time, and what older releases would notice
//! not while they run.

use std::time::Duration;

use domain::node::LEASE;
use tokio::time::{Instant, sleep};

use super::MIGRATIONS;
use crate::OpenError;
use crate::migrate::{contracts, migrate};
use crate::sql::{SqlResult, Tx};

/// A start says after this long for whom it waits.
const SILENT_MAX: Duration = Duration::from_secs(2);
/// How long a start waits for another one that migrates.
const LOCK_MAX: Duration = Duration::from_secs(60);
/// A node that was killed is on the list for so long.
const NODES_MAX: Duration = LEASE.saturating_add(Duration::from_secs(2));
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// Migrates while no other node does.
///
/// # Errors
/// [`OpenError::Migrating`] when one does for long, [`OpenError::NodesRun`] when nodes run whose release does
/// not know what has to be done.
pub(super) async fn migrate_alone(tx: &mut Tx) -> Result<(), OpenError> {
    const UNLOCK: &str =
        "SELECT pg_advisory_unlock(hashtext('gerbang schema'), hashtext(current_schema()))::text";
    lock(tx, LOCK_MAX).await?;
    let migrated = match wait_for_nodes(tx).await {
        Ok(()) => migrate(tx, MIGRATIONS).await,
        refused => refused,
    };
    tx.query(UNLOCK, &[]).await?;
    migrated
}

/// Waits for the lock, at most `wait_max`. It is tried again and again: a wait within PostgreSQL would say
/// nothing and have no end.
async fn lock(tx: &mut Tx, wait_max: Duration) -> Result<(), OpenError> {
    let (began, mut has_said) = (Instant::now(), false);
    while !try_lock(tx).await? {
        let waited = began.elapsed();
        if waited >= wait_max {
            return Err(OpenError::Migrating { holder: holder(tx).await?, waited });
        }
        if waited >= SILENT_MAX && !has_said {
            has_said = true;
            let holder = holder(tx).await?;
            tracing::warn!(%holder, "another process migrates the database; this start waits for it");
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn try_lock(tx: &mut Tx) -> SqlResult<bool> {
    const TRY: &str = "SELECT CASE WHEN pg_try_advisory_lock(
            hashtext('gerbang schema'), hashtext(current_schema()))
        THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END";
    Ok(tx.query_one(TRY, &[]).await?.map_or(Ok(0), |mut row| row.int())? == 1)
}

/// Who has the lock, for people.
async fn holder(tx: &mut Tx) -> SqlResult<String> {
    const HOLDER: &str = "SELECT CAST(concat('the session ', pid, ' (',
            coalesce(nullif(application_name, ''), 'without a name'), ') from ',
            coalesce(host(client_addr), 'the database''s own machine')) AS TEXT)
        FROM pg_locks JOIN pg_stat_activity USING (pid)
        WHERE locktype = 'advisory' AND granted AND objsubid = 2
            AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND CAST(classid AS BIGINT) = hashtext('gerbang schema')::bigint & 4294967295
            AND CAST(objid AS BIGINT) = hashtext(current_schema())::bigint & 4294967295";
    let row = tx.query_one(HOLDER, &[]).await?;
    row.map_or_else(|| Ok("a session that has just ended".to_owned()), |mut row| row.text())
}

/// Waits until no node runs that would notice what has to be done; one that was killed stays on the list for
/// a while.
async fn wait_for_nodes(tx: &mut Tx) -> Result<(), OpenError> {
    if !contracts(tx, MIGRATIONS).await? {
        return Ok(());
    }
    let (began, mut has_said) = (Instant::now(), false);
    loop {
        let nodes = live_nodes(tx).await?;
        if nodes.is_empty() {
            return Ok(());
        }
        if began.elapsed() >= NODES_MAX {
            return Err(OpenError::NodesRun { nodes: nodes.join(", ") });
        }
        if !has_said {
            has_said = true;
            let nodes = nodes.join(", ");
            tracing::warn!(%nodes, "nodes of an older version run; this start waits for their end");
        }
        sleep(PAUSE).await;
    }
}

/// The nodes that run: of another release, for one of this would have migrated the database.
async fn live_nodes(tx: &mut Tx) -> SqlResult<Vec<String>> {
    const IS_THERE: &str = "SELECT CAST(count(*) AS BIGINT) FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace AND relname = 'nodes'";
    const LIVE: &str = "SELECT CAST(concat(name, ' (', version, ')') AS TEXT) FROM nodes
        WHERE expires_at > now_ms() ORDER BY name";
    if tx.query_one(IS_THERE, &[]).await?.map_or(Ok(0), |mut row| row.int())? == 0 {
        return Ok(Vec::new());
    }
    tx.query(LIVE, &[]).await?.into_iter().map(|mut row| row.text()).collect()
}
