//! The guides of `docs/`, cut into the sections of a page.

use maud::Markup;

use crate::html::markdown;

/// A part of a guide under one heading.
pub(super) struct Section<'a> {
    /// The heading's text.
    pub title: &'a str,
    /// What is below it.
    pub html: Markup,
}

/// What is below the title, and the sections that follow it.
pub(super) fn sections(guide: &str) -> (Markup, Vec<Section<'_>>) {
    let mut parts = guide.split("\n## ");
    let first = parts.next().unwrap_or_default();
    let intro = first.split_once('\n').map_or("", |(_title, intro)| intro);
    let section = |part| {
        let (title, text) = str::split_once(part, '\n').unwrap_or((part, ""));
        Section { title, html: markdown(text) }
    };
    (markdown(intro), parts.map(section).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guide_becomes_sections() {
        let text = "# t\n\nOne\nparagraph.\n\n## First\n\n- e\n\n## Second\n\nText\n";
        let (intro, sections) = sections(text);
        assert_eq!(intro.into_string(), "<p>One\nparagraph.</p>\n");
        let titles: Vec<_> = sections.iter().map(|section| section.title).collect();
        assert_eq!(titles, ["First", "Second"]);
        assert_eq!(sections[0].html.0, "<ul>\n<li>e</li>\n</ul>\n");
    }
}
