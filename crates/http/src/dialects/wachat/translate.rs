//! Between this dialect's words and the core's. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::device::Device;
use domain::grant::Quota;
use domain::ids::DeviceId;
use domain::media::{MediaRequest, MediaSource};
use domain::message::{ContentKind, Message, MessageState};
use domain::policy::quota::NO_LIMIT;
use domain::service::SendRequest;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use super::faults::{Fields, fault};
use super::types::{Fault, Gateway, MessageInfo, SentMedia, SentMessage};

/// How long a message may wait when its sender did not say, in seconds.
const TIMEOUT_DEFAULT_S: i64 = 86_400;

/// What both kinds of sends say.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Addressed {
    pub sender: Option<String>,
    pub queue: Option<String>,
    timeout: i64,
    destination: String,
}

/// A request to send, as it was read.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sending {
    pub addressed: Addressed,
    text: String,
    file: Option<File>,
}

#[derive(Debug, Clone, Serialize)]
struct File {
    url: Option<String>,
    #[serde(serialize_with = "as_hash")]
    bytes: Option<Vec<u8>>,
    name: Option<String>,
}

/// A file stands for itself by its hash, where requests are compared.
fn as_hash<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map(|bytes| hex::encode(Sha256::digest(bytes))).serialize(serializer)
}

/// Reads the body of `POST /message`.
///
/// # Errors
/// Every fault of it.
pub(super) fn read_message(bytes: &[u8]) -> Result<Sending, Vec<Fault>> {
    let mut fields = Fields::of(bytes)?;
    let addressed = addressed(&mut fields);
    let text = fields.required("message");
    fields.check()?;
    Ok(Sending { addressed, text, file: None })
}

/// Reads the body of `POST /media`.
///
/// # Errors
/// Every fault of it.
pub(super) fn read_media(bytes: &[u8]) -> Result<Sending, Vec<Fault>> {
    let mut fields = Fields::of(bytes)?;
    let addressed = addressed(&mut fields);
    let text = fields.text("caption").unwrap_or_default();
    let url = fields.text("media_url").filter(|url| !url.is_empty());
    let base64 = fields.text("media_base64").filter(|text| !text.is_empty());
    let name = fields.text("file_name").filter(|name| !name.is_empty());
    let bytes = match (&url, base64) {
        (None, None) => {
            let msg = "media_url or media_base64 is required";
            fields.add(fault("media_url", msg, "value_error.missing"));
            None
        }
        (Some(_), Some(_)) => {
            let msg = "media_url and media_base64 exclude each other";
            fields.add(fault("media_base64", msg, "value_error"));
            None
        }
        (Some(_), None) => None,
        (None, Some(text)) => {
            if name.is_none() {
                let msg = "field required with media_base64";
                fields.add(fault("file_name", msg, "value_error.missing"));
            }
            decode(&mut fields, &text)
        }
    };
    fields.check()?;
    Ok(Sending { addressed, text, file: Some(File { url, bytes, name }) })
}

fn decode(fields: &mut Fields, text: &str) -> Option<Vec<u8>> {
    // What browsers make of a file begins with its type.
    let bare = text.split_once(";base64,").map_or(text, |(_, bare)| bare);
    let decoded = STANDARD.decode(bare.trim());
    if decoded.is_err() {
        fields.add(fault("media_base64", "value is not valid base64", "value_error.base64"));
    }
    decoded.ok()
}

fn addressed(fields: &mut Fields) -> Addressed {
    let not_empty = |text: &String| !text.trim().is_empty();
    let sender = fields.text("sender").filter(not_empty);
    let queue = fields.text("queue").filter(not_empty);
    let timeout = fields.integer("timeout").unwrap_or(TIMEOUT_DEFAULT_S);
    let is_group = fields.flag("is_group");
    let destination = fields.required("destination");
    if !destination.is_empty() && destination.trim().ends_with("@g.us") != is_group {
        let msg = if is_group {
            "must be a group's id, such as 120363000000000000@g.us"
        } else {
            "is a group's id; is_group must be true"
        };
        fields.add(fault("destination", msg, "value_error"));
    }
    Addressed { sender, queue, timeout, destination }
}

/// What the core is asked to do.
pub(super) fn command(device: DeviceId, sending: Sending) -> SendRequest {
    let Sending { addressed, text, file } = sending;
    let media = file.map(|file| MediaRequest {
        source: match (file.url, file.bytes) {
            (Some(url), _) => MediaSource::Url(url),
            (None, bytes) => MediaSource::Inline(bytes.unwrap_or_default()),
        },
        kind: None,
        filename: file.name,
        mimetype: None,
    });
    SendRequest {
        device: Some(device),
        to: addressed.destination,
        text,
        media,
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
        message: message.text.clone(),
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
    use MessageState::{Delivered, Played, Read, Sent};
    let first_of = |states: &[MessageState]| states.iter().find_map(|&s| message.reached(s));
    MessageInfo {
        destination: destination(message),
        sender: device.and_then(number),
        is_group: message.is_in_group(),
        create_date: message.created_at,
        sent_date: first_of(&[Sent, Delivered, Read, Played]),
        read_date: first_of(&[Read, Played]),
        delivered_date: first_of(&[Delivered, Read, Played]),
        ref_no: message.id.to_ref(),
        status: letter(message.state).to_owned(),
        message: (message.kind == ContentKind::Text).then(|| message.text.clone()),
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
    let chat = &message.chat;
    chat.strip_suffix("@s.whatsapp.net").unwrap_or(chat).to_owned()
}

fn caption(message: &Message) -> Option<String> {
    let is_caption = message.kind != ContentKind::Text && !message.text.is_empty();
    is_caption.then(|| message.text.clone())
}

fn url(message: &Message) -> Option<String> {
    message.media.as_ref().and_then(|media| media.url.clone())
}

/// The name of a field here, where the core has another.
pub(super) fn field_name(core: &str) -> &str {
    match core {
        "to" => "destination",
        "text" => "message",
        "expires_in_s" => "timeout",
        "device" => "queue",
        "media.url" => "media_url",
        "media.base64" => "media_base64",
        "media.filename" => "file_name",
        same => same,
    }
}
