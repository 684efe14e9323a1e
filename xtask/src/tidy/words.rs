//! The field's own words: a list of old ones stays out of identifiers, comments, texts and docs.
//!
//! Fixtures and snapshots are wire formats and keep the words of the services they come from.

use std::collections::BTreeMap;
use std::iter::repeat_n;

use anyhow::Result;

use super::{Repo, stale};

/// What is not written, and what to write instead. `_` stands for a space as well.
const OLD: &[(&str, &str)] = &[
    ("be_had", "fetched, obtained"),
    ("given_up", "failed"),
    ("handed_over", "submitted"),
    ("made_ready", "prepared"),
    ("passed_over", "skipped"),
    ("passes_over", "skips"),
    ("so_many_of", "a limit by its name"),
    ("taken_back", "withdrawn"),
    ("tell", "emit, render, notify, report, document"),
    ("telling", "emitting, rendering, notifying, reporting"),
    ("tells", "emits, renders, notifies, reports, documents"),
    ("time_ran_out", "expired"),
    ("told", "emitted, rendered, notified, reported, documented"),
    ("what_there_is_little_of", "scarce resources"),
    ("whoever", "the caller by its name"),
];

/// How many an area may still have. A number only goes down; an area that is not listed has none.
const ALLOWED: &[(&str, usize)] = &[("engine", 2)];

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    Ok(findings(repo, ALLOWED))
}

fn findings(repo: &Repo, allowed: &[(&str, usize)]) -> Vec<String> {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for file in repo.files.iter().filter(|file| is_checked(&file.path)) {
        let of_area = found.entry(area(&file.path)).or_default();
        for (number, line) in file.lines() {
            let words = words(line);
            let old = OLD.iter().flat_map(|entry| repeat_n(entry, hits(&words, entry.0)));
            of_area.extend(
                old.map(|(word, new)| format!("{}:{number}: {word}: write {new}", file.path)),
            );
        }
    }
    let limit = |area: &str| allowed.iter().find(|(of, _)| *of == area).map_or(0, |(_, max)| *max);
    let used: Vec<&str> =
        found.iter().filter(|(_, hits)| !hits.is_empty()).map(|(area, _)| *area).collect();
    let over = found.into_iter().filter(|(area, hits)| hits.len() > limit(area));
    let mut findings: Vec<String> = over.flat_map(|(_, hits)| hits).collect();
    findings.extend(stale(allowed.iter().map(|(area, _)| *area), &used));
    findings
}

fn is_checked(path: &str) -> bool {
    let is_kind = [".rs", ".md", ".sql", ".toml", ".yaml"].iter().any(|end| path.ends_with(end));
    is_kind && !path.ends_with("tidy/words.rs")
}

/// A crate's name, `xtask`, or where documents are.
fn area(path: &str) -> &str {
    let rest = path.strip_prefix("crates/").unwrap_or(path);
    match rest.split_once('/') {
        Some((area, _)) => area,
        None => "root",
    }
}

/// How often `old` stands among the words of a line.
fn hits(words: &[String], old: &str) -> usize {
    let length = old.split('_').count();
    words.windows(length).filter(|window| window.iter().eq(old.split('_'))).count()
}

/// The words of a line in lower case: between spaces or `_`, or in a `CamelCase` name.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in line.chars() {
        let is_start = c.is_uppercase() && was_lower;
        if (is_start || !c.is_alphabetic()) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphabetic()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    #[test]
    fn words_are_found_in_texts_and_names() {
        let line = "who is_told what_there_is_little_of, TimeRanOut; retold, storytellers";
        let found = |old| hits(&words(line), old);
        assert_eq!(found("told"), 1);
        assert_eq!(found("tell"), 0);
        assert_eq!(found("time_ran_out"), 1);
        assert_eq!(found("what_there_is_little_of"), 1);
    }

    #[test]
    fn the_allowed_number_only_goes_down() {
        let repo = repo_of(&[("crates/a/src/lib.rs", "// told\n"), ("docs/b.md", "Whoever.\n")]);
        let of = |allowed: &[(&str, usize)]| findings(&repo, allowed);
        assert!(of(&[("a", 1), ("docs", 1)]).is_empty());
        let emitted = "emitted, rendered, notified, reported, documented";
        assert_eq!(of(&[("docs", 1)]), [format!("crates/a/src/lib.rs:1: told: write {emitted}")]);
        let swept = [("a", 1), ("b", 1), ("docs", 1)];
        assert_eq!(of(&swept), ["b: the exception is no longer needed, take it off the list"]);
    }
}
