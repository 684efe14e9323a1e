//! An empty database that a SQLite one is moved into, in one transaction.

use std::sync::Arc;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgArguments, PgConnection, PgPoolOptions};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Postgres};

use super::link::{from_sqlx, row_from, sql_name};
use super::{ACQUIRE_TIMEOUT, MIGRATIONS, PostgresLink, facts, reach};
use crate::OpenError;
use crate::migrate::migrate_within;
use crate::sql::{Cell, ConnectionRole, SqlResult, Tx, Type};
use crate::transfer::marker::ORIGIN_SETTING;
use crate::transfer::{Digest, Table, TransferError};

/// The database, within the transaction.
pub(crate) struct Target {
    address: String,
    tx: Tx,
}

impl Target {
    /// Connects and begins the transaction, which ends with this when it is not committed.
    pub(crate) async fn begin(url: &str) -> Result<Self, OpenError> {
        let options = facts::options(url)?;
        // PostgreSQL would take the one with the user's name, which is seldom meant to be filled.
        if options.get_database().is_none() {
            let (server, why) =
                (reach::server(&options), "the URL names none, add /DATABASE to it");
            return Err(OpenError::Unfit { server, why: why.to_owned() });
        }
        reach::reach(&options).await?;
        reach::fits(&options).await?;
        let address = facts::address_of(&options);
        let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
        let pool = pool.connect_with(options).await.map_err(from_sqlx)?;
        let mut connection = pool.acquire().await.map_err(from_sqlx)?;
        connection.close_on_drop();
        let link = PostgresLink { connection, ids: Arc::default() };
        let mut tx = Tx::new(ConnectionRole::Postgres(link), Arc::default(), Arc::default());
        tx.execute("BEGIN", &[]).await?;
        Ok(Self { address, tx })
    }

    /// Where it is, without a password.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether nothing is in it but what extensions have put there.
    pub(crate) async fn is_empty(&mut self) -> SqlResult<bool> {
        const COUNT: &str = "SELECT count(*) FROM pg_class
            WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r','p','v','m','S','f')
            AND NOT EXISTS (SELECT 1 FROM pg_depend WHERE objid = pg_class.oid AND deptype = 'e')";
        let row = self.tx.query_one(COUNT, &[]).await?;
        Ok(row.map_or(Ok(0), |mut row| row.int())? == 0)
    }

    /// The id of the move that has filled it, if one has.
    pub(crate) async fn origin(&mut self) -> SqlResult<Option<String>> {
        const IS_THERE: &str = "SELECT CAST(count(*) AS BIGINT) FROM pg_class
             WHERE relnamespace = current_schema()::regnamespace AND relname = 'settings'";
        let row = self.tx.query_one(IS_THERE, &[]).await?;
        if row.map_or(Ok(0), |mut row| row.int())? == 0 {
            return Ok(None);
        }
        let value = crate::accounts::stored_setting(&mut self.tx, ORIGIN_SETTING.to_owned());
        Ok(value.await?.and_then(|value| String::from_utf8(value).ok()))
    }

    /// Makes the tables.
    pub(crate) async fn prepare(&mut self) -> Result<(), OpenError> {
        migrate_within(&mut self.tx, MIGRATIONS).await
    }

    /// The types of the columns of a table, which it has all of and no other.
    pub(crate) async fn types(&mut self, table: &Table) -> Result<Vec<Type>, TransferError> {
        const COLUMNS: &str = "SELECT CAST(column_name AS TEXT), CAST(data_type AS TEXT)
            FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = $1
            ORDER BY column_name COLLATE \"C\"";
        let name = table.name.as_str();
        let (mut names, mut types) = (Vec::new(), Vec::new());
        for mut row in self.tx.query(COLUMNS, &[name.into()]).await? {
            names.push(row.text()?);
            types.push(row.text()?);
        }
        let differs = |why: String| TransferError::Schema { table: name.to_owned(), why };
        if names != table.columns {
            return Err(differs(format!("{} and {}", table.columns.join(", "), names.join(", "))));
        }
        let known = |kind: &String| match kind.as_str() {
            "bigint" => Ok(Type::Int),
            "text" => Ok(Type::Text),
            "bytea" => Ok(Type::Blob),
            other => Err(differs(format!("a column is of the type {other}"))),
        };
        types.iter().map(known).collect()
    }

    /// Removes what the migrations have put into a table.
    pub(crate) async fn clear(&mut self, table: &Table) -> SqlResult<()> {
        let text = format!("DELETE FROM {}", table.quoted_name());
        let done = sqlx::query(AssertSqlSafe(text)).execute(self.connection()).await;
        done.map(drop).map_err(from_sqlx)
    }

