//! Migrates a database to the newest schema, in one transaction.

use domain::plan::Plan;

use crate::OpenError;
use crate::accounts;
use crate::sql::{SqlResult, Tx, params};

/// Runs the migrations a database lacks. The first one inserts the built-in plans, which
/// are the operator's from then on.
///
/// # Errors
/// [`OpenError::Newer`] for a database that a newer version has migrated; it is left as it is.
pub(crate) async fn migrate(tx: &mut Tx, migrations: &[&'static str]) -> Result<(), OpenError> {
    tx.execute("BEGIN", &[]).await?;
    let done = run(tx, migrations).await;
    tx.execute(if done.is_ok() { "COMMIT" } else { "ROLLBACK" }, &[]).await?;
    done
}

async fn run(tx: &mut Tx, migrations: &[&'static str]) -> Result<(), OpenError> {
    let done = version(tx).await?;
    let known = migrations.len();
    let pending = usize::try_from(done).ok().and_then(|done| migrations.get(done..));
    let pending = pending.ok_or(OpenError::Newer { found: done, known })?;
    for migration in pending {
        tx.script(migration).await?;
    }
    if done == 0 {
        for plan in Plan::built_in() {
            accounts::put_plan(tx, plan).await?;
        }
    }
    if !pending.is_empty() {
        let version = i64::try_from(known).unwrap_or(i64::MAX);
        tx.execute("DELETE FROM schema_version", &[]).await?;
        tx.execute("INSERT INTO schema_version (version) VALUES ($1)", params![version]).await?;
    }
    Ok(())
}

async fn version(tx: &mut Tx) -> SqlResult<i64> {
    tx.script("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)").await?;
    let row = tx.query_one("SELECT max(version) FROM schema_version", &[]).await?;
    Ok(row.map(|mut row| row.opt_int()).transpose()?.flatten().unwrap_or(0))
}
