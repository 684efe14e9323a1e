//! Who is who: a person has a number and a LID, and often one is known long before the other.

use crate::chat::{ChatId, Lid};
use crate::ids::DeviceId;
use crate::message::Address;
use crate::phone::PhoneNumber;

/// A number and a LID that belong to one person now.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The person's number.
    pub phone: PhoneNumber,
    /// WhatsApp's other name for the person.
    pub lid: Lid,
}

impl Identity {
    /// The one chat with the person.
    pub fn chat(&self) -> ChatId {
        ChatId::Person(self.phone.clone())
    }
}

/// Another way to write a number: WhatsApp answers a check of it with the number that the account has.
///
/// Brazil's ninth digit, Mexico's 1 and Argentina's 9 are written or left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Spelling {
    /// What was asked for.
    pub spelling: PhoneNumber,
    /// The account's number: the one that is written to, and that has the chat.
    pub phone: PhoneNumber,
}

/// A person that a device has exchanged messages with, or has met in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownPerson {
    /// Grows with the time at which they became known.
    pub id: i64,
    /// The device that knows the person.
    pub device: DeviceId,
    /// The person's names on WhatsApp.
    pub who: Address,
    /// What the person calls themselves, where they have said so.
    pub name: Option<String>,
}

impl KnownPerson {
    /// The chat with the person.
    pub fn chat(&self) -> Option<ChatId> {
        let by_lid = || self.who.lid.clone().map(ChatId::Lid);
        self.who.phone.clone().map(ChatId::Person).or_else(by_lid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chat_with_a_person_is_that_of_the_number_else_of_the_lid() {
        let (phone, lid) = (PhoneNumber::from_digits("628123456789"), Lid::from_user("200"));
        let by_number = ChatId::Person(phone.clone());
        let cases = [
            (Some(phone.clone()), Some(lid.clone()), Some(by_number.clone())),
            (Some(phone), None, Some(by_number)),
            (None, Some(lid.clone()), Some(ChatId::Lid(lid))),
            (None, None, None),
        ];
        for (phone, lid, chat) in cases {
            let device = DeviceId(uuid::Uuid::nil());
            let person = KnownPerson { id: 1, device, who: Address { phone, lid }, name: None };
            assert_eq!(person.chat(), chat);
        }
    }
}
