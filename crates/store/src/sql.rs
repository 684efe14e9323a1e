//! The thin layer every statement goes through: parameters, rows, and [`Tx`].
//!
//! One SQL text serves both databases. It is written for PostgreSQL, with these rules:
//! - integers are `BIGINT`, texts `TEXT`, bytes `BYTEA`; times are milliseconds since 1970;
//! - several values go in as one JSON array and come out of `json_rows($n)`, one `value` a row,
//!   to be cast where it is no text;
//! - a parameter that only meets `NULL` or other parameters is cast, so that its type is known.
//!
//! What SQLite spells differently is translated in one place (`sqlite::link`).

mod many;

use std::ops::Range;
use std::sync::Arc;

use domain::error::StoreError;
use domain::ids::MessageId;
use domain::leases::Leases;
use jiff::Timestamp;

use crate::postgres::PostgresLink;
use crate::rows::{RowId, UnreadableRows};
use crate::sqlite::SqliteLink;

pub(crate) use many::{FindRows, InsertRows, Insertion, LookUp, Type};

/// Why a statement failed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum SqlError {
    /// A unique value exists already.
    #[error("a unique value exists already: {0}")]
    Unique(String),
    /// The database cannot be reached or written to.
    #[error("{0}")]
    Unavailable(String),
    /// A statement is wrong, or a row is invalid.
    #[error("{0}")]
    Fault(String),
    /// The one row that was asked for cannot be read. Nothing was changed: what shares the
    /// transaction goes on.
    #[error("{0}")]
    Unreadable(String),
    /// Another node owns a device that is to be written.
    #[error("another node runs the device")]
    NotOwner,
}

/// What everything below the ports returns.
pub(crate) type SqlResult<T> = Result<T, SqlError>;

impl From<SqlError> for StoreError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(text) => {
                Self::Unavailable(format!("database unavailable: {text}"))
            }
            SqlError::NotOwner => Self::NotOwner,
            SqlError::Unique(_) | SqlError::Fault(_) | SqlError::Unreadable(_) => {
                Self::Fault(error.to_string())
            }
        }
    }
}

/// One parameter; a missing one still has a type, which PostgreSQL wants to know.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Param<'a> {
    Int(Option<i64>),
    Text(Option<&'a str>),
    Blob(Option<&'a [u8]>),
}

macro_rules! param_from {
    ($($from:ty, $value:ident => $param:expr;)*) => {
        $(impl<'a> From<$from> for Param<'a> {
            fn from($value: $from) -> Self {
                $param
            }
        })*
    };
}

param_from! {
    i64, value => Self::Int(Some(value));
    Option<i64>, value => Self::Int(value);
    bool, value => Self::Int(Some(i64::from(value)));
    &'a str, value => Self::Text(Some(value));
    &'a String, value => Self::Text(Some(value));
    Option<&'a str>, value => Self::Text(value);
    &'a Option<String>, value => Self::Text(value.as_deref());
    &'a [u8], value => Self::Blob(Some(value));
    Option<&'a [u8]>, value => Self::Blob(value);
    &'a Vec<u8>, value => Self::Blob(Some(value));
    Timestamp, value => Self::Int(Some(value.as_millisecond()));
    Option<Timestamp>, value => Self::Int(value.map(Timestamp::as_millisecond));
}

impl Param<'_> {
    /// PostgreSQL stores no U+0000; both databases refuse the same, and a test of one shows it.
    fn check(self) -> SqlResult<()> {
        match self {
            Self::Text(Some(text)) if text.contains('\0') => {
                Err(SqlError::Fault("a text holds the character U+0000".into()))
            }
            _ => Ok(()),
        }
    }
}

/// The parameters of a statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::sql::Param::from($value)),*] };
}
pub(crate) use params;

/// One value of a row.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
    /// A value the store never writes: a number with a fraction, a text that is not UTF-8.
    Other,
}

impl Cell {
    /// How many bytes a text or a blob has.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Blob(bytes) => bytes.len(),
            Self::Null | Self::Int(_) | Self::Other => 0,
        }
    }
}

/// One row, read from left to right.
#[derive(Debug)]
pub(crate) struct Row {
    cells: std::vec::IntoIter<Cell>,
    notes: Vec<&'static str>,
}

impl Row {
    pub(crate) fn new(cells: Vec<Cell>) -> Self {
        Self { cells: cells.into_iter(), notes: Vec::new() }
    }

    /// Its values that were not read yet.
    pub(crate) fn into_cells(self) -> Vec<Cell> {
        self.cells.collect()
    }

    /// Its first column, which identifies it in a report, before anything is read.
    pub(crate) fn id(&self) -> RowId {
        self.id_in(0)
    }

    /// One of its columns as a part of that.
    pub(crate) fn id_in(&self, column: usize) -> RowId {
        match self.cells.as_slice().get(column) {
            Some(Cell::Int(id)) => RowId::Int(*id),
            Some(Cell::Text(id)) => RowId::Text(id.clone()),
            _ => RowId::Unknown,
        }
    }

