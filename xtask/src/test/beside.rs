//! Steps in a process of their own, beside the others. What they print is shown whole when they have ended.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use super::{Context, Step, Turn};
use crate::shell;

/// Steps that have been started.
pub struct Beside {
    /// When they run.
    pub turn: Turn,
    /// How many they are.
    pub count: usize,
    /// Their names.
    pub names: String,
    child: Child,
    output: PathBuf,
}

impl Beside {
    /// Starts some steps, one after the other.
    pub fn start(
        context: &Context<'_>,
        turn: Turn,
        steps: &[&Step],
        keep_going: bool,
    ) -> Result<Self> {
        let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
        let own_dir = context.own_dir();
        std::fs::create_dir_all(&own_dir)?;
        let output = own_dir.join(format!("{}.log", names.join("-")));
        let file = File::create(&output)?;
        let own_program = std::env::current_exe()?;
        let mut command = match turn {
            Turn::BesideTests => idle(&own_program),
            Turn::BesideBuilds | Turn::Own => Command::new(own_program),
        };
        command.arg("test").args(&names);
        if keep_going {
            command.arg("--keep-going");
        }
        command.current_dir(context.root).stdin(Stdio::null());
        command.stdout(file.try_clone()?).stderr(file);
        let names = names.join(" ");
        let child = command.spawn().with_context(|| format!("cannot start {names}"))?;
        println!("\n==> {names}: beside what follows");
        Ok(Self { turn, count: steps.len(), names, child, output })
    }

    /// Waits for their end and shows what they have printed.
    pub fn finish(mut self) -> Result<()> {
        println!("\n==> {}, which ran beside the others", self.names);
        let status = self.child.wait()?;
        let output = std::fs::read(&self.output)?;
        println!("{}", String::from_utf8_lossy(&output).trim());
        ensure!(status.success(), "its output is above ({status})");
        Ok(())
    }
}

/// A program that gets what all others leave of the processors. It builds with one job: two builds at once need
/// much memory, and the other core stays free of it.
fn idle(program: &Path) -> Command {
    let is_allowed = shell::output(Command::new("chrt").args(["--idle", "0", "true"])).is_ok();
    let mut command = if is_allowed {
        let mut chrt = Command::new("chrt");
        chrt.args(["--idle", "0"]);
        chrt
    } else {
        let mut nice = Command::new("nice");
        nice.args(["-n", "19"]);
        nice
    };
    command.arg(program).env("CARGO_BUILD_JOBS", "1");
    command
}
