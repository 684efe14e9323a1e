//! Files, folders and items that documents and comments name exist. In documents, so do identifiers
//! in backticks.

use std::collections::{HashMap, HashSet};

use anyhow::Result;

use super::{File, Repo, stale};

/// Names without a file in this repository, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("dialects/NAME/fixtures/", "stands for the fixtures of every dialect"),
    ("docs/dialects/acme.md", "the example of docs/add-a-dialect.md"),
    ("manifest.json", "a part of every backup"),
    ("gerbang-demo/", "the data of `cargo demo`, where it is started"),
    ("gerbang.toml", "the operator's settings"),
];
/// The list above is no proof that something exists.
const OWN_PATH: &str = "xtask/src/tidy/references.rs";
/// Files with these endings are ours when a text names them.
const ENDINGS: [&str; 9] = [".rs", ".md", ".toml", ".sql", ".mjs", ".js", ".py", ".yaml", ".json"];
/// What may stand before the name of an item.
const KEYWORDS: [&str; 8] = ["fn", "struct", "enum", "trait", "type", "mod", "const", "static"];

pub(super) fn check(repo: &Repo) -> Result<Vec<String>> {
    Ok(findings(repo, EXCEPTIONS))
}

fn findings(repo: &Repo, exceptions: &[(&str, &str)]) -> Vec<String> {
    let known = Known::of(repo);
    let mut findings = Vec::new();
    let mut used = Vec::new();
    for file in &repo.files {
        for (number, name) in names(file).filter(|(_, name)| !known.holds(name)) {
            match exceptions.iter().find(|(listed, _)| *listed == name) {
                Some((listed, _)) => used.push(*listed),
                None => findings.push(format!("{}:{number}: {name} does not exist", file.path)),
            }
        }
    }
    findings.extend(stale(exceptions.iter().map(|(name, _)| *name), &used));
    findings
}

/// What documents and comments may name.
struct Known<'a> {
    /// Each with a `/` before it.
    paths: Vec<String>,
    /// Modules and items of each crate, by the name of its folder.
    items: HashMap<&'a str, HashSet<&'a str>>,
    /// Every word outside documents.
    words: HashSet<&'a str>,
}

impl<'a> Known<'a> {
    fn of(repo: &'a Repo) -> Self {
        let mut items: HashMap<&str, HashSet<&str>> = HashMap::new();
        for file in repo.files.iter().filter(|file| file.is_rust()) {
            let mut parts = file.path.split('/');
            let top = parts.next().unwrap_or_default();
            let name = if top == "crates" { parts.next().unwrap_or_default() } else { top };
            let of_crate = items.entry(name).or_default();
            of_crate.extend(parts.map(|part| part.trim_end_matches(".rs")));
            of_crate.extend(defined(&file.text));
        }
        let paths = repo.files.iter().map(|file| format!("/{}", file.path)).collect();
        let is_source = |path: &str| !path.ends_with(".md") && !path.ends_with(OWN_PATH);
        let texts = repo.files.iter().filter(|file| is_source(&file.path));
        let words = texts.flat_map(|file| file.text.split(|c| !is_word(c))).collect();
        Self { paths, items, words }
    }

    fn holds(&self, name: &str) -> bool {
        if is_identifier(name) {
            return self.words.contains(name);
        }
        let Some((first, rest)) = name.split_once("::") else { return self.has_path(name) };
        let has_rest = |items: &HashSet<&str>| rest.split("::").all(|part| items.contains(part));
        match self.items.get(first) {
            Some(of_crate) => has_rest(of_crate),
            None => self.items.values().any(|items| items.contains(first) && has_rest(items)),
        }
    }

    /// Whether a path is one of ours, from the root or from any folder.
    fn has_path(&self, name: &str) -> bool {
        let name = name.trim_start_matches("./").trim_start_matches("../");
        let (is_folder, name) = (name.ends_with('/'), format!("/{name}"));
        let is_it = |path: &String| match is_folder {
            true => path.contains(&name),
            false => path.ends_with(&name),
        };
        self.paths.iter().any(is_it)
    }
}

