//! `cargo xtask new-dialect NAME`: a copy of the smallest dialect under another name and at paths of
//! its own, registered, passing every test, and ready to be changed.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::shell;

/// Where the dialects are, from the root.
const DIALECTS: &str = "crates/http/src/dialects";
/// Where their guides are.
const GUIDES: &str = "docs/dialects";
/// The one that is copied.
const MODEL: &str = "mpwa";
/// What a path follows in code, fixtures and prose.
const BEFORE_PATHS: [&str; 4] = ["\"/", "`/", "GET /", "POST /"];
/// Paths that stay where they are: those of our own API.
const OURS: &str = "v1/";

/// Makes the dialect `name`.
pub fn run(root: &Path, name: &str) -> Result<()> {
    let dialects = root.join(DIALECTS);
    let target = dialects.join(name);
    ensure!(is_good(name), "a name is lower-case letters and digits, and starts with a letter");
    ensure!(!target.exists(), "{DIALECTS}/{name} is there already");
    let list = dialects.join("mod.rs");
    let registered = register(&std::fs::read_to_string(&list)?, name)?;
    copy(&dialects.join(MODEL), &target, name)?;
    let guide = std::fs::read_to_string(root.join(GUIDES).join(MODEL).with_extension("md"))?;
    std::fs::write(root.join(GUIDES).join(format!("{name}.md")), rename(&guide, name))?;
    std::fs::write(list, registered)?;
    // A name of another length wraps lines at other places.
    let mut rustfmt = Command::new("rustfmt");
    shell::run(rustfmt.args(["--edition", "2024"]).arg(target.join("mod.rs")).current_dir(root))?;
    println!(
        "{DIALECTS}/{name} speaks like {MODEL} at /{name}/…; docs/add-a-dialect.md describes the next steps"
    );
    Ok(())
}

fn is_good(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

/// The list with one more line, in order. The last dialect stays the last.
fn register(list: &str, name: &str) -> Result<String> {
    let new = format!("pub mod {name};");
    let mut lines: Vec<&str> = list.lines().collect();
    let is_after = |line: &&str| line.starts_with("pub mod ") && **line > *new;
    let is_last = |line: &&str| line.starts_with("// The last one");
    let at = lines.iter().position(|line| is_after(line) || is_last(line));
    let mut at = at.with_context(|| format!("{DIALECTS}/mod.rs has no list of dialects"))?;
    // The blank line before the last one.
    if at > 0 && is_last(&lines[at]) && lines[at - 1].is_empty() {
        at -= 1;
    }
    lines.insert(at, &new);
    Ok(lines.join("\n") + "\n")
}

fn copy(from: &Path, to: &Path, name: &str) -> Result<()> {
    std::fs::create_dir(to).with_context(|| format!("cannot make {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("no {}", from.display()))? {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            copy(&entry, &target, name)?;
            continue;
        }
        let mut text = rename(&std::fs::read_to_string(&entry)?, name);
        if target.ends_with(Path::new(name).join("mod.rs")) {
            text = own(&text, name)?;
        }
        std::fs::write(target, text)?;
    }
    Ok(())
}

/// The text with the new name and with every path below `/NAME`.
fn rename(text: &str, name: &str) -> String {
    let title = name[..1].to_uppercase() + &name[1..];
    let model_title = MODEL[..1].to_uppercase() + &MODEL[1..];
    let mut text = text.replace(MODEL, name).replace(&model_title, &title);
    for before in BEFORE_PATHS {
        let mut parts = text.split(before);
        let mut moved = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            moved.push_str(before);
            if !part.starts_with(OURS) {
                moved.push_str(name);
                moved.push('/');
            }
            moved.push_str(part);
        }
        text = moved;
    }
    text
}

