//! Linking a device whose account wants a passkey.

use std::time::Duration;

use domain::device::{DeviceNotice, DeviceStatus, PairMethod, PairOffer};
use domain::error::Error;
use domain::ids::DeviceId;
use domain::passkey::{Assertion, PasskeyRefusal, PasskeyStep};
use domain::ports::{Dispatcher, MessengerEvent};
use futures_util::StreamExt;
use testkit::scripted_messenger::Call;

use crate::test_gateway::{TestGateway, linked};

fn offer(step: PasskeyStep, expires_in_s: u64) -> MessengerEvent {
    let request = "{}".to_owned();
    MessengerEvent::Offer(PairOffer::Passkey { request, step, expires_in_s })
}

fn confirm() -> PasskeyStep {
    PasskeyStep::Confirm("ABCD-1234".to_owned())
}

fn assertion() -> Assertion {
    let (credential_id, client_data_json) = (vec![1], vec![1]);
    let (authenticator_data, signature) = (vec![1], vec![1]);
    Assertion { credential_id, client_data_json, authenticator_data, signature, user_handle: None }
}

fn step(offer: Option<PairOffer>) -> Option<PasskeyStep> {
    match offer? {
        PairOffer::Passkey { step, .. } => Some(step),
        _ => None,
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> PasskeyRefusal {
    match result {
        Err(Error::Passkey(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// A gateway with a device that WhatsApp has just asked for a passkey.
async fn asked() -> (TestGateway, DeviceId) {
    let gateway = TestGateway::new().await;
    gateway.start().await;
    let device = gateway.device().await;
    let given = gateway.engine.give_passkey(device, assertion()).await;
    assert_eq!(refusal(given), PasskeyRefusal::NotRequested, "it is not being linked");
    gateway.engine.pair(device, PairMethod::Qr).await.unwrap();
    let given = gateway.engine.give_passkey(device, assertion()).await;
    assert_eq!(refusal(given), PasskeyRefusal::NotRequested, "the phone has not scanned");
    let mut notices = gateway.engine.watch(device);
    gateway.messenger.emit(device, offer(PasskeyStep::Requested, 600));
    while !matches!(notices.next().await.unwrap(), DeviceNotice::Status(_)) {}
    (gateway, device)
}

#[tokio::test(start_paused = true)]
async fn a_passkey_is_given_and_confirmed() {
    let (gateway, device) = asked().await;
    let shown = gateway.stored_device(device).await;
    assert_eq!(shown.status, DeviceStatus::Pairing);
    assert!(shown.reason.unwrap().contains("asks for a passkey"));
    assert_eq!(refusal(gateway.engine.confirm_passkey(device).await), PasskeyRefusal::NoCode);

    let (engine, messenger) = (gateway.engine.clone(), gateway.messenger.clone());
    let given = tokio::spawn(async move { engine.give_passkey(device, assertion()).await });
    messenger.until(|messenger| messenger.calls().contains(&Call::Passkey(device))).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    messenger.emit(device, offer(confirm(), 590));
    assert_eq!(step(given.await.unwrap().ok()), Some(confirm()));
    let again = gateway.engine.give_passkey(device, assertion()).await;
    assert_eq!(refusal(again), PasskeyRefusal::AlreadyGiven);
    assert_eq!(step(gateway.engine.pairing(device).await.unwrap()), Some(confirm()));

    let engine = gateway.engine.clone();
    let confirmed = tokio::spawn(async move { engine.confirm_passkey(device).await });
    messenger.until(|messenger| messenger.calls().contains(&Call::ConfirmPasskey(device))).await;
    messenger.phone_links(device, linked("62811"));
    confirmed.await.unwrap().unwrap();
    gateway.until_status(device, DeviceStatus::Connected).await;
    assert_eq!(gateway.engine.pairing(device).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_takes_its_time_is_not_waited_for() {
    let (gateway, device) = asked().await;
    let given = gateway.engine.give_passkey(device, assertion()).await;
    assert_eq!(step(given.ok()), Some(PasskeyStep::Accepted));
    gateway.messenger.emit(device, offer(confirm(), 500));
    gateway.until_status(device, DeviceStatus::Pairing).await;
    // A QR that comes late takes nothing back.
    let qr = PairOffer::Qr { code: "2@late".into(), expires_in_s: 20 };
    gateway.messenger.emit(device, MessengerEvent::Offer(qr));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(step(gateway.engine.pairing(device).await.unwrap()), Some(confirm()));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_passkey_leaves_the_challenge_and_time_ends_it() {
    let (gateway, device) = asked().await;
    gateway.messenger.rejects_passkeys(true);
    let given = gateway.engine.give_passkey(device, assertion()).await;
    assert_eq!(refusal(given), PasskeyRefusal::Rejected);
    assert_eq!(step(gateway.engine.pairing(device).await.unwrap()), Some(PasskeyStep::Requested));
    tokio::time::sleep(Duration::from_secs(600)).await;
    let late = gateway.engine.give_passkey(device, assertion()).await;
    assert_eq!(refusal(late), PasskeyRefusal::Expired);
    gateway.messenger.emit(device, MessengerEvent::PairingFailed("too late".into()));
    let failed = gateway.until_status(device, DeviceStatus::Unpaired).await;
    assert_eq!(failed.reason.as_deref(), Some("too late"));
    // The task may have retired by now, and with it what it knew.
    let late = refusal(gateway.engine.confirm_passkey(device).await);
    assert!(matches!(late, PasskeyRefusal::Expired | PasskeyRefusal::NotRequested), "{late:?}");
}
