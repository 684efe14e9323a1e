//! An earlier release on the same database: it knows no nodes and would run every device, too.
//!
//! Such a release holds an advisory lock for as long as it runs, and refuses a schema that is newer than its
//! own. So it is enough to look at the start.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Row};

use super::link::from_sqlx;
use crate::OpenError;
use crate::sql::SqlResult;

/// How long the start waits: the server takes a moment to notice that a killed gateway's connection is
/// gone.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two looks during that wait.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits up to [`WAIT_MAX`] until no earlier release uses the database.
///
/// # Errors
/// [`OpenError::InUse`] when one still does.
pub(super) async fn refuse_earlier_release(options: &PgConnectOptions) -> Result<(), OpenError> {
    let mut connection = PgConnection::connect_with(options).await.map_err(from_sqlx)?;
    let free = async {
        while !is_free(&mut connection).await? {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    };
    let outcome = tokio::time::timeout(WAIT_MAX, free).await;
    let outcome: SqlResult<()> =
        outcome.map_err(|_| OpenError::InUse("this PostgreSQL (by an earlier release)".into()))?;
    // The lock goes with the connection.
    let _ = connection.close().await;
    Ok(outcome?)
}

/// Whether no earlier release holds its lock; nodes that look at the same time do not see each other.
async fn is_free(connection: &mut PgConnection) -> SqlResult<bool> {
    const LOCK: &str =
        "SELECT pg_try_advisory_lock_shared(hashtext('gerbang'), hashtext(current_schema()))";
    let row = sqlx::query(LOCK).fetch_one(connection).await.map_err(from_sqlx)?;
    row.try_get(0).map_err(from_sqlx)
}
