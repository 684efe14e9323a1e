//! Whether a download is a web page.

/// How much of a file is checked.
pub(crate) const PAGE_BYTES: usize = 1024;

/// What begins a page, whatever its server says it is.
const SURE: [&str; 4] = ["<!doctype html", "<html", "<head", "<body"];
/// What begins the pages that their servers call so: those of scripts that print no more than a part.
const LABELLED: [&str; 18] = [
    "<script", "<style", "<title", "<meta", "<link", "<iframe", "<table", "<div", "<span", "<font",
    "<center", "<h1", "<h2", "<h3", "<br", "<p", "<b", "<a",
];
/// Types that scripts give to tables and letters they write as pages, for office programs to open.
const OFFICE: [&str; 4] =
    ["application/vnd.ms-excel", "application/msexcel", "application/msword", "application/excel"];

/// How a server labels a file, as far as it matters for pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// It is to be saved: a page, too, is a file then.
    File,
    /// It is to be shown as a page.
    Page,
    /// Anything else.
    Other,
}

impl Label {
    /// The label of a download; `essence` is its type without parameters, in small letters.
    pub(crate) fn of(is_attachment: bool, essence: &str) -> Self {
        match essence {
            _ if is_attachment || OFFICE.contains(&essence) => Self::File,
            "text/html" | "application/xhtml+xml" => Self::Page,
            _ => Self::Other,
        }
    }

    /// Whether a file with this label is a page, by its beginning.
    pub(crate) fn is_page(self, start: &[u8]) -> bool {
        let text = text_of(start);
        let start = after_preamble(&text);
        let begins_with = |tags: &[&str]| {
            let is_whole = |after: &str| !after.starts_with(char::is_alphanumeric);
            tags.iter().any(|tag| start.strip_prefix(tag).is_some_and(is_whole))
        };
        match self {
            Self::File => false,
            Self::Page => begins_with(&SURE) || begins_with(&LABELLED),
            Self::Other => begins_with(&SURE),
        }
    }
}

/// Small letters; UTF-16 loses its zeros.
fn text_of(start: &[u8]) -> String {
    let is_wide = start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff");
    let text = match is_wide {
        true => {
            start[2..].iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
        }
        false => String::from_utf8_lossy(start).into_owned(),
    };
    text.to_ascii_lowercase()
}

/// What follows a byte-order mark, comments and an XML declaration.
fn after_preamble(text: &str) -> &str {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    while let Some(end) = match rest {
        _ if rest.starts_with("<!--") => rest.find("-->").map(|at| at + 3),
        _ if rest.starts_with("<?xml") => rest.find("?>").map(|at| at + 2),
        _ => None,
    } {
        rest = rest[end..].trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_begins_like_one() {
        let wide = b"\xff\xfe<\0h\0t\0m\0l\0>\0";
        let cases: [(&[u8], bool, bool); 14] = [
            (b"<!DOCTYPE HTML><p>", true, true),
            (b"\xef\xbb\xbf\r\n <!-- a --> <!-- b -->\n<HTML lang=id>", true, true),
            (b"<?xml version='1.0'?><!DOCTYPE html><p>", true, true),
            (wide, true, true),
            (b"<br />\n<b>Warning</b>: mysql", true, false),
            (b"<script>location='/login'</script>", true, false),
            (b"<?xml version='1.0'?><heads/>", false, false),
            (b"<svg xmlns='x'>", false, false),
            (b"<!-- never closed", false, false),
            (b"%PDF-1.7", false, false),
            (b"\xff\xd8\xff\xe0", false, false),
            (b"a;b\n1;2", false, false),
            (b"<price>7</price>", false, false),
            (b"", false, false),
        ];
        for (start, labelled, unlabelled) in cases {
            let shown = String::from_utf8_lossy(start);
            assert_eq!(Label::Page.is_page(start), labelled, "{shown}");
            assert_eq!(Label::Other.is_page(start), unlabelled, "{shown}");
            assert!(!Label::File.is_page(start), "{shown}");
        }
    }

    #[test]
    fn labels() {
        let cases = [
            (false, "text/html", Label::Page),
            (false, "application/xhtml+xml", Label::Page),
            (true, "text/html", Label::File),
            (false, "application/vnd.ms-excel", Label::File),
            (false, "image/jpeg", Label::Other),
            (false, "", Label::Other),
        ];
        for (is_attachment, essence, expected) in cases {
            assert_eq!(Label::of(is_attachment, essence), expected, "{essence}");
        }
    }
}
