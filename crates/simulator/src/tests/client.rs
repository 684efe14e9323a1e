//! A linked device as a test plays it: real keys, real Signal, no socket.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use tokio::sync::mpsc;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, OwnedNodeRef, marshal};
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;

use crate::Simulator;
use crate::address::{DeviceAddr, Number};
use crate::keys::{PhoneKeys, SIGNED_PREKEY_ID, Seed};
use crate::limits::OUTGOING_STANZAS_MAX;
use crate::phone::pairing::{PairingOutcome, QrCode};
use crate::phone::signal::TestSignal;
use crate::switchboard::ConnId;
use crate::wire::socket::SocketCommand;

const ADV_SECRET: [u8; 32] = [4; 32];
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Client {
    pub(super) simulator: Simulator,
    keys: Arc<PhoneKeys>,
    noise: [u8; 32],
    pub(crate) addr: DeviceAddr,
    pub(crate) conn: ConnId,
    out: mpsc::Receiver<SocketCommand>,
    pub(super) signal: TestSignal,
}

impl Client {
    /// Opens a connection that is not paired yet.
    pub(crate) async fn unpaired(simulator: &Simulator, number: Number, tag: u8) -> Self {
        let keys = Arc::new(Seed::new([tag; 32]).phone(number, 0).unwrap());
        let (signed, signature) = keys.signed_prekey().unwrap();
        let identity = keys.identity.public_key().public_key_bytes().to_vec();
        let payload = wa::ClientPayload {
            device_pairing_data: waproto::buffa::MessageField::some(
                wa::client_payload::DevicePairingRegistrationData {
                    e_regid: Some(keys.registration_id().to_be_bytes().to_vec()),
                    e_ident: Some(identity),
                    e_skey_id: Some(vec![0, 0, 1]),
                    e_skey_val: Some(signed.public_key.public_key_bytes().to_vec()),
                    e_skey_sig: Some(signature.to_vec()),
                    ..Default::default()
                },
            ),
            ..Default::default()
        };
        let noise = [tag; 32];
        let (conn, out) = connect(simulator, payload, noise).await;
        Client {
            simulator: simulator.clone(),
            noise,
            addr: DeviceAddr { number, device: 0 },
            conn,
            out,
            signal: TestSignal::new(keys.clone()),
            keys,
        }
    }

    /// Pairs a device of `number` by QR, logs it in and uploads its keys.
    pub(crate) async fn paired(simulator: &Simulator, number: Number, tag: u8) -> Self {
        let mut client = Client::unpaired(simulator, number, tag).await;
        let qr = client.qr().await;
        client.scan_and_sign(&qr).await;
        client.log_in().await;
        client.upload_keys().await;
        client
    }

    /// The text of the QR code it shows.
    pub(crate) async fn qr(&mut self) -> String {
        let offer = self.expect("iq").await;
        let reference = offer
            .get_optional_child_by_tag(&["pair-device", "ref"])
            .and_then(Node::content_as_string)
            .unwrap();
        let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let identity = self.keys.identity.public_key().public_key_bytes();
        format!("{reference},{},{},{}", encode(&self.noise), encode(identity), encode(&ADV_SECRET))
    }

    /// The public half of its identity key.
    pub(crate) fn identity(&self) -> [u8; 32] {
        let key = self.keys.identity.public_key().public_key_bytes();
        key.try_into().unwrap()
    }

    pub(super) async fn scan_and_sign(&mut self, qr: &str) {
        let number = self.addr.number;
        let qr = QrCode::parse(qr).unwrap();
        let scanned = self.simulator.switchboard().run(move |sb| sb.scan(number, &qr));
        let linked = scanned.await.unwrap();
        self.sign().await;
        let PairingOutcome::Device(device) = linked.await.unwrap().unwrap() else {
            panic!("no passkey was asked for")
        };
        self.addr.device = device;
        assert_eq!(attr(&self.expect("stream:error").await, "code"), "515");
    }

