//! Accepting messages for many callers at once, with few statements.
//!
//! What the group needs to know is read first; [`Ledger::decide`] then decides each request in
//! order, as if they came one after the other; what was accepted is written last. A refusal
//! concerns its own request alone. The locks on the accounts make this exact also where several
//! groups run at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{Message, NewMessage};
use domain::policy::quota::{QuotaReceipt, Usage};
use domain::ports::{
    Acceptance, Accepted, IDEMPOTENCY_HOURS, IdempotencyKey, WAITING_MESSAGES_MAX,
};
use jiff::{SignedDuration, Timestamp};

use super::{ids_json, insert_waiting, list};
use crate::accounts::usage_from;
use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, from_json, params, stored, to_json};

/// What an account has used up, and how many of its messages wait.
#[derive(Debug, Clone, Copy)]
pub(super) struct Balance {
    pub(super) usage: Usage,
    pub(super) waiting: i64,
}

/// The accounts of a transaction, under lock.
pub(super) type Balances = BTreeMap<AccountId, Balance>;

/// What is remembered of a request.
#[derive(Debug, Clone)]
struct Remembered {
    request_hash: [u8; 32],
    accepted: Before,
}

#[derive(Debug, Clone)]
enum Before {
    /// In an earlier transaction.
    Stored(Vec<MessageId>),
    /// By an earlier request of this group, by its index.
    InGroup(usize),
}

enum Decision {
    New(QuotaReceipt),
    Repeat(Before),
    Refused(Accepted),
}

/// What a group knows of accounts, devices and earlier requests.
struct Ledger {
    balances: Balances,
    devices: HashMap<DeviceId, AccountId>,
    remembered: HashMap<(AccountId, String), Remembered>,
}

/// Accepts or refuses each request; the answers in the order of the requests.
pub(crate) async fn accept_group(tx: &mut Tx, group: Vec<Acceptance>) -> SqlResult<Vec<Accepted>> {
    let mut ledger = Ledger::load(tx, &group).await?;
    let decisions: Vec<Decision> =
        group.iter().enumerate().map(|(index, request)| ledger.decide(index, request)).collect();
    let made = write(tx, group, &decisions, &ledger.balances).await?;
    let mut answers = Vec::with_capacity(decisions.len());
    for (index, decision) in decisions.into_iter().enumerate() {
        answers.push(match decision {
            Decision::New(_) => Accepted::New(made.get(&index).cloned().unwrap_or_default()),
            Decision::Repeat(Before::InGroup(first)) => {
                Accepted::Repeated(made.get(&first).cloned().unwrap_or_default())
            }
            Decision::Repeat(Before::Stored(ids)) => {
                Accepted::Repeated(list::by_ids(tx, &ids).await?)
            }
            Decision::Refused(answer) => answer,
        });
    }
    Ok(answers)
}

/// Writes what was accepted; the messages by the index of their request.
async fn write(
    tx: &mut Tx,
    group: Vec<Acceptance>,
    decisions: &[Decision],
    balances: &Balances,
) -> SqlResult<HashMap<usize, Vec<Message>>> {
    let is_new = |decision: &Decision| matches!(decision, Decision::New(_));
    let accepted = group.iter().zip(decisions).filter(|(_, decision)| is_new(decision));
    let (count, payers) =
        accepted.fold((0, BTreeSet::new()), |(count, mut payers), (request, _)| {
            payers.insert(request.account_id);
            (count + request.messages.len(), payers)
        });
    let mut ids = tx.next_message_ids(count).await?.into_iter().map(MessageId);
    let mut made = Vec::new();
    for ((index, request), decision) in group.into_iter().enumerate().zip(decisions) {
        let Decision::New(receipt) = decision else { continue };
        let Acceptance { account_id, period, idempotency, now, messages, .. } = request;
        let now = stored(now);
        let messages: Vec<Message> = (0..)
            .zip(messages)
            .zip(&mut ids)
            .map(|((n, new), id)| new.accepted(id, account_id, receipt.nth(n), now))
            .collect();
        made.push((index, account_id, period, idempotency, now, messages));
    }
    let rows: Vec<_> = made
        .iter()
        .flat_map(|(.., period, _, _, messages)| messages.iter().map(|message| (message, *period)))
        .collect();
    insert_waiting(tx, &rows).await?;
    for (_, account, _, key, now, messages) in &made {
        if let Some(key) = key {
            remember(tx, *account, key, messages, *now).await?;
        }
    }
    put_balances(tx, balances.iter().filter(|(account, _)| payers.contains(account))).await?;
    Ok(made.into_iter().map(|(index, .., messages)| (index, messages)).collect())
}

