//! Pages: their frame, the policy they are served under, and Markdown as HTML.
//!
//! Templates are [`maud`] functions, which escape what they are given; only [`markdown`] makes HTML of
//! text, and it lets none of the text's own HTML through.

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, Response, StatusCode};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};

use crate::reply::bytes_reply;

/// The content type of pages.
pub const HTML: &str = "text/html; charset=utf-8";
/// The policy of our pages: nothing from anywhere, but our own style sheets and images.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// The policy of pages with a form: it leads to this server.
const FORM_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'",
);

/// A whole page with this title.
pub fn page(title: &str, body: &Markup) -> Markup {
    page_in("en", title, body)
}

/// As [`page`], in the language of this code.
pub fn page_in(lang: &str, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang=(lang) {
            head {
                meta charset="utf-8";
                title { (title) }
                meta name="viewport" content="width=device-width, initial-scale=1";
                link rel="icon" type="image/svg+xml" href="/favicon.ico";
                link rel="stylesheet" href="/assets/docs.css";
            }
            body { (body) }
        }
    }
}

/// A page as an answer that no cache keeps.
pub fn respond(status: StatusCode, page: Markup) -> Response<Body> {
    let mut response = bytes_reply(status, HeaderValue::from_static(HTML), page.into_string());
    add_policy(&mut response);
    response
}

/// As [`respond`], for a page with a form.
pub fn respond_with_form(status: StatusCode, page: Markup) -> Response<Body> {
    let mut response = respond(status, page);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, FORM_POLICY);
    response
}

/// Puts a page under the strict policy.
pub fn add_policy(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Code that may be wider than the page. The keyboard reaches it, because it scrolls.
pub fn code_block(text: &str) -> Markup {
    html! { pre tabindex="0" { code { (text) } } }
}

/// A table or the like that may be wider than the page. No landmark: there are many on a page.
pub fn scrolling(label: &str, inner: &Markup) -> Markup {
    html! { div.wide role="group" aria-label=(label) tabindex="0" { (inner) } }
}

/// Blocks of Markdown.
pub fn markdown(text: &str) -> Markup {
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).flat_map(block_events);
    push(safe(events))
}

/// The Markdown of one line or paragraph, without an element around it.
pub fn inline(text: &str) -> Markup {
    let is_paragraph = |event: &Event<'_>| {
        matches!(event, Event::Start(Tag::Paragraph) | Event::End(TagEnd::Paragraph))
    };
    push(safe(Parser::new(text).filter(|event| !is_paragraph(event))))
}

fn push<'a>(events: impl Iterator<Item = Event<'a>>) -> Markup {
    let mut html = String::new();
    pulldown_cmark::html::push_html(&mut html, events);
    PreEscaped(html)
}

/// Code and tables as [`code_block`] and [`scrolling`] make them.
fn block_events(event: Event<'_>) -> Vec<Event<'_>> {
    let own = |html: &'static str| Event::Html(CowStr::Borrowed(html));
    match event {
        Event::Start(Tag::CodeBlock(_)) => vec![own("<pre tabindex=\"0\"><code>")],
        Event::End(TagEnd::CodeBlock) => vec![own("</code></pre>\n")],
        Event::Start(Tag::Table(_)) => {
            let region = "<div class=\"wide\" role=\"group\" aria-label=\"Table\" tabindex=\"0\">";
            vec![own(region), event]
        }
        Event::End(TagEnd::Table) => vec![event, own("</div>\n")],
        // A text's own HTML.
        Event::Html(html) | Event::InlineHtml(html) => vec![Event::Text(html)],
        event => vec![event],
    }
}

/// Links lead somewhere on this server or the web; of those to files only the words stay.
fn safe<'a>(events: impl Iterator<Item = Event<'a>>) -> impl Iterator<Item = Event<'a>> {
    let mut is_dropped = false;
    events.filter_map(move |event| match event {
        Event::Start(Tag::Link { ref dest_url, .. }) => {
            let starts = ["https://", "http://", "/", "#"];
            is_dropped = !starts.iter().any(|start| dest_url.starts_with(start));
            (!is_dropped).then_some(event)
        }
        Event::End(TagEnd::Link) => (!is_dropped).then_some(event),
        Event::InlineHtml(html) => Some(Event::Text(html)),
        event => Some(event),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_html_and_all_else_is_escaped() {
        for (text, html) in [
            ("a <b> & \"c\"", "a &lt;b&gt; &amp; \"c\""),
            ("`a <b>` **c**", "<code>a &lt;b&gt;</code> <strong>c</strong>"),
            ("see [a](/b?c&d), [e](f.md)", "see <a href=\"/b?c&amp;d\">a</a>, e"),
            ("[x](javascript:alert%281%29)", "x"),
            ("`a[0](b)` [1] (2)", "<code>a[0](b)</code> [1] (2)"),
            ("number_id or number_ids", "number_id or number_ids"),
        ] {
            assert_eq!(inline(text).into_string(), html, "{text}");
        }
    }

    #[test]
    fn blocks_scroll_within_reach_of_the_keyboard() {
        let text = "1. a `b`\n   c\n2. d\n\n<script>x</script>\n\n| h | i |\n|---|---|\n| `j` | k |\n\n\
                    ```sh\na <b>\n\nc\n```\n";
        let html = markdown(text).into_string();
        assert!(html.contains("<ol>\n<li>a <code>b</code>\nc</li>\n<li>d</li>\n</ol>"), "{html}");
        assert!(
            html.contains("<pre tabindex=\"0\"><code>a &lt;b&gt;\n\nc\n</code></pre>"),
            "{html}"
        );
        assert!(
            html.contains("tabindex=\"0\"><table>") && html.contains("</table>\n</div>"),
            "{html}"
        );
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script"), "{html}");
    }
}
