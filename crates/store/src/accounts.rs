//! Accounts, plans, usage, and settings.

use domain::account::{Account, AccountPatch, NewAccount};
use domain::ids::AccountId;
use domain::plan::{Feature, Plan};
use domain::policy::quota::{Period, Usage};
use domain::ports::{AccountRefusal, NewKey, Page, PageRequest};
use jiff::Timestamp;

use crate::messages::counts;
use crate::rows::{Filled, bounds};
use crate::sql::{Invalidation, Row, SqlError, SqlResult, Tx, params, whole_millis};
use crate::{keys, stored, webhooks};

macro_rules! account_columns {
    () => {
        "accounts.id, accounts.name, accounts.email, accounts.plan, accounts.default_country, \
         accounts.timezone, accounts.created_at"
    };
}
/// How many those are.
pub(crate) const ACCOUNT_COLUMNS: usize = 7;
macro_rules! plan_columns {
    () => {
        "plans.name, plans.device_limit, plans.messages_per_day, plans.messages_per_month, \
         plans.requests_per_minute, plans.features"
    };
}
pub(crate) use {account_columns, plan_columns};

pub(crate) fn account_from(row: &mut Row) -> SqlResult<Account> {
    Ok(Account {
        id: AccountId(row.int()?),
        name: row.text()?,
        email: row.text()?,
        plan: row.text()?,
        default_country: row.text()?,
        timezone: row.text()?.into(),
        created_at: row.time()?,
    })
}

pub(crate) fn plan_from(row: &mut Row) -> SqlResult<Plan> {
    Ok(Plan {
        name: row.text()?,
        device_limit: row.opt_int()?,
        messages_per_day: row.opt_int()?,
        messages_per_month: row.opt_int()?,
        requests_per_minute: row.opt_int()?,
        features: known_names(row, Feature::from_name)?,
    })
}

/// Reads a list of names; those that only a later release knows are left out.
pub(crate) fn known_names<T>(row: &mut Row, parse: fn(&str) -> Option<T>) -> SqlResult<Vec<T>> {
    let known = row.json(|text| stored::names::read(text, parse))?;
    if known.has_unknown {
        row.note("a name in a list is unknown");
    }
    Ok(known.items)
}

/// Makes a page of its rows and one more, which says whether there are further ones.
pub(crate) fn page_of<T>(filled: Filled<T>, limit: u32) -> Page<T> {
    let Filled { mut items, is_cut } = filled;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = is_cut || items.len() > limit;
    items.truncate(limit);
    Page { items, has_more, looked_to: None }
}

/// Locks an account: no other transaction changes its messages and devices until this one ends.
/// Returns whether there is such an account. Always taken before any row of its outbox.
pub(crate) async fn lock_account(tx: &mut Tx, id: AccountId) -> SqlResult<bool> {
    const LOCK: &str = "SELECT account_id FROM usage WHERE account_id = $1 FOR UPDATE";
    Ok(tx.query_one(LOCK, params![id.0]).await?.is_some())
}

