//! A database that no gateway uses, to be read whole.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags};

use super::link::from_sqlite;
use super::{MIGRATIONS, block_on, connect, only_name, take_lock};
use crate::OpenError;
use crate::migrate::migrate;
use crate::recent_keys;
use crate::sql::{Cell, ConnectionRole, SqlResult, Tx};
use crate::transfer::Table;
use crate::transfer::marker::{self, Marker};

/// Tables that are about this file, and not about what is in it.
const OF_THE_FILE: [&str; 4] = ["counters", "recent_keys", "schema_version", "schema_migrations"];
/// Most rows, and most bytes but for the last row, that are read at once.
const BATCH_ROWS_MAX: usize = 2_000;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The database; no gateway can use it meanwhile.
pub(crate) struct Source {
    connection: Connection,
    _lock: File,
}

impl Source {
    /// Opens the database at `path`, and migrates it to the newest schema.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        if !path.is_file() {
            return Err(OpenError::Path(path.to_owned(), "there is no database".into()));
        }
        let path = &only_name(path)?;
        let lock = take_lock(path)?;
        let link = connect(path, true)?;
        let mut tx =
            Tx::new(ConnectionRole::Sqlite(Box::new(link)), Arc::default(), Arc::default());
        block_on(migrate(&mut tx, MIGRATIONS))?;
        block_on(recent_keys::merge(&mut tx))?;
        drop(tx);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(from_sqlite)?;
        connection.execute_batch("PRAGMA synchronous = FULL;").map_err(from_sqlite)?;
        Ok(Self { connection, _lock: lock })
    }

    /// Where it was moved to, or is being moved to.
    pub(crate) fn marker(&self) -> Result<Option<Marker>, OpenError> {
        let read = "SELECT value FROM settings WHERE name = ?1";
        let found: Vec<Vec<u8>> = self.column(read, [marker::SETTING])?;
        Ok(found.first().map(|value| marker::parse(value)).transpose()?)
    }

    /// Marks it as moved, durably; `None` removes the mark.
    pub(crate) fn mark(&self, marker: Option<&Marker>) -> SqlResult<()> {
        let done = match marker {
            Some(marker) => self.connection.execute(
                "INSERT INTO settings (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                rusqlite::params![marker::SETTING, marker.to_json()],
            ),
            None => {
                self.connection.execute("DELETE FROM settings WHERE name = ?1", [marker::SETTING])
            }
        };
        done.map(drop).map_err(from_sqlite)
    }

    /// Its tables, but for those that are about the file.
    pub(crate) fn tables(&self) -> SqlResult<Vec<Table>> {
        let names =
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
            ORDER BY name";
        let names: Vec<String> = self.column(names, [])?;
        let columns = "SELECT name FROM pragma_table_info(?1) ORDER BY name";
        names
            .into_iter()
            .filter(|name| !OF_THE_FILE.contains(&name.as_str()))
            .map(|name| Ok(Table { columns: self.column(columns, [&name])?, name }))
            .collect()
    }

    /// The highest id that each table has given out, and what message ids have come to.
    pub(crate) fn sequences(&self) -> SqlResult<(Vec<(String, i64)>, i64)> {
        let sequences = "SELECT name, seq FROM sqlite_sequence";
        let mut statement = self.connection.prepare(sequences).map_err(from_sqlite)?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        let sequences: rusqlite::Result<_> = rows.map_err(from_sqlite)?.collect();
        let message = "SELECT value FROM counters WHERE name = 'message_id'";
        let message: Vec<i64> = self.column(message, [])?;
        Ok((sequences.map_err(from_sqlite)?, message.first().copied().unwrap_or(0)))
    }

    /// Hands every row of a table to `take`, in batches, until that returns false.
    pub(crate) fn read(
        &self,
        table: &Table,
        mut take: impl FnMut(Vec<Vec<Cell>>) -> bool,
    ) -> SqlResult<()> {
        let text = format!("SELECT {} FROM {}", table.column_list(), table.quoted_name());
        let mut statement = self.connection.prepare(&text).map_err(from_sqlite)?;
        let mut rows = statement.query([]).map_err(from_sqlite)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next().map_err(from_sqlite)? {
            let cells = cells(row, table.columns.len())?;
            bytes += cells.iter().map(Cell::bytes).sum::<usize>();
            batch.push(cells);
            if batch.len() >= BATCH_ROWS_MAX || bytes >= BATCH_BYTES_MAX {
                bytes = 0;
                if !take(std::mem::take(&mut batch)) {
                    return Ok(());
                }
            }
        }
        if !batch.is_empty() {
            take(batch);
        }
        Ok(())
    }

    fn column<T: rusqlite::types::FromSql>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> SqlResult<Vec<T>> {
        let mut statement = self.connection.prepare(sql).map_err(from_sqlite)?;
        let rows = statement.query_map(params, |row| row.get(0)).map_err(from_sqlite)?;
        rows.collect::<rusqlite::Result<_>>().map_err(from_sqlite)
    }
}

fn cells(row: &rusqlite::Row<'_>, width: usize) -> SqlResult<Vec<Cell>> {
    (0..width).map(|index| row.get_ref(index).map(Cell::from).map_err(from_sqlite)).collect()
}
