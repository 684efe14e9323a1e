//! The store on SQLite and on PostgreSQL, behind the ports of `domain`.
//!
//! One SQL text serves both; `sql` says how. Operations are functions over a `Tx`, one module for
//! each part of the port; the engines (`sqlite`, `postgres`) decide on which connection a
//! transaction runs and which operations share it. What SQLite and PostgreSQL do differently is in
//! their `link` modules and migrations, and nowhere else.
//!
//! Invariants: a write returns after its commit, durable; a refusal changes nothing;
//! only one process uses a SQLite file at a time; secrets are stored as hashes, and no error or log
//! line shows what customers wrote.

mod access;
mod accounts;
mod cache;
mod deliveries;
mod devices;
mod fence;
mod files;
mod forms;
mod grants;
mod job;
mod keys;
mod messages;
mod migrate;
mod nodes;
mod own_accepts;
mod people;
mod postgres;
mod protocol;
mod rates;
mod recent_keys;
mod restored;
mod rows;
mod second_factors;
mod sql;
mod sqlite;
mod store;
mod stored;
mod transfer;
mod unheard;
mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(debug_assertions)]
pub use postgres::ROUND_TRIPS;
pub use postgres::{address, facts};
pub use restored::Restored;
pub use rows::REPORTED_TABLES;
#[cfg(debug_assertions)]
pub use sqlite::STEPS;
pub use sqlite::copy;
pub use store::SqlStore;
pub use transfer::{CopiedTable, TransferError, Transferred, transfer};

use crate::sql::SqlError;

/// Why a database cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither `sqlite:PATH` nor `postgres://…`.
    #[error("the database URL must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE")]
    Url,
    /// A file cannot be opened or created.
    #[error("cannot use {}: {}", .0.display(), .1)]
    Path(PathBuf, String),
    /// Another process has it.
    #[error("{0} is in use by another gateway; stop that one first")]
    InUse(String),
    /// A newer version has changed its schema.
    #[error(
        "the database is of a newer version (schema {found}; this one knows {known}): \
         use that version, or restore a backup"
    )]
    Newer {
        /// The schema it has.
        found: i64,
        /// The newest schema this version knows.
        known: usize,
    },
    /// Another process has been migrating it for long.
    #[error(
        "the database is being migrated by another process ({holder}) for more than {} seconds: wait for its end \
         or stop it, then start again",
        .waited.as_secs()
    )]
    Migrating {
        /// Which one.
        holder: String,
        /// For how long it was waited.
        waited: std::time::Duration,
    },
    /// Nodes of an older version use it, which cannot work with the schema of this one.
    #[error(
        "this version changes the database in a way that running nodes cannot work with: stop {nodes}, then \
         start this one"
    )]
    NodesRun {
        /// Their names and versions.
        nodes: String,
    },
    /// A migration that it has run is not the one that this version knows under its number.
    #[error(
        "migration {version} of this version is not the one that the database was migrated with \
         (their checksums differ): use the version that migrated it, or restore a backup"
    )]
    Changed {
        /// The first that differs.
        version: i64,
    },
    /// It was moved to PostgreSQL, and its devices with it.
    #[error(
        "this database was moved to {to}: set GERBANG_DATABASE_URL to that one. Two gateways with \
         the same devices would break their sessions"
    )]
    Moved {
        /// Where to, without a password.
        to: String,
    },
    /// A move to PostgreSQL has not ended.
    #[error("moving this database to {to} was interrupted: run the same `gerbang migrate` again")]
    Moving {
        /// Where to, without a password.
        to: String,
    },
    /// PostgreSQL does not answer.
    #[error("cannot reach PostgreSQL at {server}: {why}")]
    Unreachable {
        /// Host and port.
        server: String,
        /// What happened.
        why: String,
    },
    /// PostgreSQL answers, and does not let us in.
    #[error("PostgreSQL at {server} refuses the connection: {why}")]
    Refused {
        /// Host and port.
        server: String,
        /// What it says.
        why: String,
    },
    /// PostgreSQL lets us in, but the database cannot hold our data.
    #[error("the database at {server} cannot be used: {why}")]
    Unfit {
        /// Host and port.
        server: String,
        /// What to change.
        why: String,
    },
    /// The SQLite library is too old to be trusted with a log.
    #[error("SQLite {0} is too old: 3.51.3 or newer is needed")]
    SqliteTooOld(&'static str),
    /// It cannot be read or written now.
    #[error("the database cannot be used now: {0}")]
    Unavailable(String),
    /// Anything else.
    #[error("the database cannot be opened: {0}")]
    Database(String),
}

impl From<SqlError> for OpenError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Unavailable(text) => Self::Unavailable(text),
            other => Self::Database(other.to_string()),
        }
    }
}

/// What can be known of a database without using it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseFacts {
    /// Its schema; 0 for an empty database.
    pub schema: i64,
    /// The oldest schema that a release must know to work with it.
    pub oldest: i64,
    /// What is kept under the setting that was asked for.
    pub setting: Option<Vec<u8>>,
}

/// The newest schema that this version knows.
pub fn newest_schema() -> usize {
    sqlite::MIGRATIONS.len()
}

/// Refuses a database that this version cannot work with: by its schema, and the oldest one that a release must know
/// for it.
///
/// # Errors
/// [`OpenError::Newer`].
pub fn refuse_newer(schema: i64, oldest: i64) -> Result<(), OpenError> {
    let known = newest_schema();
    match usize::try_from(oldest).is_ok_and(|oldest| oldest > known) {
        true => Err(OpenError::Newer { found: schema, known }),
        false => Ok(()),
    }
}

/// The file of a database URL; `None` for a PostgreSQL database.
pub fn sqlite_path(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite:")?;
    Some(Path::new(path.strip_prefix("//").unwrap_or(path)))
}

/// Opens the database at `url`: `sqlite:PATH` (created when missing) or `postgres://…` (which must
/// exist), and migrates it to the newest schema.
///
/// # Errors
/// [`OpenError`]; its text is for the operator and never shows a password.
pub async fn open(url: &str) -> Result<Arc<SqlStore>, OpenError> {
    open_with(url, true).await
}

/// As [`open`]; without `notify` nodes on PostgreSQL find what is new without hints to each other.
///
/// # Errors
/// As [`open`].
pub async fn open_with(url: &str, notify: bool) -> Result<Arc<SqlStore>, OpenError> {
    if let Some(path) = sqlite_path(url) {
        if path.as_os_str().is_empty() {
            return Err(OpenError::Url);
        }
        return SqlStore::open_sqlite(path.to_owned()).await.map(Arc::new);
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return SqlStore::open_postgres(url, notify).await.map(Arc::new);
    }
    Err(OpenError::Url)
}
