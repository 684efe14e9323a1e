//! The outbox of webhooks: the events to deliver, and those that were delivered.
//!
//! Rows are written in the transaction of the change they report, under the lock on their webhook's
//! row. Hence the ids of one webhook grow in the order of commits on PostgreSQL too, and no row is
//! written for a webhook that has been erased.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::{AccountId, DeliveryId, WebhookId};
use domain::plan::Plan;
use domain::ports::{Page, PageRequest};
use domain::webhook::{Delivery, DeliveryOutcome, DeliveryState, DeliveryTry, Event, ReplayRange};
use jiff::Timestamp;

use crate::accounts::{page_of, plan_columns, plan_from};
use crate::messages::clean::{BATCH_ROWS_MAX, CleanupBatch};
use crate::messages::ids_json;
use crate::rows::{Filled, bounds};
use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, params, whole_millis};
use crate::{fence, stored, webhooks};

/// Most characters of the tries of a delivery that are kept when one more is added.
const TRIES_CHARS_MAX: i64 = 24 * 1024;

macro_rules! select_deliveries {
    ($rest:literal) => {
        concat!(
            "SELECT id, webhook_id, COALESCE((SELECT events.event FROM events \
             WHERE events.id = deliveries.event_id), event), state, attempts, due_at, last_status, last_error, \
             created_at, ended_at FROM deliveries ",
            $rest
        )
    };
}

fn delivery_from(row: &mut Row) -> SqlResult<Delivery> {
    Ok(Delivery {
        id: DeliveryId(row.int()?),
        webhook_id: WebhookId(row.int()?),
        event: row.json(stored::event::read)?,
        state: row.parsed(DeliveryState::from_name)?,
        attempts: row.small()?,
        due_at: row.time()?,
        last_status: row.opt_int()?.and_then(|status| u16::try_from(status).ok()),
        last_error: row.opt_text()?,
        created_at: row.time()?,
        ended_at: row.opt_time()?,
    })
}

/// Puts events into the outbox, once for each webhook that subscribed to them. An event that
/// several of them want is stored once. Accounts without webhooks cost one query.
pub(crate) async fn enqueue(tx: &mut Tx, events: &[&Event]) -> SqlResult<()> {
    const INSERT: InsertRows = InsertRows {
        table: "deliveries",
        columns: &[
            ("webhook_id", Type::Int),
            ("event", Type::Text),
            ("state", Type::Text),
            ("attempts", Type::Int),
            ("due_at", Type::Int),
            ("created_at", Type::Int),
            ("event_id", Type::Int),
        ],
        then: "",
    };
    if events.is_empty() {
        return Ok(());
    }
    let accounts: BTreeSet<AccountId> = events.iter().map(|event| event.account_id).collect();
    let accounts = ids_json(accounts.iter().map(|account| account.0))?;
    let webhooks = webhooks::lock_active(tx, &accounts).await?;
    if webhooks.is_empty() {
        return Ok(());
    }
    let plans = plans_of(tx, &accounts).await?;
    let mut wanted: Vec<(WebhookId, usize)> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let Some(plan) = plans.get(&event.account_id) else { continue };
        let wants = |webhook: &&domain::webhook::Webhook| {
            webhook.account_id == event.account_id
                && webhook.wants(event.kind, event.device.id, plan)
        };
        wanted.extend(webhooks.iter().filter(wants).map(|webhook| (webhook.id, index)));
    }
    let mut texts: BTreeMap<usize, String> = BTreeMap::new();
    for (_, index) in &wanted {
        if !texts.contains_key(index) {
            texts.insert(*index, stored::event::write(events[*index])?);
        }
    }
    let shared = insert_shared(tx, events, &wanted, &texts).await?;
    let pending = DeliveryState::Pending.as_str();
    let row = |(webhook, index): &(WebhookId, usize)| {
        let (at, event_id) = (events[*index].at, shared.get(index).copied());
        let own_text = if event_id.is_some() { "" } else { &*texts[index] };
        vec![
            webhook.0.into(),
            own_text.into(),
            pending.into(),
            0.into(),
            at.into(),
            at.into(),
            event_id.into(),
        ]
    };
    let rows: Vec<Vec<Param<'_>>> = wanted.iter().map(row).collect();
    tx.insert(&INSERT, &rows).await.map(drop)
}

/// Stores the events that several webhooks want; their ids by their indexes.
async fn insert_shared(
    tx: &mut Tx,
    events: &[&Event],
    wanted: &[(WebhookId, usize)],
    texts: &BTreeMap<usize, String>,
) -> SqlResult<BTreeMap<usize, i64>> {
    const INSERT: InsertRows = InsertRows {
        table: "events",
        columns: &[("account_id", Type::Int), ("event", Type::Text)],
        then: "RETURNING id",
    };
    let is_shared = |pair: &&[(WebhookId, usize)]| pair[0].1 == pair[1].1;
    let shared: BTreeSet<usize> =
        wanted.windows(2).filter(is_shared).map(|pair| pair[0].1).collect();
    let row = |index: &usize| vec![events[*index].account_id.0.into(), (&texts[index]).into()];
    let rows: Vec<Vec<Param<'_>>> = shared.iter().map(row).collect();
    let ids = tx.insert(&INSERT, &rows).await?;
    let mut ids = ids.into_iter().map(|mut row| row.int()).collect::<SqlResult<Vec<i64>>>()?;
    // Drawn in the order of the rows.
    ids.sort_unstable();
    Ok(shared.into_iter().zip(ids).collect())
}

