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
    use crate::content::Content;
    use crate::ids::{AccountId, DeviceId};
    use crate::message::{IncomingMessage, ReceivedOrigin};

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

    #[test]
    fn a_context_is_empty_until_something_is_in_it() {
        assert!(Context::default().is_empty());
        assert!(!Context { is_forwarded: true, ..Context::default() }.is_empty());
    }

    fn message(origin: ReceivedOrigin, text: &str) -> Message {
        let incoming = IncomingMessage {
            whatsapp_id: WhatsappId("3EB0AA".into()),
            chat: "628111@s.whatsapp.net".into(),
            sender: Address { phone: Some(PhoneNumber::from_digits("628111")), lid: None },
            origin,
            content: Content::Text(text.into()),
            context: Context::default(),
            at: Timestamp::UNIX_EPOCH,
        };
        let device = DeviceId(uuid::Uuid::nil());
        incoming.received(MessageId(1), AccountId(1), device, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_quote_names_its_writer_unless_it_is_ours() {
        let cases = [
            (ReceivedOrigin::Incoming, false, Some("628111")),
            (ReceivedOrigin::Phone, true, None),
        ];
        for (origin, is_ours, phone) in cases {
            let quote = Quote::of(&message(origin, "Halo"));
            assert_eq!(quote.whatsapp_id.as_str(), "3EB0AA");
            assert_eq!((quote.kind, quote.text.as_str()), (ContentKind::Text, "Halo"));
            assert_eq!(quote.is_ours, Some(is_ours));
            assert_eq!(quote.phone().map(PhoneNumber::as_str), phone);
            assert_eq!(quote.sender.is_some(), !is_ours);
        }
    }

    #[test]
    fn a_quote_keeps_200_characters() {
        for (length, kept) in [(199, 199), (200, 200), (201, 200)] {
            let quote = Quote::of(&message(ReceivedOrigin::Incoming, &"é".repeat(length)));
            assert_eq!(quote.text, "é".repeat(kept));
        }
    }

    #[test]
    fn what_others_wrote_is_stored_without_zeros_and_within_bounds() {
        let quote = Quote { text: "a\0b".into(), ..Quote::of(&message(ReceivedOrigin::Phone, "")) };
        let people = |number: usize| vec!["6281\x0011".to_owned(); number];
        for (given, kept) in
            [(2, 2), (MENTIONS_MAX, MENTIONS_MAX), (MENTIONS_MAX + 1, MENTIONS_MAX)]
        {
            let mut context = Context {
                reply_to: Some(quote.clone()),
                mentions: Mentions { people: people(given), all: false },
                sender_name: Some("Bu\0di".into()),
                ..Context::default()
            };
            context.clean();
            assert_eq!(context.reply_to.map(|quote| quote.text).as_deref(), Some("ab"));
            assert_eq!(context.sender_name.as_deref(), Some("Budi"));
            assert_eq!(context.mentions.people, vec!["628111"; kept]);
        }
    }
}
