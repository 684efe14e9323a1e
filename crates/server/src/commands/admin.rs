//! `gerbang admin`: what an operator does to an installation on this machine.

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::config::{Defaults, Flags, Settings};
use crate::console;
use crate::gateway::{make_setup_link, reset_operator_key};
use crate::telemetry;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a new operator key and print it, once; the old one is void. The gateway must be stopped
    ResetOperatorKey(Flags),
    /// Print a link that makes an operator of the dashboard, once, within 24 hours
    SetupLink(Flags),
}

/// Does it.
///
/// # Errors
/// The gateway runs, its database cannot be opened, or the settings fix the key.
pub async fn run(action: Action) -> Result<()> {
    match action {
        Action::ResetOperatorKey(flags) => {
            let key = reset_operator_key(&load(flags)?).await?;
            super::print(&format!("Operator key: {}\n", key.reveal()))
        }
        Action::SetupLink(flags) => {
            let settings = load(flags)?;
            if let Some(answer) = console::post(&settings.data_dir, "/v1/setup-links").await? {
                let url = answer["url"].as_str().context("the gateway answers without a link")?;
                return super::print(&format!("Open {url}\n"));
            }
            let link = make_setup_link(&settings).await?;
            let base = settings.public_url.unwrap_or_else(|| format!("http://{}", settings.listen));
            let path = http_api::dashboard::setup_path(&link);
            super::print(&format!("Start the gateway, then open {base}{path}\n"))
        }
    }
}

fn load(flags: Flags) -> Result<Settings> {
    let settings = Settings::load(flags, Defaults::SERVE)?;
    telemetry::start(settings.log, settings.log_level.as_deref())?;
    Ok(settings)
}
