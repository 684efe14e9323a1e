//! The store on SQLite and on PostgreSQL, behind the ports of `domain`.
//!
//! One SQL text serves both; `sql` says how. Operations are functions over a `Tx`, one module for
//! each part of the port; the engines (`sqlite`, `postgres`) decide on which connection a
//! transaction runs and which operations share it. What SQLite and PostgreSQL do differently is in
//! their `link` modules and migrations, and nowhere else.
//!
//! Invariants: a write returns after its commit, durable; a refusal changes nothing;
//! only one process uses a database at a time; secrets are stored as hashes, and no error or log
//! line shows what customers wrote.

mod access;
mod accounts;
mod cache;
mod deliveries;
mod devices;
mod files;
mod grants;
mod job;
mod keys;
mod messages;
mod migrate;
mod people;
mod postgres;
mod protocol;
mod rows;
mod sql;
mod sqlite;
mod store;
mod stored;
mod webhooks;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use rows::REPORTED_TABLES;
pub use store::SqlStore;

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
    /// The SQLite library is too old to be trusted with a log.
    #[error("SQLite {0} is too old: 3.51.3 or newer is needed")]
    SqliteTooOld(&'static str),
    /// Anything else.
    #[error("the database cannot be opened: {0}")]
    Database(String),
}

impl From<SqlError> for OpenError {
    fn from(error: SqlError) -> Self {
        Self::Database(error.to_string())
    }
}

/// Opens the database at `url`: `sqlite:PATH` (created when missing) or `postgres://…` (which must
/// exist), and migrates it to the newest schema.
///
/// # Errors
/// [`OpenError`]; its text is for the operator and never shows a password.
pub async fn open(url: &str) -> Result<Arc<SqlStore>, OpenError> {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(OpenError::Url);
        }
        return SqlStore::open_sqlite(Path::new(path).to_owned()).await.map(Arc::new);
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return SqlStore::open_postgres(url).await.map(Arc::new);
    }
    Err(OpenError::Url)
}
