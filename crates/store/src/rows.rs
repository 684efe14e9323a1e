//! Reading rows so that one which cannot be read affects no other.
//!
//! Such a row is reported once, counted, and skipped; a read of that row alone fails. It may be
//! damaged, or written by a later release.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Display;
use std::hash::{BuildHasher as _, RandomState};

use domain::ports::{PAGE_BYTES_MAX, PageRequest};
use parking_lot::Mutex;

use crate::sql::{Gathered, Param, Row, SqlError, SqlResult, Tx};

/// Rows remembered as reported; when there are more, all are dropped and reported again.
const REPORTED_ROWS_MAX: usize = 10_000;
/// Rows read at a time once some of a page had to be skipped.
const REFILL_ROWS: i64 = 500;

/// The tables whose rows can be reported.
pub const REPORTED_TABLES: [&str; 20] = [
    "accounts",
    "audit",
    "chats",
    "contacts",
    "deliveries",
    "devices",
    "grants",
    "idempotency",
    "incoming_files",
    "keys",
    "message_hours",
    "messages",
    "outbox",
    "people_known",
    "plans",
    "portal_links",
    "second_factors",
    "usage",
    "users",
    "webhooks",
];

/// What names a row in a report; it never shows what a customer wrote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum RowId {
    Int(i64),
    Text(String),
    /// An owner, and a hash of what identifies the row among its own: such as a chat, which must not
    /// be logged.
    Owned(String, u64),
    /// The column itself cannot be read.
    Unknown,
}

impl Display for RowId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Int(id) => id.fmt(f),
            Self::Text(id) => id.fmt(f),
            Self::Owned(owner, hash) => write!(f, "{owner}/{hash:016x}"),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// The rows that could not be read, in whole or in part.
#[derive(Default)]
pub(crate) struct UnreadableRows {
    reported: Mutex<Reported>,
    /// New at each start: the hashes in a log do not reveal short values such as numbers.
    hasher: RandomState,
}

#[derive(Default)]
struct Reported {
    counts: BTreeMap<&'static str, u64>,
    rows: HashSet<(&'static str, RowId)>,
}

impl UnreadableRows {
    /// Reports a row that cannot be read.
    fn report(&self, table: &'static str, id: &RowId, problem: &dyn Display) {
        if self.is_first(table, id) {
            tracing::error!(table, %id, %problem, "a stored row cannot be read");
        }
    }

    /// Reports a row of which a part is left out.
    fn report_part(&self, table: &'static str, id: &RowId, problem: &str) {
        if self.is_first(table, id) {
            tracing::warn!(table, %id, problem, "a part of a stored row is left out");
        }
    }

    /// Counts a row, unless it was reported before: lists and senders read it again and again.
    fn is_first(&self, table: &'static str, id: &RowId) -> bool {
        debug_assert!(REPORTED_TABLES.contains(&table), "{table} is not among the reported tables");
        let mut reported = self.reported.lock();
        if reported.rows.len() >= REPORTED_ROWS_MAX {
            reported.rows.clear();
        }
        let is_first = reported.rows.insert((table, id.clone()));
        *reported.counts.entry(table).or_default() += u64::from(is_first);
        is_first
    }

    /// Names a row of an owner by more than its first column, which others of its table share.
    fn owned(&self, owner: RowId, identity: &RowId) -> RowId {
        RowId::Owned(owner.to_string(), self.hasher.hash_one(identity))
    }

    /// The numbers of the reported rows of a table.
    pub(crate) fn numbers(&self, table: &'static str) -> Vec<i64> {
        let reported = self.reported.lock();
        let number = |(of, id): &(&'static str, RowId)| match id {
            RowId::Int(number) if *of == table => Some(*number),
            _ => None,
        };
        reported.rows.iter().filter_map(number).collect()
    }

    /// How many rows were reported, by table.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.reported.lock().counts.clone()
    }
}

/// Rows of a list.
pub(crate) struct Filled<T> {
    pub(crate) items: Vec<T>,
    /// Whether there are more that were asked for, but have too many bytes.
    pub(crate) is_cut: bool,
}

/// How a row is read.
pub(crate) type Read<T> = fn(&mut Row) -> SqlResult<T>;

