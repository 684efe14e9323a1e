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
}
