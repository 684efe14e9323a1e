//! `gerbang admin`: what an operator does to an installation on this machine.

mod accounts;
mod keys;
mod nodes;

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Subcommand;
use serde_json::Value;

use crate::config::{Defaults, Flags, Settings};
use crate::console::{self, Ask};
use crate::gateway::{accept_secret_key, make_setup_link, reset_operator_key};
use crate::secret_key::Accepted;
use crate::telemetry;

/// A gateway that runs with these settings.
struct Running {
    data_dir: PathBuf,
}

impl Running {
    fn new(flags: Flags) -> Result<Self> {
        Ok(Self { data_dir: load(flags)?.data_dir })
    }

    /// Asks it.
    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let answer = console::ask(&self.data_dir, Ask { method, path, body }).await?;
        answer.with_context(|| {
            let data = self.data_dir.display();
            format!(
                "no gateway runs with the data directory {data} on this machine: start it first"
            )
        })
    }

    /// Every row of a list.
    async fn all(&self, path: &str) -> Result<Vec<Value>> {
        let (mut rows, mut page) = (Vec::new(), format!("{path}?limit=100"));
        loop {
            let mut answer = self.ask("GET", &page, None).await?;
            let data =
                answer["data"].as_array_mut().context("the gateway answers without a list")?;
            rows.append(data);
            let Some(cursor) = answer["next_cursor"].as_str() else { return Ok(rows) };
            page = format!("{path}?limit=100&cursor={cursor}");
        }
    }
}

/// A table with a heading; texts as they are, everything else as JSON.
fn table(columns: &[&str], rows: &[Value]) -> String {
    let cell = |row: &Value, column: &str| match &row[column] {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    let heading = columns.iter().map(|&column| column.to_owned()).collect();
    let body = rows.iter().map(|row| columns.iter().map(|column| cell(row, column)).collect());
    let lines: Vec<Vec<String>> = std::iter::once(heading).chain(body).collect();
    let width = |index: usize| lines.iter().map(|line| line[index].chars().count()).max();
    let widths: Vec<usize> = (0..columns.len()).map(|index| width(index).unwrap_or(0)).collect();
    let pad = |(text, width): (&String, &usize)| format!("{text:<width$}");
    lines
        .iter()
        .map(|line| line.iter().zip(&widths).map(pad).collect::<Vec<_>>().join("  "))
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect()
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Make a new operator key and print it, once; the old one is void. The gateway must be stopped
    ResetOperatorKey(Flags),
    /// Take the secret key that is set, or a new one, in place of a lost one. The gateway must be stopped
    AcceptSecretKey(Flags),
    /// Print a link that makes an operator of the dashboard, once, within 24 hours
    SetupLink(Flags),
    /// List the accounts of the running gateway, or change them
    Accounts(accounts::Args),
    /// List the keys of an account of the running gateway, or change them
    Keys(keys::Args),
    /// List the processes that share the database of the running gateway, drain one, or remove one that is gone
    Nodes(nodes::Args),
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
        Action::AcceptSecretKey(flags) => {
            let Accepted { fingerprint, is_changed } = accept_secret_key(&load(flags)?).await?;
            super::print(&match is_changed {
                true => format!(
                    "The secret key is the one with the fingerprint {fingerprint} from now on. Webhooks need new \
                     secrets, and devices their proxies again.\n"
                ),
                false => format!(
                    "Nothing had to be changed: the secret key is the one that the database is used with, with the \
                     fingerprint {fingerprint}.\n"
                ),
            })
        }
        Action::Accounts(args) => accounts::run(args).await,
        Action::Keys(args) => keys::run(args).await,
        Action::Nodes(args) => nodes::run(args).await,
        Action::SetupLink(flags) => {
            let settings = load(flags)?;
            let ask = Ask::new("POST", "/v1/setup-links");
            if let Some(answer) = console::ask(&settings.data_dir, ask).await? {
                let url = answer["url"].as_str().context("the gateway answers without a link")?;
                return super::print(&format!("Open {url}\n"));
            }
            let link = make_setup_link(&settings).await?;
            let base = settings.own_url();
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
