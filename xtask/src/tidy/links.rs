//! Links between Markdown files lead somewhere: the file exists, and so does the heading.

use std::path::{Component, Path, PathBuf};

use anyhow::Result;

use super::{File, Repo};

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in repo.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (number, target) in links(file) {
            if let Some(problem) = problem_with(repo, file, &target) {
                findings.push(format!("{}:{number}: {target}: {problem}", file.path));
            }
        }
    }
    Ok(findings)
}

fn problem_with(repo: &Repo, from: &File, target: &str) -> Option<&'static str> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = match path {
        "" => from.path.clone(),
        path => {
            let base = Path::new(&from.path).parent()?;
            normalise(&base.join(path)).to_string_lossy().into_owned()
        }
    };
    let page = repo.files.iter().find(|file| file.path == path);
    if page.is_none() && !repo.root.join(&path).exists() {
        return Some("no such file");
    }
    let has_heading = |page: &File| headings(page).iter().any(|slug| slug == heading);
    let is_missing = !heading.is_empty() && path.ends_with(".md") && !page.is_some_and(has_heading);
    is_missing.then_some("no such heading")
}

/// The targets of `[text](target)` outside code, with their lines.
fn links(file: &File) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(file) {
        let line = without_code(line);
        for (at, _) in line.match_indices("](") {
            let rest = &line[at + 2..];
            if let Some(end) = rest.find(')') {
                let target = rest[..end].split_whitespace().next().unwrap_or_default();
                links.push((number, target.to_owned()));
            }
        }
    }
    links
}

/// Headings as the anchors that code hosts make of them.
fn headings(file: &File) -> Vec<String> {
    let slug = |heading: &str| {
        let kept = heading.trim().to_lowercase().replace(' ', "-");
        kept.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
    };
    prose(file)
        .filter(|(_, line)| line.starts_with('#'))
        .map(|(_, line)| slug(line.trim_start_matches('#')))
        .collect()
}

/// The lines outside fenced code.
fn prose(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    file.lines().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    #[test]
    fn links_to_nowhere_are_found() {
        let page = "# One page\n[a](other.md) [b](../README.md#two-words) [c](https://x.example)\n\
                    [d](gone.md) [e](#nothing) [f](#one-page)\n```\n[g](gone.md)\n```\n`[h](gone.md)`\n";
        let repo = repo_of(&[
            ("docs/page.md", page),
            ("docs/other.md", ""),
            ("README.md", "## Two words!\n"),
        ]);
        assert_eq!(
            check(&repo).unwrap(),
            ["docs/page.md:3: gone.md: no such file", "docs/page.md:3: #nothing: no such heading"]
        );
    }
}
