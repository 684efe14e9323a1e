//! Names as browsers save them: whatever charset and escapes a server writes them in.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use domain::text::turns_direction;
use encoding_rs::{Encoding, WINDOWS_1252};
use percent_encoding::percent_decode_str;

/// Longest name that is kept, in Unicode code points.
const NAME_CHARS_MAX: usize = 120;
/// Longest ending that a cut name keeps, in bytes, with its dot.
const ENDING_BYTES_MAX: usize = 16;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Bytes that name no charset: UTF-8, or what browsers take Latin-1 for.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}

/// Bytes in the charset of this label; `None` for one that no browser knows.
pub(crate) fn text_in(charset: &str, bytes: &[u8]) -> Option<String> {
    let encoding = Encoding::for_label(charset.trim().as_bytes())?;
    Some(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

/// A text without its percent escapes, where it has any that make sense.
pub(crate) fn unescaped(text: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    // `50% ab.pdf` holds no escapes: one that was escaped has no blanks.
    if std::str::from_utf8(&bytes).is_err() && text.contains(' ') {
        return text.to_owned();
    }
    text_of(&bytes)
}

/// A text without the encoded words of mail headers (RFC 2047), which some servers write.
pub(crate) fn without_encoded_words(text: &str) -> String {
    let mut plain = String::new();
    // Words in a row may cut a character in two: their bytes are decoded together.
    let mut pending: Option<(&str, Vec<u8>)> = None;
    let mut rest = text;
    while let Some((before, charset, bytes, after)) = next_word(rest) {
        match &mut pending {
            Some((last, gathered)) if before.trim().is_empty() && *last == charset => {
                gathered.extend(bytes);
            }
            _ => {
                let follows_a_word = pending.is_some() && before.trim().is_empty();
                flush(&mut plain, pending.take());
                plain.push_str(if follows_a_word { "" } else { before });
                pending = Some((charset, bytes));
            }
        }
        rest = after;
    }
    flush(&mut plain, pending);
    plain.push_str(rest);
    plain
}

fn flush(plain: &mut String, pending: Option<(&str, Vec<u8>)>) {
    if let Some((charset, bytes)) = pending {
        plain.push_str(&text_in(charset, &bytes).unwrap_or_else(|| text_of(&bytes)));
    }
}

/// What stands before the next encoded word, its charset and bytes, and what stands after it.
fn next_word(text: &str) -> Option<(&str, &str, Vec<u8>, &str)> {
    let (before, word) = text.split_once("=?")?;
    let (charset, rest) = word.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (encoded, after) = rest.split_once("?=")?;
    let bytes = match encoding {
        "B" | "b" => BASE64.decode(encoded).ok()?,
        "Q" | "q" => quoted_printable(encoded),
        _ => return None,
    };
    // A language may follow the charset (RFC 2231).
    Some((before, charset.split('*').next().unwrap_or_default(), bytes, after))
}

fn quoted_printable(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('%', "%25").replace('=', "%").replace('_', " ")).collect()
}

/// A name without folders and odd characters; `None` when nothing is left.
pub(crate) fn clean(name: &str) -> Option<String> {
    let name = name.trim().trim_end_matches(['/', '\\']);
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !is_odd(*c)).map(allowed).collect();
    let name = name.trim_matches([' ', '.', '\u{a0}']);
    (!name.is_empty()).then(|| cut(name))
}

/// A name in a header: the last part of a path, and otherwise all of it, as in `INV/2024/7.pdf`.
pub(crate) fn clean_given(name: &str) -> Option<String> {
    let is_path = name.trim_start().starts_with(['/', '\\', '.', '~']) || has_drive(name);
    let in_one = || name.trim_end_matches(['/', '\\', ' ']).replace(['/', '\\'], "_");
    if is_path { clean(name) } else { clean(&in_one()) }
}

