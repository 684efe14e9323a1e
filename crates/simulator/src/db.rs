//! The simulator's own SQLite file.
//!
//! Invariant: only the switchboard's thread writes, in transactions that are durable
//! (`synchronous=FULL`) before anything that depends on them leaves the process.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use crate::clock;
use crate::error::Result;

const SCHEMA: &str = include_str!("schema.sql");
const STATEMENTS_CACHED: usize = 128;

/// Opens the file for writing, making it on first use.
pub(crate) fn open(path: &Path) -> Result<Connection> {
    create_private(path)?;
    let db = Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", "OFF")?;
    set_up(&db)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    db.execute_batch(SCHEMA)?;
    for column in [
        "by_lid",
        "answers_as",
        "generation",
        "bundle",
        "ephemeral_s",
        "migrated",
        "hidden",
        "recycled",
    ] {
        add_column(&db, "phones", column)?;
    }
    add_column_of(&db, "phones", "passkey_key", TEXT)?;
    for column in ["client", "language"] {
        add_column_of(&db, "devices", column, TEXT)?;
    }
    for column in ["by_lid", "ephemeral_s", "announcement", "community", "locked"] {
        add_column(&db, "groups", column)?;
    }
    add_column_of(&db, "groups", "parent", "TEXT")?;
    for column in ["description", "description_id", "invite"] {
        add_column_of(&db, "groups", column, TEXT)?;
    }
    add_column_of(&db, "groups", "picture", "BLOB")?;
    add_column(&db, "devices", "dirty")?;
    add_column_of(&db, "inbox", "message", "BLOB")?;
    Ok(db)
}

/// Makes the file its owner's alone: it holds the keys of the phones. SQLite gives its companions the
/// same mode.
fn create_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mut options = std::fs::OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(path)?;
    // One of an earlier release is open to all.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

const TEXT: &str = "TEXT NOT NULL DEFAULT ''";

/// Adds a number that files from before it do not have.
fn add_column(db: &Connection, table: &str, column: &str) -> Result<()> {
    add_column_of(db, table, column, "INTEGER NOT NULL DEFAULT 0")
}

/// Adds a column of some type.
fn add_column_of(db: &Connection, table: &str, column: &str, of: &str) -> Result<()> {
    let known = "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2";
    if !db.prepare(known)?.exists([table, column])? {
        let add = format!("ALTER TABLE {table} ADD COLUMN {column} {of}");
        db.execute_batch(&add)?;
    }
    Ok(())
}

/// Opens the file for reading what has been committed.
pub(crate) fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    set_up(&db)?;
    Ok(db)
}

/// What holds for both connections.
fn set_up(db: &Connection) -> Result<()> {
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    // Or it plans many statements anew each time they run, in case the values ask for another plan.
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// The seed of all derived keys, made on first use.
pub(crate) fn seed(db: &Connection) -> Result<[u8; 32]> {
    let read = "SELECT value FROM meta WHERE key = 'seed'";
    let stored: Option<Vec<u8>> = db.query_row(read, [], |row| row.get(0)).optional()?;
    if let Some(seed) = stored.and_then(|seed| seed.try_into().ok()) {
        return Ok(seed);
    }
    let seed: [u8; 32] = clock::random_bytes();
    db.execute("INSERT INTO meta (key, value) VALUES ('seed', ?1)", [&seed[..]])?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::StatementStatus;

    #[test]
    fn a_statement_is_planned_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("simulator.sqlite");
        let (writer, reader) = (open(&path).unwrap(), open_reader(&path).unwrap());
        let newest = "SELECT seq FROM inbox WHERE number = ?1 ORDER BY seq DESC LIMIT ?2";
        for db in [&writer, &reader] {
            let mut query = db.prepare(newest).unwrap();
            for limit in 1..=3 {
                assert!(!query.exists([1, limit]).unwrap());
            }
            assert_eq!(query.get_status(StatementStatus::RePrepare), 0);
        }
    }
}
