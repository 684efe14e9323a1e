//! The store under the tests of this crate: in memory, or on a database where `GERBANG_TEST_STORE` names one.

use std::sync::Arc;

use domain::ports::Store;
use store::SqlStore;
use tempfile::TempDir;
use testkit::memory_store::MemoryStore;

use super::schema::Schema;

/// A store that is empty, with what it leaves behind: removed with this.
pub(crate) struct Database {
    pub(crate) store: Arc<dyn Store>,
    place: Place,
}

enum Place {
    Memory,
    File { _dir: TempDir },
    Schema(Option<Schema>, Arc<SqlStore>),
}

impl Database {
    pub(crate) async fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the tests are configured this way")]
        let named = std::env::var("GERBANG_TEST_STORE");
        match named.as_deref() {
            Err(_) | Ok("memory") => {
                Self { store: Arc::new(MemoryStore::new()), place: Place::Memory }
            }
            Ok("sqlite") => {
                let dir = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", dir.path().join("test.db").display());
                Self { store: store::open(&url).await.unwrap(), place: Place::File { _dir: dir } }
            }
            Ok("postgres") => Self::postgres().await.0,
            Ok(other) => panic!("GERBANG_TEST_STORE is memory, sqlite or postgres, not {other}"),
        }
    }

    /// One on PostgreSQL, and its address for a second node.
    pub(crate) async fn postgres() -> (Self, String) {
        let schema = Schema::new().await;
        let url = schema.url();
        let store = store::open(&url).await.unwrap();
        (Self { store: store.clone(), place: Place::Schema(Some(schema), store) }, url)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Place::Schema(schema, store) = &mut self.place else { return };
        let Some(schema) = schema.take() else { return };
        // A test with many stores would have too many connections.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let store = store.clone();
            runtime.spawn(async move { store.close().await });
        }
        // The test's own runtime may be about to end.
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(schema.drop());
        });
        let _ = thread.join();
    }
}
