//! Text as HTML.

use std::fmt::Write as _;

/// Text, harmless.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Text with Markdown's marks inside a line: code between backticks, `**bold**` and links.
pub(super) fn inline(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            let _ = write!(html, "<code>{}</code>", escape(part));
        } else {
            html.push_str(&links(part));
        }
    }
    html
}

/// Links that lead somewhere on this server or the web; of those to files only the words stay.
fn links(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, words, target, after)) = link(rest) {
        html.push_str(&bold(before));
        let words = escape(words);
        if ["https://", "http://", "/", "#"].iter().any(|start| target.starts_with(start)) {
            let _ = write!(html, "<a href=\"{}\">{words}</a>", escape(target));
        } else {
            html.push_str(&words);
        }
        rest = after;
    }
    html.push_str(&bold(rest));
    html
}

/// Splits at the first `[words](target)`.
fn link(text: &str) -> Option<(&str, &str, &str, &str)> {
    let (words_and_before, rest) = text.split_once("](")?;
    let (before, words) = words_and_before.rsplit_once('[')?;
    let (target, after) = rest.split_once(')')?;
    Some((before, words, target, after))
}

fn bold(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for (index, part) in text.split("**").enumerate() {
        let part = escape(part);
        if index % 2 == 1 {
            let _ = write!(html, "<b>{part}</b>");
        } else {
            html.push_str(&part);
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_html_and_all_else_is_escaped() {
        for (text, html) in [
            ("a <b> & \"c\"", "a &lt;b&gt; &amp; &quot;c&quot;"),
            ("`a <b>` **c**", "<code>a &lt;b&gt;</code> <b>c</b>"),
            ("see [a](/b?c&d), [e](f.md)", "see <a href=\"/b?c&amp;d\">a</a>, e"),
            ("[x](javascript:alert(1))", "x)"),
            ("`a[0](b)` [1] (2)", "<code>a[0](b)</code> [1] (2)"),
        ] {
            assert_eq!(inline(text), html, "{text}");
        }
    }
}
