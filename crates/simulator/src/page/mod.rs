//! The phones' web pages: static files; everything they show comes from the control API.

use axum::Router;
use axum::extract::OriginalUri;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const INDEX: &str = include_str!("index.html");
const PHONE: &str = include_str!("phone.html");
const INDEX_JS: &str = include_str!("index.js");
const WORDS_JS: &str = include_str!("words.js");
const PHONE_JS: &str = include_str!("phone.js");
const STYLE: &str = include_str!("style.css");
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      media-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'self'; \
                      frame-ancestors 'self'";

/// The pages and their files.
pub(crate) fn router() -> Router {
    let file = |kind: &'static str, text: &'static str| {
        get(move || async move { served(kind, text.to_owned()) })
    };
    Router::new()
        .route("/", get(index))
        .route("/phone/{number}", file("text/html; charset=utf-8", PHONE))
        .route("/static/words.js", file("text/javascript; charset=utf-8", WORDS_JS))
        .route("/static/index.js", file("text/javascript; charset=utf-8", INDEX_JS))
        .route("/static/phone.js", file("text/javascript; charset=utf-8", PHONE_JS))
        .route("/static/style.css", file("text/css; charset=utf-8", STYLE))
}

/// The list of phones. Nested, its address may lack the final slash that relative links need.
async fn index(OriginalUri(uri): OriginalUri) -> Response {
    let path = uri.path().trim_end_matches('/');
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-_".contains(&b);
    // Not relative: a server may answer with or without a slash at the end.
    let is_known = !path.is_empty() && path.bytes().all(is_plain);
    let base = if is_known { format!("{path}/") } else { "./".to_owned() };
    served("text/html; charset=utf-8", INDEX.replace("{{base}}", &base))
}

fn served(kind: &'static str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What stands between the tags of a page.
    fn texts_of(page: &str) -> impl Iterator<Item = &str> {
        let texts = page.split('>').filter_map(|part| part.split('<').next());
        let texts = texts.map(str::trim).filter(|text| !text.starts_with('&'));
        texts.filter(|text| text.contains(|c: char| c.is_ascii_alphabetic()))
    }

    /// The texts that a script has translated.
    fn texts_in(script: &str) -> impl Iterator<Item = &str> {
        script.match_indices("t('").filter_map(move |(at, call)| {
            // Another name may end like this one.
            let is_other = script[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '.');
            let text = script[at + call.len()..].split('\'').next()?;
            (!is_other).then_some(text)
        })
    }

    #[test]
    fn every_text_has_an_indonesian_one() {
        let pages = [INDEX, PHONE].into_iter().flat_map(texts_of);
        let scripts = [INDEX_JS, PHONE_JS].into_iter().flat_map(texts_in);
        let texts: Vec<&str> = pages.chain(scripts).collect();
        assert!(texts.contains(&"Faults") && texts.contains(&"Linked."), "{texts:?}");
        for text in texts {
            assert!(WORDS_JS.contains(&format!("  '{text}': '")), "{text}");
        }
    }
}
