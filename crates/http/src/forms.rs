//! Forms and query strings as JSON objects, so that a dialect's types read them like any body.
//!
//! As PHP reads them: of a field that is given twice the last one counts, and `to[]` or `to[0]` is
//! an item of the list `to`; `to[a]` makes it an object, which none of our fields is. A `%` that
//! begins no escape is a `%`. A field without a value is one that was not given. Values are texts; the
//! types in [`crate::fields`] take numbers and booleans as texts too.

use std::borrow::Cow;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Request};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::api_error::ApiError;
use crate::body::without_bom;

/// Most fields of a form, items of lists counted one by one.
pub const FORM_FIELDS_MAX: usize = 2_000;

/// Reads `application/x-www-form-urlencoded`, which is also what a query string is.
///
/// # Errors
/// [`ApiError::Malformed`], [`ApiError::Field`].
pub fn urlencoded(bytes: &[u8]) -> Result<Map<String, Value>, ApiError> {
    let text = std::str::from_utf8(without_bom(bytes)).map_err(|_| not_utf8())?;
    let mut fields = Fields::default();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        fields.add(&decoded(name)?, decoded(value)?)?;
    }
    Ok(fields.object)
}

fn decoded(text: &str) -> Result<String, ApiError> {
    let text = text.replace('+', " ");
    let decoded = percent_decode_str(&text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| not_utf8())
}

fn not_utf8() -> ApiError {
    ApiError::Malformed("the form is not UTF-8".to_owned())
}

/// Reads `multipart/form-data`. Its parts must be texts: files go by URL.
///
/// # Errors
/// [`ApiError::Malformed`], [`ApiError::Field`].
pub async fn multipart(
    content_type: &HeaderValue,
    body: Bytes,
) -> Result<Map<String, Value>, ApiError> {
    multipart_with_files(content_type, body, &[]).await.map(|(fields, _)| fields)
}

/// A file of a form.
#[derive(Clone)]
pub struct FormFile {
    /// What its sender calls it.
    pub name: String,
    /// Itself.
    pub bytes: Bytes,
}

