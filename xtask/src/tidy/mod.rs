//! `cargo xtask tidy`: what no compiler checks. One file per check.
//!
//! Exceptions are listed beside each check with the reason, and an exception that is no longer
//! needed is itself a finding: the lists can only get shorter.

mod crates;
mod links;
mod migrations;
mod references;
mod registries;
mod size;
mod sleep;
mod tenants;
mod unfinished;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell;
pub use crates::members;

/// A text file of the repository.
struct File {
    /// From the root, with `/`.
    path: String,
    text: String,
}

impl File {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Lines with their numbers, as they are quoted in findings.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Every text file git knows or would add.
struct Repo {
    root: PathBuf,
    files: Vec<File>,
}

type Check = fn(&Repo) -> Result<Vec<String>>;

const CHECKS: [(&str, Check); 10] = [
    ("crates depend on each other as ARCHITECTURE.md says", crates::check),
    ("links in Markdown lead somewhere", links::check),
    ("every migration exists for both databases", migrations::check),
    ("what documents and comments name exists", references::check),
    ("no registry is named", registries::check),
    ("source files are short", size::check),
    ("only listed files sleep", sleep::check),
    ("unique keys of customers' tables begin with account_id", tenants::check),
    ("nothing is left to do later", unfinished::check),
    ("old words stay out", words::check),
];

/// Runs every check and lists all findings.
pub fn run(root: &Path) -> Result<()> {
    let repo = read(root)?;
    let mut count = 0;
    for (promise, check) in CHECKS {
        let findings = check(&repo).with_context(|| promise.to_owned())?;
        println!("{} {promise}", if findings.is_empty() { "ok  " } else { "FAIL" });
        findings.iter().for_each(|finding| println!("     {finding}"));
        count += findings.len();
    }
    if count > 0 {
        bail!("tidy: {count} findings");
    }
    Ok(())
}

fn read(root: &Path) -> Result<Repo> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = shell::output(&mut git)?;
    let files = names.split('\0').filter(|name| !name.is_empty()).filter_map(|name| {
        // Binary files and those deleted but not yet committed have no text.
        let text = std::fs::read_to_string(root.join(name)).ok()?;
        Some(File { path: name.to_owned(), text })
    });
    Ok(Repo { root: root.to_owned(), files: files.collect() })
}

/// Exceptions that no file needs any more.
fn stale<'a>(listed: impl Iterator<Item = &'a str>, used: &[&str]) -> Vec<String> {
    listed
        .filter(|path| !used.contains(path))
        .map(|path| format!("{path}: the exception is no longer needed, take it off the list"))
        .collect()
}

#[cfg(test)]
fn repo_of(files: &[(&str, &str)]) -> Repo {
    let files = files
        .iter()
        .map(|(path, text)| File { path: path.to_string(), text: text.to_string() })
        .collect();
    Repo { root: PathBuf::from("/nonexistent"), files }
}