/// Erases the deliveries that a `DELETE … RETURNING event_id` has found, with the events of which
/// they were the last.
pub(crate) async fn erase_events(tx: &mut Tx, erased: Vec<Row>) -> SqlResult<()> {
    // Of two transactions that erase the last two, the second one to get the lock sees none left.
    const LOCK: &str = "SELECT id FROM events
        WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1)) ORDER BY id FOR UPDATE";
    const DELETE: &str = "DELETE FROM events
        WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
        AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.event_id = events.id)";
    let mut ids = BTreeSet::new();
    for mut row in erased {
        ids.extend(row.opt_int()?);
    }
    if ids.is_empty() {
        return Ok(());
    }
    let ids = ids_json(ids.into_iter())?;
    tx.query(LOCK, params![&ids]).await?;
    tx.execute(DELETE, params![&ids]).await.map(drop)
}

async fn plans_of(tx: &mut Tx, accounts: &str) -> SqlResult<BTreeMap<AccountId, Plan>> {
    const SELECT: &str = concat!(
        "SELECT accounts.id, ",
        plan_columns!(),
        " FROM accounts JOIN plans ON plans.name = accounts.plan
          WHERE accounts.id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))"
    );
    let mut plans = BTreeMap::new();
    for mut account in tx.query(SELECT, params![accounts]).await? {
        let plan = account.split_off(1);
        if let Some(plan) = tx.readable("plans", vec![plan], plan_from).pop() {
            plans.insert(AccountId(account.int()?), plan);
        }
    }
    Ok(plans)
}

pub(crate) async fn pending_deliveries(
    tx: &mut Tx,
    webhook: WebhookId,
    except: Vec<DeliveryId>,
    limit: u32,
) -> SqlResult<Page<Delivery>> {
    const SELECT: &str = select_deliveries!(
        "WHERE webhook_id = $1 AND state = 'pending' AND id > $3
         AND id NOT IN (SELECT CAST(value AS BIGINT) FROM json_rows($2)) ORDER BY id LIMIT $4"
    );
    let except = ids_json(except.iter().map(|id| id.0))?;
    let values = |after: i64, limit: i64| {
        vec![webhook.0.into(), (&except).into(), after.into(), limit.into()]
    };
    let bounds = (i64::MIN, i64::from(limit));
    let Filled { items, is_cut } =
        tx.fill("deliveries", SELECT, bounds, values, delivery_from).await?;
    let has_more = is_cut || u32::try_from(items.len()).is_ok_and(|read| read >= limit);
    Ok(Page { items, has_more, looked_to: None })
}

pub(crate) async fn record_deliveries(
    tx: &mut Tx,
    mut outcomes: Vec<DeliveryOutcome>,
) -> SqlResult<()> {
    // What replays add to many tries takes the place of the oldest.
    const UPDATE: &str = "UPDATE deliveries SET state = $2, attempts = $3, due_at = $4,
        last_status = $5, last_error = $6, ended_at = $7, tries = $8 ||
        CASE WHEN LENGTH(tries) > $9 THEN SUBSTR(tries, 1, CAST($9 AS INTEGER)) ELSE tries END WHERE id = $1";
    fence::check_deliveries(tx, outcomes.iter().map(|outcome| outcome.id)).await?;
    outcomes.sort_by_key(|outcome| outcome.id);
    for outcome in outcomes {
        let DeliveryOutcome {
            id,
            state,
            attempts,
            due_at,
            last_status,
            last_error,
            ended_at,
            tried,
        } = outcome;
        let tried = tried.as_ref().map(stored::tries::write).transpose()?.unwrap_or_default();
        let (attempts, status) = (i64::from(attempts), last_status.map(i64::from));
        let values = params![
            id.0,
            state.as_str(),
            attempts,
            due_at,
            status,
            &last_error,
            ended_at,
            &tried,
            TRIES_CHARS_MAX
        ];
        tx.execute(UPDATE, values).await?;
    }
    Ok(())
}

pub(crate) async fn deliveries(
    tx: &mut Tx,
    account: AccountId,
    webhook: WebhookId,
    state: Option<DeliveryState>,
    page: PageRequest,
) -> SqlResult<Page<Delivery>> {
    const SELECT: &str = select_deliveries!(
        "WHERE webhook_id = $1 AND id < $2 AND ($3 = '' OR state = $3) ORDER BY id DESC LIMIT $4"
    );
    if webhooks::webhook(tx, account, webhook).await?.is_none() {
        return Ok(Page { items: Vec::new(), has_more: false, looked_to: None });
    }
    let state = state.map_or("", DeliveryState::as_str);
    let values =
        |before: i64, limit: i64| vec![webhook.0.into(), before.into(), state.into(), limit.into()];
    let items = tx.fill("deliveries", SELECT, bounds(page), values, delivery_from).await?;
    Ok(page_of(items, page.limit))
}

