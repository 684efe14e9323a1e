//! Accepting messages for many callers at once, with few statements.
//!
//! What the group needs to know is read first; [`GroupCommit::decide`] then decides each request in
//! order, as if they came one after the other; what was accepted is written last. A refusal
//! concerns its own request alone. The locks on the accounts make this exact also where several
//! groups run at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::grant::{Allowance, Charge, Grant};
use domain::ids::{AccountId, DeviceId, GrantId, MessageId};
use domain::message::{Message, NewMessage};
use domain::policy::queue::QueueSize;
use domain::policy::quota::Period;
use domain::ports::{Acceptance, Accepted};
use domain::request_file::{RequestFile, blob_key};
use jiff::Timestamp;

use super::counts::CountChanges;
use super::idempotency::{
    Before, KeyedRequest, Remembered, RememberedKeys, earlier, load_remembered, remember,
    unreadable,
};
use super::identities::name_by_number;
use super::{Charged, insert_waiting, list};
use crate::accounts::usage_from;
use crate::grants;
use crate::sql::{FindRows, InsertRows, Param, Row, SqlResult, Tx, Type, to_json, whole_millis};

/// What an account may still send, and how many of its messages wait.
#[derive(Debug, Clone)]
pub(super) struct AccountState {
    pub(super) allowance: Allowance,
    pub(super) queue: QueueSize,
    has_grants: bool,
    pub(super) has_webhooks: bool,
    /// Its newest message; ids of later ones are above, also where another node drew them first.
    last_id: MessageId,
}

/// The columns [`account_states_from`] reads.
macro_rules! usage_columns {
    () => {
        "account_id, waiting, text_bytes, file_bytes, has_grants, has_webhooks, last_id, day, day_used, month, month_used"
    };
}
pub(super) use usage_columns;

/// The accounts of a transaction, under lock.
pub(super) type AccountStates = BTreeMap<AccountId, AccountState>;

enum Decision {
    /// Charged in this period; remembered under this name.
    New(Period, Vec<Charge>, Option<String>),
    Repeat(Before),
    Refused(Accepted),
    /// What it depends on cannot be read.
    Fault,
}

/// What became of a request.
pub(crate) struct AcceptReply {
    pub(crate) accepted: Accepted,
    /// The newest message of its account before those that were accepted: nothing is between.
    pub(crate) after: MessageId,
}

/// A request that was accepted.
struct AcceptedRequest<'a> {
    request: &'a Acceptance,
    now: Timestamp,
    messages: Vec<Message>,
    after: MessageId,
    charged: Vec<Charged>,
    key_name: Option<String>,
}

/// The accounts, devices and earlier requests that a group depends on.
struct GroupCommit {
    account_states: AccountStates,
    /// Whether an account is missing there because it cannot be read.
    has_unreadable: bool,
    devices: HashMap<DeviceId, AccountId>,
    remembered: RememberedKeys,
}

/// Accepts or refuses each request; the answers in the order of the requests.
pub(crate) async fn accept_group(
    tx: &mut Tx,
    group: &[Acceptance],
) -> SqlResult<Vec<SqlResult<AcceptReply>>> {
    let mut group_commit = GroupCommit::load(tx, group).await?;
    let requests = group.iter().enumerate();
    let mut decisions: Vec<Decision> =
        requests.map(|(index, request)| group_commit.decide(index, request)).collect();
    let mut made = write(tx, group, &mut decisions, &mut group_commit.account_states).await?;
    let mut answers = Vec::with_capacity(decisions.len());
    // Backwards: a repeat comes after its original, so that only the repeat needs a copy.
    for (index, decision) in decisions.into_iter().enumerate().rev() {
        let after = made[index].after;
        let accepted = match decision {
            Decision::New(..) => Accepted::New(std::mem::take(&mut made[index].messages)),
            Decision::Repeat(Before::InGroup(first)) => {
                Accepted::Repeated(made[first].messages.clone())
            }
            Decision::Repeat(Before::Stored(ids)) => match list::repeated(tx, &ids).await? {
                Some(messages) => Accepted::Repeated(messages),
                None => {
                    answers.push(Err(unreadable()));
                    continue;
                }
            },
            Decision::Refused(answer) => answer,
            Decision::Repeat(Before::Unreadable) | Decision::Fault => {
                answers.push(Err(unreadable()));
                continue;
            }
        };
        answers.push(Ok(AcceptReply { accepted, after }));
    }
    answers.reverse();
    Ok(answers)
}

/// The messages of a request, and the newest of its account before them.
#[derive(Clone)]
struct Made {
    messages: Vec<Message>,
    after: MessageId,
}

