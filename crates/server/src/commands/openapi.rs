//! `gerbang openapi`: the OpenAPI document of `/v1` or of a dialect.

use anyhow::{Context as _, Result};

/// Flags of `gerbang openapi`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// That of a dialect, such as wagy, instead of our own API's
    #[arg(long, value_name = "NAME")]
    dialect: Option<String>,
    /// The address of the server that the document names
    #[arg(
        long,
        env = "GERBANG_PUBLIC_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    public_url: String,
}

/// Prints the document.
///
/// # Errors
/// There is no such dialect.
pub fn run(args: &Args) -> Result<()> {
    let document = match &args.dialect {
        None => http_api::openapi(),
        Some(name) => http_api::openapi_dialect(name)
            .with_context(|| format!("there is no dialect {name:?}; there are: {}", names()))?,
    };
    let document = http_api::openapi_at(&args.public_url, document);
    let text = document.to_pretty_json().context("cannot write the document")?;
    super::print(&format!("{text}\n"))
}

fn names() -> String {
    http_api::dialects::names().collect::<Vec<_>>().join(", ")
}
