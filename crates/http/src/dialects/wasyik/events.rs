//! Events in the format of this dialect's webhooks, signed as the published check wants it.

use std::borrow::Cow;

use domain::chat::{ChatId, Lid};
use domain::content::Content;
use domain::device::DeviceStatus;
use domain::message::ContentKind;
use domain::ports::{FormatRules, WebhookRequest};
use domain::structured::{AnswerKind, Structured};
use domain::webhook::{Event, EventKind, EventMessage, EventStatus, Subject};
use serde::Serialize;

use super::php_json;
use crate::formats::{Format, OutgoingEvent, body_signatures};
use crate::reply::laravel_time;

/// The header that holds the signature, and the one for the old secret's while it is being replaced.
const SIGNATURES: [&str; 2] = ["x-zuwinda-signature", "x-zuwinda-signature-previous"];
/// What the field's libraries say for a device that was logged out.
const CODE_LOGGED_OUT: u16 = 401;
/// What they say for a connection that was closed for no reason they know.
const CODE_CLOSED: u16 = 428;

/// See [`Format`].
pub(super) static FORMAT: Format = Format {
    rules: FormatRules {
        name: "wasyik",
        events: &[
            EventKind::MessageReceived,
            EventKind::MessageSent,
            EventKind::MessageDelivered,
            EventKind::MessageRead,
            EventKind::MessagePlayed,
            EventKind::DeviceDisconnected,
            EventKind::DeviceLoggedOut,
        ],
        needs_challenge: false,
        shares_secret: true,
        secret_prefix: "",
    },
    encode,
};

fn encode(outgoing: &OutgoingEvent<'_>) -> Option<WebhookRequest> {
    let body = php_json::to_vec(&Body { data: data(outgoing.event)? }).ok()?;
    Some(WebhookRequest {
        url: outgoing.url.to_owned(),
        content_type: "application/json",
        headers: body_signatures(outgoing.secrets, &body, SIGNATURES)?,
        body,
    })
}

#[derive(Serialize)]
struct Body<'a> {
    data: Data<'a>,
}

/// The fields in the order in which they are sent.
#[derive(Serialize)]
#[serde(tag = "event", rename_all_fields = "camelCase")]
enum Data<'a> {
    #[serde(rename = "messaging.whatsapp.message.incoming")]
    Incoming {
        account_id: String,
        #[serde(rename = "whatsapp_number")]
        whatsapp_number: Option<&'a str>,
        from: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        group_id: Option<&'a ChatId>,
        message_type: &'a str,
        text: Text<'a>,
        #[serde(flatten)]
        file: Option<FileFields<'a>>,
        timestamp: String,
    },
    #[serde(rename = "messaging.whatsapp.message.update")]
    Update {
        account_id: String,
        message_id: &'a str,
        remote_jid: &'a ChatId,
        status: &'static str,
        timestamp: String,
    },
    #[serde(rename = "device.disconnected")]
    Disconnected {
        account_id: String,
        #[serde(rename = "whatsapp_number")]
        whatsapp_number: Option<&'a str>,
        reason: u16,
        should_reconnect: bool,
        timestamp: String,
    },
}

#[derive(Serialize)]
struct Text<'a> {
    body: Cow<'a, str>,
}

/// A file that came in, by the names of the fields with which one is sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FileFields<'a> {
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mimetype: Option<&'a str>,
}

impl<'a> FileFields<'a> {
    fn of(message: &'a EventMessage) -> Option<Self> {
        let media = message.content.media()?;
        let url = media.url.as_deref()?;
        let (file_name, mimetype) = (media.filename.as_deref(), media.mimetype.as_deref());
        Some(Self { url, file_name, mimetype })
    }
}

fn data(event: &Event) -> Option<Data<'_>> {
    match &event.subject {
        Subject::Message(message) if event.kind == EventKind::MessageReceived => {
            Some(incoming(event, message))
        }
        Subject::Message(message) => update(event, message),
        Subject::Device(status) => disconnected(event, status),
        Subject::Contact(_) | Subject::Call(_) | Subject::Group(_) => None,
    }
}

