//! Changes of a message after it was sent: an edit, its deletion for everyone, a vote in a poll, a place that
//! moves.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::{Address, Direction, Message, whole_millis};
use crate::chat::ChatId;
use crate::content::{Content, Poll};
use crate::context::{Changes, EARLIER_TEXTS_MAX, EarlierText, Mentions};
use crate::ids::WhatsappId;
use crate::structured::{LiveLocation, Structured, Vote};

/// How long after it was sent a message may be edited; phones ignore what comes later.
pub const AMEND_MAX: SignedDuration = SignedDuration::from_mins(15);
/// How long after it was sent a message may be deleted for everyone; phones ignore what comes later.
pub const REVOKE_MAX: SignedDuration = SignedDuration::from_hours(60);

/// What is changed about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It has this text.
    Edited {
        /// The text.
        text: Arc<str>,
        /// Whom it mentions; `None` where an earlier release kept the text alone: those stay whom it still calls.
        mentions: Option<Mentions>,
    },
    /// It is deleted for everyone.
    Revoked,
    /// Somebody has voted in this poll.
    Voted(Vote),
    /// This place has moved.
    Moved(Box<LiveLocation>),
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
            Content::Edit(text) => {
                let mentions = Some(message.context.mentions.clone());
                Change::Edited { text: text.clone(), mentions }
            }
            Content::Revoke => Change::Revoked,
            Content::Structured(structured) => return Self::of_structured(message, structured),
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

    /// A vote is about the poll that it names, a place that moves about its own earlier form.
    fn of_structured(message: &Message, structured: &Structured) -> Option<Self> {
        let (at, chat) = (whole_millis(message.due_at), message.chat.clone());
        let is_own = message.direction() == Direction::Out;
        let (whatsapp_id, author, change) = match structured {
            Structured::LiveLocation(live) => {
                let author = message.sender.clone().filter(|_| !is_own);
                (message.whatsapp_id.clone(), author, Change::Moved(Box::new(live.clone())))
            }
            Structured::PollVote(vote) => {
                let poll = message.context.reply_to.as_ref()?;
                let voter = message.sender.as_ref().filter(|_| !is_own).map(Address::key);
                let (voter, digests) = (voter.unwrap_or_default().to_owned(), vote.digests.clone());
                let author = poll.sender.clone().filter(|_| poll.is_ours != Some(true));
                (poll.whatsapp_id.clone(), author, Change::Voted(Vote { voter, digests, at }))
            }
            _ => return None,
        };
        Some(Self { chat, whatsapp_id, author, change, at })
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
        message.direction() == Direction::In && author.is_same(writer)
    }
}

impl Message {
    /// Names what it chooses, where it is a vote in this poll whose answers were not known; says whether
    /// anything changed.
    pub fn name_choices_of(&mut self, poll_id: &str, poll: &Poll) -> bool {
        let target = self.context.reply_to.as_ref();
        let vote = self.content.structured().and_then(Structured::vote);
        let is_its = target.is_some_and(|target| target.whatsapp_id.as_str() == poll_id);
        let Some(vote) = vote.filter(|vote| is_its && vote.options().is_empty()) else {
            return false;
        };
        let options = poll.chosen(&vote.digests);
        let is_named = !options.is_empty();
        self.content.name_choices(options);
        is_named
    }

    /// Applies a change to the message that it is about; says whether anything changed. What comes
    /// again, or late, changes nothing.
    pub fn amend(&mut self, amendment: &Amendment) -> bool {
        let Changes { edited_at, revoked_at, earlier } = &mut self.context.changes;
        if revoked_at.is_some() {
            return false;
        }
        let (text, mentions) = match &amendment.change {
            Change::Revoked => {
                *revoked_at = Some(amendment.at);
                return true;
            }
            Change::Voted(vote) => {
                return if let Content::Poll(poll) = &mut self.content {
                    poll.vote(vote)
                } else {
                    false
                };
            }
            Change::Moved(to) => return self.content.move_to(to),
            Change::Edited { text, mentions } => (text, mentions),
        };
        let is_late = edited_at.is_some_and(|edited| edited > amendment.at);
        let Some(current) = self.content.editable_text().filter(|_| !is_late) else { return false };
        let is_same_text = current == text;
        let mentions = match mentions {
            Some(mentions) => mentions.clone(),
            None if is_same_text => return false,
            None => self.context.mentions.still_in(text),
        };
        if is_same_text && mentions == self.context.mentions {
            return false;
        }
        self.context.mentions = mentions;
        if !is_same_text {
            let before = self.content.edit(text.clone());
            earlier.extend(before.map(|text| EarlierText { text, until: amendment.at }));
            let surplus = earlier.len().saturating_sub(EARLIER_TEXTS_MAX);
            earlier.drain(..surplus);
        }
        *edited_at = Some(amendment.at);
        true
    }
}

#[cfg(test)]
mod tests;