/// Items, fields and variants: the names after a keyword, before a colon, or first on a line.
fn defined(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let words = || line.split(|c| !is_word(c)).filter(|word| !word.is_empty());
        let items = words().zip(words().skip(1)).filter(|(word, _)| KEYWORDS.contains(word));
        let variant = words().next().filter(|word| word.starts_with(char::is_uppercase));
        let field = line.split_once(": ").and_then(|(before, _)| before.rsplit(' ').next());
        items.map(|(_, name)| name).chain(variant).chain(field)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What a text names, with its lines: in Markdown outside fenced code, elsewhere in comments.
fn names(file: &File) -> impl Iterator<Item = (usize, &str)> {
    let is_text = file.path.ends_with(".md");
    // It also names what existed once.
    let is_log = file.path.ends_with("CHANGELOG.md");
    let mut is_fenced = false;
    let lines = file.lines().map(|(number, line)| (number, line.trim_start()));
    let read = lines.filter(move |(_, line)| {
        is_fenced ^= is_text && line.starts_with("```");
        if is_text { !is_fenced } else { is_comment(&file.path, line) }
    });
    let is_checked = move |name: &&str| is_text && !is_log || !is_identifier(name);
    read.flat_map(move |(number, line)| {
        names_in(line).filter(is_checked).map(move |name| (number, name))
    })
}

fn is_comment(path: &str, line: &str) -> bool {
    let ends = |endings: &[&str]| endings.iter().any(|end| path.ends_with(end));
    (ends(&[".rs", ".js", ".mjs", ".go"]) && line.starts_with("//"))
        || (ends(&[".toml", ".yaml", ".sh", ".py", ".rb", "Dockerfile"]) && line.starts_with('#'))
        || (ends(&[".sql"]) && line.starts_with("--"))
}

/// Words that are a file's path, a folder's path in backticks, or a path to an item of a crate.
fn names_in(line: &str) -> impl Iterator<Item = &str> {
    let plain = line.split(|c| !is_part(c)).map(|word| word.trim_end_matches([':', '.']));
    let quoted = line.split('`').skip(1).step_by(2);
    plain
        .filter(is_file)
        .chain(quoted.filter(|word| is_folder(word) || is_item(word) || is_identifier(word)))
}

fn is_part(c: char) -> bool {
    is_word(c) || "-./:".contains(c)
}

fn is_file(word: &&str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    !word.contains("//")
        && !word.starts_with(['/', '.', ':'])
        && ENDINGS.iter().any(|end| name.len() > end.len() && name.ends_with(end))
}

fn is_folder(word: &str) -> bool {
    word.ends_with('/') && !word.starts_with('/') && word.len() > 1 && word.chars().all(is_part)
}

/// `snake_case` or `CamelCase`; plain words in backticks are values and fields.
fn is_identifier(word: &str) -> bool {
    let starts_upper = word.starts_with(|c: char| c.is_ascii_uppercase());
    let has_lower = word.contains(|c: char| c.is_ascii_lowercase());
    word.chars().all(is_word) && (word.contains('_') || starts_upper && has_lower)
}

fn is_item(word: &str) -> bool {
    let segments: Vec<&str> = word.split("::").collect();
    let is_ours = CRATES.contains(&segments[0]) || segments[0].starts_with(char::is_uppercase);
    segments.len() > 1 && is_ours && segments.iter().all(|part| part.chars().all(is_word))
}

/// The crates whose items a text may name by path.
const CRATES: [&str; 10] = [
    "blobs",
    "domain",
    "engine",
    "http",
    "media",
    "outbound",
    "server",
    "simulator",
    "store",
    "whatsapp",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::repo_of;

    #[test]
    fn what_does_not_exist_is_found() {
        let page = "See `lib.rs`, `src/`, `domain::send`, `a_word`, docs/a.md.\n\
                    `gone.rs` and docs/gone.md.\n`gone/` `domain::gone` `GoneType`\n```\n`gone.rs`\n```\n";
        let code = "//! As `gone.sql` has it; not `a_gone_word`.\nlet x = \"gone.rs\";\npub fn send() {} // a_word\n";
        let repo = repo_of(&[("docs/a.md", page), ("crates/domain/src/lib.rs", code)]);
        let expected = [
            "docs/a.md:2: gone.rs does not exist",
            "docs/a.md:2: docs/gone.md does not exist",
            "docs/a.md:3: gone/ does not exist",
            "docs/a.md:3: domain::gone does not exist",
            "docs/a.md:3: GoneType does not exist",
            "crates/domain/src/lib.rs:1: gone.sql does not exist",
        ];
        assert_eq!(findings(&repo, &[]), expected);
    }

    #[test]
    fn an_exception_is_used_or_removed() {
        let repo = repo_of(&[("a.md", "`example.rs`")]);
        let exceptions = [("example.rs", "an example"), ("other.rs", "not there any more")];
        assert_eq!(
            findings(&repo, &exceptions),
            ["other.rs: the exception is no longer needed, take it off the list"]
        );
    }
}