/// Writes what was accepted; what was made of each request, no messages for one that was not accepted.
async fn write(
    tx: &mut Tx,
    group: &[Acceptance],
    decisions: &mut [Decision],
    account_states: &mut AccountStates,
) -> SqlResult<Vec<Made>> {
    let count = count_new(group, decisions);
    let newest = account_states.values().map(|state| state.last_id).max().unwrap_or(MessageId(0));
    let mut ids = tx.next_message_ids(count, newest).await?.map(MessageId);
    let mut made = Vec::new();
    for ((index, request), decision) in group.iter().enumerate().zip(decisions) {
        let Decision::New(period, charges, key_name) = decision else { continue };
        let (charges, key_name) = (std::mem::take(charges), key_name.take());
        let mut new = AcceptedRequest::of(request, *period, charges, key_name, &mut ids);
        if let Some(state) = account_states.get_mut(&request.account_id)
            && let Some(last) = new.messages.last()
        {
            new.after = std::mem::replace(&mut state.last_id, last.id);
        }
        made.push((index, new));
    }
    name_by_number(tx, made.iter_mut().flat_map(|(_, made)| &mut made.messages)).await?;
    insert_waiting(tx, &rows_of(&made)).await?;
    insert_files(tx, &made).await?;
    let keyed = made.iter().filter_map(|(_, made)| made.keyed());
    remember(tx, &keyed.collect::<Vec<_>>()).await?;
    count_messages(tx, &made).await?;
    let changed = made.iter().map(|(_, made)| made.request.account_id).collect();
    put_account_states(tx, account_states, &changed).await?;
    grants::put_used(tx, &spent_grants(&made, account_states)).await?;
    let mut by_request = vec![Made { messages: Vec::new(), after: MessageId(0) }; group.len()];
    for (index, AcceptedRequest { messages, after, .. }) in made {
        by_request[index] = Made { messages, after };
    }
    Ok(by_request)
}

