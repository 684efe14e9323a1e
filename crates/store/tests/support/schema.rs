//! Fresh schemas on the test server.
#![allow(dead_code, reason = "each test binary uses some of it")]

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// A new schema on the test server.
pub struct Schema {
    name: String,
    server: String,
}

impl Schema {
    pub async fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the test server is configured this way")]
        let server = std::env::var("GERBANG_TEST_POSTGRES_URL");
        let server = server.expect(
            "GERBANG_TEST_POSTGRES_URL is not set: run `cargo xtask test`, which starts a \
             PostgreSQL server for the tests, or name one yourself",
        );
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let schema = Self { name, server };
        schema.run(format!("CREATE SCHEMA {}", schema.name)).await;
        schema
    }

    pub fn url(&self) -> String {
        let separator = if self.server.contains('?') { '&' } else { '?' };
        format!("{}{separator}options=-csearch_path%3D{}", self.server, self.name)
    }

    /// Runs a statement inside the schema.
    pub async fn execute(&self, sql: &str) {
        self.run(format!("SET search_path TO {}; {sql}", self.name)).await;
    }

    /// The first column of a query.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut connection = self.connection().await;
        let set = format!("SET search_path TO {}", self.name);
        sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut connection).await.expect("a statement");
        let query = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()));
        let texts = query.fetch_all(&mut connection).await.expect("texts");
        connection.close().await.expect("a closed connection");
        texts
    }

    pub async fn drop(self) {
        self.run(format!("DROP SCHEMA {} CASCADE", self.name)).await;
    }

    async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.server).await.expect("the test server")
    }

    async fn run(&self, sql: String) {
        let mut connection = self.connection().await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("a statement");
        connection.close().await.expect("a closed connection");
    }
}
