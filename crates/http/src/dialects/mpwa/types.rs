//! The bodies on the wire, to the field name and type. Every field may be missing: who calls is found
//! out first, and one answer names all that is missing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fields::{BooleanField, PhoneField};
use crate::optional::optional;

/// The fields of `/send-message`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = MpwaSendMessage)]
pub(super) struct MessageFields {
    /// An account key, or the token of the device.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub api_key: Option<String>,
    /// The phone number of the device.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub sender: Option<PhoneField>,
    /// The receiver; several are separated by `|`.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub number: Option<PhoneField>,
    /// The text.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub message: Option<String>,
    /// 1 for a longer answer that describes the message.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    pub full: Option<BooleanField>,
}

/// The fields of `/send-media`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = MpwaSendMedia)]
pub(super) struct MediaFields {
    /// An account key, or the token of the device.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub api_key: Option<String>,
    /// The phone number of the device.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub sender: Option<PhoneField>,
    /// The receiver; several are separated by `|`.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub number: Option<PhoneField>,
    /// `image`, `video`, `audio`, `pdf`, `xls`, `xlsx`, `doc`, `docx`, `zip` or `document`.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub media_type: Option<String>,
    /// A direct link to the file.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub url: Option<String>,
    /// The text under an image or a video.
    #[serde(default, deserialize_with = "optional")]
    pub caption: Option<String>,
    /// Whether audio goes as a voice note.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    pub ppt: Option<BooleanField>,
    /// 1 for a longer answer that describes the message.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    pub full: Option<BooleanField>,
}

/// The answer to a send.
#[derive(Serialize, ToSchema)]
#[schema(as = MpwaSent)]
pub(super) struct SentBody {
    /// True.
    pub status: bool,
    /// `Message sent successfully!`; not with `full=1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub msg: Option<&'static str>,
    /// The message; only with `full=1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<SentData>,
}

/// A message that was sent.
#[derive(Serialize, ToSchema)]
#[schema(as = MpwaSentMessage)]
pub(super) struct SentData {
    /// The message's id.
    pub key: SentKey,
    /// What it carries, as in WhatsApp's protocol.
    #[schema(value_type = Object)]
    pub message: serde_json::Value,
    /// When it was sent, in seconds since 1970.
    #[serde(rename = "messageTimestamp")]
    pub timestamp: String,
}

/// A message's id.
#[derive(Serialize, ToSchema)]
#[schema(as = MpwaMessageKey)]
pub(super) struct SentKey {
    /// The chat.
    #[serde(rename = "remoteJid")]
    pub remote_jid: String,
    /// True.
    #[serde(rename = "fromMe")]
    pub from_me: bool,
    /// The message's id on WhatsApp.
    pub id: String,
}

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = MpwaError)]
pub(super) struct ErrorBody {
    /// False.
    pub status: bool,
    /// What is wrong.
    pub msg: String,
    /// The fields at fault, where there are some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}
