//! The formats of webhooks: ours and those of the dialects.

use domain::ports::{EventFormats, FormatRules, WebhookRequest};
use domain::webhook::{Event, FormatName, SigningSecrets};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::Sha256;

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
    pub secrets: SigningSecrets<'a>,
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

/// The signatures of the formats that sign the bare body: one header, and while a secret is being
/// replaced another with what the old one gives, for the first has room for one signature only.
pub fn body_signatures(
    secrets: SigningSecrets<'_>,
    body: &[u8],
    [header, previous_header]: [&'static str; 2],
) -> Option<Vec<(&'static str, String)>> {
    let mut headers = vec![(header, body_signature(secrets.current, body)?)];
    if let Some(previous) = secrets.previous {
        headers.push((previous_header, body_signature(previous, body)?));
    }
    Some(headers)
}

fn body_signature(secret: &str, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(body);
    Some(hex::encode(mac.finalize().into_bytes()))
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
        secrets: SigningSecrets<'_>,
        now: Timestamp,
    ) -> Option<WebhookRequest> {
        let format = Self::every().find(|known| known.rules.name == format.0)?;
        (format.encode)(&OutgoingEvent { url, event, secrets, now })
    }
}
