//! A connection to SQLite, and the translation of the common SQL text.

use std::collections::HashMap;
use std::ops::Range;

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ErrorCode, Statement, ToSql};

use crate::recent_keys::RecentKeys;
use crate::sql::{Cell, FindRows, Gathered, InsertRows, Param, Row, SqlError, SqlResult, Type};

/// Statements each connection keeps prepared.
const STATEMENTS_KEPT_MAX: usize = 128;

/// How many message ids are drawn at a time; what is left at the end of the process is not used.
const ID_BLOCK: i64 = 4_096;

/// A connection with the texts it has translated.
pub(crate) struct SqliteLink {
    connection: Connection,
    /// By address: every text is a literal.
    texts: HashMap<(usize, usize), Box<str>>,
    /// By table, columns (their address) and what follows the rows.
    inserts: HashMap<(&'static str, usize, &'static str), Box<str>>,
    /// By what they select and the columns of the key (their addresses).
    finds: HashMap<(usize, usize), Box<str>>,
    /// Message ids that are drawn and not used yet.
    ids: Range<i64>,
    /// On the connection that writes.
    pub(crate) recent_keys: Option<RecentKeys>,
}

impl SqliteLink {
    pub(super) fn new(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT_MAX);
        Self {
            connection,
            texts: HashMap::new(),
            inserts: HashMap::new(),
            finds: HashMap::new(),
            ids: 0..0,
            recent_keys: None,
        }
    }

    /// Whether a transaction is open.
    pub(super) fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    pub(crate) fn query(
        &mut self,
        sql: &'static str,
        params: &[Param<'_>],
        bytes_max: usize,
    ) -> SqlResult<Gathered> {
        let mut statement = prepare(&self.connection, &mut self.texts, sql)?;
        bind(&mut statement, params)?;
        collect(&mut statement, bytes_max)
    }

    pub(crate) fn execute(&mut self, sql: &'static str, params: &[Param<'_>]) -> SqlResult<u64> {
        let mut statement = prepare(&self.connection, &mut self.texts, sql)?;
        bind(&mut statement, params)?;
        let changed = statement.raw_execute().map_err(from_sqlite)?;
        count_steps(&statement);
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    pub(crate) fn insert(
        &mut self,
        into: &InsertRows,
        rows: &[Vec<Param<'_>>],
    ) -> SqlResult<Vec<Row>> {
        let key = (into.table, into.columns.as_ptr() as usize, into.then);
        let text = self.inserts.entry(key).or_insert_with(|| insert_text(into));
        let mut statement = self.connection.prepare_cached(text).map_err(from_sqlite)?;
        let returns_rows = statement.column_count() > 0;
        let mut returned = Vec::new();
        for row in rows {
            bind(&mut statement, row)?;
            if returns_rows {
                returned.append(&mut collect(&mut statement, usize::MAX)?.rows);
            } else {
                statement.raw_execute().map_err(from_sqlite)?;
                count_steps(&statement);
            }
        }
        Ok(returned)
    }

    pub(crate) fn find(&mut self, find: &FindRows, keys: &[Vec<Param<'_>>]) -> SqlResult<Vec<Row>> {
        let key = (find.select.as_ptr() as usize, find.key.as_ptr() as usize);
        let text = self.finds.entry(key).or_insert_with(|| find_text(find));
        let mut statement = self.connection.prepare_cached(text).map_err(from_sqlite)?;
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            bind(&mut statement, key)?;
            found.append(&mut collect(&mut statement, usize::MAX)?.rows);
        }
        Ok(found)
    }

    pub(crate) fn script(&mut self, sql: &str) -> SqlResult<()> {
        self.connection.execute_batch(sql).map_err(from_sqlite)
    }

    /// This process is the only writer, so a counter row is exact.
    pub(crate) fn next_message_ids(&mut self, count: i64) -> SqlResult<Range<i64>> {
        const DRAW: &str =
            "UPDATE counters SET value = value + $1 WHERE name = 'message_id' RETURNING value";
        if self.ids.end - self.ids.start < count {
            let drawn = count.max(ID_BLOCK);
            let mut rows = self.query(DRAW, &[Param::Int(Some(drawn))], usize::MAX)?.rows;
            let row = rows.first_mut();
            let last =
                row.ok_or_else(|| SqlError::Fault("the counter is missing".into()))?.int()?;
            self.ids = last - drawn + 1..last + 1;
        }
        let first = self.ids.start;
        self.ids.start += count;
        Ok(first..self.ids.start)
    }

    /// A transaction is rolled back, or a part of it. Message ids that were drawn since are drawn again, with their
    /// counter; keys that were deleted are there again.
    pub(super) fn note_rollback(&mut self) {
        self.ids = 0..0;
        if let Some(keys) = &mut self.recent_keys {
            keys.expect_others();
        }
    }
}

/// The function of the other database.
const NOW_MS: &str = "CAST(unixepoch('subsec') * 1000 AS INTEGER)";

fn prepare<'c>(
    connection: &'c Connection,
    texts: &mut HashMap<(usize, usize), Box<str>>,
    sql: &'static str,
) -> SqlResult<rusqlite::CachedStatement<'c>> {
    let text = texts.entry((sql.as_ptr() as usize, sql.len())).or_insert_with(|| translate(sql));
    connection.prepare_cached(text).map_err(from_sqlite)
}

