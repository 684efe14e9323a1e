//! `gerbang admin keys`.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::json;

use super::{Running, table};
use crate::commands::print;
use crate::config::Flags;

const COLUMNS: [&str; 7] =
    ["id", "last_four", "name", "scopes", "device", "expires_at", "last_used_at"];

/// Flags of the command.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// The account's id
    account: i64,
    #[command(subcommand)]
    change: Option<Change>,
}

/// What to change.
#[derive(Debug, Subcommand)]
enum Change {
    /// Create a key and print it, once
    Create {
        /// What it is called
        name: String,
        /// What it may do: read, send, manage [default: all]
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<String>,
        /// When it ends, such as 2027-01-31T00:00:00Z [default: never]
        #[arg(long)]
        expires_at: Option<String>,
    },
    /// Revoke a key, at once
    Revoke {
        /// The key's id
        key: i64,
    },
}

/// Does it.
///
/// # Errors
/// No gateway runs here, or it refuses.
pub async fn run(args: Args) -> Result<()> {
    let running = Running::new(args.flags)?;
    let path = format!("/v1/accounts/{}/keys", args.account);
    let text = match args.change {
        None => table(&COLUMNS, &running.all(&path).await?),
        Some(Change::Create { name, scopes, expires_at }) => {
            let mut body = json!({ "name": name });
            if !scopes.is_empty() {
                body["scopes"] = scopes.into();
            }
            if let Some(at) = expires_at {
                body["expires_at"] = at.into();
            }
            let made = running.ask("POST", &path, Some(&body)).await?;
            let key = made["key"].as_str().context("the gateway answers without a key")?;
            format!("Key {}. It is shown only now: {key}\n", made["id"])
        }
        Some(Change::Revoke { key }) => {
            running.ask("DELETE", &format!("{path}/{key}"), None).await?;
            format!("Key {key} is revoked.\n")
        }
    };
    print(&text)
}