pub(crate) async fn create_account(
    tx: &mut Tx,
    new: NewAccount,
    key: NewKey,
    now: Timestamp,
) -> SqlResult<Result<Account, AccountRefusal>> {
    const INSERT: &str = "INSERT INTO accounts
        (name, email, plan, default_country, timezone, created_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (email) DO NOTHING RETURNING id";
    const USAGE: &str = "INSERT INTO usage (account_id, day, day_used, month, month_used, waiting)
        VALUES ($1, 0, 0, 0, 0, 0)";
    let NewAccount { name, email, plan, default_country, timezone } = new;
    if !holds_plan(tx, &plan).await? {
        return Ok(Err(AccountRefusal::PlanGone));
    }
    let values = params![&name, &email, &plan, &default_country, &timezone, now];
    let Some(mut row) = tx.query_one(INSERT, values).await? else {
        return Ok(Err(AccountRefusal::EmailTaken));
    };
    let id = AccountId(row.int()?);
    tx.execute(USAGE, params![id.0]).await?;
    keys::insert_key(tx, id, None, &key, now).await?;
    let created_at = whole_millis(now);
    let timezone = timezone.into();
    Ok(Ok(Account { id, name, email, plan, default_country, timezone, created_at }))
}

/// Whether there is a plan, which then stays until this transaction ends: an account that gets it has one.
async fn holds_plan(tx: &mut Tx, name: &str) -> SqlResult<bool> {
    const HOLD: &str = "SELECT name FROM plans WHERE name = $1 FOR KEY SHARE";
    Ok(tx.query_one(HOLD, params![name]).await?.is_some())
}

pub(crate) async fn account(tx: &mut Tx, id: AccountId) -> SqlResult<Option<Account>> {
    const SELECT: &str =
        concat!("SELECT ", account_columns!(), " FROM accounts WHERE accounts.id = $1");
    let row = tx.query_one(SELECT, params![id.0]).await?;
    tx.single("accounts", row, account_from)
}

pub(crate) async fn accounts(tx: &mut Tx, page: PageRequest) -> SqlResult<Page<Account>> {
    const SELECT: &str = concat!(
        "SELECT ",
        account_columns!(),
        " FROM accounts WHERE accounts.id < $1 ORDER BY accounts.id DESC LIMIT $2"
    );
    let values = |before: i64, limit: i64| vec![before.into(), limit.into()];
    let items = tx.fill("accounts", SELECT, bounds(page), values, account_from).await?;
    Ok(page_of(items, page.limit))
}

pub(crate) async fn update_account(
    tx: &mut Tx,
    id: AccountId,
    patch: AccountPatch,
) -> SqlResult<Option<Result<Account, AccountRefusal>>> {
    const LOCK: &str = "SELECT id FROM accounts WHERE id = $1 FOR UPDATE";
    const TAKEN: &str = "SELECT id FROM accounts WHERE email = $1 AND id <> $2";
    const UPDATE: &str = "UPDATE accounts SET name = $2, email = $3, plan = $4,
        default_country = $5, timezone = $6 WHERE id = $1";
    tx.query(LOCK, params![id.0]).await?;
    let Some(account) = account(tx, id).await? else { return Ok(None) };
    if let Some(plan) = &patch.plan
        && !holds_plan(tx, plan).await?
    {
        return Ok(Some(Err(AccountRefusal::PlanGone)));
    }
    let account = Account {
        name: patch.name.unwrap_or(account.name),
        email: patch.email.unwrap_or(account.email),
        plan: patch.plan.unwrap_or(account.plan),
        default_country: patch.default_country.unwrap_or(account.default_country),
        timezone: patch.timezone.map_or(account.timezone, Into::into),
        ..account
    };
    if tx.query_one(TAKEN, params![&account.email, id.0]).await?.is_some() {
        return Ok(Some(Err(AccountRefusal::EmailTaken)));
    }
    let Account { name, email, plan, default_country, timezone, .. } = &account;
    tx.execute(UPDATE, params![id.0, name, email, plan, default_country, timezone.name()]).await?;
    tx.touch(Invalidation::Keys);
    Ok(Some(Ok(account)))
}

pub(crate) async fn delete_account(tx: &mut Tx, id: AccountId) -> SqlResult<bool> {
    const PARTS: [&str; 24] = [
        "DELETE FROM people_known WHERE account_id = $1",
        "DELETE FROM chats WHERE account_id = $1",
        "DELETE FROM inline_media
         WHERE message_id IN (SELECT id FROM outbox WHERE account_id = $1)",
        "DELETE FROM contacts WHERE device_id IN (SELECT id FROM devices WHERE account_id = $1)",
        "DELETE FROM heartbeats WHERE device_id IN (SELECT id FROM devices WHERE account_id = $1)",
        "DELETE FROM amendments WHERE device_id IN (SELECT id FROM devices WHERE account_id = $1)",
        "DELETE FROM identities WHERE device_id IN (SELECT id FROM devices WHERE account_id = $1)",
        "DELETE FROM spellings WHERE device_id IN (SELECT id FROM devices WHERE account_id = $1)",
        "DELETE FROM session WHERE device_id IN (SELECT id FROM devices WHERE account_id = $1)",
        "DELETE FROM outbox WHERE account_id = $1",
        "DELETE FROM messages WHERE account_id = $1",
        "DELETE FROM incoming_files WHERE account_id = $1",
        "DELETE FROM stored_bytes WHERE account_id = $1",
        "DELETE FROM idempotency WHERE account_id = $1",
        "DELETE FROM recent_keys WHERE account_id = $1",
        "DELETE FROM keys WHERE account_id = $1",
        "DELETE FROM grants WHERE account_id = $1",
        "DELETE FROM portal_links WHERE account_id = $1",
        "DELETE FROM audit WHERE account_id = $1",
        "DELETE FROM devices WHERE account_id = $1",
        "DELETE FROM logins WHERE user_id IN (SELECT id FROM users WHERE account_id = $1)",
        "DELETE FROM second_factors WHERE user_id IN (SELECT id FROM users WHERE account_id = $1)",
        "DELETE FROM links WHERE account_id = $1
         OR user_id IN (SELECT id FROM users WHERE account_id = $1)",
        "DELETE FROM users WHERE account_id = $1",
    ];
    const LAST: [&str; 2] =
        ["DELETE FROM usage WHERE account_id = $1", "DELETE FROM accounts WHERE id = $1"];
    if !lock_account(tx, id).await? {
        return Ok(false);
    }
    for part in PARTS {
        tx.execute(part, params![id.0]).await?;
    }
    webhooks::erase_of_account(tx, id).await?;
    counts::erase(tx, id).await?;
    for part in LAST {
        tx.execute(part, params![id.0]).await?;
    }
    tx.touch(Invalidation::Keys);
    tx.touch(Invalidation::Devices);
    Ok(true)
}

pub(crate) async fn plans(tx: &mut Tx) -> SqlResult<Vec<Plan>> {
    const SELECT: &str = concat!("SELECT ", plan_columns!(), " FROM plans ORDER BY plans.name");
    let rows = tx.query(SELECT, &[]).await?;
    Ok(tx.readable("plans", rows, plan_from))
}

pub(crate) async fn accounts_of_plan(tx: &mut Tx, name: String) -> SqlResult<i64> {
    const COUNT: &str = "SELECT count(*) FROM accounts WHERE plan = $1";
    let row = tx.query_one(COUNT, params![&name]).await?;
    row.map_or(Ok(0), |mut row| row.int())
}

pub(crate) async fn put_plan(tx: &mut Tx, plan: Plan) -> SqlResult<()> {
    const PUT: &str = "INSERT INTO plans (name, device_limit, messages_per_day, messages_per_month,
        requests_per_minute, features) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (name) DO UPDATE SET device_limit = excluded.device_limit,
        messages_per_day = excluded.messages_per_day,
        messages_per_month = excluded.messages_per_month,
        requests_per_minute = excluded.requests_per_minute, features = excluded.features";
    let features = stored::names::write(&plan.features, Feature::as_str)?;
    let (day, month) = (plan.messages_per_day, plan.messages_per_month);
    let values =
        params![&plan.name, plan.device_limit, day, month, plan.requests_per_minute, &features];
    tx.execute(PUT, values).await?;
    tx.touch(Invalidation::Keys);
    Ok(())
}

