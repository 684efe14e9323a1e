//! A node that has waited for another one's lock on an account sees what was committed meanwhile.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use domain::ids::MessageId;
use domain::ports::{Acceptance, Accepted, MessageStore as _};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use store::SqlStore;
use support::Schema;
use testkit::store_conformance::{World, idempotency, new_messages};
use tokio::time::timeout;

/// How long it may take until a request waits.
const WAIT_MAX: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_device_that_was_deleted_meanwhile_sends_nothing() {
    let schema = Schema::new().await;
    let store = store::open(&schema.url()).await.unwrap();
    let world = World::new(store.clone()).await;
    let change = format!("DELETE FROM devices WHERE id = '{}'", world.device.id);
    let request = world.request(vec![world.text(1)]);
    let answer = accepted_after(&schema, &world, request, &change).await;
    assert!(matches!(answer, Accepted::DeviceGone), "{answer:?}");
    assert!(world.store.outbox().await.unwrap().is_empty());
    store.close().await;
    schema.drop().await;
}

#[tokio::test]
async fn a_key_that_was_used_meanwhile_makes_no_second_message() {
    let schema = Schema::new().await;
    let store = store::open(&schema.url()).await.unwrap();
    let world = World::new(store.clone()).await;
    let keyed = |key, n| Acceptance {
        idempotency: Some(idempotency(key, 1)),
        ..world.request(vec![world.text(n)])
    };
    let first = new_messages(world.store.accept(keyed("first", 1)).await.unwrap());
    // As if another node had accepted that request under the second key.
    let change = "INSERT INTO idempotency (account_id, name, request_hash, message_ids, created_at)
        SELECT account_id, replace(name, 'first', 'second'), request_hash, message_ids, created_at
        FROM idempotency";
    match accepted_after(&schema, &world, keyed("second", 2), change).await {
        Accepted::Repeated(messages) => assert_eq!(messages, first),
        other => panic!("{other:?}"),
    }
    assert_eq!(world.store.outbox().await.unwrap().len(), 1);
    store.close().await;
    schema.drop().await;
}

/// Ids of an account grow in the order of commits. Where nodes take turns each needs new ones for every commit.
#[tokio::test]
async fn ids_are_drawn_before_the_lock_where_nodes_take_turns() {
    const LAST_DRAWN: &str = "SELECT CAST(last_value AS TEXT) FROM message_ids";
    let schema = Schema::new().await;
    let first = store::open(&schema.url()).await.unwrap();
    let second = store::open(&schema.url()).await.unwrap();
    let world = World::new(first.clone()).await;
    let mut ids = Vec::new();
    for n in 0..2 {
        ids.push(accept(&world, &first, 2 * n).await);
        ids.push(accept(&world, &second, 2 * n + 1).await);
    }
    let before = schema.texts(LAST_DRAWN).await;
    let change = "CREATE TABLE seen AS SELECT last_value FROM message_ids";
    let request = world.request(vec![world.text(9)]);
    let answer = accepted_after(&schema, &world, request, change).await;
    ids.push(new_messages(answer)[0].id);
    let seen = schema.texts("SELECT CAST(last_value AS TEXT) FROM seen").await;
    assert_ne!(seen, before, "drawn while it waited");
    assert_eq!(schema.texts(LAST_DRAWN).await, seen, "and not again under the lock");
    assert!(ids.is_sorted(), "{ids:?}");
    first.close().await;
    second.close().await;
    schema.drop().await;
}

/// A text is accepted by one of the nodes.
async fn accept(world: &World, at: &SqlStore, n: u64) -> MessageId {
    let request = world.request(vec![world.text(n)]);
    new_messages(at.accept(request).await.unwrap())[0].id
}

/// What a request is answered that waits for its account while another process makes a change under the lock on it.
async fn accepted_after(
    schema: &Schema,
    world: &World,
    request: Acceptance,
    change: &str,
) -> Accepted {
    let mut other = PgConnection::connect(&schema.url()).await.unwrap();
    let account = world.account.id.0;
    let lock =
        format!("BEGIN; SELECT account_id FROM usage WHERE account_id = {account} FOR UPDATE");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut other).await.unwrap();
    let pid = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut other).await;
    let pid: i32 = pid.unwrap();
    let store = Arc::clone(&world.store);
    let answer = tokio::spawn(async move { store.accept(request).await.unwrap() });
    let waiting = format!(
        "SELECT CAST(count(*) AS TEXT) FROM pg_stat_activity
         WHERE {pid} = ANY(pg_blocking_pids(pid))"
    );
    let is_waiting = async { while schema.texts(&waiting).await == ["0"] {} };
    timeout(WAIT_MAX, is_waiting).await.unwrap();
    let end = format!("{change}; COMMIT");
    sqlx::raw_sql(AssertSqlSafe(end)).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    answer.await.unwrap()
}
