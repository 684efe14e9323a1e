//! Finding in a list of which there is no index: its rows are read, the newest first, until enough match.

use domain::error::Error;
use domain::ports::{Page, PageRequest};
use maud::{Markup, html};
use serde::Deserialize;

use super::words::{Lang, words};

/// Rows that are looked at.
const LOOKED_MAX: usize = 10_000;
/// Rows that are read at once.
const READ_AT_ONCE: u32 = 100;
/// Characters that are looked for.
const FIND_CHARS_MAX: usize = 100;

words! {
    /// The texts of finding.
    FindWords
    find: "Find", "Cari";
    none: "Nothing matches.", "Tidak ada yang cocok.";
    cut: "These are the newest that match. Write more of it to find others.", "Ini yang terbaru yang cocok. Tulis lebih lengkap untuk menemukan yang lain.";
    whole: "Show all", "Tampilkan semua";
}

/// What is asked of a list: a page of it, or the rows that match a text.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct FindQuery {
    before: Option<i64>,
    find: String,
}

impl FindQuery {
    /// The text that is searched for; empty where the list is asked for.
    pub(super) fn text(&self) -> &str {
        self.find.trim()
    }

    /// Whether it is the first page of the list.
    pub(super) fn is_start(&self) -> bool {
        self.before.is_none() && self.text().is_empty()
    }

    /// The page, or the newest rows that match; at most `limit` rows.
    ///
    /// # Errors
    /// Those of reading.
    pub(super) async fn page<T, F>(
        &self,
        limit: u32,
        mut read: impl FnMut(PageRequest) -> F,
        number: impl Fn(&T) -> i64,
        is_meant: impl Fn(&T) -> bool,
    ) -> Result<Page<T>, Error>
    where
        F: Future<Output = Result<Page<T>, Error>>,
    {
        if self.text().is_empty() {
            return read(PageRequest { before: self.before, limit }).await;
        }
        found(usize::try_from(limit).unwrap_or(usize::MAX), read, number, is_meant).await
    }
}

/// The rows that match, at most `count` of them, as a page without another one behind it.
///
/// # Errors
/// Those of reading.
async fn found<T, F>(
    count: usize,
    mut read: impl FnMut(PageRequest) -> F,
    number: impl Fn(&T) -> i64,
    is_meant: impl Fn(&T) -> bool,
) -> Result<Page<T>, Error>
where
    F: Future<Output = Result<Page<T>, Error>>,
{
    let (mut items, mut before, mut looked) = (Vec::new(), None, 0);
    while looked < LOOKED_MAX && items.len() < count {
        let page = read(PageRequest { before, limit: READ_AT_ONCE }).await?;
        looked += page.items.len();
        before = page.next(&number);
        items.extend(page.items.into_iter().filter(&is_meant));
        if before.is_none() {
            break;
        }
    }
    items.truncate(count);
    Ok(Page { items, has_more: false, looked_to: None })
}

/// The field for what is looked for, and what is to be said of what was found.
pub(super) fn form(
    lang: Lang,
    (path, hint): (&str, &str),
    query: &FindQuery,
    (found, limit): (usize, u32),
) -> Markup {
    let (own, text) = (FindWords::of(lang), query.text());
    let is_cut = u32::try_from(found).is_ok_and(|found| found >= limit);
    html! {
        form.find method="get" action=(path) role="search" aria-label=(own.find) {
            label.hidden for="find" { (hint) }
            input #find name="find" type="search" value=(text) maxlength=(FIND_CHARS_MAX) placeholder=(hint);
            button.plain { (own.find) }
            @if !text.is_empty() { a href=(path) { (own.whole) } }
        }
        @if !text.is_empty() && found == 0 { p.empty { (own.none) } }
        @if !text.is_empty() && is_cut { p.quiet { (own.cut) } }
    }
}

/// Whether a text holds what is looked for.
pub(super) fn holds(text: &str, wanted: &str) -> bool {
    text.to_lowercase().contains(&wanted.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_is_read_until_enough_match() {
        let reads = std::cell::Cell::new(0);
        let read = |request: PageRequest| {
            reads.set(reads.get() + 1);
            let first = request.before.unwrap_or(1_001) - 1;
            let last = (first - i64::from(request.limit) + 1).max(1);
            let items: Vec<i64> = (last..=first).rev().collect();
            let page = Page { has_more: last > 1, items, looked_to: None };
            std::future::ready(Ok::<_, Error>(page))
        };
        for (count, of, expected, expected_reads) in [
            (3, 7, vec![994, 987, 980], 1),
            (100, 500, vec![1_000, 500], 10),
            (1, 2_000, vec![], 10),
        ] {
            reads.set(0);
            let found = found(count, read, |n: &i64| *n, |n: &i64| n % of == 0).await.unwrap();
            assert_eq!((found.items, reads.get()), (expected, expected_reads));
            assert!(!found.has_more);
        }
    }
}
