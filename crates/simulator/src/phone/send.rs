//! Sends a phone's messages, and the app-state key that its linked devices wait for.

use rusqlite::{OptionalExtension as _, params};
use wacore::messages::MessageUtils;
use wacore::types::message::EditAttribute;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;

use super::content::Content;
use super::receive::{PLAIN, json};
use super::signal::EncType;
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, SimulatorError, bad_request, conflict};
use crate::stanza::bundle_in_retry;
use crate::switchboard::{StanzaClass, Switchboard};

/// A message sent from a phone.
pub(crate) struct PhoneMessage {
    pub(crate) to: Jid,
    pub(crate) message: wa::Message,
    /// The id of the message that it answers or reacts to.
    pub(crate) refers_to: Option<String>,
    /// Its id; `None` for a new one.
    pub(crate) id: Option<String>,
}

/// A message as it goes to several devices.
pub(super) struct Parcel<'a> {
    pub(super) number: Number,
    pub(super) id: &'a str,
    pub(super) to: &'a Jid,
    pub(super) content: &'a Content,
    /// The encoded message.
    pub(super) plain: Vec<u8>,
}

impl Switchboard {
    /// Sends a message from a phone; returns its id.
    pub(crate) fn phone_sends(
        &mut self,
        number: Number,
        outgoing: &PhoneMessage,
    ) -> Result<String> {
        self.in_use(number)?;
        let mut message = outgoing.message.clone();
        if let Some(id) = &outgoing.refers_to {
            self.refer(number, &outgoing.to, id, &mut message)?;
        }
        self.may_delete(number, &outgoing.to, &message)?;
        self.put_timer(number, &outgoing.to, &mut message)?;
        let content =
            Content::of(&message).ok_or_else(|| bad_request("there is nothing to send"))?;
        let id = outgoing.id.clone().unwrap_or_else(clock::message_id);
        let parcel = Parcel {
            number,
            id: &id,
            to: &outgoing.to,
            content: &content,
            plain: waproto::codec::message_to_vec(&message),
        };
        self.keep_sent(&parcel)?;
        match outgoing.to.server {
            Server::Group => self.send_to_group(&parcel)?,
            _ => self.send_to_person(&parcel)?,
        }
        self.touch_phone(number)?;
        self.phone_changed(number);
        Ok(id)
    }

    /// Only admins of a group delete what others wrote: the service takes no such message of a member.
    fn may_delete(&self, number: Number, to: &Jid, message: &wa::Message) -> Result<()> {
        let is_admins =
            EditAttribute::infer_from_message(message) == Some(EditAttribute::AdminRevoke);
        match is_admins && !self.admins(&to.user)?.contains(&number) {
            true => Err(conflict(format!("{number} is no admin of that group"))),
            false => Ok(()),
        }
    }

