//! The shapes in which events are told: our own, and those of the dialects.

use domain::ports::{EventFormats, FormatRules, WebhookRequest};
use domain::webhook::{Event, FormatName};
use jiff::Timestamp;

use crate::dialects;
use crate::native;

/// One shape.
pub struct Format {
    /// What it can tell, and how it is set up.
    pub rules: FormatRules,
    /// An event in this shape; `None` when it has none for it.
    pub encode: fn(&Telling<'_>) -> Option<WebhookRequest>,
}

/// What is to be told, to whom.
pub struct Telling<'a> {
    /// Where to.
    pub url: &'a str,
    /// What.
    pub event: &'a Event,
    /// What it is signed with.
    pub secret: &'a str,
    /// When it is sent.
    pub now: Timestamp,
}

/// All shapes of this crate.
pub struct Formats;

impl Formats {
    fn every() -> impl Iterator<Item = &'static Format> {
        let of_dialects = dialects::ALL.iter().filter_map(|dialect| dialect.format);
        std::iter::once(&native::webhook_format::FORMAT).chain(of_dialects)
    }
}

impl EventFormats for Formats {
    fn all(&self) -> Vec<FormatRules> {
        Self::every().map(|format| format.rules).collect()
    }

    fn encode(
        &self,
        format: &FormatName,
        url: &str,
        event: &Event,
        secret: &str,
        now: Timestamp,
    ) -> Option<WebhookRequest> {
        let format = Self::every().find(|known| known.rules.name == format.0)?;
        (format.encode)(&Telling { url, event, secret, now })
    }
}
