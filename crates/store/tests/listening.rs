//! What listens for hints takes no connection of those who read and write.

use std::time::Duration;

use domain::ids::{AccountId, MessageId};
use domain::ports::MessageStore as _;
use sqlx::{Connection as _, PgConnection};

mod support;

/// Most connections for reading and writing.
const CONNECTIONS: i64 = 12;

#[tokio::test]
async fn a_listener_takes_no_connection_of_readers() {
    const WAITING: &str = "SELECT CAST(count(*) AS TEXT) FROM pg_locks
        WHERE NOT granted AND relation = 'messages'::regclass";
    let schema = support::Schema::new().await;
    let store = store::open(&schema.url()).await.expect("a database");
    // It has begun to listen by then.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut lock = PgConnection::connect(&schema.url()).await.expect("the test server");
    let begin = sqlx::raw_sql("BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE");
    begin.execute(&mut lock).await.expect("a lock");
    let read = |id| {
        let store = store.clone();
        tokio::spawn(async move { store.message(AccountId(1), MessageId(id)).await })
    };
    let reads: Vec<_> = (0..CONNECTIONS).map(read).collect();
    let all_wait = async {
        while schema.texts(WAITING).await != [CONNECTIONS.to_string()] {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, all_wait).await.expect("every connection reads");
    lock.close().await.expect("a closed connection");
    for read in reads {
        assert_eq!(read.await.expect("a read").expect("an answer"), None);
    }
    store.close().await;
    schema.drop().await;
}
