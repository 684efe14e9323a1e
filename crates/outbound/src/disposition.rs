//! The name of a downloaded file.

use percent_encoding::percent_decode_str;
use reqwest::Url;

/// Longest name that is kept, in Unicode code points.
const NAME_CHARS_MAX: usize = 120;

/// The name in a `Content-Disposition` header (RFC 6266); `filename*` before `filename`.
pub(crate) fn filename(header: &str) -> Option<String> {
    let parameters = parameters(header);
    let value = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    value("filename*").and_then(extended).or_else(|| value("filename").and_then(clean))
}

/// The last part of a URL's path, when it looks like a name.
pub(crate) fn last_segment(url: &Url) -> Option<String> {
    clean(&percent_decode_str(url.path_segments()?.next_back()?).decode_utf8().ok()?)
}

/// `name=value` after each semicolon; a value may be quoted.
fn parameters(header: &str) -> Vec<(&str, String)> {
    let mut parameters = Vec::new();
    let mut rest = header;
    while let Some((name, after)) =
        rest.split_once(';').and_then(|(_, parameter)| parameter.split_once('='))
    {
        let after = after.trim_start();
        let (value, end) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, end) = after.split_at(after.find(';').unwrap_or(after.len()));
                (value.trim().to_owned(), end)
            }
        };
        parameters.push((name.trim(), value));
        rest = end;
    }
    parameters
}

/// What stands before the closing quote, without its backslashes, and what follows.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

/// The value of `filename*`: `UTF-8''percent-encoded`.
fn extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    clean(&percent_decode_str(encoded).decode_utf8().ok()?)
}

/// A name without folders and odd characters; `None` when nothing is left.
fn clean(name: &str) -> Option<String> {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !is_odd(*c)).collect();
    let name = name.trim_matches([' ', '.']);
    // The extension is at the end, so the beginning is cut.
    let surplus = name.chars().count().saturating_sub(NAME_CHARS_MAX);
    let name: String = name.chars().skip(surplus).collect();
    (!name.is_empty()).then_some(name)
}

/// Control characters, and those that turn the direction of a text around.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_headers() {
        let cases = [
            ("attachment; filename=\"a b.pdf\"", Some("a b.pdf")),
            ("attachment; filename=a.pdf", Some("a.pdf")),
            ("inline; FileName = a.pdf ; size=3", Some("a.pdf")),
            ("attachment; filename=\"a;b=\\\"c\\\".pdf\"; x=y", Some("a;b=\"c\".pdf")),
            ("attachment; filename=x.pdf; filename*=UTF-8''na%C3%AFve%20.pdf", Some("naïve .pdf")),
            ("attachment; filename*=utf-8'id'%2Fetc%2Fpasswd", Some("passwd")),
            ("attachment; filename*=iso-8859-1''x; filename=y.pdf", Some("y.pdf")),
            ("attachment; filename=\"..\\\\..\\\\boot.ini\"", Some("boot.ini")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename=\"fdp.\u{202e}exe\u{7}\"", Some("fdp.exe")),
            ("attachment; filename=\"..\"", None),
            ("attachment; filename=\"unfinished.pdf", Some("unfinished.pdf")),
            ("attachment; filename", None),
            ("attachment", None),
            ("", None),
        ];
        for (header, expected) in cases {
            assert_eq!(filename(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn names_in_urls() {
        let cases = [
            ("https://example.com/a/in%20voice.pdf?x=/y.png", Some("in voice.pdf")),
            ("https://example.com/a%2Fb.pdf", Some("b.pdf")),
            ("https://example.com/a/", None),
            ("https://example.com", None),
            ("https://example.com/%ff", None),
        ];
        for (url, expected) in cases {
            assert_eq!(last_segment(&url.parse().unwrap()).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn long_names_keep_their_end() {
        let name = format!("{}.pdf", "é".repeat(500));
        let kept = clean(&name).unwrap();
        assert_eq!(kept.chars().count(), NAME_CHARS_MAX);
        assert!(kept.ends_with("é.pdf"));
    }
}
