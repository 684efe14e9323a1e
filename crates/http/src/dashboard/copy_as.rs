//! A request to send as code: for our own API and each of the other gateways' formats.

use domain::device::Device;
use maud::{Markup, html};
use serde_json::{Value, json};

const ACCOUNT_KEY: &str = "YOUR_ACCOUNT_KEY";
const DEVICE_TOKEN: &str = "YOUR_DEVICE_TOKEN";

/// A request in one of the formats.
struct Call {
    api: &'static str,
    path: String,
    /// The header that holds the key; none where the body does.
    key: Option<String>,
    body: Value,
}

/// The request in every format.
pub(super) fn blocks(address: &str, device: &Device, to: &str, text: &str) -> Markup {
    let to = match to.lines().next().map(str::trim) {
        Some(first) if !first.is_empty() && to.trim().lines().count() == 1 => first,
        _ => "6281234567890",
    };
    let text = if text.is_empty() { "Hello" } else { text };
    html! {
        @for (n, call) in calls(device, to, text).iter().enumerate() {
            details open[n == 0] {
                summary { (call.api) }
                pre tabindex="0" { code { (call.curl(address)) } }
            }
        }
    }
}

fn calls(device: &Device, to: &str, text: &str) -> Vec<Call> {
    let id = device.id.to_string();
    let phone = device.phone.as_ref().map_or("", |phone| phone.as_str());
    let bearer = |key: &str| Some(format!("Authorization: Bearer {key}"));
    let call = |api, path: &str, key, body| Call { api, path: path.to_owned(), key, body };
    vec![
        call(
            "Gerbang /v1",
            "/v1/messages",
            bearer(ACCOUNT_KEY),
            json!({ "device": id, "to": to, "text": text }),
        ),
        call(
            "wagy",
            &format!("/{id}/send"),
            bearer(DEVICE_TOKEN),
            json!({ "phone": to, "message": text }),
        ),
        call(
            "WAChat",
            "/wachat_api/1.0/message",
            Some(format!("APIKey: {ACCOUNT_KEY}")),
            json!({ "queue": id, "destination": to, "message": text }),
        ),
        call(
            "WAGate",
            "/api/v1/send-message",
            bearer(DEVICE_TOKEN),
            json!({ "recipient": to, "message": text }),
        ),
        call(
            "WAsyik",
            "/api/v2/messaging/whatsapp/send-text",
            bearer(ACCOUNT_KEY),
            json!({ "accountId": id, "to": to, "text": text }),
        ),
        call(
            "MPWA",
            "/send-message",
            None,
            json!({ "api_key": ACCOUNT_KEY, "sender": phone, "number": to, "message": text }),
        ),
    ]
}

impl Call {
    fn curl(&self, address: &str) -> String {
        let key = self.key.as_ref().map(|key| format!(" \\\n  -H '{key}'")).unwrap_or_default();
        // A quote cannot stand inside quotes of a shell.
        let body = self.body.to_string().replace('\'', "'\\''");
        format!(
            "curl {address}{}{key} \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'",
            self.path
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_with_quotes_stays_one_argument() {
        let body = json!({ "text": "it's \"so\" $(id) `x`\n" });
        let call = Call { api: "x", path: "/p".into(), key: Some("K: v".into()), body };
        let expected = "curl http://h/p \\\n  -H 'K: v' \\\n  -H 'Content-Type: application/json' \\\n  \
             -d '{\"text\":\"it'\\''s \\\"so\\\" $(id) `x`\\n\"}'";
        assert_eq!(call.curl("http://h"), expected);
    }
}
