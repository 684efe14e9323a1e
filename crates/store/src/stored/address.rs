//! The sender of a message, in `messages.sender` and in queued events.

use std::borrow::Cow;

use domain::chat::Lid;
use domain::message::Address;
use domain::phone::PhoneNumber;
use serde::{Deserialize, Serialize};

use super::{from_text, to_text};
use crate::sql::SqlResult;

#[derive(Serialize, Deserialize)]
pub(super) struct StoredAddress<'a> {
    phone: Option<Cow<'a, str>>,
    lid: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Address> for StoredAddress<'a> {
    fn from(address: &'a Address) -> Self {
        let phone = address.phone.as_ref().map(PhoneNumber::as_str);
        let lid = address.lid.as_ref().map(Lid::as_str);
        Self { phone: phone.map(Cow::Borrowed), lid: lid.map(Cow::Borrowed) }
    }
}

impl From<StoredAddress<'_>> for Address {
    fn from(stored: StoredAddress<'_>) -> Self {
        let phone = stored.phone.map(|digits| PhoneNumber::from_digits(digits.into_owned()));
        Self { phone, lid: stored.lid.map(Lid::from_jid) }
    }
}

pub(crate) fn write(address: &Address) -> SqlResult<String> {
    to_text(&StoredAddress::from(address))
}

pub(crate) fn read(text: &str) -> SqlResult<Address> {
    from_text::<StoredAddress<'_>>(text, "its sender").map(Address::from)
}
