//! Account keys and device tokens. Only hashes are stored.
//!
//! A token has its device in `device_id`, which is unique; another key that is for one device alone has it
//! in `bound_to`.

use domain::account::{Caller, KEYS_MAX, Key, KeyRights};
use domain::ids::{AccountId, DeviceId, KeyId};
use domain::key::KeyHash;
use domain::ports::{CreatedKey, KeyHolder, NewKey, Page, PageRequest};
use domain::scope::{Scope, Scopes};
use jiff::Timestamp;

use crate::accounts::{
    ACCOUNT_COLUMNS, account_columns, account_from, lock_account, page_of, plan_columns, plan_from,
};
use crate::rows::bounds;
use crate::sql::{Invalidation, Row, SqlError, SqlResult, Tx, params, whole_millis};
use crate::stored;

/// How many columns [`holder_from`] reads.
const HOLDER_COLUMNS: usize = 5;

pub(crate) async fn key_holder(tx: &mut Tx, hash: KeyHash) -> SqlResult<Option<KeyHolder>> {
    const SELECT: &str = concat!(
        "SELECT keys.id, keys.device_id, keys.bound_to, keys.scopes, keys.expires_at, ",
        account_columns!(),
        ", ",
        plan_columns!(),
        " FROM keys JOIN accounts ON accounts.id = keys.account_id
          JOIN plans ON plans.name = accounts.plan WHERE keys.hash = $1"
    );
    let row = tx.query_one(SELECT, params![hash.0.as_slice()]).await?;
    let Some(mut key) = row else { return Ok(None) };
    // Each is reported as a row of its own table.
    let mut account = key.split_off(HOLDER_COLUMNS);
    let plan = account.split_off(ACCOUNT_COLUMNS);
    let key = tx.single("keys", Some(key), holder_from)?;
    let account = tx.single("accounts", Some(account), account_from)?;
    let plan = tx.single("plans", Some(plan), plan_from)?;
    Ok(key.zip(account).zip(plan).map(|(((id, rights), account), plan)| {
        let caller = match rights.device {
            Some(device) => Caller::Device(account.id, device, id),
            None => Caller::Account(account.id, id),
        };
        let KeyRights { scopes, expires_at, .. } = rights;
        KeyHolder { caller, account, plan: plan.into(), scopes, expires_at }
    }))
}

fn holder_from(row: &mut Row) -> SqlResult<(KeyId, KeyRights)> {
    let id = KeyId(row.int()?);
    let (token_of, bound_to) = (opt_device(row)?, opt_device(row)?);
    let scopes = scopes_from(row)?;
    let rights = KeyRights { scopes, device: token_of.or(bound_to), expires_at: row.opt_time()? };
    Ok((id, rights))
}

/// What a key may do; a scope that only a later release knows is none.
fn scopes_from(row: &mut Row) -> SqlResult<Scopes> {
    let known = row.opt_json(|text| stored::names::read(text, Scope::from_name))?;
    Ok(known.map_or(Scopes::ALL, |known| known.items.into_iter().collect()))
}

pub(crate) fn opt_device(row: &mut Row) -> SqlResult<Option<DeviceId>> {
    let parse = |text: String| text.parse().map_err(|_| SqlError::Fault("no device id".into()));
    row.opt_text()?.map(parse).transpose()
}

/// Stores a key with all rights: of an account, or a device's token.
pub(crate) async fn insert_key(
    tx: &mut Tx,
    account: AccountId,
    device: Option<DeviceId>,
    key: &NewKey,
    now: Timestamp,
) -> SqlResult<()> {
    const INSERT: &str = "INSERT INTO keys
        (account_id, device_id, name, hash, last_four, created_at)
        VALUES ($1, $2, $3, $4, $5, $6)";
    let device = device.map(|id| id.to_string());
    let hash = key.hash.0.as_slice();
    let values = params![account.0, &device, &key.name, hash, &key.last_four, now];
    tx.execute(INSERT, values).await.map(drop)
}

