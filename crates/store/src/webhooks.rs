//! Webhooks. Their rows are always locked after those of accounts, devices and messages, and
//! before deliveries are written: see [`crate::deliveries`].

use domain::ids::{AccountId, DeviceId, WebhookId};
use domain::ports::{Page, PageRequest};
use domain::webhook::{
    CreatedWebhook, EventKind, FormatName, NewWebhook, SealNewSecret, SealedSecret, WEBHOOKS_MAX,
    Webhook, WebhookPatch,
};
use jiff::Timestamp;

use crate::accounts::{known_names, lock_account, page_of};
use crate::keys::opt_device;
use crate::rows::bounds;
use crate::sql::{Row, SqlError, SqlResult, Tx, params, to_json, whole_millis};
use crate::{deliveries, stored};

macro_rules! select_webhooks {
    ($rest:literal) => {
        concat!(
            "SELECT id, account_id, device_id, url, format, events, secret, disabled, created_at \
             FROM webhooks ",
            $rest
        )
    };
}

fn webhook_from(row: &mut Row) -> SqlResult<Webhook> {
    Ok(Webhook {
        id: WebhookId(row.int()?),
        account_id: AccountId(row.int()?),
        device_id: opt_device(row)?,
        url: row.text()?,
        format: FormatName(row.text()?),
        events: known_names(row, EventKind::from_name)?,
        secret: SealedSecret(row.blob()?),
        disabled: row.opt_text()?,
        created_at: row.time()?,
    })
}

fn events_text(events: &[EventKind]) -> SqlResult<String> {
    stored::names::write(events, EventKind::as_str)
}

pub(crate) async fn create_webhook(
    tx: &mut Tx,
    new: NewWebhook,
    seal: SealNewSecret,
    now: Timestamp,
) -> SqlResult<CreatedWebhook> {
    const COUNT: &str = "SELECT count(*) FROM webhooks WHERE account_id = $1";
    const MARK: &str = "UPDATE usage SET has_webhooks = 1 WHERE account_id = $1";
    const OTHERS: &str = select_webhooks!("WHERE account_id = $1 AND format = $2 ORDER BY id");
    // Its secret is sealed for its id, which is known only now.
    const SEAL: &str = "UPDATE webhooks SET secret = $2 WHERE id = $1";
    const ERASE: &str = "DELETE FROM webhooks WHERE id = $1";
    let account = new.account_id;
    let exists = lock_account(tx, account).await?;
    let count = tx.query_one(COUNT, params![account.0]).await?;
    let count = count.map(|mut row| row.small::<usize>()).transpose()?.unwrap_or(0);
    // An account that has just been deleted may have no webhooks.
    if !exists || count >= WEBHOOKS_MAX {
        return Ok(CreatedWebhook::LimitReached);
    }
    let others = tx.query(OTHERS, params![account.0, &new.format.0]).await?;
    let others = tx.readable("webhooks", others, webhook_from);
    let mut webhook = insert(tx, new, now).await?;
    let Some(secret) = seal(webhook.id, &others) else {
        tx.execute(ERASE, params![webhook.id.0]).await?;
        return Ok(CreatedWebhook::SecretUnreadable);
    };
    tx.execute(SEAL, params![webhook.id.0, &secret.0]).await?;
    tx.execute(MARK, params![account.0]).await?;
    webhook.secret = secret;
    Ok(CreatedWebhook::Created(webhook))
}

