//! Callers that hang up while their request is committed.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use domain::ids::MessageId;
use domain::ports::MessageStore as _;
use futures_util::FutureExt as _;
use support::Database;
use testkit::store_conformance::{World, new_messages};
use tokio::time::timeout;

on_both_databases!(what_was_accepted_for_a_caller_that_is_gone_is_reported_once);

/// Longest wait for a commit, and for what must not come.
const COMMIT_MAX: Duration = Duration::from_secs(5);
const NOTHING_WAIT: Duration = Duration::from_millis(50);

async fn what_was_accepted_for_a_caller_that_is_gone_is_reported_once(database: &Database) {
    let store = database.open().await;
    let world = World::new(store.clone()).await;
    // A caller that waits for the answer has it, and nothing is reported.
    new_messages(store.accept(world.request(vec![world.text(1)])).await.unwrap());
    assert!(timeout(NOTHING_WAIT, store.unheard()).await.is_err());
    let request = world.request(vec![world.text(2), world.text(3)]);
    assert!(store.accept(request).now_or_never().is_none(), "it takes a commit");
    let unheard = timeout(COMMIT_MAX, store.unheard()).await.unwrap();
    let ids: Vec<MessageId> = unheard.iter().map(|entry| entry.id).collect();
    let waiting = store.outbox().await.unwrap();
    assert_eq!(waiting.len(), 3);
    assert_eq!(ids, [waiting[1].id, waiting[2].id]);
    assert!(timeout(NOTHING_WAIT, store.unheard()).await.is_err(), "once");
    store.close().await;
}
