//! The bodies on the wire, to the field name and type.

use domain::policy::quota::QuotaKind;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fields::{PhoneField, TimeField};

/// `POST /{device_id}/send`. Fields this API does not have are passed over, as the original does.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WagySendRequest)]
pub(super) struct SendBody {
    /// The receiver: a phone number as text or integer, or a group's id.
    #[schema(value_type = String)]
    pub phone: PhoneField,
    /// The text; the caption when media is sent.
    pub message: String,
    /// Public URL of a file. Not available yet: a request with it is refused.
    pub media_url: Option<String>,
    /// `image`, `video`, `audio` or `document`. Not available yet.
    pub media_type: Option<String>,
    /// Seconds between attempts, at least 1.
    pub retry_interval: Option<i64>,
    /// Seconds until the message expires, at least 1.
    pub expires_in: Option<i64>,
    /// When the message expires (RFC 3339); wins over `expires_in`.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<TimeField>,
}

/// The answer to an accepted send.
#[derive(Serialize, ToSchema)]
#[schema(as = WagySendAnswer)]
pub(super) struct SentBody {
    /// `success`.
    pub status: &'static str,
    /// The message.
    pub data: SentData,
    /// `Message queued`.
    pub message: &'static str,
}

/// An accepted message.
#[derive(Serialize, ToSchema)]
#[schema(as = WagySentMessage)]
pub(super) struct SentData {
    /// Its id.
    pub message_id: i64,
    /// `PENDING`.
    pub status: &'static str,
    /// `pro` or `free`.
    #[schema(value_type = String)]
    pub quota_type: QuotaKind,
    /// What is left of that quota after this message.
    pub remaining: i64,
}

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyError)]
pub(super) struct ErrorBody<'a> {
    /// `error`.
    pub status: &'static str,
    /// What is wrong.
    pub message: &'a str,
    /// The fields at fault, where there are some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}
