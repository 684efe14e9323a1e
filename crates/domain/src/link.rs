//! Links in texts, and what is shown of where they lead.

/// Longest title of a page that is shown, in characters.
pub const TITLE_CHARS_MAX: usize = 200;
/// Longest description.
pub const DESCRIPTION_CHARS_MAX: usize = 400;

/// What phones show below a text of the page that a link in it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPreview {
    /// The link, as it is in the text.
    pub link: String,
    /// What the page is called.
    pub title: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// A small picture, as JPEG.
    pub picture: Option<Vec<u8>>,
}

/// The first web address in a text.
pub fn first_link(text: &str) -> Option<&str> {
    let starts = text.match_indices("://").filter_map(|(at, _)| {
        let before = &text[..at];
        let scheme = ["https", "http"].into_iter().find(|scheme| {
            let start = before.len().checked_sub(scheme.len());
            start.and_then(|at| before.get(at..)).is_some_and(|b| b.eq_ignore_ascii_case(scheme))
        })?;
        let start = at - scheme.len();
        let is_inside_a_word = before[..start].ends_with(char::is_alphanumeric);
        (!is_inside_a_word).then_some(start)
    });
    let mut links = starts.filter_map(|start| {
        let rest = &text[start..];
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let link =
            rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '"', '\'', '>']);
        let (_, host) = link.split_once("://")?;
        (!host.is_empty()).then_some(link)
    });
    links.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_link_of_a_text() {
        let cases = [
            ("see https://a.example/b?c=d.", Some("https://a.example/b?c=d")),
            ("(HTTP://A.example) and https://b.example", Some("HTTP://A.example")),
            ("harga: https://toko.example/é, murah", Some("https://toko.example/é")),
            ("ftp://a.example xhttps://b.example", None),
            ("https:// nothing", None),
            ("a.example and ://", None),
            ("", None),
        ];
        for (text, link) in cases {
            assert_eq!(first_link(text), link, "{text}");
        }
    }
}