impl Ledger {
    async fn load<'a>(tx: &mut Tx, group: &'a [Acceptance]) -> SqlResult<Self> {
        let accounts: BTreeSet<i64> = group.iter().map(|request| request.account_id.0).collect();
        let key = |request: &'a Acceptance| {
            request.idempotency.as_ref().map(|key| (request.account_id, key))
        };
        let keys: Vec<_> = group.iter().filter_map(key).collect();
        let now = group.iter().map(|request| request.now).min().unwrap_or_default();
        Ok(Self {
            balances: lock_balances(tx, &ids_json(accounts.into_iter())?).await?,
            devices: load_devices(tx, group).await?,
            remembered: load_remembered(tx, &keys, now).await?,
        })
    }

    fn decide(&mut self, index: usize, request: &Acceptance) -> Decision {
        let account = request.account_id;
        if let Some(key) = &request.idempotency
            && let Some(before) = self.remembered.get(&(account, name(key)))
        {
            return if before.request_hash == key.request_hash {
                Decision::Repeat(before.accepted.clone())
            } else {
                Decision::Refused(Accepted::Mismatch)
            };
        }
        let is_owned = |new: &NewMessage| self.devices.get(&new.device_id) == Some(&account);
        let Some(balance) = self.balances.get_mut(&account) else {
            return Decision::Refused(Accepted::DeviceGone);
        };
        if !request.messages.iter().all(is_owned) {
            return Decision::Refused(Accepted::DeviceGone);
        }
        let count = i64::try_from(request.messages.len()).unwrap_or(i64::MAX);
        if balance.waiting.saturating_add(count) > WAITING_MESSAGES_MAX {
            return Decision::Refused(Accepted::QueueFull);
        }
        let spent = balance.usage.at(request.period).spend(&request.plan, count);
        let Some((usage, receipt)) = spent else {
            return Decision::Refused(Accepted::QuotaExhausted);
        };
        *balance = Balance { usage, waiting: balance.waiting + count };
        if let Some(key) = &request.idempotency {
            let accepted = Before::InGroup(index);
            let remembered = Remembered { request_hash: key.request_hash, accepted };
            self.remembered.insert((account, name(key)), remembered);
        }
        Decision::New(receipt)
    }
}

/// Locks accounts, in order, and reads what they have used up. `accounts` is a JSON array of ids.
async fn lock_balances(tx: &mut Tx, accounts: &str) -> SqlResult<Balances> {
    const SELECT: &str = "SELECT account_id, waiting, day, day_used, month, month_used FROM usage
        WHERE account_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
        ORDER BY account_id FOR UPDATE";
    balances_from(tx.query(SELECT, params![accounts]).await?)
}

/// Reads `account_id, waiting, day, day_used, month, month_used`.
pub(super) fn balances_from(rows: Vec<Row>) -> SqlResult<Balances> {
    let balance = |mut row: Row| {
        let (account, waiting) = (AccountId(row.int()?), row.int()?);
        Ok((account, Balance { waiting, usage: usage_from(&mut row)? }))
    };
    rows.into_iter().map(balance).collect()
}

/// Writes back what accounts have used up; they are under lock.
pub(super) async fn put_balances(
    tx: &mut Tx,
    balances: impl Iterator<Item = (&AccountId, &Balance)>,
) -> SqlResult<()> {
    const PUT: InsertRows = InsertRows {
        table: "usage",
        columns: &[
            ("account_id", Type::Int),
            ("waiting", Type::Int),
            ("day", Type::Int),
            ("day_used", Type::Int),
            ("month", Type::Int),
            ("month_used", Type::Int),
        ],
        then: "ON CONFLICT (account_id) DO UPDATE SET waiting = excluded.waiting,
            day = excluded.day, day_used = excluded.day_used,
            month = excluded.month, month_used = excluded.month_used",
    };
    let row = |(account, Balance { usage, waiting }): (&AccountId, &Balance)| {
        let (day, month) = (usage.period.day, usage.period.month);
        [account.0, *waiting, day, usage.day_used, month, usage.month_used]
            .map(Param::from)
            .to_vec()
    };
    let rows: Vec<Vec<Param<'_>>> = balances.map(row).collect();
    tx.insert(&PUT, &rows).await.map(drop)
}

