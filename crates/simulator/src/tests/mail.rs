//! Mail for linked devices: it waits, comes in order, and goes only when taken.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::client::attr;
use super::writing::message_to;
use super::{Client, number, simulator, waiting};
use crate::phone::signal::EncType;

fn opaque(to: &Client, id: &str) -> Node {
    message_to(to.addr, id, (EncType::Message, vec![0x33; 80]))
}

fn messages(mail: &[Node]) -> Vec<String> {
    let messages = mail.iter().filter(|node| node.tag == "message");
    let persons = messages.filter(|node| attr(node, "category") != "peer");
    persons.map(|node| attr(node, "id")).collect()
}

#[tokio::test]
async fn mail_waits_in_order_until_it_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut sender = Client::paired(&simulator, number("628111"), 1).await;
    let mut taker = Client::paired(&simulator, number("628222"), 2).await;
    for n in 0..5 {
        sender.send(opaque(&taker, &format!("ID{n}"))).await;
        sender.expect("ack").await;
    }
    // Not taken: it all comes again.
    for _ in 0..2 {
        taker.log_in().await;
        let mail = taker.take_mail().await;
        assert_eq!(messages(&mail), ["ID0", "ID1", "ID2", "ID3", "ID4"]);
        assert!(mail.iter().all(|node| attr(node, "offline") == "0"));
    }
    taker.log_in().await;
    for node in taker.take_mail().await {
        taker.ack(&node).await;
    }
    taker.log_in().await;
    assert!(taker.take_mail().await.is_empty());
}

#[tokio::test]
async fn a_receipt_takes_mail_too() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut sender = Client::paired(&simulator, number("628111"), 1).await;
    let mut taker = Client::paired(&simulator, number("628222"), 2).await;
    let key = taker.take_mail().await;
    taker.ack(&key[0]).await;
    sender.send(opaque(&taker, "ID1")).await;
    let message = taker.expect("message").await;
    let receipt = NodeBuilder::new("receipt").attr("id", "ID1").attr("to", attr(&message, "from"));
    taker.send(receipt.build()).await;
    assert_eq!(attr(&taker.expect("ack").await, "class"), "receipt");
    // What is left is the sender's: its key and the receipt.
    let mail = sender.take_mail().await;
    assert_eq!(mail.len(), 2);
    assert_eq!(mail[1].tag, "receipt");
    for node in &mail {
        sender.ack(node).await;
    }
    sender.log_in().await;
    assert_eq!(waiting(&simulator).await, 0);
}

#[tokio::test]
async fn more_than_a_page_comes_whole() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut sender = Client::paired(&simulator, number("628111"), 1).await;
    let mut taker = Client::paired(&simulator, number("628222"), 2).await;
    let ids: Vec<String> = (0..1_234).map(|n| format!("ID{n}")).collect();
    for id in &ids {
        sender.send(opaque(&taker, id)).await;
        sender.expect("ack").await;
    }
    taker.log_in().await;
    assert_eq!(messages(&taker.take_mail().await), ids);
}

#[tokio::test]
async fn mail_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let before = simulator(&dir).await;
    let mut sender = Client::paired(&before, number("628111"), 1).await;
    let mut taker = Client::paired(&before, number("628222"), 2).await;
    sender.send(opaque(&taker, "ID1")).await;
    sender.expect("ack").await;
    before.shutdown().await;
    let after = simulator(&dir).await;
    taker.move_to(&after).await;
    assert_eq!(messages(&taker.take_mail().await), ["ID1"]);
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut sender = Client::paired(&simulator, number("628111"), 1).await;
    let mut taker = Client::paired(&simulator, number("628222"), 2).await;
    taker.take_mail().await;
    let count = crate::limits::OUTGOING_STANZAS_MAX + 50;
    for n in 0..count {
        sender.send(opaque(&taker, &format!("ID{n}"))).await;
        sender.expect("ack").await;
    }
    taker.log_in().await;
    assert_eq!(messages(&taker.take_mail().await).len(), count);
}
