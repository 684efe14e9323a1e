//! The machine and the moment.

use std::process::Command;

/// Where and when something is measured.
pub struct Host {
    /// The date and time.
    pub at: String,
    /// What is checked out.
    pub commit: String,
    /// Cores, processor, memory, kernel and load.
    pub machine: String,
}

impl Host {
    /// As it is now.
    pub fn now() -> Self {
        let at = output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
        Self { at, commit: commit(), machine: machine() }
    }
}

fn commit() -> String {
    let commit = output("git", &["describe", "--always", "--dirty", "--abbrev=10"]);
    if commit.is_empty() { "unknown".to_owned() } else { commit }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let field = |file: &str, name: &str| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let kib: f64 =
        field("/proc/meminfo", "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0);
    format!(
        "{cores} cores ({}), {:.0} GiB, Linux {}, load {} at the start",
        field("/proc/cpuinfo", "model name"),
        kib / 1_048_576.0,
        output("uname", &["-r"]),
        load(),
    )
}

fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().unwrap_or("?").to_owned()
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}
