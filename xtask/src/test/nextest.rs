//! The tests themselves.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{Context, binaries, packages, postgres, tools};
use crate::shell;
use crate::test::lint::ALL_FEATURES;

/// The services' published texts, beside this repository; they are not ours to copy.
const PUBLISHED_TEXTS: &str = "../shared/seeds";

/// Runs every test against a PostgreSQL server of our own.
pub fn run(context: &mut Context<'_>) -> Result<()> {
    let database = postgres::Cluster::start(&postgres::NOT_SYNCED)?;
    let mut nextest = tools::command(context.root, "cargo-nextest")?;
    nextest.args(["nextest", "run", "--workspace"]).args(ALL_FEATURES);
    nextest.args(context.nextest_args);
    nextest.env("GERBANG_TEST_POSTGRES_URL", database.url());
    nextest.env("GERBANG_TEST_PRODUCTION_BINARY", binaries::production(&context.own_dir()));
    if let Some(chromium) = packages::chromium() {
        nextest.env("GERBANG_TEST_CHROMIUM", chromium);
    }
    if let Some(python) = packages::python() {
        nextest.env("GERBANG_TEST_PYTHON", python);
    }
    nextest.env("GERBANG_TEST_SCHEMATHESIS", packages::schemathesis(context.root));
    nextest.env("GERBANG_TEST_GENERATOR", packages::generator(context.root));
    nextest.env("GERBANG_TEST_MOTO", packages::moto(context.root));
    nextest.env("GERBANG_TEST_NEONIZE", packages::neonize(context.root));
    nextest.env("PATH", shell::path_with(&packages::node_dir(context.root))?);
    let (is_ok, closing_lines) = run_and_keep_summary(nextest)?;
    context.closing_lines = closing_lines;
    let is_ok = run_migrated(context)? && is_ok;
    let is_ok = run_on_postgres(context, database.url())? && is_ok;
    if !context.root.join(PUBLISHED_TEXTS).is_dir() {
        let skipped = "\nskipped: the samples of the five services, whose texts are not here";
        context.closing_lines.push_str(skipped);
    }
    ensure!(is_ok, "tests failed");
    Ok(())
}

/// Runs the driver's tests once more, with accounts that address people by LID, as most real ones do.
fn run_migrated(context: &mut Context<'_>) -> Result<bool> {
    run_again(
        context,
        "with migrated accounts",
        "binary(driver)",
        &[("GERBANG_TEST_MIGRATED", "1")],
    )
}

/// Runs the tests of the APIs and the dashboard once more, which have a store in memory otherwise.
fn run_on_postgres(context: &mut Context<'_>, url: &str) -> Result<bool> {
    let settings = [("GERBANG_TEST_STORE", "postgres"), ("GERBANG_TEST_POSTGRES_URL", url)];
    // Those with an app for each route or size are about routes and bodies, and take minutes each there.
    let which = "package(http-api) and not (test(tests::effort) or test(tests::scopes) or test(the_right_key_passes))";
    run_again(context, "on PostgreSQL", which, &settings)
}

/// Runs some tests once more, otherwise set up, unless only some were asked for.
fn run_again(
    context: &mut Context<'_>,
    how: &str,
    which: &str,
    settings: &[(&str, &str)],
) -> Result<bool> {
    if !context.nextest_args.is_empty() {
        return Ok(true);
    }
    let mut nextest = tools::command(context.root, "cargo-nextest")?;
    nextest.args(["nextest", "run", "--workspace"]).args(ALL_FEATURES).args(["-E", which]);
    nextest.envs(settings.iter().copied());
    let (is_ok, closing_lines) = run_and_keep_summary(nextest)?;
    context.closing_lines.push_str(&format!("\n{how}:\n{closing_lines}"));
    Ok(is_ok)
}

/// Runs the examples in the documentation.
pub fn doctests(root: &std::path::Path) -> Result<()> {
    let mut cargo = shell::cargo(root);
    shell::run(cargo.args(["test", "--doc", "--quiet", "--workspace"]).args(ALL_FEATURES))
}

/// Prints the runner's output and returns the lines from its summary on.
fn run_and_keep_summary(mut nextest: Command) -> Result<(bool, String)> {
    let mut child = nextest.stderr(Stdio::piped()).spawn().context("cannot start cargo-nextest")?;
    let stderr = child.stderr.take().context("cargo-nextest has no stderr")?;
    let mut closing: Vec<String> = Vec::new();
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        eprintln!("{line}");
        if !closing.is_empty() || line.trim_start().starts_with("Summary [") {
            closing.push(line);
        }
    }
    Ok((child.wait()?.success(), closing.join("\n")))
}