    /// How many bytes its texts and blobs have.
    pub(crate) fn bytes(&self) -> usize {
        self.cells.as_slice().iter().map(Cell::bytes).sum()
    }

    /// Takes what follows its first `at` columns off as a row of its own.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let mut cells: Vec<Cell> = std::mem::take(&mut self.cells).collect();
        let rest = cells.split_off(at.min(cells.len()));
        self.cells = cells.into_iter();
        Self::new(rest)
    }

    /// Reports that a part of it cannot be read and is left out.
    pub(crate) fn note(&mut self, note: &'static str) {
        self.notes.push(note);
    }

    /// The problems that were noted.
    pub(crate) fn notes(&self) -> &[&'static str] {
        &self.notes
    }

    pub(crate) fn opt_int(&mut self) -> SqlResult<Option<i64>> {
        match self.cells.next() {
            Some(Cell::Int(value)) => Ok(Some(value)),
            Some(Cell::Null) => Ok(None),
            other => Err(unexpected("an integer", other.as_ref())),
        }
    }

    pub(crate) fn opt_text(&mut self) -> SqlResult<Option<String>> {
        match self.cells.next() {
            Some(Cell::Text(value)) => Ok(Some(value)),
            Some(Cell::Null) => Ok(None),
            other => Err(unexpected("a text", other.as_ref())),
        }
    }

    pub(crate) fn opt_blob(&mut self) -> SqlResult<Option<Vec<u8>>> {
        match self.cells.next() {
            Some(Cell::Blob(value)) => Ok(Some(value)),
            Some(Cell::Null) => Ok(None),
            other => Err(unexpected("bytes", other.as_ref())),
        }
    }

    pub(crate) fn blob(&mut self) -> SqlResult<Vec<u8>> {
        match self.cells.next() {
            Some(Cell::Blob(value)) => Ok(value),
            other => Err(unexpected("bytes", other.as_ref())),
        }
    }

    pub(crate) fn int(&mut self) -> SqlResult<i64> {
        self.opt_int()?.ok_or_else(|| unexpected("an integer", Some(&Cell::Null)))
    }

    pub(crate) fn bool(&mut self) -> SqlResult<bool> {
        Ok(self.int()? != 0)
    }

    pub(crate) fn text(&mut self) -> SqlResult<String> {
        self.opt_text()?.ok_or_else(|| unexpected("a text", Some(&Cell::Null)))
    }

    pub(crate) fn opt_time(&mut self) -> SqlResult<Option<Timestamp>> {
        self.opt_int()?.map(time_from_ms).transpose()
    }

    pub(crate) fn time(&mut self) -> SqlResult<Timestamp> {
        time_from_ms(self.int()?)
    }

    /// An integer of a narrower type.
    pub(crate) fn small<T: TryFrom<i64>>(&mut self) -> SqlResult<T> {
        T::try_from(self.int()?).map_err(|_| SqlError::Fault("an integer is out of range".into()))
    }

    /// A text that `parse` accepts; it returns `None` for others.
    pub(crate) fn parsed<T>(&mut self, parse: impl FnOnce(&str) -> Option<T>) -> SqlResult<T> {
        let text = self.text()?;
        parse(&text).ok_or_else(|| SqlError::Fault("a stored text is not valid".into()))
    }

    /// A JSON text, read by a `read` of [`crate::stored`].
    pub(crate) fn json<T>(&mut self, read: impl FnOnce(&str) -> SqlResult<T>) -> SqlResult<T> {
        read(&self.text()?)
    }

    /// The same; `NULL` is nothing.
    pub(crate) fn opt_json<T>(
        &mut self,
        read: impl FnOnce(&str) -> SqlResult<T>,
    ) -> SqlResult<Option<T>> {
        self.opt_text()?.map(|text| read(&text)).transpose()
    }
}

/// Rows as they come from a statement, within a number of bytes.
pub(crate) struct Gathered {
    pub(crate) rows: Vec<Row>,
    /// Whether there were more than fit.
    pub(crate) is_cut: bool,
    bytes_left: usize,
}

impl Gathered {
    pub(crate) fn within(bytes_max: usize) -> Self {
        Self { rows: Vec::new(), is_cut: false, bytes_left: bytes_max }
    }

    /// Takes a row if it fits; says whether the statement should go on.
    pub(crate) fn take(&mut self, row: Row) -> bool {
        let bytes = row.bytes();
        self.is_cut = bytes > self.bytes_left && !self.rows.is_empty();
        if !self.is_cut {
            self.bytes_left = self.bytes_left.saturating_sub(bytes);
            self.rows.push(row);
        }
        !self.is_cut
    }
}

