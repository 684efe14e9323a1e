//! What a database can store of the texts that others write.

use std::borrow::Cow;
use std::sync::Arc;

use crate::phone::is_invisible;

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

/// Whether a character turns the direction of what stands around it, and is not seen itself: in the name
/// of a file it disguises the ending.
pub fn turns_direction(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Whether a text has nothing that is seen.
pub fn is_blank(text: &str) -> bool {
    text.chars().all(has_no_shape)
}

/// Whether a character takes a place at most.
pub fn has_no_shape(c: char) -> bool {
    c.is_whitespace() || is_invisible(c)
}

/// The name of a file as it is seen, letter for letter; one that others save it under, in no other folder.
pub fn clean_filename(name: &mut String) {
    let is_unseen = |c: char| c.is_control() || turns_direction(c);
    if name.contains(|c| is_unseen(c) || matches!(c, '/' | '\\')) {
        name.retain(|c| !is_unseen(c));
        *name = name.replace(['/', '\\'], "_");
    }
}

/// Longest MIME type, in bytes.
const MIMETYPE_BYTES_MAX: usize = 255;

/// Whether a text is a MIME type, with parameters or without.
pub fn is_mimetype(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    text.len() <= MIMETYPE_BYTES_MAX
        && essence.trim().split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
        && parameters.bytes().all(|b| (b' '..=b'~').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_seen_as_they_are() {
        let cleaned = |name: &str| {
            let mut name = name.to_owned();
            clean_filename(&mut name);
            name
        };
        assert_eq!(cleaned("Faktur\u{202e}fdp.exe"), "Fakturfdp.exe");
        assert_eq!(cleaned("\u{2066}a\u{2069}\u{200e}\u{200f}\u{61c}\0b.pdf"), "ab.pdf");
        assert_eq!(cleaned("فاتورة نهائية.pdf"), "فاتورة نهائية.pdf");
        assert_eq!(cleaned("../../x\"\r\n\u{85}.html"), ".._.._x\".html");
        assert_eq!(cleaned("C:\\Faktur\t1.pdf"), "C:_Faktur1.pdf");
    }

    #[test]
    fn texts_of_which_nothing_is_seen() {
        for blank in ["", " \n\t", "\u{200b}", "\u{feff} \u{2060}\u{a0}"] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for text in ["a", "\u{200b}a", ".", "👨‍👩‍👧"] {
            assert!(!is_blank(text), "{text:?}");
        }
    }

    #[test]
    fn types_are_mime_types() {
        let longest = format!("image/{}", "m".repeat(249));
        let long = format!("{longest}m");
        for (text, expected) in [
            ("application/pdf", true),
            ("audio/ogg; codecs=opus", true),
            (" image/jpeg ", true),
            ("application/vnd.ms-excel.sheet+xml", true),
            ("image", false),
            ("image/", false),
            ("image/jpeg/x", false),
            ("text/html\r\nX-A: b", false),
            ("text/html;\r\nX-A: b", false),
            (longest.as_str(), true),
            (long.as_str(), false),
            ("", false),
        ] {
            assert_eq!(is_mimetype(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_are_storable_and_short() {
        assert_eq!(cleaned_address("628111@s.whatsapp.net"), None);
        assert_eq!(cleaned_address("62\08").as_deref(), Some("628"));
        let long = cleaned_address(&"é".repeat(200)).unwrap_or_default();
        assert_eq!(long.len(), 254, "cut between two characters");
        assert_eq!(cleaned_address(&"a".repeat(255)), None);
        assert_eq!(cleaned_address(&"a".repeat(256)), Some("a".repeat(255)));
    }

    #[test]
    fn texts_are_stored_without_what_no_phone_shows() {
        for (text, stored) in [("halo", "halo"), ("\0ha\0lo\0", "halo"), ("\0", "")] {
            assert_eq!(storable(text), stored, "{text:?}");
            let (mut own, mut shared) = (text.to_owned(), Arc::from(text));
            clean(&mut own);
            clean_shared(&mut shared);
            assert_eq!((own.as_str(), &*shared), (stored, stored), "{text:?}");
        }
    }
}
