//! JSON to the byte as PHP's `json_encode` writes it.
//!
//! The published check of a signature decodes the body, encodes it again and hashes that, so both
//! must be the same bytes: slashes escaped, everything beyond ASCII as `\uXXXX`, no spaces. Two
//! things do not come back from PHP as they were and must not be in a body: empty objects, and
//! floats without a fraction.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::Formatter;

/// Writes a value.
///
/// # Errors
/// Those of its `Serialize`.
pub(super) fn to_vec(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(512);
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, PhpFormatter))?;
    Ok(bytes)
}

/// Quotes, backslashes and control characters are as in any JSON: `serde_json` writes them the same
/// way. The rest of a text comes here.
struct PhpFormatter;

impl Formatter for PhpFormatter {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            match c {
                '/' => writer.write_all(br"\/")?,
                c if c.is_ascii() => write!(writer, "{c}")?,
                c => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_escaped_as_php_does() {
        let cases = [
            ("a/b", r#""a\/b""#),
            ("é", r#""\u00e9""#),
            ("😀", r#""\ud83d\ude00""#),
            ("\u{2028}\u{2029}", r#""\u2028\u2029""#),
            ("\"\\", r#""\"\\""#),
            ("\u{8}\u{c}\n\r\t\0\u{1f}\u{7f}", "\"\\b\\f\\n\\r\\t\\u0000\\u001f\u{7f}\""),
            ("<script>&'", r#""<script>&'""#),
        ];
        for (text, written) in cases {
            assert_eq!(String::from_utf8(to_vec(&text).unwrap()).unwrap(), written);
        }
    }

    #[test]
    fn no_spaces() {
        let value = json!([{"a": 1, "b": [true, null]}]);
        assert_eq!(to_vec(&value).unwrap(), br#"[{"a":1,"b":[true,null]}]"#);
    }
}
