//! `cargo xtask test`: installs what the tests need and runs every test.
//!
//! A missing tool is installed, or is a failure that says what to install. One file per step that is
//! more than a line.

mod beside;
mod binaries;
mod lint;
mod nextest;
pub mod packages;
pub mod postgres;
mod tools;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::shell;
use beside::Beside;

/// The step of the tests themselves.
const TESTS: &str = "nextest";

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
    turn: Turn,
    run: fn(&mut Context<'_>) -> Result<()>,
}

/// When a step runs, where the tests run as well. Without them every step has its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// After the steps before it.
    Own,
    /// Beside the steps after it, until the tests need it: it waits for the network.
    BesideBuilds,
    /// Beside all steps after it, on what they leave of the processors: many tests of processes mostly wait.
    BesideTests,
}

/// In this order: what fails quickly comes first, the tests themselves last.
const STEPS: &[Step] = &[
    Step {
        name: "packages",
        about: "PostgreSQL, Chromium, Node 20 or newer with npm, PHP, Go, Ruby, Python, curl, git; installs what is missing when root on Debian",
        turn: Turn::Own,
        run: |context| packages::bring(context.root),
    },
    Step {
        name: "python",
        about: "schemathesis, neonize, moto and openapi-python-client as pinned, into target/tools (Python)",
        turn: Turn::BesideBuilds,
        run: |context| packages::bring_python_tools(context.root),
    },
    Step {
        name: "npm",
        about: "npm ci for Baileys, zapo, axios, axe-core and a generator of clients (Node, npm)",
        turn: Turn::BesideBuilds,
        run: |context| packages::npm_ci(context.root),
    },
    Step {
        name: "tools",
        about: "cargo-nextest and cargo-deny, from PATH or built into target/tools",
        turn: Turn::Own,
        run: |context| tools::bring(context.root),
    },
    Step {
        name: "fmt",
        about: "cargo fmt --check",
        turn: Turn::Own,
        run: |context| shell::run(shell::cargo(context.root).args(["fmt", "--all", "--check"])),
    },
    Step {
        name: "tidy",
        about: "cargo xtask tidy",
        turn: Turn::Own,
        run: |context| crate::tidy::run(context.root),
    },
    Step {
        name: "deny",
        about: "licences, bans and sources of dependencies (cargo-deny)",
        turn: Turn::Own,
        run: |context| lint::deny(context.root),
    },
    Step {
        name: "clippy",
        about: "clippy on every target, warnings denied",
        turn: Turn::BesideTests,
        run: |context| lint::clippy(context.root),
    },
    Step {
        name: "docs",
        about: "rustdoc of every crate, warnings denied",
        turn: Turn::BesideTests,
        run: |context| lint::docs(context.root),
    },
    Step {
        name: "doctests",
        about: "the examples in the documentation",
        turn: Turn::BesideTests,
        run: |context| nextest::doctests(context.root),
    },
    Step {
        name: "binaries",
        about: "the production binary, and that it cannot skip WhatsApp's certificate check",
        turn: Turn::Own,
        run: |context| binaries::build_and_check(context.root, &context.own_dir()),
    },
    Step {
        name: TESTS,
        about: "every other test, against a throw-away PostgreSQL (all of `packages`, the steps `python`, `binaries` and `npm`)",
        turn: Turn::Own,
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
    let mut results = Results::default();
    let mut beside: Vec<Beside> = Vec::new();
    for (turn, steps) in groups(&chosen) {
        if steps.iter().any(|step| step.name == TESTS) {
            let needed = beside.extract_if(.., |it| it.turn == Turn::BesideBuilds);
            needed.for_each(|it| results.wait_for(it));
        }
        if results.has_failed() && !options.keep_going {
            break;
        }
        if turn != Turn::Own {
            beside.push(Beside::start(&context, turn, steps, options.keep_going)?);
            continue;
        }
        for step in steps {
            println!("\n==> {}: {}", step.name, step.about);
            results.time(step.name.to_owned(), 1, || (step.run)(&mut context));
        }
    }
    beside.into_iter().for_each(|it| results.wait_for(it));
    summarise(&results.rows, chosen.len() - results.count, &context.closing_lines)
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

/// What runs together, in order: a step in its turn, or neighbours beside the others in one process.
fn groups<'a>(chosen: &'a [&'static Step]) -> impl Iterator<Item = (Turn, &'a [&'static Step])> {
    let has_tests = chosen.iter().any(|step| step.name == TESTS);
    chosen
        .chunk_by(move |one, next| has_tests && one.turn != Turn::Own && one.turn == next.turn)
        .map(move |steps| (if has_tests { steps[0].turn } else { Turn::Own }, steps))
}

/// How the steps have gone so far.
#[derive(Default)]
struct Results {
    /// Name, time and success of each step. Of steps beside others it is the time that the run waited for their
    /// end.
    rows: Vec<(String, Duration, bool)>,
    /// How many steps that were.
    count: usize,
}

impl Results {
    fn time(&mut self, name: String, count: usize, run: impl FnOnce() -> Result<()>) {
        let start = Instant::now();
        let outcome = run();
        if let Err(error) = &outcome {
            eprintln!("==> {name} failed: {error:#}");
        }
        self.rows.push((name, start.elapsed(), outcome.is_ok()));
        self.count += count;
    }

    fn wait_for(&mut self, beside: Beside) {
        let name = format!("{} (beside)", beside.names);
        self.time(name, beside.count, || beside.finish());
    }

    fn has_failed(&self) -> bool {
        self.rows.iter().any(|(.., is_ok)| !is_ok)
    }
}

fn summarise(rows: &[(String, Duration, bool)], not_run: usize, closing: &str) -> Result<()> {
    println!("\n==> summary");
    for (name, time, is_ok) in rows {
        println!(
            "{name:<30} {:>7.1} s  {}",
            time.as_secs_f64(),
            if *is_ok { "ok" } else { "FAILED" }
        );
    }
    let total: Duration = rows.iter().map(|(_, time, _)| *time).sum();
    println!("{:<30} {:>7.1} s", "total", total.as_secs_f64());
    if !closing.is_empty() {
        println!("\n{closing}");
    }
    let failed: Vec<_> =
        rows.iter().filter(|(.., is_ok)| !is_ok).map(|(name, ..)| name.as_str()).collect();
    if !failed.is_empty() {
        bail!("failed: {}; steps not run: {not_run}", failed.join(", "));
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
    fn steps_run_beside_others_only_where_the_tests_run() {
        let grouped = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
            let chosen = choose(&wanted).unwrap();
            let names = |steps: &[&'static Step]| {
                steps.iter().map(|step| step.name).collect::<Vec<_>>().join(" ")
            };
            groups(&chosen)
                .map(|(turn, steps)| (turn != Turn::Own, names(steps)))
                .collect::<Vec<_>>()
        };
        let row = |is_beside: bool, names: &str| (is_beside, names.to_owned());
        let alone = [row(false, "fmt"), row(false, "clippy"), row(false, "docs")];
        assert_eq!(grouped(&["fmt", "clippy", "docs"]), alone);
        let with_tests = [
            row(true, "python npm"),
            row(false, "fmt"),
            row(true, "clippy docs"),
            row(false, "nextest"),
        ];
        let wanted = ["python", "npm", "fmt", "clippy", "docs", "nextest"];
        assert_eq!(grouped(&wanted), with_tests);
    }

    #[test]
    fn a_failed_step_fails_the_run() {
        let row = |name: &str, is_ok| (name.to_owned(), Duration::from_secs(1), is_ok);
        summarise(&[row("fmt", true)], 0, "").unwrap();
        let failed = summarise(&[row("fmt", true), row("tidy", false)], 1, "");
        assert_eq!(failed.unwrap_err().to_string(), "failed: tidy; steps not run: 1");
    }
}
