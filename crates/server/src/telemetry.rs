//! Logging to standard error, one line per event, never content or secrets. `docs/logging.md` lists
//! the levels and fields.

use std::io::IsTerminal as _;
use std::str::FromStr;

use anyhow::{Context as _, Result};
use http_api::InRequest;
use serde::Deserialize;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format as line_format;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::exit::Failure;

/// The level without `RUST_LOG`.
const LEVEL_DEFAULT: &str = "info";
/// The targets whose lines a bare level governs; every other one logs errors only.
const OUR_TARGETS: [&str; 10] = [
    "gerbang",
    "domain",
    "engine",
    "store",
    "media",
    "outbound",
    "whatsapp",
    "http_api",
    "access",
    "simulator",
];

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for log collectors.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            // The first release had the level here.
            _ => Err("log must be text or json; the level is set by RUST_LOG"),
        }
    }
}

impl TryFrom<String> for LogFormat {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

/// Starts logging. `level` is the value of `RUST_LOG`: one word for all of our targets, or a whole
/// filter such as `gerbang=info,engine=debug`.
///
/// The protocol library's own lines can hold numbers and stanzas. They stay off at every level,
/// unless a filter names that library.
///
/// # Errors
/// `level` is no filter.
pub fn start(format: LogFormat, level: Option<&str>) -> Result<()> {
    let level = level.unwrap_or(LEVEL_DEFAULT);
    let registry = tracing_subscriber::registry().with(filter(level).context(Failure::SETTINGS)?);
    let started = match format {
        LogFormat::Text => {
            let is_terminal = std::io::stderr().is_terminal();
            let lines = tracing_subscriber::fmt::layer().with_ansi(is_terminal);
            let lines = lines.event_format(InRequest(line_format()));
            registry.with(lines.with_writer(std::io::stderr)).try_init()
        }
        LogFormat::Json => {
            let line = line_format().json();
            let line = line.flatten_event(true).with_current_span(false).with_span_list(true);
            let lines = tracing_subscriber::fmt::layer().json().event_format(InRequest(line));
            registry.with(lines.with_writer(std::io::stderr)).try_init()
        }
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}

fn filter(level: &str) -> Result<Targets> {
    let ours = if level.contains(['=', ',']) {
        level.to_owned()
    } else {
        OUR_TARGETS.map(|target| format!("{target}={level}")).join(",")
    };
    // The parser's own error repeats the whole filter.
    format!("error,{},{ours}", whatsapp::LOG_FILTER).parse().map_err(|_| {
        anyhow::anyhow!(
            "RUST_LOG {level:?} must be off, error, warn, info, debug or trace, \
             or name targets such as gerbang=info,engine=debug"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_governs_our_targets_and_not_the_protocol_library() {
        let filter = filter("debug").unwrap().to_string();
        for ours in OUR_TARGETS {
            assert!(filter.contains(&format!("{ours}=debug")), "{filter}");
        }
        assert!(filter.contains("whatsapp_rust=error"), "{filter}");
    }

    #[test]
    fn a_filter_is_taken_as_it_is_and_nonsense_is_refused() {
        let named = filter("engine=trace,whatsapp_rust=debug").unwrap().to_string();
        assert!(named.contains("engine=trace") && named.contains("whatsapp_rust=debug"), "{named}");
        assert!(!named.contains("store="), "{named}");
        let error = filter("loud").err().unwrap().to_string();
        assert!(error.contains("RUST_LOG") && error.contains("loud"), "{error}");
    }
}
