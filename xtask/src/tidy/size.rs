//! Source files stay short enough to read: at most [`LINES_MAX`] lines without their tests.

use anyhow::Result;

use super::{File, Repo, stale};

const LINES_MAX: usize = 500;

struct Exception {
    path: &'static str,
    /// What it may have; lower it when the file gets shorter.
    lines_max: usize,
    #[expect(dead_code, reason = "for those who read this list")]
    reason: &'static str,
}

const EXCEPTIONS: &[Exception] = &[];

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    Ok(findings(repo, EXCEPTIONS))
}

fn findings(repo: &Repo, exceptions: &[Exception]) -> Vec<String> {
    let mut findings = Vec::new();
    let mut used = Vec::new();
    for file in repo.files.iter().filter(|file| is_source(file)) {
        let lines = lines_without_tests(&file.text);
        let exception = exceptions.iter().find(|exception| exception.path == file.path);
        let limit = exception.map_or(LINES_MAX, |exception| exception.lines_max);
        if lines > LINES_MAX {
            used.push(file.path.as_str());
        }
        if lines > limit {
            findings.push(format!("{}: {lines} lines without tests, at most {limit}", file.path));
        }
    }
    findings.extend(stale(exceptions.iter().map(|exception| exception.path), &used));
    findings
}

fn is_source(file: &File) -> bool {
    let is_of_a_crate = file.path.starts_with("crates/") || file.path.starts_with("xtask/");
    file.is_rust()
        && is_of_a_crate
        && file.path.contains("/src/")
        && !file.path.ends_with("tests.rs")
        && !file.path.contains("/tests/")
}

/// Lines up to the module of tests, which by convention ends a file.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let is_start = |pair: &[&str]| {
        pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod ") && pair[1].ends_with('{')
    };
    lines.windows(2).position(is_start).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    const ALLOWED: &[Exception] =
        &[Exception { path: "crates/a/src/long.rs", lines_max: 600, reason: "" }];

    #[test]
    fn tests_do_not_count() {
        assert_eq!(lines_without_tests("a\nb\n#[cfg(test)]\nmod tests {\n}\n"), 2);
        assert_eq!(lines_without_tests("a\n#[cfg(test)]\nmod tests;\nb\n"), 4);
    }

    #[test]
    fn long_files_are_found_unless_they_are_listed() {
        let long = "x\n".repeat(550);
        let repo = repo_of(&[("crates/a/src/lib.rs", &long), ("crates/a/src/long.rs", &long)]);
        assert_eq!(
            findings(&repo, ALLOWED),
            ["crates/a/src/lib.rs: 550 lines without tests, at most 500"]
        );
    }

    #[test]
    fn a_listed_file_that_became_short_is_found() {
        let repo = repo_of(&[("crates/a/src/long.rs", "x\n"), ("docs/long.rs", "")]);
        assert_eq!(findings(&repo, ALLOWED).len(), 1);
    }
}
