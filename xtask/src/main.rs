//! `cargo xtask …`: the chores of this repository.
//!
//! `test` installs what the tests need and runs all of them; `tidy` checks what no compiler checks;
//! `bench` measures what `docs/` promises; `torture` tests for long; `dist` makes packages;
//! `pictures` takes those of the dashboard; `new-dialect` starts one. One file or folder per command.

mod bench;
mod dist;
mod new_dialect;
mod pictures;
mod shell;
mod test;
mod tidy;
mod torture;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The chores of this repository")]
enum Command {
    /// Install what the tests need and run every test
    Test(test::Options),
    /// Check what no compiler checks: sizes, words, dependencies, links, migrations
    Tidy,
    /// Measure: accept rate against a bare handler, memory, latency (release builds)
    Bench(bench::Options),
    /// Run the tests of overload and crashes in their long forms (release build); writes their figures
    Torture(torture::Options),
    /// Make a tarball and a Debian package of the production binary
    Dist(dist::Options),
    /// Take a picture of every page of the dashboard, the README's among them
    Pictures,
    /// Start a dialect: a copy of the smallest one under a new name
    NewDialect {
        /// Lower-case letters and digits
        name: String,
    },
}

fn main() -> ExitCode {
    let command = Command::parse();
    let root = workspace_root();
    let outcome = match command {
        Command::Test(options) => test::run(&root, &options),
        Command::Tidy => tidy::run(&root),
        Command::Bench(options) => bench::run(&root, &options),
        Command::Torture(options) => torture::run(&root, &options),
        Command::Dist(options) => dist::run(&root, &options),
        Command::Pictures => pictures::run(&root),
        Command::NewDialect { name } => new_dialect::run(&root, &name),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Where `cargo xtask` was called; not where it was built, for a target directory may be a copy.
fn workspace_root() -> PathBuf {
    let mut root = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    root.pop();
    root
}
