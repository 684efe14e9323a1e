//! Events as receivers of this API read them, signed with `X-Wagy-Signature`.

use std::borrow::Cow;

use domain::chat::{ChatId, Lid};
use domain::content;
use domain::message::Direction;
use domain::ports::{FormatRules, WebhookRequest};
use domain::webhook::{Event, EventKind, EventMessage, EventStatus, Subject};
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::translate::media_type;
use crate::formats::{Format, OutgoingEvent, body_signatures};

/// The header that holds the signature, and the one for the old secret's while it is being replaced.
const SIGNATURES: [&str; 2] = ["x-wagy-signature", "x-wagy-signature-previous"];

/// See [`Format`].
pub(super) static FORMAT: Format = Format {
    rules: FormatRules {
        name: "wagy",
        events: &[
            EventKind::MessageReceived,
            EventKind::MessageEdited,
            EventKind::MessageSent,
            EventKind::MessageDelivered,
            EventKind::MessageRead,
            EventKind::DeviceConnected,
            EventKind::DeviceDisconnected,
            EventKind::DeviceLoggedOut,
            EventKind::DevicePaired,
        ],
        needs_challenge: true,
        shares_secret: false,
        secret_prefix: "",
    },
    encode,
};

#[derive(Serialize)]
struct Body<'a> {
    event: &'static str,
    source: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    /// The message's id; of a device's event its `number_id`.
    id: i64,
    device_id: Uuid,
    owner_jid: Option<ChatId>,
    content: Content<'a>,
    created_at: Timestamp,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Message(MessageContent<'a>),
    Device(DeviceContent<'a>),
}

#[derive(Serialize)]
struct MessageContent<'a> {
    /// The other side's number: the sender's or the recipient's.
    pn_jid: Option<ChatId>,
    /// WhatsApp's other name for that number.
    lid_jid: Option<&'a Lid>,
    content: Cow<'a, str>,
    /// Where the file that came in is fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    media_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_type: Option<&'static str>,
    message_id: &'a str,
    timestamp: Timestamp,
    is_edit: bool,
}

#[derive(Serialize)]
struct DeviceContent<'a> {
    status: &'static str,
    reason: Option<&'a str>,
    timestamp: Timestamp,
}

fn encode(outgoing: &OutgoingEvent<'_>) -> Option<WebhookRequest> {
    let event = outgoing.event;
    let body = Body { event: event_name(event)?, source: "whatsapp", data: data(event)? };
    let body = serde_json::to_vec(&body).ok()?;
    Some(WebhookRequest {
        url: outgoing.url.to_owned(),
        content_type: "application/json",
        headers: body_signatures(outgoing.secrets, &body, SIGNATURES)?,
        body,
    })
}

/// What the event is called here; `None` for what this format has no event for.
fn event_name(event: &Event) -> Option<&'static str> {
    if !FORMAT.rules.events.contains(&event.kind) {
        return None;
    }
    let Subject::Message(message) = &event.subject else { return Some("device.status_update") };
    match event.kind {
        // Our own edit is a message of its own, and a place that moves is no edit.
        EventKind::MessageEdited => {
            let is_edit = message.context.changes.edited_at.is_some();
            (is_edit && message.direction == Direction::In)
                .then_some(EventKind::MessageReceived.as_str())
        }
        _ if message.content == content::Content::Revoke => None,
        kind => Some(kind.as_str()),
    }
}

fn data(event: &Event) -> Option<Data<'_>> {
    let device = &event.device;
    let owner_jid = device.phone.clone().map(ChatId::Person);
    let (id, content, created_at) = match &event.subject {
        Subject::Message(message) => {
            (message.id.0, Content::Message(message_content(message, event)), message.created_at)
        }
        Subject::Device(status) => {
            (device.number_id.0, Content::Device(device_content(status, event)), event.at)
        }
        Subject::Contact(_) | Subject::Call(_) | Subject::Group(_) => return None,
    };
    Some(Data { id, device_id: device.id.0, owner_jid, content, created_at })
}

fn message_content<'a>(message: &'a EventMessage, event: &Event) -> MessageContent<'a> {
    let sender = message.sender.as_ref();
    let phone = sender.and_then(|sender| sender.phone.as_ref());
    let is_incoming = matches!(event.kind, EventKind::MessageReceived | EventKind::MessageEdited);
    let is_own_edit = matches!(message.content, content::Content::Edit(_));
    // An edit is about the message whose text it changes.
    let edited = message.context.reply_to.as_ref().filter(|_| is_own_edit);
    let media = message.content.media().filter(|_| is_incoming);
    let media_url = media.and_then(|media| media.url.as_deref());
    MessageContent {
        pn_jid: match is_incoming {
            true => phone.cloned().map(ChatId::Person),
            false => Some(message.chat.clone()),
        },
        lid_jid: sender.and_then(|sender| sender.lid.as_ref()),
        content: message.content.shown_text(),
        media_url,
        media_type: media_url.map(|_| media_type(message.content.kind())),
        message_id: edited.map_or(&message.whatsapp_id, |edited| &edited.whatsapp_id).as_str(),
        timestamp: event.at,
        is_edit: is_own_edit || event.kind == EventKind::MessageEdited,
    }
}

fn device_content<'a>(status: &'a EventStatus, event: &Event) -> DeviceContent<'a> {
    DeviceContent {
        status: status.status.as_str(),
        reason: status.reason.as_deref(),
        timestamp: event.at,
    }
}
