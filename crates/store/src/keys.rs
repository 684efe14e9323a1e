//! Account keys and device tokens. Only hashes are stored.

use domain::account::{Caller, KEYS_MAX, Key};
use domain::ids::{AccountId, DeviceId, KeyId};
use domain::key::KeyHash;
use domain::ports::{KeyHolder, NewKey, Page, PageRequest};
use jiff::Timestamp;

use crate::accounts::{
    ACCOUNT_COLUMNS, account_columns, account_from, lock_account, page_of, plan_columns, plan_from,
};
use crate::rows::bounds;
use crate::sql::{Invalidation, Row, SqlError, SqlResult, Tx, params, whole_millis};

pub(crate) async fn key_holder(tx: &mut Tx, hash: KeyHash) -> SqlResult<Option<KeyHolder>> {
    const SELECT: &str = concat!(
        "SELECT keys.id, keys.device_id, ",
        account_columns!(),
        ", ",
        plan_columns!(),
        " FROM keys JOIN accounts ON accounts.id = keys.account_id
          JOIN plans ON plans.name = accounts.plan WHERE keys.hash = $1"
    );
    let row = tx.query_one(SELECT, params![hash.0.as_slice()]).await?;
    let Some(mut key) = row else { return Ok(None) };
    // Each is reported as a row of its own table.
    let mut account = key.split_off(2);
    let plan = account.split_off(ACCOUNT_COLUMNS);
    let key = tx.single("keys", Some(key), |row| Ok((KeyId(row.int()?), opt_device(row)?)))?;
    let account = tx.single("accounts", Some(account), account_from)?;
    let plan = tx.single("plans", Some(plan), plan_from)?;
    Ok(key.zip(account).zip(plan).map(|(((key, device), account), plan)| {
        let caller = match device {
            Some(device) => Caller::Device(account.id, device, key),
            None => Caller::Account(account.id, key),
        };
        KeyHolder { caller, account, plan: plan.into() }
    }))
}

pub(crate) fn opt_device(row: &mut Row) -> SqlResult<Option<DeviceId>> {
    let parse = |text: String| text.parse().map_err(|_| SqlError::Fault("no device id".into()));
    row.opt_text()?.map(parse).transpose()
}

/// Stores a key; its id.
pub(crate) async fn insert_key(
    tx: &mut Tx,
    account: AccountId,
    device: Option<DeviceId>,
    key: &NewKey,
    now: Timestamp,
) -> SqlResult<KeyId> {
    const INSERT: &str = "INSERT INTO keys
        (account_id, device_id, name, hash, last_four, created_at)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let device = device.map(|id| id.to_string());
    let hash = key.hash.0.as_slice();
    let values = params![account.0, &device, &key.name, hash, &key.last_four, now];
    let row = tx.query_one(INSERT, values).await?;
    row.ok_or_else(|| SqlError::Fault("the new key has no id".into()))?.int().map(KeyId)
}

pub(crate) async fn create_key(
    tx: &mut Tx,
    account: AccountId,
    key: NewKey,
    now: Timestamp,
) -> SqlResult<Option<Key>> {
    const COUNT: &str = "SELECT count(*) FROM keys WHERE account_id = $1 AND device_id IS NULL";
    let exists = lock_account(tx, account).await?;
    let count = tx.query_one(COUNT, params![account.0]).await?;
    let count = count.map(|mut row| row.int()).transpose()?.unwrap_or(0);
    // An account that has just been deleted may have no keys.
    if !exists || count >= KEYS_MAX {
        return Ok(None);
    }
    let id = insert_key(tx, account, None, &key, now).await?;
    let NewKey { name, last_four, .. } = key;
    let created_at = whole_millis(now);
    Ok(Some(Key { id, account_id: account, device_id: None, name, last_four, created_at }))
}

pub(crate) async fn keys(
    tx: &mut Tx,
    account: AccountId,
    page: PageRequest,
) -> SqlResult<Page<Key>> {
    const SELECT: &str = "SELECT id, account_id, device_id, name, last_four, created_at
        FROM keys WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    let values = |before: i64, limit: i64| vec![account.0.into(), before.into(), limit.into()];
    let items = tx.fill("keys", SELECT, bounds(page), values, key_from).await?;
    Ok(page_of(items, page.limit))
}

fn key_from(row: &mut Row) -> SqlResult<Key> {
    Ok(Key {
        id: KeyId(row.int()?),
        account_id: AccountId(row.int()?),
        device_id: opt_device(row)?,
        name: row.text()?,
        last_four: row.text()?,
        created_at: row.time()?,
    })
}

pub(crate) async fn delete_key(tx: &mut Tx, account: AccountId, id: KeyId) -> SqlResult<bool> {
    const DELETE: &str = "DELETE FROM keys WHERE account_id = $1 AND id = $2 RETURNING hash";
    let deleted = tx.query(DELETE, params![account.0, id.0]).await?;
    touch_deleted(tx, deleted)
}

/// Whether keys were deleted; the cache forgets them.
fn touch_deleted(tx: &mut Tx, deleted: Vec<Row>) -> SqlResult<bool> {
    let is_any = !deleted.is_empty();
    for mut row in deleted {
        let hash = row.blob()?.try_into();
        let hash = hash.map_err(|_| SqlError::Fault("a key has no hash".into()))?;
        tx.touch(Invalidation::Key(KeyHash(hash)));
    }
    Ok(is_any)
}

pub(crate) async fn replace_device_token(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    token: NewKey,
    now: Timestamp,
) -> SqlResult<bool> {
    const LOCK: &str = "SELECT id FROM devices WHERE id = $1 AND account_id = $2 FOR UPDATE";
    const DELETE: &str = "DELETE FROM keys WHERE account_id = $1 AND device_id = $2 RETURNING hash";
    let id = device.to_string();
    if tx.query_one(LOCK, params![&id, account.0]).await?.is_none() {
        return Ok(false);
    }
    let deleted = tx.query(DELETE, params![account.0, &id]).await?;
    touch_deleted(tx, deleted)?;
    insert_key(tx, account, Some(device), &token, now).await?;
    Ok(true)
}
