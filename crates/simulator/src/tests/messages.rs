//! Messages to phones: acknowledged when kept, kept once, answered with receipts.

use super::client::attr;
use super::{Client, inbox, number, simulator};
use crate::phone::{PhoneMessage, PhonePatch};

fn patch(json: &str) -> PhonePatch {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn a_text_is_acknowledged_delivered_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    client.text(number("628222"), "ID1", "halo").await;
    let ack = client.expect("ack").await;
    assert_eq!((&*attr(&ack, "id"), &*attr(&ack, "error")), ("ID1", ""));
    let rows = inbox(&simulator, number("628222")).await;
    assert_eq!((rows[0]["text"].as_str(), rows[0]["copies"].as_i64()), (Some("halo"), Some(1)));
    assert_eq!(rows[0]["from"], "628111");
    assert_eq!(attr(&client.expect("receipt").await, "type"), "");
    assert_eq!(attr(&client.expect("receipt").await, "type"), "read");
}

#[tokio::test]
async fn one_id_is_one_row_however_often_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let node = client.text(number("628222"), "ID1", "halo").await;
    client.expect("ack").await;
    // The same ciphertext, then the same message encrypted anew.
    client.send(node).await;
    client.expect("ack").await;
    client.text(number("628222"), "ID1", "halo").await;
    client.expect("ack").await;
    let rows = inbox(&simulator, number("628222")).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["copies"], 3);
}

#[tokio::test]
async fn a_restart_keeps_inbox_ratchet_and_receipts() {
    let dir = tempfile::tempdir().unwrap();
    let before = simulator(&dir).await;
    let mut client = Client::paired(&before, number("628111"), 1).await;
    for n in 0..3 {
        client.text(number("628222"), &format!("ID{n}"), "halo").await;
        client.expect("ack").await;
    }
    before.shutdown().await;
    let after = simulator(&dir).await;
    client.move_to(&after).await;
    let mail = client.take_mail().await;
    let receipts = mail.iter().filter(|node| node.tag == "receipt").count();
    assert!(receipts >= 3, "{receipts} receipts");
    client.text(number("628222"), "ID3", "still here").await;
    client.expect("ack").await;
    let rows = inbox(&after, number("628222")).await;
    assert_eq!(rows.len(), 4);
    assert!(rows.iter().all(|row| row["copies"] == 1));
}

#[tokio::test]
async fn an_offline_phone_takes_its_mail_later() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let friend = number("628222");
    let change = |json: &'static str| {
        simulator.switchboard().run(move |sb| sb.change_phone(friend, patch(json)))
    };
    change(r#"{"online":false}"#).await.unwrap();
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    client.text(friend, "ID1", "halo").await;
    client.expect("ack").await;
    assert!(inbox(&simulator, friend).await.is_empty());
    change(r#"{"online":true}"#).await.unwrap();
    assert_eq!(inbox(&simulator, friend).await.len(), 1);
    client.expect("receipt").await;
}

#[tokio::test]
async fn unregistered_numbers_and_rejections_are_nacked() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let friend = number("628222");
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.text(friend, "ID0", "prepares the session").await;
    client.expect("ack").await;
    let change = simulator
        .switchboard()
        .run(move |sb| sb.change_phone(friend, patch(r#"{"registered":false}"#)));
    change.await.unwrap();
    client.text(friend, "ID1", "halo").await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "404");
    assert_eq!(inbox(&simulator, friend).await.len(), 1);
}

#[tokio::test]
async fn lost_acknowledgements_still_relay() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    simulator
        .switchboard()
        .run(|sb| {
            sb.faults.drop_acks = true;
            Ok(())
        })
        .await
        .unwrap();
    client.text(number("628222"), "ID1", "halo").await;
    // The next stanza is the receipt.
    assert_eq!(client.next().await.unwrap().tag, "receipt");
    assert_eq!(inbox(&simulator, number("628222")).await.len(), 1);
}

#[tokio::test]
async fn a_phone_asks_again_for_what_it_cannot_open() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let phone = crate::address::DeviceAddr::phone(number("628222"));
    let nonsense = (crate::phone::signal::EncType::Message, vec![0x33; 80]);
    client.send(super::writing::message_to(phone, "ID1", nonsense)).await;
    client.expect("ack").await;
    let receipt = client.expect("receipt").await;
    assert_eq!((&*attr(&receipt, "type"), &*attr(&receipt, "id")), ("retry", "ID1"));
    assert!(receipt.get_optional_child("keys").is_none());
    assert!(inbox(&simulator, number("628222")).await.is_empty());
}

#[tokio::test]
async fn phones_write_to_each_other_and_to_groups() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let (one, two) = (number("628111"), number("628222"));
    let group = simulator
        .switchboard()
        .run(move |sb| sb.create_group("Keluarga", &[one, two], false, &Default::default()))
        .await
        .unwrap();
    for to in [two.jid(), group.parse().unwrap()] {
        let message =
            waproto::whatsapp::Message { conversation: Some("halo".into()), ..Default::default() };
        let outgoing = PhoneMessage { to, message, refers_to: None, id: None };
        let sent = simulator.switchboard().run(move |sb| sb.phone_sends(one, &outgoing));
        sent.await.unwrap();
    }
    let rows = inbox(&simulator, two).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["chat"], group);
}

#[tokio::test]
async fn a_phone_that_lost_its_session_offers_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let phone = crate::address::DeviceAddr::phone(number("628222"));
    let nonsense = |again: u32| {
        let sealed = (crate::phone::signal::EncType::Message, vec![0x33; 80]);
        super::writing::message_again(phone, "ID1", sealed, again)
    };
    for again in 0..4 {
        client.send(nonsense(again)).await;
        client.expect("ack").await;
        let receipt = client.expect("receipt").await;
        let retry = receipt.get_optional_child("retry").unwrap();
        assert_eq!(attr(retry, "count"), (again + 1).to_string());
        let keys = receipt.get_optional_child_by_tag(&["keys", "skey", "signature"]);
        assert_eq!(keys.is_some(), again > 0);
    }
    // No third request: the next stanza is about the next message.
    client.send(nonsense(4)).await;
    client.expect("ack").await;
    client.text(number("628222"), "ID2", "halo").await;
    client.expect("ack").await;
    assert_eq!(attr(&client.expect("receipt").await, "id"), "ID2");
}
