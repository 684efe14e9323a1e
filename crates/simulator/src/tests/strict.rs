//! What the service refuses, and what it says by itself.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent};

use super::client::attr;
use super::http::{call, serve};
use super::writing::message_to;
use super::{Client, inbox, lid_jid, media_auth, number, simulator};
use crate::address::DeviceAddr;
use crate::phone::signal::EncType;
use crate::switchboard::Switchboard;

fn leaf(tag: &'static str) -> Node {
    NodeBuilder::new(tag).build()
}

/// The code of an answer that is an error; empty for a result.
fn code(answer: &Node) -> String {
    answer.get_optional_child("error").map(|error| attr(error, "code")).unwrap_or_default()
}

#[tokio::test]
async fn an_active_login_is_sent_its_mail_and_a_passive_one_must_ask() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.log_in().await;
    client.query("w:p", "get", [leaf("ping")]).await;
    assert_eq!(client.take_mail().await.len(), 1);
    assert_eq!(client.reconnect_as(false).await.tag, "success");
    assert_eq!(attr(&client.expect("message").await, "category"), "peer");
    let passive = client.query("passive", "set", [leaf("passive")]).await;
    assert_eq!(code(&passive), "");
}

#[tokio::test]
async fn unknown_queries_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    for (space, tag, expected) in [
        ("unknown", "what", "501"),
        ("w:mex", "query", "501"),
        ("encrypt", "what", "400"),
        ("blocklist", "list", ""),
        ("abt", "props", ""),
        ("privacy", "privacy", ""),
    ] {
        let answer = client.query(space, "get", [leaf(tag)]).await;
        assert_eq!(code(&answer), expected, "{space} {tag}");
    }
    let props = client.query("abt", "get", [leaf("props")]).await;
    let props = props.get_optional_child("props").unwrap();
    assert_eq!((attr(props, "protocol"), attr(props, "hash").is_empty()), ("1".into(), false));
    let migration = props.get_children_by_tag("prop").find(|p| attr(p, "config_code") == "9435");
    assert_eq!(attr(migration.unwrap(), "config_value"), "0");
}

#[tokio::test]
async fn a_client_that_is_to_start_again_ends_its_connection_itself() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::unpaired(&simulator, number("628111"), 1).await;
    let qr = client.qr().await;
    client.scan_and_sign(&qr).await;
    let conn = client.conn;
    let is_open = move |sb: &mut Switchboard| Ok(sb.conns.contains_key(&conn));
    assert!(simulator.switchboard().run(is_open).await.unwrap());
}

#[tokio::test]
async fn a_new_device_learns_where_to_connect_and_what_to_ask_for() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.log_in().await;
    let routing = client.expect("ib").await;
    assert!(routing.get_optional_child_by_tag(&["edge_routing", "routing_info"]).is_some());
    let mut dirty = Vec::new();
    for _ in 0..2 {
        let ib = client.expect("ib").await;
        dirty.push(attr(ib.get_optional_child("dirty").unwrap(), "type"));
    }
    assert_eq!(dirty, ["account_sync", "groups"]);
    let cleaned = dirty.iter().map(|kind| NodeBuilder::new("clean").attr("type", kind).build());
    client.query("urn:xmpp:whatsapp:dirty", "set", cleaned).await;
    client.log_in().await;
    client.expect("ib").await;
    let mail = client.take_mail().await;
    assert!(mail.iter().all(|node| node.tag != "ib"));
}

#[tokio::test]
async fn a_client_that_does_not_answer_pings_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let conn = client.conn;
    let ping = async || {
        let ping = simulator.switchboard().run(move |sb| {
            sb.ping(conn);
            Ok(())
        });
        ping.await.unwrap();
    };
    ping().await;
    let asked = client.expect("iq").await;
    assert_eq!(attr(&asked, "xmlns"), "urn:xmpp:ping");
    let pong = NodeBuilder::new("iq").attr("type", "result").attr("id", attr(&asked, "id"));
    client.send(pong.build()).await;
    client.query("w:p", "get", [leaf("ping")]).await;
    ping().await;
    client.expect("iq").await;
    ping().await;
    assert!(client.next().await.is_none());
}

#[tokio::test]
async fn a_prekey_must_be_signed_by_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let bytes = |tag: &'static str, bytes: Vec<u8>| NodeBuilder::new(tag).bytes(bytes).build();
    let skey = NodeBuilder::new("skey").children([
        bytes("id", vec![0, 0, 9]),
        bytes("value", vec![9; 32]),
        bytes("signature", vec![9; 64]),
    ]);
    let rotate = NodeBuilder::new("rotate").children([skey.build()]).build();
    let answer = client.query("encrypt", "set", [rotate]).await;
    assert_eq!(code(&answer), "500");
    let addr = client.addr;
    let bundle = simulator.switchboard().run(move |sb| sb.bundle(addr)).await.unwrap().unwrap();
    assert_ne!(bundle.signed_id, 9);
}

