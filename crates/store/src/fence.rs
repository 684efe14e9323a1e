//! The fence around devices and webhooks: what another node has claimed is not written.
//!
//! The row of a device is locked until the end of the transaction, against a claim and nothing else: claims
//! lock it `FOR UPDATE` and skip what is locked. A claim that was first is seen, for the row is read as it is
//! once it is locked. Locked after accounts, like every row of a device.

use std::collections::BTreeMap;

use domain::ids::{DeliveryId, DeviceId, WebhookId};

use crate::messages::ids_json;
use crate::sql::{SqlError, SqlResult, Tx, params, to_json};

/// Fails with [`SqlError::NotOwner`] when this process does not own one of these devices. Costs nothing
/// where it shares the database with no other.
pub(crate) async fn check(
    tx: &mut Tx,
    devices: impl IntoIterator<Item = DeviceId>,
) -> SqlResult<()> {
    const LOCK: &str = "SELECT id, owner_epoch FROM devices
        WHERE id IN (SELECT value FROM json_rows($1)) ORDER BY id FOR KEY SHARE";
    let Some(held) = tx.leases.epochs(devices) else { return Ok(()) };
    if held.is_empty() {
        return Ok(());
    }
    let ids = to_json(&held.keys().map(DeviceId::to_string).collect::<Vec<_>>())?;
    let mut stored = BTreeMap::new();
    for mut row in tx.query(LOCK, params![&ids]).await? {
        stored.insert(row.parsed(|text| text.parse::<DeviceId>().ok())?, row.int()?);
    }
    let mut is_owner = true;
    for (device, epoch) in held {
        // One that has been erased has nothing to be written.
        if stored.get(&device).is_some_and(|stored| Some(*stored) != epoch) {
            tx.leases.refuse(device);
            is_owner = false;
        }
    }
    if is_owner { Ok(()) } else { Err(SqlError::NotOwner) }
}

/// As [`check`], for one device that is locked in any case; whether there is one.
pub(crate) async fn lock(tx: &mut Tx, device: DeviceId) -> SqlResult<bool> {
    const LOCK: &str = "SELECT owner_epoch FROM devices WHERE id = $1 FOR KEY SHARE";
    let Some(mut row) = tx.query_one(LOCK, params![&device.to_string()]).await? else {
        return Ok(false);
    };
    let stored = row.int()?;
    let held = tx.leases.epochs([device]);
    if held.is_some_and(|held| held.get(&device) != Some(&Some(stored))) {
        tx.leases.refuse(device);
        return Err(SqlError::NotOwner);
    }
    Ok(true)
}

/// Fails with [`SqlError::NotOwner`] when this process does not post to the webhooks of these deliveries. As with
/// devices, their rows are locked against claims.
pub(crate) async fn check_deliveries(
    tx: &mut Tx,
    deliveries: impl Iterator<Item = DeliveryId>,
) -> SqlResult<()> {
    const LOCK: &str = "SELECT id, owner_epoch FROM webhooks WHERE id IN
        (SELECT webhook_id FROM deliveries
         WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1)))
        ORDER BY id FOR KEY SHARE";
    if !tx.leases.is_fenced() {
        return Ok(());
    }
    let ids = ids_json(deliveries.map(|id| id.0))?;
    for mut row in tx.query(LOCK, params![&ids]).await? {
        let (webhook, stored) = (WebhookId(row.int()?), row.int()?);
        if tx.leases.webhook_epoch(webhook) != Some(stored) {
            tx.leases.refuse_webhook();
            return Err(SqlError::NotOwner);
        }
    }
    Ok(())
}