    /// Answers the phone's certificate as a client does.
    pub(crate) async fn sign(&mut self) {
        let success = self.expect("iq").await;
        let container = success
            .get_optional_child_by_tag(&["pair-success", "device-identity"])
            .map(bytes)
            .unwrap();
        let container = wa::ADVSignedDeviceIdentityHMAC::decode_from_slice(&container).unwrap();
        let signed = container.details.unwrap();
        let mut signed = wa::ADVSignedDeviceIdentity::decode_from_slice(&signed).unwrap();
        let account = signed.account_signature_key.take().unwrap();
        let identity = self.keys.identity.public_key().public_key_bytes();
        let details = signed.details.clone().unwrap();
        let message = [&[6, 1][..], &details, identity, &account].concat();
        let key = self.keys.identity.private_key();
        let signature = key.calculate_signature(&message, &mut crate::clock::rng()).unwrap();
        signed.device_signature = Some(signature.to_vec());
        let proof = NodeBuilder::new("device-identity").bytes(signed.encode_to_vec());
        let sign = NodeBuilder::new("pair-device-sign").children([proof.build()]);
        let answer = NodeBuilder::new("iq")
            .attr("type", "result")
            .attr("id", attr(&success, "id"))
            .children([sign.build()])
            .build();
        self.send(answer).await;
    }

    /// A new connection with the linked device's keys; gives the server's first stanza.
    pub(crate) async fn reconnect(&mut self) -> Node {
        self.reconnect_as(true).await
    }

    /// The same; one that is not passive is sent its mail without asking for it.
    pub(crate) async fn reconnect_as(&mut self, is_passive: bool) -> Node {
        let payload = wa::ClientPayload {
            username: self.addr.number.to_string().parse().ok(),
            device: Some(u32::from(self.addr.device)),
            passive: Some(is_passive),
            ..Default::default()
        };
        (self.conn, self.out) = connect(&self.simulator, payload, self.noise).await;
        self.next().await.expect("an answer to the login")
    }

    /// Logs in; mail is not asked for yet.
    pub(crate) async fn log_in(&mut self) {
        assert_eq!(self.reconnect().await.tag, "success");
    }

    /// Logs in after a restart of the simulator.
    pub(crate) async fn move_to(&mut self, simulator: &Simulator) {
        self.simulator = simulator.clone();
        self.log_in().await;
    }

    async fn upload_keys(&mut self) {
        let leaf = |tag: &'static str, bytes: Vec<u8>| NodeBuilder::new(tag).bytes(bytes).build();
        let (signed, signature) = self.keys.signed_prekey().unwrap();
        let three = |id: u32| id.to_be_bytes()[1..].to_vec();
        let prekeys = (1..=10).map(|id| {
            let key = self.keys.prekey(id).unwrap().public_key().unwrap();
            let value = leaf("value", key.public_key_bytes().to_vec());
            NodeBuilder::new("key").children([leaf("id", three(id)), value]).build()
        });
        let content = [
            leaf("registration", self.keys.registration_id().to_be_bytes().to_vec()),
            leaf("type", vec![5]),
            leaf("identity", self.keys.identity.public_key().public_key_bytes().to_vec()),
            NodeBuilder::new("list").children(prekeys).build(),
            NodeBuilder::new("skey")
                .children([
                    leaf("id", three(SIGNED_PREKEY_ID)),
                    leaf("value", signed.public_key.public_key_bytes().to_vec()),
                    leaf("signature", signature.to_vec()),
                ])
                .build(),
        ];
        let answer = self.query("encrypt", "set", content).await;
        assert_eq!(attr(&answer, "type"), "result");
    }

    /// Fetches its waiting mail, until the server reports the end.
    pub(crate) async fn take_mail(&mut self) -> Vec<Node> {
        let active = NodeBuilder::new("active").build();
        self.query("passive", "set", [active]).await;
        let mut mail = Vec::new();
        loop {
            let node = self.next().await.expect("the end of the mail");
            if node.get_optional_child("offline").is_some() {
                return mail;
            }
            if node.tag != "ib" {
                mail.push(node);
            }
        }
    }

