//! What a page says of itself, for those who are sent a link to it.

use std::collections::VecDeque;
use std::time::Duration;

use domain::link::{DESCRIPTION_CHARS_MAX, LinkPreview, TITLE_CHARS_MAX};
use encoding_rs::{Encoding, UTF_8};
use parking_lot::Mutex;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::HttpOutbound;

/// Most bytes of a page that are read.
const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Longest time for it.
const PAGE_MAX: Duration = Duration::from_secs(5);
/// Most bytes of the picture that a page names; larger ones are left out.
const PICTURE_BYTES_MAX: usize = 1024 * 1024;
/// Longest time for page and picture together; the page is shown without one that takes longer.
const PICTURE_MAX: Duration = Duration::from_secs(4);
/// Most pages that are remembered: one link goes to many people.
const REMEMBERED_MAX: usize = 128;
/// How long one is remembered, also one that does not answer.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// Pages that were looked at lately.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<VecDeque<(String, Instant, Option<LinkPreview>)>>);

impl Remembered {
    fn get(&self, link: &str) -> Option<Option<LinkPreview>> {
        let mut pages = self.0.lock();
        pages.retain(|(_, at, _)| at.elapsed() < REMEMBERED_FOR);
        pages.iter().find(|(known, ..)| known == link).map(|(.., page)| page.clone())
    }

    fn put(&self, link: &str, page: Option<LinkPreview>) {
        let mut pages = self.0.lock();
        if pages.len() >= REMEMBERED_MAX {
            pages.pop_front();
        }
        pages.push_back((link.to_owned(), Instant::now(), page));
    }
}

impl HttpOutbound {
    /// What is shown of a link; `None` when it leads to no page that says what it is.
    pub(crate) async fn look_at(&self, link: &str) -> Option<LinkPreview> {
        if let Some(known) = self.pages.get(link) {
            return known;
        }
        let preview = self.seen(link).await;
        self.pages.put(link, preview.clone());
        preview
    }

    async fn seen(&self, link: &str) -> Option<LinkPreview> {
        let picture_by = Instant::now() + PICTURE_MAX;
        let (page, url) = timeout(PAGE_MAX, self.page(link)).await.ok()??;
        let preview = preview(link, &page)?;
        let picture = timeout_at(picture_by, self.picture(&page, &url)).await.ok().flatten();
        Some(LinkPreview { picture, ..preview })
    }

    /// The picture that a page names, small; guarded as every other download.
    async fn picture(&self, page: &str, of: &Url) -> Option<Vec<u8>> {
        let codec = self.codec.as_ref()?;
        let named = ["og:image", "og:image:url", "twitter:image"];
        let named = named.iter().find_map(|name| meta(page, name))?;
        let url = of.join(decoded(&named).trim()).ok()?;
        let url = self.guard.check(url.as_str()).ok()?;
        let (mut answer, _) = self.follow(url).await.ok()?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.ok()? {
            if bytes.len() + chunk.len() > PICTURE_BYTES_MAX {
                return None;
            }
            bytes.extend_from_slice(&chunk);
        }
        codec.make_small(bytes).await
    }

    /// The beginning of a page, and where it is.
    async fn page(&self, link: &str) -> Option<(String, Url)> {
        let url = self.guard.check(link).ok()?;
        let (mut answer, url) = self.follow(url).await.ok()?;
        let content_type = answer.headers().get(CONTENT_TYPE)?.to_str().ok()?.to_ascii_lowercase();
        if !content_type.starts_with("text/html") && !content_type.contains("xhtml") {
            return None;
        }
        let mut bytes = Vec::new();
        while bytes.len() < PAGE_BYTES_MAX {
            let Some(chunk) = answer.chunk().await.ok()? else { break };
            bytes.extend_from_slice(&chunk[..chunk.len().min(PAGE_BYTES_MAX - bytes.len())]);
        }
        let charset = content_type.split_once("charset=").map(|(_, name)| name.trim_matches('"'));
        let encoding = charset.and_then(|name| Encoding::for_label(name.as_bytes()));
        Some((encoding.unwrap_or(UTF_8).decode(&bytes).0.into_owned(), url))
    }
}

