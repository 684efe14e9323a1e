//! `cargo xtask torture`: the long forms of the tests of processes, with the release profile, one at a
//! time, and the other tests of what `docs/reliability.md` promises. Their figures are written there as they come.

mod table;

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::shell;
use crate::test::packages;
use crate::test::postgres::Cluster;

/// Arguments of `cargo xtask torture`.
#[derive(clap::Args)]
pub struct Options {
    /// Only these: overload, crash, disk, nodes (with between_nodes and webhooks_between_nodes), outage, races,
    /// webhooks, files, logs; hosts, tenants, inputs
    only: Vec<String>,
}

/// Tests of processes, by the ends of their modules' names.
const PROCESSES: [&str; 9] =
    ["overload", "crash", "disk", "nodes", "outage", "races", "webhooks", "files", "logs"];

/// Other tests, by what they are called here: how cargo runs them, and parts of their names.
const OTHERS: [(&str, &[&str], &[&str]); 3] = [
    ("hosts", &["--package", "outbound", "--lib"], &["tests::hostile", "tests::limits"]),
    (
        "tenants",
        &["--package", "http-api", "--lib"],
        &["tests::access", "tests::scopes", "tests::siblings"],
    ),
    (
        "inputs",
        &["--package", "gerbang", "--features", "simulator", "--test", "clients"],
        &["schemathesis"],
    ),
];

/// Runs them, all of them also when one fails.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    let database = Cluster::start(&[])?;
    let is_other = |name: &str| OTHERS.iter().any(|(other, ..)| *other == name);
    let names: Vec<String> = match &options.only[..] {
        [] => PROCESSES.map(module).to_vec(),
        only => only.iter().map(|name| module(name)).filter(|name| !is_other(name)).collect(),
    };
    let (run, url) = (this_run(root, options)?, database.url());
    let mut outcomes = Vec::new();
    if !names.is_empty() {
        let processes = ["--package", "gerbang", "--features", "simulator", "--test", "processes"];
        outcomes.push(run_long(root, &run, url, &processes, &names));
    }
    for (name, which, tests) in OTHERS {
        if options.only.is_empty() || options.only.iter().any(|only| only == name) {
            if name == "inputs" {
                packages::bring_python_tools(root)?;
            }
            outcomes.push(run_long(root, &run, url, which, tests));
        }
    }
    outcomes.into_iter().collect()
}

/// What the names of the tests in a listed module contain. Other tests may have its word in theirs.
fn module(name: &str) -> String {
    let is_listed = PROCESSES.contains(&name);
    if is_listed { format!("{name}::") } else { name.to_owned() }
}

/// What the figures are of.
fn this_run(root: &Path, options: &Options) -> Result<table::Run> {
    let mut words = vec!["cargo xtask torture"];
    words.extend(options.only.iter().map(String::as_str));
    let when = shell::output(Command::new("date").args(["-u", "+%F %H:%M UTC"]))?;
    // There is no repository in an unpacked archive.
    let commit = commit(root).unwrap_or_else(|_| "unknown".to_owned());
    Ok(table::Run { command: words.join(" "), when: when.trim().to_owned(), commit })
}

/// What is built. The page of the figures may have changed: the run before has written it.
fn commit(root: &Path) -> Result<String> {
    let git = |args: &[&str]| shell::output(Command::new("git").current_dir(root).args(args));
    let commit = git(&["describe", "--always", "--abbrev=10"])?;
    let others = format!(":!{}", table::PAGE);
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", &others])?;
    let mark = if changed.is_empty() { "" } else { "-dirty" };
    Ok(format!("{}{mark}", commit.trim()))
}

fn run_long(
    root: &Path,
    run: &table::Run,
    database: &str,
    which: &[&str],
    names: &[impl AsRef<OsStr>],
) -> Result<()> {
    let mut cargo = shell::cargo(root);
    cargo.args(["test", "--release"]).args(which);
    cargo.args(["--", "--nocapture", "--test-threads", "1"]).args(names);
    cargo.env("GERBANG_TEST_LONG", "1").env("GERBANG_TEST_POSTGRES_URL", database);
    cargo.env("GERBANG_TEST_SCHEMATHESIS", packages::schemathesis(root));
    let mut reader = table::Reader::default();
    shell::run_and_read(&mut cargo, |line| reader.read(root, run, line))
}
