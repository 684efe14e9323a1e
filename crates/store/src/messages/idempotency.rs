//! Idempotency keys: what they stand for, and the names under which they are stored.
//!
//! A key belongs to its account, whose keys see it with whichever device it was used. A device's token
//! sees its own device only: where the key stands for a request of another device, the token's
//! has a second name, so that it neither fails nor learns of the other request.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::Message;
use domain::ports::{Accepted, IDEMPOTENCY_HOURS, IdempotencyKey};
use jiff::{SignedDuration, Timestamp};

use super::{ids_json, list};
use crate::recent_keys::NameHash;
use crate::sql::{
    FindRows, InsertRows, Insertion, LookUp, Param, Row, SqlError, SqlResult, Tx, Type, params,
};
use crate::stored;

/// An earlier request, as its idempotency key remembers it.
#[derive(Debug, Clone)]
pub(super) struct Remembered {
    pub(super) request_hash: [u8; 32],
    pub(super) accepted: Before,
    /// The device of its first message, where a token asks.
    pub(super) device: Option<DeviceId>,
}

/// What it led to.
#[derive(Debug, Clone)]
pub(super) enum Before {
    /// In an earlier transaction.
    Stored(Vec<MessageId>),
    /// By an earlier request of this group, by its index.
    InGroup(usize),
    /// In an earlier transaction, but what is stored of it cannot be read.
    Unreadable,
}

impl Remembered {
    /// Its first message, when it was accepted in an earlier transaction.
    pub(super) fn first_message(&self) -> Option<MessageId> {
        match &self.accepted {
            Before::Stored(ids) => ids.first().copied(),
            Before::InGroup(_) | Before::Unreadable => None,
        }
    }
}

/// A request that was accepted with a key.
pub(super) struct KeyedRequest<'a> {
    pub(super) account: AccountId,
    /// The name its key is stored under.
    pub(super) name: &'a KeyName,
    pub(super) key: &'a IdempotencyKey,
    pub(super) messages: &'a [Message],
    pub(super) now: Timestamp,
}

/// An account and the name that one of its keys is stored under.
type StoredName<'k> = (AccountId, Cow<'k, str>);

/// Earlier requests, by the names of their keys.
pub(super) type RememberedKeys<'k> = HashMap<StoredName<'k>, Remembered>;

/// A name of a key.
pub(super) struct KeyName {
    stored: StoredName<'static>,
    hash: NameHash,
}

impl KeyName {
    fn of(account: AccountId, name: String) -> Self {
        Self { hash: NameHash::of(account, &name), stored: (account, name.into()) }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.stored.1
    }
}

/// The names of a key. No route holds a line feed.
pub(super) struct KeyNames {
    token_of: Option<DeviceId>,
    shared: KeyName,
    /// The second one, where a token asks.
    own: Option<KeyName>,
}

impl KeyNames {
    pub(super) fn of(account: AccountId, key: &IdempotencyKey) -> Self {
        let shared = [&key.route, "\n", &key.key].concat();
        let own = key.token_of.map(|device| format!("{} of {device}\n{}", key.route, key.key));
        let name = |name: String| KeyName::of(account, name);
        Self { token_of: key.token_of, shared: name(shared), own: own.map(name) }
    }

    /// Whether a token asks.
    pub(super) fn is_of_token(&self) -> bool {
        self.token_of.is_some()
    }

    fn all(&self) -> impl Iterator<Item = &KeyName> {
        std::iter::once(&self.shared).chain(&self.own)
    }

    /// One of them, as [`earlier`] says which.
    pub(super) fn name(&self, is_own: bool) -> &KeyName {
        self.own.as_ref().filter(|_| is_own).unwrap_or(&self.shared)
    }
}

/// Whether the second name holds for this caller, and the earlier request under the one that does.
pub(super) fn earlier<'r>(
    remembered: &'r RememberedKeys<'_>,
    KeyNames { token_of, shared, own }: &KeyNames,
) -> (bool, Option<&'r Remembered>) {
    let of_account = remembered.get(&shared.stored);
    let Some(own) = own else { return (false, of_account) };
    match (of_account, remembered.get(&own.stored)) {
        (Some(before), _) if !is_of_another(before, *token_of) => (false, Some(before)),
        (None, None) => (false, None),
        (_, of_device) => (true, of_device),
    }
}

/// Whether it is known to be a request of another device.
fn is_of_another(before: &Remembered, device: Option<DeviceId>) -> bool {
    before.device.is_some() && before.device != device
}

