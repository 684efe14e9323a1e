//! How the test's linked device writes and reads: real Signal, to persons and groups.

use wacore::download::MediaType;
use wacore::messages::MessageUtils;
use wacore::upload::encrypt_media;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;

use super::client::{attr, bytes};
use super::{Client, lid_jid};
use crate::address::{DeviceAddr, Number};
use crate::phone::signal::EncType;

impl Client {
    /// Sends a text to a phone; the answer is not awaited.
    pub(crate) async fn text(&mut self, to: Number, id: &str, text: &str) -> Node {
        let message = wa::Message { conversation: Some(text.to_owned()), ..Default::default() };
        self.message(to, id, &message).await
    }

    /// Sends a message to a phone.
    pub(crate) async fn message(&mut self, to: Number, id: &str, message: &wa::Message) -> Node {
        let phone = DeviceAddr::phone(to);
        let sealed = self.seal(phone, message).await;
        let node = message_to(phone, id, sealed);
        self.send(node.clone()).await;
        node
    }

    /// Sends a message to one device, and to no other of its owner.
    pub(crate) async fn message_to_device(
        &mut self,
        to: DeviceAddr,
        id: &str,
        message: &wa::Message,
    ) {
        let sealed = self.seal(to, message).await;
        self.send(message_to(to, id, sealed)).await;
    }

    /// Sends a message to the phones of a group's members, its own too, with a sender key, and
    /// names them as the group does.
    pub(crate) async fn write_to_group(
        &mut self,
        group: &str,
        members: &[Number],
        id: &str,
        message: &wa::Message,
    ) {
        let node = self.group_message(group, members, id, message).await;
        self.send(node).await;
    }

    /// The same, not sent.
    pub(crate) async fn group_message(
        &mut self,
        group: &str,
        members: &[Number],
        id: &str,
        message: &wa::Message,
    ) -> Node {
        let (key, sealed) = self.signal.group_seal(self.addr, group, &padded(message));
        let key = wa::Message {
            sender_key_distribution_message: MessageField::some(
                wam::SenderKeyDistributionMessage {
                    group_id: Some(group.to_owned()),
                    axolotl_sender_key_distribution_message: Some(key),
                },
            ),
            ..Default::default()
        };
        let known = group.parse::<Jid>().unwrap().user.to_string();
        let sql = "SELECT by_lid FROM groups WHERE id = ?1";
        let by_lid = self
            .simulator
            .read(move |db| Ok(db.query_row(sql, [known], |row| row.get::<_, bool>(0))?));
        let by_lid = by_lid.await.unwrap();
        let mut participants = Vec::new();
        for member in members {
            let name = if by_lid { lid_jid(*member) } else { member.jid() };
            let sealed = self.seal(DeviceAddr::phone(*member), &key).await;
            participants.push(to_node(&name, sealed));
        }
        let content = [
            NodeBuilder::new("participants").children(participants).build(),
            enc(EncType::SenderKey, sealed),
            proof(),
        ];
        NodeBuilder::new("message")
            .attr("to", group)
            .attr("id", id)
            .attr("type", "text")
            .children(content)
            .build()
    }

    /// Uploads a file as clients do, and describes it as a document does.
    pub(crate) async fn uploaded(&self, plain: &[u8], kind: MediaType) -> wam::DocumentMessage {
        let sealed = encrypt_media(plain, kind).unwrap();
        let store = self.simulator.media();
        let direct_path = store.direct_path(kind.mms_type(), &hex::encode(sealed.file_enc_sha256));
        let body = bytes::Bytes::from(sealed.data_to_upload);
        let once = futures_util::stream::iter([Ok::<_, std::io::Error>(body)]);
        store.store(&direct_path, 0, once).await.unwrap();
        wam::DocumentMessage {
            direct_path: Some(direct_path),
            media_key: Some(sealed.media_key.to_vec()),
            file_sha256: Some(sealed.file_sha256.to_vec()),
            file_enc_sha256: Some(sealed.file_enc_sha256.to_vec()),
            file_length: Some(plain.len() as u64),
            ..Default::default()
        }
    }

    async fn seal(&mut self, to: DeviceAddr, message: &wa::Message) -> (EncType, Vec<u8>) {
        if !self.signal.knows(to) {
            let bundle = self.simulator.switchboard().run(move |sb| sb.bundle(to));
            self.signal.begin(to, bundle.await.unwrap().unwrap());
        }
        self.signal.seal(to, &padded(message))
    }

    /// Opens a message that came from a phone, to this device or into a group.
    pub(crate) fn open(&mut self, node: &Node) -> wa::Message {
        let author = match attr(node, "participant") {
            empty if empty.is_empty() => attr(node, "from"),
            author => author,
        };
        let from = DeviceAddr::from_jid(&author.parse().unwrap()).unwrap();
        let mut encs = node.get_children_by_tag("enc");
        let first = encs.next().expect("something encrypted");
        let kind = EncType::parse(&attr(first, "type")).unwrap();
        let opened = unpadded(&self.signal.open(from, kind, &bytes(first)));
        let Some(shared) = encs.next() else {
            return opened;
        };
        assert_eq!(attr(shared, "type"), "skmsg");
        let key = opened.sender_key_distribution_message.as_option().unwrap();
        let key = key.axolotl_sender_key_distribution_message.clone().unwrap();
        unpadded(&self.signal.group_open(from, &attr(node, "from"), &key, &bytes(shared)))
    }
}

fn padded(message: &wa::Message) -> Vec<u8> {
    MessageUtils::pad_message_v2(waproto::codec::message_to_vec(message))
}

fn unpadded(padded: &[u8]) -> wa::Message {
    let plain = MessageUtils::unpad_message_ref(padded, 2).unwrap();
    waproto::codec::message_decode(plain).unwrap()
}

fn enc(kind: EncType, sealed: Vec<u8>) -> Node {
    NodeBuilder::new("enc").attr("v", "2").attr("type", kind.name()).bytes(sealed).build()
}

fn to_node(to: &Jid, (kind, sealed): (EncType, Vec<u8>)) -> Node {
    NodeBuilder::new("to").attr("jid", to).children([enc(kind, sealed)]).build()
}

/// A message stanza for one device that has been asked for `again` times.
pub(crate) fn message_again(
    to: DeviceAddr,
    id: &str,
    sealed: (EncType, Vec<u8>),
    again: u32,
) -> Node {
    let mut sealed = enc(sealed.0, sealed.1);
    sealed.attrs.insert("count", again.to_string());
    NodeBuilder::new("message")
        .attr("to", to.jid())
        .attr("id", id)
        .attr("type", "text")
        .children([sealed, proof()])
        .build()
}

/// Clients prove whose device they are with the first message of a session.
fn proof() -> Node {
    let proof = wa::ADVSignedDeviceIdentity { details: Some(vec![1]), ..Default::default() };
    NodeBuilder::new("device-identity").bytes(proof.encode_to_vec()).build()
}

/// A message stanza for one device.
pub(crate) fn message_to(to: DeviceAddr, id: &str, sealed: (EncType, Vec<u8>)) -> Node {
    let participants = NodeBuilder::new("participants").children([to_node(&to.jid(), sealed)]);
    NodeBuilder::new("message")
        .attr("to", to.number.jid())
        .attr("id", id)
        .attr("type", "text")
        .children([participants.build(), proof()])
        .build()
}
