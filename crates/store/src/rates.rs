//! The request limits that nodes share; see `domain::service`, "shared rates".

use domain::policy::rate::{RateState, SharedWindow, Taken};
use jiff::Timestamp;

use crate::sql::{SqlResult, Tx, params, to_json};

/// Takes up to `wanted` of the requests that `subject` may make in 60 seconds.
pub(crate) async fn take_requests(
    tx: &mut Tx,
    subject: String,
    limit: i64,
    wanted: i64,
    now: Timestamp,
) -> SqlResult<Result<Taken, RateState>> {
    const MAKE: &str = "INSERT INTO rate_windows (subject, taken, at) VALUES ($1, '[]', $2)
        ON CONFLICT (subject) DO NOTHING";
    const LOCK: &str = "SELECT taken FROM rate_windows WHERE subject = $1 FOR UPDATE";
    const PUT: &str = "UPDATE rate_windows SET taken = $2, at = $3 WHERE subject = $1";
    tx.execute(MAKE, params![&subject, now]).await?;
    let row = tx.query_one(LOCK, params![&subject]).await?;
    let kept = row.map(|mut row| row.text()).transpose()?.unwrap_or_default();
    // What cannot be read is no reason to refuse a request.
    let kept: Vec<(i64, i64)> = serde_json::from_str(&kept).unwrap_or_default();
    let mut window = SharedWindow::of(kept);
    let taken = window.take(limit, wanted, now);
    tx.execute(PUT, params![&subject, &to_json(&window.taken())?, now]).await?;
    Ok(taken)
}

/// Removes windows that are over.
pub(crate) async fn remove_old(tx: &mut Tx, before: Timestamp) -> SqlResult<()> {
    const REMOVE: &str = "DELETE FROM rate_windows WHERE at < $1";
    tx.execute(REMOVE, params![before]).await.map(drop)
}