pub(crate) async fn failed_webhooks(
    tx: &mut Tx,
    account: AccountId,
    after: Timestamp,
) -> SqlResult<Vec<WebhookId>> {
    const SELECT: &str = "SELECT id FROM webhooks WHERE account_id = $1
        AND EXISTS (SELECT 1 FROM deliveries
            WHERE webhook_id = webhooks.id AND state = 'dead' AND ended_at > $2)
        ORDER BY id";
    let rows = tx.query(SELECT, params![account.0, after]).await?;
    rows.into_iter().map(|mut row| Ok(WebhookId(row.int()?))).collect()
}

/// The tries of a delivery, oldest first: the newest is written first, so that a bound cuts the oldest.
pub(crate) async fn delivery_tries(
    tx: &mut Tx,
    account: AccountId,
    webhook: WebhookId,
    delivery: DeliveryId,
) -> SqlResult<Vec<DeliveryTry>> {
    const SELECT: &str = "SELECT tries FROM deliveries WHERE id = $1 AND webhook_id = $2";
    if webhooks::webhook(tx, account, webhook).await?.is_none() {
        return Ok(Vec::new());
    }
    let row = tx.query_one(SELECT, params![delivery.0, webhook.0]).await?;
    let text = row.map(|mut row| row.text()).transpose()?.unwrap_or_default();
    let mut tries = stored::tries::read(&text);
    tries.reverse();
    Ok(tries)
}

pub(crate) async fn replay_delivery(
    tx: &mut Tx,
    account: AccountId,
    webhook: WebhookId,
    delivery: DeliveryId,
    now: Timestamp,
) -> SqlResult<Option<Delivery>> {
    const SELECT: &str =
        select_deliveries!("WHERE id = $1 AND webhook_id = $2 AND state <> 'pending' FOR UPDATE");
    const UPDATE: &str = "UPDATE deliveries
        SET state = 'pending', attempts = 0, due_at = $2, ended_at = NULL WHERE id = $1";
    if webhooks::webhook(tx, account, webhook).await?.is_none() {
        return Ok(None);
    }
    let row = tx.query_one(SELECT, params![delivery.0, webhook.0]).await?;
    let Some(found) = tx.single("deliveries", row, delivery_from)? else { return Ok(None) };
    tx.execute(UPDATE, params![delivery.0, now]).await?;
    webhooks::touch(tx, webhook).await?;
    let (state, attempts, ended_at) = (DeliveryState::Pending, 0, None);
    Ok(Some(Delivery { state, attempts, due_at: whole_millis(now), ended_at, ..found }))
}

macro_rules! replayable {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM deliveries WHERE webhook_id = $1 AND created_at >= $2 \
             AND (state = 'dead' OR ($3 = 1 AND state = 'delivered')) ",
            $rest
        )
    };
}

pub(crate) async fn count_replayable(
    tx: &mut Tx,
    account: AccountId,
    webhook: WebhookId,
    range: ReplayRange,
    limit: u32,
) -> SqlResult<u32> {
    const COUNT: &str =
        concat!("SELECT count(*) FROM (", replayable!("id", "LIMIT $4"), ") AS found");
    if webhooks::webhook(tx, account, webhook).await?.is_none() {
        return Ok(0);
    }
    let values = params![webhook.0, range.since, range.includes_delivered, i64::from(limit)];
    let row = tx.query_one(COUNT, values).await?;
    Ok(row.map(|mut row| row.small()).transpose()?.unwrap_or(0))
}

pub(crate) async fn replay_since(
    tx: &mut Tx,
    account: AccountId,
    webhook: WebhookId,
    range: ReplayRange,
    limit: u32,
    now: Timestamp,
) -> SqlResult<u32> {
    const UPDATE: &str = concat!(
        "UPDATE deliveries SET state = 'pending', attempts = 0, due_at = $5, ended_at = NULL
         WHERE id IN (",
        replayable!("id", "ORDER BY id LIMIT $4"),
        ")"
    );
    if webhooks::webhook(tx, account, webhook).await?.is_none() {
        return Ok(0);
    }
    let values = params![webhook.0, range.since, range.includes_delivered, i64::from(limit), now];
    let count = tx.execute(UPDATE, values).await?;
    webhooks::touch(tx, webhook).await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Deletes deliveries that ended in `state` before `since`.
pub(crate) async fn clean_up(
    tx: &mut Tx,
    state: DeliveryState,
    since: Timestamp,
) -> SqlResult<CleanupBatch> {
    const DELETE: &str = "DELETE FROM deliveries WHERE id IN
        (SELECT id FROM deliveries WHERE state = $1 AND ended_at < $2
         ORDER BY ended_at LIMIT $3) RETURNING event_id";
    let values = params![state.as_str(), since, BATCH_ROWS_MAX];
    let erased = tx.query(DELETE, values).await?;
    let rows = u64::try_from(erased.len()).unwrap_or(u64::MAX);
    erase_events(tx, erased).await?;
    Ok(CleanupBatch::of(rows))
}