/// The new dialect owns the unknown paths below its own.
fn own(text: &str, name: &str) -> Result<String> {
    let Some((before, rest)) = text.split_once("\nfn owns(") else {
        bail!("{MODEL}/mod.rs has no `fn owns`");
    };
    let (_, after) = rest.split_once("\n}\n").context("`fn owns` does not end")?;
    let kept: Vec<&str> = before.lines().collect();
    let comment = kept.iter().rev().take_while(|line| line.starts_with("///")).count();
    let kept = kept[..kept.len() - comment].join("\n");
    Ok(format!(
        "{kept}\n/// Everything below `/{name}`.\n\
         fn owns(path: PathSegments<'_>) -> bool {{\n    path.get(0) == \"{name}\"\n}}\n{after}"
    ))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const LIST: &str = "//! A list.\n\npub mod b;\npub mod d;\n\n// The last one, …\npub mod z;\n";

    #[test]
    fn one_line_registers_a_dialect() {
        for (name, expected) in [
            ("a", "pub mod a;\npub mod b;\npub mod d;\n\n// The last"),
            ("c", "pub mod b;\npub mod c;\npub mod d;\n\n// The last"),
            ("e", "pub mod b;\npub mod d;\npub mod e;\n\n// The last"),
        ] {
            assert!(register(LIST, name).unwrap().contains(expected), "{name}");
        }
        let no_list = register("", "a").unwrap_err().to_string();
        assert_eq!(no_list, format!("{DIALECTS}/mod.rs has no list of dialects"));
    }

    #[test]
    fn paths_move_and_names_change() {
        let text = format!("{MODEL}: `POST /a`, \"/b\", \"/v1/messages\", `/c`");
        let expected = "sixth: `POST /sixth/a`, \"/sixth/b\", \"/v1/messages\", `/sixth/c`";
        assert_eq!(rename(&text, "sixth"), expected);
    }

    #[test]
    fn names_are_checked() {
        for name in ["", "Sixth", "6th", "a-b", "a/b", "../a"] {
            assert!(!is_good(name), "{name}");
        }
        assert!(is_good("sixth") && is_good("s6"));
    }

    /// In a copy of the workspace: the new dialect compiles, passes the tests of all dialects, and
    /// nothing but its folder, its guide and one line is new.
    #[test]
    fn a_new_dialect_passes_and_changes_one_line() {
        let copy = copy_of_the_workspace();
        run(&copy, "sixth").unwrap();

        let changed = git(&copy, &["status", "--porcelain"]);
        let expected = [
            format!(" M {DIALECTS}/mod.rs"),
            format!("?? {DIALECTS}/sixth/"),
            format!("?? {GUIDES}/sixth.md"),
        ];
        assert_eq!(changed.lines().collect::<Vec<_>>(), expected);
        let lines = git(&copy, &["diff", "--numstat"]);
        assert_eq!(lines.trim(), format!("1\t0\t{DIALECTS}/mod.rs"));
        crate::tidy::run(&copy).unwrap();

        let mut tests = shell::cargo(&copy);
        // The server has no tests here, but with it the dependencies have the features with which they are built
        // already. Without debug information the copy's crates are others than ours for cargo.
        tests.args(["test", "--package", "http-api", "--package", "gerbang", "--lib", "--quiet"]);
        tests.args(["--features", "gerbang/simulator", "--"]);
        tests.args(["dialects::", "tests::access::", "tests::docs::", "tests::documents::"]);
        tests
            .env("CARGO_TARGET_DIR", workspace().join("target"))
            .env("CARGO_PROFILE_DEV_DEBUG", "none");
        let outcome = tests.output().unwrap();
        let output = String::from_utf8_lossy(&outcome.stdout);
        assert!(outcome.status.success() && output.contains("test result: ok"), "{output}");
        let warnings = String::from_utf8_lossy(&outcome.stderr);
        assert!(!warnings.contains("dialects/sixth"), "{warnings}");
    }

    fn workspace() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
    }

    fn git(dir: &Path, args: &[&str]) -> String {
        shell::output(Command::new("git").current_dir(dir).args(args)).unwrap()
    }

    /// What git knows of the workspace, in a repository of its own. Always at the same place, and
    /// written only where it differs, so that little is built again.
    fn copy_of_the_workspace() -> PathBuf {
        let (from, to) = (workspace(), workspace().join("target/new-dialect"));
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let names = git(&from, &list);
        let names: Vec<&str> = names.split('\0').filter(|name| !name.is_empty()).collect();
        let (names, contents): (Vec<_>, Vec<_>) = names
            .into_iter()
            .filter_map(|name| Some((name, std::fs::read(from.join(name)).ok()?)))
            .unzip();
        for (name, new) in names.iter().zip(contents) {
            let file = to.join(name);
            if std::fs::read(&file).is_ok_and(|old| old == new) {
                continue;
            }
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, new).unwrap();
        }
        let _ = std::fs::remove_dir_all(to.join(".git"));
        git(&to, &["init", "--quiet"]);
        git(&to, &[&["add", "--"], names.as_slice()].concat());
        let who = ["-c", "user.name=test", "-c", "user.email=test@example.com"];
        git(&to, &[&who[..], &["commit", "--quiet", "--message", "as it is"]].concat());
        // What an earlier run left.
        git(&to, &["clean", "-d", "--force", "--quiet"]);
        to
    }
}
