//! How many statements PostgreSQL is sent: each is a round trip. Of a request that is accepted all others of the
//! account wait from the second one on.
// They are counted in debug builds only.
#![cfg(debug_assertions)]
#![expect(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::sync::atomic::Ordering;

use domain::chat::Lid;
use domain::contact::Identity;
use domain::grant::NewGrant;
use domain::phone::PhoneNumber;
use domain::ports::Acceptance;
use domain::request_file::RequestFile;
use support::Schema;
use testkit::store_conformance::{NOW, World, idempotency, new_messages};

/// BEGIN, the locks on the accounts, what is read, what is written, COMMIT.
const OF_A_GROUP: u64 = 5;
/// BEGIN, what is known of both names, the lock on the device, whether anything is stored under the LID, what is
/// known now, COMMIT.
const OF_A_NEW_PERSON: u64 = 7;

// Alone in its file: what is counted is the process's.
#[tokio::test]
async fn what_is_accepted_and_who_is_new_takes_few_round_trips() {
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

    let identity =
        Identity { phone: PhoneNumber::from_digits("628999"), lid: Lid::from_user("99") };
    let before = store::ROUND_TRIPS.load(Ordering::Relaxed);
    world.store.identify(world.device.id, vec![identity], NOW).await.unwrap();
    let trips = store::ROUND_TRIPS.load(Ordering::Relaxed) - before;
    assert_eq!(trips, OF_A_NEW_PERSON, "somebody of whom nothing is stored");

    store.close().await;
    schema.drop().await;
}

/// The statements of a request that is accepted.
async fn cost(world: &World, request: Acceptance) -> u64 {
    let before = store::ROUND_TRIPS.load(Ordering::Relaxed);
    new_messages(world.store.accept(request).await.unwrap());
    store::ROUND_TRIPS.load(Ordering::Relaxed) - before
}