async fn load_devices(
    tx: &mut Tx,
    group: &[Acceptance],
) -> SqlResult<HashMap<DeviceId, AccountId>> {
    const SELECT: &str =
        "SELECT id, account_id FROM devices WHERE id IN (SELECT value FROM json_rows($1))";
    let wanted: BTreeSet<_> =
        group.iter().flat_map(|request| &request.messages).map(|new| new.device_id.0).collect();
    let device = |mut row: Row| Ok((row.parsed(|id| id.parse().ok())?, AccountId(row.int()?)));
    let rows = tx.query(SELECT, params![&to_json(&wanted)?]).await?;
    rows.into_iter().map(device).collect()
}

/// How a key is stored: no route holds a line feed.
fn name(key: &IdempotencyKey) -> String {
    format!("{}\n{}", key.route, key.key)
}

/// What became of an earlier request with this key, if there was one.
pub(crate) async fn repeated(
    tx: &mut Tx,
    account: AccountId,
    key: IdempotencyKey,
    now: Timestamp,
) -> SqlResult<Option<Accepted>> {
    let mut remembered = load_remembered(tx, &[(account, &key)], now).await?;
    let Some(before) = remembered.remove(&(account, name(&key))) else { return Ok(None) };
    Ok(Some(match before.accepted {
        Before::Stored(ids) if before.request_hash == key.request_hash => {
            Accepted::Repeated(list::by_ids(tx, &ids).await?)
        }
        Before::Stored(_) | Before::InGroup(_) => Accepted::Mismatch,
    }))
}

async fn load_remembered(
    tx: &mut Tx,
    keys: &[(AccountId, &IdempotencyKey)],
    now: Timestamp,
) -> SqlResult<HashMap<(AccountId, String), Remembered>> {
    const SELECT: &str = "SELECT account_id, name, request_hash, message_ids FROM idempotency
        WHERE account_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
        AND name IN (SELECT value FROM json_rows($2)) AND created_at > $3";
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let accounts: BTreeSet<i64> = keys.iter().map(|(account, _)| account.0).collect();
    let accounts = ids_json(accounts.into_iter())?;
    let names = to_json(&keys.iter().map(|(_, key)| name(key)).collect::<BTreeSet<_>>())?;
    let rows = tx.query(SELECT, params![&accounts, &names, forgotten_before(now)]).await?;
    rows.into_iter().map(remembered_from).collect()
}

fn remembered_from(mut row: Row) -> SqlResult<((AccountId, String), Remembered)> {
    let key = (AccountId(row.int()?), row.text()?);
    let mut request_hash = [0; 32];
    for (to, from) in request_hash.iter_mut().zip(row.blob()?) {
        *to = from;
    }
    let ids: Vec<i64> = from_json(&row.text()?)?;
    let accepted = Before::Stored(ids.into_iter().map(MessageId).collect());
    Ok((key, Remembered { request_hash, accepted }))
}

/// Keys as old as this count as absent.
pub(super) fn forgotten_before(now: Timestamp) -> Timestamp {
    now.saturating_sub(SignedDuration::from_hours(IDEMPOTENCY_HOURS)).unwrap_or(Timestamp::MIN)
}

/// A key that was forgotten but not cleaned up yet is replaced.
async fn remember(
    tx: &mut Tx,
    account: AccountId,
    key: &IdempotencyKey,
    messages: &[Message],
    now: Timestamp,
) -> SqlResult<()> {
    const PUT: &str = "INSERT INTO idempotency
        (account_id, name, request_hash, message_ids, created_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (account_id, name) DO UPDATE SET request_hash = excluded.request_hash,
        message_ids = excluded.message_ids, created_at = excluded.created_at";
    let ids = ids_json(messages.iter().map(|message| message.id.0))?;
    let hash = key.request_hash.as_slice();
    tx.execute(PUT, params![account.0, &name(key), hash, &ids, now]).await.map(drop)
}
