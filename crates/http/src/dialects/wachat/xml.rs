//! The same answers as XML, for those who accept `text/xml` or `application/xml`: the root is
//! `<response>`, the entries of a list are `<item>`, null is an empty element.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use serde_json::Value;

/// Whether the client wants XML.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut types = accept.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
    // What is named first is wanted most; browsers, who accept all, name HTML first.
    types.next().is_some_and(|kind| matches!(kind, "text/xml" | "application/xml"))
}

/// A value as a document.
pub(super) fn document(value: &Value) -> String {
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    element(&mut text, "response", value);
    text
}

fn element(text: &mut String, name: &str, value: &Value) {
    text.push('<');
    text.push_str(name);
    text.push('>');
    match value {
        Value::Null => {}
        Value::Bool(flag) => text.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number.to_string()),
        Value::String(content) => escape(text, content),
        Value::Array(items) => items.iter().for_each(|item| element(text, "item", item)),
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| element(text, name, value));
        }
    }
    text.push_str("</");
    text.push_str(name);
    text.push('>');
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
            c if c.is_ascii_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                text.push('\u{fffd}')
            }
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_has_its_element() {
        let value = json!({"error": false, "n": 7, "none": null, "list": ["a<b", {"x": "&\u{1}"}]});
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response><error>false</error>\
            <list><item>a&lt;b</item><item><x>&amp;\u{fffd}</x></item></list><n>7</n><none></none>\
            </response>";
        let expected_in_order = expected.len();
        let written = document(&value);
        assert_eq!(written.len(), expected_in_order, "{written}");
        for part in ["<error>false</error>", "<item>a&lt;b</item>", "<none></none>", "<n>7</n>"] {
            assert!(written.contains(part), "{written}");
        }
    }

    #[test]
    fn what_is_named_first_counts() {
        let cases = [
            ("text/xml", true),
            ("application/xml; q=0.9, */*", true),
            ("application/json, text/xml", false),
            ("text/html,application/xhtml+xml,application/xml;q=0.9", false),
            ("*/*", false),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(is_wanted(&headers), expected, "{accept}");
        }
    }
}