#[tokio::test]
async fn a_first_message_must_prove_whose_device_it_comes_from() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let to = DeviceAddr::phone(number("628222"));
    let mut message = message_to(to, "ID1", (EncType::PreKey, vec![3; 80]));
    let Some(NodeContent::Nodes(content)) = &mut message.content else { panic!() };
    content.retain(|node| node.tag != "device-identity");
    client.send(message).await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "479");
    assert!(inbox(&simulator, number("628222")).await.is_empty());
}

/// The same message to one whom it names otherwise, outside and inside.
fn addressed(mut node: Node, id: &str, outside: &Jid, inside: &Jid) -> Node {
    node.attrs.insert("id", id.to_owned());
    node.attrs.insert("to", outside.clone());
    let Some(NodeContent::Nodes(content)) = &mut node.content else { panic!() };
    let participants = content.iter_mut().find(|node| node.tag == "participants").unwrap();
    let Some(NodeContent::Nodes(named)) = &mut participants.content else { panic!() };
    named[0].attrs.insert("jid", inside.clone());
    node
}

#[tokio::test]
async fn people_are_addressed_as_the_account_does_and_never_in_two_ways() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let (own, friend) = (number("628111"), number("628222"));
    let mut client = Client::paired(&simulator, own, 1).await;
    client.take_mail().await;
    let (pn, lid) = (friend.jid(), lid_jid(friend));
    for is_migrated in [false, true] {
        let patch = serde_json::from_value(serde_json::json!({ "migrated": is_migrated })).unwrap();
        simulator.switchboard().run(move |sb| sb.change_phone(own, patch)).await.unwrap();
        let sealed = client.text(friend, &format!("{is_migrated} 1"), "halo").await;
        let expected = if is_migrated { "400" } else { "" };
        assert_eq!(attr(&client.expect("ack").await, "error"), expected);
        let (right, wrong) = if is_migrated { (&lid, &pn) } else { (&pn, &lid) };
        for (n, outside, inside) in [(2, wrong, wrong), (3, right, wrong), (4, wrong, right)] {
            let id = format!("{is_migrated} {n}");
            client.send(addressed(sealed.clone(), &id, outside, inside)).await;
            assert_eq!(attr(&client.expect("ack").await, "error"), "400", "{id}");
        }
        if is_migrated {
            client.send(addressed(sealed, "true 5", right, right)).await;
            assert_eq!(attr(&client.expect("ack").await, "error"), "");
        }
    }
    let arrived = inbox(&simulator, friend).await;
    let ids: Vec<_> = arrived.iter().map(|mail| mail["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["false 1", "true 5"], "what was refused reached nobody");
}

#[tokio::test]
async fn members_are_addressed_as_their_group_does() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let members = [number("628111"), number("628222"), number("628333")];
    let mut client = Client::paired(&simulator, members[0], 1).await;
    client.take_mail().await;
    let text =
        waproto::whatsapp::Message { conversation: Some("halo".into()), ..Default::default() };
    for by_lid in [false, true] {
        let made = simulator
            .switchboard()
            .run(move |sb| sb.create_group("Tim", &members, by_lid, &Default::default()));
        let group = made.await.unwrap();
        let (pn, lid) = (members[1].jid(), lid_jid(members[1]));
        let wrong = if by_lid { pn } else { lid };
        let right = if by_lid { lid_jid(members[2]) } else { members[2].jid() };
        for named in [vec![wrong.clone()], vec![right, wrong]] {
            let enc = || NodeBuilder::new("enc").attr("v", "2").attr("type", "msg");
            let named = named.iter().map(|jid| {
                let enc = enc().bytes(vec![3_u8; 40]).build();
                NodeBuilder::new("to").attr("jid", jid).children([enc]).build()
            });
            let participants = NodeBuilder::new("participants").children(named).build();
            let message = NodeBuilder::new("message")
                .attr("to", &*group)
                .attr("id", "ID1")
                .attr("type", "text")
                .children([participants]);
            client.send(message.build()).await;
            assert_eq!(attr(&client.expect("ack").await, "error"), "400", "{by_lid}");
        }
        client.write_to_group(&group, &members, "ID2", &text).await;
        assert_eq!(attr(&client.expect("ack").await, "error"), "", "{by_lid}");
    }
}

