//! `cargo xtask test`: installs what the tests need and runs every test.
//!
//! A missing tool is installed, or is a failure that says what to install. One file per step that is
//! more than a line.

mod binaries;
mod lint;
mod nextest;
mod packages;
pub mod postgres;
mod tools;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::shell;

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Only these steps, in the order of `--list`
    steps: Vec<String>,
    /// Name the steps and what each needs
    #[arg(long)]
    list: bool,
    /// Go on with the next step after a failure
    #[arg(long)]
    keep_going: bool,
    /// Passed on to nextest, such as `-E 'test(crash)'`
    #[arg(last = true)]
    nextest_args: Vec<String>,
}

/// Shared by the steps.
struct Context<'a> {
    root: &'a Path,
    nextest_args: &'a [String],
    /// The runner's closing lines, printed last.
    closing_lines: String,
}

impl Context<'_> {
    /// Where we put what we build or install for ourselves.
    fn own_dir(&self) -> PathBuf {
        self.root.join("target/xtask")
    }
}

struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Context<'_>) -> Result<()>,
}

/// In this order: what fails quickly comes first, the tests themselves last.
const STEPS: &[Step] = &[
    Step {
        name: "packages",
        about: "PostgreSQL, Chromium, Node 20 or newer with npm, PHP, Go, Ruby, Python, curl, git; installs what is missing when root on Debian",
        run: |context| packages::bring(context.root),
    },
    Step {
        name: "tools",
        about: "cargo-nextest and cargo-deny, from PATH or built into target/tools",
        run: |context| tools::bring(context.root),
    },
    Step {
        name: "python",
        about: "schemathesis, neonize, moto and openapi-python-client as pinned, into target/tools (Python)",
        run: |context| packages::bring_python_tools(context.root),
    },
    Step {
        name: "fmt",
        about: "cargo fmt --check",
        run: |context| shell::run(shell::cargo(context.root).args(["fmt", "--all", "--check"])),
    },
    Step { name: "tidy", about: "cargo xtask tidy", run: |context| crate::tidy::run(context.root) },
    Step {
        name: "clippy",
        about: "clippy on every target, warnings denied",
        run: |context| lint::clippy(context.root),
    },
    Step {
        name: "deny",
        about: "licences, bans and sources of dependencies (cargo-deny)",
        run: |context| lint::deny(context.root),
    },
    Step {
        name: "docs",
        about: "rustdoc of every crate, warnings denied",
        run: |context| lint::docs(context.root),
    },
    Step {
        name: "binaries",
        about: "the production binary, and that it cannot skip WhatsApp's certificate check",
        run: |context| binaries::build_and_check(context.root, &context.own_dir()),
    },
    Step {
        name: "npm",
        about: "npm ci for Baileys, zapo, axios, axe-core and a generator of clients (Node, npm)",
        run: |context| packages::npm_ci(context.root),
    },
    Step {
        name: "doctests",
        about: "the examples in the documentation",
        run: |context| nextest::doctests(context.root),
    },
    Step {
        name: "nextest",
        about: "every other test, against a throw-away PostgreSQL (all of `packages`, the steps `python`, `binaries` and `npm`)",
        run: nextest::run,
    },
];

/// Runs the steps asked for and prints how long each took.
pub fn run(root: &Path, options: &Options) -> Result<()> {
    if options.list {
        STEPS.iter().for_each(|step| println!("{:<12} {}", step.name, step.about));
        return Ok(());
    }
    let chosen = choose(&options.steps)?;
    let mut context =
        Context { root, nextest_args: &options.nextest_args, closing_lines: String::new() };
    let mut times = Vec::new();
    for step in &chosen {
        println!("\n==> {}: {}", step.name, step.about);
        let start = Instant::now();
        let outcome = (step.run)(&mut context);
        if let Err(error) = &outcome {
            eprintln!("==> {} failed: {error:#}", step.name);
        }
        times.push((step.name, start.elapsed(), outcome.is_ok()));
        if outcome.is_err() && !options.keep_going {
            break;
        }
    }
    summarise(&times, chosen.len(), &context.closing_lines)
}

/// Runs some steps, the tests with these arguments of nextest's.
pub fn run_only(root: &Path, steps: &[&str], nextest_args: &[&str]) -> Result<()> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let (steps, nextest_args) = (owned(steps), owned(nextest_args));
    run(root, &Options { steps, list: false, keep_going: false, nextest_args })
}

fn choose(names: &[String]) -> Result<Vec<&'static Step>> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|step| step.name != **name)) {
        bail!("there is no step `{unknown}`; see `cargo xtask test --list`");
    }
    let is_chosen = |step: &&Step| names.is_empty() || names.iter().any(|name| name == step.name);
    Ok(STEPS.iter().filter(is_chosen).collect())
}

fn summarise(times: &[(&str, Duration, bool)], planned: usize, closing: &str) -> Result<()> {
    println!("\n==> summary");
    for (name, time, is_ok) in times {
        println!(
            "{name:<12} {:>7.1} s  {}",
            time.as_secs_f64(),
            if *is_ok { "ok" } else { "FAILED" }
        );
    }
    let total: Duration = times.iter().map(|(_, time, _)| *time).sum();
    println!("{:<12} {:>7.1} s", "total", total.as_secs_f64());
    if !closing.is_empty() {
        println!("\n{closing}");
    }
    let failed: Vec<_> =
        times.iter().filter(|(.., is_ok)| !is_ok).map(|(name, ..)| *name).collect();
    if !failed.is_empty() {
        bail!("failed: {}; steps not run: {}", failed.join(", "), planned - times.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_chosen_by_name_and_kept_in_order() {
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            choose(&wanted).map(|steps| steps.iter().map(|step| step.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&["tidy", "fmt"]).unwrap(), ["fmt", "tidy"]);
        assert_eq!(names(&[]).unwrap().len(), STEPS.len());
        let unknown = names(&["fmt", "nonsense"]).unwrap_err().to_string();
        assert_eq!(unknown, "there is no step `nonsense`; see `cargo xtask test --list`");
    }

    #[test]
    fn a_failed_step_fails_the_run() {
        let second = Duration::from_secs(1);
        summarise(&[("fmt", second, true)], 1, "").unwrap();
        let failed = summarise(&[("fmt", second, true), ("tidy", second, false)], 3, "");
        assert_eq!(failed.unwrap_err().to_string(), "failed: tidy; steps not run: 1");
    }
}
