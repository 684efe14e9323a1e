//! Every id is its own type, so that one cannot be passed where another is meant.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::text::storable;

/// Longest id of a message that is kept as it came, in bytes; WhatsApp's own have 16 to 32.
const WHATSAPP_ID_BYTES_MAX: usize = 128;

macro_rules! integer_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

integer_id!(
    /// A customer of the gateway. Everything else belongs to exactly one account.
    AccountId
);
integer_id!(
    /// An account key or a device token.
    KeyId
);
integer_id!(
    /// A message of either direction; increasing, never reused.
    MessageId
);
integer_id!(
    /// The small integer name of a device, `number_id` in `/v1`.
    DeviceNumber
);

integer_id!(
    /// A grant of messages.
    GrantId
);
integer_id!(
    /// A webhook.
    WebhookId
);
integer_id!(
    /// One event on its way to one webhook.
    DeliveryId
);
integer_id!(
    /// A person who signs in to the dashboard.
    UserId
);
integer_id!(
    /// A link to the page of one device.
    PortalLinkId
);
integer_id!(
    /// An entry of the audit log; increasing.
    AuditId
);
integer_id!(
    /// A process that shares the database with others.
    NodeId
);

impl MessageId {
    /// The message's `ref`: the id in a form that cannot be mistaken for a number.
    ///
    /// It is derived, not stored, so that accepting a message needs no second index.
    pub fn to_ref(self) -> String {
        format!("GB{:010}", self.0)
    }

    /// Reads back what [`MessageId::to_ref`] wrote.
    pub fn from_ref(text: &str) -> Option<Self> {
        let id = text.strip_prefix("GB")?.parse().ok().map(Self)?;
        (id.to_ref() == text).then_some(id)
    }
}

/// A linked WhatsApp number, or one to be linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct DeviceId(pub Uuid);

impl DeviceId {
    /// The id as text, as it is stored and shown.
    pub fn to_text(self) -> String {
        self.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for DeviceId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// The id a message has on WhatsApp: `3EB0` and 16 upper-case hex digits for ours, anything for
/// those that others sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct WhatsappId(pub String);

impl WhatsappId {
    /// Makes one of our own ids from eight random bytes.
    ///
    /// It is chosen when a message is accepted and reused on every attempt, so that the
    /// recipient's phone recognises a repeat.
    pub fn from_random(bytes: [u8; 8]) -> Self {
        Self(format!("3EB0{:016X}", u64::from_be_bytes(bytes)))
    }

    /// Takes an id that another phone chose: any text, which a database must be able to store and
    /// index. An ordinary one stays as it is.
    pub fn from_outside(id: &str) -> Self {
        let id = storable(id);
        if id.len() <= WHATSAPP_ID_BYTES_MAX {
            return Self(id.into_owned());
        }
        Self(hex::encode(Sha256::digest(id.as_bytes())))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WhatsappId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_leads_back_to_its_message() {
        assert_eq!(MessageId(1024).to_ref(), "GB0000001024");
        assert_eq!(MessageId::from_ref("GB0000001024"), Some(MessageId(1024)));
        for wrong in ["", "1024", "GB1024", "GB00000000x1", "gb0000001024"] {
            assert_eq!(MessageId::from_ref(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_id_from_outside_can_be_stored() {
        let id = |text: &str| WhatsappId::from_outside(text).0;
        assert_eq!(id("3EB0ABABABABABABABAB"), "3EB0ABABABABABABABAB");
        assert_eq!(id("A\0B"), "AB");
        let long = |end: &str| id(&("A".repeat(5_000) + end));
        assert_eq!(long("1").len(), 64);
        assert_ne!(long("1"), long("2"), "two ids stay two");
    }

    #[test]
    fn our_whatsapp_ids_are_twenty_characters() {
        let id = WhatsappId::from_random([0xab; 8]);
        assert_eq!(id.as_str(), "3EB0ABABABABABABABAB");
        assert_eq!(id.as_str().len(), 20);
        assert_eq!(id.to_string(), id.as_str());
    }

    #[test]
    fn the_id_of_a_device_is_stored_and_shown_in_one_form() {
        let text = "0192f0c1-2b3c-7d4e-8f50-0123456789ab";
        for given in [text, &text.to_uppercase(), &text.replace('-', "")] {
            let id: DeviceId = given.parse().unwrap();
            assert_eq!((id.to_text().as_str(), id.to_string().as_str()), (text, text));
        }
    }
}