    /// Writes rows.
    pub(crate) async fn insert(
        &mut self,
        table: &Table,
        types: &[Type],
        rows: &[Vec<Cell>],
    ) -> Result<(), TransferError> {
        let failed = |why: String| TransferError::Row { table: table.name.clone(), why };
        let mut query = sqlx::query(AssertSqlSafe(insert_text(table, types)));
        for (index, kind) in types.iter().enumerate() {
            let column = rows.iter().map(|row| row.get(index));
            query = bind_cells(query, *kind, column).map_err(|why| failed(why.to_owned()))?;
        }
        let done = query.execute(self.connection()).await;
        done.map(drop).map_err(|error| failed(error.to_string()))
    }

    /// The digest of a table as it is now.
    pub(crate) async fn digest(&mut self, table: &Table) -> SqlResult<Digest> {
        let text = format!("SELECT {} FROM {}", table.column_list(), table.quoted_name());
        let mut rows = sqlx::query(AssertSqlSafe(text)).fetch(self.connection());
        let mut digest = Digest::default();
        while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
            digest.add(&row_from(&row)?.into_cells());
        }
        Ok(digest)
    }

    /// Lets ids go on where they were.
    pub(crate) async fn set_sequences(
        &mut self,
        tables: &[(String, i64)],
        message_id: i64,
    ) -> SqlResult<()> {
        const OF_TABLE: &str = "SELECT setval(
                pg_get_serial_sequence(quote_ident(table_name), column_name), $2)
            FROM information_schema.columns
            WHERE table_schema = current_schema() AND table_name = $1 AND is_identity = 'YES'";
        const OF_MESSAGES: &str = "SELECT setval('message_ids', $1)";
        for (table, last) in tables.iter().filter(|(_, last)| *last > 0) {
            self.tx.query(OF_TABLE, &[table.as_str().into(), (*last).into()]).await?;
        }
        if message_id > 0 {
            self.tx.query(OF_MESSAGES, &[message_id.into()]).await?;
        }
        Ok(())
    }

    /// Writes which move has filled it.
    pub(crate) async fn put_origin(&mut self, id: &str) -> SqlResult<()> {
        let (name, value) = (ORIGIN_SETTING.to_owned(), id.as_bytes().to_vec());
        crate::accounts::replace_setting(&mut self.tx, name, value).await
    }

    /// Commits everything.
    pub(crate) async fn commit(mut self) -> SqlResult<()> {
        self.tx.execute("COMMIT", &[]).await.map(drop)
    }

    fn connection(&mut self) -> &mut PgConnection {
        match &mut self.tx.link {
            ConnectionRole::Postgres(link) => &mut link.connection,
            ConnectionRole::Sqlite(_) => unreachable!("made by Target::begin"),
        }
    }
}

fn insert_text(table: &Table, types: &[Type]) -> String {
    let array = |(index, kind): (usize, &Type)| format!("${}::{}[]", index + 1, sql_name(*kind));
    let arrays = types.iter().enumerate().map(array).collect::<Vec<_>>().join(",");
    let (name, columns) = (table.quoted_name(), table.column_list());
    format!("INSERT INTO {name} ({columns}) SELECT * FROM unnest({arrays})")
}

/// One column of all rows, as an array.
fn bind_cells<'q, 'c: 'q>(
    query: Query<'q, Postgres, PgArguments>,
    kind: Type,
    column: impl Iterator<Item = Option<&'c Cell>>,
) -> Result<Query<'q, Postgres, PgArguments>, &'static str> {
    macro_rules! values {
        ($cell:ident, $value:ident => $given:expr, $kind:ty) => {{
            let value = |cell: Option<&'c Cell>| match cell {
                Some(Cell::$cell($value)) => Ok(Some($given)),
                Some(Cell::Null) => Ok(None),
                _ => Err("a value is not of its column's type"),
            };
            column.map(value).collect::<Result<Vec<Option<$kind>>, _>>()?
        }};
    }
    Ok(match kind {
        Type::Int => query.bind(values!(Int, value => *value, i64)),
        Type::Text => query.bind(values!(Text, value => value.as_str(), &'c str)),
        Type::Blob => query.bind(values!(Blob, value => value.as_slice(), &'c [u8])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_must_name_the_database_that_is_filled() {
        for url in ["postgres://postgres@127.0.0.1:1", "postgres://postgres@127.0.0.1:1/"] {
            match Target::begin(url).await.map(drop) {
                Err(OpenError::Unfit { why, .. }) => assert!(why.contains("/DATABASE"), "{why}"),
                other => panic!("{url}: {other:?}"),
            }
        }
    }
}
