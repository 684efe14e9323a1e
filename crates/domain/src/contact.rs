//! Who is who: a person has a number and a LID, and often one is known long before the other.

use crate::chat::{ChatId, Lid};
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
