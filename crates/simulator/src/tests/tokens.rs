//! Tokens, the time-lock, and numbers that change their owners.

use serde_json::{Value, json};
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::client::{attr, bytes};
use super::http::{call, serve};
use super::{Client, inbox, lid_jid, number, simulator};
use crate::phone::{PhoneMessage, PhonePatch};

fn text(to: wacore_binary::Jid) -> PhoneMessage {
    let message =
        waproto::whatsapp::Message { conversation: Some("halo".to_owned()), ..Default::default() };
    PhoneMessage { to, message, refers_to: None, id: None }
}

fn with_token(mut node: Node, token: Vec<u8>) -> Node {
    let token = NodeBuilder::new("tctoken").bytes(token).build();
    if let Some(wacore_binary::NodeContent::Nodes(content)) = &mut node.content {
        content.push(token);
    }
    node
}

/// What the service answers to the question until when strangers may not be written to.
async fn timelock(client: &mut Client) -> Value {
    let query = NodeBuilder::new("query")
        .attr("query_id", "23983697327930364")
        .bytes(br#"{"variables":{}}"#.to_vec())
        .build();
    let answer = client.query("w:mex", "get", [query]).await;
    let data = bytes(answer.get_optional_child("result").unwrap());
    let data: Value = serde_json::from_slice(&data).unwrap();
    data["data"]["xwa2_fetch_account_reachout_timelock"].clone()
}

#[tokio::test]
async fn while_the_lock_lasts_only_who_has_given_a_token_is_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let (own, friend, stranger) = (number("628111"), number("628222"), number("628333"));
    let mut client = Client::paired(&simulator, own, 1).await;
    client.take_mail().await;
    simulator.switchboard().run(move |sb| sb.phone_sends(friend, &text(own.jid()))).await.unwrap();
    let given = client.expect("notification").await;
    assert_eq!(attr(&given, "type"), "privacy_token");
    assert_eq!(attr(&given, "sender_lid"), lid_jid(friend).to_string());
    let tokens = given.get_optional_child("tokens").unwrap();
    let token = bytes(tokens.get_optional_child("token").unwrap());
    let locked = r#"{"timelock_until":"2999-01-01T00:00:00Z"}"#;
    assert_eq!(call(&address, "PUT", "/server", locked).await.0, 200);
    client.text(stranger, "ID1", "halo").await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "463");
    let node = client.text(friend, "ID2", "halo").await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "463", "without its token");
    for (token, code) in [(vec![1; 32], "463"), (token, "")] {
        client.send(with_token(node.clone(), token)).await;
        assert_eq!(attr(&client.expect("ack").await, "error"), code);
    }
    let lock = timelock(&mut client).await;
    assert_eq!(lock["is_active"], true);
    assert_eq!(lock["time_enforcement_ends"], "32472144000");
    assert_eq!(call(&address, "PUT", "/server", r#"{"timelock_until":""}"#).await.0, 200);
    client.text(stranger, "ID3", "halo").await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "");
    assert_eq!(timelock(&mut client).await["is_active"], false);
}

#[tokio::test]
async fn a_recycled_number_is_another_person() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let (own, friend) = (number("628111"), number("628222"));
    let migrated: PhonePatch = serde_json::from_value(json!({ "migrated": true })).unwrap();
    simulator.switchboard().run(move |sb| sb.change_phone(own, migrated)).await.unwrap();
    let mut client = Client::paired(&simulator, own, 1).await;
    client.take_mail().await;
    let before = lid_jid(friend);
    let answer = call(&address, "POST", "/phones/628222/recycle", "{}").await.2;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let after = answer["lid"].as_str().unwrap().to_owned();
    assert_ne!(after, before.to_string());
    // By number it is refused; what it carries is not looked at.
    let mut node = client.text(friend, "ID1", "halo").await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "400");
    node.attrs.insert("to", before.clone());
    client.send(node).await;
    let ack = client.expect("ack").await;
    assert_eq!((&*attr(&ack, "refresh_lid"), &*attr(&ack, "error")), ("true", ""));
    assert!(inbox(&simulator, friend).await.is_empty());
    simulator.switchboard().run(move |sb| sb.phone_sends(friend, &text(own.jid()))).await.unwrap();
    let message = client.expect("message").await;
    assert_eq!(attr(&message, "from"), after);
    assert_eq!(attr(&message, "sender_pn"), friend.jid().to_string());
}

#[tokio::test]
async fn the_phone_of_an_account_that_is_migrated_sends_the_lids_of_its_chats() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let (own, friend) = (number("628111"), number("628222"));
    let mut client = Client::paired(&simulator, own, 1).await;
    client.take_mail().await;
    simulator.switchboard().run(move |sb| sb.phone_sends(friend, &text(own.jid()))).await.unwrap();
    client.expect("message").await;
    for _ in 0..2 {
        let migrated: PhonePatch = serde_json::from_value(json!({ "migrated": true })).unwrap();
        simulator.switchboard().run(move |sb| sb.change_phone(own, migrated)).await.unwrap();
    }
    let message = client.expect("message").await;
    assert_eq!(attr(&message, "category"), "peer");
    let opened = client.open(&message);
    let protocol = opened.protocol_message.as_option().unwrap();
    let sync = protocol.lid_migration_mapping_sync_message.as_option().unwrap();
    let payload = sync.encoded_mapping_payload.as_deref().unwrap();
    let payload = waproto::codec::lid_migration_mapping_sync_payload_decode(payload).unwrap();
    let mappings = payload.pn_to_lid_mappings.iter();
    let mappings: Vec<_> = mappings.map(|one| (one.pn, one.assigned_lid.to_string())).collect();
    assert_eq!(mappings, [(628_222, friend.lid_after(0))]);
    // Once is enough: the next one is somebody's.
    simulator.switchboard().run(move |sb| sb.phone_sends(friend, &text(own.jid()))).await.unwrap();
    assert_eq!(attr(&client.expect("message").await, "from"), lid_jid(friend).to_string());
}