/// Finds out whose requests they were.
async fn load_devices_of(tx: &mut Tx, remembered: &mut RememberedKeys<'_>) -> SqlResult<()> {
    const SELECT: &str = "SELECT id, device_id FROM outbox
        WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
        UNION ALL SELECT id, device_id FROM messages
        WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    let ids: BTreeSet<i64> =
        remembered.values().filter_map(Remembered::first_message).map(|id| id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let device = |row: &mut Row| Ok((MessageId(row.int()?), row.parsed(|id| id.parse().ok())?));
    let rows = tx.query(SELECT, params![&ids_json(ids.into_iter())?]).await?;
    let devices: HashMap<MessageId, DeviceId> =
        tx.readable("messages", rows, device).into_iter().collect();
    for before in remembered.values_mut() {
        before.device = before.first_message().and_then(|id| devices.get(&id).copied());
    }
    Ok(())
}

/// The result of an earlier request with this key, if there was one.
pub(crate) async fn repeated(
    tx: &mut Tx,
    account: AccountId,
    key: IdempotencyKey,
    now: Timestamp,
) -> SqlResult<Option<Accepted>> {
    let names = KeyNames::of(account, &key);
    let stored = StoredNames::of(tx, [&names].into_iter());
    let found = tx.find_all(stored.look_ups()).await?.into_iter().flatten().collect();
    let remembered = remembered_of(tx, found, names.is_of_token(), now).await?;
    let Some(before) = earlier(&remembered, &names).1 else { return Ok(None) };
    Ok(Some(match &before.accepted {
        Before::Stored(ids) if before.request_hash == key.request_hash => {
            Accepted::Repeated(list::repeated(tx, ids).await?.ok_or_else(unreadable)?)
        }
        Before::Unreadable => return Err(unreadable()),
        Before::Stored(_) | Before::InGroup(_) => Accepted::Mismatch,
    }))
}

/// Where keys may be stored.
pub(super) struct StoredNames<'k> {
    names: BTreeSet<(AccountId, &'k str)>,
    /// The rows of the keys in `recent_keys`.
    recent: BTreeSet<MessageId>,
}

impl<'k> StoredNames<'k> {
    pub(super) fn of(tx: &mut Tx, keys: impl Iterator<Item = &'k KeyNames>) -> Self {
        let (mut names, mut recent) = (BTreeSet::new(), BTreeSet::new());
        let index = tx.recent_keys();
        let may_have_others = index.as_ref().is_none_or(|index| index.may_have_others());
        for name in keys.flat_map(KeyNames::all) {
            if may_have_others {
                names.insert((name.stored.0, name.as_str()));
            }
            recent.extend(index.as_ref().and_then(|index| index.row(name.hash)));
        }
        Self { names, recent }
    }

    /// Find what [`remembered_of`] reads.
    pub(super) fn look_ups(&self) -> [LookUp<'_>; 2] {
        const FIND: FindRows = FindRows {
            select: "SELECT account_id, name, created_at, request_hash, message_ids FROM idempotency",
            key: &[("account_id", Type::Int), ("name", Type::Text)],
            then: "",
        };
        const FIND_RECENT: FindRows = FindRows {
            select: "SELECT account_id, name, created_at, request_hash, message_ids FROM recent_keys",
            key: &[("id", Type::Int)],
            then: "",
        };
        const TYPES: &[Type] = &[Type::Int, Type::Text, Type::Int, Type::Blob, Type::Text];
        let names = self.names.iter().map(|(account, name)| vec![account.0.into(), (*name).into()]);
        let recent = self.recent.iter().map(|row| vec![row.0.into()]);
        [
            LookUp { find: &FIND, types: TYPES, keys: names.collect() },
            LookUp { find: &FIND_RECENT, types: TYPES, keys: recent.collect() },
        ]
    }
}

/// The earlier requests of keys, from what was found under their names; with their devices, where a token asks.
pub(super) async fn remembered_of<'k>(
    tx: &mut Tx,
    found: Vec<Row>,
    has_token: bool,
    now: Timestamp,
) -> SqlResult<RememberedKeys<'k>> {
    let mut found = tx.readable_owned("idempotency", found, remembered_from);
    // Of a key that was used again after a day both tables may hold a row. For a request that has waited since before,
    // and after the clock was set back, both of them hold: the newer one counts.
    found.sort_by_key(|(_, created_at, _)| *created_at);
    let forgotten = forgotten_before(now);
    let found = found.into_iter().filter(|(_, created_at, _)| *created_at > forgotten);
    let mut remembered: RememberedKeys<'k> =
        found.map(|(key, _, remembered)| (key, remembered)).collect();
    if has_token {
        load_devices_of(tx, &mut remembered).await?;
    }
    Ok(remembered)
}

