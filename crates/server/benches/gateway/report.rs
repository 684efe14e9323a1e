//! What was measured: tables that are printed as they come and written to a file at the end.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::host::Host;

/// One table, with what it says above and below.
pub struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    notes: Vec<String>,
}

impl Table {
    /// An empty one.
    pub fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        Self { title: title.into(), columns: columns.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a row: one text for each column.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(cells.len(), self.columns.len(), "{}", self.title);
        self.rows.push(cells.into());
    }

    /// Adds a line below.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// In Markdown, its columns aligned for people who read it as text.
    pub fn markdown(&self) -> String {
        let head: Vec<String> = self.columns.iter().map(|column| (*column).to_owned()).collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|at| {
                let cells = std::iter::once(&head).chain(&self.rows).map(|row| &row[at]);
                cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
            })
            .collect();
        let line = |cells: &[String]| {
            let cell = |(text, width): (&String, &usize)| {
                format!(" {text}{} |", " ".repeat(width - text.chars().count()))
            };
            format!("|{}\n", cells.iter().zip(&widths).map(cell).collect::<String>())
        };
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        let notes: String = self.notes.iter().map(|note| format!("\n{note}\n")).collect();
        format!("### {}\n\n{}{}{rows}{notes}", self.title, line(&head), line(&rule))
    }
}

impl Table {
    fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let cells = self.columns.iter().zip(row);
            cells.map(|(column, cell)| (named(column), number_or_text(cell))).collect::<Map<_, _>>()
        });
        json!({ "title": self.title, "rows": rows.collect::<Vec<_>>(), "notes": self.notes })
    }
}

/// The first column of most tables has no name.
fn named(column: &str) -> String {
    if column.is_empty() { "what".to_owned() } else { column.to_owned() }
}

fn number_or_text(cell: &str) -> Value {
    cell.parse::<f64>().map_or_else(|_| cell.into(), Into::into)
}

/// What a part came to: its tables, or why it failed.
pub type Outcome = Result<Vec<Table>, String>;

/// A part that was measured, or was to be.
pub struct Measured {
    /// Its name.
    pub name: &'static str,
    /// What it came to.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// Everything as one page.
pub fn page(command: &str, host: &Host, parts: &[Measured]) -> String {
    let Host { at, commit, machine } = host;
    let took: Vec<String> =
        parts.iter().map(|part| format!("{} {} s", part.name, part.took.as_secs())).collect();
    let all: Duration = parts.iter().map(|part| part.took).sum();
    let mut page = format!(
        "# Benchmarks\n\nWritten by `{command}` on {at}, commit {commit}, {machine}.\n\n\
         Absolute figures drift between machines and hours: what counts are the ratios, each measured \
         beside its reference in the same run, in turns, medians of the rounds. The load generator shares \
         the cores with what it measures. The same as JSON: [benchmarks.json](benchmarks.json). It took {} \
         minutes without the builds: {}.\n",
        all.as_secs().div_ceil(60),
        took.join(", "),
    );
    for Measured { name, outcome, .. } in parts {
        match outcome {
            Ok(tables) => tables.iter().for_each(|table| {
                page.push('\n');
                page.push_str(&table.markdown());
            }),
            Err(why) => page.push_str(&format!("\n### {name}\n\nNot measured: {why}\n")),
        }
    }
    page
}

/// Everything as JSON: each row an object of its columns.
pub fn json(command: &str, host: &Host, parts: &[Measured]) -> String {
    let part = |Measured { name, outcome, took }: &Measured| {
        let seconds = took.as_secs();
        match outcome {
            Ok(tables) => {
                let tables = tables.iter().map(Table::json).collect::<Vec<_>>();
                json!({ "part": name, "seconds": seconds, "tables": tables })
            }
            Err(why) => json!({ "part": name, "seconds": seconds, "not_measured": why }),
        }
    };
    let all = json!({
        "command": command,
        "at": host.at,
        "commit": host.commit,
        "machine": host.machine,
        "parts": parts.iter().map(part).collect::<Vec<_>>(),
    });
    format!("{all:#}\n")
}

/// Writes the page.
pub fn write(path: &Path, page: &str) {
    match std::fs::write(path, page) {
        Ok(()) => println!("\nwritten: {}", path.display()),
        Err(error) => println!("\n{} cannot be written: {error}", path.display()),
    }
}