/// Counts the messages of each device.
async fn count_messages(tx: &mut Tx, made: &[(usize, AcceptedRequest<'_>)]) -> SqlResult<()> {
    let mut changes = CountChanges::default();
    for message in made.iter().flat_map(|(_, made)| &made.messages) {
        changes.add_waiting(message.account_id, message.device_id, 1);
    }
    changes.write(tx).await
}

/// How many messages are accepted.
fn count_new(group: &[Acceptance], decisions: &[Decision]) -> usize {
    let is_new = |decision: &Decision| matches!(decision, Decision::New(..));
    let accepted = group.iter().zip(decisions).filter(|(_, decision)| is_new(decision));
    accepted.map(|(request, _)| request.messages.len()).sum()
}

fn rows_of<'m>(made: &'m [(usize, AcceptedRequest<'_>)]) -> Vec<(&'m Message, Charged)> {
    made.iter()
        .flat_map(|(_, made)| made.messages.iter().zip(made.charged.iter().copied()))
        .collect()
}

/// The grants that messages were charged to, as they are now.
fn spent_grants(
    made: &[(usize, AcceptedRequest<'_>)],
    account_states: &AccountStates,
) -> Vec<Grant> {
    let charged = made.iter().flat_map(|(_, made)| &made.charged);
    let spent: BTreeSet<GrantId> = charged.filter_map(|charged| charged.grant).collect();
    let granted = account_states.values().flat_map(|state| &state.allowance.grants);
    granted.filter(|grant| spent.contains(&grant.id)).cloned().collect()
}

impl<'a> AcceptedRequest<'a> {
    fn of(
        request: &'a Acceptance,
        period: Period,
        charges: Vec<Charge>,
        key_name: Option<String>,
        ids: &mut impl Iterator<Item = MessageId>,
    ) -> Self {
        let now = whole_millis(request.now);
        let mut messages = Vec::with_capacity(request.messages.len());
        let mut charged = Vec::with_capacity(request.messages.len());
        for ((new, charge), id) in request.messages.iter().zip(charges).zip(ids) {
            messages.push(new.accepted(id, request.account_id, charge.receipt, now));
            charged.push(Charged { period, grant: charge.grant });
        }
        Self { request, now, messages, after: MessageId(0), charged, key_name }
    }

    /// What its idempotency key stands for from now on.
    fn keyed(&self) -> Option<KeyedRequest<'_>> {
        let (key, name) = self.request.idempotency.as_ref().zip(self.key_name.as_deref())?;
        let (account, now) = (self.request.account_id, self.now);
        Some(KeyedRequest { account, name, key, messages: &self.messages, now })
    }

    /// The files that came with it, by their names in the media store.
    fn files(&self) -> impl Iterator<Item = (MessageId, String, &'a RequestFile)> {
        let account = self.request.account_id;
        let messages = self.messages.iter().zip(&self.request.messages);
        messages.filter_map(move |(message, new)| {
            let file = new.inline_file.as_ref()?;
            Some((message.id, blob_key(account, new.device_id, &new.whatsapp_id), file))
        })
    }
}

async fn insert_files(tx: &mut Tx, made: &[(usize, AcceptedRequest<'_>)]) -> SqlResult<()> {
    const INSERT: InsertRows = InsertRows {
        table: "inline_media",
        columns: &[
            ("message_id", Type::Int),
            ("bytes", Type::Blob),
            ("blob_key", Type::Text),
            ("size", Type::Int),
            ("sha256", Type::Blob),
        ],
        then: "",
    };
    const NO_BYTES: &[u8] = &[];
    let files: Vec<_> = made.iter().flat_map(|(_, made)| made.files()).collect();
    let mut rows = Vec::with_capacity(files.len());
    for (id, key, file) in &files {
        rows.push(vec![
            Param::from(id.0),
            Param::from(NO_BYTES),
            Param::from(key),
            Param::from(i64::try_from(file.size).unwrap_or(i64::MAX)),
            Param::from(file.sha256.as_slice()),
        ]);
    }
    tx.insert(&INSERT, &rows).await.map(drop)
}

impl GroupCommit {
    async fn load<'a>(tx: &mut Tx, group: &'a [Acceptance]) -> SqlResult<Self> {
        let accounts: BTreeSet<_> = group.iter().map(|request| request.account_id).collect();
        let key = |request: &'a Acceptance| {
            request.idempotency.as_ref().map(|key| (request.account_id, key))
        };
        let keys: Vec<_> = group.iter().filter_map(key).collect();
        let now = group.iter().map(|request| request.now).min().unwrap_or_default();
        let (account_states, has_unreadable) = lock_account_states(tx, &accounts).await?;
        Ok(Self {
            account_states,
            has_unreadable,
            devices: load_devices(tx, group).await?,
            remembered: load_remembered(tx, &keys, now).await?,
        })
    }

    fn decide(&mut self, index: usize, request: &Acceptance) -> Decision {
        let account = request.account_id;
        let key = request.idempotency.as_ref();
        let (key_name, before) = key.map(|key| earlier(&self.remembered, account, key)).unzip();
        if let (Some(key), Some(before)) = (key, before.flatten()) {
            let is_same = before.request_hash == key.request_hash;
            let is_unreadable = matches!(before.accepted, Before::Unreadable);
            return if is_same || is_unreadable {
                Decision::Repeat(before.accepted.clone())
            } else {
                Decision::Refused(Accepted::Mismatch)
            };
        }
        let is_owned = |new: &NewMessage| self.devices.get(&new.device_id) == Some(&account);
        let Some(state) = self.account_states.get_mut(&account) else {
            let is_gone = !self.has_unreadable;
            return if is_gone { Decision::Refused(Accepted::DeviceGone) } else { Decision::Fault };
        };
        if !request.messages.iter().all(is_owned) {
            return Decision::Refused(Accepted::DeviceGone);
        }
        let queue = match request.limits.admit(state.queue, QueueSize::of(&request.messages)) {
            Ok(queue) => queue,
            Err(full) => return Decision::Refused(Accepted::QueueFull(full)),
        };
        let (period, charges) = match charge(&mut state.allowance, request) {
            Ok(charged) => charged,
            Err(remaining) => return Decision::Refused(Accepted::QuotaExhausted { remaining }),
        };
        state.queue = queue;
        if let (Some(key), Some(key_name)) = (key, key_name.clone()) {
            let device = request.messages.first().map(|new| new.device_id);
            let accepted = Before::InGroup(index);
            let remembered = Remembered { request_hash: key.request_hash, accepted, device };
            self.remembered.insert(key_name, remembered);
        }
        Decision::New(period, charges, key_name.map(|(_, name)| name))
    }
}

/// Charges all messages of a request, or none; also returns the period they are charged in. The
/// error is what is left for the first one's device.
fn charge(allowance: &mut Allowance, request: &Acceptance) -> Result<(Period, Vec<Charge>), i64> {
    let now = whole_millis(request.now);
    let before =
        Allowance { usage: allowance.usage.at(request.period), grants: allowance.grants.clone() };
    let mut after = before.clone();
    let charge = |new: &NewMessage| after.pay(&request.plan, new.device_id, now);
    let Some(charges) = request.messages.iter().map(charge).collect::<Option<Vec<_>>>() else {
        let device = request.messages.first().map(|new| new.device_id);
        let granted = device.map_or(0, |device| before.granted(device, now));
        return Err(before.usage.remaining(&request.plan).saturating_add(granted));
    };
    *allowance = after;
    Ok((before.usage.period, charges))
}

/// Locks accounts, in order, and reads their states; also returns whether any cannot be read.
async fn lock_account_states(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountId>,
) -> SqlResult<(AccountStates, bool)> {
    const FIND: FindRows = FindRows {
        select: concat!("SELECT ", usage_columns!(), " FROM usage"),
        key: &[("account_id", Type::Int)],
        then: "ORDER BY account_id FOR UPDATE",
    };
    let keys: Vec<_> = accounts.iter().map(|account| vec![Param::from(account.0)]).collect();
    let rows = tx.find(&FIND, &keys).await?;
    let found = rows.len();
    let mut account_states = account_states_from(tx, rows);
    let has_unreadable = account_states.len() < found;
    let granted = account_states.iter().filter(|(_, state)| state.has_grants);
    let granted: Vec<i64> = granted.map(|(account, _)| account.0).collect();
    if !granted.is_empty() {
        for (account, grant) in grants::of_accounts(tx, &to_json(&granted)?).await? {
            if let Some(state) = account_states.get_mut(&account) {
                state.allowance.grants.push(grant);
            }
        }
    }
    Ok((account_states, has_unreadable))
}

/// Reads [`usage_columns`]; grants are left out.
pub(super) fn account_states_from(tx: &Tx, rows: Vec<Row>) -> AccountStates {
    let state = |row: &mut Row| {
        let account = AccountId(row.int()?);
        let (messages, text_bytes, file_bytes) = (row.int()?, row.int()?, row.int()?);
        let queue = QueueSize { messages, text_bytes, file_bytes };
        let (has_grants, has_webhooks) = (row.bool()?, row.bool()?);
        let last_id = MessageId(row.int()?);
        let allowance = Allowance { usage: usage_from(row)?, grants: Vec::new() };
        Ok((account, AccountState { allowance, queue, has_grants, has_webhooks, last_id }))
    };
    tx.readable("usage", rows, state).into_iter().collect()
}

/// Writes back what accounts have used of their plans; they are under lock.
pub(super) async fn put_account_states(
    tx: &mut Tx,
    account_states: &AccountStates,
    changed: &BTreeSet<AccountId>,
) -> SqlResult<()> {
    const PUT: InsertRows = InsertRows {
        table: "usage",
        columns: &[
            ("account_id", Type::Int),
            ("waiting", Type::Int),
            ("text_bytes", Type::Int),
            ("file_bytes", Type::Int),
            ("day", Type::Int),
            ("day_used", Type::Int),
            ("month", Type::Int),
            ("month_used", Type::Int),
            ("last_id", Type::Int),
        ],
        then: "ON CONFLICT (account_id) DO UPDATE SET last_id = excluded.last_id, waiting = excluded.waiting,
            text_bytes = excluded.text_bytes, file_bytes = excluded.file_bytes,
            day = excluded.day, day_used = excluded.day_used,
            month = excluded.month, month_used = excluded.month_used",
    };
    let row =
        |(account, AccountState { allowance, queue, last_id, .. }): (&AccountId, &AccountState)| {
            let usage = allowance.usage;
            let (day, month) = (usage.period.day, usage.period.month);
            let QueueSize { messages, text_bytes, file_bytes } = *queue;
            let queue = [messages, text_bytes, file_bytes];
            let used = [day, usage.day_used, month, usage.month_used];
            let values = [account.0].into_iter().chain(queue).chain(used).chain([last_id.0]);
            values.map(Param::from).collect()
        };
    let changed = account_states.iter().filter(|(account, _)| changed.contains(account));
    let rows: Vec<Vec<Param<'_>>> = changed.map(row).collect();
    tx.insert(&PUT, &rows).await.map(drop)
}

async fn load_devices(
    tx: &mut Tx,
    group: &[Acceptance],
) -> SqlResult<HashMap<DeviceId, AccountId>> {
    const FIND: FindRows = FindRows {
        select: "SELECT id, account_id FROM devices",
        key: &[("id", Type::Text)],
        then: "",
    };
    let devices: BTreeSet<DeviceId> =
        group.iter().flat_map(|request| &request.messages).map(|new| new.device_id).collect();
    let devices: Vec<String> = devices.into_iter().map(DeviceId::to_text).collect();
    let keys: Vec<_> = devices.iter().map(|device| vec![Param::from(device)]).collect();
    let device = |row: &mut Row| Ok((row.parsed(|id| id.parse().ok())?, AccountId(row.int()?)));
    let rows = tx.find(&FIND, &keys).await?;
    Ok(tx.readable("devices", rows, device).into_iter().collect())
}
