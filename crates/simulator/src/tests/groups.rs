//! Groups: listed, written to and read by linked devices and phones.

use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp as wa;

use super::client::attr;
use super::{Client, inbox, lid_jid, number, simulator};
use crate::Simulator;
use crate::address::Number;
use crate::phone::PhoneMessage;

fn text(text: &str) -> wa::Message {
    wa::Message { conversation: Some(text.to_owned()), ..Default::default() }
}

async fn group(simulator: &Simulator, members: &[Number]) -> String {
    make_group(simulator, members, false).await
}

async fn make_group(simulator: &Simulator, members: &[Number], by_lid: bool) -> String {
    let members = members.to_vec();
    let made = simulator
        .switchboard()
        .run(move |sb| sb.create_group("Keluarga", &members, by_lid, &Default::default()));
    made.await.unwrap()
}

#[tokio::test]
async fn a_member_lists_its_groups() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628222"), number("628111"), number("628333")];
    let id = group(&simulator, &members).await;
    group(&simulator, &members[2..]).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let query = NodeBuilder::new("participating").build();
    let answer = client.query_to("g.us", "w:g2", "get", [query]).await;
    let groups = answer.get_optional_child("groups").unwrap();
    let listed: Vec<_> = groups.get_children_by_tag("group").collect();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (attr(listed[0], "id") + "@g.us", attr(listed[0], "subject")),
        (id, "Keluarga".into())
    );
    let participants: Vec<_> = listed[0].get_children_by_tag("participant").collect();
    assert_eq!(participants.len(), 3);
    assert!(participants.iter().all(|one| attr(one, "lid").ends_with("@lid")));
}

#[tokio::test]
async fn every_phone_of_a_group_receives_and_answers_with_receipts() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628111"), number("628222"), number("628333")];
    let id = group(&simulator, &members).await;
    let mut client = Client::paired(&simulator, members[0], 1).await;
    client.take_mail().await;
    client.write_to_group(&id, &members, "ID1", &text("halo semua")).await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "");
    let mut heard = Vec::new();
    for _ in 0..4 {
        let receipt = client.expect("receipt").await;
        assert_eq!((attr(&receipt, "id"), attr(&receipt, "from")), ("ID1".into(), id.clone()));
        heard.push((attr(&receipt, "participant"), attr(&receipt, "type")));
    }
    heard.sort();
    let from = |number: &str, kind: &str| (format!("{number}@s.whatsapp.net"), kind.to_owned());
    let expected =
        [from("628222", ""), from("628222", "read"), from("628333", ""), from("628333", "read")];
    assert_eq!(heard, expected);
    for member in &members[1..] {
        let rows = inbox(&simulator, *member).await;
        assert_eq!(rows.len(), 1);
        assert_eq!(
            (&rows[0]["text"], &rows[0]["chat"]),
            (&"halo semua".into(), &id.clone().into())
        );
        assert_eq!(rows[0]["from"], "628111");
    }
}

#[tokio::test]
async fn a_phone_writes_into_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628111"), number("628222")];
    let id = group(&simulator, &members).await;
    let mut client = Client::paired(&simulator, members[0], 1).await;
    client.take_mail().await;
    for words in ["halo grup", "lagi"] {
        let outgoing = PhoneMessage {
            to: id.parse().unwrap(),
            message: text(words),
            refers_to: None,
            id: None,
        };
        let sent = simulator.switchboard().run(move |sb| sb.phone_sends(members[1], &outgoing));
        sent.await.unwrap();
        let message = client.expect("message").await;
        assert_eq!(attr(&message, "from"), id);
        assert_eq!(attr(&message, "participant"), "628222@s.whatsapp.net");
        assert_eq!(client.open(&message).conversation.as_deref(), Some(words));
    }
}

#[tokio::test]
async fn only_members_write_to_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628222"), number("628333")];
    let id = group(&simulator, &members).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    client.write_to_group(&id, &members, "ID1", &text("halo")).await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "403");
    assert!(inbox(&simulator, members[0]).await.is_empty());
}

#[tokio::test]
async fn members_that_are_away_receive_it_later() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628111"), number("628222")];
    let id = group(&simulator, &members).await;
    let change = |json: &str| {
        let patch = serde_json::from_str(json).unwrap();
        simulator.switchboard().run(move |sb| sb.change_phone(members[1], patch))
    };
    change(r#"{"online":false}"#).await.unwrap();
    let mut client = Client::paired(&simulator, members[0], 1).await;
    client.take_mail().await;
    client.write_to_group(&id, &members, "ID1", &text("halo")).await;
    client.expect("ack").await;
    assert!(inbox(&simulator, members[1]).await.is_empty());
    change(r#"{"online":true}"#).await.unwrap();
    assert_eq!(inbox(&simulator, members[1]).await.len(), 1);
    assert_eq!(attr(&client.expect("receipt").await, "participant"), "628222@s.whatsapp.net");
}

#[tokio::test]
async fn members_see_who_types_in_a_group() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628111"), number("628222"), number("628333")];
    let id = group(&simulator, &members).await;
    let mut client = Client::paired(&simulator, members[0], 1).await;
    let mut sister = Client::paired(&simulator, members[1], 2).await;
    client.take_mail().await;
    sister.take_mail().await;
    let composing = NodeBuilder::new("composing").build();
    let typing = NodeBuilder::new("chatstate").attr("to", &*id).children([composing]).build();
    // Nobody sees the typing of one that is not online.
    client.send(typing.clone()).await;
    let presence = |kind: &'static str| NodeBuilder::new("presence").attr("type", kind).build();
    client.send(presence("available")).await;
    let online = simulator.switchboard().run(move |sb| sb.view_phone(members[0])).await.unwrap();
    assert_eq!(online["notifies"], false, "{online}");
    client.send(typing).await;
    client.send(presence("unavailable")).await;
    let offline = simulator.switchboard().run(move |sb| sb.view_phone(members[0])).await.unwrap();
    assert_eq!(
        (&offline["notifies"], &offline["online_since"]),
        (&true.into(), &serde_json::Value::Null)
    );
    client.write_to_group(&id, &members, "ID1", &text("halo")).await;
    client.expect("ack").await;
    let seen = sister.expect("chatstate").await;
    assert_eq!(
        (attr(&seen, "from"), attr(&seen, "participant")),
        (id, "628111@s.whatsapp.net".into())
    );
    for member in &members[1..] {
        assert!(inbox(&simulator, *member).await[0]["typing_ms"].as_i64() > Some(0));
    }
}

