//! Malformed stanzas do not stop the simulator.

use rand::{RngExt as _, SeedableRng as _};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, marshal};

use super::{Client, inbox, number, simulator};

fn leaf(tag: &'static str) -> Node {
    NodeBuilder::new(tag).build()
}

/// Stanzas that are wrong in shape.
fn malformed() -> Vec<Node> {
    let iq = |space: &'static str, kind: &'static str, child: Node| {
        NodeBuilder::new("iq")
            .attr("xmlns", space)
            .attr("type", kind)
            .attr("id", "x")
            .children([child])
            .build()
    };
    let with = |tag: &'static str, child: Node| NodeBuilder::new(tag).children([child]).build();
    let bytes = |tag: &'static str| NodeBuilder::new(tag).bytes(vec![0xFF; 7]).build();
    vec![
        leaf("iq"),
        leaf("message"),
        leaf("receipt"),
        leaf("ack"),
        leaf("chatstate"),
        leaf("presence"),
        leaf("nonsense"),
        iq("usync", "get", leaf("usync")),
        iq("usync", "get", with("usync", with("list", leaf("user")))),
        iq("encrypt", "get", leaf("key")),
        iq("encrypt", "get", with("key", NodeBuilder::new("user").attr("jid", "what").build())),
        iq("encrypt", "set", with("list", with("key", bytes("id")))),
        iq("encrypt", "set", with("rotate", with("skey", bytes("value")))),
        iq("encrypt", "set", leaf("nonsense")),
        iq("w:g2", "get", leaf("query")),
        iq("w:m", "set", leaf("media_conn")),
        iq("md", "set", leaf("link_code_companion_reg")),
        iq("md", "set", with("link_code_companion_reg", bytes("link_code_pairing_ref"))),
        iq("w:sync:app:state", "set", leaf("sync")),
        NodeBuilder::new("message").attr("to", "628222@s.whatsapp.net").attr("id", "").build(),
        NodeBuilder::new("message").attr("to", "1@g.us").attr("id", "a").build(),
        NodeBuilder::new("message").attr("to", "status@broadcast").attr("id", "a").build(),
        NodeBuilder::new("message")
            .attr("to", "628222@s.whatsapp.net")
            .attr("id", "b")
            .children([with("participants", leaf("to")), bytes("enc")])
            .build(),
        NodeBuilder::new("message")
            .attr("to", "628222@s.whatsapp.net")
            .attr("id", "c")
            .children([NodeBuilder::new("enc").attr("type", "pkmsg").bytes(vec![0x33; 50]).build()])
            .build(),
        NodeBuilder::new("receipt")
            .attr("to", "628222@s.whatsapp.net")
            .attr("id", "d")
            .attr("type", "retry")
            .children([with("keys", bytes("identity"))])
            .build(),
    ]
}

/// The switchboard still answers, and a message still arrives.
async fn still_works(simulator: &crate::Simulator, client: &mut Client) {
    client.log_in().await;
    let before = inbox(simulator, number("628222")).await.len();
    client.text(number("628222"), &crate::clock::message_id(), "halo").await;
    client.expect("ack").await;
    assert_eq!(inbox(simulator, number("628222")).await.len(), before + 1);
}

#[tokio::test]
async fn malformed_stanzas_do_no_harm() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let unlinked = Client::unpaired(&simulator, number("628111"), 2).await;
    for node in malformed() {
        client.send(node.clone()).await;
        unlinked.send(node).await;
    }
    still_works(&simulator, &mut client).await;
}

#[tokio::test]
async fn queries_get_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    for (space, tag) in
        [("encrypt", "what"), ("w:g2", "what"), ("unknown", "what"), ("usync", "what")]
    {
        let answer = client.query(space, "get", [leaf(tag)]).await;
        assert!(["result", "error"].contains(&&*super::client::attr(&answer, "type")));
    }
}

#[tokio::test]
async fn mutated_stanzas_do_no_harm() {
    let seed = 0x5EED;
    let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    let mut corpus = malformed();
    corpus.push(client.text(number("628222"), "seed", "halo").await);
    for _ in 0..3_000 {
        let pick = rng.random_range(0..corpus.len());
        let mut bytes = marshal::marshal(&corpus[pick]).unwrap();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            bytes[at] = rng.random();
        }
        if rng.random_range(0..10) == 0 {
            bytes.truncate(rng.random_range(1..=bytes.len()));
        }
        client.send_bytes(bytes).await;
    }
    still_works(&simulator, &mut client).await;
    let panics = simulator.switchboard().run(|sb| Ok(sb.counters.panics)).await.unwrap();
    assert_eq!(panics, 0);
}

