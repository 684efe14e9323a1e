//! How many statements PostgreSQL is sent for requests that are accepted: each is a round trip, and from the
//! second one on all others of the account wait.
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::atomic::Ordering;

use domain::grant::NewGrant;
use domain::ports::Acceptance;
use domain::request_file::RequestFile;
use support::Schema;
use testkit::store_conformance::{NOW, World, idempotency, new_messages};

/// BEGIN, the locks on the accounts, what is read, what is written, COMMIT.
const OF_A_GROUP: u64 = 5;

// Alone in its file: what is counted is the process's.
#[tokio::test]
async fn a_group_is_accepted_in_five_round_trips_whatever_it_writes() {
    let schema = Schema::new().await;
    let store = store::open(&schema.url()).await.unwrap();
    let world = World::new(store.clone()).await;
    // Message ids are drawn with the first one.
    world.send(1).await;

    let texts = world.request(vec![world.text(2), world.text(3)]);
    assert_eq!(cost(&world, texts).await, OF_A_GROUP, "texts");
    let keyed = Acceptance {
        idempotency: Some(idempotency("a key", 1)),
        ..world.request(vec![world.text(4)])
    };
    assert_eq!(cost(&world, keyed).await, OF_A_GROUP, "with a key");
    let mut picture = world.text(5);
    picture.inline_file = Some(RequestFile::of(b"a picture"));
    assert_eq!(cost(&world, world.request(vec![picture])).await, OF_A_GROUP, "with a file");
    let grant =
        NewGrant { account_id: world.account.id, device_id: None, messages: 1, expires_at: None };
    world.store.add_grant(grant, NOW).await.unwrap().unwrap();
    let all = Acceptance {
        idempotency: Some(idempotency("another key", 2)),
        ..world.request(vec![world.text(6), world.text(7)])
    };
    assert_eq!(cost(&world, all).await, OF_A_GROUP, "paid by a grant and the plan, with a key");
    let grants = world.store.grants(world.account.id).await.unwrap();
    assert_eq!(grants.iter().map(|grant| grant.used).collect::<Vec<_>>(), [1]);

    store.close().await;
    schema.drop().await;
}

/// The statements of a request that is accepted.
async fn cost(world: &World, request: Acceptance) -> u64 {
    let before = store::ROUND_TRIPS.load(Ordering::Relaxed);
    new_messages(world.store.accept(request).await.unwrap());
    store::ROUND_TRIPS.load(Ordering::Relaxed) - before
}
