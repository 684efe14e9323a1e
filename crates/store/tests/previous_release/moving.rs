//! Moving the kept database to PostgreSQL.

use std::collections::BTreeMap;

use domain::ports::AccountStore as _;
use store::{OpenError, TransferError, transfer};
use testkit::store_conformance::{ALL, NOW, key, new_account};
use uuid::Uuid;

use crate::kept;
use crate::support::{Schema, SqliteFile};

/// What is about the SQLite file itself, and stays there.
const OF_THE_FILE: [&str; 4] = ["counters", "recent_keys", "schema_version", "schema_migrations"];

/// The kept database, migrated, with a row in every table at least.
async fn full() -> SqliteFile {
    let (file, store) = kept().await;
    store.close().await;
    let connection = file.connection();
    for table in tables(&file) {
        let count = format!("SELECT count(*) FROM {table}");
        if connection.query_row::<i64, _, _>(&count, [], |row| row.get(0)).unwrap() > 0 {
            continue;
        }
        let values: Vec<&str> = columns(&file, &table)
            .iter()
            .map(|(_, kind)| match kind.as_str() {
                "TEXT" => "'text ö'",
                "BLOB" => "x'00ff'",
                _ => "7",
            })
            .collect();
        let insert = format!("INSERT INTO {table} VALUES ({})", values.join(","));
        connection.execute_batch(&insert).unwrap();
    }
    file
}

fn tables(file: &SqliteFile) -> Vec<String> {
    let connection = file.connection();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut statement = connection.prepare(names).unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    names.into_iter().filter(|name| !OF_THE_FILE.contains(&name.as_str())).collect()
}

