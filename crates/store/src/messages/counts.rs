//! How many messages each device has, by direction and state: kept with the rows, so that the total
//! of a list costs the same however long the list is.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::ids::{AccountId, DeviceId};
use domain::message::{Direction, Message, MessageState};
use domain::ports::{HourUsage, MessageBatch, MessageCounts};
use jiff::Timestamp;

use crate::sql::{InsertRows, Insertion, Param, Row, SqlError, SqlResult, Tx, Type, params};

/// The state under which all rows of the outbox are counted: which of them are due changes by itself.
const WAITING: &str = "waiting";
const HOUR_S: i64 = 3_600;

type Key = (AccountId, DeviceId, Cow<'static, str>, Cow<'static, str>);

/// The same of an hour, which counts from 1970.
type HourKey = (AccountId, i64, DeviceId, &'static str, &'static str);

/// What a transaction changes of the counts. Written once, in order, so that no two transactions
/// wait for each other.
#[derive(Default)]
pub(crate) struct CountChanges {
    all: BTreeMap<Key, i64>,
    hours: BTreeMap<HourKey, i64>,
}

impl CountChanges {
    /// A message comes (1), or goes as what it is now (-1).
    pub(crate) fn add(&mut self, message: &Message, change: i64) {
        let Message { account_id, device_id, state, .. } = *message;
        let direction = message.direction().as_str();
        let name = if state.is_waiting() { WAITING } else { state.as_str() };
        let key = (account_id, device_id, direction.into(), name.into());
        *self.all.entry(key).or_default() += change;
        if !state.is_waiting() {
            let key = (account_id, hour_of(message.created_at), device_id, direction, name);
            *self.hours.entry(key).or_default() += change;
        }
    }

    /// Waiting messages of a device come or go.
    pub(crate) fn add_waiting(&mut self, account: AccountId, device: DeviceId, change: i64) {
        let key = (account, device, Direction::Out.as_str().into(), WAITING.into());
        *self.all.entry(key).or_default() += change;
    }

    /// A row of the history has been erased: `account_id, device_id, direction, state`. Its hour keeps its
    /// count.
    pub(crate) fn erased(&mut self, row: &mut Row) -> SqlResult<()> {
        let account = AccountId(row.int()?);
        let device = row.parsed(|text| text.parse::<DeviceId>().ok())?;
        let key = (account, device, row.text()?.into(), row.text()?.into());
        *self.all.entry(key).or_default() -= 1;
        Ok(())
    }

    /// Writes the changes.
    pub(crate) async fn write(self, tx: &mut Tx) -> SqlResult<()> {
        write_hours(tx, self.hours).await?;
        let counts = CountRows::of(self.all);
        tx.insert_all(vec![counts.insertion()]).await
    }
}

/// Changes of counts as they are written.
pub(super) struct CountRows(Vec<(String, Key, i64)>);

impl CountRows {
    /// A message comes to each of these devices, and waits; messages that wait are not counted by hours.
    pub(super) fn of_waiting(messages: impl Iterator<Item = (AccountId, DeviceId)>) -> Self {
        let mut changes = CountChanges::default();
        messages.for_each(|(account, device)| changes.add_waiting(account, device, 1));
        Self::of(changes.all)
    }

    fn of(changes: BTreeMap<Key, i64>) -> Self {
        let changes = changes.into_iter().filter(|(_, change)| *change != 0);
        Self(changes.map(|(key, change)| (key.1.to_string(), key, change)).collect())
    }

    pub(super) fn insertion(&self) -> Insertion<'_> {
        const PUT: InsertRows = InsertRows {
            table: "message_counts",
            columns: &[
                ("account_id", Type::Int),
                ("device_id", Type::Text),
                ("direction", Type::Text),
                ("state", Type::Text),
                ("count", Type::Int),
            ],
            then: "ON CONFLICT (account_id, device_id, direction, state)
                DO UPDATE SET count = message_counts.count + excluded.count",
        };
        let mut rows: Vec<Vec<Param<'_>>> = Vec::with_capacity(self.0.len());
        for (device, (account, _, direction, state), change) in &self.0 {
            let (direction, state) = (direction.as_ref().into(), state.as_ref().into());
            rows.push(vec![account.0.into(), device.into(), direction, state, (*change).into()]);
        }
        Insertion { into: &PUT, rows }
    }
}

/// The hour of a time, counted from 1970.
fn hour_of(at: Timestamp) -> i64 {
    at.as_second().div_euclid(HOUR_S)
}

async fn write_hours(tx: &mut Tx, changes: BTreeMap<HourKey, i64>) -> SqlResult<()> {
    const PUT: InsertRows = InsertRows {
        table: "message_hours",
        columns: &[
            ("account_id", Type::Int),
            ("hour", Type::Int),
            ("device_id", Type::Text),
            ("direction", Type::Text),
            ("state", Type::Text),
            ("count", Type::Int),
        ],
        then: "ON CONFLICT (account_id, hour, device_id, direction, state)
            DO UPDATE SET count = message_hours.count + excluded.count",
    };
    let changes = changes.into_iter().filter(|(_, change)| *change != 0);
    let changes: Vec<(String, HourKey, i64)> =
        changes.map(|(key, change)| (key.2.to_string(), key, change)).collect();
    let mut rows: Vec<Vec<Param<'_>>> = Vec::with_capacity(changes.len());
    for (device, (account, hour, _, direction, state), change) in &changes {
        let (direction, state) = ((*direction).into(), (*state).into());
        let (hour, change) = ((*hour).into(), (*change).into());
        rows.push(vec![account.0.into(), hour, device.into(), direction, state, change]);
    }
    tx.insert(&PUT, &rows).await.map(drop)
}

