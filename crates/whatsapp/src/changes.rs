//! Edits of messages and deletions for everyone, as they come in; pure.

use domain::content::{Content, ContentKind};
use domain::context::{Context, Mentions, Quote};
use domain::ids::WhatsappId;
use jiff::Timestamp;
use wacore::types::message::{EditAttribute, MessageInfo};
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type;

use crate::events::Me;
use crate::incoming::{self, Names};
use crate::mentions;
use crate::message_context;

/// A change of another message.
pub(crate) struct Change {
    pub(crate) content: Content,
    pub(crate) context: Context,
    /// When, more precisely than the message says that carries it.
    pub(crate) at: Option<Timestamp>,
}

/// The change that a message makes; `None` where it makes none.
pub(crate) fn read(
    message: &wa::Message,
    info: &MessageInfo,
    me: &Me,
    names: &impl Names,
) -> Option<Change> {
    let protocol = message.protocol_message.as_option()?;
    let key = protocol.key.as_option()?;
    let id = key.id.as_ref().filter(|id| !id.is_empty())?;
    let (content, mentions) = match protocol.r#type? {
        Type::MESSAGE_EDIT => {
            let message = protocol.edited_message.as_option()?;
            let mut edited = incoming::content(message)?;
            let message = incoming::unwrap(message);
            mentions::show_numbers(&mut edited, message, names);
            let mentions = message_context::context(message, me, names).mentions;
            (Content::Edit(edited.editable_text()?.clone()), mentions)
        }
        Type::REVOKE => (Content::Revoke, Mentions::default()),
        _ => return None,
    };
    // Writers change their own messages. WhatsApp lets through as an admin's what one may delete of others.
    let is_admins = info.source.is_group
        && info.edit == EditAttribute::AdminRevoke
        && matches!(content, Content::Revoke);
    let writer: Option<Jid> = key.participant.as_ref().and_then(|jid| jid.parse().ok());
    let writer = writer.filter(|_| is_admins);
    let is_ours = writer.as_ref().map_or(info.source.is_from_me, |jid| me.is(jid));
    let sender = writer.filter(|_| !is_ours).map(|jid| incoming::address(Some(&jid), None, names));
    let target = Quote {
        whatsapp_id: WhatsappId::from_outside(id),
        is_ours: Some(is_ours),
        sender,
        kind: ContentKind::Other,
        text: String::new(),
    };
    let at = protocol.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let context = Context { reply_to: Some(target), mentions, ..Context::default() };
    Some(Change { content, context, at })
}