#[tokio::test]
async fn a_group_may_know_its_members_by_lid() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628111"), number("628222")];
    let lid = |number: Number| lid_jid(number).to_string();
    let id = make_group(&simulator, &members, true).await;
    let mut client = Client::paired(&simulator, members[0], 1).await;
    client.take_mail().await;
    let query = NodeBuilder::new("participating").build();
    let answer = client.query_to("g.us", "w:g2", "get", [query]).await;
    let listed = answer.get_optional_child("groups").unwrap().get_optional_child("group").unwrap();
    assert_eq!(attr(listed, "addressing_mode"), "lid");
    for member in listed.get_children_by_tag("participant") {
        let known = members.iter().find(|known| lid(**known) == attr(member, "jid")).unwrap();
        assert_eq!(attr(member, "phone_number"), known.jid().to_string());
    }
    client.write_to_group(&id, &members, "ID1", &text("halo")).await;
    client.expect("ack").await;
    assert_eq!(inbox(&simulator, members[1]).await[0]["from"], "628111");
    let receipt = client.expect("receipt").await;
    assert_eq!(attr(&receipt, "participant"), lid(members[1]));
    let outgoing = PhoneMessage {
        to: id.parse().unwrap(),
        message: text("halo juga"),
        refers_to: None,
        id: None,
    };
    let sent = simulator.switchboard().run(move |sb| sb.phone_sends(members[1], &outgoing));
    sent.await.unwrap();
    let message = client.expect("message").await;
    assert_eq!(attr(&message, "participant"), lid(members[1]));
    assert_eq!(attr(&message, "participant_pn"), "628222@s.whatsapp.net");
    assert_eq!(client.open(&message).conversation.as_deref(), Some("halo juga"));
}

#[tokio::test]
async fn a_person_may_be_known_by_lid() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let friend = number("628222");
    let patch = serde_json::from_str(r#"{"by_lid":true}"#).unwrap();
    simulator.switchboard().run(move |sb| sb.change_phone(friend, patch)).await.unwrap();
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    client.text(friend, "ID1", "halo").await;
    client.expect("ack").await;
    assert_eq!(attr(&client.expect("receipt").await, "from"), lid_jid(friend).to_string());
    let outgoing = PhoneMessage {
        to: number("628111").jid(),
        message: text("halo juga"),
        refers_to: None,
        id: None,
    };
    let sent = simulator.switchboard().run(move |sb| sb.phone_sends(friend, &outgoing));
    sent.await.unwrap();
    let message = client.expect("message").await;
    assert_eq!(attr(&message, "from"), lid_jid(friend).to_string());
    assert_eq!(attr(&message, "sender_pn"), "628222@s.whatsapp.net");
    assert_eq!(client.open(&message).conversation.as_deref(), Some("halo juga"));
}

#[tokio::test]
async fn members_are_notified_of_joins_and_leaves() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628111"), number("628222")];
    let id = group(&simulator, &members).await;
    let mut client = Client::paired(&simulator, members[0], 1).await;
    client.take_mail().await;
    let user = id.trim_end_matches("@g.us").to_owned();
    for (joins, tag) in [(true, "add"), (false, "remove")] {
        let user = user.clone();
        let change = move |sb: &mut crate::switchboard::Switchboard| {
            sb.change_member(&user, number("628333"), joins, None)?;
            Ok(sb.group_members(&user)?.contains(&number("628333")))
        };
        assert_eq!(simulator.switchboard().run(change).await.unwrap(), joins);
        let news = client.expect("notification").await;
        assert_eq!((attr(&news, "type"), attr(&news, "from")), ("w:gp2".into(), id.clone()));
        let member = news.get_optional_child(tag).unwrap().get_optional_child("participant");
        assert_eq!(attr(member.unwrap(), "jid"), "628333@s.whatsapp.net");
    }
    let nowhere = |sb: &mut crate::switchboard::Switchboard| {
        sb.change_member("120363000000000000", number("628333"), true, None)
    };
    let error = simulator.switchboard().run(nowhere).await.unwrap_err().to_string();
    assert_eq!(error, "there is no group \"120363000000000000\"");
}