const TAGS: [&str; 26] = [
    "iq",
    "message",
    "receipt",
    "ack",
    "presence",
    "chatstate",
    "ib",
    "call",
    "notification",
    "enc",
    "participants",
    "to",
    "usync",
    "query",
    "list",
    "user",
    "contact",
    "key",
    "skey",
    "sync",
    "collection",
    "patch",
    "props",
    "clean",
    "retry",
    "device-identity",
];
const ATTRS: [&str; 18] = [
    "id",
    "to",
    "from",
    "type",
    "xmlns",
    "jid",
    "participant",
    "recipient",
    "category",
    "name",
    "version",
    "class",
    "count",
    "return_snapshot",
    "phash",
    "edit",
    "v",
    "t",
];
const VALUES: [&str; 30] = [
    "",
    "1",
    "get",
    "set",
    "result",
    "error",
    "628222@s.whatsapp.net",
    "628111:1@s.whatsapp.net",
    "1@lid",
    "99999999999999999999@lid",
    "1@g.us",
    "status@broadcast",
    "s.whatsapp.net",
    "g.us",
    "encrypt",
    "usync",
    "w:g2",
    "w:m",
    "md",
    "w:sync:app:state",
    "passive",
    "urn:xmpp:ping",
    "pkmsg",
    "msg",
    "skmsg",
    "retry",
    "read",
    "peer",
    "critical_block",
    "-1",
];

/// Any stanza that can be written with the words of the protocol.
fn any_stanza(rng: &mut rand::rngs::StdRng, depth: u32) -> Node {
    let pick =
        |rng: &mut rand::rngs::StdRng, from: &[&'static str]| from[rng.random_range(0..from.len())];
    let mut node = NodeBuilder::new(pick(rng, &TAGS));
    for _ in 0..rng.random_range(0..5) {
        node = node.attr(pick(rng, &ATTRS), pick(rng, &VALUES));
    }
    match rng.random_range(0..4) {
        0 if depth > 0 => {
            let count = rng.random_range(1..4);
            let children: Vec<Node> = (0..count).map(|_| any_stanza(rng, depth - 1)).collect();
            node.children(children).build()
        }
        1 => {
            let bytes = (0..rng.random_range(0..80)).map(|_| rng.random()).collect::<Vec<u8>>();
            node.bytes(bytes).build()
        }
        2 => node.string_content(pick(rng, &VALUES)).build(),
        _ => node.build(),
    }
}

#[tokio::test]
async fn random_stanzas_do_no_harm() {
    let mut rng = rand::rngs::StdRng::seed_from_u64(0xA11);
    let dir = tempfile::tempdir().unwrap();
    let simulator = simulator(&dir).await;
    let mut client = Client::paired(&simulator, number("628111"), 1).await;
    for _ in 0..5_000 {
        client.send(any_stanza(&mut rng, 3)).await;
    }
    still_works(&simulator, &mut client).await;
    let panics = simulator.switchboard().run(|sb| Ok(sb.counters.panics)).await.unwrap();
    assert_eq!(panics, 0);
}

#[test]
fn random_bytes_end_a_connection_and_nothing_else() {
    let mut rng = rand::rngs::StdRng::seed_from_u64(0xB17);
    let seed = crate::keys::Seed::new([7; 32]);
    let server = crate::wire::certificates::ServerIdentity::new(&seed).unwrap();
    for _ in 0..2_000 {
        let mut bytes: Vec<u8> = (0..rng.random_range(0..300)).map(|_| rng.random()).collect();
        if rng.random() {
            bytes.splice(0..0, *b"WA\x06\x03");
        }
        let mut frames = crate::wire::frames::FrameReader::default();
        let _ = frames.feed(&bytes);
        if let Ok(Some(header)) = frames.header()
            && let Ok(Some(hello)) = frames.frame()
        {
            let _ = crate::wire::noise::answer_hello(&server, &header, &hello);
        }
        let _ = crate::wire::noise::answer_hello(&server, b"WA\x06\x03", &bytes);
        let _ = wacore_binary::util::unpack(&bytes);
    }
}
