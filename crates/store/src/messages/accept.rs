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
use domain::request_file::RequestFile;

use super::accept_request::{AcceptReply, AcceptRequest, AcceptedRequest, Terms};
use super::counts::CountRows;
use super::idempotency::{
    Before, KeyNames, KeyRows, Remembered, RememberedKeys, StoredNames, earlier, remembered_of,
    unreadable,
};
use super::identities::name_lids;
use super::{WaitingRows, list, spellings};
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

enum Decision {
    New(Terms),
    Repeat(Before),
    Refused(Accepted),
    /// What it depends on cannot be read.
    Fault,
}

/// The accounts of a group, under lock.
pub(crate) struct LockedAccounts {
    states: AccountStates,
    /// Whether an account is missing there because it cannot be read.
    has_unreadable: bool,
}

impl LockedAccounts {
    /// Whether an account is among them.
    pub(crate) fn has(&self, account: AccountId) -> bool {
        self.states.contains_key(&account)
    }
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

/// Locks the accounts of a group. Where other nodes accept for them, too, it waits for their commits.
pub(crate) async fn lock_accounts(
    tx: &mut Tx,
    group: &[Box<AcceptRequest>],
) -> SqlResult<LockedAccounts> {
    tx.draw_ids_ahead().await?;
    let accounts: BTreeSet<_> = group.iter().map(|request| request.account()).collect();
    lock_account_states(tx, &accounts).await
}

/// Accepts or refuses each request; the answers in the order of the requests. Locks their accounts, unless `locked` has
/// them. An accepted request keeps its messages until they are durable: [`AcceptRequest::answered`].
pub(crate) async fn accept_group(
    tx: &mut Tx,
    group: &mut [Box<AcceptRequest>],
    locked: Option<LockedAccounts>,
) -> SqlResult<Vec<SqlResult<AcceptReply>>> {
    let locked = match locked {
        Some(locked) => locked,
        None => lock_accounts(tx, group).await?,
    };
    let mut group_commit = GroupCommit::load(tx, group, locked).await?;
    let requests = group.iter().enumerate();
    let mut decisions: Vec<Decision> =
        requests.map(|(index, request)| group_commit.decide(index, request)).collect();
    let (mut account_states, devices) = group_commit.into_parts();
    let after = write(tx, group, &mut decisions, &mut account_states, &devices).await?;
    let mut answers = Vec::with_capacity(decisions.len());
    for (decision, after) in decisions.into_iter().zip(after) {
        let accepted = match decision {
            Decision::New(_) => Accepted::New(Vec::new()),
            Decision::Repeat(Before::InGroup(first)) => {
                Accepted::Repeated(group[first].messages().to_vec())
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
    Ok(answers)
}

/// Writes what was accepted; the newest message of the account before each request that was.
async fn write(
    tx: &mut Tx,
    group: &mut [Box<AcceptRequest>],
    decisions: &mut [Decision],
    account_states: &mut AccountStates,
    devices: &HashMap<DeviceId, Owned>,
) -> SqlResult<Vec<MessageId>> {
    let count = count_new(group, decisions);
    let newest = account_states.values().map(|state| state.last_id).max().unwrap_or(MessageId(0));
    let mut ids = tx.next_message_ids(count, newest).await?.map(MessageId);
    let mut before = vec![MessageId(0); group.len()];
    let mut made = Vec::with_capacity(group.len());
    for ((request, decision), before) in group.iter_mut().zip(decisions).zip(&mut before) {
        let Decision::New(terms) = decision else { continue };
        let terms = Terms { charges: std::mem::take(&mut terms.charges), ..*terms };
        let new = AcceptedRequest::of(request, terms, &mut ids);
        if let Some(state) = account_states.get_mut(&new.account())
            && let Some(last) = new.messages.last()
        {
            *before = std::mem::replace(&mut state.last_id, last.id);
        }
        made.push(new);
    }
    name_people(tx, &mut made, devices).await?;
    insert(tx, &made, account_states).await?;
    Ok(before)
}

/// Puts messages of people under the numbers that WhatsApp knows, where those are known.
async fn name_people(
    tx: &mut Tx,
    made: &mut [AcceptedRequest<'_>],
    devices: &HashMap<DeviceId, Owned>,
) -> SqlResult<()> {
    let messages = made.iter_mut().flat_map(|made| made.messages.iter_mut());
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
    made: &[AcceptedRequest<'_>],
    account_states: &AccountStates,
) -> SqlResult<()> {
    let waiting = WaitingRows::of_new(made.iter().flat_map(AcceptedRequest::rows));
    let files: Vec<_> = made.iter().flat_map(AcceptedRequest::files).collect();
    let keys = KeyRows::of(tx, made.iter().filter_map(AcceptedRequest::keyed))?;
    let [recent_keys, other_keys] = keys.insertions();
    let counts = CountRows::of_waiting(made.iter().flat_map(AcceptedRequest::devices));
    let changed: BTreeSet<_> = made.iter().map(AcceptedRequest::account).collect();
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
fn count_new(group: &[Box<AcceptRequest>], decisions: &[Decision]) -> usize {
    let is_new = |decision: &Decision| matches!(decision, Decision::New(_));
    let accepted = group.iter().zip(decisions).filter(|(_, decision)| is_new(decision));
    accepted.map(|(request, _)| request.messages().len()).sum()
}

/// The grants that messages were charged to, as they are now.
fn spent_grants<'s>(
    made: &[AcceptedRequest<'_>],
    account_states: &'s AccountStates,
) -> impl Iterator<Item = (AccountId, &'s Grant)> {
    let charged = made.iter().flat_map(|made| &made.charged);
    let spent: BTreeSet<GrantId> = charged.filter_map(|charged| charged.grant).collect();
    let granted = account_states.iter().flat_map(|(account, state)| {
        state.allowance.grants.iter().map(move |grant| (*account, grant))
    });
    granted.filter(move |(_, grant)| spent.contains(&grant.id))
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
        group: &'k [Box<AcceptRequest>],
        locked: LockedAccounts,
    ) -> SqlResult<Self> {
        let LockedAccounts { states: mut account_states, has_unreadable } = locked;
        let asked = || group.iter().map(|request| &request.asked);
        let names = || group.iter().filter_map(|request| request.names.as_ref());
        let now = asked().map(|asked| asked.now).min().unwrap_or_default();
        let (devices, stored) = (devices_of(asked()), StoredNames::of(tx, names()));
        let granted = account_states.iter().filter(|(_, state)| state.has_grants);
        let granted = grants::look_up(granted.map(|(account, _)| *account));
        let [named, recent] = stored.look_ups();
        let [devices, mut remembered, recent, granted] =
            tx.find_all([device_look_up(&devices), named, recent, granted]).await?;
        remembered.extend(recent);
        for (account, grant) in grants::of_accounts(tx, granted) {
            if let Some(state) = account_states.get_mut(&account) {
                state.allowance.grants.push(grant);
            }
        }
        let devices = tx.readable("devices", devices, owned_from).into_iter().collect();
        let has_token = names().any(KeyNames::is_of_token);
        let remembered = remembered_of(tx, remembered, has_token, now).await?;
        Ok(Self { account_states, has_unreadable, devices, remembered })
    }

    fn into_parts(self) -> (AccountStates, HashMap<DeviceId, Owned>) {
        (self.account_states, self.devices)
    }

    fn decide(&mut self, index: usize, request: &'k AcceptRequest) -> Decision {
        let AcceptRequest { asked: request, names, .. } = request;
        let account = request.account_id;
        let before = names.as_ref().map(|names| earlier(&self.remembered, names));
        let (is_own_name, before) = before.unwrap_or_default();
        let key = request.idempotency.as_ref();
        if let (Some(key), Some(before)) = (key, before) {
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
        if let (Some(key), Some(names)) = (key, names) {
            let device = request.messages.first().map(|new| new.device_id);
            let accepted = Before::InGroup(index);
            let remembered = Remembered { request_hash: key.request_hash, accepted, device };
            let name = names.name(is_own_name).as_str().into();
            self.remembered.insert((account, name), remembered);
        }
        Decision::New(Terms { charges, period, is_own_name })
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

/// Locks accounts, in order, and reads their states without their grants.
async fn lock_account_states(
    tx: &mut Tx,
    accounts: &BTreeSet<AccountId>,
) -> SqlResult<LockedAccounts> {
    const FIND: FindRows = FindRows {
        select: concat!("SELECT ", usage_columns!(), " FROM usage"),
        key: &[("account_id", Type::Int)],
        then: "ORDER BY account_id FOR UPDATE",
    };
    let keys: Vec<_> = accounts.iter().map(|account| vec![Param::from(account.0)]).collect();
    let rows = tx.find(&FIND, &keys).await?;
    let found = rows.len();
    let states = account_states_from(tx, rows);
    let has_unreadable = states.len() < found;
    Ok(LockedAccounts { states, has_unreadable })
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
fn devices_of<'r>(requests: impl Iterator<Item = &'r Acceptance>) -> Vec<String> {
    let messages = requests.flat_map(|request| &request.messages);
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
