//! Fresh databases for tests, removed afterwards.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::path::PathBuf;
use std::sync::Arc;

use domain::ports::Store;
use rusqlite::Connection;
use store::SqlStore;
use tempfile::TempDir;
use testkit::memory_store::MemoryStore;

mod schema;

pub use schema::Schema;

/// A database file in a directory of its own.
pub struct SqliteFile(pub TempDir);

impl SqliteFile {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    pub fn url(&self) -> String {
        format!("sqlite:{}", self.path().display())
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("test.db")
    }

    /// A connection around the store.
    pub fn connection(&self) -> Connection {
        Connection::open(self.path()).expect("a connection")
    }
}

/// Runs a case on a fresh SQLite database.
pub async fn on_sqlite<F: Future<Output = ()>>(case: impl FnOnce(Arc<dyn Store>) -> F) {
    let file = SqliteFile::new();
    let store = store::open(&file.url()).await.expect("a database");
    case(Arc::clone(&store) as Arc<dyn Store>).await;
    store.close().await;
}

/// Runs a case on a fresh PostgreSQL schema, which is dropped afterwards, also after a panic.
pub async fn on_postgres<F>(case: impl FnOnce(Arc<dyn Store>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let schema = Schema::new().await;
    let store: Arc<SqlStore> = store::open(&schema.url()).await.expect("a database");
    let outcome = tokio::spawn(case(Arc::clone(&store) as Arc<dyn Store>)).await;
    store.close().await;
    schema.drop().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic.into_panic());
    }
}

/// Runs a case in memory.
pub async fn in_memory<F: Future<Output = ()>>(case: impl FnOnce(Arc<dyn Store>) -> F) {
    case(Arc::new(MemoryStore::new())).await;
}

/// A database that a test also reaches around the store.
pub enum Database {
    Sqlite(SqliteFile),
    Postgres(Schema),
}

impl Database {
    pub fn url(&self) -> String {
        match self {
            Self::Sqlite(file) => file.url(),
            Self::Postgres(schema) => schema.url(),
        }
    }

    pub async fn open(&self) -> Arc<SqlStore> {
        store::open(&self.url()).await.expect("a database")
    }

    /// Runs a statement.
    pub async fn execute(&self, sql: &str) {
        match self {
            Self::Sqlite(file) => file.connection().execute_batch(sql).expect("a statement"),
            Self::Postgres(schema) => schema.execute(sql).await,
        }
    }

    /// The first column of a query, cast to text by it.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        match self {
            Self::Sqlite(file) => {
                let connection = file.connection();
                let mut statement = connection.prepare(sql).expect("a query");
                let rows = statement.query_map([], |row| row.get(0)).expect("rows");
                rows.map(|row| row.expect("a text")).collect()
            }
            Self::Postgres(schema) => schema.texts(sql).await,
        }
    }

    /// Drops the database.
    pub async fn drop(self) {
        if let Self::Postgres(schema) = self {
            schema.drop().await;
        }
    }
}

/// Makes a test of a case for each database.
#[macro_export]
macro_rules! on_both_databases {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $case() {
                let file = $crate::support::SqliteFile::new();
                let database = $crate::support::Database::Sqlite(file);
                super::$case(&database).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $case() {
                let schema = $crate::support::Schema::new().await;
                let database = $crate::support::Database::Postgres(schema);
                super::$case(&database).await;
                database.drop().await;
            })*
        }
    };
}