    /// Acknowledges a stanza.
    pub(crate) async fn ack(&mut self, node: &Node) {
        let mut ack = NodeBuilder::new("ack")
            .attr("class", node.tag.to_string())
            .attr("id", attr(node, "id"))
            .attr("to", attr(node, "from"));
        if !attr(node, "type").is_empty() {
            ack = ack.attr("type", attr(node, "type"));
        }
        self.send(ack.build()).await;
    }

    pub(crate) async fn query(
        &mut self,
        space: &'static str,
        kind: &'static str,
        content: impl IntoIterator<Item = Node>,
    ) -> Node {
        self.query_to("s.whatsapp.net", space, kind, content).await
    }

    pub(crate) async fn query_to(
        &mut self,
        to: &'static str,
        space: &'static str,
        kind: &'static str,
        content: impl IntoIterator<Item = Node>,
    ) -> Node {
        let id = crate::clock::message_id();
        let iq = NodeBuilder::new("iq")
            .attr("xmlns", space)
            .attr("type", kind)
            .attr("id", id.clone())
            .attr("to", to)
            .children(content)
            .build();
        self.send(iq).await;
        loop {
            let answer = self.expect("iq").await;
            if attr(&answer, "id") == id {
                return answer;
            }
        }
    }

    pub(crate) async fn send(&self, node: Node) {
        let bytes = marshal::marshal(&node).unwrap();
        self.send_bytes(bytes).await;
    }

    /// Sends a stanza as bytes, the format byte first.
    pub(crate) async fn send_bytes(&self, bytes: Vec<u8>) {
        let Ok(node) = OwnedNodeRef::new(bytes::Bytes::from(bytes).slice(1..)) else {
            return;
        };
        let conn = self.conn;
        let post = self.simulator.switchboard().post(move |sb| sb.on_stanza(conn, node.get()));
        post.await;
    }

    /// The next stanza from the server; `None` when the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<Node> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.out.recv());
            match next.await.expect("the server said nothing") {
                Some(SocketCommand::Stanza { node, .. }) if node.tag == "xmlstreamend" => {}
                Some(SocketCommand::Stanza { node, .. }) => return Some(*node),
                Some(SocketCommand::MailPageWritten) => {
                    let conn = self.conn;
                    self.simulator.switchboard().post(move |sb| sb.next_mail_page(conn)).await;
                }
                Some(SocketCommand::Close) | None => return None,
            }
        }
    }

    /// The last stanza before the server closes the connection.
    pub(super) async fn last(&mut self) -> Option<Node> {
        let mut last = None;
        loop {
            let next = tokio::time::timeout(PATIENCE, self.out.recv());
            match next.await.expect("the server said nothing") {
                Some(SocketCommand::Stanza { node, .. }) => last = Some(*node),
                Some(SocketCommand::MailPageWritten) => {}
                Some(SocketCommand::Close) | None => return last,
            }
        }
    }

    /// The next stanza with this tag; others are skipped.
    pub(crate) async fn expect(&mut self, tag: &str) -> Node {
        loop {
            let node = self.next().await.expect("the connection was closed");
            if node.tag == tag {
                return node;
            }
        }
    }
}

async fn connect(
    simulator: &Simulator,
    payload: wa::ClientPayload,
    noise: [u8; 32],
) -> (ConnId, mpsc::Receiver<SocketCommand>) {
    let (sender, out) = mpsc::channel(OUTGOING_STANZAS_MAX);
    let connected = simulator
        .switchboard()
        .run(move |sb| sb.connect(sender, payload, noise, "localhost".into()));
    (connected.await.unwrap(), out)
}

pub(crate) fn attr(node: &Node, key: &str) -> String {
    node.attrs.get(key).map(ToString::to_string).unwrap_or_default()
}

pub(super) fn bytes(node: &Node) -> Vec<u8> {
    match &node.content {
        Some(wacore_binary::NodeContent::Bytes(bytes)) => bytes.clone(),
        _ => Vec::new(),
    }
}