/// A key of which no more can be read is remembered, so that nothing is sent twice.
fn remembered_from(row: &mut Row) -> SqlResult<(StoredName<'static>, Timestamp, Remembered)> {
    let key = (AccountId(row.int()?), row.text()?.into());
    let created_at = row.time()?;
    let remembered = request_from(row).unwrap_or_else(|_| {
        row.note("what an idempotency key stands for cannot be read");
        Remembered { request_hash: [0; 32], accepted: Before::Unreadable, device: None }
    });
    Ok((key, created_at, remembered))
}

fn request_from(row: &mut Row) -> SqlResult<Remembered> {
    let mut request_hash = [0; 32];
    for (to, from) in request_hash.iter_mut().zip(row.blob()?) {
        *to = from;
    }
    let accepted = Before::Stored(row.json(stored::ids::read)?);
    Ok(Remembered { request_hash, accepted, device: None })
}

/// Keys as old as this count as absent.
pub(crate) fn forgotten_before(now: Timestamp) -> Timestamp {
    now.saturating_sub(SignedDuration::from_hours(IDEMPOTENCY_HOURS)).unwrap_or(Timestamp::MIN)
}

/// A key with the ids of its messages, as they are written.
type KeyRow<'a> = (KeyedRequest<'a>, String);

/// What keys stand for from now on.
#[derive(Default)]
pub(super) struct KeyRows<'a> {
    recent: Vec<KeyRow<'a>>,
    others: Vec<KeyRow<'a>>,
}

impl<'a> KeyRows<'a> {
    pub(super) fn of(
        tx: &mut Tx,
        requests: impl Iterator<Item = KeyedRequest<'a>>,
    ) -> SqlResult<Self> {
        let mut rows = Self::default();
        for request in requests {
            let KeyedRequest { name, messages, .. } = request;
            let ids = stored::ids::write(messages.iter().map(|message| message.id))?;
            let is_recent = match (tx.recent_keys(), messages.first()) {
                (Some(recent), Some(first)) => recent.takes(name.hash, first.id),
                _ => false,
            };
            let rows = if is_recent { &mut rows.recent } else { &mut rows.others };
            rows.push((request, ids));
        }
        Ok(rows)
    }

    /// One of the others that is too old but not cleaned up yet is replaced.
    pub(super) fn insertions(&self) -> [Insertion<'_>; 2] {
        const PUT: InsertRows = InsertRows {
            table: "idempotency",
            columns: &[
                ("account_id", Type::Int),
                ("name", Type::Text),
                ("request_hash", Type::Blob),
                ("message_ids", Type::Text),
                ("created_at", Type::Int),
            ],
            then: "ON CONFLICT (account_id, name) DO UPDATE SET
                request_hash = excluded.request_hash, message_ids = excluded.message_ids,
                created_at = excluded.created_at",
        };
        const ADD: InsertRows = InsertRows {
            table: "recent_keys",
            columns: &[
                ("account_id", Type::Int),
                ("name", Type::Text),
                ("request_hash", Type::Blob),
                ("message_ids", Type::Text),
                ("created_at", Type::Int),
                ("id", Type::Int),
            ],
            then: "",
        };
        let others = self.others.iter().map(key_params).collect();
        let mut recent: Vec<_> = self.recent.iter().map(key_params).collect();
        for (row, (request, _)) in recent.iter_mut().zip(&self.recent) {
            row.extend(request.messages.first().map(|message| Param::from(message.id.0)));
        }
        [Insertion { into: &ADD, rows: recent }, Insertion { into: &PUT, rows: others }]
    }
}

fn key_params<'r>((request, ids): &'r KeyRow<'_>) -> Vec<Param<'r>> {
    let KeyedRequest { account, name, key, now, .. } = request;
    // With room for the row of a recent one.
    let mut params = Vec::with_capacity(6);
    params.extend([
        Param::from(account.0),
        Param::from(name.as_str()),
        Param::from(key.request_hash.as_slice()),
        Param::from(ids),
        Param::from(*now),
    ]);
    params
}

/// What answers a request that depends on them.
pub(super) fn unreadable() -> SqlError {
    SqlError::Unreadable("the account or an earlier request of it cannot be read".into())
}
