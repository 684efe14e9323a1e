//! What a server's answer and its URL say of a file: its name, and whether it is one to be saved.

use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap, HeaderName};

use crate::filename::{clean, clean_given, text_in, text_of, unescaped, without_encoded_words};

/// Most parts that a parameter may be split into (RFC 2231).
const PARTS_MAX: usize = 32;

/// What the headers of a download say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Disposition {
    /// Whether a browser would save it and not show it.
    pub(crate) is_attachment: bool,
    /// The name to save it under.
    pub(crate) filename: Option<String>,
}

impl Disposition {
    /// Of an answer's headers; of several that name it the first one counts.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let read = |name: &HeaderName| {
            let values = headers.get_all(name).into_iter();
            values.map(|value| text_of(value.as_bytes())).collect::<Vec<_>>()
        };
        let dispositions = read(&CONTENT_DISPOSITION);
        let filename = dispositions.iter().find_map(|header| name_in(header, "filename"));
        let kinds = dispositions.iter().map(|header| header.split(';').next().unwrap_or_default());
        let kind = kinds.map(str::trim).find(|kind| !kind.is_empty() && !kind.contains('='));
        let is_attachment = match (kind, &filename) {
            // What is to be shown is a page, unless its name is one that programs open.
            (Some(kind), name) if kind.eq_ignore_ascii_case("inline") => {
                name.as_deref().is_some_and(is_opened_by_programs)
            }
            (kind, name) => kind.is_some() || name.is_some(),
        };
        // Mailers and old servers put the name beside the type.
        let in_type = || read(&CONTENT_TYPE).iter().find_map(|header| name_in(header, "name"));
        Self { is_attachment, filename: filename.or_else(in_type) }
    }
}

/// Whether the ending is one that scripts give to tables and letters that they write as pages.
fn is_opened_by_programs(name: &str) -> bool {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    matches!(ending.as_deref(), Some("xls" | "doc" | "htm" | "html" | "mht"))
}

/// The name in a header: the extended parameter (RFC 6266, 5987) before the plain one.
fn name_in(header: &str, wanted: &str) -> Option<String> {
    let parameters = parameters(header);
    let value = |wanted: &str| {
        let found = parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.as_str())
    };
    let starred = value(&format!("{wanted}*"));
    let in_parts = || {
        let parts = (0..PARTS_MAX).map_while(|at| {
            let starred = value(&format!("{wanted}*{at}*"));
            starred.or_else(|| value(&format!("{wanted}*{at}")))
        });
        extended_or_plain(&parts.collect::<String>())
    };
    starred
        .and_then(extended)
        .or_else(|| value(wanted).and_then(plain))
        .or_else(in_parts)
        // Against the standard, but better than nothing.
        .or_else(|| plain(starred?.rsplit('\'').next()?))
}

/// The last part of a URL's path, when it looks like a name.
pub(crate) fn last_segment(url: &Url) -> Option<String> {
    let segment = url.path_segments()?.next_back()?;
    // What follows a semicolon is a parameter, such as a session's id.
    let segment = segment.split(';').next().unwrap_or_default();
    clean(&text_of(&percent_decode_str(segment).collect::<Vec<u8>>()))
}

/// `name=value` wherever a semicolon separates it; a value may be quoted.
fn parameters(header: &str) -> Vec<(&str, String)> {
    let mut parameters = Vec::new();
    let mut rest = header;
    while let Some((before, after)) = rest.split_once('=') {
        let name = before.rsplit(';').next().unwrap_or_default().trim();
        let after = after.trim_start();
        let (value, end) = match after.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let (value, end) = after.split_at(after.find(';').unwrap_or(after.len()));
                (value.trim().trim_end_matches('"').to_owned(), end)
            }
        };
        parameters.push((name, value));
        rest = end;
    }
    parameters
}

/// What stands before the closing quote, and what follows. A backslash escapes quotes and itself;
/// any other is part of a path.
fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &text[at + 1..]),
            '\\' => {
                let escaped = characters.next_if(|(_, next)| matches!(next, '"' | '\\'));
                value.push(escaped.map_or('\\', |(_, escaped)| escaped));
            }
            _ => value.push(character),
        }
    }
    (value, "")
}

/// The value of `filename*`: `UTF-8''percent-encoded`, in any charset.
fn extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let text = text_in(charset, &percent_decode_str(encoded).collect::<Vec<u8>>())?;
    // Bytes that are no text in that charset: the plain name says it better.
    clean_given(&text).filter(|_| !text.contains(char::REPLACEMENT_CHARACTER))
}

fn extended_or_plain(value: &str) -> Option<String> {
    extended(value).or_else(|| plain(value))
}