/// Inserts a webhook without its secret.
async fn insert(tx: &mut Tx, new: NewWebhook, now: Timestamp) -> SqlResult<Webhook> {
    const INSERT: &str = "INSERT INTO webhooks
        (account_id, device_id, url, format, events, secret, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
    let NewWebhook { account_id, device_id, url, format, events } = new;
    let secret = SealedSecret(Vec::new());
    let (device, events_json) = (device_id.map(|id| id.to_string()), events_text(&events)?);
    let values = params![account_id.0, &device, &url, &format.0, &events_json, &secret.0, now];
    let row = tx.query_one(INSERT, values).await?;
    let id = row.ok_or_else(|| SqlError::Fault("the new webhook has no id".into()))?.int()?;
    Ok(Webhook {
        id: WebhookId(id),
        account_id,
        device_id,
        url,
        format,
        events,
        secret,
        disabled: None,
        created_at: whole_millis(now),
    })
}

pub(crate) async fn webhook(
    tx: &mut Tx,
    account: AccountId,
    id: WebhookId,
) -> SqlResult<Option<Webhook>> {
    const SELECT: &str = select_webhooks!("WHERE id = $1 AND account_id = $2");
    let row = tx.query_one(SELECT, params![id.0, account.0]).await?;
    tx.single("webhooks", row, webhook_from)
}

/// One webhook of an account, under lock.
pub(crate) async fn locked_webhook(
    tx: &mut Tx,
    account: AccountId,
    id: WebhookId,
) -> SqlResult<Option<Webhook>> {
    const SELECT: &str = select_webhooks!("WHERE id = $1 AND account_id = $2 FOR UPDATE");
    let row = tx.query_one(SELECT, params![id.0, account.0]).await?;
    tx.single("webhooks", row, webhook_from)
}

/// The webhooks of accounts that are not disabled, under lock, in order. `accounts` is a JSON
/// array of ids.
pub(crate) async fn lock_active(tx: &mut Tx, accounts: &str) -> SqlResult<Vec<Webhook>> {
    const SELECT: &str = select_webhooks!(
        "WHERE account_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
         AND disabled IS NULL ORDER BY id FOR UPDATE"
    );
    let rows = tx.query(SELECT, params![accounts]).await?;
    Ok(tx.readable("webhooks", rows, webhook_from))
}

pub(crate) async fn webhooks(
    tx: &mut Tx,
    account: AccountId,
    device: Option<DeviceId>,
    page: PageRequest,
) -> SqlResult<Page<Webhook>> {
    const SELECT: &str = select_webhooks!(
        "WHERE account_id = $1 AND id < $2 AND ($4 = '' OR device_id = $4)
         ORDER BY id DESC LIMIT $3"
    );
    let device = device.map(|device| device.to_string()).unwrap_or_default();
    let values = |before: i64, limit: i64| {
        vec![account.0.into(), before.into(), limit.into(), (&device).into()]
    };
    let items = tx.fill("webhooks", SELECT, bounds(page), values, webhook_from).await?;
    Ok(page_of(items, page.limit))
}

pub(crate) async fn active_webhooks(tx: &mut Tx) -> SqlResult<Vec<Webhook>> {
    const SELECT: &str = select_webhooks!("WHERE disabled IS NULL ORDER BY id");
    let rows = tx.query(SELECT, &[]).await?;
    Ok(tx.readable("webhooks", rows, webhook_from))
}

pub(crate) async fn update_webhook(
    tx: &mut Tx,
    account: AccountId,
    id: WebhookId,
    patch: WebhookPatch,
) -> SqlResult<Option<Webhook>> {
    // Events that are not changed stay as they are, with those that only a later release knows.
    const UPDATE: &str = "UPDATE webhooks
        SET url = $2, events = COALESCE($3, events), disabled = $4, secret = $5,
            revision = revision + 1 WHERE id = $1";
    let Some(webhook) = locked_webhook(tx, account, id).await? else { return Ok(None) };
    let events = patch.events.as_deref().map(events_text).transpose()?;
    let webhook = Webhook {
        url: patch.url.unwrap_or(webhook.url),
        events: patch.events.unwrap_or(webhook.events),
        disabled: patch.disabled.unwrap_or(webhook.disabled),
        secret: patch.secret.unwrap_or(webhook.secret),
        ..webhook
    };
    let Webhook { url, disabled, secret, .. } = &webhook;
    tx.execute(UPDATE, params![id.0, url, &events, disabled, &secret.0]).await?;
    Ok(Some(webhook))
}

/// Shows the node that posts to a webhook that there is something to do.
pub(crate) async fn touch(tx: &mut Tx, id: WebhookId) -> SqlResult<()> {
    const TOUCH: &str = "UPDATE webhooks SET revision = revision + 1 WHERE id = $1";
    tx.execute(TOUCH, params![id.0]).await.map(drop)
}

pub(crate) async fn delete_webhook(
    tx: &mut Tx,
    account: AccountId,
    id: WebhookId,
) -> SqlResult<bool> {
    const LOCK: &str = "SELECT id FROM webhooks WHERE id = $1 AND account_id = $2 FOR UPDATE";
    let is_there = tx.query_one(LOCK, params![id.0, account.0]).await?.is_some();
    if is_there {
        erase(tx, &[id.0]).await?;
    }
    Ok(is_there)
}

/// Erases the webhooks of one device alone.
pub(crate) async fn erase_of_device(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
) -> SqlResult<()> {
    const LOCK: &str = "SELECT id FROM webhooks WHERE account_id = $1 AND device_id = $2
        ORDER BY id FOR UPDATE";
    erase_rows(tx.query(LOCK, params![account.0, &device.to_string()]).await?, tx).await
}

/// Erases all webhooks of an account.
pub(crate) async fn erase_of_account(tx: &mut Tx, account: AccountId) -> SqlResult<()> {
    const LOCK: &str = "SELECT id FROM webhooks WHERE account_id = $1 ORDER BY id FOR UPDATE";
    erase_rows(tx.query(LOCK, params![account.0]).await?, tx).await
}

async fn erase_rows(rows: Vec<Row>, tx: &mut Tx) -> SqlResult<()> {
    let ids = rows.into_iter().map(|mut row| row.int()).collect::<SqlResult<Vec<i64>>>()?;
    erase(tx, &ids).await
}

/// Erases webhooks with their deliveries. They are under lock, so that no delivery comes after.
async fn erase(tx: &mut Tx, ids: &[i64]) -> SqlResult<()> {
    const DELIVERIES: &str = "DELETE FROM deliveries
        WHERE webhook_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1)) RETURNING event_id";
    const WEBHOOKS: &str =
        "DELETE FROM webhooks WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    if ids.is_empty() {
        return Ok(());
    }
    let ids = to_json(ids)?;
    let erased = tx.query(DELIVERIES, params![&ids]).await?;
    deliveries::erase_events(tx, erased).await?;
    tx.execute(WEBHOOKS, params![&ids]).await.map(drop)
}
