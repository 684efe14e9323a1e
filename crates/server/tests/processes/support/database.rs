//! A PostgreSQL database of a test's own.

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use super::env;

/// An empty database, dropped with [`Database::drop`].
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes one on the server that `GERBANG_TEST_POSTGRES_URL` names.
    pub async fn create() -> Self {
        let server = env::required("GERBANG_TEST_POSTGRES_URL");
        let name = format!("gerbang_processes_{}", uuid::Uuid::new_v4().simple());
        run(&server, format!("CREATE DATABASE {name}")).await;
        Self { server, name }
    }

    /// Its address.
    pub fn url(&self) -> String {
        let (address, options) = self.server.split_once('?').unwrap_or((&self.server, ""));
        let (base, _) = address.rsplit_once('/').expect("postgres://…/NAME");
        format!("{base}/{}?{options}", self.name)
    }

    /// Runs a statement in it.
    pub async fn execute(&self, sql: &str) {
        run(&self.url(), sql.to_owned()).await;
    }

    /// Removes it, open connections included.
    pub async fn drop(self) {
        run(&self.server, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

async fn run(server: &str, sql: String) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    connection.execute(AssertSqlSafe(sql)).await.unwrap();
    connection.close().await.unwrap();
}
