//! What others do with their own phones, and what a number's linked devices and correspondents see of it.

use serde_json::Value;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::client::{attr, bytes};
use super::http::{call, serve};
use super::{Client, number, simulator};

/// What the service answers to a query for the keys of a number's phone.
async fn keys(client: &mut Client, of: &str) -> Vec<Node> {
    let user = NodeBuilder::new("user").attr("jid", format!("{of}@s.whatsapp.net")).build();
    let key = NodeBuilder::new("key").children([user]).build();
    let answer = client.query("encrypt", "get", [key]).await;
    let list = answer.get_optional_child("list").unwrap();
    list.get_children_by_tag("user").cloned().collect()
}

/// The identity key of a number's phone.
async fn identity(client: &mut Client, of: &str) -> Vec<u8> {
    let users = keys(client, of).await;
    bytes(users[0].get_optional_child("identity").unwrap())
}

async fn put(address: &str, path: &str, body: &str) {
    let (status, _, answer) = call(address, "PUT", path, body).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn who_installs_whatsapp_anew_has_other_keys_and_correspondents_hear_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let friend = number("628222");
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    client.text(friend, "ID1", "halo").await;
    client.expect("ack").await;
    let before = identity(&mut client, "628222").await;
    assert_eq!(before.len(), 32);
    assert_eq!(call(&address, "POST", "/phones/628222/reinstall", "{}").await.0, 200);
    let news = client.expect("notification").await;
    let expected = ("encrypt".to_owned(), friend.jid().to_string());
    assert_eq!((attr(&news, "type"), attr(&news, "from")), expected);
    assert!(news.get_optional_child("identity").is_some());
    assert_ne!(identity(&mut client, "628222").await, before);
}

#[tokio::test]
async fn keys_are_given_as_a_number_is_set() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let mut given = async |kind: &str| {
        put(&address, "/phones/628222/bundle", &format!(r#"{{"kind":"{kind}"}}"#)).await;
        keys(&mut client, "628222").await
    };
    let has = |user: &Node, tag: &str| user.get_optional_child(tag).is_some();
    for (kind, one_time) in [("normal", true), ("no_one_time", false)] {
        let users = given(kind).await;
        assert!(has(&users[0], "identity") && has(&users[0], "skey"), "{kind}");
        assert_eq!(has(&users[0], "key"), one_time, "{kind}");
    }
    assert_eq!(given("none").await.len(), 0);
    let users = given("refused").await;
    let error = users[0].get_optional_child("error").unwrap();
    assert_eq!((attr(error, "code"), has(&users[0], "identity")), ("406".into(), false));
}

#[tokio::test]
async fn who_misses_a_device_is_given_the_hash_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let members = [number("628111"), number("628222")];
    let mut client = Client::paired(&simulator, members[0], 1).await;
    client.take_mail().await;
    // The own phone is missed, too.
    client.text(members[1], "ID1", "halo").await;
    let before = attr(&client.expect("ack").await, "phash");
    put(&address, "/phones/628222/companions", r#"{"count":1,"announced":false}"#).await;
    client.text(members[1], "ID2", "halo").await;
    let after = attr(&client.expect("ack").await, "phash");
    assert!(before.starts_with("2:") && after.starts_with("2:"), "{before} {after}");
    assert_ne!(before, after);

    let text =
        waproto::whatsapp::Message { conversation: Some("halo".into()), ..Default::default() };
    for by_lid in [false, true] {
        let made = simulator
            .switchboard()
            .run(move |sb| sb.create_group("Tim", &members, by_lid, &Default::default()));
        let group = made.await.unwrap();
        let mut right = String::new();
        for id in ["ID3", "ID4"] {
            let mut node = client.group_message(&group, &members, id, &text).await;
            let phash = if right.is_empty() { "2:AAAAAAAA" } else { right.as_str() };
            node.attrs.insert("phash", phash.to_owned());
            client.send(node).await;
            let ack = client.expect("ack").await;
            assert_eq!(attr(&ack, "error"), "", "{by_lid} {id}");
            let answered = attr(&ack, "phash");
            assert_eq!(answered.is_empty(), id == "ID4", "{by_lid} {id}: {answered}");
            right = answered;
        }
    }
}

#[tokio::test]
async fn a_phone_notifies_while_none_of_its_devices_is_available() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let shown = async || {
        let (_, _, phone) = call(&address, "GET", "/phones/628111", "").await;
        let phone: Value = serde_json::from_str(&phone).unwrap();
        (phone["notifies"].as_bool().unwrap(), !phone["online_since"].is_null())
    };
    let quiet = (true, false);
    assert_eq!(shown().await, quiet, "a device that has just connected is not available");
    for kind in ["available", "unavailable", "available"] {
        client.send(NodeBuilder::new("presence").attr("type", kind).build()).await;
        let expected = if kind == "available" { (false, true) } else { quiet };
        assert_eq!(shown().await, expected, "{kind}");
    }
    put(&address, "/faults", r#"{"rules":[{"on":"iq","do":"disconnect"}]}"#).await;
    client.send(NodeBuilder::new("iq").attr("xmlns", "w:p").attr("id", "1").build()).await;
    while client.next().await.is_some() {}
    assert_eq!(shown().await, quiet, "its connection is gone");
}
