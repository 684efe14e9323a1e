//! The chats of WhatsApp: with one person, known by number or by LID, or a group.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::ids::{AccountId, DeviceId, MessageId};
use crate::message::Message;
use crate::phone::PhoneNumber;
use crate::text::cleaned_address;

const PERSON_SERVER: &str = "s.whatsapp.net";
const LID_SERVER: &str = "lid";
const GROUP_SERVER: &str = "g.us";

macro_rules! jid_type {
    ($(#[$doc:meta])* $name:ident, $server:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes a whole JID, as WhatsApp reports it and as it is stored.
            pub fn from_jid(jid: impl Into<String>) -> Self {
                Self(jid.into())
            }

            /// Makes the JID of the part before the `@`.
            pub fn from_user(user: &str) -> Self {
                Self(format!("{user}@{}", $server))
            }

            /// The whole JID.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The part before the `@`.
            pub fn user(&self) -> &str {
                user_of(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

jid_type!(
    /// A person's hidden id, `…@lid`: what WhatsApp shows instead of a number, and of some people
    /// all that is ever known.
    Lid,
    LID_SERVER
);
jid_type!(
    /// A group's id: `…@g.us`.
    GroupId,
    GROUP_SERVER
);

/// A chat. Its `Display` form is the JID, which is also what is stored and what every API prints;
/// reading it back gives the same chat.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChatId {
    /// With a person, by phone number.
    Person(PhoneNumber),
    /// With a person whose number is not known.
    Lid(Lid),
    /// A group.
    Group(GroupId),
    /// Any other address, as it came: a list of recipients, a hosted account, a server that is not
    /// known yet. It cannot be written to; a message in it must be readable all the same, or one
    /// odd row would hide every list it is in.
    Other(String),
}

impl ChatId {
    /// The JID: what is stored and what every API prints.
    pub fn jid(&self) -> Cow<'_, str> {
        match self {
            Self::Person(phone) => [phone.as_str(), "@", PERSON_SERVER].concat().into(),
            Self::Lid(_) | Self::Group(_) | Self::Other(_) => self.short().into(),
        }
    }

    /// Whether it is a group.
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }

    /// What people call it: a person's number alone, else the whole JID.
    pub fn short(&self) -> &str {
        match self {
            Self::Person(phone) => phone.as_str(),
            Self::Lid(lid) => lid.as_str(),
            Self::Group(group) => group.as_str(),
            Self::Other(jid) => jid,
        }
    }

    /// The part before the `@`.
    pub fn user(&self) -> &str {
        match self {
            Self::Person(phone) => phone.as_str(),
            Self::Lid(lid) => lid.user(),
            Self::Group(group) => group.user(),
            Self::Other(jid) => user_of(jid),
        }
    }

    /// The chat in a form that a database stores and indexes.
    pub fn cleaned(self) -> Self {
        match cleaned_address(&self.jid()) {
            Some(jid) => jid.into(),
            None => self,
        }
    }

    /// The number, where it is the chat with somebody whose number is known.
    pub fn phone(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Person(phone) => Some(phone),
            Self::Lid(_) | Self::Group(_) | Self::Other(_) => None,
        }
    }
}

/// A chat of a device, as lists show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// Whose.
    pub account_id: AccountId,
    /// Which device's.
    pub device_id: DeviceId,
    /// The chat.
    pub chat: ChatId,
    /// What the person calls themselves, or the group is called, where that is known.
    pub name: Option<String>,
    /// How many messages have come in that were not read here.
    pub unread: i64,
    /// After how many seconds its messages disappear; 0 when they stay, or nothing is known of it.
    pub ephemeral_s: u32,
    /// Whether the device's number may write there, where that is known of a group.
    pub can_send: Option<bool>,
    /// Its newest message.
    pub last_message_id: MessageId,
    /// That message, while it is kept.
    pub last: Option<Message>,
}

impl Chat {
    /// Whether a message to it would go out, as far as is known.
    pub fn can_send(&self) -> bool {
        !matches!(self.chat, ChatId::Other(_)) && self.can_send.unwrap_or(true)
    }
}