#[tokio::test]
async fn the_server_ends_the_stream_before_it_closes_a_connection() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let set = async |path: &str, body: &str| {
        let (status, _, answer) = call(&address, "PUT", path, body).await;
        assert_eq!(status, 200, "{answer}");
    };
    for (path, body) in [
        ("/faults", r#"{"disconnect":{"number":"628111","code":503}}"#),
        ("/faults", r#"{"disconnect":{"number":"628111","code":409}}"#),
        ("/server", r#"{"min_version":"2.3000.1035000001"}"#),
    ] {
        set("/faults", "{}").await;
        client.log_in().await;
        set(path, body).await;
        assert_eq!(client.last().await.unwrap().tag, "xmlstreamend", "{body}");
    }
    // A login that is refused.
    assert_eq!(attr(&client.reconnect().await, "reason"), "405");
    assert_eq!(client.last().await.unwrap().tag, "xmlstreamend");
    // A connection that breaks says nothing.
    set("/server", r#"{"min_version":""}"#).await;
    client.log_in().await;
    set("/faults", r#"{"rules":[{"on":"iq","do":"disconnect"}]}"#).await;
    client.send(NodeBuilder::new("iq").attr("xmlns", "w:p").attr("id", "1").build()).await;
    assert!(client.last().await.is_none_or(|node| node.tag != "xmlstreamend"));
}

#[tokio::test]
async fn impossible_numbers_are_answered_as_they_were_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let contact = NodeBuilder::new("contact").bytes(b"+12".to_vec()).build();
    let user = NodeBuilder::new("user").children([contact]).build();
    let usync = NodeBuilder::new("usync").attr("sid", "1").attr("mode", "query").children([
        NodeBuilder::new("query").children([leaf("contact")]).build(),
        NodeBuilder::new("list").children([user]).build(),
    ]);
    let answer = client.query("usync", "get", [usync.build()]).await;
    let user = answer.get_optional_child_by_tag(&["usync", "list", "user"]).unwrap();
    assert_eq!(attr(user, "jid"), "12@s.whatsapp.net");
    let contact = user.get_optional_child("contact").unwrap();
    assert_eq!(
        (attr(contact, "type"), super::client::bytes(contact)),
        ("out".into(), b"+12".into())
    );
}

#[tokio::test]
async fn uploads_need_a_right_that_is_not_over_and_go_to_the_hosts_that_are_set() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let put = async |body: &str| call(&address, "PUT", "/server", body).await;
    let upload = async |auth: &str| {
        call(&address, "POST", &format!("/mms/image/t?auth={auth}"), "sealed").await.0
    };
    let auth = media_auth(&simulator).await;
    assert_eq!(upload(&auth).await, 200);
    let wrong = auth.replace("628111", "628222");
    assert_eq!([upload(&wrong).await, upload("simulator").await, upload("").await], [401; 3]);
    let fault = r#"{"rules":[{"on":"media","number":"628111","times":1,"do":"http_status"}]}"#;
    assert_eq!(call(&address, "PUT", "/faults", fault).await.0, 200);
    assert_eq!([upload(&auth).await, upload(&auth).await], [500, 200]);
    let hosts = r#"{"media_hosts":["127.0.0.1:1","localhost:2"]}"#;
    assert_eq!((put(hosts).await.0, put(r#"{"media_hosts":["x"]}"#).await.0), (200, 400));
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let answer = client.query("w:m", "set", [leaf("media_conn")]).await;
    let hosts = answer.get_optional_child("media_conn").unwrap().get_children_by_tag("host");
    let hosts: Vec<_> = hosts.map(|host| (attr(host, "hostname"), attr(host, "type"))).collect();
    let expected = [("127.0.0.1:1", "primary"), ("localhost:2", "fallback")];
    assert_eq!(hosts, expected.map(|(host, kind)| (host.to_owned(), kind.to_owned())));
    let over = simulator.switchboard().run(move |sb| {
        let (claim, _) = auth.rsplit_once('.').unwrap();
        let claim = claim.rsplit_once('.').unwrap().0.to_owned() + ".1";
        let proof = sb.media_proof(&claim)?;
        Ok(sb.media_owner(&format!("{claim}.{proof}")).unwrap_err().to_string())
    });
    assert_eq!(over.await.unwrap(), "the auth has expired");
}

#[tokio::test]
async fn groups_of_announcements_and_communities_take_messages_of_admins_only() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let members = [number("628222"), number("628111")];
    let mut client = Client::paired(&simulator, members[1], 1).await;
    client.take_mail().await;
    let create = async |more: &str| {
        let body = format!(r#"{{"subject":"Kabar","participants":["628222","628111"]{more}}}"#);
        let (status, _, answer) = call(&address, "POST", "/groups", &body).await;
        assert_eq!(status, 200, "{answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        answer["id"].as_str().unwrap().to_owned()
    };
    let text =
        waproto::whatsapp::Message { conversation: Some("halo".into()), ..Default::default() };
    let (news, community) =
        (create(r#","announcement":true"#).await, create(r#","community":true"#).await);
    let part = create(&format!(r#","parent":"{community}""#)).await;
    for (group, id, expected) in
        [(&news, "ID1", "403"), (&community, "ID2", "403"), (&part, "ID3", "")]
    {
        client.write_to_group(group, &members, id, &text).await;
        assert_eq!(attr(&client.expect("ack").await, "error"), expected, "{id}");
    }
    let promote = format!("/groups/{news}/members/628111");
    assert_eq!(call(&address, "PUT", &promote, r#"{"admin":true}"#).await.0, 200);
    let promoted = client.expect("notification").await;
    assert!(promoted.get_optional_child("promote").is_some());
    client.write_to_group(&news, &members, "ID4", &text).await;
    assert_eq!(attr(&client.expect("ack").await, "error"), "");
    let open = format!("/groups/{news}");
    assert_eq!(call(&address, "PUT", &open, r#"{"announcement":false}"#).await.0, 200);
    let opened = client.expect("notification").await;
    assert!(opened.get_optional_child("not_announcement").is_some());
}

#[tokio::test]
async fn companions_give_receipts_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let friend = number("628222");
    let set = simulator.switchboard().run(move |sb| sb.set_companions(friend, 1, true));
    set.await.unwrap();
    let companion = DeviceAddr { number: friend, device: 1 };
    let text =
        waproto::whatsapp::Message { conversation: Some("halo".into()), ..Default::default() };
    client.message_to_device(companion, "ID1", &text).await;
    let receipt = client.expect("receipt").await;
    assert_eq!(
        (attr(&receipt, "from"), attr(&receipt, "type")),
        (companion.jid().to_string(), String::new())
    );
}

#[tokio::test]
async fn scripted_faults_strike_queries_receipts_and_connections() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    client.take_mail().await;
    let script = async |rules: &str| {
        let body = format!(r#"{{"rules":[{rules}]}}"#);
        let (status, _, answer) = call(&address, "PUT", "/faults", &body).await;
        assert_eq!(status, 200, "{answer}");
    };
    script(r#"{"on":"iq","times":1,"do":"nack","code":429}"#).await;
    assert_eq!(code(&client.query("blocklist", "get", [leaf("list")]).await), "429");
    script(r#"{"on":"iq","times":1,"do":"delay_ms","ms":20}"#).await;
    assert_eq!(code(&client.query("blocklist", "get", [leaf("list")]).await), "");
    // It is relayed, not acknowledged, and then the connection breaks.
    script(r#"{"on":"message","do":"drop_ack"},{"on":"message","do":"disconnect"}"#).await;
    client.text(number("628222"), "ID1", "halo").await;
    while let Some(node) = client.next().await {
        assert_ne!(node.tag, "ack");
    }
    assert_eq!(inbox(&simulator, number("628222")).await.len(), 1);
    // It is lost.
    client.log_in().await;
    client.take_mail().await;
    script(r#"{"on":"message","do":"disconnect","code":503}"#).await;
    client.text(number("628222"), "ID2", "halo").await;
    assert_eq!(attr(&client.expect("stream:error").await, "code"), "503");
    assert_eq!(inbox(&simulator, number("628222")).await.len(), 1);
    script(r#"{"on":"login","times":1,"do":"failure","code":402,"expire_s":9}"#).await;
    assert_eq!(attr(&client.reconnect().await, "expire"), "9");
    assert_eq!(client.reconnect().await.tag, "success");
}

#[tokio::test]
async fn members_that_read_together_give_one_receipt() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let address = serve(simulator.router()).await;
    let members = [number("628111"), number("628222"), number("628333")];
    for member in &members[1..] {
        let path = format!("/phones/{member}");
        assert_eq!(call(&address, "PUT", &path, r#"{"auto_receipts":"none"}"#).await.0, 200);
    }
    let group = r#"{"subject":"Tim","participants":["628111","628222","628333"]}"#;
    let (_, _, group) = call(&address, "POST", "/groups", group).await;
    let group: serde_json::Value = serde_json::from_str(&group).unwrap();
    let group = group["id"].as_str().unwrap();
    let mut client = Client::paired(&simulator, members[0], 1).await;
    client.take_mail().await;
    let text =
        waproto::whatsapp::Message { conversation: Some("halo".into()), ..Default::default() };
    client.write_to_group(group, &members, "ID1", &text).await;
    client.expect("ack").await;
    let (status, _, read) = call(&address, "POST", &format!("/groups/{group}/read"), "").await;
    assert_eq!((status, read.as_str()), (200, r#"{"read":1}"#));
    let receipt = client.expect("receipt").await;
    assert_eq!((attr(&receipt, "type"), attr(&receipt, "from")), ("read".into(), group.into()));
    let participants = receipt.get_optional_child("participants").unwrap();
    let users = participants.get_children_by_tag("user").map(|user| attr(user, "jid"));
    let expected = members[1..].iter().map(|member| member.jid().to_string());
    assert_eq!(attr(participants, "key"), "ID1");
    assert!(users.eq(expected));
}