/// Names and types, in the order of the table.
fn columns(file: &SqliteFile, table: &str) -> Vec<(String, String)> {
    let connection = file.connection();
    let mut statement = connection.prepare("SELECT name, type FROM pragma_table_info(?1)").unwrap();
    let rows = statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

/// The rows of a query's table as one text each: hexadecimal digits of every value, in any order.
fn select(table: &str, values: Vec<String>) -> String {
    format!("SELECT {} FROM {table}", values.join(" || '|' || "))
}

fn rows_here(file: &SqliteFile, table: &str) -> Vec<String> {
    let value = |(name, _)| {
        format!("CASE WHEN \"{name}\" IS NULL THEN '-' ELSE hex(CAST(\"{name}\" AS BLOB)) END")
    };
    let select = select(table, columns(file, table).into_iter().map(value).collect());
    let connection = file.connection();
    let mut statement = connection.prepare(&select).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    let mut rows: Vec<String> = rows.map(Result::unwrap).collect();
    rows.sort();
    rows
}

async fn rows_there(file: &SqliteFile, schema: &Schema, table: &str) -> Vec<String> {
    let value = |(name, kind): (String, String)| {
        let bytes = match kind.as_str() {
            "BLOB" => format!("\"{name}\""),
            _ => format!("convert_to(CAST(\"{name}\" AS TEXT), 'UTF8')"),
        };
        format!("coalesce(upper(encode({bytes}, 'hex')), '-')")
    };
    let select = select(table, columns(file, table).into_iter().map(value).collect());
    let mut rows = schema.texts(&select).await;
    rows.sort();
    rows
}

async fn is_empty(schema: &Schema) -> bool {
    let count = "SELECT CAST(count(*) AS TEXT) FROM pg_class
        WHERE relnamespace = current_schema()::regnamespace";
    schema.texts(count).await == ["0"]
}

async fn refusal(file: &SqliteFile) -> String {
    let refused = store::open(&file.url()).await.err().expect("a refusal");
    assert!(matches!(refused, OpenError::Moved { .. } | OpenError::Moving { .. }), "{refused}");
    refused.to_string()
}

/// The mark of a move, as it is stored.
fn mark(file: &SqliteFile, id: Uuid, to: &str, is_done: bool) {
    let mark = format!("{{\"id\":\"{id}\",\"to\":\"{to}\",\"is_done\":{is_done}}}");
    let put = "INSERT OR REPLACE INTO settings (name, value) VALUES ('moved', CAST(?1 AS BLOB))";
    file.connection().execute(put, [mark]).unwrap();
}

#[tokio::test]
async fn every_row_of_every_table_is_moved_and_ids_go_on() {
    let (file, schema) = (full().await, Schema::new().await);
    // In PostgreSQL all keys are in one table.
    let recent = "INSERT INTO recent_keys SELECT 1, account_id, 'recent', request_hash, message_ids, created_at
        FROM idempotency LIMIT 1";
    file.connection().execute_batch(recent).unwrap();
    let mut before: BTreeMap<_, _> =
        tables(&file).into_iter().map(|table| (table.clone(), rows_here(&file, &table))).collect();
    let moved = transfer(&file.path(), &schema.url(), Uuid::from_u128(1)).await.unwrap();
    let keys = rows_here(&file, "idempotency");
    assert_eq!(keys.len(), before["idempotency"].len() + 1, "the recent one is among them");
    before.insert("idempotency".to_owned(), keys);
    let counted: BTreeMap<_, _> =
        moved.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect();
    assert_eq!(counted.len(), before.len());
    for (table, before) in &before {
        assert!(!before.is_empty(), "{table}");
        assert_eq!(counted[table.as_str()], before.len() as u64, "{table}");
        let mut there = rows_there(&file, &schema, table).await;
        // Where it came from is one more.
        there.retain(|row| table != "settings" || !row.starts_with("6D6F7665645F66726F6D"));
        assert_eq!(&there, before, "{table}");
    }
    assert!(refusal(&file).await.contains("was moved to postgres://"));
    let again = transfer(&file.path(), &schema.url(), Uuid::from_u128(2)).await;
    assert!(matches!(again, Err(TransferError::Open(OpenError::Moved { .. }))), "{again:?}");
    let store = store::open(&schema.url()).await.unwrap();
    let newest = store.accounts(ALL).await.unwrap().items[0].id;
    let made = store.create_account(new_account("after@example.com"), key(99), NOW).await.unwrap();
    assert!(made.unwrap().id > newest);
    store.close().await;
    schema.drop().await;
}

#[tokio::test]
async fn nothing_is_moved_while_a_gateway_runs_or_into_what_is_not_empty() {
    let (file, schema) = (full().await, Schema::new().await);
    let move_it = async || transfer(&file.path(), &schema.url(), Uuid::from_u128(1)).await;
    let store = store::open(&file.url()).await.unwrap();
    let refused = move_it().await;
    assert!(matches!(refused, Err(TransferError::Open(OpenError::InUse(_)))), "{refused:?}");
    store.close().await;
    schema.execute("CREATE TABLE mine (id BIGINT)").await;
    let refused = move_it().await;
    assert!(matches!(refused, Err(TransferError::NotEmpty { .. })), "{refused:?}");
    schema.execute("DROP TABLE mine").await;
    // PostgreSQL has no such texts.
    file.connection().execute_batch("UPDATE accounts SET name = 'a' || char(0)").unwrap();
    let refused = move_it().await;
    let Err(TransferError::Row { table, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(table, "accounts");
    assert!(is_empty(&schema).await);
    store::open(&file.url()).await.unwrap().close().await;
    schema.drop().await;
}

#[tokio::test]
async fn a_move_that_was_interrupted_is_taken_up_again() {
    let (file, schema) = (full().await, Schema::new().await);
    let to = store::address(&schema.url()).unwrap();
    let id = Uuid::from_u128(1);
    // Before the last step: nothing is there.
    mark(&file, id, &to, false);
    assert!(refusal(&file).await.contains("interrupted"));
    let moved = transfer(&file.path(), &schema.url(), id).await.unwrap();
    assert!(moved.tables.len() > 10);
    // After it: everything is.
    mark(&file, id, &to, false);
    let moved = transfer(&file.path(), &schema.url(), Uuid::from_u128(2)).await.unwrap();
    assert!(moved.tables.is_empty());
    assert!(refusal(&file).await.contains("was moved"));
    // Another database was filled by somebody else.
    mark(&file, Uuid::from_u128(3), &to, false);
    let refused = transfer(&file.path(), &schema.url(), id).await;
    assert!(matches!(refused, Err(TransferError::NotEmpty { .. })), "{refused:?}");
    schema.drop().await;
}
