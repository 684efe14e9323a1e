//! Pairing, logging in, being replaced and unpaired.

use std::time::Duration;

use super::client::attr;
use super::{Client, number, simulator};
use crate::phone::pairing::QrCode;

#[tokio::test]
async fn a_scanned_client_becomes_a_device() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let client = Client::paired(&simulator, number("628111"), 1).await;
    assert_eq!(client.addr.device, 1);
    let second = Client::paired(&simulator, number("628111"), 2).await;
    assert_eq!(second.addr.device, 2);
}

#[tokio::test]
async fn a_device_gets_the_app_state_key_once() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let mail = client.take_mail().await;
    assert_eq!(mail.len(), 1);
    assert_eq!(attr(&mail[0], "category"), "peer");
    client.ack(&mail[0]).await;
    client.log_in().await;
    assert!(client.take_mail().await.is_empty());
}

#[tokio::test]
async fn codes_without_a_client_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::unpaired(&simulator, number("628111"), 1).await;
    let right = client.qr().await;
    let parts: Vec<&str> = right.split(',').collect();
    let swapped = format!("{},{},{},{}", parts[0], parts[2], parts[1], parts[3]);
    let unknown = right.replacen("2@", "3@", 1);
    for (text, reason) in [
        (swapped, "this QR code does not belong to the client that shows it"),
        (unknown, "no client is showing this QR code"),
    ] {
        let qr = QrCode::parse(&text).unwrap();
        let scanned = simulator.switchboard().run(move |sb| sb.scan(number("628111"), &qr));
        let error = scanned.await.err().unwrap().to_string();
        assert!(error.starts_with(reason), "{error}");
    }
}

#[tokio::test]
async fn a_second_login_replaces_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut first = Client::paired(&simulator, number("628111"), 1).await;
    let mut second = Client::unpaired(&simulator, number("628111"), 1).await;
    second.addr = first.addr;
    second.log_in().await;
    let error = first.expect("stream:error").await;
    let conflict = error.get_optional_child("conflict").unwrap();
    assert_eq!(attr(conflict, "type"), "replaced");
    assert!(first.next().await.is_none());
}

#[tokio::test]
async fn a_message_over_an_older_connection_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let addr = client.addr;
    let connection =
        async || simulator.switchboard().run(move |sb| Ok(sb.by_device[&addr])).await.unwrap();
    let first = connection().await;
    client.log_in().await;
    let second = connection().await;
    let sent_over = [first, second, second, first, second];
    let stale = simulator.switchboard().run(move |sb| {
        sent_over.into_iter().for_each(|id| sb.note_sender(addr, id));
        Ok(sb.counters.messages_stale)
    });
    assert_eq!(stale.await.unwrap(), 1);
}

#[tokio::test]
async fn an_unpaired_device_is_notified_and_cannot_log_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let addr = client.addr;
    simulator.switchboard().run(move |sb| sb.unpair(addr, Duration::ZERO)).await.unwrap();
    assert_eq!(attr(&client.expect("stream:error").await, "code"), "401");
    let refused = client.reconnect().await;
    assert_eq!((&*refused.tag, &*attr(&refused, "reason")), ("failure", "401"));
}

#[tokio::test]
async fn another_key_cannot_log_in() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let client = Client::paired(&simulator, number("628111"), 1).await;
    let mut thief = Client::unpaired(&simulator, number("628111"), 9).await;
    thief.addr = client.addr;
    assert_eq!(thief.reconnect().await.tag, "failure");
}
