//! The guides of `docs/` as HTML: as much of Markdown as they use. Paragraphs, lists, tables and
//! fenced code; what a block goes on with is indented or not, but not blank.

use std::fmt::Write as _;

use super::html::{escape, inline};

/// A part of a guide under one heading.
pub(super) struct Section<'a> {
    /// The heading's text.
    pub title: &'a str,
    /// What is below it.
    pub html: String,
}

/// What is below the title, and the sections that follow it.
pub(super) fn sections(guide: &str) -> (String, Vec<Section<'_>>) {
    let mut parts = guide.split("\n## ");
    let first = parts.next().unwrap_or_default();
    let intro = first.split_once('\n').map_or("", |(_title, intro)| intro);
    let section = |part| {
        let (title, text) = str::split_once(part, '\n').unwrap_or((part, ""));
        Section { title, html: blocks(text) }
    };
    (blocks(intro), parts.map(section).collect())
}

fn blocks(text: &str) -> String {
    let mut html = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let mut block = vec![line];
        if line.starts_with("```") {
            block = lines.by_ref().take_while(|line| !line.starts_with("```")).collect();
            let _ = writeln!(html, "<pre><code>{}</code></pre>", escape(&block.join("\n")));
            continue;
        }
        while let Some(more) = lines.next_if(|line| !line.is_empty()) {
            block.push(more);
        }
        html.push_str(&match line {
            _ if line.starts_with('|') => table(&block),
            _ if line.starts_with("- ") => list("ul", &block),
            _ if line.starts_with("1. ") => list("ol", &block),
            _ => format!("<p>{}</p>\n", inline(&block.join(" "))),
        });
    }
    html
}

fn list(tag: &str, lines: &[&str]) -> String {
    let mut items: Vec<String> = Vec::new();
    for line in lines {
        match (item(line), items.last_mut()) {
            (None, Some(last)) => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            (text, _) => items.push(text.unwrap_or(line).to_owned()),
        }
    }
    let items: String = items.iter().map(|item| format!("<li>{}</li>\n", inline(item))).collect();
    format!("<{tag}>\n{items}</{tag}>\n")
}

/// What is behind `- ` or `1. `.
fn item(line: &str) -> Option<&str> {
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.strip_prefix("- ").or_else(|| digits.strip_prefix(". ").filter(|_| digits != line))
}

/// The second line of a table only divides.
fn table(lines: &[&str]) -> String {
    let row = |line: &&str, tag: &str| {
        let cells = line.trim_matches('|').split('|');
        let cells: String =
            cells.map(|cell| format!("<{tag}>{}</{tag}>", inline(cell.trim()))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let head: String = lines.iter().take(1).map(|line| row(line, "th")).collect();
    let body: String = lines.iter().skip(2).map(|line| row(line, "td")).collect();
    format!("<div class=\"wide\"><table>\n{head}{body}</table></div>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_becomes_sections() {
        let text = "# t\n\nOne\nparagraph.\n\n## First\n\n1. a `b`\n   c\n2. d\n\n- e\n\n## Second\n\n\
                    | h | i |\n|---|---|\n| `j` | k |\n| | l |\n\n```sh\na <b>\n\nc\n```\n";
        let (intro, sections) = sections(text);
        assert_eq!(intro, "<p>One paragraph.</p>\n");
        let titles: Vec<_> = sections.iter().map(|section| section.title).collect();
        assert_eq!(titles, ["First", "Second"]);
        let first =
            "<ol>\n<li>a <code>b</code> c</li>\n<li>d</li>\n</ol>\n<ul>\n<li>e</li>\n</ul>\n";
        assert_eq!(sections[0].html, first);
        let second = "<div class=\"wide\"><table>\n<tr><th>h</th><th>i</th></tr>\n\
                      <tr><td><code>j</code></td><td>k</td></tr>\n<tr><td></td><td>l</td></tr>\n\
                      </table></div>\n<pre><code>a &lt;b&gt;\n\nc</code></pre>\n";
        assert_eq!(sections[1].html, second);
    }
}
