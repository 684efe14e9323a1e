//! Linking a number whose account wants a passkey.

use domain::device::{PairMethod, PairOffer};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::passkey::{PasskeyRefusal, PasskeyStep};
use domain::phone::PhoneNumber;
use domain::ports::{Messenger, MessengerEvent};
use serde_json::json;

use crate::authenticator::Authenticator;
use crate::world::{OURS, THEIRS, World, chat, new_device};

/// The challenge that comes, and how many seconds it is valid.
async fn challenge(world: &World, device: DeviceId) -> (String, u64) {
    let read = |event: &MessengerEvent| match event {
        MessengerEvent::Offer(PairOffer::Passkey {
            request,
            step: PasskeyStep::Requested,
            expires_in_s,
        }) => Some((request.clone(), *expires_in_s)),
        _ => None,
    };
    world.recorder.event(device, "a challenge", read).await
}

async fn code(world: &World, device: DeviceId) -> String {
    let read = |event: &MessengerEvent| match event {
        MessengerEvent::Offer(PairOffer::Passkey { step, .. }) => step.code().map(str::to_owned),
        _ => None,
    };
    world.recorder.event(device, "a code to compare", read).await
}

fn refusal(result: Result<(), Error>) -> PasskeyRefusal {
    match result {
        Err(Error::Passkey(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn field(result: Result<(), Error>) -> String {
    match result {
        Err(Error::Invalid { field: "assertion", message }) => message,
        other => panic!("{other:?}"),
    }
}

/// Answers the challenge, compares the codes, and waits for the link.
async fn finish(world: &World, device: DeviceId, passkey: &Authenticator) {
    let (request, valid_s) = challenge(world, device).await;
    assert!((590..=600).contains(&valid_s), "{valid_s}");
    world.messenger.give_passkey(device, passkey.answer(&request)).await.unwrap();
    let code = code(world, device).await;
    assert_eq!(world.sim.phone(OURS).await["passkey_code"], code.as_str());
    world.messenger.confirm_passkey(device).await.unwrap();
    assert_eq!(world.paired(device).await.phone.as_str(), OURS);
    world.connected(device).await;
}

#[tokio::test]
async fn a_number_is_linked_by_qr_and_passkey() {
    let world = World::new().await;
    let passkey = Authenticator::new();
    world.sim.put_phone(OURS, json!({ "passkey": passkey.registration() })).await;
    let device = new_device();
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let qr = world.qr(device).await;
    assert_eq!(world.sim.scan(OURS, &qr).await, json!({ "passkey": "demanded" }));
    finish(&world, device, &passkey).await;
    let refused = world.messenger.confirm_passkey(device).await;
    assert_eq!(refusal(refused), PasskeyRefusal::NotRequested, "it is over");
    world.send(device, &chat(THEIRS), "hello").await;
}

#[tokio::test]
async fn a_number_is_linked_by_code_and_passkey() {
    let world = World::new().await;
    let passkey = Authenticator::new();
    world.sim.put_phone(OURS, json!({ "passkey": passkey.registration() })).await;
    let device = new_device();
    let phone = PhoneNumber::from_digits(OURS);
    world.messenger.pair(device, PairMethod::Code(phone)).await.unwrap();
    let read = |event: &MessengerEvent| match event {
        MessengerEvent::Offer(PairOffer::Code { code, .. }) => Some(code.clone()),
        _ => None,
    };
    let typed = world.recorder.event(device, "code", read).await;
    world.sim.call("POST", &format!("/phones/{OURS}/enter-code"), json!({ "code": typed })).await;
    finish(&world, device, &passkey).await;
}

#[tokio::test]
async fn wrong_answers_are_refused_and_another_may_be_tried() {
    let world = World::new().await;
    let (passkey, other) = (Authenticator::new(), Authenticator::new());
    world.sim.put_phone(OURS, json!({ "passkey": passkey.registration() })).await;
    let device = new_device();
    let early = world.messenger.give_passkey(device, passkey.answer(SOME_CHALLENGE)).await;
    assert_eq!(refusal(early), PasskeyRefusal::NotRequested);
    world.messenger.pair(device, PairMethod::Qr).await.unwrap();
    let qr = world.qr(device).await;
    world.sim.scan(OURS, &qr).await;
    let (request, _) = challenge(&world, device).await;

    let give = async |assertion| world.messenger.give_passkey(device, assertion).await;
    let why = field(give(passkey.answer(SOME_CHALLENGE)).await);
    assert_eq!(why, "answers another challenge than the one that runs");
    let elsewhere = request.replace("whatsapp.com", "example.com");
    let why = field(give(passkey.answer(&elsewhere)).await);
    assert_eq!(why, "was made for another site than WhatsApp's");
    assert_eq!(refusal(give(other.answer(&request)).await), PasskeyRefusal::Rejected);
    give(passkey.answer(&request)).await.unwrap();
    code(&world, device).await;
    world.messenger.confirm_passkey(device).await.unwrap();
    world.paired(device).await;
}

const SOME_CHALLENGE: &str = r#"{"challenge":"AQID","rpId":"whatsapp.com"}"#;
