//! From a cold checkout to the demo running: how long its build took, and how long all else.

use std::time::Instant;

use tokio::process::Command;

use crate::Options;
use crate::report::Table;
use crate::support::env;
use crate::support::process::Process;

/// Starts it on an empty directory and waits for the lines to paste.
pub async fn measure(options: Options) -> Vec<Table> {
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(env::gerbang());
    command.args(["demo", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data.path().join("demo"));
    command.current_dir(data.path());
    let start = Instant::now();
    let mut demo = Process::start("gerbang demo", command);
    demo.line("lines to paste", |line| line.starts_with("curl ").then_some(())).await;
    let took = start.elapsed().as_secs_f64();
    let title = "From a cold checkout to the demo running";
    let mut table = Table::new(title, &["", "measured", "target"]);
    let build = options.demo_build.map_or("only with --full".to_owned(), |s| format!("{s} s"));
    table.row(["its build, crates downloaded".into(), build, "the only wait".into()]);
    let what = "from its start until a device is connected";
    table.row([what.into(), format!("{took:.2} s"), String::new()]);
    vec![table]
}
