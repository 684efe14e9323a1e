//! `gerbang admin`: what an operator does to an installation that does not run.

use anyhow::Result;
use clap::Subcommand;

use crate::config::{Defaults, Flags, Settings};
use crate::gateway::reset_operator_key;
use crate::telemetry;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a new operator key and print it, once; the old one is void. The gateway must be stopped
    ResetOperatorKey(Flags),
}

/// Does it.
///
/// # Errors
/// The gateway runs, its database cannot be opened, or the settings fix the key.
pub async fn run(action: Action) -> Result<()> {
    let Action::ResetOperatorKey(flags) = action;
    let settings = Settings::load(flags, Defaults::SERVE)?;
    telemetry::start(settings.log, settings.log_level.as_deref())?;
    let key = reset_operator_key(&settings).await?;
    super::print(&format!("Operator key: {}\n", key.reveal()))
}