/// Never shows the value: it may be a customer's.
fn unexpected(expected: &str, found: Option<&Cell>) -> SqlError {
    let found = match found {
        None => "the end of the row",
        Some(Cell::Null) => "NULL",
        Some(Cell::Int(_)) => "an integer",
        Some(Cell::Text(_)) => "a text",
        Some(Cell::Blob(_)) => "bytes",
        Some(Cell::Other) => "something else",
    };
    SqlError::Fault(format!("expected {expected}, found {found}"))
}

fn time_from_ms(ms: i64) -> SqlResult<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|_| SqlError::Fault("a time is out of range".into()))
}

/// A time as a read will return it.
pub(crate) use domain::message::whole_millis;

/// A JSON text for a parameter that `json_rows` reads; what is stored is written by
/// [`crate::stored`].
pub(crate) fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> SqlResult<String> {
    serde_json::to_string(value).map_err(|error| SqlError::Fault(error.to_string()))
}

/// Message ids in order.
pub(crate) type NewIds = std::iter::Flatten<std::vec::IntoIter<Range<i64>>>;

/// What a transaction changed that the cache may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invalidation {
    /// One device.
    Device(domain::ids::DeviceId),
    /// Every device: an account was deleted.
    Devices,
    /// One key: what a customer may do as often as it likes costs others nothing.
    Key(domain::key::KeyHash),
    /// Keys, accounts or plans.
    Keys,
}

/// The database behind a [`Tx`].
pub(crate) enum ConnectionRole {
    Sqlite(Box<SqliteLink>),
    Postgres(PostgresLink),
}

/// A connection, within a transaction when it writes.
///
/// On SQLite its futures never wait, so that a plain thread may run them.
pub(crate) struct Tx {
    pub(crate) link: ConnectionRole,
    pub(crate) touched: Vec<Invalidation>,
    pub(crate) unreadable: Arc<UnreadableRows>,
    /// What this process owns: [`crate::fence`].
    pub(crate) leases: Arc<Leases>,
}

impl Tx {
    pub(crate) fn new(
        link: ConnectionRole,
        unreadable: Arc<UnreadableRows>,
        leases: Arc<Leases>,
    ) -> Self {
        Self { link, touched: Vec::new(), unreadable, leases }
    }

    /// Invalidates a part of the cache once this transaction is committed.
    pub(crate) fn touch(&mut self, what: Invalidation) {
        self.touched.push(what);
    }

    /// The rows a statement returns.
    pub(crate) async fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> SqlResult<Vec<Row>> {
        params.iter().try_for_each(|param| param.check())?;
        Ok(self.query_within(sql, params, usize::MAX).await?.rows)
    }

    /// The rows a statement returns, as many whole ones as fit into `bytes_max`, and one at least.
    pub(crate) async fn query_within(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        bytes_max: usize,
    ) -> SqlResult<Gathered> {
        match &mut self.link {
            ConnectionRole::Sqlite(link) => link.query(sql, params, bytes_max),
            ConnectionRole::Postgres(link) => link.query(sql, params, bytes_max).await,
        }
    }

    /// The first row a statement returns.
    pub(crate) async fn query_one(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> SqlResult<Option<Row>> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// How many rows a statement changed.
    pub(crate) async fn execute(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
    ) -> SqlResult<u64> {
        params.iter().try_for_each(|param| param.check())?;
        match &mut self.link {
            ConnectionRole::Sqlite(link) => link.execute(sql, params),
            ConnectionRole::Postgres(link) => link.execute(sql, params).await,
        }
    }

    /// Runs several statements that take no parameters.
    pub(crate) async fn script(&mut self, sql: &'static str) -> SqlResult<()> {
        match &mut self.link {
            ConnectionRole::Sqlite(link) => link.script(sql),
            ConnectionRole::Postgres(link) => link.script(sql).await,
        }
    }

    /// Draws message ids before the accounts are locked whose messages get them, where other nodes accept for the
    /// same accounts in turn: what is left of those drawn earlier is below the other's then, and ids would be
    /// drawn under the locks.
    pub(crate) async fn draw_ids_ahead(&mut self) -> SqlResult<()> {
        match &mut self.link {
            ConnectionRole::Sqlite(_) => Ok(()),
            ConnectionRole::Postgres(link) => link.draw_ids_ahead().await,
        }
    }

    /// Draws `count` message ids, all above `after`, increasing and never drawn before.
    pub(crate) async fn next_message_ids(
        &mut self,
        count: usize,
        after: MessageId,
    ) -> SqlResult<NewIds> {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        match &mut self.link {
            _ if count == 0 => Ok(Vec::new().into_iter().flatten()),
            // What one process draws increases.
            ConnectionRole::Sqlite(link) => {
                Ok(vec![link.next_message_ids(count)?].into_iter().flatten())
            }
            ConnectionRole::Postgres(link) => {
                link.next_message_ids(count, after.0, self.leases.is_shared()).await
            }
        }
    }
}