/// `$1` would be a *name* to SQLite, numbered by its first appearance; `?1` is a number. One
/// writer needs no row locks.
fn translate(sql: &str) -> Box<str> {
    let locks = [" FOR UPDATE", " FOR NO KEY UPDATE", " FOR KEY SHARE", " SKIP LOCKED"];
    let text = locks.iter().fold(sql.to_owned(), |text, lock| text.replace(lock, ""));
    let text = text.replace('$', "?").replace("json_rows(", "json_each(");
    text.replace("now_ms()", NOW_MS).into()
}

fn find_text(find: &FindRows) -> Box<str> {
    let equal = |(index, (name, _)): (usize, &(&str, Type))| format!("{name} = ?{}", index + 1);
    let condition: Vec<String> = find.key.iter().enumerate().map(equal).collect();
    format!("{} WHERE {}", find.select, condition.join(" AND ")).into()
}

fn insert_text(into: &InsertRows) -> Box<str> {
    let names: Vec<&str> = into.columns.iter().map(|(name, _)| *name).collect();
    let marks: Vec<String> = (1..=names.len()).map(|n| format!("?{n}")).collect();
    let (table, names, marks, then) = (into.table, names.join(","), marks.join(","), into.then);
    format!("INSERT INTO {table} ({names}) VALUES ({marks}) {then}").into()
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Int(Some(value)) => ToSqlOutput::Owned(Value::Integer(*value)),
            Self::Text(Some(value)) => ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
            Self::Blob(Some(value)) => ToSqlOutput::Borrowed(ValueRef::Blob(value)),
            Self::Int(None) | Self::Text(None) | Self::Blob(None) => {
                ToSqlOutput::Owned(Value::Null)
            }
        })
    }
}

fn bind(statement: &mut Statement<'_>, params: &[Param<'_>]) -> SqlResult<()> {
    for (index, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, param).map_err(from_sqlite)?;
    }
    Ok(())
}

fn collect(statement: &mut Statement<'_>, bytes_max: usize) -> SqlResult<Gathered> {
    let width = statement.column_count();
    let mut found = Gathered::within(bytes_max);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next().map_err(from_sqlite)? {
        let mut cells = Vec::with_capacity(width);
        for index in 0..width {
            cells.push(row.get_ref(index).map_err(from_sqlite)?.into());
        }
        if !found.take(Row::new(cells)) {
            break;
        }
    }
    drop(rows);
    count_steps(statement);
    Ok(found)
}

/// Steps of SQLite's virtual machine in this process: the work of statements, on any machine the same. Only
/// for tests.
#[cfg(debug_assertions)]
pub static STEPS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

#[cfg(debug_assertions)]
fn count_steps(statement: &Statement<'_>) {
    let steps = statement.reset_status(rusqlite::StatementStatus::VmStep);
    STEPS.fetch_add(u64::try_from(steps).unwrap_or(0), std::sync::atomic::Ordering::Relaxed);
}

#[cfg(not(debug_assertions))]
fn count_steps(_: &Statement<'_>) {}

impl From<ValueRef<'_>> for Cell {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Integer(value) => Self::Int(value),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map_or(Self::Other, |text| Self::Text(text.into()))
            }
            ValueRef::Blob(bytes) => Self::Blob(bytes.to_vec()),
            ValueRef::Real(_) => Self::Other,
        }
    }
}

pub(super) fn from_sqlite(error: rusqlite::Error) -> SqlError {
    let text = format!("SQLite: {error}");
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => SqlError::Unique(text),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::CannotOpen
            | ErrorCode::SystemIoFailure
            | ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            | ErrorCode::ReadOnly
            | ErrorCode::OutOfMemory,
        ) => SqlError::Unavailable(text),
        _ => SqlError::Fault(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_their_numbers() {
        let mut link = SqliteLink::new(Connection::open_in_memory().unwrap());
        let params = [Param::from("first"), Param::from("second")];
        let mut rows = link.query("SELECT $2, $1", &params, usize::MAX).unwrap().rows;
        assert_eq!(rows[0].text().unwrap(), "second");
        assert_eq!(rows[0].text().unwrap(), "first");
    }

    #[test]
    fn a_json_array_becomes_rows() {
        let mut link = SqliteLink::new(Connection::open_in_memory().unwrap());
        let sql = "SELECT CAST(value AS BIGINT) FROM json_rows($1)";
        let rows = link.query(sql, &[Param::from("[3,1,2]")], usize::MAX).unwrap().rows;
        let values: Vec<i64> = rows.into_iter().map(|mut row| row.int().unwrap()).collect();
        assert_eq!(values, [3, 1, 2]);
    }
}