fn preview(link: &str, page: &str) -> Option<LinkPreview> {
    let named = |names: &[&str]| names.iter().find_map(|name| meta(page, name));
    let title = named(&["og:title", "twitter:title"]).or_else(|| title(page))?;
    let description = named(&["og:description", "twitter:description", "description"]);
    Some(LinkPreview {
        link: link.to_owned(),
        title: short(&title, TITLE_CHARS_MAX)?,
        description: description.and_then(|text| short(&text, DESCRIPTION_CHARS_MAX)),
        picture: None,
    })
}

/// The text between the tags of the title.
fn title(page: &str) -> Option<String> {
    let (start, _) = tags(page, "title").next()?;
    let rest = &page[start..];
    let end = rest.find('<').unwrap_or(rest.len());
    Some(rest[..end].to_owned())
}

/// The content of the first `meta` with this name.
fn meta(page: &str, name: &str) -> Option<String> {
    let mut found = tags(page, "meta").map(|(_, tag)| tag);
    found.find_map(|tag| {
        let its = attribute(tag, "property").or_else(|| attribute(tag, "name"))?;
        its.eq_ignore_ascii_case(name)
            .then(|| attribute(tag, "content").map(str::to_owned))
            .flatten()
    })
}

/// Where each tag of this name ends, and what is in it.
fn tags<'p>(page: &'p str, name: &'p str) -> impl Iterator<Item = (usize, &'p str)> {
    page.match_indices('<').filter_map(move |(at, _)| {
        let inside = &page[at + 1..];
        let begins = inside.get(..name.len())?;
        let after = inside[name.len()..].chars().next()?;
        if !begins.eq_ignore_ascii_case(name) || after.is_alphanumeric() {
            return None;
        }
        let end = inside.find('>')?;
        Some((at + 1 + end + 1, &inside[name.len()..end]))
    })
}

/// The value of an attribute.
fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = tag;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (value, next) = match after.chars().next()? {
            quote @ ('"' | '\'') => after[1..].split_once(quote)?,
            _ => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(value);
        }
        rest = next;
    }
}

/// A line of at most so many characters; `None` for an empty one.
fn short(text: &str, chars_max: usize) -> Option<String> {
    let text = decoded(text);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).take(chars_max).collect();
    (!line.is_empty()).then_some(line)
}

/// A text with the characters that its entities stand for.
fn decoded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        let entity = after.split_once(';').and_then(|(name, next)| Some((entity(name)?, next)));
        let (character, next) = entity.unwrap_or(('&', after));
        decoded.push(character);
        rest = next;
    }
    decoded.push_str(rest);
    decoded
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "ndash" => '–',
        "mdash" => '—',
        "hellip" => '…',
        _ => {
            let number = name.strip_prefix('#')?;
            let hex = number.strip_prefix(['x', 'X']);
            let code = hex.map_or_else(|| number.parse(), |hex| u32::from_str_radix(hex, 16));
            char::from_u32(code.ok()?)?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://toko.example/kopi";

    fn of(page: &str) -> Option<(String, Option<String>)> {
        preview(LINK, page).map(|preview| (preview.title, preview.description))
    }

    #[test]
    fn what_a_page_says_of_itself() {
        let page = r#"<!doctype html><html><head><title>Toko &amp; Co</title>
            <meta property="og:title" content="Kopi &quot;Gayo&quot;"/>
            <META content='Enak, 250&nbsp;g' name=description></head><body>"#;
        let expected = ("Kopi \"Gayo\"".to_owned(), Some("Enak, 250 g".to_owned()));
        assert_eq!(of(page), Some(expected));
        let expected = ("Toko &amp Co &#xZ;".to_owned(), None);
        assert_eq!(of("<TITLE lang=id> Toko &amp Co\n &#xZ;</TITLE>"), Some(expected));
        assert_eq!(of("<title></title>"), None);
        assert_eq!(of("<meta property=og:description content=x>"), None);
        assert_eq!(of("<titles>x</titles><"), None);
        let long = format!("<title>{}</title>", "é".repeat(1_000));
        assert_eq!(of(&long).unwrap().0.chars().count(), TITLE_CHARS_MAX);
    }
}
