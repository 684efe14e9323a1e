//! Logging: to standard error, one line an event, never content or secrets.

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

/// Starts logging at `level`.
///
/// The protocol library's own messages carry numbers and stanzas below `warn`, so they stay off
/// whatever the level is, unless it names them.
///
/// # Errors
/// `level` makes no sense.
pub fn start(level: &str) -> Result<()> {
    let quiet = "whatsapp_rust=warn,wacore=warn,wacore_libsignal=error,hyper=warn,sqlx=warn";
    let filter = EnvFilter::try_new(format!("{quiet},{level}"))
        .with_context(|| format!("the log level {level:?} makes no sense"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(true)
        .try_init()
        .map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
