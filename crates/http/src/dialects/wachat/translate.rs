//! Between this dialect's words and the core's. Pure.

use domain::content::{Content, ContentKind};
use domain::device::Device;
use domain::grant::Quota;
use domain::media::{FileRequest, MediaSource};
use domain::message::{Message, MessageState};
use domain::phone::Recipient;
use domain::policy::quota::NO_LIMIT;
use domain::ports::UrlRefusal;
use domain::service::{Core, SendRequest, SendingDevice};
use serde::Serialize;

use super::faults::{Fields, fault};
use super::types::{Gateway, MessageInfo, SentMedia, SentMessage};
use crate::fields::Base64Field;

/// How long a message may wait when its sender did not say, in seconds.
const TIMEOUT_DEFAULT_S: i64 = 86_400;

/// What both kinds of sends say.
#[derive(Serialize)]
pub(super) struct Addressed {
    pub sender: Option<String>,
    pub queue: Option<String>,
    timeout: i64,
    destination: String,
}

/// A request to send, as it was read.
#[derive(Serialize)]
pub(super) struct Sending {
    pub addressed: Addressed,
    text: String,
    file: Option<File>,
}

#[derive(Serialize)]
struct File {
    url: Option<String>,
    bytes: Option<Base64Field>,
    name: Option<String>,
}

impl File {
    fn into_request(self, caption: String) -> FileRequest {
        let (source, mimetype) = match (self.url, self.bytes) {
            (Some(url), _) => (MediaSource::Url(url), None),
            (None, Some(file)) => (MediaSource::Inline(file.bytes), file.mimetype),
            (None, None) => (MediaSource::Inline(Vec::new()), None),
        };
        FileRequest {
            filename: self.name,
            mimetype,
            caption: caption.into(),
            ..FileRequest::new(source)
        }
    }
}

/// Reads the body of `POST /message`; `country` is that of numbers without one.
pub(super) fn read_message(fields: &mut Fields, country: &str) -> Sending {
    let addressed = addressed(fields, country);
    Sending { addressed, text: fields.required("message"), file: None }
}

/// Reads the body of `POST /media`; `core` checks its URL.
pub(super) fn read_media(fields: &mut Fields, country: &str, core: &Core) -> Sending {
    let addressed = addressed(fields, country);
    let text = fields.text("caption").unwrap_or_default();
    let url = fields.filled("media_url");
    let base64 = fields.filled("media_base64");
    let name = fields.filled("file_name");
    let mut bytes = None;
    match (&url, base64) {
        // What is there, but of the wrong type, is not missing.
        (None, None) if fields.is_faulty("media_url") || fields.is_faulty("media_base64") => {}
        (None, None) => {
            let msg = "media_url or media_base64 is required";
            fields.add(fault("media_url", msg, "value_error.missing"));
        }
        (Some(_), Some(_)) => {
            let msg = "media_url and media_base64 exclude each other";
            fields.add(fault("media_base64", msg, "value_error"));
        }
        (Some(url), None) => {
            if let Err(refusal @ (UrlRefusal::Malformed | UrlRefusal::Credentials)) =
                core.check_url(url)
            {
                fields.add(fault("media_url", refusal.to_string(), "value_error"));
            }
        }
        (None, Some(base64)) => {
            if name.is_none() {
                let msg = "field required with media_base64";
                fields.add(fault("file_name", msg, "value_error.missing"));
            }
            bytes = Base64Field::decode(&base64);
            if bytes.is_none() {
                let msg = "value is not valid base64";
                fields.add(fault("media_base64", msg, "value_error.base64"));
            }
        }
    }
    Sending { addressed, text, file: Some(File { url, bytes, name }) }
}

