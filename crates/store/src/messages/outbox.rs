//! Loads the entries of the outbox, for the queues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::node::OwnedDevice;
use domain::ports::{LoadedOutbox, OutboxEntry};

use super::ids_json;
use crate::own_accepts::{OwnAccepts, Stretch};
use crate::rows::RowId;
use crate::sql::{Row, SqlResult, Tx, params, to_json};

/// Rows of the outbox read at a time when much of it is loaded.
const OUTBOX_CHUNK_ROWS: i64 = 10_000;

macro_rules! select_entries {
    ($rest:literal) => {
        concat!(
            "SELECT id, account_id, device_id, chat, whatsapp_id, priority, attempts, due_at,
             expires_at, retry_interval_s, is_scheduled FROM outbox ",
            $rest
        )
    };
}

pub(crate) async fn outbox(tx: &mut Tx) -> SqlResult<Vec<OutboxEntry>> {
    const SELECT: &str = select_entries!("WHERE id > $1 ORDER BY id LIMIT $2");
    let mut entries = Vec::new();
    let mut last = i64::MIN;
    loop {
        let rows = tx.query(SELECT, params![last, OUTBOX_CHUNK_ROWS]).await?;
        let Some(RowId::Int(number)) = rows.last().map(Row::id) else { return Ok(entries) };
        last = number;
        entries.append(&mut tx.readable("outbox", rows, entry_from));
    }
}

pub(crate) async fn outbox_of(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
) -> SqlResult<Vec<OutboxEntry>> {
    const SELECT: &str = select_entries!("WHERE account_id = $1 AND device_id = $2 ORDER BY id");
    let rows = tx.query(SELECT, params![account.0, &device.to_string()]).await?;
    Ok(tx.readable("outbox", rows, entry_from))
}

/// What waits for some devices; see [`domain::ports::NodeStore::outbox_of_devices`].
pub(crate) async fn outbox_of_devices(
    tx: &mut Tx,
    devices: Vec<OwnedDevice>,
) -> SqlResult<LoadedOutbox> {
    const SELECT: &str = select_entries!(
        "WHERE account_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
         AND device_id IN (SELECT value FROM json_rows($2)) ORDER BY id"
    );
    let accounts: BTreeSet<AccountId> = devices.iter().map(|owned| owned.account).collect();
    // Before the rows: they contain all up to these.
    let last_ids = last_ids(tx, accounts.iter().copied()).await?;
    let accounts = ids_json(accounts.iter().map(|account| account.0))?;
    let devices: Vec<String> = devices.iter().map(|owned| owned.device.to_text()).collect();
    let rows = tx.query(SELECT, params![&accounts, &to_json(&devices)?]).await?;
    Ok(LoadedOutbox { entries: tx.readable("outbox", rows, entry_from), last_ids })
}

/// What waits of accounts after some messages, without what this process has accepted itself; see
/// [`domain::ports::NodeStore::outbox_since`].
pub(crate) async fn outbox_since(
    tx: &mut Tx,
    seen: Vec<(AccountId, MessageId)>,
    own: Arc<OwnAccepts>,
) -> SqlResult<LoadedOutbox> {
    let seen: BTreeMap<AccountId, MessageId> = seen.into_iter().collect();
    let mut last_ids = last_ids(tx, seen.keys().copied()).await?;
    last_ids.retain(|(account, last)| seen.get(account).is_some_and(|seen| seen < last));
    let mut others = Vec::new();
    for (account, last) in &last_ids {
        let stretches = own.others(*account, seen[account], *last);
        others.extend(stretches.into_iter().map(|stretch| (*account, stretch)));
    }
    let entries = if others.is_empty() { Vec::new() } else { between(tx, &others).await? };
    Ok(LoadedOutbox { entries, last_ids })
}

/// What waits in some stretches of accounts; where nodes share the database, for the devices of this one, and in
/// one statement.
async fn between(tx: &mut Tx, stretches: &[(AccountId, Stretch)]) -> SqlResult<Vec<OutboxEntry>> {
    const SELECT: &str =
        select_entries!("WHERE account_id = $1 AND id > $2 AND id <= $3 ORDER BY id");
    // Each stretch is a search of its own in the index of accounts: OFFSET keeps the planner from joining, and
    // BETWEEN from the index of ids, where all accounts are in between.
    const OF_NODE: &str = concat!(
        "SELECT entry.* FROM json_rows($1) AS stretch (bounds) CROSS JOIN LATERAL (",
        select_entries!(
            "WHERE account_id BETWEEN CAST(split_part(bounds, ' ', 1) AS BIGINT)
                AND CAST(split_part(bounds, ' ', 1) AS BIGINT)
             AND id > CAST(split_part(bounds, ' ', 2) AS BIGINT)
             AND id <= CAST(split_part(bounds, ' ', 3) AS BIGINT) OFFSET 0"
        ),
        ") AS entry WHERE entry.device_id IN (SELECT value FROM json_rows($2)) ORDER BY entry.id"
    );
    let mut entries = Vec::new();
    if !tx.leases.is_fenced() {
        for (account, Stretch { after, last }) in stretches {
            let rows = tx.query(SELECT, params![account.0, after.0, last.0]).await?;
            entries.append(&mut tx.readable("outbox", rows, entry_from));
        }
        return Ok(entries);
    }
    let accounts: BTreeSet<AccountId> = stretches.iter().map(|(account, _)| *account).collect();
    let held = tx.leases.all_held().into_iter().filter(|owned| accounts.contains(&owned.account));
    let devices: Vec<String> = held.map(|owned| owned.device.to_text()).collect();
    if devices.is_empty() {
        return Ok(entries);
    }
    let bounds = |(account, Stretch { after, last }): &(AccountId, Stretch)| {
        format!("{} {} {}", account.0, after.0, last.0)
    };
    let bounds: Vec<String> = stretches.iter().map(bounds).collect();
    let rows = tx.query(OF_NODE, params![&to_json(&bounds)?, &to_json(&devices)?]).await?;
    Ok(tx.readable("outbox", rows, entry_from))
}

/// The newest messages that accounts have accepted.
async fn last_ids(
    tx: &mut Tx,
    accounts: impl Iterator<Item = AccountId>,
) -> SqlResult<Vec<(AccountId, MessageId)>> {
    const SELECT: &str = "SELECT account_id, last_id FROM usage
        WHERE account_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    let accounts = ids_json(accounts.map(|account| account.0))?;
    let rows = tx.query(SELECT, params![&accounts]).await?;
    rows.into_iter().map(|mut row| Ok((AccountId(row.int()?), MessageId(row.int()?)))).collect()
}

pub(super) fn entry_from(row: &mut Row) -> SqlResult<OutboxEntry> {
    Ok(OutboxEntry {
        id: MessageId(row.int()?),
        account_id: AccountId(row.int()?),
        device_id: row.parsed(|text| text.parse::<DeviceId>().ok())?,
        chat: row.text()?.into(),
        whatsapp_id: WhatsappId(row.text()?),
        priority: row.small()?,
        attempts: row.small()?,
        due_at: row.time()?,
        expires_at: row.opt_time()?,
        retry_interval_s: row.opt_int()?.and_then(|s| u32::try_from(s).ok()),
        is_scheduled: row.bool()?,
    })
}
