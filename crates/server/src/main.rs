//! The `gerbang` command: settings, start-up and shutdown. The only place that joins the crates.

mod backup;
mod commands;
mod config;
mod console;
mod exit;
mod gateway;
mod joining;
mod metrics;
mod secret_cipher;
mod secret_key;
mod system;
mod telemetry;
mod terminal;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// A seventh of the processor time of an accepted message; `docs/performance.md` has the figures.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A self-hosted, multi-tenant WhatsApp gateway.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(commands::serve::Args),
    /// Run everything with a simulated WhatsApp: nothing to set up, no phone needed
    #[cfg(feature = "simulator")]
    Demo(commands::demo::Args),
    /// Run the simulated WhatsApp as a server of its own
    #[cfg(feature = "simulator")]
    Simulator(commands::simulator::Args),
    /// Write a backup, beside the gateway that runs or without it
    Backup(commands::backup::BackupArgs),
    /// Restore a backup into an empty data directory
    ///
    /// With PostgreSQL it restores the files of messages and marks the devices, not the database: fill that before, with
    /// pg_restore from the file that pg_dump has written.
    Restore(commands::backup::RestoreArgs),
    /// Move a stopped installation from SQLite to PostgreSQL
    Migrate(commands::migrate::Args),
    /// Look after an installation, on its own machine
    #[command(subcommand)]
    Admin(commands::admin::Action),
    /// Print the OpenAPI document of our own API or of a dialect
    Openapi(commands::openapi::Args),
    /// Print a settings file with every default, commented
    Config,
}

fn main() -> ExitCode {
    // One TLS provider for everything that makes connections; fails only when it is set already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let matches = config::without_empty_variables(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let outcome = match cli.command {
        Command::Serve(args) => commands::run(commands::serve::run(args)),
        #[cfg(feature = "simulator")]
        Command::Demo(args) => commands::run(commands::demo::run(args)),
        #[cfg(feature = "simulator")]
        Command::Simulator(args) => commands::run(commands::simulator::run(args)),
        Command::Backup(args) => commands::run(commands::backup::make(args)),
        Command::Restore(args) => commands::run(commands::backup::restore(args)),
        Command::Migrate(args) => commands::run(commands::migrate::run(args)),
        Command::Admin(action) => commands::run(commands::admin::run(action)),
        Command::Openapi(args) => commands::openapi::run(&args),
        Command::Config => commands::print(config::DEFAULT_TOML),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gerbang: {error:#}");
            exit::code(&error)
        }
    }
}
