//! `gerbang serve`: the gateway.

use anyhow::{Context as _, Result};

use crate::config::{Defaults, Flags, Settings};
use crate::gateway::Gateway;
use crate::telemetry;

/// Flags of `gerbang serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Print pairing QRs even when the output is no terminal
    #[arg(long)]
    show_qr: bool,
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// Invalid settings, a port in use, a store that cannot be opened.
pub async fn run(args: Args) -> Result<()> {
    let settings = Settings::load(args.flags, Defaults::SERVE)?;
    telemetry::start(settings.log, settings.log_level.as_deref())?;
    settings.create_data_dir()?;
    let listener = super::listen(settings.listen).await?;
    let address = listener.local_addr().context("cannot read the port")?;
    let gateway = Gateway::open(&settings, args.show_qr).await?;
    if let Some(key) = gateway.new_operator_key() {
        println!("Operator key: {}", key.reveal());
        println!("It is shown only now. Keep it.");
    }
    let running = gateway.start(listener, axum::Router::new()).await?;
    println!("Gerbang listens on http://{address}");
    super::stop_signal().await;
    running.stop().await
}
