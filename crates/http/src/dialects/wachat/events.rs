//! The push of incoming messages: a form, as the published receivers read it.

use domain::ports::{FormatRules, WebhookRequest};
use domain::webhook::{EventKind, Subject};
use form_urlencoded::Serializer;

use crate::formats::{Format, OutgoingEvent};

/// See [`Format`]. The published push carries no signature; its secret goes unused.
pub(super) static FORMAT: Format = Format {
    rules: FormatRules {
        name: "wachat",
        events: &[EventKind::MessageReceived],
        needs_challenge: false,
        shares_secret: false,
        secret_prefix: "",
    },
    encode,
};

fn encode(outgoing: &OutgoingEvent<'_>) -> Option<WebhookRequest> {
    let Subject::Message(message) = &outgoing.event.subject else { return None };
    if outgoing.event.kind != EventKind::MessageReceived {
        return None;
    }
    let sender = message.sender.clone().unwrap_or_default();
    let originator = sender
        .phone
        .map(|phone| phone.to_string())
        .or_else(|| sender.lid.map(|lid| lid.to_string()));
    let gateway = outgoing.event.device.phone.as_ref();
    let mut form = Serializer::new(String::new());
    form.append_pair("id", &message.id.to_string())
        .append_pair("gateway_number", gateway.map_or("", |phone| phone.as_str()))
        .append_pair("originator", &originator.unwrap_or_default())
        .append_pair("receive_date", &outgoing.event.at.strftime("%Y-%m-%d %H:%M:%S").to_string())
        .append_pair("msg", &message.content.shown_text());
    if let Some(url) = message.content.media().and_then(|media| media.url.as_deref()) {
        form.append_pair("media_url", url);
    }
    let body = form.finish();
    Some(WebhookRequest {
        url: outgoing.url.to_owned(),
        content_type: "application/x-www-form-urlencoded",
        headers: Vec::new(),
        body: body.into_bytes(),
    })
}
