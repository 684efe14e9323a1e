//! Nothing is left to do later, and no warning is silenced without a reason.

use anyhow::Result;

use super::Repo;

/// Written in two parts, so that this file does not find itself.
const UNFINISHED: [[&str; 2]; 5] =
    [["TO", "DO"], ["FIX", "ME"], ["todo", "!("], ["unimplemented", "!("], ["dbg", "!("]];
const SILENCED: [[&str; 2]; 2] = [["#[al", "low("], ["#![al", "low("]];

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let is_checked = |path: &str| {
        [".rs", ".md", ".toml", ".sql", ".js", ".mjs", ".css", ".html", ".yaml", ".service"]
            .iter()
            .any(|end| path.ends_with(end))
    };
    for file in repo.files.iter().filter(|file| is_checked(&file.path)) {
        for (number, line) in file.lines() {
            for word in UNFINISHED.map(|parts| parts.concat()) {
                if holds_word(line, &word) {
                    findings.push(format!("{}:{number}: {word}", file.path));
                }
            }
            let is_silenced = SILENCED.iter().any(|parts| line.contains(&parts.concat()));
            if file.is_rust() && is_silenced && !has_reason(&file.text, number) {
                findings.push(format!("{}:{number}: a warning silenced without reason", file.path));
            }
        }
    }
    Ok(findings)
}

/// `word` as a word of its own, not as a part of one (such as the Spanish for "all").
fn holds_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !is_part(before) && (word.ends_with('(') || !is_part(after))
    })
}

/// Whether the attribute that starts on this line names a reason before it ends.
fn has_reason(text: &str, number: usize) -> bool {
    text.lines()
        .skip(number - 1)
        .take(6)
        .scan(false, |ended, line| {
            (!*ended).then(|| {
                *ended = line.trim_end().ends_with(']');
                line
            })
        })
        .any(|line| line.contains("reason ="))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    #[test]
    fn words_are_found_as_words() {
        let word = UNFINISHED[0].concat();
        assert!(holds_word(&format!("// {word}: later"), &word));
        assert!(!holds_word(&format!("ME{word}S"), &word));
        let call = UNFINISHED[2].concat();
        assert!(holds_word(&format!("    {call})"), &call));
    }

    #[test]
    fn a_silenced_warning_needs_a_reason() {
        let allow = SILENCED[0].concat();
        let bare = format!("{allow}dead_code)]\nfn f() {{}}\n");
        let long = format!("{allow}\n    dead_code,\n    reason = \"shared\"\n)]\nfn f() {{}}\n");
        let later = format!("{allow}dead_code)]\n// reason = none\n");
        let repo = repo_of(&[("a.rs", &bare), ("b.rs", &long), ("c.rs", &later)]);
        let findings = check(&repo).unwrap();
        assert_eq!(findings.len(), 2, "{findings:?}");
    }
}
