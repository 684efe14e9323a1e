//! Accepting messages for many callers at once, with few statements.
//!
//! What the group needs to know is read first; [`GroupCommit::decide`] then decides each request in
//! order, as if they came one after the other; what was accepted is written last. A refusal
//! concerns its own request alone. The locks on the accounts make this exact also where several
//! groups run at once.
//!
//! Other groups wait for these locks, so on PostgreSQL there are three round trips while they are held: one
//! reads, one writes, one commits. What is read must not be read with the locks, in one statement: that sees
//! the database as it was before it waited for them. A device may have been deleted and a key used meanwhile.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use domain::grant::{Allowance, Charge, Grant};
use domain::ids::{AccountId, DeviceId, GrantId, MessageId};
use domain::message::{Message, NewMessage};
use domain::policy::queue::QueueSize;
use domain::policy::quota::Period;
use domain::ports::{Acceptance, Accepted};
use domain::request_file::{RequestFile, blob_key};
use jiff::Timestamp;

use super::counts::CountRows;
use super::idempotency::{
    Before, KeyRows, KeyedRequest, NamedKey, Remembered, RememberedKeys, StoredNames, earlier,
    remembered_of, unreadable,
};
use super::identities::name_lids;
use super::{Charged, WaitingRows, list, spellings};
use crate::accounts::usage_from;
use crate::grants;
use crate::sql::{
    FindRows, InsertRows, Insertion, LookUp, Param, Row, SqlResult, Tx, Type, whole_millis,
};

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

enum Decision<'k> {
    /// Charged in this period; remembered under this name.
    New(Period, Vec<Charge>, Option<&'k str>),
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
    key_name: Option<&'a str>,
}

/// The accounts, devices and earlier requests that a group depends on.
struct GroupCommit<'k> {
    account_states: AccountStates,
    /// Whether an account is missing there because it cannot be read.
    has_unreadable: bool,
    devices: HashMap<DeviceId, Owned>,
    remembered: RememberedKeys<'k>,
}

/// A device, as accepting needs to know it.
struct Owned {
    by: AccountId,
    /// Whether it knows numbers with two spellings.
    has_spellings: bool,
}

