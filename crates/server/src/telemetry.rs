//! Logging: to standard error, one line an event, never content or secrets.

use std::io::IsTerminal as _;

use anyhow::Result;
use tracing_subscriber::EnvFilter;

/// The parts of the program whose lines `level` governs; everything else shows errors only.
const OUR_TARGETS: [&str; 8] =
    ["gerbang", "domain", "engine", "store", "whatsapp", "http_api", "access", "simulator"];

/// Starts logging at `level`: one word for all of our parts, or a filter in full.
///
/// The protocol library's own lines can hold numbers and stanzas. They stay off whatever the level
/// is, unless a filter names them.
///
/// # Errors
/// `level` makes no sense.
pub fn start(level: &str) -> Result<()> {
    let ours = if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        OUR_TARGETS.map(|target| format!("{target}={level}")).join(",")
    };
    let filter = format!("error,{},{ours}", whatsapp::LOG_FILTER);
    // Its reasons are long and say everything twice.
    let filter = EnvFilter::try_new(&filter).map_err(|_| {
        anyhow::anyhow!(
            "the log level {level:?} must be error, warn, info, debug or trace, \
             or name parts such as gerbang=info,engine=debug"
        )
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
