//! JSON whose texts hold half a character, such as what JavaScript makes of a text that it cut in the
//! middle of an emoji. Its own parser and most others read such halves; ours does not.

/// The escape that takes the place of a half.
const REPLACEMENT: &[u8] = b"fffd";
/// The length of `\uXXXX`.
const ESCAPE_BYTES: usize = 6;

/// The same JSON with a replacement for each half; `None` when there is none.
pub fn replaced(json: &[u8]) -> Option<Vec<u8>> {
    let mut mended: Option<Vec<u8>> = None;
    let mut at = 0;
    let escape_from = |at: usize| json.get(at..)?.iter().position(|byte| *byte == b'\\');
    while let Some(step) = escape_from(at) {
        at += step;
        let next = unit(json, at + ESCAPE_BYTES);
        at += match unit(json, at) {
            // Two halves are a character.
            Some(0xd800..=0xdbff) if matches!(next, Some(0xdc00..=0xdfff)) => 2 * ESCAPE_BYTES,
            Some(0xd800..=0xdfff) => {
                let mended = mended.get_or_insert_with(|| json.to_vec());
                mended[at + 2..at + ESCAPE_BYTES].copy_from_slice(REPLACEMENT);
                ESCAPE_BYTES
            }
            Some(_) => ESCAPE_BYTES,
            // Whatever else is escaped is one byte, such as another backslash.
            None => 2,
        };
    }
    mended
}

/// What the escape that begins here stands for.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE_BYTES)?.strip_prefix(b"\\u")?;
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_nothing_else() {
        let cases = [
            (r#"{"text":"a\ud83d"}"#, Some(r#"{"text":"a\ufffd"}"#)),
            (r#""\ude00\ud83d\ude00\ud83dx""#, Some(r#""\ufffd\ud83d\ude00\ufffdx""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\\ud83d""#, None),
            (r#""\ud83d\ude00 \u00e9 \" \n""#, None),
            (r#""\ud8"#, None),
            (r#""\"#, None),
            ("{}", None),
        ];
        for (json, expected) in cases {
            let found = replaced(json.as_bytes());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{json}");
        }
    }
}
