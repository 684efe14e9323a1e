//! `gerbang admin nodes`.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::{Value, json};

use super::{Running, table};
use crate::commands::print;
use crate::config::Flags;

const COLUMNS: [&str; 9] =
    ["id", "name", "status", "devices", "capacity", "webhooks", "version", "expires_at", "url"];

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    change: Option<Change>,
}

/// What to change.
#[derive(Debug, Subcommand)]
enum Change {
    /// Have a node hand its devices over to the others and take no new ones
    Drain {
        /// The node's id
        id: i64,
        /// How many devices a second, 1 to 1,000
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        devices_per_s: u32,
    },
    /// Have a drained node take devices again
    Resume {
        /// The node's id
        id: i64,
    },
    /// Take a node off the list that is gone and will not come back
    Remove {
        /// The node's id
        id: i64,
    },
}

/// Does it.
///
/// # Errors
/// No gateway runs here, or it refuses.
pub async fn run(args: Args) -> Result<()> {
    let running = Running::new(args.flags)?;
    let text = match args.change {
        None => listed(&running.ask("GET", "/v1/nodes", None).await?)?,
        Some(Change::Drain { id, devices_per_s }) => {
            let node = drain(&running, id, devices_per_s).await?;
            let (name, devices) = (name_of(&node), &node["devices"]);
            format!("{name} hands its {devices} devices over, {devices_per_s} a second.\n")
        }
        Some(Change::Resume { id }) => {
            let node = drain(&running, id, 0).await?;
            format!("{} takes devices again.\n", name_of(&node))
        }
        Some(Change::Remove { id }) => {
            running.ask("DELETE", &format!("/v1/nodes/{id}"), None).await?;
            format!("Node {id} is removed.\n")
        }
    };
    print(&text)
}

async fn drain(running: &Running, id: i64, devices_per_s: u32) -> Result<Value> {
    let body = json!({ "devices_per_s": devices_per_s });
    running.ask("POST", &format!("/v1/nodes/{id}/drain"), Some(&body)).await
}

fn listed(answer: &Value) -> Result<String> {
    let nodes = answer["data"].as_array().context("the gateway answers without a list")?;
    if nodes.is_empty() {
        return Ok("One process on SQLite: there are no nodes.\n".to_owned());
    }
    Ok(table(&COLUMNS, nodes))
}

fn name_of(node: &Value) -> &str {
    node["name"].as_str().unwrap_or("the node")
}
