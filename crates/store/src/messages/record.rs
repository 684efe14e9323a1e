//! What happens to messages: attempts, acknowledgements, ends, receipts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::{Message, MessageEvent, MessageState, Receipt};
use domain::policy::quota::{Period, QuotaKind};
use domain::ports::Progress;
use jiff::Timestamp;

use super::accept::{Balances, balances_from, put_balances};
use super::{
    Waiting, history_columns, ids_json, insert_history, insert_waiting, message_from,
    messages_from, waiting_columns,
};
use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, params, stored, to_json};

/// Records what happened to waiting messages, for many callers at once.
pub(crate) async fn record_group(
    tx: &mut Tx,
    group: &[Vec<Progress>],
) -> SqlResult<Vec<Vec<Message>>> {
    let ids: BTreeSet<i64> = group.iter().flatten().map(|progress| progress.id.0).collect();
    let ids = ids_json(ids.into_iter())?;
    let mut balances = lock_accounts_of(tx, &ids).await?;
    let mut waiting = load_waiting(tx, &ids).await?;
    let mut answers = Vec::with_capacity(group.len());
    for request in group {
        let mut touched = BTreeMap::new();
        for progress in request {
            if let Some(row) = waiting.get_mut(&progress.id)
                && row.message.state.is_waiting()
            {
                progress.apply_to(&mut row.message);
                touched.insert(progress.id, row.message.clone());
            }
        }
        answers.push(touched.into_values().collect());
    }
    settle(tx, waiting.into_values().collect(), &mut balances).await?;
    Ok(answers)
}

/// Ends every waiting message of a device whose account is under lock.
pub(crate) async fn end_all(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    event: MessageEvent,
    at: Timestamp,
) -> SqlResult<()> {
    const SELECT: &str =
        "SELECT id FROM outbox WHERE account_id = $1 AND device_id = $2 ORDER BY id";
    let rows = tx.query(SELECT, params![account.0, &device.to_string()]).await?;
    let ids = rows.into_iter().map(|mut row| row.int()).collect::<SqlResult<Vec<i64>>>()?;
    let progress = |id| Progress {
        id: MessageId(id),
        steps: vec![(event, at)],
        failure: None,
        next_attempt_at: None,
    };
    record_group(tx, &[ids.into_iter().map(progress).collect()]).await.map(drop)
}

/// Locks the accounts of messages, in order. Nobody else changes these messages from then on.
async fn lock_accounts_of(tx: &mut Tx, ids: &str) -> SqlResult<Balances> {
    const SELECT: &str = "SELECT account_id, waiting, day, day_used, month, month_used FROM usage
        WHERE account_id IN (SELECT account_id FROM outbox
            WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1)))
        ORDER BY account_id FOR UPDATE";
    balances_from(tx.query(SELECT, params![ids]).await?)
}

async fn load_waiting(tx: &mut Tx, ids: &str) -> SqlResult<HashMap<MessageId, Waiting>> {
    const SELECT: &str = concat!(
        "SELECT ",
        waiting_columns!(),
        ", day, month FROM outbox WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))"
    );
    let waiting = |mut row: Row| {
        let message = message_from(&mut row)?;
        let period = Period { day: row.int()?, month: row.int()? };
        Ok((message.id, Waiting { message, period }))
    };
    tx.query(SELECT, params![ids]).await?.into_iter().map(waiting).collect()
}

/// Writes waiting messages back, or moves them into the history with all that follows from it:
/// the account's count, the refund, the contact.
async fn settle(tx: &mut Tx, mut rows: Vec<Waiting>, balances: &mut Balances) -> SqlResult<()> {
    const DELETE: &str =
        "DELETE FROM outbox WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    if rows.is_empty() {
        return Ok(());
    }
    rows.sort_unstable_by_key(|row| row.message.id);
    let ids = ids_json(rows.iter().map(|row| row.message.id.0))?;
    tx.execute(DELETE, params![&ids]).await?;
    let (stay, left): (Vec<&Waiting>, Vec<&Waiting>) =
        rows.iter().partition(|row| row.message.state.is_waiting());
    let stay: Vec<_> = stay.into_iter().map(|row| (&row.message, row.period)).collect();
    insert_waiting(tx, &stay).await?;
    let messages: Vec<&Message> = left.iter().map(|row| &row.message).collect();
    insert_history(tx, &messages).await?;
    add_contacts(tx, &messages).await?;
    for row in left {
        leave(row, balances);
    }
    put_balances(tx, balances.iter()).await
}

/// Takes a message that has left the outbox off its account's books.
fn leave(row: &Waiting, balances: &mut Balances) {
    use MessageState::{Cancelled, Expired, Failed};
    let Some(balance) = balances.get_mut(&row.message.account_id) else { return };
    balance.waiting = (balance.waiting - 1).max(0);
    let is_free = row.message.quota.is_some_and(|quota| quota.kind == QuotaKind::Free);
    if is_free && matches!(row.message.state, Failed | Expired | Cancelled) {
        balance.usage = balance.usage.refund(row.period);
    }
}

async fn add_contacts(tx: &mut Tx, left: &[&Message]) -> SqlResult<()> {
    use MessageState::{Delivered, Played, Read, Sent};
    const INSERT: InsertRows = InsertRows {
        table: "contacts",
        columns: &[("device_id", Type::Text), ("chat", Type::Text), ("first_at", Type::Int)],
        then: "ON CONFLICT DO NOTHING",
    };
    let mut contacts = BTreeMap::new();
    for message in left {
        if matches!(message.state, Sent | Delivered | Read | Played) {
            let at = message.history.last().map_or(message.created_at, |change| change.at);
            contacts.entry((message.device_id.to_string(), &message.chat)).or_insert(at);
        }
    }
    let rows: Vec<Vec<Param<'_>>> = contacts
        .iter()
        .map(|((device, chat), at)| vec![device.into(), (*chat).into(), (*at).into()])
        .collect();
    tx.insert(&INSERT, &rows).await.map(drop)
}

/// Moves messages of the history forward; those that changed.
pub(crate) async fn record_receipts(
    tx: &mut Tx,
    device: DeviceId,
    ids: Vec<WhatsappId>,
    receipt: Receipt,
    at: Timestamp,
) -> SqlResult<Vec<Message>> {
    const SELECT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE device_id = $1 AND direction = 'out'
          AND whatsapp_id IN (SELECT value FROM json_rows($2)) ORDER BY id FOR UPDATE"
    );
    const UPDATE: &str = "UPDATE messages SET state = $2, history = $3 WHERE id = $1";
    let rows = tx.query(SELECT, params![&device.to_string(), &to_json(&ids)?]).await?;
    let mut changed = messages_from(rows)?;
    changed.retain_mut(|message| message.apply(receipt.event(), stored(at), None));
    for message in &changed {
        let history = to_json(&message.history)?;
        tx.execute(UPDATE, params![message.id.0, message.state.as_str(), &history]).await?;
    }
    Ok(changed)
}
