//! Linking a number: by QR, by code, with a passkey, and not at all.

use domain::device::{PairMethod, PairOffer};
use domain::phone::PhoneNumber;
use domain::ports::{Messenger, MessengerEvent};
use serde_json::json;

use crate::world::{OURS, World, new_device};

#[tokio::test]
async fn a_number_is_linked_by_qr() {
    let world = World::new().await;
    let device = new_device();
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let qr = world.qr(device).await;
    world.sim.scan(OURS, &qr).await;
    // The phone lists it: a crash could come now.
    let stored = world.messenger.linked(device).await.unwrap().unwrap();
    let linked = world.paired(device).await;
    assert_eq!(stored, linked);
    assert_eq!(linked.phone.as_str(), OURS);
    assert!(linked.lid.unwrap().as_str().ends_with("@lid"));
    world.connected(device).await;
    let lost = |event: &MessengerEvent| matches!(event, MessengerEvent::Disconnected(_));
    assert!(!world.recorder.heard(device).iter().any(lost), "515 after linking is no loss");
}

/// WhatsApp closes the connection as soon as a phone has scanned; word of the link may come later.
#[tokio::test(flavor = "multi_thread")]
async fn many_numbers_are_linked_at_once() {
    let world = World::new().await;
    for round in 0..8 {
        let numbers = (0..10).map(|n| format!("62813{:08}", round * 10 + n));
        let links = numbers.map(|number| {
            let world = &world;
            async move { world.link(&number).await }
        });
        futures_util::future::join_all(links).await;
    }
}

#[tokio::test]
async fn a_number_is_linked_by_code() {
    let world = World::new().await;
    let device = new_device();
    let phone = PhoneNumber::from_digits(OURS);
    world.messenger.pair(device, PairMethod::Code(phone)).await.unwrap();
    let read = |event: &MessengerEvent| match event {
        MessengerEvent::Offer(PairOffer::Code { code, expires_in_s }) => {
            assert!(*expires_in_s > 60);
            Some(code.clone())
        }
        MessengerEvent::Offer(PairOffer::Qr { .. }) => panic!("a QR without a request"),
        _ => None,
    };
    let code = world.recorder.event(device, "code", read).await;
    world.sim.call("POST", &format!("/phones/{OURS}/enter-code"), json!({ "code": code })).await;
    assert_eq!(world.paired(device).await.phone.as_str(), OURS);
    world.connected(device).await;
}

#[tokio::test]
async fn without_a_server_linking_fails_in_words() {
    let mut world = World::new().await;
    world.sim.close().await;
    let device = new_device();
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let failed = MessengerEvent::PairingFailed("WhatsApp cannot be reached".to_owned());
    world.heard(device, failed).await;
    assert!(!world.has_session(device).await);
}

#[tokio::test]
async fn another_attempt_takes_the_place_of_the_first() {
    let world = World::new().await;
    let device = new_device();
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let first = world.qr(device).await;
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let second = world.qr(device).await;
    assert_ne!(first, second);
    world.sim.scan(OURS, &second).await;
    world.paired(device).await;
    world.connected(device).await;
}