pub(crate) async fn delete_plan(tx: &mut Tx, name: String) -> SqlResult<bool> {
    // What waits here sees in the next statement the accounts that have got the plan meanwhile.
    const LOCK: &str = "SELECT name FROM plans WHERE name = $1 FOR UPDATE";
    const DELETE: &str = "DELETE FROM plans WHERE name = $1
        AND NOT EXISTS (SELECT 1 FROM accounts WHERE accounts.plan = plans.name) RETURNING name";
    tx.query(LOCK, params![&name]).await?;
    let deleted = tx.query(DELETE, params![&name]).await?;
    Ok(!deleted.is_empty())
}

pub(crate) async fn usage(tx: &mut Tx, id: AccountId) -> SqlResult<Usage> {
    const SELECT: &str =
        "SELECT account_id, day, day_used, month, month_used FROM usage WHERE account_id = $1";
    let row = tx.query_one(SELECT, params![id.0]).await?;
    let usage = tx.single("usage", row, |row| row.int().and_then(|_| usage_from(row)))?;
    let none = Usage { period: Period { day: 0, month: 0 }, day_used: 0, month_used: 0 };
    Ok(usage.unwrap_or(none))
}

/// Reads `day, day_used, month, month_used`.
pub(crate) fn usage_from(row: &mut Row) -> SqlResult<Usage> {
    let (day, day_used, month, month_used) = (row.int()?, row.int()?, row.int()?, row.int()?);
    Ok(Usage { period: Period { day, month }, day_used, month_used })
}

pub(crate) async fn setting(tx: &mut Tx, name: String, make: Vec<u8>) -> SqlResult<Vec<u8>> {
    const PUT: &str =
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    const SELECT: &str = "SELECT value FROM settings WHERE name = $1";
    tx.execute(PUT, params![&name, &make]).await?;
    let row = tx.query_one(SELECT, params![&name]).await?;
    row.ok_or_else(|| SqlError::Fault("the setting is missing".into()))?.blob()
}

/// A setting, when it is there.
pub(crate) async fn stored_setting(tx: &mut Tx, name: String) -> SqlResult<Option<Vec<u8>>> {
    const SELECT: &str = "SELECT value FROM settings WHERE name = $1";
    tx.query_one(SELECT, params![&name]).await?.map(|mut row| row.blob()).transpose()
}

/// The free pages of a SQLite file.
pub(crate) async fn reusable_bytes(tx: &mut Tx) -> SqlResult<u64> {
    const SELECT: &str =
        "SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size";
    let row = tx.query_one(SELECT, &[]).await?;
    row.map_or(Ok(0), |mut row| row.small())
}

pub(crate) async fn replace_setting(tx: &mut Tx, name: String, value: Vec<u8>) -> SqlResult<()> {
    const PUT: &str = "INSERT INTO settings (name, value) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(PUT, params![&name, &value]).await.map(drop)
}

/// Proves that the database can be written to.
pub(crate) async fn ping(tx: &mut Tx) -> SqlResult<()> {
    const PUT: &str = "INSERT INTO settings (name, value) VALUES ('ping', $1)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    tx.execute(PUT, params![b"pong".as_slice()]).await.map(drop)
}
