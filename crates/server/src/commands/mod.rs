//! One file per command.

#[cfg(feature = "simulator")]
pub mod demo;
pub mod openapi;
pub mod serve;
#[cfg(feature = "simulator")]
pub mod simulator;

use std::future::Future;

use anyhow::{Context as _, Result};

/// Runs a command to its end on a runtime of its own.
pub fn run(command: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}

/// Ends when the process is asked to stop (SIGINT, SIGTERM).
pub async fn stop_signal() {
    let mut terminate =
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()).ok();
    let terminated = async {
        match &mut terminate {
            Some(signal) => signal.recv().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
