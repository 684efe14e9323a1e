//! What clients ask the server: who is on WhatsApp, where media go.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::client::attr;
use super::http::{call, serve};
use super::{Client, inbox, lid_jid, number, simulator};

fn leaf(tag: &'static str) -> Node {
    NodeBuilder::new(tag).build()
}

/// The users of a usync answer.
async fn usync(client: &mut Client, protocols: &[&'static str], users: Vec<Node>) -> Vec<Node> {
    let query = NodeBuilder::new("query").children(protocols.iter().copied().map(leaf)).build();
    let list = NodeBuilder::new("list").children(users).build();
    let usync = NodeBuilder::new("usync")
        .attr("sid", "1")
        .attr("mode", "query")
        .attr("last", "true")
        .attr("index", "0")
        .attr("context", "interactive")
        .children([query, list]);
    let answer = client.query("usync", "get", [usync.build()]).await;
    let list = answer.get_optional_child_by_tag(&["usync", "list"]).unwrap();
    list.get_children_by_tag("user").cloned().collect()
}

fn by_number(number: &str) -> Node {
    let contact = NodeBuilder::new("contact").bytes(format!("+{number}").into_bytes());
    NodeBuilder::new("user").children([contact.build()]).build()
}

fn by_jid(jid: &str) -> Node {
    NodeBuilder::new("user").attr("jid", jid).build()
}

#[tokio::test]
async fn numbers_are_on_whatsapp_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let registered = r#"{"registered":false}"#;
    assert_eq!(call(&address, "PUT", "/phones/628333", registered).await.0, 200);
    let asked = vec![by_number("628222"), by_number("628333"), by_number("12")];
    let users = usync(&mut client, &["contact", "lid"], asked).await;
    let said: Vec<_> = users
        .iter()
        .map(|user| attr(user.get_optional_child("contact").unwrap(), "type"))
        .collect();
    assert_eq!(said, ["in", "out", "out"]);
    assert_eq!(attr(&users[0], "jid"), "628222@s.whatsapp.net");
    let lid = lid_jid(number("628222")).to_string();
    assert_eq!(attr(users[0].get_optional_child("lid").unwrap(), "val"), lid);
    assert!(users[1].get_optional_child("lid").is_none());
}

#[tokio::test]
async fn a_second_spelling_answers_as_the_account_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let put = |body| call(&address, "PUT", "/phones/5511987654321", body);
    assert_eq!(put(r#"{"answers_as":"x"}"#).await.0, 400);
    let (status, _, shown) = put(r#"{"answers_as":"551187654321"}"#).await;
    assert!(status == 200 && shown.contains(r#""answers_as":"551187654321""#), "{shown}");
    let asked = || vec![by_number("5511987654321")];
    let users = usync(&mut client, &["contact", "lid"], asked()).await;
    assert_eq!(attr(&users[0], "jid"), "551187654321@s.whatsapp.net");
    assert_eq!(attr(users[0].get_optional_child("contact").unwrap(), "type"), "in");
    let lid = lid_jid(number("551187654321")).to_string();
    assert_eq!(attr(users[0].get_optional_child("lid").unwrap(), "val"), lid);
    assert_eq!(put(r#"{"answers_as":""}"#).await.0, 200);
    let users = usync(&mut client, &["contact"], asked()).await;
    assert_eq!(attr(&users[0], "jid"), "5511987654321@s.whatsapp.net");
}

#[tokio::test]
async fn a_number_and_its_lid_have_the_same_devices() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let friend = number("628222");
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let _linked = Client::paired(&simulator, friend, 2).await;
    for jid in [friend.jid(), lid_jid(friend)] {
        let asked = vec![by_jid(&jid.to_string())];
        let users = usync(&mut client, &["devices"], asked).await;
        assert_eq!(attr(&users[0], "jid"), jid.to_string());
        let list = users[0].get_optional_child_by_tag(&["devices", "device-list"]).unwrap();
        let devices: Vec<_> =
            list.get_children_by_tag("device").map(|device| attr(device, "id")).collect();
        assert_eq!(devices, ["0", "1"]);
    }
}

#[tokio::test]
async fn media_go_to_the_host_the_client_has_called() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let answer = client.query("w:m", "set", [leaf("media_conn")]).await;
    let media = answer.get_optional_child("media_conn").unwrap();
    assert!(!attr(media, "auth").is_empty());
    assert_eq!(attr(media.get_optional_child("host").unwrap(), "hostname"), "localhost");
}

#[tokio::test]
async fn faults_begin_and_end() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let reject = r#"{"reject":{"number":"628222","code":463}}"#;
    assert_eq!(call(&address, "PUT", "/faults", reject).await.0, 200);
    client.text(number("628222"), "ID1", "halo").await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "463");
    client.text(number("628333"), "ID2", "halo").await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "");
    assert_eq!(call(&address, "PUT", "/faults", "{}").await.0, 200);
    client.text(number("628222"), "ID3", "halo").await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "");
    let rows = inbox(&simulator, number("628222")).await;
    assert_eq!((rows.len(), &rows[0]["id"]), (1, &"ID3".into()));

    let disconnect = r#"{"disconnect":{"number":"628111","code":503}}"#;
    assert_eq!(call(&address, "PUT", "/faults", disconnect).await.0, 200);
    assert_eq!(attr(&client.expect("stream:error").await, "code"), "503");
    assert_eq!(client.reconnect().await.tag, "failure");
    assert_eq!(call(&address, "PUT", "/faults", "{}").await.0, 200);
    assert_eq!(client.reconnect().await.tag, "success");
}

#[tokio::test]
async fn a_phone_that_is_off_does_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let address = serve(simulator(&dir).await.router()).await;
    let off = r#"{"online":false}"#;
    assert_eq!(call(&address, "PUT", "/phones/628222", off).await.0, 200);
    let send = r#"{"to":"628111","text":"halo"}"#;
    for (path, body) in [("send", send), ("read", "{}"), ("read", r#"{"id":"X"}"#)] {
        let (status, _, answer) =
            call(&address, "POST", &format!("/phones/628222/{path}"), body).await;
        assert_eq!(status, 409, "{path}: {answer}");
    }
}

#[tokio::test]
async fn who_hides_their_number_calls_without_it() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let path = "/phones/628222/send";
    let rings = r#"{"to":"628111","call":{"video":false}}"#;
    let lid = lid_jid(number("628222")).to_string();
    for (patch, creator) in
        [(r#"{"hidden":false}"#, "628222@s.whatsapp.net"), (r#"{"hidden":true}"#, lid.as_str())]
    {
        assert_eq!(call(&address, "PUT", "/phones/628222", patch).await.0, 200);
        assert!(call(&address, "POST", path, rings).await.0 < 300);
        let heard = client.expect("call").await;
        let offer = heard.get_optional_child("offer").unwrap();
        assert_eq!(attr(&heard, "from"), creator);
        assert_eq!(attr(offer, "call-creator"), creator);
        assert!(!format!("{offer:?}").contains("caller_pn"));
    }
}