    fn keep_sent(&mut self, parcel: &Parcel<'_>) -> Result<()> {
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO sent (number, id, device, chat, content, message, at_ms, state) \
                 VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, 1)",
            )?
            .execute(params![
                parcel.number.sql(),
                parcel.id,
                parcel.to.to_string(),
                json(parcel.content)?,
                parcel.plain,
                clock::unix_ms()
            ])?;
        Ok(())
    }

    pub(super) fn send_to_person(&mut self, parcel: &Parcel<'_>) -> Result<()> {
        let peer = DeviceAddr::from_jid(parcel.to)
            .ok_or_else(|| bad_request("that is neither a number nor a group"))?
            .number;
        if !self.phone(peer)?.registered {
            return Err(conflict(format!("{peer} is not registered with WhatsApp")));
        }
        self.touch_phone(peer)?;
        if peer != parcel.number {
            let plain = NodeBuilder::new(PLAIN).bytes(parcel.plain.clone()).build();
            let node = self.parcel_stanza(parcel, None, peer)?;
            self.phone_takes(peer, node.children([plain]).build())?;
            let padded = MessageUtils::pad_message_v2(parcel.plain.clone());
            for device in self.linked_devices(peer)? {
                self.mail_sealed(parcel, device, &padded, None)?;
            }
        }
        self.phone_trusts(parcel.number, peer)?;
        let copy = own_copy(parcel)?;
        for device in self.linked_devices(parcel.number)? {
            self.mail_sealed(parcel, device, &copy, Some(peer))?;
        }
        Ok(())
    }

    fn parcel_stanza(
        &self,
        parcel: &Parcel<'_>,
        group: Option<&Jid>,
        reader: Number,
    ) -> Result<NodeBuilder> {
        self.with_origin(stanza(parcel), DeviceAddr::phone(parcel.number), group, reader)
    }

    fn mail_sealed(
        &mut self,
        parcel: &Parcel<'_>,
        to: DeviceAddr,
        padded: &[u8],
        recipient: Option<Number>,
    ) -> Result<()> {
        let (kind, sealed) = self.phone_encrypt(parcel.number, to, padded)?;
        let mut node = self.parcel_stanza(parcel, None, to.number)?;
        if let Some(recipient) = recipient {
            node = self.with_chat(node, parcel.number, recipient)?;
        }
        let node = node.children([enc(kind, sealed, parcel.content, 0)]).build();
        self.mail(to, StanzaClass::Message, node)
    }

    fn send_to_group(&mut self, parcel: &Parcel<'_>) -> Result<()> {
        let members = self.group_members(&parcel.to.user)?;
        if !members.contains(&parcel.number) {
            return Err(conflict(format!("{} is not in that group", parcel.number)));
        }
        if !self.may_write(&parcel.to.user, parcel.number)? {
            return Err(conflict(format!("{} may not write into that group", parcel.number)));
        }
        let chat = parcel.to.to_string();
        let padded = MessageUtils::pad_message_v2(parcel.plain.clone());
        let (distribution, sealed) = self.phone_group_encrypt(parcel.number, &chat, &padded)?;
        let key = wa::Message {
            sender_key_distribution_message: MessageField::some(
                wam::SenderKeyDistributionMessage {
                    group_id: Some(chat),
                    axolotl_sender_key_distribution_message: Some(distribution),
                },
            ),
            ..Default::default()
        };
        let key = MessageUtils::pad_message_v2(waproto::codec::message_to_vec(&key));
        for device in self.devices_of(&members)? {
            let node = self.parcel_stanza(parcel, Some(parcel.to), device.number)?;
            if device.is_phone() {
                if device.number != parcel.number {
                    let plain = NodeBuilder::new(PLAIN).bytes(parcel.plain.clone()).build();
                    self.phone_takes(device.number, node.children([plain]).build())?;
                }
                continue;
            }
            let (kind, sealed_key) = self.phone_encrypt(parcel.number, device, &key)?;
            let content = [
                enc(kind, sealed_key, &Content::default(), 0),
                enc(EncType::SenderKey, sealed.clone(), parcel.content, 0),
            ];
            self.mail(device, StanzaClass::Message, node.children(content).build())?;
        }
        Ok(())
    }

    /// A linked device could not read a message of this phone.
    pub(crate) fn phone_sends_again(
        &mut self,
        number: Number,
        to: DeviceAddr,
        receipt: &NodeRef<'_>,
    ) -> Result<()> {
        let id = crate::stanza::attr(receipt, "id");
        self.phone_new_session(number, to, bundle_in_retry(receipt))?;
        let sent: Option<(String, String, Vec<u8>)> = self
            .db
            .prepare_cached(
                "SELECT chat, content, message FROM sent \
                 WHERE number = ?1 AND id = ?2 AND message IS NOT NULL",
            )?
            .query_row(params![number.sql(), id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((chat, content, plain)) = sent else {
            // Not in the table of messages: it was the app-state key.
            return match to.number == number {
                true => self.send_app_state_key(to),
                false => Ok(()),
            };
        };
        let chat: Jid =
            chat.parse().map_err(|_| SimulatorError::Internal("a stored chat".into()))?;
        let content: Content = serde_json::from_str(&content).unwrap_or_default();
        let parcel = Parcel { number, id: &id, to: &chat, content: &content, plain };
        self.send_parcel_again(&parcel, to)
    }

    fn send_parcel_again(&mut self, parcel: &Parcel<'_>, to: DeviceAddr) -> Result<()> {
        let own = to.number == parcel.number;
        let padded = match own && parcel.to.server != Server::Group {
            true => own_copy(parcel)?,
            false => MessageUtils::pad_message_v2(parcel.plain.clone()),
        };
        let (kind, sealed) = self.phone_encrypt(parcel.number, to, &padded)?;
        let group = (parcel.to.server == Server::Group).then_some(parcel.to);
        let node = self.parcel_stanza(parcel, group, to.number)?;
        let peer = DeviceAddr::from_jid(parcel.to).filter(|_| own);
        let node = match peer {
            Some(peer) => self.with_chat(node, parcel.number, peer.number)?,
            None => node,
        };
        let node = node.children([enc(kind, sealed, parcel.content, 1)]).build();
        self.mail(to, StanzaClass::Message, node)
    }

    /// The first time a device has uploaded its keys, its phone shares the app-state key.
    pub(crate) fn share_app_state_key(&mut self, device: DeviceAddr) -> Result<()> {
        let first = self
            .db
            .prepare_cached(
                "UPDATE devices SET keys_shared = 1 \
                 WHERE number = ?1 AND device = ?2 AND keys_shared = 0",
            )?
            .execute(params![device.number.sql(), device.device])?;
        match first {
            0 => Ok(()),
            _ => {
                self.send_app_state_key(device)?;
                self.send_history(device)
            }
        }
    }

    /// Clients report that they are ready only after they have this key.
    pub(crate) fn send_app_state_key(&mut self, device: DeviceAddr) -> Result<()> {
        let number = device.number;
        let (key_id, key_data) = self.keys_of(number)?.app_state_key()?;
        let key = wam::AppStateSyncKey {
            key_id: MessageField::some(wam::AppStateSyncKeyId { key_id: Some(key_id.to_vec()) }),
            key_data: MessageField::some(wam::AppStateSyncKeyData {
                key_data: Some(key_data.to_vec()),
                fingerprint: MessageField::some(wam::AppStateSyncKeyFingerprint {
                    raw_id: Some(self.keys_of(number)?.raw_id()),
                    current_index: Some(0),
                    device_indexes: vec![0],
                }),
                timestamp: Some(clock::unix_s()),
            }),
        };
        let share = wa::Message {
            protocol_message: MessageField::some(wam::ProtocolMessage {
                r#type: Some(wam::protocol_message::Type::APP_STATE_SYNC_KEY_SHARE),
                app_state_sync_key_share: MessageField::some(wam::AppStateSyncKeyShare {
                    keys: vec![key],
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        self.send_to_own_device(device, &share)
    }
}

/// The stanza of a phone's message, without `from` and content.
fn stanza(parcel: &Parcel<'_>) -> NodeBuilder {
    let kind =
        if matches!(&*parcel.content.kind, "text" | "edit" | "revoke") { "text" } else { "media" };
    let stanza = NodeBuilder::new("message")
        .attr("id", parcel.id)
        .attr("t", clock::unix_s().to_string())
        .attr("type", kind)
        .attr("notify", format!("Phone {}", parcel.number));
    match edit(parcel) {
        Some(edit) => stanza.attr("edit", edit),
        None => stanza,
    }
}

/// How a stanza says that its message changes another one.
fn edit(parcel: &Parcel<'_>) -> Option<String> {
    parcel.content.changes.as_ref()?;
    let message = waproto::codec::message_decode(&parcel.plain).ok()?;
    let edit = EditAttribute::infer_from_message(&message)?;
    Some(edit.as_str().to_owned())
}

pub(super) fn enc(kind: EncType, sealed: Vec<u8>, content: &Content, retries: u8) -> Node {
    let mut enc = NodeBuilder::new("enc").attr("v", "2").attr("type", kind.name());
    if content.media.is_some() {
        let media = match (&*content.kind, content.voice) {
            ("audio", true) => "ptt",
            (kind, _) => kind,
        };
        enc = enc.attr("mediatype", media);
    }
    if retries > 0 {
        enc = enc.attr("count", retries.to_string());
    }
    enc.bytes(sealed).build()
}

/// The padded copy for the phone's own linked devices.
fn own_copy(parcel: &Parcel<'_>) -> Result<Vec<u8>> {
    let message = waproto::codec::message_decode(&parcel.plain)
        .map_err(|_| SimulatorError::Internal("a stored message".into()))?;
    let copy = wa::Message {
        device_sent_message: MessageField::some(wam::DeviceSentMessage {
            destination_jid: Some(parcel.to.to_string()),
            message: MessageField::some(message),
            ..Default::default()
        }),
        ..Default::default()
    };
    Ok(MessageUtils::pad_message_v2(waproto::codec::message_to_vec(&copy)))
}
