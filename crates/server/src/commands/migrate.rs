//! `gerbang migrate`: moves a stopped SQLite installation into an empty PostgreSQL database.

use anyhow::{Context as _, Result};
use uuid::Builder;

use crate::config::{Defaults, Flags, Settings};
use crate::exit::Failure;
use crate::gateway::random;
use crate::system::SystemEntropy;
use crate::telemetry;

/// Flags of `gerbang migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// The empty database; its password may be in PGPASSWORD or ~/.pgpass
    #[arg(long, value_name = "postgres://USER@HOST/NAME")]
    to: String,
}

/// Moves the database.
///
/// # Errors
/// A gateway runs, the target is not empty, or a row cannot be copied: nothing has changed then.
pub async fn run(args: Args) -> Result<()> {
    let settings = Settings::load(args.flags, Defaults::SERVE)?;
    telemetry::start(settings.log, settings.log_level.as_deref())?;
    let Some(source) = store::sqlite_path(&settings.database_url) else {
        return Err(not_sqlite()).context(Failure::SETTINGS);
    };
    let bytes = random(&SystemEntropy);
    let id = Builder::from_random_bytes(bytes[..16].try_into().context("no random bytes")?);
    let moved = store::transfer(source, &args.to, id.into_uuid());
    let moved = super::until_stopped(async { Ok(moved.await?) }).await;
    let moved = moved.context("cannot move the database")?;
    let mut text = String::new();
    for table in &moved.tables {
        let digest = &table.digest[..16];
        text += &format!("{:<20} {:>10} rows  {digest}  equal in both\n", table.name, table.rows);
    }
    if moved.tables.is_empty() {
        text += "Everything had been copied and compared already.\n";
    }
    let from = source.display();
    text += &format!(
        "Moved {from} to {}.\nSet GERBANG_DATABASE_URL to it, and keep the secret key and the media directory. \
         {from} is marked as moved: no gateway starts on it any more.\n",
        moved.to
    );
    super::print(&text)
}

fn not_sqlite() -> anyhow::Error {
    anyhow::anyhow!("the installation is not on SQLite: there is nothing to move")
}
