//! What a restored database must not go on with.

use domain::device::{DeviceStatus, StatusChange};
use jiff::Timestamp;

use crate::devices;
use crate::sql::{SqlResult, Tx, params};

/// What is in a restored database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Its accounts.
    pub accounts: i64,
    /// Its devices.
    pub devices: i64,
    /// Those of them that must be linked again.
    pub unlinked: i64,
    /// Messages that wait.
    pub waiting: i64,
}

/// Erases the protocol state of every device, and marks those that were linked as logged out for `reason`:
/// their keys have gone on since, and used twice they would break the sessions with everybody.
pub(crate) async fn mark_restored(
    tx: &mut Tx,
    reason: String,
    now: Timestamp,
) -> SqlResult<Restored> {
    // What cannot be read is marked by hand, without an event.
    const OTHERS: &str = "UPDATE devices SET status = 'logged_out', reason = $1
        WHERE status NOT IN ('unpaired', 'logged_out')";
    tx.execute("DELETE FROM session", &[]).await?;
    tx.execute("DELETE FROM settings WHERE name = 'moved'", &[]).await?;
    let mut unlinked = 0;
    for device in devices::all_devices(tx).await? {
        let was_linked = device.paired_at.is_some() || device.status.is_paired();
        let status = if was_linked { DeviceStatus::LoggedOut } else { DeviceStatus::Unpaired };
        if device.status == status {
            continue;
        }
        unlinked += i64::from(was_linked);
        let reason = was_linked.then(|| reason.clone());
        let change = StatusChange { reason, ..StatusChange::new(status, now) };
        devices::set_device_status(tx, device.id, change).await?;
    }
    unlinked += i64::try_from(tx.execute(OTHERS, params![&reason]).await?).unwrap_or(i64::MAX);
    Ok(Restored {
        accounts: count(tx, "SELECT count(*) FROM accounts").await?,
        devices: count(tx, "SELECT count(*) FROM devices").await?,
        unlinked,
        waiting: count(tx, "SELECT count(*) FROM outbox").await?,
    })
}

async fn count(tx: &mut Tx, sql: &'static str) -> SqlResult<i64> {
    tx.query_one(sql, &[]).await?.map_or(Ok(0), |mut row| row.int())
}
