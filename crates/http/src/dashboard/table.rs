//! Tables of a page. On a narrow screen a row is a few lines, and what does not speak for itself has its
//! column's head before it.

use maud::{Markup, html};

use crate::html::scrolling;

/// A column with its head.
#[derive(Clone, Copy)]
pub(super) enum Column<'a> {
    /// What it holds is plain without the head.
    Clear(&'a str),
    /// What it holds is not: a date, a figure.
    Named(&'a str),
    /// Longer texts, which get a line of their own.
    Text(&'a str),
    /// Buttons; only screen readers need the head.
    Acts(&'a str),
}

impl Column<'_> {
    fn head(self) -> Markup {
        match self {
            Self::Clear(head) | Self::Named(head) | Self::Text(head) => html! { th { (head) } },
            Self::Acts(head) => html! { th { span.hidden { (head) } } },
        }
    }

    fn cell(self, inner: &Markup) -> Markup {
        match self {
            Self::Clear(_) => html! { td { (inner) } },
            Self::Named(head) => html! { td data-head=(head) { (inner) } },
            Self::Text(_) => html! { td.what { (inner) } },
            Self::Acts(_) => html! { td.acts { (inner) } },
        }
    }
}

/// A table; every row has a cell of each column.
pub(super) fn table(
    label: &str,
    columns: &[Column<'_>],
    rows: impl IntoIterator<Item = impl AsRef<[Markup]>>,
) -> Markup {
    let table = html! {
        table.rows {
            thead { tr { @for column in columns { (column.head()) } } }
            tbody { @for row in rows {
                tr { @for (column, cell) in columns.iter().zip(row.as_ref()) { (column.cell(cell)) } }
            } }
        }
    };
    scrolling(label, &table)
}
