//! A copy of a database, also of one that a gateway uses.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::link::from_sqlite;
use super::{BUSY_TIMEOUT_MS, reason_of_disk};
use crate::migrate::{OLDEST_SETTING, oldest_from};
use crate::transfer::marker;
use crate::{DatabaseFacts, OpenError, refuse_newer};

/// Copies the database at `from` into the new file `to`, as it is at one moment, and reads a setting of the
/// copy. What is committed meanwhile is not in it; nobody waits for it.
///
/// # Errors
/// There is no database, it is of a newer version that this one cannot work with, it was moved to PostgreSQL, or the
/// copy cannot be written.
pub fn copy(from: &Path, to: &Path, setting: &str) -> Result<DatabaseFacts, OpenError> {
    if !from.is_file() {
        return Err(OpenError::Path(from.to_owned(), "there is no database".into()));
    }
    let source = open_usable(from).map_err(|error| reason_of_disk(from, error))?;
    let text = to.to_str().ok_or_else(|| {
        OpenError::Path(to.to_owned(), "its name is no UTF-8, which SQLite needs".into())
    })?;
    let copied = source.execute("VACUUM INTO ?1", [text]).map_err(from_sqlite);
    copied.map_err(|error| reason_of_disk(to, error.into()))?;
    facts(&connect(to)?, setting)
}

/// Opens a database, unless no gateway of this version may use it.
fn open_usable(path: &Path) -> Result<Connection, OpenError> {
    let source = connect(path)?;
    let DatabaseFacts { schema, oldest, setting: moved } = facts(&source, marker::SETTING)?;
    refuse_newer(schema, oldest)?;
    match moved {
        Some(moved) => Err(marker::parse(&moved)?.refusal()),
        None => Ok(source),
    }
}

fn facts(connection: &Connection, setting: &str) -> Result<DatabaseFacts, OpenError> {
    let version = "SELECT coalesce(max(version), 0) FROM schema_version";
    let schema = connection.query_row(version, [], |row| row.get(0)).map_err(from_sqlite)?;
    let oldest = oldest_from(setting_of(connection, OLDEST_SETTING)?, schema)?;
    Ok(DatabaseFacts { schema, oldest, setting: setting_of(connection, setting)? })
}

fn setting_of(connection: &Connection, name: &str) -> Result<Option<Vec<u8>>, OpenError> {
    let text = "SELECT value FROM settings WHERE name = ?1";
    let value = connection.query_row(text, [name], |row| row.get(0)).optional();
    Ok(value.map_err(from_sqlite)?)
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(from_sqlite)?;
    let settings = format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS};");
    connection.execute_batch(&settings).map_err(from_sqlite)?;
    Ok(connection)
}
