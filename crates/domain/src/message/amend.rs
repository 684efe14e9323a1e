//! Changes of a message after it was sent: an edit, or its deletion for everyone.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Address, Direction, Message, whole_millis};
use crate::chat::ChatId;
use crate::content::Content;
use crate::context::{Changes, EARLIER_TEXTS_MAX, EarlierText};
use crate::ids::WhatsappId;

/// How long after it was sent a message may be edited; phones ignore what comes later.
pub const AMEND_MAX: SignedDuration = SignedDuration::from_mins(15);
/// How long after it was sent a message may be deleted for everyone; phones ignore what comes later.
pub const REVOKE_MAX: SignedDuration = SignedDuration::from_hours(60);

/// What is changed about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has this text.
    Edited(Arc<str>),
    /// It is deleted for everyone.
    Revoked,
}

/// A change of a message that was sent or received before, by its writer or by an admin of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amendment {
    /// The chat it came in.
    pub chat: ChatId,
    /// The message's id on WhatsApp.
    pub whatsapp_id: WhatsappId,
    /// Who wrote the message; `None` for the device's own number.
    pub author: Option<Address>,
    /// The change.
    pub change: Change,
    /// When.
    pub at: Timestamp,
}

impl Amendment {
    /// What a message that has come in, or that WhatsApp has now, changes about another; `None` where it
    /// stands for itself.
    pub fn of(message: &Message) -> Option<Self> {
        use super::MessageState::{Delivered, Played, Read, Sent};
        let change = match &message.content {
            Content::Edit(text) => Change::Edited(text.clone()),
            Content::Revoke => Change::Revoked,
            _ => return None,
        };
        let has_left = matches!(message.state, Sent | Delivered | Read | Played);
        let at = message.history.last().filter(|_| has_left)?.at;
        let target = message.context.reply_to.as_ref()?;
        let author = || target.sender.clone().or_else(|| message.sender.clone());
        Some(Self {
            chat: message.chat.clone(),
            whatsapp_id: target.whatsapp_id.clone(),
            author: if target.is_ours == Some(true) { None } else { Some(author()?) },
            change,
            at: whole_millis(at),
        })
    }

    /// Whether it is about this message: no person changes what another one wrote, and in a group
    /// nothing outside it.
    pub fn is_of(&self, message: &Message) -> bool {
        let is_same_chat = self.chat == message.chat;
        let is_among_people = !self.chat.is_group() && !message.chat.is_group();
        self.whatsapp_id == message.whatsapp_id
            && (is_same_chat || is_among_people)
            && self.is_author(message)
    }

    fn is_author(&self, message: &Message) -> bool {
        let Some(author) = &self.author else { return message.direction() == Direction::Out };
        let Some(writer) = &message.sender else { return false };
        let has_phone = author.phone.is_some() && author.phone == writer.phone;
        let has_lid = author.lid.is_some() && author.lid == writer.lid;
        message.direction() == Direction::In && (has_phone || has_lid)
    }
}

impl Message {
    /// Applies a change to the message that it is about; says whether anything changed. What comes
    /// again, or late, changes nothing.
    pub fn amend(&mut self, amendment: &Amendment) -> bool {
        let Changes { edited_at, revoked_at, earlier } = &mut self.context.changes;
        if revoked_at.is_some() {
            return false;
        }
        let text = match &amendment.change {
            Change::Revoked => {
                *revoked_at = Some(amendment.at);
                return true;
            }
            Change::Edited(text) => text,
        };
        let is_late = edited_at.is_some_and(|edited| edited > amendment.at);
        if is_late || self.content.editable_text().is_none_or(|current| current == text) {
            return false;
        }
        let before = self.content.edit(text.clone());
        earlier.extend(before.map(|text| EarlierText { text, until: amendment.at }));
        let surplus = earlier.len().saturating_sub(EARLIER_TEXTS_MAX);
        earlier.drain(..surplus);
        *edited_at = Some(amendment.at);
        true
    }
}