/// What is known of a chat beside its messages; `None` leaves what is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatFacts {
    /// What a group is called.
    pub name: Option<String>,
    /// After how many seconds its messages disappear.
    pub ephemeral_s: Option<u32>,
    /// Whether the device's number may write there.
    pub can_send: Option<bool>,
}

fn user_of(jid: &str) -> &str {
    jid.split_once('@').map_or(jid, |(user, _)| user)
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.jid())
    }
}

impl From<String> for ChatId {
    fn from(jid: String) -> Self {
        match jid.split_once('@') {
            Some((user, PERSON_SERVER)) if !user.is_empty() => {
                Self::Person(PhoneNumber::from_digits(user))
            }
            Some((user, LID_SERVER)) if !user.is_empty() => Self::Lid(Lid(jid)),
            Some((user, GROUP_SERVER)) if !user.is_empty() => Self::Group(GroupId(jid)),
            _ => Self::Other(jid),
        }
    }
}

impl FromStr for ChatId {
    type Err = Infallible;

    fn from_str(jid: &str) -> Result<Self, Infallible> {
        Ok(jid.to_owned().into())
    }
}

impl From<&str> for ChatId {
    fn from(jid: &str) -> Self {
        jid.to_owned().into()
    }
}

impl Serialize for ChatId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.jid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stored_chat_reads_back_as_it_was() {
        let person = |user: &str| ChatId::Person(PhoneNumber::from_digits(user));
        let other = |jid: &str| ChatId::Other(jid.to_owned());
        let cases = [
            ("628123456789@s.whatsapp.net", person("628123456789"), "628123456789"),
            ("200@lid", ChatId::Lid(Lid::from_user("200")), "200@lid"),
            (
                "120363041234567890@g.us",
                ChatId::Group(GroupId::from_user("120363041234567890")),
                "120363041234567890@g.us",
            ),
            (
                "62812-1600000000@g.us",
                ChatId::Group(GroupId::from_jid("62812-1600000000@g.us")),
                "62812-1600000000@g.us",
            ),
            ("status@broadcast", other("status@broadcast"), "status@broadcast"),
            ("1203@newsletter", other("1203@newsletter"), "1203@newsletter"),
            ("628@hosted", other("628@hosted"), "628@hosted"),
            ("@s.whatsapp.net", other("@s.whatsapp.net"), "@s.whatsapp.net"),
            ("@lid", other("@lid"), "@lid"),
            ("@g.us", other("@g.us"), "@g.us"),
            ("a@b@g.us", other("a@b@g.us"), "a@b@g.us"),
            ("", other(""), ""),
        ];
        for (jid, chat, short) in cases {
            assert_eq!(jid.parse(), Ok(chat.clone()));
            assert_eq!((chat.to_string().as_str(), chat.short()), (jid, short));
            assert_eq!(chat.user(), jid.split('@').next().unwrap());
            assert_eq!(chat.is_group(), matches!(chat, ChatId::Group(_)));
        }
    }

    #[test]
    fn only_a_person_known_by_number_has_one() {
        let phone = |jid: &str| ChatId::from(jid).phone().map(|phone| phone.as_str().to_owned());
        assert_eq!(phone("628123456789@s.whatsapp.net").as_deref(), Some("628123456789"));
        for jid in ["200@lid", "120363041234567890@g.us", "1203@newsletter"] {
            assert_eq!(phone(jid), None, "{jid}");
        }
    }

    #[test]
    fn a_message_goes_out_where_nothing_is_known_against_it() {
        let cases = [
            ("628123456789@s.whatsapp.net", None, true),
            ("200@lid", None, true),
            ("1@g.us", None, true),
            ("1@g.us", Some(true), true),
            ("1@g.us", Some(false), false),
            ("1203@newsletter", None, false),
            ("1203@newsletter", Some(true), false),
        ];
        for (jid, known, expected) in cases {
            let chat = Chat {
                account_id: AccountId(1),
                device_id: DeviceId(uuid::Uuid::nil()),
                chat: jid.into(),
                name: None,
                unread: 0,
                ephemeral_s: 0,
                can_send: known,
                last_message_id: MessageId(1),
                last: None,
            };
            assert_eq!(chat.can_send(), expected, "{jid} {known:?}");
        }
    }
}