fn incoming<'a>(event: &'a Event, message: &'a EventMessage) -> Data<'a> {
    Data::Incoming {
        account_id: event.device.id.to_string(),
        whatsapp_number: whatsapp_number(event),
        from: sender(message),
        group_id: message.chat.is_group().then_some(&message.chat),
        message_type: message_type(&message.content),
        text: Text { body: body(&message.content) },
        file: FileFields::of(message),
        timestamp: laravel_time(event.at),
    }
}

/// The words of a message; of what has no name of ours only what its writer wrote.
fn body(content: &Content) -> Cow<'_, str> {
    match content.structured() {
        Some(Structured::Unnamed(unnamed)) => unnamed.text.as_str().into(),
        _ => content.shown_text(),
    }
}

fn update<'a>(event: &'a Event, message: &'a EventMessage) -> Option<Data<'a>> {
    if message.content.is_change() {
        return None;
    }
    let status = match event.kind {
        EventKind::MessageSent => "sent",
        EventKind::MessageDelivered => "delivered",
        EventKind::MessageRead => "read",
        EventKind::MessagePlayed => "played",
        _ => return None,
    };
    Some(Data::Update {
        account_id: event.device.id.to_string(),
        message_id: &message.whatsapp_id.0,
        remote_jid: &message.chat,
        status,
        timestamp: laravel_time(event.at),
    })
}

fn disconnected<'a>(event: &'a Event, status: &EventStatus) -> Option<Data<'a>> {
    if !matches!(event.kind, EventKind::DeviceDisconnected | EventKind::DeviceLoggedOut) {
        return None;
    }
    let is_logged_out = status.status == DeviceStatus::LoggedOut;
    let unnamed = if is_logged_out { CODE_LOGGED_OUT } else { CODE_CLOSED };
    Some(Data::Disconnected {
        account_id: event.device.id.to_string(),
        whatsapp_number: whatsapp_number(event),
        reason: status.code.unwrap_or(unnamed),
        should_reconnect: status.should_reconnect,
        timestamp: laravel_time(event.at),
    })
}

fn whatsapp_number(event: &Event) -> Option<&str> {
    event.device.phone.as_ref().map(domain::phone::PhoneNumber::as_str)
}

/// The sender's number; for a sender without a visible number the LID.
fn sender(message: &EventMessage) -> &str {
    let address = message.sender.as_ref();
    let phone = address.and_then(|address| address.phone.as_ref()).map(|phone| phone.as_str());
    let lid = || address.and_then(|address| address.lid.as_ref()).map(Lid::as_str);
    phone.or_else(lid).unwrap_or_else(|| message.chat.user())
}

/// The name of the message on the wire, as WhatsApp libraries call it.
fn message_type(content: &Content) -> &str {
    match content {
        Content::Contacts(contacts) if contacts.len() > 1 => return "contactsArrayMessage",
        Content::Structured(structured) => match &**structured {
            Structured::Unnamed(unnamed) => return &unnamed.name,
            Structured::LiveLocation(_) => return "liveLocationMessage",
            Structured::Answer(answer) => return answer_type(answer.kind),
            _ => {}
        },
        _ => {}
    }
    match content.kind() {
        ContentKind::Text => "conversation",
        ContentKind::Image => "imageMessage",
        ContentKind::Video => "videoMessage",
        ContentKind::Audio | ContentKind::Voice => "audioMessage",
        ContentKind::Document => "documentMessage",
        ContentKind::Sticker => "stickerMessage",
        ContentKind::Location => "locationMessage",
        ContentKind::Contact => "contactMessage",
        ContentKind::Poll => "pollCreationMessage",
        ContentKind::Reaction => "reactionMessage",
        ContentKind::PollVote => "pollUpdateMessage",
        ContentKind::Answer => answer_type(AnswerKind::Interactive),
        ContentKind::Order => "orderMessage",
        ContentKind::GroupInvite => "groupInviteMessage",
        ContentKind::Event => "eventMessage",
        ContentKind::Album => "albumMessage",
        ContentKind::Edit | ContentKind::Revoke => "protocolMessage",
        ContentKind::Unreadable | ContentKind::Other => "unknown",
    }
}

fn answer_type(kind: AnswerKind) -> &'static str {
    match kind {
        AnswerKind::Button => "buttonsResponseMessage",
        AnswerKind::List => "listResponseMessage",
        AnswerKind::Template => "templateButtonReplyMessage",
        AnswerKind::Interactive => "interactiveResponseMessage",
    }
}