/// Accepts or refuses each request; the answers in the order of the requests.
pub(crate) async fn accept_group(
    tx: &mut Tx,
    group: &[Acceptance],
) -> SqlResult<Vec<SqlResult<AcceptReply>>> {
    tx.draw_ids_ahead().await?;
    let keys = group.iter().map(|Acceptance { account_id, idempotency, .. }| {
        idempotency.as_ref().map(|key| NamedKey::of(*account_id, key))
    });
    let keys: Vec<Option<NamedKey<'_>>> = keys.collect();
    let mut group_commit = GroupCommit::load(tx, group, &keys).await?;
    let requests = group.iter().zip(&keys).enumerate();
    let mut decisions: Vec<Decision<'_>> = requests
        .map(|(index, (request, key))| group_commit.decide(index, request, key.as_ref()))
        .collect();
    let mut made = write(tx, group, &mut decisions, &mut group_commit).await?;
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
    decisions: &mut [Decision<'_>],
    GroupCommit { account_states, devices, .. }: &mut GroupCommit<'_>,
) -> SqlResult<Vec<Made>> {
    let count = count_new(group, decisions);
    let newest = account_states.values().map(|state| state.last_id).max().unwrap_or(MessageId(0));
    let mut ids = tx.next_message_ids(count, newest).await?.map(MessageId);
    let mut made = Vec::new();
    for ((index, request), decision) in group.iter().enumerate().zip(decisions) {
        let Decision::New(period, charges, key_name) = decision else { continue };
        let charges = std::mem::take(charges);
        let mut new = AcceptedRequest::of(request, *period, charges, *key_name, &mut ids);
        if let Some(state) = account_states.get_mut(&request.account_id)
            && let Some(last) = new.messages.last()
        {
            new.after = std::mem::replace(&mut state.last_id, last.id);
        }
        made.push((index, new));
    }
    name_people(tx, &mut made, devices).await?;
    insert(tx, &made, account_states).await?;
    let mut by_request = vec![Made { messages: Vec::new(), after: MessageId(0) }; group.len()];
    for (index, AcceptedRequest { messages, after, .. }) in made {
        by_request[index] = Made { messages, after };
    }
    Ok(by_request)
}

/// Puts messages of people under the numbers that WhatsApp knows, where those are known.
async fn name_people(
    tx: &mut Tx,
    made: &mut [(usize, AcceptedRequest<'_>)],
    devices: &HashMap<DeviceId, Owned>,
) -> SqlResult<()> {
    let messages = made.iter_mut().flat_map(|(_, made)| &mut made.messages);
    let mut messages: Vec<&mut Message> = messages.collect();
    name_lids(tx, &mut messages).await?;
    let has_spellings =
        |device: &DeviceId| devices.get(device).is_some_and(|owned| owned.has_spellings);
    messages.retain(|message| has_spellings(&message.device_id));
    spellings::follow(tx, &mut messages).await
}

/// Writes the messages, and all that changes with them.
async fn insert(
    tx: &mut Tx,
    made: &[(usize, AcceptedRequest<'_>)],
    account_states: &AccountStates,
) -> SqlResult<()> {
    let requests = || made.iter().map(|(_, made)| made);
    let messages = || requests().flat_map(|made| &made.messages);
    let charged = requests().flat_map(|made| &made.charged);
    let waiting = WaitingRows::of(messages().zip(charged.copied()))?;
    let files: Vec<_> = requests().flat_map(AcceptedRequest::files).collect();
    let keys = KeyRows::of(tx, requests().filter_map(AcceptedRequest::keyed))?;
    let [recent_keys, other_keys] = keys.insertions();
    let counted = messages().map(|message| (message.account_id, message.device_id));
    let counts = CountRows::of_waiting(counted);
    let changed: BTreeSet<_> = requests().map(|made| made.request.account_id).collect();
    let changed = account_states.iter().filter(|(account, _)| changed.contains(account));
    tx.insert_all(vec![
        waiting.insertion(),
        file_rows(&files),
        recent_keys,
        other_keys,
        counts.insertion(),
        account_rows(changed),
        grants::used_rows(spent_grants(made, account_states)),
    ])
    .await
}

/// How many messages are accepted.
fn count_new(group: &[Acceptance], decisions: &[Decision<'_>]) -> usize {
    let is_new = |decision: &Decision<'_>| matches!(decision, Decision::New(..));
    let accepted = group.iter().zip(decisions).filter(|(_, decision)| is_new(decision));
    accepted.map(|(request, _)| request.messages.len()).sum()
}

/// The grants that messages were charged to, as they are now.
fn spent_grants<'s>(
    made: &[(usize, AcceptedRequest<'_>)],
    account_states: &'s AccountStates,
) -> impl Iterator<Item = (AccountId, &'s Grant)> {
    let charged = made.iter().flat_map(|(_, made)| &made.charged);
    let spent: BTreeSet<GrantId> = charged.filter_map(|charged| charged.grant).collect();
    let granted = account_states.iter().flat_map(|(account, state)| {
        state.allowance.grants.iter().map(move |grant| (*account, grant))
    });
    granted.filter(move |(_, grant)| spent.contains(&grant.id))
}

impl<'a> AcceptedRequest<'a> {
    fn of(
        request: &'a Acceptance,
        period: Period,
        charges: Vec<Charge>,
        key_name: Option<&'a str>,
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
        let (key, name) = self.request.idempotency.as_ref().zip(self.key_name)?;
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

fn file_rows<'a>(files: &'a [(MessageId, String, &RequestFile)]) -> Insertion<'a> {
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
    let mut rows = Vec::with_capacity(files.len());
    for (id, key, file) in files {
        rows.push(vec![
            Param::from(id.0),
            Param::from(NO_BYTES),
            Param::from(key),
            Param::from(i64::try_from(file.size).unwrap_or(i64::MAX)),
            Param::from(file.sha256.as_slice()),
        ]);
    }
    Insertion { into: &INSERT, rows }
}

impl<'k> GroupCommit<'k> {
    async fn load(
        tx: &mut Tx,
        group: &[Acceptance],
        keys: &'k [Option<NamedKey<'_>>],
    ) -> SqlResult<Self> {
        let accounts: BTreeSet<_> = group.iter().map(|request| request.account_id).collect();
        let now = group.iter().map(|request| request.now).min().unwrap_or_default();
        let (mut account_states, has_unreadable) = lock_account_states(tx, &accounts).await?;
        let (devices, names) = (devices_of(group), StoredNames::of(tx, keys));
        let granted = account_states.iter().filter(|(_, state)| state.has_grants);
        let granted = grants::look_up(granted.map(|(account, _)| *account));
        let [named, recent] = names.look_ups();
        let [devices, mut remembered, recent, granted] =
            tx.find_all([device_look_up(&devices), named, recent, granted]).await?;
        remembered.extend(recent);
        for (account, grant) in grants::of_accounts(tx, granted) {
            if let Some(state) = account_states.get_mut(&account) {
                state.allowance.grants.push(grant);
            }
        }
        let devices = tx.readable("devices", devices, owned_from).into_iter().collect();
        let remembered = remembered_of(tx, remembered, keys, now).await?;
        Ok(Self { account_states, has_unreadable, devices, remembered })
    }

    fn decide(
        &mut self,
        index: usize,
        request: &Acceptance,
        key: Option<&'k NamedKey<'_>>,
    ) -> Decision<'k> {
        let account = request.account_id;
        let (key_name, before) = key.map(|key| earlier(&self.remembered, key)).unzip();
        let key = request.idempotency.as_ref();
        if let (Some(key), Some(before)) = (key, before.flatten()) {
            let is_same = before.request_hash == key.request_hash;
            let is_unreadable = matches!(before.accepted, Before::Unreadable);
            return if is_same || is_unreadable {
                Decision::Repeat(before.accepted.clone())
            } else {
                Decision::Refused(Accepted::Mismatch)
            };
        }
        let owner = |device: &DeviceId| self.devices.get(device).map(|owned| owned.by);
        let is_owned = |new: &NewMessage| owner(&new.device_id) == Some(account);
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
        let key_name: Option<&'k str> = key_name.map(|(_, name)| &**name);
        if let (Some(key), Some(key_name)) = (key, key_name) {
            let device = request.messages.first().map(|new| new.device_id);
            let accepted = Before::InGroup(index);
            let remembered = Remembered { request_hash: key.request_hash, accepted, device };
            self.remembered.insert((account, key_name.into()), remembered);
        }
        Decision::New(period, charges, key_name)
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

/// Locks accounts, in order, and reads their states without their grants; also returns whether any cannot be
/// read.
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
    let account_states = account_states_from(tx, rows);
    let has_unreadable = account_states.len() < found;
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

/// Accounts as they are written back: what they have used of their plans, and what waits. They are under lock.
pub(super) fn account_rows<'s>(
    account_states: impl Iterator<Item = (&'s AccountId, &'s AccountState)>,
) -> Insertion<'static> {
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
    Insertion { into: &PUT, rows: account_states.map(row).collect() }
}

/// The devices that a group sends from.
fn devices_of(group: &[Acceptance]) -> Vec<String> {
    let messages = group.iter().flat_map(|request| &request.messages);
    let devices: BTreeSet<DeviceId> = messages.map(|new| new.device_id).collect();
    devices.into_iter().map(DeviceId::to_text).collect()
}

/// Finds what [`owned_from`] reads.
fn device_look_up(devices: &[String]) -> LookUp<'_> {
    const FIND: FindRows = FindRows {
        select: "SELECT id, account_id, (SELECT spelling FROM spellings
            WHERE spellings.device_id = devices.id LIMIT 1) FROM devices",
        key: &[("id", Type::Text)],
        then: "",
    };
    let keys = devices.iter().map(|device| vec![Param::from(device)]).collect();
    LookUp { find: &FIND, types: &[Type::Text, Type::Int, Type::Text], keys }
}

fn owned_from(row: &mut Row) -> SqlResult<(DeviceId, Owned)> {
    let device = row.parsed(|id| id.parse().ok())?;
    let (by, has_spellings) = (AccountId(row.int()?), row.opt_text()?.is_some());
    Ok((device, Owned { by, has_spellings }))
}