/// The counts of hours; an empty `device` stands for all.
pub(crate) async fn usage_by_hour(
    tx: &mut Tx,
    account: AccountId,
    device: String,
    since: Timestamp,
) -> SqlResult<Vec<HourUsage>> {
    macro_rules! select_hours {
        ($device:literal) => {
            concat!(
                "SELECT hour, device_id, direction, state, count FROM message_hours
                WHERE account_id = $1 AND hour >= $2 AND count <> 0",
                $device,
                " ORDER BY hour, device_id, direction, state"
            )
        };
    }
    const ALL: &str = select_hours!("");
    const ONE: &str = select_hours!(" AND device_id = $3");
    let since = hour_of(since);
    let rows = match &*device {
        "" => tx.query(ALL, params![account.0, since]).await?,
        device => tx.query(ONE, params![account.0, since, device]).await?,
    };
    Ok(tx.readable("message_hours", rows, |row| {
        let hour = Timestamp::from_second(row.int()?.saturating_mul(HOUR_S));
        Ok(HourUsage {
            hour: hour.map_err(|_| SqlError::Fault("an hour is out of range".into()))?,
            device_id: row.parsed(|text| text.parse().ok())?,
            direction: row.parsed(Direction::from_name)?,
            state: row.parsed(MessageState::from_name)?,
            count: row.int()?,
        })
    }))
}

/// Deletes the counts of hours before that of `before`.
pub(crate) async fn clean_up_hours(tx: &mut Tx, before: Timestamp) -> SqlResult<u64> {
    const DELETE: &str = "DELETE FROM message_hours WHERE hour < $1";
    tx.execute(DELETE, params![hour_of(before)]).await
}

/// The counts of an account, or of one of its devices.
pub(crate) struct Counts(Vec<Count>);

struct Count {
    direction: String,
    state: String,
    count: i64,
}

impl Counts {
    /// Reads them; an empty `device` stands for all.
    pub(crate) async fn of(tx: &mut Tx, account: AccountId, device: &str) -> SqlResult<Self> {
        const SELECT: &str = "SELECT device_id, direction, state, count FROM message_counts
            WHERE account_id = $1 AND ($2 = '' OR device_id = $2)";
        let rows = tx.query(SELECT, params![account.0, device]).await?;
        let count = |row: &mut Row| {
            row.text()?;
            Ok(Count { direction: row.text()?, state: row.text()?, count: row.int()? })
        };
        Ok(Self(tx.readable("message_counts", rows, count)))
    }

    /// Those that wait.
    pub(crate) fn waiting(&self) -> i64 {
        self.sum(|count| count.state == WAITING)
    }

    /// Those in the history, in one direction (empty for both) and in some states (empty for all).
    pub(crate) fn history(&self, direction: &str, states: &[MessageState]) -> i64 {
        self.sum(|count| {
            let is_wanted = |state: &MessageState| state.as_str() == count.state;
            count.state != WAITING
                && (direction.is_empty() || direction == count.direction)
                && (states.is_empty() || states.iter().any(is_wanted))
        })
    }

    fn sum(&self, is_wanted: impl Fn(&Count) -> bool) -> i64 {
        self.0.iter().filter(|count| is_wanted(count)).map(|count| count.count).sum()
    }
}

/// Erases the counts of an account.
pub(crate) async fn erase(tx: &mut Tx, account: AccountId) -> SqlResult<()> {
    const DELETE: [&str; 2] = [
        "DELETE FROM message_counts WHERE account_id = $1",
        "DELETE FROM message_hours WHERE account_id = $1",
    ];
    for part in DELETE {
        tx.execute(part, params![account.0]).await?;
    }
    Ok(())
}

pub(crate) async fn count_batch(
    tx: &mut Tx,
    account: AccountId,
    batch: MessageBatch,
    now: Timestamp,
) -> SqlResult<Vec<(MessageState, i64)>> {
    // One statement, so that a message that moves meanwhile is counted once.
    const COUNT: &str = "SELECT state, count(*) FROM (
            SELECT CASE WHEN state = 'scheduled' AND due_at <= $6 THEN 'queued' ELSE state END AS state
            FROM outbox WHERE account_id = $1 AND device_id = $2 AND id >= $3 AND id <= $4
              AND created_at = $5
            UNION ALL
            SELECT state FROM messages WHERE +account_id = $1 AND device_id = $2 AND id >= $3
              AND id <= $4 AND created_at = $5 AND direction = 'out'
        ) AS batch GROUP BY state";
    let MessageBatch { device, first, last, created_at } = batch;
    let device = device.to_string();
    let values = params![account.0, &device, first.0, last.0, created_at, now];
    let rows = tx.query(COUNT, values).await?;
    let count = |mut row: Row| Ok((row.parsed(MessageState::from_name)?, row.int()?));
    rows.into_iter().map(count).collect()
}

pub(crate) async fn message_counts(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
) -> SqlResult<MessageCounts> {
    use MessageState::{Cancelled, Delivered, Expired, Failed, Played, Read, Sent};
    let counts = Counts::of(tx, account, &device.to_string()).await?;
    let out = Direction::Out.as_str();
    Ok(MessageCounts {
        sent: counts.history(out, &[Sent, Delivered, Read, Played]),
        failed: counts.history(out, &[Failed, Expired, Cancelled]),
    })
}
