//! The formats of webhooks: ours and those of the dialects.

use domain::ports::{EventFormats, FormatRules, WebhookRequest};
use domain::webhook::{Event, FormatName};
use jiff::Timestamp;

use crate::api;

/// One format.
pub struct Format {
    /// Its events, and how a webhook of it is set up.
    pub rules: FormatRules,
    /// An event in this format; `None` when it does not have the event.
    pub encode: fn(&OutgoingEvent<'_>) -> Option<WebhookRequest>,
}

/// An event that is about to be posted.
pub struct OutgoingEvent<'a> {
    /// The receiver.
    pub url: &'a str,
    /// What happened.
    pub event: &'a Event,
    /// What it is signed with.
    pub secret: &'a str,
    /// When it is sent.
    pub now: Timestamp,
}

/// All formats of this crate.
pub struct Formats;

impl Formats {
    fn every() -> impl Iterator<Item = &'static Format> {
        api::all().filter_map(|api| api.format)
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
        (format.encode)(&OutgoingEvent { url, event, secret, now })
    }
}