pub(crate) async fn create_key(
    tx: &mut Tx,
    account: AccountId,
    key: NewKey,
    rights: KeyRights,
    now: Timestamp,
) -> SqlResult<CreatedKey> {
    const COUNT: &str = "SELECT count(*) FROM keys WHERE account_id = $1 AND device_id IS NULL";
    const DEVICE: &str = "SELECT id FROM devices WHERE id = $1 AND account_id = $2 FOR UPDATE";
    let exists = lock_account(tx, account).await?;
    let count = tx.query_one(COUNT, params![account.0]).await?;
    let count = count.map(|mut row| row.int()).transpose()?.unwrap_or(0);
    // An account that has just been deleted may have no keys.
    if !exists || count >= KEYS_MAX {
        return Ok(CreatedKey::LimitReached);
    }
    if let Some(device) = rights.device
        && tx.query_one(DEVICE, params![&device.to_string(), account.0]).await?.is_none()
    {
        return Ok(CreatedKey::DeviceGone);
    }
    let id = insert_with_rights(tx, account, &key, rights, now).await?;
    let NewKey { name, last_four, .. } = key;
    Ok(CreatedKey::Created(Key {
        id,
        account_id: account,
        device_id: rights.device,
        name,
        last_four,
        is_token: false,
        scopes: rights.scopes,
        expires_at: rights.expires_at.map(whole_millis),
        last_used_at: None,
        created_at: whole_millis(now),
    }))
}

async fn insert_with_rights(
    tx: &mut Tx,
    account: AccountId,
    key: &NewKey,
    rights: KeyRights,
    now: Timestamp,
) -> SqlResult<KeyId> {
    const INSERT: &str = "INSERT INTO keys
        (account_id, bound_to, name, hash, last_four, scopes, expires_at, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";
    let scopes: Vec<Scope> = rights.scopes.iter().collect();
    let scopes = stored::names::write(&scopes, Scope::as_str)?;
    let device = rights.device.map(|id| id.to_string());
    let (hash, last_four) = (key.hash.0.as_slice(), &key.last_four);
    let values =
        params![account.0, &device, &key.name, hash, last_four, &scopes, rights.expires_at, now];
    let row = tx.query_one(INSERT, values).await?;
    row.ok_or_else(|| SqlError::Fault("the new key has no id".into()))?.int().map(KeyId)
}

pub(crate) async fn keys(
    tx: &mut Tx,
    account: AccountId,
    page: PageRequest,
) -> SqlResult<Page<Key>> {
    const SELECT: &str = "SELECT id, account_id, device_id, bound_to, name, last_four, scopes,
        expires_at, last_used_at, created_at
        FROM keys WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    let values = |before: i64, limit: i64| vec![account.0.into(), before.into(), limit.into()];
    let items = tx.fill("keys", SELECT, bounds(page), values, key_from).await?;
    Ok(page_of(items, page.limit))
}

fn key_from(row: &mut Row) -> SqlResult<Key> {
    let (id, account_id) = (KeyId(row.int()?), AccountId(row.int()?));
    let (token_of, bound_to) = (opt_device(row)?, opt_device(row)?);
    Ok(Key {
        id,
        account_id,
        device_id: token_of.or(bound_to),
        name: row.text()?,
        last_four: row.text()?,
        is_token: token_of.is_some(),
        scopes: scopes_from(row)?,
        expires_at: row.opt_time()?,
        last_used_at: row.opt_time()?,
        created_at: row.time()?,
    })
}

/// Notes when keys were last used.
pub(crate) async fn note_uses(tx: &mut Tx, mut uses: Vec<(KeyId, Timestamp)>) -> SqlResult<()> {
    const UPDATE: &str = "UPDATE keys SET last_used_at = $2 WHERE id = $1";
    uses.sort_unstable();
    for (key, at) in uses {
        tx.execute(UPDATE, params![key.0, at]).await?;
    }
    Ok(())
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
