//! `gerbang serve`: the gateway.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result, anyhow};
use domain::key::Secret;

use super::say;
use crate::config::{Defaults, Flags, Settings, write_private};
use crate::exit::Failure;
use crate::gateway::Gateway;
use crate::telemetry;

/// Where a new operator key is kept when the output is no terminal, in the data directory.
const OPERATOR_KEY_FILE: &str = "operator.key";

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
    let mut settings = Settings::load(args.flags, Defaults::SERVE)?;
    telemetry::start(settings.log, settings.log_level.as_deref())?;
    settings.create_data_dir()?;
    let listener = super::listen(settings.listen).await?;
    let address = listener.local_addr().context("cannot read the port")?;
    settings.listen = address;
    let gateway = Gateway::open(&settings, args.show_qr).await?;
    if let Some(key) = gateway.new_operator_key() {
        show_operator_key(&settings, key)?;
    }
    let setup = gateway.first_setup_link().await?;
    let running = gateway.start(listener, axum::Router::new()).await?;
    say(format_args!("Gerbang listens on http://{address}"));
    if let Some(link) = setup {
        let base = settings.own_url();
        say(format_args!(
            "The dashboard has no operator yet. Create the operator, within 24 hours, at"
        ));
        say(format_args!("{base}{}", http_api::dashboard::setup_path(&link)));
    }
    tokio::select! {
        () = super::stop_signal() => running.stop().await,
        () = running.void() => {
            running.stop().await?;
            let why = anyhow!("another process runs under its name: give each its own GERBANG_NODE_NAME");
            Err(why.context(Failure::NODE_ENDED))
        }
    }
}

/// Shows a new operator key to the person at the terminal. Where the output is kept, such as in a
/// journal, it would stay there for ever: it goes into a file instead, which can be deleted.
fn show_operator_key(settings: &Settings, key: &Secret) -> Result<()> {
    if std::io::stdout().is_terminal() {
        say(format_args!("Operator key: {}", key.reveal()));
        say(format_args!("It is shown only now. Keep it."));
        return Ok(());
    }
    let path = settings.data_dir.join(OPERATOR_KEY_FILE);
    write_private(&path, key.reveal()).context("cannot keep the operator key")?;
    say(format_args!(
        "The operator key is in {}. Keep it elsewhere and delete the file.",
        path.display()
    ));
    Ok(())
}