fn has_drive(name: &str) -> bool {
    matches!(name.trim_start().as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

/// Shortens a name before its ending.
fn cut(name: &str) -> String {
    let surplus = name.chars().count().saturating_sub(NAME_CHARS_MAX);
    if surplus == 0 {
        return name.to_owned();
    }
    let dot = name.rfind('.').filter(|dot| name.len() - dot <= ENDING_BYTES_MAX);
    let (stem, ending) = name.split_at(dot.unwrap_or(name.len()));
    let kept = stem.chars().count().saturating_sub(surplus);
    stem.chars().take(kept).chain(ending.chars()).collect()
}

/// Control characters, and those that are invisible or turn the direction of a text around.
fn is_odd(c: char) -> bool {
    c.is_control()
        || turns_direction(c)
        || matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}' | '\u{fffd}')
}

/// What no file system of a phone takes becomes an underscore.
fn allowed(c: char) -> char {
    if "<>:\"|?*".contains(c) { '_' } else { c }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words() {
        let cases = [
            ("=?UTF-8?B?RmFrdHVyIMOpLnBkZg==?=", "Faktur é.pdf"),
            ("=?utf-8?Q?Laporan_=C3=A9.pdf?=", "Laporan é.pdf"),
            ("=?iso-8859-1?q?caf=E9_50%.pdf?=", "café 50%.pdf"),
            ("=?UTF-8?Q?a=C3?=\t=?UTF-8?Q?=A9.pdf?=", "aé.pdf"),
            ("=?GB2312?B?xOO6w4==?=.pdf", "你好.pdf"),
            ("a =?x?Y?z?= b", "a =?x?Y?z?= b"),
            ("plain=?.pdf", "plain=?.pdf"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_encoded_words(text), expected, "{text}");
        }
    }

    #[test]
    fn escapes() {
        let cases = [
            ("Faktur%20M%C3%A9i.pdf", "Faktur Méi.pdf"),
            ("caf%E9.pdf", "café.pdf"),
            ("100%.pdf", "100%.pdf"),
            ("Diskon 50%ab.pdf", "Diskon 50%ab.pdf"),
            ("100%25.pdf", "100%.pdf"),
        ];
        for (text, expected) in cases {
            assert_eq!(unescaped(text), expected, "{text}");
        }
    }

    #[test]
    fn names_without_folders_and_odd_characters() {
        let cases = [
            ("a b.pdf", Some("a b.pdf")),
            ("C:\\Temp\\z.pdf", Some("z.pdf")),
            ("/tmp/z.pdf", Some("z.pdf")),
            ("report.pdf/", Some("report.pdf")),
            ("fdp.\u{202e}exe\u{7}", Some("fdp.exe")),
            ("10:30 \"final\"?.pdf", Some("10_30 _final__.pdf")),
            ("z.pdf. .", Some("z.pdf")),
            ("\u{200b}z.pdf\u{feff}", Some("z.pdf")),
            ("..", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(clean(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn slashes_in_given_names() {
        let cases = [
            ("INV/2024/001.pdf", Some("INV_2024_001.pdf")),
            ("a/b:c?.pdf", Some("a_b_c_.pdf")),
            ("report.pdf/", Some("report.pdf")),
            ("C:\\Temp\\z.pdf", Some("z.pdf")),
            ("c:/temp/z.pdf", Some("z.pdf")),
            ("/tmp/z.pdf", Some("z.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("\\\\server\\z.pdf", Some("z.pdf")),
            ("..", None),
        ];
        for (name, expected) in cases {
            assert_eq!(clean_given(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn long_names_keep_their_ending() {
        let kept = clean(&format!("{}.pdf", "é".repeat(500))).unwrap();
        assert_eq!(kept.chars().count(), NAME_CHARS_MAX);
        assert!(kept.ends_with("é.pdf"));
        let kept = clean(&format!("a.{}", "é".repeat(500))).unwrap();
        assert_eq!(kept.chars().count(), NAME_CHARS_MAX);
        assert!(kept.starts_with("a.é"));
    }
}
