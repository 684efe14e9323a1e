//! Our own shape of events: Standard Webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ports::{FormatRules, WebhookRequest};
use domain::service::OWN_FORMAT;
use domain::webhook::EventKind;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::event_view::EventBody;
use crate::formats::{Format, OutgoingEvent};

/// What a secret of this format begins with; the rest is base64.
const SECRET_PREFIX: &str = "whsec_";

/// See [`Format`].
pub static FORMAT: Format = Format {
    rules: FormatRules {
        name: OWN_FORMAT,
        events: &EventKind::ALL,
        needs_challenge: false,
        shares_secret: false,
        secret_prefix: SECRET_PREFIX,
    },
    encode,
};

fn encode(outgoing: &OutgoingEvent<'_>) -> Option<WebhookRequest> {
    let body = serde_json::to_vec(&EventBody::from(outgoing.event)).ok()?;
    let at = outgoing.now.as_second().to_string();
    let signed = [outgoing.event.id.as_bytes(), b".", at.as_bytes(), b".", &body].concat();
    let mut signature = sign(outgoing.secrets.current, &signed)?;
    if let Some(previous) = outgoing.secrets.previous {
        // A list, as Standard Webhooks has it: the receiver accepts either.
        signature.push(' ');
        signature.push_str(&sign(previous, &signed)?);
    }
    Some(WebhookRequest {
        url: outgoing.url.to_owned(),
        content_type: "application/json",
        headers: vec![
            ("webhook-id", outgoing.event.id.clone()),
            ("webhook-timestamp", at),
            ("webhook-signature", signature),
        ],
        body,
    })
}

fn sign(secret: &str, signed: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(&signing_key(secret)).ok()?;
    mac.update(signed);
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// The bytes after `whsec_`; a secret that a customer chose otherwise signs as it is.
fn signing_key(secret: &str) -> Vec<u8> {
    let encoded = secret.strip_prefix(SECRET_PREFIX);
    encoded.and_then(|text| STANDARD.decode(text).ok()).unwrap_or_else(|| secret.into())
}
