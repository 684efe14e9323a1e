//! The first line of a request, as clients write it that do not encode what they put into a URL.
//!
//! hyper refuses a target with a blank, a quote or an angle bracket, and cuts it off at a `#`. Nothing
//! but the target is changed, and no line ends elsewhere than before: where a request ends is not
//! touched.

/// Encodes the characters of the target that a URL must not hold; `None` when there are none, or when
/// the line is no request's.
pub fn repaired(line: &[u8]) -> Option<Vec<u8>> {
    let (start, end) = target(line)?;
    let raw = &line[start..end];
    let is_text = std::str::from_utf8(raw).is_ok();
    let is_raw = |byte: u8| {
        matches!(byte, b' ' | b'\t' | b'"' | b'<' | b'>' | b'`' | b'#')
            || (byte >= 0x80 && !is_text)
    };
    if !raw.iter().any(|byte| is_raw(*byte)) {
        return None;
    }
    let mut repaired = line[..start].to_vec();
    for &byte in raw {
        match is_raw(byte) {
            true => repaired.extend(percent_encoding::percent_encode_byte(byte).bytes()),
            false => repaired.push(byte),
        }
    }
    repaired.extend_from_slice(&line[end..]);
    Some(repaired)
}

/// Where the target begins and ends.
fn target(line: &[u8]) -> Option<(usize, usize)> {
    let text = line.strip_suffix(b"\r").unwrap_or(line);
    let (_, rest) = split_method(text)?;
    let start = text.len() - rest.len();
    let end =
        [" HTTP/1.1", " HTTP/1.0"].iter().find_map(|end| text.strip_suffix(end.as_bytes()))?;
    let is_strange = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    let raw = text.get(start..end.len()).filter(|raw| !raw.iter().any(is_strange))?;
    raw.starts_with(b"/").then_some((start, end.len()))
}

fn split_method(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = line.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    let rest = line[length..].strip_prefix(b" ")?;
    (length > 0).then_some((&line[..length], rest))
}

/// Whether these bytes begin like a request.
pub fn is_begin(bytes: &[u8]) -> bool {
    split_method(bytes).is_some_and(|(_, rest)| rest.starts_with(b"/"))
}

/// The path of what begins like a request, to know whose it is: strange characters are replaced.
pub fn path(begin: &[u8]) -> String {
    let rest = split_method(begin).map_or(&[][..], |(_, rest)| rest);
    let is_end = |byte: &u8| matches!(byte, b'?' | b'#') || byte.is_ascii_whitespace();
    let path = rest.split(is_end).next().unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    path.iter().map(|byte| if is_plain(*byte) { char::from(*byte) } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_must_not_hold_is_encoded() {
        let cases: [(&[u8], &str); 6] = [
            (b"GET /a?m=Hello World HTTP/1.1\r", "GET /a?m=Hello%20World HTTP/1.1\r"),
            (b"GET /a?m=<b>\"x\"</b> HTTP/1.0", "GET /a?m=%3Cb%3E%22x%22%3C/b%3E HTTP/1.0"),
            (b"GET /a?m=order #5 HTTP/1.1\r", "GET /a?m=order%20%235 HTTP/1.1\r"),
            (b"POST /a b HTTP/1.1 HTTP/1.1", "POST /a%20b%20HTTP/1.1 HTTP/1.1"),
            (b"GET /a?m=caf\xe9 HTTP/1.1\r", "GET /a?m=caf%E9 HTTP/1.1\r"),
            (b"GET /a?m=\t` HTTP/1.1\r", "GET /a?m=%09%60 HTTP/1.1\r"),
        ];
        for (line, expected) in cases {
            let repaired = repaired(line).map(|line| String::from_utf8(line).unwrap());
            assert_eq!(repaired.as_deref(), Some(expected));
        }
    }

    #[test]
    fn everything_else_stays() {
        let same: [&[u8]; 12] = [
            b"GET /send-message?message=Hello%20World+a HTTP/1.1\r",
            "GET /a?m=é{}|^\\ HTTP/1.1\r".as_bytes().split_at(20).0,
            "GET /a?m=é HTTP/1.1\r".as_bytes(),
            b"GET /a b",
            b"GET /a b HTTP/2.0\r",
            b"GET a b HTTP/1.1\r",
            b"get /a b HTTP/1.1\r",
            b" /a b HTTP/1.1",
            b"GET /a\rb c HTTP/1.1\r",
            b"GET /a\0b c HTTP/1.1\r",
            b"GET HTTP/1.1",
            b"",
        ];
        for line in same {
            assert_eq!(repaired(line), None, "{:?}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn the_path_of_a_request() {
        for (begin, expected) in [
            ("GET /send-message?a=<b> HTTP/1.1\r\nHost: x", "/send-message"),
            ("POST /api/v1/send-message HTTP/9", "/api/v1/send-message"),
            ("GET /<b>/c%20 HTTP/1.1", "/_b_/c_20"),
            ("GET /cut-off", "/cut-off"),
            ("{\"json\": 1}", ""),
            ("", ""),
        ] {
            assert_eq!(path(begin.as_bytes()), expected);
            assert_eq!(is_begin(begin.as_bytes()), !expected.is_empty(), "{begin}");
        }
    }
}
