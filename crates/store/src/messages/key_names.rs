//! The names under which an idempotency key is stored.
//!
//! A key belongs to its account, whose keys see it with whichever device it was used. A device's token
//! sees its own device only: where the key stands for a request of another device, the token's
//! has a second name, so that it neither fails nor learns of the other request.

use std::collections::{BTreeSet, HashMap};

use domain::ids::{AccountId, DeviceId, MessageId};
use domain::ports::IdempotencyKey;

use super::accept::Remembered;
use super::ids_json;
use crate::sql::{Row, SqlResult, Tx, params};

/// Earlier requests, by the names of their keys.
pub(super) type RememberedKeys = HashMap<(AccountId, String), Remembered>;

/// All names of a key. No route holds a line feed.
pub(super) fn names(key: &IdempotencyKey) -> impl Iterator<Item = String> {
    let own = key.token_of.map(|device| format!("{} of {device}\n{}", key.route, key.key));
    std::iter::once([&key.route, "\n", &key.key].concat()).chain(own)
}

/// The name that holds for this caller, and the earlier request under it.
pub(super) fn earlier<'a>(
    remembered: &'a RememberedKeys,
    account: AccountId,
    key: &IdempotencyKey,
) -> ((AccountId, String), Option<&'a Remembered>) {
    let mut names = names(key).map(|name| (account, name));
    let shared = names.next().unwrap_or_else(|| (account, String::new()));
    let of_account = remembered.get(&shared);
    let Some(own) = names.next() else { return (shared, of_account) };
    match (of_account, remembered.get(&own)) {
        (Some(before), _) if !is_of_another(before, key.token_of) => (shared, Some(before)),
        (None, None) => (shared, None),
        (_, of_device) => (own, of_device),
    }
}

/// Whether it is known to be a request of another device.
fn is_of_another(before: &Remembered, device: Option<DeviceId>) -> bool {
    before.device.is_some() && before.device != device
}

/// Finds out whose requests they were.
pub(super) async fn load_devices_of(tx: &mut Tx, remembered: &mut RememberedKeys) -> SqlResult<()> {
    const SELECT: &str = "SELECT id, device_id FROM outbox
        WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
        UNION ALL SELECT id, device_id FROM messages
        WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    let ids: BTreeSet<i64> =
        remembered.values().filter_map(Remembered::first_message).map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let device = |row: &mut Row| Ok((MessageId(row.int()?), row.parsed(|id| id.parse().ok())?));
    let rows = tx.query(SELECT, params![&ids_json(ids.into_iter())?]).await?;
    let devices: HashMap<MessageId, DeviceId> =
        tx.readable("messages", rows, device).into_iter().collect();
    for before in remembered.values_mut() {
        before.device = before.first_message().and_then(|id| devices.get(&id).copied());
    }
    Ok(())
}
