//! What a database can store of the texts that others write.

use std::borrow::Cow;
use std::sync::Arc;

/// Longest address of a chat or sender, in bytes: it is part of an index.
const ADDRESS_BYTES_MAX: usize = 255;

/// The text without U+0000, which PostgreSQL does not store and no phone shows.
pub fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) }
}

/// Makes a text of somebody else's storable.
pub fn clean(text: &mut String) {
    text.retain(|c| c != '\0');
}

/// The same of a text that is shared.
pub fn clean_shared(text: &mut Arc<str>) {
    if let Cow::Owned(clean) = storable(text) {
        *text = clean.into();
    }
}

/// Makes an address of somebody else's storable; `None` when it is already.
pub fn cleaned_address(address: &str) -> Option<String> {
    if address.len() <= ADDRESS_BYTES_MAX && !address.contains('\0') {
        return None;
    }
    let clean = storable(address);
    Some(clean[..clean.floor_char_boundary(ADDRESS_BYTES_MAX)].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_storable_and_short() {
        assert_eq!(cleaned_address("628111@s.whatsapp.net"), None);
        assert_eq!(cleaned_address("62\08").as_deref(), Some("628"));
        let long = cleaned_address(&"é".repeat(200)).unwrap_or_default();
        assert_eq!(long.len(), 254, "cut between two characters");
    }
}
