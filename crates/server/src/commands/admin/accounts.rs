//! `gerbang admin accounts`.

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::json;

use super::{Running, table};
use crate::commands::print;
use crate::config::Flags;

const COLUMNS: [&str; 5] = ["id", "email", "plan", "name", "created_at"];

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
    /// Create an account and print its first key, once
    Create {
        /// Its e-mail address
        email: String,
        /// Its name [default: the address]
        #[arg(long)]
        name: Option<String>,
        /// Its plan [default: free]
        #[arg(long)]
        plan: Option<String>,
    },
    /// Give an account another plan
    SetPlan {
        /// The account's id
        id: i64,
        /// The plan's name
        plan: String,
    },
    /// Delete an account with everything it has
    Delete {
        /// The account's id
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
        None => table(&COLUMNS, &running.all("/v1/accounts").await?),
        Some(Change::Create { email, name, plan }) => {
            let name = name.unwrap_or_else(|| email.clone());
            let mut body = json!({ "name": name, "email": email });
            if let Some(plan) = plan {
                body["plan"] = plan.into();
            }
            let made = running.ask("POST", "/v1/accounts", Some(&body)).await?;
            let key = made["key"].as_str().context("the gateway answers without a key")?;
            format!("Account {}. Its key is shown only now: {key}\n", made["id"])
        }
        Some(Change::SetPlan { id, plan }) => {
            let body = json!({ "plan": plan });
            running.ask("PATCH", &format!("/v1/accounts/{id}"), Some(&body)).await?;
            format!("Account {id} has the plan {plan} from now on.\n")
        }
        Some(Change::Delete { id }) => {
            running.ask("DELETE", &format!("/v1/accounts/{id}"), None).await?;
            format!("Account {id} is deleted.\n")
        }
    };
    print(&text)
}
