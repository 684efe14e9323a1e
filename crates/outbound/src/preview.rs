//! What a page says of itself, for those who are sent a link to it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use domain::link::{DESCRIPTION_CHARS_MAX, LinkPreview, TITLE_CHARS_MAX};
use encoding_rs::{Encoding, UTF_8};
use parking_lot::Mutex;
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use crate::client::HttpOutbound;
use crate::head::{Head, decoded, short};

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
        let (preview, picture, url) = timeout(PAGE_MAX, self.read(link)).await.ok()??;
        let picture = async { self.picture(&picture?, &url).await };
        let picture = timeout_at(picture_by, picture).await.ok().flatten();
        Some(LinkPreview { picture, ..preview })
    }

    /// What a page says of itself, what it names as its picture, and where it is.
    async fn read(&self, link: &str) -> Option<(LinkPreview, Option<String>, Url)> {
        let (page, url) = self.page(link).await?;
        let link = link.to_owned();
        // Others' messages do not wait for a page that is long.
        let reading = spawn_blocking(move || preview(&link, &page.text()));
        let (preview, picture) = reading.await.ok().flatten()?;
        Some((preview, picture, url))
    }

    /// The picture that a page names, small; guarded as every other download.
    async fn picture(&self, named: &str, of: &Url) -> Option<Vec<u8>> {
        let codec = self.codec.as_ref()?;
        let url = of.join(named.trim()).ok()?;
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
    async fn page(&self, link: &str) -> Option<(Page, Url)> {
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
        Some((Page { bytes, encoding: encoding.unwrap_or(UTF_8) }, url))
    }
}

/// The beginning of a page, as it came.
struct Page {
    bytes: Vec<u8>,
    encoding: &'static Encoding,
}

impl Page {
    fn text(&self) -> Cow<'_, str> {
        self.encoding.decode(&self.bytes).0
    }
}

/// What a page says of itself, and what it names as its picture.
fn preview(link: &str, page: &str) -> Option<(LinkPreview, Option<String>)> {
    let head = Head::of(page);
    let named = |names: &[&str]| names.iter().find_map(|name| head.get(name));
    let title = named(&["og:title", "twitter:title"]).or_else(|| head.title())?;
    let description = named(&["og:description", "twitter:description", "description"]);
    let picture = named(&["og:image", "og:image:url", "twitter:image"]).map(decoded);
    let preview = LinkPreview {
        link: link.to_owned(),
        title: short(title, TITLE_CHARS_MAX)?,
        description: description.and_then(|text| short(text, DESCRIPTION_CHARS_MAX)),
        picture: None,
    };
    Some((preview, picture))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str = "https://toko.example/kopi";

    fn of(page: &str) -> Option<(String, Option<String>)> {
        preview(LINK, page).map(|(preview, _)| (preview.title, preview.description))
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
