//! Serves a simulator by itself: `serve ADDRESS DATA_DIR`.
//!
//! `gerbang simulator` does the same with settings; this is for trying out other clients.

use std::time::Duration;

use simulator::{Simulator, SimulatorConfig, SimulatorError};

#[tokio::main]
async fn main() -> Result<(), SimulatorError> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4000".into());
    let data_dir = arguments.next().unwrap_or_else(|| "simulator-data".into());
    let mut config = SimulatorConfig::new(data_dir);
    if let Some(ms) = arguments.next().and_then(|text| text.parse().ok()) {
        config.read_delay = Duration::from_millis(ms);
    }
    let simulator = Simulator::open(config).await?;
    let listener = tokio::net::TcpListener::bind(&address).await?;
    let address = listener.local_addr()?;
    println!("ws://{address}/ws/chat");
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, simulator.router()).with_graceful_shutdown(stop).await?;
    simulator.shutdown().await;
    Ok(())
}
