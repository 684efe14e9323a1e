//! Grants and vouchers. Grants change only under the lock on their account's `usage` row.

use std::collections::BTreeMap;

use domain::grant::{Grant, NewGrant, NewVoucher, Redeemed};
use domain::ids::{AccountId, DeviceId, GrantId};
use domain::key::KeyHash;
use domain::service::days_later;
use jiff::Timestamp;

use crate::accounts::lock_account;
use crate::keys::opt_device;
use crate::sql::{
    FindRows, InsertRows, Insertion, LookUp, Param, Row, SqlError, SqlResult, Tx, Type, params,
    whole_millis,
};

/// Finds the grants of accounts, which [`of_accounts`] reads.
pub(crate) fn look_up(accounts: impl Iterator<Item = AccountId>) -> LookUp<'static> {
    const FIND: FindRows = FindRows {
        select: "SELECT id, account_id, device_id, total, used, expires_at FROM grants",
        key: &[("account_id", Type::Int)],
        then: "",
    };
    LookUp {
        find: &FIND,
        types: &[Type::Int, Type::Int, Type::Text, Type::Int, Type::Int, Type::Int],
        keys: accounts.map(|account| vec![account.0.into()]).collect(),
    }
}

/// The grants of accounts, oldest first.
pub(crate) fn of_accounts(tx: &Tx, found: Vec<Row>) -> Vec<(AccountId, Grant)> {
    let grant = |row: &mut Row| {
        let (id, account) = (GrantId(row.int()?), AccountId(row.int()?));
        let grant = Grant {
            id,
            device_id: opt_device(row)?,
            total: row.int()?,
            used: row.int()?,
            expires_at: row.opt_time()?,
        };
        Ok((account, grant))
    };
    let mut grants = tx.readable("grants", found, grant);
    grants.sort_unstable_by_key(|(_, grant)| grant.id);
    grants
}

pub(crate) async fn grants(tx: &mut Tx, account: AccountId) -> SqlResult<Vec<Grant>> {
    let [found] = tx.find_all([look_up(std::iter::once(account))]).await?;
    Ok(of_accounts(tx, found).into_iter().map(|(_, grant)| grant).collect())
}

/// Writes how much of each grant is used. They are there: their accounts are under lock.
pub(crate) fn used_rows<'g>(
    grants: impl Iterator<Item = (AccountId, &'g Grant)>,
) -> Insertion<'static> {
    const PUT: InsertRows = InsertRows {
        table: "grants",
        columns: &[
            ("id", Type::Int),
            ("account_id", Type::Int),
            ("total", Type::Int),
            ("used", Type::Int),
        ],
        then: "ON CONFLICT (id) DO UPDATE SET used = excluded.used",
    };
    let row = |(account, grant): (AccountId, &Grant)| {
        [grant.id.0, account.0, grant.total, grant.used].map(Param::from).to_vec()
    };
    Insertion { into: &PUT, rows: grants.map(row).collect() }
}

/// Refunds messages to the grants they were charged to; a grant that is gone gets nothing.
pub(crate) async fn refund(tx: &mut Tx, refunds: &BTreeMap<GrantId, i64>) -> SqlResult<()> {
    const UPDATE: &str =
        "UPDATE grants SET used = CASE WHEN used > $2 THEN used - $2 ELSE 0 END WHERE id = $1";
    for (id, messages) in refunds {
        tx.execute(UPDATE, params![id.0, *messages]).await?;
    }
    Ok(())
}

pub(crate) async fn add_grant(
    tx: &mut Tx,
    new: NewGrant,
    now: Timestamp,
) -> SqlResult<Option<Grant>> {
    const MARK: &str = "UPDATE usage SET has_grants = 1 WHERE account_id = $1";
    const DELETE: &str = "DELETE FROM grants WHERE id = $1";
    const UPDATE: &str = "UPDATE grants SET total = $2, expires_at = $3 WHERE id = $1";
    const INSERT: &str = "INSERT INTO grants (account_id, device_id, total, used, expires_at)
        VALUES ($1, $2, $3, 0, $4) RETURNING id";
    let NewGrant { account_id: account, device_id, messages, expires_at } = new;
    let expires_at = expires_at.map(whole_millis);
    if !lock_owner(tx, account, device_id).await? {
        return Ok(None);
    }
    tx.execute(MARK, params![account.0]).await?;
    let same = grants(tx, account).await?.into_iter().find(|grant| grant.device_id == device_id);
    if let Some(mut grant) = same {
        if grant.holds(whole_millis(now)) {
            grant.add(messages, expires_at);
            tx.execute(UPDATE, params![grant.id.0, grant.total, grant.expires_at]).await?;
            return Ok(Some(grant));
        }
        tx.execute(DELETE, params![grant.id.0]).await?;
    }
    let device = device_id.map(|id| id.to_string());
    let row = tx.query_one(INSERT, params![account.0, &device, messages, expires_at]).await?;
    let id = row.ok_or_else(|| SqlError::Fault("the new grant has no id".into()))?.int()?;
    Ok(Some(Grant { id: GrantId(id), device_id, total: messages, used: 0, expires_at }))
}

/// Locks an account; whether there is such an account, and such a device of it.
async fn lock_owner(tx: &mut Tx, account: AccountId, device: Option<DeviceId>) -> SqlResult<bool> {
    const OWNED: &str = "SELECT id FROM devices WHERE id = $1 AND account_id = $2";
    if !lock_account(tx, account).await? {
        return Ok(false);
    }
    let Some(device) = device else { return Ok(true) };
    Ok(tx.query_one(OWNED, params![&device.to_string(), account.0]).await?.is_some())
}

pub(crate) async fn create_vouchers(
    tx: &mut Tx,
    vouchers: Vec<NewVoucher>,
    now: Timestamp,
) -> SqlResult<()> {
    const INSERT: InsertRows = InsertRows {
        table: "vouchers",
        columns: &[
            ("code", Type::Blob),
            ("messages", Type::Int),
            ("valid_days", Type::Int),
            ("created_at", Type::Int),
        ],
        then: "",
    };
    let mut rows: Vec<Vec<Param<'_>>> = Vec::with_capacity(vouchers.len());
    for NewVoucher { code, messages, valid_days } in &vouchers {
        let (code, days) = (code.0.as_slice(), valid_days.map(i64::from));
        rows.push(vec![code.into(), (*messages).into(), days.into(), now.into()]);
    }
    tx.insert(&INSERT, &rows).await.map(drop)
}

/// Deleting its row is what makes a voucher valid only once.
pub(crate) async fn redeem_voucher(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    code: KeyHash,
    now: Timestamp,
) -> SqlResult<Redeemed> {
    const TAKE: &str = "DELETE FROM vouchers WHERE code = $1 RETURNING messages, valid_days";
    if !lock_owner(tx, account, Some(device)).await? {
        return Ok(Redeemed::Invalid);
    }
    let Some(mut row) = tx.query_one(TAKE, params![code.0.as_slice()]).await? else {
        return Ok(Redeemed::Invalid);
    };
    let messages = row.int()?;
    let days = row.opt_int()?.and_then(|days| u32::try_from(days).ok());
    let expires_at = days.map(|days| days_later(now, days));
    let new = NewGrant { account_id: account, device_id: Some(device), messages, expires_at };
    let grant = add_grant(tx, new, now).await?;
    let grant = grant.ok_or_else(|| SqlError::Fault("a device vanished".into()))?;
    Ok(Redeemed::Granted { messages, grant })
}
