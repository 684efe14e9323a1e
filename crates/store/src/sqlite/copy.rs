//! A copy of a database, also of one that a gateway uses.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::link::from_sqlite;
use super::{BUSY_TIMEOUT_MS, MIGRATIONS, reason_of_disk};
use crate::{DatabaseFacts, OpenError};

/// Copies the database at `from` into the new file `to`, as it is at one moment, and reads a setting of the
/// copy. What is committed meanwhile is not in it; nobody waits for it.
///
/// # Errors
/// There is no database, it is of a newer version, or the copy cannot be written.
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
    let text = to.to_str().ok_or_else(|| {
        OpenError::Path(to.to_owned(), "its name is no UTF-8, which SQLite needs".into())
    })?;
    let copied = source.execute("VACUUM INTO ?1", [text]).map_err(from_sqlite);
    copied.map_err(|error| reason_of_disk(to, error.into()))?;
    let copy = connect(to)?;
    let setting = copy
        .query_row("SELECT value FROM settings WHERE name = ?1", [setting], |row| row.get(0))
        .optional()
        .map_err(from_sqlite)?;
    Ok(DatabaseFacts { schema: schema(&copy)?, setting })
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