fn addressed(fields: &mut Fields, country: &str) -> Addressed {
    let sender = fields.filled("sender");
    let queue = fields.filled("queue");
    let timeout = fields.integer("timeout").unwrap_or(TIMEOUT_DEFAULT_S);
    if timeout < 1 {
        let msg = "ensure this value is greater than or equal to 1";
        fields.add(fault("timeout", msg, "value_error.number.not_ge"));
    }
    let is_group = fields.flag("is_group");
    let destination = fields.required("destination");
    let msg = match (Recipient::parse(&destination, country), is_group) {
        _ if destination.is_empty() || fields.is_faulty("is_group") => None,
        (Ok(Recipient::Person(_) | Recipient::Lid(_)), false) | (Ok(Recipient::Group(_)), true) => {
            None
        }
        (Ok(Recipient::Group(_)), false) => {
            Some("is a group's id; is_group must be true".to_owned())
        }
        (_, true) => Some("must be a group's id, such as 120363000000000000@g.us".to_owned()),
        (Err(error), false) => Some(error.to_string()),
    };
    if let Some(msg) = msg {
        fields.add(fault("destination", msg, "value_error"));
    }
    Addressed { sender, queue, timeout, destination }
}

/// What the core is asked to do.
pub(super) fn command(device: SendingDevice, sending: Sending) -> SendRequest {
    let Sending { addressed, text, file } = sending;
    let content = match file {
        None => Content::Text(text.into()),
        Some(file) => Content::File(file.into_request(text)),
    };
    SendRequest {
        device: Some(device),
        to: addressed.destination,
        content,
        expires_in_s: Some(addressed.timeout),
        ..SendRequest::default()
    }
}

/// The answer to an accepted text.
pub(super) fn sent_message(device: &Device, message: &Message) -> SentMessage {
    SentMessage {
        sender: number(device),
        queue: device.id.to_string(),
        destination: destination(message),
        message: message.shown_text().into_owned(),
        ref_no: message.id.to_ref(),
    }
}

/// The answer to an accepted file.
pub(super) fn sent_media(device: &Device, message: &Message) -> SentMedia {
    SentMedia {
        sender: number(device),
        queue: device.id.to_string(),
        destination: destination(message),
        caption: caption(message),
        media_url: url(message),
        ref_no: message.id.to_ref(),
    }
}

/// A message and what has become of it; `device` is gone when it was erased.
pub(super) fn info(device: Option<&Device>, message: &Message) -> MessageInfo {
    MessageInfo {
        destination: destination(message),
        sender: device.and_then(number),
        is_group: message.is_in_group(),
        create_date: message.created_at,
        sent_date: message.reached_or_passed(MessageState::Sent),
        read_date: message.reached_or_passed(MessageState::Read),
        delivered_date: message.reached_or_passed(MessageState::Delivered),
        ref_no: message.id.to_ref(),
        status: letter(message.state).to_owned(),
        message: (message.kind() == ContentKind::Text).then(|| message.text().to_owned()),
        caption: caption(message),
        media_url: url(message),
    }
}

fn letter(state: MessageState) -> &'static str {
    use MessageState as S;
    match state {
        S::Scheduled => "U",
        S::Queued | S::Sending => "Q",
        S::Sent => "S",
        S::Delivered => "D",
        S::Read | S::Played => "R",
        S::Failed | S::Expired | S::Cancelled => "A",
    }
}

/// What a device may still send.
pub(super) fn gateway(device: &Device, quota: &Quota) -> Gateway {
    let (granted, granted_used) = quota.granted();
    let limit = quota.plan.messages_per_month.map(|month| month.saturating_add(granted));
    Gateway {
        id_client: device.account_id.0,
        name: device.name.clone(),
        counter: quota.usage.month_used.saturating_add(granted_used),
        limit: limit.unwrap_or(NO_LIMIT).min(NO_LIMIT),
    }
}

fn number(device: &Device) -> Option<String> {
    device.phone.as_ref().map(ToString::to_string)
}

/// The number alone, or a group's whole id.
fn destination(message: &Message) -> String {
    message.chat.short().to_owned()
}

fn caption(message: &Message) -> Option<String> {
    let text = message.shown_text();
    (message.kind() != ContentKind::Text && !text.is_empty()).then(|| text.into_owned())
}

fn url(message: &Message) -> Option<String> {
    message.media().and_then(|media| media.url.clone())
}

/// The name of a field here, where the core has another.
pub(super) fn field_name(core: &str) -> &str {
    match core {
        "to" => "destination",
        "text" => "message",
        "media.caption" => "caption",
        "expires_in_s" => "timeout",
        "device" => "queue",
        "media.url" => "media_url",
        "media.base64" => "media_base64",
        "media.filename" => "file_name",
        same => same,
    }
}
