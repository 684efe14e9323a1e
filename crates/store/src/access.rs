//! Portal links, and the log of who changed what.

use domain::audit::{AUDIT_ENTRIES_MAX, AUDIT_KEPT, AuditEntry, NewAuditEntry};
use domain::ids::{AccountId, AuditId, DeviceId, PortalLinkId};
use domain::key::KeyHash;
use domain::portal::{PORTAL_LINKS_MAX, Permission, PortalLink};
use domain::ports::{NewPortalLink, Page, PageRequest};
use jiff::Timestamp;

use crate::accounts::{known_names, lock_account, page_of};
use crate::rows::bounds;
use crate::sql::{Row, SqlError, SqlResult, Tx, params, whole_millis};
use crate::stored;

macro_rules! link_columns {
    () => {
        "id, account_id, device_id, may, created_at, expires_at"
    };
}

fn link_from(row: &mut Row) -> SqlResult<PortalLink> {
    let (id, account_id) = (PortalLinkId(row.int()?), AccountId(row.int()?));
    let device_id = row.text()?.parse().map_err(|_| SqlError::Fault("no device id".into()))?;
    let may = known_names(row, Permission::from_name)?;
    Ok(PortalLink {
        id,
        account_id,
        device_id,
        may,
        created_at: row.time()?,
        expires_at: row.time()?,
    })
}

pub(crate) async fn create_portal_link(
    tx: &mut Tx,
    new: NewPortalLink,
    now: Timestamp,
) -> SqlResult<Option<PortalLink>> {
    const DEVICE: &str = "SELECT id FROM devices WHERE id = $1 AND account_id = $2";
    const CLEAN: &str = "DELETE FROM portal_links WHERE device_id = $1 AND expires_at <= $2";
    const COUNT: &str = "SELECT count(*) FROM portal_links WHERE device_id = $1";
    const INSERT: &str = "INSERT INTO portal_links
        (hash, account_id, device_id, may, created_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
    let NewPortalLink { hash, account_id, device_id, may, expires_at } = new;
    let device = device_id.to_string();
    if !lock_account(tx, account_id).await?
        || tx.query_one(DEVICE, params![&device, account_id.0]).await?.is_none()
    {
        return Ok(None);
    }
    tx.execute(CLEAN, params![&device, now]).await?;
    let count = tx.query_one(COUNT, params![&device]).await?;
    if count.map(|mut row| row.int()).transpose()?.unwrap_or(0) >= PORTAL_LINKS_MAX {
        return Ok(None);
    }
    let names = stored::names::write(&may, Permission::as_str)?;
    let values =
        params![hash.0.as_slice(), account_id.0, &device, &names, now, whole_millis(expires_at)];
    let Some(mut row) = tx.query_one(INSERT, values).await? else { return Ok(None) };
    let (created_at, expires_at) = (whole_millis(now), whole_millis(expires_at));
    let id = PortalLinkId(row.int()?);
    Ok(Some(PortalLink { id, account_id, device_id, may, created_at, expires_at }))
}

pub(crate) async fn portal_links(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    now: Timestamp,
) -> SqlResult<Vec<PortalLink>> {
    const SELECT: &str = concat!(
        "SELECT ",
        link_columns!(),
        " FROM portal_links WHERE device_id = $1 AND account_id = $2 AND expires_at > $3
          ORDER BY id DESC"
    );
    let rows = tx.query(SELECT, params![&device.to_string(), account.0, now]).await?;
    Ok(tx.readable("portal_links", rows, link_from))
}

pub(crate) async fn portal_link(
    tx: &mut Tx,
    hash: KeyHash,
    now: Timestamp,
) -> SqlResult<Option<PortalLink>> {
    const SELECT: &str = concat!(
        "SELECT ",
        link_columns!(),
        " FROM portal_links WHERE hash = $1 AND expires_at > $2"
    );
    let row = tx.query_one(SELECT, params![hash.0.as_slice(), now]).await?;
    tx.single("portal_links", row, link_from)
}

pub(crate) async fn delete_portal_link(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    id: PortalLinkId,
) -> SqlResult<bool> {
    const DELETE: &str = "DELETE FROM portal_links
        WHERE id = $1 AND device_id = $2 AND account_id = $3 RETURNING id";
    let device = device.to_string();
    let values = params![id.0, &device, account.0];
    Ok(tx.query_one(DELETE, values).await?.is_some())
}

pub(crate) async fn write_audit(
    tx: &mut Tx,
    entry: NewAuditEntry,
    now: Timestamp,
) -> SqlResult<()> {
    const INSERT: &str = "INSERT INTO audit (account_id, actor, action, subject, at)
        VALUES ($1, $2, $3, $4, $5)";
    const OLD: &str = "DELETE FROM audit WHERE at <= $1";
    const MANY: &str = "DELETE FROM audit WHERE id IN (SELECT id FROM audit
        WHERE account_id = $1 OR (account_id IS NULL AND CAST($1 AS BIGINT) IS NULL)
        ORDER BY id DESC LIMIT 100 OFFSET $2)";
    let NewAuditEntry { account_id, by, action, subject } = entry;
    if let Some(account) = account_id
        && !lock_account(tx, account).await?
    {
        return Ok(());
    }
    let account = account_id.map(|id| id.0);
    tx.execute(INSERT, params![account, &by, action.as_str(), &subject, now]).await?;
    let kept_since = now.saturating_sub(AUDIT_KEPT).unwrap_or(Timestamp::MIN);
    tx.execute(OLD, params![kept_since]).await?;
    tx.execute(MANY, params![account, AUDIT_ENTRIES_MAX]).await.map(drop)
}

pub(crate) async fn audit(
    tx: &mut Tx,
    account: Option<AccountId>,
    page: PageRequest,
) -> SqlResult<Page<AuditEntry>> {
    const OF_ACCOUNT: &str = "SELECT id, account_id, actor, action, subject, at FROM audit
        WHERE account_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
    const ALL: &str = "SELECT id, account_id, actor, action, subject, at FROM audit
        WHERE id < $1 ORDER BY id DESC LIMIT $2";
    let of_account = |before: i64, limit: i64| {
        let bounds = [before.into(), limit.into()];
        account.iter().map(|id| id.0.into()).chain(bounds).collect::<Vec<_>>()
    };
    let select = if account.is_some() { OF_ACCOUNT } else { ALL };
    let items = tx.fill("audit", select, bounds(page), of_account, entry_from).await?;
    Ok(page_of(items, page.limit))
}

fn entry_from(row: &mut Row) -> SqlResult<AuditEntry> {
    Ok(AuditEntry {
        id: AuditId(row.int()?),
        account_id: row.opt_int()?.map(AccountId),
        by: row.text()?,
        action: row.text()?,
        subject: row.text()?,
        at: row.time()?,
    })
}
