//! Between this dialect's words and the core's. Pure.

use std::collections::HashSet;

use domain::chat::ChatId;
use domain::content::{Content, ContentKind, ContentRequest};
use domain::media::{FileRequest, MediaSource};
use domain::message::{BATCH_MESSAGES_MAX, Message, MessageState, RECEIVERS_GIVEN_MAX};
use domain::phone::Recipient;
use domain::service::{SendRequest, SendingDevice};
use serde_json::{Map, Value, json};

use super::types::{SentBody, SentData, SentKey};
use crate::api_error::ApiError;
use crate::fields::BooleanField;

/// What separates several receivers.
const SEPARATOR: char = '|';
/// The types of media, and what each is sent as: its kind, and the MIME type where the name says it.
const TYPES: [(&str, ContentKind, Option<&str>); 10] = [
    ("image", ContentKind::Image, None),
    ("video", ContentKind::Video, None),
    ("audio", ContentKind::Audio, None),
    ("pdf", ContentKind::Document, Some("application/pdf")),
    ("xls", ContentKind::Document, Some("application/vnd.ms-excel")),
    (
        "xlsx",
        ContentKind::Document,
        Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ),
    ("doc", ContentKind::Document, Some("application/msword")),
    (
        "docx",
        ContentKind::Document,
        Some("application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ),
    ("zip", ContentKind::Document, Some("application/zip")),
    ("document", ContentKind::Document, None),
];

/// Reads what is to be sent of `/send-media`.
///
/// # Errors
/// [`InvalidType`].
pub(super) fn media(
    media_type: &str,
    url: &str,
    caption: Option<&str>,
    ppt: Option<BooleanField>,
) -> Result<ContentRequest, InvalidType> {
    let named = media_type.trim().to_ascii_lowercase();
    let known = TYPES.iter().find(|(name, ..)| *name == named);
    let &(_, kind, mimetype) = known.ok_or(InvalidType)?;
    let is_voice = ppt.is_some_and(|ppt| ppt.0) && kind == ContentKind::Audio;
    let has_caption = matches!(kind, ContentKind::Image | ContentKind::Video);
    Ok(Content::File(FileRequest {
        kind: Some(if is_voice { ContentKind::Voice } else { kind }),
        mimetype: mimetype.map(str::to_owned),
        caption: caption.filter(|_| has_caption).unwrap_or_default().into(),
        ..FileRequest::new(MediaSource::Url(url.trim().to_owned()))
    }))
}

/// A type of media that this API does not have.
pub(super) struct InvalidType;

impl InvalidType {
    /// The text of the error.
    pub(super) fn message() -> String {
        let names = TYPES.map(|(name, ..)| name);
        format!("Invalid media type! Allowed types: {}", names.join(", "))
    }
}

/// One request for each receiver, each receiver once.
///
/// # Errors
/// [`ApiError::Field`] that names the number that is none.
pub(super) fn commands(
    device: SendingDevice,
    numbers: &str,
    country: &str,
    content: &ContentRequest,
) -> Result<Vec<SendRequest>, ApiError> {
    let given = || numbers.split(SEPARATOR).map(str::trim).filter(|number| !number.is_empty());
    if given().count() > RECEIVERS_GIVEN_MAX {
        let message = format!("must name at most {BATCH_MESSAGES_MAX} receivers");
        return Err(ApiError::field("number", message));
    }
    let (mut chats, mut seen) = (Vec::new(), HashSet::new());
    for number in given() {
        let recipient = Recipient::parse(number, country)
            .map_err(|error| ApiError::field("number", error.to_string()))?;
        let chat = ChatId::from(recipient);
        if seen.insert(chat.clone()) {
            chats.push(chat);
        }
    }
    if chats.is_empty() {
        return Err(ApiError::field("number", "is required"));
    }
    let command = |to: ChatId| SendRequest {
        device: Some(device.clone()),
        to: to.to_string(),
        content: content.clone(),
        ..SendRequest::default()
    };
    Ok(chats.into_iter().map(command).collect())
}

/// The answer to a send; `full` describes the message.
pub(super) fn answer(message: &Message, full: bool) -> SentBody {
    if !full {
        return SentBody { status: true, msg: Some("Message sent successfully!"), data: None };
    }
    let sent_at = message.reached_or_passed(MessageState::Sent).unwrap_or(message.created_at);
    let data = SentData {
        key: SentKey {
            remote_jid: message.chat.to_string(),
            from_me: true,
            id: message.whatsapp_id.to_string(),
        },
        message: content(message),
        timestamp: sent_at.as_second().to_string(),
    };
    SentBody { status: true, msg: None, data: Some(data) }
}

/// What a message carries, as the libraries of the field print it.
fn content(message: &Message) -> Value {
    let kind = message.kind();
    let name = match kind {
        ContentKind::Image => "imageMessage",
        ContentKind::Video => "videoMessage",
        ContentKind::Audio | ContentKind::Voice => "audioMessage",
        ContentKind::Document => "documentMessage",
        _ => return json!({"conversation": message.shown_text()}),
    };
    let media = message.media().cloned().unwrap_or_default();
    let mut fields = Map::new();
    fields.extend(media.url.map(|url| ("url".to_owned(), url.into())));
    fields.extend(media.mimetype.map(|mimetype| ("mimetype".to_owned(), mimetype.into())));
    if !message.text().is_empty() {
        fields.insert("caption".to_owned(), message.text().into());
    }
    if matches!(kind, ContentKind::Audio | ContentKind::Voice) {
        fields.insert("ptt".to_owned(), (kind == ContentKind::Voice).into());
    }
    json!({name: fields})
}

/// The name of a field here, where the core has another.
pub(super) fn field_name(core: &str) -> &str {
    match core {
        "to" | "messages" => "number",
        "text" => "message",
        "media.caption" => "caption",
        "media.url" => "url",
        same => same,
    }
}
