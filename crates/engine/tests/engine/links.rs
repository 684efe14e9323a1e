//! What a start makes of devices that were being paired when the gateway ended.

use domain::device::{DeviceStatus, PairMethod};
use domain::error::{Error, StoreError};
use domain::ids::DeviceId;
use domain::phone::PhoneNumber;
use domain::ports::Dispatcher;
use testkit::scripted_messenger::Call;

use crate::test_gateway::{TestGateway, linked};

/// A gateway, not started yet, whose former process ended while it paired a device.
async fn cut_short() -> (TestGateway, DeviceId) {
    let mut gateway = TestGateway::new().await;
    gateway.start().await;
    let device = gateway.device().await;
    gateway.engine.pair(device, PairMethod::Qr).await.unwrap();
    gateway.restart().await;
    assert_eq!(gateway.stored_device(device).await.status, DeviceStatus::Pairing);
    (gateway, device)
}

fn has_paired(gateway: &TestGateway) -> bool {
    gateway.messenger.calls().iter().any(|call| matches!(call, Call::Pair(..)))
}

#[tokio::test(start_paused = true)]
async fn pairing_that_a_crash_cut_short_has_failed() {
    let (gateway, device) = cut_short().await;
    gateway.start().await;
    gateway.until_status(device, DeviceStatus::Unpaired).await;
    gateway.link(device, "62811").await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_a_crash_kept_out_of_the_row_goes_on() {
    let (gateway, device) = cut_short().await;
    gateway.messenger.set_linked(device, [Ok(Some(linked("62811")))]);
    gateway.start().await;
    let connected = gateway.until_status(device, DeviceStatus::Connected).await;
    assert_eq!(connected.phone, Some(PhoneNumber::from_digits("62811")));
    assert!(!has_paired(&gateway), "it is not paired anew");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_cannot_be_read_yet_is_not_taken_for_none() {
    let (gateway, device) = cut_short().await;
    let away = || Err(Error::Store(StoreError::Unavailable("away".into())));
    gateway.messenger.set_linked(device, [away(), away(), Ok(Some(linked("62811")))]);
    gateway.start().await;
    gateway.until_status(device, DeviceStatus::Connected).await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_pair_right_after_a_start_does_not_erase_a_link() {
    let (gateway, device) = cut_short().await;
    gateway.messenger.set_linked(device, [Ok(Some(linked("62811")))]);
    gateway.start().await;
    let refused = gateway.engine.pair(device, PairMethod::Qr).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict(_)), "{refused}");
    gateway.until_status(device, DeviceStatus::Connected).await;
    assert!(!has_paired(&gateway), "the session of the link is kept");
}

#[tokio::test(start_paused = true)]
async fn who_asks_to_pair_right_after_a_start_gets_an_offer_where_nothing_was_linked() {
    let (gateway, device) = cut_short().await;
    gateway.start().await;
    gateway.engine.pair(device, PairMethod::Qr).await.unwrap();
    assert!(has_paired(&gateway));
    assert_eq!(gateway.stored_device(device).await.status, DeviceStatus::Pairing);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_deleted_before_its_link_is_read_is_unlinked() {
    let (gateway, device) = cut_short().await;
    gateway.messenger.set_linked(device, [Ok(Some(linked("62811")))]);
    gateway.start().await;
    gateway.engine.remove(gateway.account, device).await.unwrap();
    assert!(gateway.messenger.calls().contains(&Call::Logout(device)));
}
