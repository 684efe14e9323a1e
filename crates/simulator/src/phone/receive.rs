//! A phone receives mail: decrypts it, stores it in the inbox, and answers with receipts.

use rusqlite::{OptionalExtension as _, params};
use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, Server, marshal};
use wacore_libsignal::protocol::SignalProtocolError;
use waproto::whatsapp as wa;

use super::content::Content;
use super::signal::EncType;
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, SimulatorError};
use crate::limits::RETRIES_MAX;
use crate::stanza::{TypingSeen, retry_keys};
use crate::switchboard::{StanzaClass, Switchboard};

/// Between phones nothing is encrypted: the content is in a child of this name, which is
/// removed from clients' stanzas.
pub(super) const PLAIN: &str = "plain";

/// A message on its way into a phone.
pub(crate) struct Incoming {
    pub(crate) id: String,
    pub(crate) from: DeviceAddr,
    /// The group, when it came through one.
    pub(crate) group: Option<Jid>,
    /// How often its sender has been asked for it.
    retries: u32,
    /// Whether it proves which phone has linked its sender.
    has_proof: bool,
    encs: Vec<(EncType, Vec<u8>, u8)>,
    plain: Option<Vec<u8>>,
}

impl Incoming {
    fn read(node: &Node) -> Option<Self> {
        let jid = |key: &str| node.attrs.get(key)?.to_jid();
        let from = jid("from")?;
        let (group, author) = match from.server {
            Server::Group => (Some(from), jid("participant")?),
            _ => (None, from),
        };
        let mut encs: Vec<_> = node.get_children_by_tag("enc").filter_map(read_enc).collect();
        // A sender key comes in the encrypted message beside the one it opens.
        encs.sort_by_key(|(kind, ..)| *kind == EncType::SenderKey);
        let count = |enc: &Node| enc.attrs.get("count")?.to_string().parse().ok();
        Some(Incoming {
            retries: node.get_children_by_tag("enc").filter_map(count).max().unwrap_or(0),
            id: node.attrs.get("id")?.to_string(),
            from: DeviceAddr::from_jid(&author)?,
            group,
            has_proof: node.get_optional_child("device-identity").is_some(),
            encs,
            plain: node.get_optional_child(PLAIN).map(content_bytes),
        })
    }

    /// Phones do not begin a session with a linked device of which they do not know whose it is.
    fn lacks_proof(&self, number: Number) -> bool {
        !self.has_proof && !self.from.is_phone() && self.from.number != number.owner()
    }

    /// The chat, as the inbox names it.
    fn chat(&self) -> String {
        let direct = || self.from.number.jid();
        self.group.clone().unwrap_or_else(direct).to_string()
    }
}

fn read_enc(enc: &Node) -> Option<(EncType, Vec<u8>, u8)> {
    let text = |key: &str| enc.attrs.get(key).map(|value| value.to_string());
    let kind = EncType::parse(&text("type")?)?;
    let version = text("v").and_then(|v| v.parse().ok()).unwrap_or(2);
    Some((kind, content_bytes(enc), version))
}

fn content_bytes(node: &Node) -> Vec<u8> {
    match &node.content {
        Some(NodeContent::Bytes(bytes)) => bytes.clone(),
        Some(NodeContent::String(text)) => text.as_bytes().to_vec(),
        _ => Vec::new(),
    }
}

impl Switchboard {
    /// Delivers a message to a phone; it waits while the phone is offline.
    pub(crate) fn phone_takes(&mut self, number: Number, node: Node) -> Result<()> {
        let phone = self.phone(number)?;
        if !phone.registered {
            return Ok(());
        }
        if !phone.online {
            return self.mail(DeviceAddr::phone(number), StanzaClass::Message, node);
        }
        let Some(incoming) = Incoming::read(&node) else {
            return Err(SimulatorError::Internal("a message without sender or id".into()));
        };
        self.phone_opens(number, &incoming)
    }