impl Tx {
    /// Reads rows, each named by its first column; those that cannot be read are skipped.
    pub(crate) fn readable<T>(
        &self,
        table: &'static str,
        rows: Vec<Row>,
        mut read: impl FnMut(&mut Row) -> SqlResult<T>,
    ) -> Vec<T> {
        let attempt = |row: Row| self.attempt(table, row.id(), row, &mut read).ok();
        rows.into_iter().filter_map(attempt).collect()
    }

    /// The same for rows of which only the first two columns together name one.
    pub(crate) fn readable_owned<T>(
        &self,
        table: &'static str,
        rows: Vec<Row>,
        mut read: impl FnMut(&mut Row) -> SqlResult<T>,
    ) -> Vec<T> {
        let attempt = |row: Row| {
            let id = self.unreadable.owned(row.id(), &row.id_in(1));
            self.attempt(table, id, row, &mut read).ok()
        };
        rows.into_iter().filter_map(attempt).collect()
    }

    /// Reads a row that is asked for alone.
    ///
    /// # Errors
    /// [`SqlError::Unreadable`]: the caller must not have changed anything yet, since this fails
    /// the operation, but not the others of its transaction.
    pub(crate) fn single<T>(
        &self,
        table: &'static str,
        row: Option<Row>,
        read: impl FnMut(&mut Row) -> SqlResult<T>,
    ) -> SqlResult<Option<T>> {
        row.map(|row| self.attempt(table, row.id(), row, read)).transpose()
    }

    fn attempt<T>(
        &self,
        table: &'static str,
        id: RowId,
        mut row: Row,
        mut read: impl FnMut(&mut Row) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let outcome = read(&mut row);
        for note in row.notes() {
            self.unreadable.report_part(table, &id, note);
        }
        outcome.map_err(|error| {
            self.unreadable.report(table, &id, &error);
            SqlError::Unreadable(format!("a row of {table} cannot be read"))
        })
    }

    /// Up to `limit` readable rows beyond the number `start`, within [`PAGE_BYTES_MAX`]; more rows
    /// are read to replace those that are skipped. `params` makes the parameters from a number and a limit; rows begin with
    /// their number.
    pub(crate) async fn fill<'p, T>(
        &mut self,
        table: &'static str,
        sql: &'static str,
        (start, limit): (i64, i64),
        params: impl Fn(i64, i64) -> Vec<Param<'p>>,
        read: Read<T>,
    ) -> SqlResult<Filled<T>> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut last, mut asked) = (start, limit);
        let (mut items, mut bytes_left) = (Vec::new(), PAGE_BYTES_MAX);
        loop {
            let Gathered { rows, is_cut, .. } =
                self.query_within(sql, &params(last, asked), bytes_left).await?;
            let is_end = !is_cut && i64::try_from(rows.len()).unwrap_or(i64::MAX) < asked;
            bytes_left = bytes_left.saturating_sub(rows.iter().map(Row::bytes).sum());
            let number = rows.last().map(Row::id);
            items.append(&mut self.readable(table, rows, read));
            if is_cut && !items.is_empty() {
                return Ok(Filled { items, is_cut });
            }
            match number {
                Some(RowId::Int(number)) if !is_end && items.len() < wanted => last = number,
                _ => break,
            }
            asked = REFILL_ROWS;
        }
        items.truncate(wanted);
        Ok(Filled { items, is_cut: false })
    }
}

/// The bounds of a page for [`Tx::fill`]: numbers below the first, and one row more than the page
/// holds, which says whether there are more.
pub(crate) fn bounds(page: PageRequest) -> (i64, i64) {
    (page.before.unwrap_or(i64::MAX), i64::from(page.limit) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_reported_once() {
        let rows = UnreadableRows::default();
        for id in [1, 2, 1] {
            rows.report("messages", &RowId::Int(id), &"damaged");
        }
        rows.report("devices", &RowId::Text("a".into()), &"damaged");
        assert_eq!(rows.counts(), BTreeMap::from([("devices", 1), ("messages", 2)]));
    }

    #[test]
    fn an_owned_row_is_named_by_a_hash_of_its_identity() {
        let rows = UnreadableRows::default();
        let [first, second] = ["6281", "6282"].map(|name| RowId::Text(name.into()));
        let ids = [&first, &second].map(|name| rows.owned(RowId::Int(7), name));
        assert_ne!(ids[0], ids[1]);
        assert_eq!(ids[0], rows.owned(RowId::Int(7), &first));
        assert!(ids[0].to_string().starts_with("7/") && !ids[0].to_string().contains("6281"));
    }
}
