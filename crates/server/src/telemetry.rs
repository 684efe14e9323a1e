//! Logging: to standard error, one line an event, never content or secrets.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

/// The parts of the program whose lines `level` governs. Everything else, above all the protocol
/// library with its many targets, whose lines can hold numbers and stanzas, shows errors only.
const OUR_TARGETS: [&str; 7] =
    ["gerbang", "domain", "engine", "store", "whatsapp", "http_api", "simulator"];

/// Starts logging at `level`: one word for all of our parts, or a filter in full.
///
/// # Errors
/// `level` makes no sense.
pub fn start(level: &str) -> Result<()> {
    let filter = if level.contains(['=', ',']) {
        format!("error,{level}")
    } else {
        let ours = OUR_TARGETS.map(|target| format!(",{target}={level}")).concat();
        format!("error{ours}")
    };
    let filter = EnvFilter::try_new(&filter)
        .with_context(|| format!("the log level {level:?} makes no sense"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .try_init()
        .map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