    /// A phone that was offline receives its waiting mail.
    pub(super) fn take_waiting_mail(&mut self, number: Number) -> Result<()> {
        let waiting: Vec<(i64, Vec<u8>)> = {
            let sql = "SELECT seq, stanza FROM mail WHERE number = ?1 AND device = 0 ORDER BY seq";
            let mut query = self.db.prepare_cached(sql)?;
            let rows = query.query_map([number.sql()], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect::<Result<_, _>>()?
        };
        for (seq, stanza) in waiting {
            self.db.prepare_cached("DELETE FROM mail WHERE seq = ?1")?.execute([seq])?;
            let node = marshal::unmarshal_ref(stanza.get(1..).unwrap_or_default())?.to_owned();
            self.phone_takes(number, node)?;
        }
        Ok(())
    }

    fn phone_opens(&mut self, number: Number, incoming: &Incoming) -> Result<()> {
        if let Some(plain) = &incoming.plain {
            let message = decode(plain)?;
            return self.phone_keeps(number, incoming, &message);
        }
        let mut failed = None;
        for (kind, sealed, version) in &incoming.encs {
            match self.phone_opens_one(number, incoming, *kind, sealed, *version) {
                Ok(message) => self.phone_keeps(number, incoming, &message)?,
                Err(SimulatorError::Database(error)) => return Err(error.into()),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => self.phone_failed(number, incoming, &error),
            None => Ok(()),
        }
    }

    fn phone_opens_one(
        &mut self,
        number: Number,
        incoming: &Incoming,
        kind: EncType,
        sealed: &[u8],
        version: u8,
    ) -> Result<wa::Message> {
        let padded = match (kind, &incoming.group) {
            (EncType::SenderKey, Some(group)) => {
                self.phone_group_decrypt(number, &group.to_string(), incoming.from, sealed)?
            }
            (EncType::SenderKey, None) => {
                return Err(SimulatorError::Protocol("a sender key outside a group"));
            }
            (EncType::PreKey, _) if incoming.lacks_proof(number) => {
                return Err(SimulatorError::Protocol("a first message without device-identity"));
            }
            _ => self.phone_decrypt(number, incoming.from, kind, sealed)?,
        };
        let plain = MessageUtils::unpad_message_ref(&padded, version)
            .map_err(|_| SimulatorError::Protocol("bad padding"))?;
        decode(plain)
    }

    /// Handles a decrypted message.
    fn phone_keeps(
        &mut self,
        number: Number,
        incoming: &Incoming,
        message: &wa::Message,
    ) -> Result<()> {
        if let (Some(group), Some(key)) =
            (&incoming.group, message.sender_key_distribution_message.as_option())
        {
            let key = key.axolotl_sender_key_distribution_message.as_deref();
            let chat = group.to_string();
            self.phone_take_sender_key(number, &chat, incoming.from, key.unwrap_or_default())?;
        }
        if let Some(protocol) = message.protocol_message.as_option()
            && protocol.app_state_sync_key_request.is_set()
            && incoming.from.number == number.owner()
        {
            return self.send_app_state_key(incoming.from);
        }
        if let Some(protocol) = message.protocol_message.as_option()
            && let Some(request) = protocol.peer_data_operation_request_message.as_option()
            && incoming.from.number == number.owner()
        {
            return self.resend_to_device(number, incoming.from, &incoming.id, request);
        }
        if incoming.group.is_none() && incoming.from.number != number.owner() {
            self.take_timer(number, incoming.from.number, message)?;
        }
        let Some(content) = Content::of(message) else {
            return Ok(());
        };
        match message.device_sent_message.as_option() {
            Some(sent) if incoming.from.number == number.owner() => {
                let chat = sent.destination_jid.clone().unwrap_or_default();
                let inner = sent.message.as_option();
                self.keep_sent_elsewhere(number, incoming, &chat, &content, inner)
            }
            _ if incoming.from.number == number.owner() => {
                let chat = incoming.group.as_ref().map(Jid::to_string).unwrap_or_default();
                self.keep_sent_elsewhere(number, incoming, &chat, &content, Some(message))
            }
            _ => self.keep_in_inbox(number, incoming, &content, Some(message)),
        }
    }

    fn keep_in_inbox(
        &mut self,
        number: Number,
        incoming: &Incoming,
        content: &Content,
        message: Option<&wa::Message>,
    ) -> Result<()> {
        let seen =
            TypingSeen { from: incoming.from.number, by: number, group: incoming.group.clone() };
        let typing_ms = self.typing.seen_ms(&seen, clock::unix_ms());
        let copies: i64 = self
            .db
            .prepare_cached(
                "INSERT INTO inbox (number, id, sender, sender_device, chat, content, at_ms, \
                 typing_ms, copies, state, message) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, 1, ?9) \
                 ON CONFLICT (number, id) DO UPDATE SET copies = copies + 1 RETURNING copies",
            )?
            .query_row(
                params![
                    number.sql(),
                    incoming.id,
                    incoming.from.number.sql(),
                    incoming.from.device,
                    incoming.chat(),
                    json(content)?,
                    clock::unix_ms(),
                    typing_ms,
                    message.map(waproto::codec::message_to_vec)
                ],
                |row| row.get(0),
            )?;
        if copies == 1 {
            self.typing.end(&seen);
            self.arrived(number, incoming)?;
        } else {
            self.arrived_again(number, incoming)?;
        }
        self.phone_changed(number);
        Ok(())
    }

    /// Stores the result of checking a message's file.
    pub(crate) fn set_inbox_content(
        &mut self,
        number: Number,
        id: &str,
        content: &Content,
    ) -> Result<()> {
        self.db
            .prepare_cached("UPDATE inbox SET content = ?3 WHERE number = ?1 AND id = ?2")?
            .execute(params![number.sql(), id, json(content)?])?;
        Ok(())
    }

    /// Stores the copy of a message that one of the phone's linked devices sent.
    fn keep_sent_elsewhere(
        &mut self,
        number: Number,
        incoming: &Incoming,
        chat: &str,
        content: &Content,
        message: Option<&wa::Message>,
    ) -> Result<()> {
        let chat: Option<Jid> = chat.parse().ok();
        let peer = chat.as_ref().and_then(DeviceAddr::from_jid).map(|peer| peer.number);
        let chat = peer.map(|peer| peer.jid()).or(chat);
        self.db
            .prepare_cached(
                "INSERT OR IGNORE INTO sent (number, id, device, chat, content, at_ms, state, message) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, ?7)",
            )?
            .execute(params![
                number.sql(),
                incoming.id,
                incoming.from.device,
                chat.map(|chat| chat.to_string()).unwrap_or_default(),
                json(content)?,
                clock::unix_ms(),
                message.map(waproto::codec::message_to_vec)
            ])?;
        self.phone_changed(number);
        match peer == Some(number) {
            true => self.keep_in_inbox(number, incoming, content, message),
            false => Ok(()),
        }
    }

    /// A message could not be decrypted: it is a duplicate, or its sender is asked to resend it.
    fn phone_failed(
        &mut self,
        number: Number,
        incoming: &Incoming,
        error: &SimulatorError,
    ) -> Result<()> {
        let known: Option<i64> = self
            .db
            .prepare_cached(
                "UPDATE inbox SET copies = copies + 1 WHERE number = ?1 AND id = ?2 RETURNING copies",
            )?
            .query_row(params![number.sql(), incoming.id], |row| row.get(0))
            .optional()?;
        let duplicate =
            matches!(error, SimulatorError::Signal(SignalProtocolError::DuplicatedMessage(..)));
        if known.is_some() {
            return self.arrived_again(number, incoming);
        }
        if duplicate || incoming.from.is_phone() {
            return Ok(());
        }
        self.counters.decrypt_failures += 1;
        tracing::debug!(%error, "a phone asks for a message again");
        self.ask_again(number, incoming)
    }

    fn ask_again(&mut self, number: Number, incoming: &Incoming) -> Result<()> {
        let count = incoming.retries.saturating_add(1);
        if count > RETRIES_MAX {
            return Ok(());
        }
        let phone = number.device();
        let keys = self.keys_of(number)?;
        let retry = NodeBuilder::new("retry")
            .attr("v", "1")
            .attr("count", count.to_string())
            .attr("id", &incoming.id)
            .attr("t", clock::unix_s().to_string())
            .build();
        let registration = NodeBuilder::new("registration")
            .bytes(keys.registration_id().to_be_bytes().to_vec())
            .build();
        let mut receipt = NodeBuilder::new("receipt")
            .attr("id", &incoming.id)
            .attr("type", "retry")
            .attr("t", clock::unix_s().to_string());
        receipt =
            self.with_origin(receipt, phone, incoming.group.as_ref(), incoming.from.number)?;
        let mut content = vec![retry, registration];
        // A second request means that the session is broken: offer a new one.
        if count > 1 {
            content.extend(self.bundle(phone)?.map(retry_keys));
        }
        let receipt = receipt.children(content).build();
        self.mail(incoming.from, StanzaClass::Receipt, receipt)
    }
}

fn decode(plain: &[u8]) -> Result<wa::Message> {
    waproto::codec::message_decode(plain)
        .map_err(|_| SimulatorError::Protocol("unreadable message"))
}

/// The JSON kept in the database.
pub(super) fn json(content: &Content) -> Result<String> {
    serde_json::to_string(content).map_err(|error| SimulatorError::Internal(error.to_string()))
}