/// As [`multipart`]; parts of these names may be files.
///
/// # Errors
/// As [`multipart`].
pub async fn multipart_with_files(
    content_type: &HeaderValue,
    body: Bytes,
    taken: &[&'static str],
) -> Result<(Map<String, Value>, Vec<(&'static str, FormFile)>), ApiError> {
    let request = Request::builder().header(CONTENT_TYPE, content_type).body(Body::from(body));
    let mut request = request.map_err(|_| broken("its content type cannot be read"))?;
    // The body was limited when it was read.
    DefaultBodyLimit::disable().apply(&mut request);
    let parts = Multipart::from_request(request, &()).await;
    let mut parts = parts.map_err(|_| broken("its content type names no boundary"))?;
    let mut fields = Fields::default();
    let mut files = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(|_| broken("a part is cut off"))? {
        let name = part.name().unwrap_or_default().to_owned();
        let file_name = part.file_name().map(str::to_owned);
        let value = part.bytes().await.map_err(|_| broken("a part is cut off"))?;
        let taken_as = taken.iter().copied().find(|taken| *taken == name);
        match (file_name, taken_as) {
            // A browser sends a file input that was left empty, too, without a name.
            (Some(own), _) if own.is_empty() && value.is_empty() => continue,
            (Some(own), Some(field)) => {
                files.push((field, FormFile { name: own, bytes: value }));
                continue;
            }
            (Some(_), None) if value.is_empty() => continue,
            (Some(_), None) => {
                return Err(ApiError::field(name, "must be text; files are given as a URL"));
            }
            (None, _) => {}
        }
        let value = String::from_utf8(value.into()).map_err(|_| not_utf8())?;
        fields.add(&name, value)?;
    }
    Ok((fields.object, files))
}

fn broken(why: &str) -> ApiError {
    ApiError::Malformed(format!("the multipart form cannot be read: {why}"))
}

#[derive(Default)]
struct Fields {
    object: Map<String, Value>,
    count: usize,
}

impl Fields {
    fn add(&mut self, name: &str, value: String) -> Result<(), ApiError> {
        self.count += 1;
        if self.count > FORM_FIELDS_MAX {
            let message = format!("the form has more than {FORM_FIELDS_MAX} fields");
            return Err(ApiError::Malformed(message));
        }
        let Some((list, key)) = name.split_once('[') else {
            if value.is_empty() {
                self.object.remove(name);
            } else {
                self.object.insert(name.to_owned(), Value::String(value));
            }
            return Ok(());
        };
        let value = Value::String(value);
        let index = key.strip_suffix(']');
        if index.is_none_or(|index| !index.bytes().all(|b| b.is_ascii_digit())) {
            let key = index.unwrap_or(key);
            let object = Map::from_iter([(key.to_owned(), value)]);
            self.object.insert(list.to_owned(), Value::Object(object));
            return Ok(());
        }
        match self.object.get_mut(list) {
            Some(Value::Array(items)) => items.push(value),
            _ => drop(self.object.insert(list.to_owned(), Value::Array(vec![value]))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::body::{JSON_BYTES_MAX, query_fields, read_fields};
    use crate::fields::{BooleanField, IntegerField, PhoneField};

    #[derive(Debug, Deserialize)]
    struct Sample {
        text: String,
        to: Option<Vec<PhoneField>>,
        limit: Option<IntegerField>,
        typing: Option<BooleanField>,
    }

    async fn read(content_type: &str, body: impl Into<Body>) -> Result<Sample, ApiError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
        read_fields(None, &headers, body.into()).await
    }

    const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";
    const PARTS: &str = "multipart/form-data; boundary=\"x y\"";

    fn part(disposition: &str, value: &str) -> String {
        format!("--x y\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn forms_as_php_reads_them() {
        let cases = [
            ("", json!({})),
            ("a=1&b=2", json!({"a": "1", "b": "2"})),
            ("a=1&a=2", json!({"a": "2"})),
            ("a=1&a=", json!({})),
            ("a&=x&&b=1", json!({"": "x", "b": "1"})),
            ("a=x%20y+z%26&b=%F0%9F%98%80", json!({"a": "x y z&", "b": "😀"})),
            ("a=1=2", json!({"a": "1=2"})),
            ("to[]=1&to%5B%5D=2&to[7]=3", json!({"to": ["1", "2", "3"]})),
            ("to=1&to[]=2", json!({"to": ["2"]})),
            ("to[]=2&to=1", json!({"to": "1"})),
            ("to[]=", json!({"to": [""]})),
            ("to[x]=1", json!({"to": {"x": "1"}})),
            (
                "a=50%&b=100%+off&c=%zz&%=%4",
                json!({"a": "50%", "b": "100% off", "c": "%zz", "%": "%4"}),
            ),
            ("a=%é", json!({"a": "%é"})),
            ("\u{feff}a=1", json!({"a": "1"})),
        ];
        for (form, object) in cases {
            let fields = urlencoded(form.as_bytes()).unwrap();
            assert_eq!(Value::Object(fields), object, "{form}");
        }
    }

    #[test]
    fn forms_that_cannot_be_read() {
        for broken in ["a=%ff", "%ff=a", "a=%c3"] {
            let error = urlencoded(broken.as_bytes()).unwrap_err();
            assert!(matches!(error, ApiError::Malformed(_)), "{broken}: {error:?}");
        }
        for nested in ["to[x]=1", "to[0][1]=1", "to[=1", "to[0=1", "to[]x=1"] {
            let error = query_fields::<Sample>(Some(&format!("text=a&{nested}"))).unwrap_err();
            assert!(
                matches!(error, ApiError::Field { ref field, .. } if field == "to"),
                "{nested}"
            );
            // A field that no call reads is ignored, as everywhere.
            query_fields::<Sample>(Some(&format!("text=a&other{}", &nested[2..]))).unwrap();
        }
        let longest = urlencoded("to[]=1&".repeat(FORM_FIELDS_MAX).as_bytes()).unwrap();
        assert_eq!(longest["to"].as_array().unwrap().len(), FORM_FIELDS_MAX);
        let longer = urlencoded("to[]=1&".repeat(FORM_FIELDS_MAX + 1).as_bytes()).unwrap_err();
        let expected = format!("the form has more than {FORM_FIELDS_MAX} fields");
        assert!(matches!(&longer, ApiError::Malformed(text) if *text == expected), "{longer:?}");
    }

    #[tokio::test]
    async fn one_type_for_every_encoding() {
        let json = json!({"text": "é😀", "to": [628_123_456_789_u64], "limit": 7, "typing": true});
        let text = "text=%C3%A9%F0%9F%98%80&to[]=628123456789&limit=7&typing=1";
        let parts = [
            part("name=\"text\"", "é😀"),
            part("name=\"to[]\"", "628123456789"),
            part("name=limit", "7"),
            part("name=\"typing\"", "True"),
            "--x y--\r\n".to_owned(),
        ];
        let found = [
            read("application/json", json.to_string()).await,
            read(FORM, text).await,
            read(PARTS, parts.concat()).await,
            query_fields(Some(text)),
        ];
        for sample in found {
            let sample = sample.unwrap();
            assert_eq!(sample.text, "é😀");
            assert_eq!(sample.to.unwrap()[0].0, "628123456789");
            assert_eq!(sample.limit, Some(IntegerField(7)));
            assert_eq!(sample.typing, Some(BooleanField(true)));
        }
    }

    #[tokio::test]
    async fn bodies_that_are_refused() {
        let file = part("name=\"text\"; filename=\"a.txt\"", "x") + "--x y--\r\n";
        let no_file = part("name=\"text\"; filename=\"\"", "") + "--x y--\r\n";
        let cut_off = part("name=\"text\"", "x");
        let huge = format!("text={}", "x".repeat(JSON_BYTES_MAX));
        let cases = [
            (PARTS, file, "text: must be text; files are given as a URL"),
            (PARTS, no_file, "text: is required"),
            (PARTS, cut_off, "the multipart form cannot be read: a part is cut off"),
            (PARTS, String::new(), "text: is required"),
            ("application/json", String::new(), "text: is required"),
            ("text/plain", String::new(), "text: is required"),
            (
                "multipart/form-data",
                "x".into(),
                "the multipart form cannot be read: its content type names no boundary",
            ),
            (FORM, String::new(), "text: is required"),
            (FORM, "text=".into(), "text: is required"),
            (FORM, "text[]=1".into(), "text: must be a string"),
            (FORM, "text=1&to=2".into(), "to: must be an array"),
            (FORM, "text=1&to[]=2&limit=x".into(), "limit: must be an integer"),
            (FORM, "text=1&typing=yes".into(), "typing: must be true or false"),
            (FORM, huge, "too large"),
            ("text/plain", "text=1".into(), "wrong type"),
        ];
        for (content_type, body, expected) in cases {
            let found = match read(content_type, body).await.unwrap_err() {
                ApiError::Malformed(message) => message,
                ApiError::Field { field, message } => format!("{field}: {message}"),
                ApiError::TooLarge(_) => "too large".to_owned(),
                ApiError::WrongContentType => "wrong type".to_owned(),
                other => panic!("{other:?}"),
            };
            assert_eq!(found, expected);
        }
    }

    #[tokio::test]
    async fn a_file_input_that_was_left_empty_was_not_given() {
        for file in ["name=\"limit\"; filename=\"\"", "name=\"text\"; filename=\"\""] {
            let parts = [part("name=\"text\"", "a"), part(file, ""), "--x y--\r\n".to_owned()];
            let sample = read(PARTS, parts.concat()).await.unwrap();
            assert_eq!((sample.text.as_str(), sample.limit), ("a", None));
        }
    }

    #[tokio::test]
    async fn a_mark_before_the_body_is_skipped() {
        let parts = part("name=\"text\"", "a") + "--x y--\r\n";
        for (content_type, body) in
            [("application/json", r#"{"text":"a"}"#), (FORM, "text=a"), (PARTS, parts.as_str())]
        {
            let sample = read(content_type, format!("\u{feff}{body}")).await.unwrap();
            assert_eq!(sample.text, "a");
        }
    }

    #[tokio::test]
    async fn half_a_character_is_read_as_one_that_is_missing() {
        let sample = read("application/json", r#"{"text":"a\ud83d","limit":1}"#).await.unwrap();
        assert_eq!((sample.text.as_str(), sample.limit), ("a\u{fffd}", Some(IntegerField(1))));
        let wrong = read("application/json", r#"{"text":"a\ud83d","limit":"x"}"#).await;
        assert!(matches!(wrong, Err(ApiError::Field { field, .. }) if field == "limit"));
    }

    #[tokio::test]
    async fn query_and_body_are_one_source_and_the_body_wins() {
        let cases = [
            (Some("text=a&limit=1"), "", "", "a", Some(1)),
            (Some("text=a&limit=1"), "application/json", r#"{"text":"b"}"#, "b", Some(1)),
            (Some("text=a"), "application/json", r#"{"text":"","limit":2}"#, "a", Some(2)),
            (Some("text=a"), "application/json", r#"{"text":null}"#, "a", None),
            (Some("text=a&limit=1"), FORM, "text=b", "b", Some(1)),
            (Some("text=a&limit=1"), FORM, "\u{feff} {\"text\":\"b\"}\n", "b", Some(1)),
            (None, FORM, r#"{"text":"b=c&limit=2"}"#, "b=c&limit=2", None),
            (Some("text=a&limit=1"), FORM, "text=&limit=2", "a", Some(2)),
            (Some(""), FORM, "text=b", "b", None),
            (None, "application/json", r#"{"text":"b"}"#, "b", None),
        ];
        for (query, content_type, body, text, limit) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.parse().unwrap());
            let sample: Sample = read_fields(query, &headers, body.into()).await.unwrap();
            assert_eq!(sample.text, text, "{query:?} {body}");
            assert_eq!(sample.limit.map(|limit| limit.0), limit, "{query:?} {body}");
        }
    }
}
