//! One format for webhooks: the event as JSON, the secret beside it.

use domain::ports::{EventFormats, FormatRules, WebhookRequest};
use domain::webhook::{Event, EventKind, FormatName};
use jiff::Timestamp;

/// Knows the format `gerbang` only, and signs with the secret itself.
pub struct PlainFormat;

impl EventFormats for PlainFormat {
    fn all(&self) -> Vec<FormatRules> {
        vec![FormatRules {
            name: "gerbang",
            events: &EventKind::ALL,
            needs_challenge: false,
            shares_secret: false,
            secret_prefix: "whsec_",
        }]
    }

    fn encode(
        &self,
        format: &FormatName,
        url: &str,
        event: &Event,
        secret: &str,
        _: Timestamp,
    ) -> Option<WebhookRequest> {
        (format.0 == "gerbang").then(|| WebhookRequest {
            url: url.to_owned(),
            content_type: "application/json",
            headers: vec![("webhook-id", event.id.clone()), ("secret", secret.to_owned())],
            body: serde_json::to_vec(event).expect("an event is JSON"),
        })
    }
}
