//! A copy of a database, also of one that a gateway uses.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::link::from_sqlite;
use super::{BUSY_TIMEOUT_MS, MIGRATIONS, reason_of_disk};
use crate::transfer::marker;
use crate::{DatabaseFacts, OpenError};

/// Copies the database at `from` into the new file `to`, as it is at one moment, and reads a setting of the
/// copy. What is committed meanwhile is not in it; nobody waits for it.
///
/// # Errors
/// There is no database, it is of a newer version or was moved to PostgreSQL, or the copy cannot be written.
pub fn copy(from: &Path, to: &Path, setting: &str) -> Result<DatabaseFacts, OpenError> {
    if !from.is_file() {
        return Err(OpenError::Path(from.to_owned(), "there is no database".into()));
    }
    let source = connect(from).map_err(|error| reason_of_disk(from, error))?;
    let known = MIGRATIONS.len();
    let found = schema(&source).map_err(|error| reason_of_disk(from, error))?;
    if usize::try_from(found).is_ok_and(|found| found > known) {
        return Err(OpenError::Newer { found, known });
    }
    if let Some(value) =
        setting_of(&source, marker::SETTING).map_err(|error| reason_of_disk(from, error))?
    {
        return Err(marker::parse(&value)?.refusal());
    }
    let text = to.to_str().ok_or_else(|| {
        OpenError::Path(to.to_owned(), "its name is no UTF-8, which SQLite needs".into())
    })?;
    let copied = source.execute("VACUUM INTO ?1", [text]).map_err(from_sqlite);
    copied.map_err(|error| reason_of_disk(to, error.into()))?;
    let copy = connect(to)?;
    let setting = setting_of(&copy, setting)?;
    Ok(DatabaseFacts { schema: schema(&copy)?, setting })
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

fn schema(connection: &Connection) -> Result<i64, OpenError> {
    let version = "SELECT coalesce(max(version), 0) FROM schema_version";
    Ok(connection.query_row(version, [], |row| row.get(0)).map_err(from_sqlite)?)
}
