//! What the phone resends of messages that could not be decrypted here.
//!
//! The library emits them as an event only, which nothing waits for. But they come in a message from the
//! phone, which passes the durability hook as every other: there they are taken.

use domain::message::{Address, IncomingMessage, ReceivedOrigin};
use wacore::types::message::{MessageInfo, MessageSource};
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp as wa;

use crate::awaited::Awaited;
use crate::events::Me;
use crate::incoming::{self, Names};

/// A message that the phone has resent.
pub(crate) struct Resent {
    pub(crate) message: wa::Message,
    pub(crate) info: MessageInfo,
}

/// What the phone must know of a message to find it.
pub(crate) fn info_of(message: &IncomingMessage) -> Option<MessageInfo> {
    let Address { phone, lid } = &message.sender;
    let by_lid = || lid.as_ref().map(|lid| Jid::lid(lid.user()));
    let sender = phone.as_ref().map(|phone| Jid::pn(phone.as_str())).or_else(by_lid)?;
    let chat: Jid = message.chat.jid().parse().ok()?;
    let is_from_me = message.origin == ReceivedOrigin::Phone;
    Some(MessageInfo {
        id: message.whatsapp_id.to_string(),
        source: MessageSource {
            is_group: chat.is_group(),
            chat,
            sender,
            is_from_me,
            ..Default::default()
        },
        timestamp: wacore::time::from_secs(message.at.as_second())?,
        ..Default::default()
    })
}

/// The messages in an answer of the phone; none in any other message.
pub(crate) fn resent(message: &wa::Message, info: &MessageInfo, me: &Me) -> Vec<Resent> {
    let is_from_phone = info.source.is_from_me && info.source.sender.device == 0;
    let answer = message
        .protocol_message
        .as_option()
        .and_then(|protocol| protocol.peer_data_operation_request_response_message.as_option());
    let results = answer.filter(|_| is_from_phone).map(|answer| &answer.peer_data_operation_result);
    let encoded = results.into_iter().flatten().filter_map(|result| {
        let resent = result.placeholder_message_resend_response.as_option()?;
        resent.web_message_info_bytes.as_deref()
    });
    encoded.filter_map(|bytes| read(bytes, me)).collect()
}

fn read(bytes: &[u8], me: &Me) -> Option<Resent> {
    resent_of(waproto::codec::web_message_info_decode(bytes).ok()?, me)
}

/// A message as the phone keeps it.
pub(crate) fn resent_of(mut found: wa::WebMessageInfo, me: &Me) -> Option<Resent> {
    // Empty when the phone could not read it either.
    let message = found.message.take()?;
    let key = found.key.as_option()?;
    let chat: Jid = key.remote_jid.as_deref()?.parse().ok()?;
    let is_from_me = key.from_me.unwrap_or(false);
    let participant = key.participant.as_deref().and_then(|jid| jid.parse().ok());
    let sender = match (participant, is_from_me) {
        (Some(participant), _) => participant,
        (None, true) => me.pn.clone()?,
        (None, false) => chat.clone(),
    };
    let at_s = found.message_timestamp.and_then(|at| i64::try_from(at).ok());
    let info = MessageInfo {
        id: key.id.clone()?,
        source: MessageSource {
            is_group: chat.is_group(),
            chat,
            sender,
            is_from_me,
            ..Default::default()
        },
        timestamp: wacore::time::from_secs(at_s.unwrap_or_else(wacore::time::now_secs))?,
        push_name: found.push_name.take().unwrap_or_default(),
        ..Default::default()
    };
    Some(Resent { message, info })
}

impl Resent {
    /// Translates it: who wrote it and where is known better from the stanza that could not be decrypted.
    pub(crate) fn translate(
        &self,
        awaited: &Awaited,
        me: &Me,
        names: &impl Names,
    ) -> Option<IncomingMessage> {
        let message = incoming::translate(&self.message, &self.info, me, names)?;
        Some(match awaited.find(&message.whatsapp_id, message.origin) {
            Some(awaited) => {
                IncomingMessage { content: message.content, context: message.context, ..awaited }
            }
            None => message,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waproto::buffa::{Message as _, MessageField};
    use waproto::whatsapp::message as m;
    use waproto::whatsapp::message::peer_data_operation_request_response_message as response;

    fn me() -> Me {
        Me { pn: Some("628111:7@s.whatsapp.net".parse().unwrap()), lid: None }
    }

    /// An answer of the phone with one message.
    fn answer(message: Option<wa::Message>, participant: Option<&str>) -> wa::Message {
        let key = wa::MessageKey {
            remote_jid: Some("120363@g.us".to_owned()),
            from_me: Some(false),
            id: Some("M1".to_owned()),
            participant: participant.map(str::to_owned),
        };
        let found = wa::WebMessageInfo {
            key: MessageField::some(key),
            message: message.map(MessageField::some).unwrap_or_default(),
            message_timestamp: Some(1_700_000_000),
            ..Default::default()
        };
        let resent = response::peer_data_operation_result::PlaceholderMessageResendResponse {
            web_message_info_bytes: Some(found.encode_to_vec()),
        };
        let result = response::PeerDataOperationResult {
            placeholder_message_resend_response: MessageField::some(resent),
            ..Default::default()
        };
        let answer = m::PeerDataOperationRequestResponseMessage {
            peer_data_operation_result: vec![result],
            ..Default::default()
        };
        let protocol = m::ProtocolMessage {
            peer_data_operation_request_response_message: MessageField::some(answer),
            ..Default::default()
        };
        wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() }
    }

    fn from(sender: &str, is_from_me: bool) -> MessageInfo {
        let source =
            MessageSource { sender: sender.parse().unwrap(), is_from_me, ..Default::default() };
        MessageInfo { source, ..Default::default() }
    }

    #[test]
    fn only_the_phone_itself_resends() {
        let text = wa::Message { conversation: Some("halo".into()), ..Default::default() };
        let answer = answer(Some(text.clone()), Some("628222@s.whatsapp.net"));
        let phone = from("628111@s.whatsapp.net", true);
        let found = resent(&answer, &phone, &me());
        assert_eq!((found.len(), &found[0].message), (1, &text));
        let source = &found[0].info.source;
        assert_eq!((source.sender.user.as_str(), source.is_group), ("628222", true));
        for other in [from("628111:3@s.whatsapp.net", true), from("628222@s.whatsapp.net", false)] {
            assert!(resent(&answer, &other, &me()).is_empty());
        }
        assert!(resent(&text, &phone, &me()).is_empty());
    }

    #[test]
    fn what_the_phone_cannot_read_either_is_not_resent() {
        let phone = from("628111@s.whatsapp.net", true);
        assert!(resent(&answer(None, Some("628222@s.whatsapp.net")), &phone, &me()).is_empty());
    }
}
