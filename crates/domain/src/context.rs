//! What surrounds a message's content: another message, people, where it comes from, and how it has
//! changed since.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use crate::chat::ChatId;
use crate::content::ContentKind;
use crate::ids::{MessageId, WhatsappId};
use crate::message::{Address, Direction, Message};
use crate::phone::PhoneNumber;
use crate::text::{clean, cleaned_address};

/// Most people that a message mentions.
pub const MENTIONS_MAX: usize = 1_024;
/// Longest beginning of another message's text that is kept with the one that refers to it, in
/// characters.
pub const QUOTE_CHARS_MAX: usize = 200;

/// What a message refers to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// The message that it answers, or reacts to.
    pub reply_to: Option<Quote>,
    /// Whom it mentions.
    pub mentions: Mentions,
    /// Whether its writer passed it on from another chat.
    pub is_forwarded: bool,
    /// Whether nothing is to be shown of where a link in it leads.
    pub is_without_preview: bool,
    /// How its writer has changed it since.
    pub changes: Changes,
    /// What its writer calls themselves, where it came in.
    pub sender_name: Option<String>,
}

/// How a message was changed after it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// When its present text was written, where that is not the first.
    pub edited_at: Option<Timestamp>,
    /// When it was deleted for everyone.
    pub revoked_at: Option<Timestamp>,
    /// Its earlier texts, oldest first; at most [`EARLIER_TEXTS_MAX`], the newest of them.
    pub earlier: Vec<EarlierText>,
}

/// A text that a message had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierText {
    /// The text.
    pub text: Arc<str>,
    /// Until when it had it.
    pub until: Timestamp,
}

/// Most earlier texts that are kept of a message.
pub const EARLIER_TEXTS_MAX: usize = 20;

/// Whom a message mentions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentions {
    /// These people, by number or LID.
    pub people: Vec<String>,
    /// Everybody in the group.
    pub all: bool,
}

impl Mentions {
    /// Those of them that another text of their message still names: people by what stands behind an `@`. In
    /// which word everybody is called depends on the writer's language, so `all` stays.
    pub fn still_in(&self, text: &str) -> Self {
        let called: HashSet<&str> = text.split('@').skip(1).map(leading_digits).collect();
        let is_called = |person: &&String| called.contains(ChatId::from(person.as_str()).user());
        Self { people: self.people.iter().filter(is_called).cloned().collect(), all: self.all }
    }
}

fn leading_digits(text: &str) -> &str {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count()).0
}

/// Another message, as far as one that refers to it needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// Its id on WhatsApp.
    pub whatsapp_id: WhatsappId,
    /// Whether the device's own number wrote it; `None` when a received message does not say.
    pub is_ours: Option<bool>,
    /// Who wrote it, where that is known and not us.
    pub sender: Option<Address>,
    /// What kind of thing it carries.
    pub kind: ContentKind,
    /// How its text begins.
    pub text: String,
}

impl Context {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Removes what a database does not store from what somebody else wrote.
    pub fn clean(&mut self) {
        let quoted = self.reply_to.as_mut().map(|quote| &mut quote.text);
        quoted.into_iter().chain(&mut self.sender_name).for_each(clean);
        self.mentions.people.truncate(MENTIONS_MAX);
        for person in &mut self.mentions.people {
            if let Some(cleaned) = cleaned_address(person) {
                *person = cleaned;
            }
        }
    }
}

impl Quote {
    /// Refers to a message.
    pub fn of(message: &Message) -> Self {
        let is_ours = message.direction() == Direction::Out;
        Self {
            whatsapp_id: message.whatsapp_id.clone(),
            is_ours: Some(is_ours),
            sender: message.sender.clone().filter(|_| !is_ours),
            kind: message.kind(),
            text: beginning(message.text()),
        }
    }

    /// The number of who wrote it, where it is known and not ours.
    pub fn phone(&self) -> Option<&PhoneNumber> {
        self.sender.as_ref().and_then(|sender| sender.phone.as_ref())
    }
}

/// How a text begins, as far as a quote keeps it.
pub fn beginning(text: &str) -> String {
    text.chars().take(QUOTE_CHARS_MAX).collect()
}

/// A message as callers name it: by our id, or by WhatsApp's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageName {
    /// Our id.
    Id(MessageId),
    /// WhatsApp's id.
    Whatsapp(WhatsappId),
}

impl MessageName {
    /// Reads an id: a number and a `ref` are ours, everything else is WhatsApp's.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let ours = MessageId::from_ref(text).or_else(|| text.parse().ok().map(MessageId));
        let has_length = (1..=WHATSAPP_ID_BYTES_MAX).contains(&text.len());
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        ours.map(Self::Id).or_else(|| {
            (has_length && is_plain).then(|| Self::Whatsapp(WhatsappId(text.to_owned())))
        })
    }
}

/// Longest id of a message on WhatsApp that is looked for, in bytes.
const WHATSAPP_ID_BYTES_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_called_in_another_text_stays_mentioned() {
        let people = ["628111", "628222", "77@lid"].map(str::to_owned).to_vec();
        let mentions = Mentions { people, all: true };
        for (text, expected) in [
            ("Halo @628222, @77!", &["628222", "77@lid"][..]),
            ("@6281112 628111 a@77b @", &["77@lid"]),
            ("Halo", &[]),
        ] {
            let still = mentions.still_in(text);
            assert_eq!(still.people, expected, "{text}");
            assert!(still.all, "{text}");
        }
    }

    #[test]
    fn a_message_is_named_by_either_id() {
        let ours = |id| Some(MessageName::Id(MessageId(id)));
        let whatsapp = |id: &str| Some(MessageName::Whatsapp(WhatsappId(id.into())));
        for (text, expected) in [
            ("7", ours(7)),
            (" GB0000000007 ", ours(7)),
            ("GB7", whatsapp("GB7")),
            ("3EB0AA", whatsapp("3EB0AA")),
            ("", None),
            ("a b", None),
            (&"A".repeat(129), None),
        ] {
            assert_eq!(MessageName::parse(text), expected, "{text}");
        }
    }
}
