//! One format for webhooks: where the event is kept for the receiver, the secret beside it.

use domain::ports::{EventFormats, FormatRules, WebhookRequest};
use domain::webhook::{Event, EventKind, FormatName, SigningSecrets};
use jiff::Timestamp;
use parking_lot::Mutex;

/// Knows the format `gerbang`, signed with the secret itself, and `shapeless`, which has no event.
#[derive(Default)]
pub struct PlainFormat(Mutex<Vec<Event>>);

impl PlainFormat {
    /// The event a body stands for.
    ///
    /// # Panics
    /// This format has not encoded that body.
    pub fn event(&self, body: &[u8]) -> Event {
        let text = std::str::from_utf8(body).expect("a text");
        let index: usize = text.parse().expect("a number");
        self.0.lock()[index].clone()
    }

    fn keep(&self, event: &Event) -> Vec<u8> {
        let mut events = self.0.lock();
        events.push(event.clone());
        (events.len() - 1).to_string().into_bytes()
    }
}

impl EventFormats for PlainFormat {
    fn all(&self) -> Vec<FormatRules> {
        let gerbang = FormatRules {
            name: "gerbang",
            events: &EventKind::ALL,
            needs_challenge: false,
            shares_secret: false,
            secret_prefix: "whsec_",
        };
        vec![gerbang, FormatRules { name: "shapeless", events: &[], ..gerbang }]
    }

    fn encode(
        &self,
        format: &FormatName,
        url: &str,
        event: &Event,
        secrets: SigningSecrets<'_>,
        _: Timestamp,
    ) -> Option<WebhookRequest> {
        (format.0 == "gerbang").then(|| WebhookRequest {
            url: url.to_owned(),
            content_type: "text/plain",
            headers: vec![("webhook-id", event.id.clone()), ("secret", secrets.current.to_owned())],
            body: self.keep(event),
        })
    }
}
