//! A linked device asks its phone for messages that it could not decrypt.

use rusqlite::{OptionalExtension as _, params};
use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Server};
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;
use waproto::whatsapp::message::peer_data_operation_request_response_message as response;

use super::content::Content;
use super::send::enc;
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::Result;
use crate::limits::RECEIPT_IDS_MAX;
use crate::switchboard::{StanzaClass, Switchboard};

type Requested = wam::peer_data_operation_request_message::PlaceholderMessageResendRequest;
type Answered = response::peer_data_operation_result::PlaceholderMessageResendResponse;

/// What a phone has of a message.
struct Found {
    author: Option<Number>,
    chat: String,
    message: Option<Vec<u8>>,
    at_ms: i64,
}

impl Switchboard {
    /// Answers a linked device with what the phone has of the messages that it asks for.
    pub(super) fn resend_to_device(
        &mut self,
        number: Number,
        to: DeviceAddr,
        id: &str,
        request: &wam::PeerDataOperationRequestMessage,
    ) -> Result<()> {
        if let Some(older) = request.history_sync_on_demand_request.as_option() {
            return self.give_older(number, to, id, older);
        }
        let asked = request.placeholder_message_resend_request.iter().take(RECEIPT_IDS_MAX);
        let mut results = Vec::new();
        for key in asked.filter_map(|Requested { message_key }| message_key.as_option()) {
            let found = self.web_message(number, key)?;
            let resent = Answered { web_message_info_bytes: Some(found.encode_to_vec()) };
            results.push(response::PeerDataOperationResult {
                placeholder_message_resend_response: MessageField::some(resent),
                ..Default::default()
            });
        }
        let answer = wam::PeerDataOperationRequestResponseMessage {
            peer_data_operation_request_type: request.peer_data_operation_request_type,
            stanza_id: Some(id.to_owned()),
            peer_data_operation_result: results,
        };
        let protocol = wam::ProtocolMessage {
            r#type: Some(wam::protocol_message::Type::PEER_DATA_OPERATION_REQUEST_RESPONSE_MESSAGE),
            peer_data_operation_request_response_message: MessageField::some(answer),
            ..Default::default()
        };
        let message =
            wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() };
        self.send_to_own_device(to, &message)
    }

    /// A message from a phone to one of its devices that no person sees.
    pub(super) fn send_to_own_device(
        &mut self,
        to: DeviceAddr,
        message: &wa::Message,
    ) -> Result<()> {
        let padded = MessageUtils::pad_message_v2(waproto::codec::message_to_vec(message));
        let (kind, sealed) = self.phone_encrypt(to.number, to, &padded)?;
        let node = NodeBuilder::new("message")
            .attr("from", to.number.jid())
            .attr("id", clock::message_id())
            .attr("t", clock::unix_s().to_string())
            .attr("type", "text")
            .attr("category", "peer")
            .children([enc(kind, sealed, &Content::default(), 0)])
            .build();
        self.mail(to, StanzaClass::Message, node)
    }

    /// A message as the phone has it; without content when it has none.
    pub(super) fn web_message(
        &self,
        number: Number,
        key: &wa::MessageKey,
    ) -> Result<wa::WebMessageInfo> {
        let id = key.id.clone().unwrap_or_default();
        let Some(found) = self.found_message(number, &id)? else {
            return Ok(wa::WebMessageInfo {
                key: MessageField::some(key.clone()),
                ..Default::default()
            });
        };
        let chat: Option<Jid> = found.chat.parse().ok();
        let is_group = chat.as_ref().is_some_and(|chat| chat.server == Server::Group);
        let participant = match found.author.filter(|_| is_group) {
            Some(author) => Some(self.name_of(author)?.to_string()),
            None => None,
        };
        let peer = chat.as_ref().and_then(DeviceAddr::from_jid).map(|peer| peer.number);
        let remote = match peer {
            Some(peer) => self.name_of(peer)?.to_string(),
            None => found.chat,
        };
        let message = found.message.and_then(|bytes| waproto::codec::message_decode(&bytes).ok());
        Ok(wa::WebMessageInfo {
            key: MessageField::some(wa::MessageKey {
                remote_jid: Some(remote),
                from_me: Some(found.author.is_none()),
                id: Some(id),
                participant,
            }),
            message: message.map(MessageField::some).unwrap_or_default(),
            message_timestamp: u64::try_from(found.at_ms / 1_000).ok(),
            push_name: found.author.map(|author| format!("Phone {author}")),
            ..Default::default()
        })
    }

    fn found_message(&self, number: Number, id: &str) -> Result<Option<Found>> {
        let sql = "SELECT sender, chat, message, at_ms FROM inbox WHERE number = ?1 AND id = ?2 \
                   UNION ALL \
                   SELECT NULL, chat, message, at_ms FROM sent WHERE number = ?1 AND id = ?2 LIMIT 1";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row(params![number.sql(), id], |row| {
            Ok(Found {
                author: row.get::<_, Option<i64>>(0)?.map(Number::from_sql),
                chat: row.get(1)?,
                message: row.get(2)?,
                at_ms: row.get(3)?,
            })
        });
        Ok(found.optional()?)
    }

    /// How a phone names somebody: by number, where that is visible.
    fn name_of(&self, person: Number) -> Result<Jid> {
        Ok(match self.phone(person)?.hidden {
            true => self.lid_jid(person),
            false => person.jid(),
        })
    }
}
