//! `gerbang simulator`: the simulated WhatsApp as a server of its own.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use axum::serve::ListenerExt as _;
use simulator::{Simulator, SimulatorConfig};

use crate::config;
use crate::telemetry::{self, LogFormat};

/// Flags of `gerbang simulator`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to listen; port 0 takes any free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The directory for phones, devices and waiting messages
    #[arg(long, value_name = "DIR", default_value = "gerbang-simulator")]
    data_dir: PathBuf,
    /// A name under which it may be reached, besides addresses and localhost; may be given again
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Milliseconds a phone takes to read a message
    #[arg(long, value_name = "MS", default_value_t = 800)]
    read_delay_ms: u64,
    /// How log lines are written; RUST_LOG sets the level
    #[arg(long, env = "GERBANG_LOG", value_enum, value_name = "FORMAT", default_value = "text")]
    log: LogFormat,
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// A port in use, or a data directory that cannot be used.
pub async fn run(args: Args) -> Result<()> {
    telemetry::start(args.log, config::environment("RUST_LOG").as_deref())?;
    config::create_private_dir(&args.data_dir)?;
    let listener = super::listen(args.listen).await?;
    let address = listener.local_addr().context("cannot read the port")?;
    let read_delay = std::time::Duration::from_millis(args.read_delay_ms);
    let config =
        SimulatorConfig { read_delay, hosts: args.hosts, ..SimulatorConfig::new(args.data_dir) };
    let simulator = Simulator::open(config).await.context("cannot open the simulator's data")?;
    super::warn_unless_loopback(address, "the simulator");
    println!("ws://{address}/ws/chat");
    println!("Phones and control API: http://{address}/");
    // Else a stanza waits until the client has confirmed the one before.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, simulator.router())
        .with_graceful_shutdown(super::stop_signal())
        .await
        .context("the simulator has stopped")?;
    simulator.shutdown().await;
    Ok(())
}
