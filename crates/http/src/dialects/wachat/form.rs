//! Answers as JSON, or as XML for clients that accept `text/xml` or `application/xml`: the root is
//! `<response>`, the entries of a list are `<item>`, null is an empty element. Handlers answer in
//! JSON; [`negotiated`] turns that into XML around them.

use std::fmt;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::middleware::{Next, from_fn};
use serde::Serialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::reply::{bytes_reply, json};
use crate::routes::Route;

const XML: HeaderValue = HeaderValue::from_static("application/xml; charset=utf-8");

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Xml,
}

impl Form {
    /// What the client wants.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // What is named first is wanted most; browsers, who accept all, name HTML first.
        let first = accept.split([',', ';']).next().unwrap_or_default().trim();
        let is_xml =
            ["text/xml", "application/xml"].iter().any(|xml| first.eq_ignore_ascii_case(xml));
        if is_xml { Self::Xml } else { Self::Json }
    }

    /// An answer in this form.
    pub(super) fn reply(self, status: StatusCode, body: &impl Serialize) -> Response<Body> {
        match self {
            Self::Json => json(status, body),
            Self::Xml => {
                let json = serde_json::to_vec(body).unwrap_or_default();
                bytes_reply(status, XML, document(&json))
            }
        }
    }
}

/// The route, whose answers are in the form that the client wants.
pub(super) fn negotiated(route: Route) -> Route {
    Route { handler: route.handler.layer(from_fn(negotiate)), ..route }
}

async fn negotiate(request: Request, next: Next) -> Response<Body> {
    let form = Form::of(request.headers());
    let response = next.run(request).await;
    match form {
        Form::Json => response,
        Form::Xml => {
            let (mut parts, body) = response.into_parts();
            // Our own answer, whole in memory: reading it does not fail and needs no limit.
            let json = to_bytes(body, usize::MAX).await.unwrap_or_default();
            parts.headers.insert(CONTENT_TYPE, XML);
            Response::from_parts(parts, Body::from(document(&json)))
        }
    }
}

/// JSON as an XML document with the same fields in the same order.
fn document(json: &[u8]) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let root = Element { text: &mut text, name: "response" };
    if let Err(error) = root.deserialize(&mut serde_json::Deserializer::from_slice(json)) {
        // Only a fraction gets here, and no answer has one.
        tracing::error!(%error, "an answer cannot be written as XML");
    }
    text
}

/// Writes the value that it reads as an element of this name.
struct Element<'a> {
    text: &'a mut String,
    name: &'a str,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let Self { text, name } = self;
        text.extend(["<", name, ">"]);
        value.deserialize_any(Content(text))?;
        text.extend(["</", name, ">"]);
        Ok(())
    }
}

/// Writes the value that it reads.
struct Content<'a>(&'a mut String);

impl<'de> Visitor<'de> for Content<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of an answer")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.0.push_str(if flag { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.0.push_str(&number.to_string());
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.0.push_str(&number.to_string());
        Ok(())
    }

    fn visit_str<E>(self, content: &str) -> Result<(), E> {
        escape(self.0, content);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Element { text: self.0, name: "item" })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(name) = fields.next_key::<String>()? {
            fields.next_value_seed(Element { text: self.0, name: &name })?;
        }
        Ok(())
    }
}

fn escape(text: &mut String, content: &str) {
    for c in content.chars() {
        match c {
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '&' => text.push_str("&amp;"),
            // A parser would make a line feed of it.
            '\r' => text.push_str("&#13;"),
            '\t' | '\n' => text.push(c),
            // No XML document may hold these.
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => text.push('\u{fffd}'),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_its_element_in_its_order() {
        #[derive(Serialize)]
        struct Inner {
            x: &'static str,
            a: i64,
        }
        #[derive(Serialize)]
        struct Answer {
            n: u64,
            error: bool,
            none: Option<String>,
            list: (&'static str, Inner),
        }
        let answer = Answer {
            n: 7,
            error: false,
            none: None,
            list: ("a<b", Inner { x: "&\u{1}\r\n", a: -1 }),
        };
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response><n>7</n>\
            <error>false</error><none></none><list><item>a&lt;b</item>\
            <item><x>&amp;\u{fffd}&#13;\n</x><a>-1</a></item></list></response>";
        assert_eq!(document(&serde_json::to_vec(&answer).unwrap()), expected);
    }

    #[test]
    fn what_is_named_first_counts() {
        let cases = [
            ("text/xml", Form::Xml),
            ("Text/XML;charset=utf-8", Form::Xml),
            ("application/xml; q=0.9, */*", Form::Xml),
            ("application/json, text/xml", Form::Json),
            ("text/html,application/xhtml+xml,application/xml;q=0.9", Form::Json),
            ("*/*", Form::Json),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(Form::of(&headers), expected, "{accept}");
        }
        assert_eq!(Form::of(&HeaderMap::new()), Form::Json);
    }
}