/// The value of `filename`, with the escapes that servers put there against the standard.
fn plain(value: &str) -> Option<String> {
    let bare = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
    clean_given(&unescaped(&without_encoded_words(bare)))
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn of(header: &[u8]) -> Disposition {
        let value = HeaderValue::from_bytes(header).unwrap();
        Disposition::of(&HeaderMap::from_iter([(CONTENT_DISPOSITION, value)]))
    }

    #[test]
    fn names_in_headers() {
        let cases: [(&[u8], Option<&str>); 42] = [
            (b"attachment; filename=\"a b.pdf\"", Some("a b.pdf")),
            (b"attachment; filename=a.pdf", Some("a.pdf")),
            (b"attachment; filename=a b.pdf", Some("a b.pdf")),
            (b"attachment;filename='a b.pdf'", Some("a b.pdf")),
            (b"inline; FileName = a.pdf ; size=3", Some("a.pdf")),
            (b"filename=a.pdf", Some("a.pdf")),
            (b"filename=\"a.pdf\"; size=3", Some("a.pdf")),
            (b"attachment; filename=\"a;b=\\\"c\\\".pdf\"; x=y", Some("a;b=_c_.pdf")),
            (
                b"attachment; filename=x.pdf; filename*=UTF-8''na%C3%AFve%20.pdf",
                Some("na\u{ef}ve .pdf"),
            ),
            (b"attachment; filename*=UTF-8''a.pdf; filename=\"b.pdf\"", Some("a.pdf")),
            (b"attachment; filename*=\"UTF-8''na%C3%AFve.pdf\"", Some("na\u{ef}ve.pdf")),
            (b"attachment; filename*=utf-8'id'%2Fetc%2Fpasswd", Some("passwd")),
            (
                b"attachment; filename*=iso-8859-1''caf%E9.pdf; filename=y.pdf",
                Some("caf\u{e9}.pdf"),
            ),
            (b"attachment; filename*=windows-1251''%CF%F0.pdf", Some("\u{41f}\u{440}.pdf")),
            (b"attachment; filename*=klingon''x.pdf; filename=y.pdf", Some("y.pdf")),
            (b"attachment; filename*=a%20b.pdf", Some("a b.pdf")),
            (b"attachment; filename*=UTF-8''%ff%fe.pdf; filename=y.pdf", Some("y.pdf")),
            (b"attachment; filename*=UTF-8''caf%E9.pdf", Some("caf\u{e9}.pdf")),
            (b"attachment; filename=a.pdf\"", Some("a.pdf")),
            (b"attachment; filename=\"INV/2024/7.pdf\"", Some("INV_2024_7.pdf")),
            (b"attachment; filename*0=\"long na\"; filename*1=\"me.pdf\"", Some("long name.pdf")),
            (
                b"attachment; filename*0*=UTF-8''na%C3; filename*1*=%AFve.pdf",
                Some("na\u{ef}ve.pdf"),
            ),
            (b"attachment; filename=\"Faktur%20M%C3%A9i.pdf\"", Some("Faktur M\u{e9}i.pdf")),
            (b"attachment; filename=caf%E9.pdf", Some("caf\u{e9}.pdf")),
            (b"attachment; filename=\"Diskon 50%.pdf\"", Some("Diskon 50%.pdf")),
            (b"attachment; filename=\"caf\xe9.pdf\"", Some("caf\u{e9}.pdf")),
            (b"attachment; filename=\"caf\xc3\xa9.pdf\"", Some("caf\u{e9}.pdf")),
            (b"attachment; filename=\"=?UTF-8?B?Y2Fmw6kucGRm?=\"", Some("caf\u{e9}.pdf")),
            (b"attachment; filename==?UTF-8?Q?caf=C3=A9.pdf?=", Some("caf\u{e9}.pdf")),
            (b"attachment; filename=\"C:\\Temp\\z.pdf\"", Some("z.pdf")),
            (b"attachment; filename=\"C:\\\\Temp\\\\z.pdf\"", Some("z.pdf")),
            (b"attachment; filename=C:\\Temp\\z.pdf", Some("z.pdf")),
            (b"attachment; filename=\"..\\\\..\\\\boot.ini\"", Some("boot.ini")),
            (b"attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            (b"attachment; filename=\"z.pdf.\"", Some("z.pdf")),
            (b"attachment; filename=\"fdp.\xe2\x80\xaeexe\"", Some("fdp.exe")),
            (b"attachment; filename=\"..\"", None),
            (b"attachment; filename=\"\"", None),
            (b"attachment; filename=\"unfinished.pdf", Some("unfinished.pdf")),
            (b"attachment; filename", None),
            (b"attachment", None),
            (b"", None),
        ];
        for (header, expected) in cases {
            let shown = String::from_utf8_lossy(header);
            assert_eq!(of(header).filename.as_deref(), expected, "{shown}");
        }
    }

    #[test]
    fn what_a_browser_saves() {
        for header in
            ["attachment", "ATTACHMENT;", "form-data; x=y", "filename=a", "inline; filename=a.XLS"]
        {
            assert!(of(header.as_bytes()).is_attachment, "{header}");
        }
        for header in ["", "inline", " Inline ; size=3", "inline; filename=a.pdf"] {
            assert!(!of(header.as_bytes()).is_attachment, "{header}");
        }
        assert_eq!(Disposition::of(&HeaderMap::new()), Disposition::default());
        let typed = HeaderValue::from_static("application/pdf; name=\"a.pdf\"");
        let named = Disposition::of(&HeaderMap::from_iter([(CONTENT_TYPE, typed)]));
        assert_eq!((named.filename.as_deref(), named.is_attachment), (Some("a.pdf"), false));
    }

    #[test]
    fn names_in_urls() {
        let cases = [
            ("https://example.com/a/in%20voice.pdf?x=/y.png", Some("in voice.pdf")),
            ("https://example.com/a%2Fb.pdf", Some("b.pdf")),
            ("https://example.com/a.pdf;jsessionid=1F", Some("a.pdf")),
            ("https://example.com/caf%E9.pdf", Some("caf\u{e9}.pdf")),
            ("https://example.com/a/", None),
            ("https://example.com", None),
        ];
        for (url, expected) in cases {
            assert_eq!(last_segment(&url.parse().unwrap()).as_deref(), expected, "{url}");
        }
    }
}
