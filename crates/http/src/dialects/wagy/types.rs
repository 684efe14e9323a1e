//! The bodies on the wire, to the field name and type.

use std::borrow::Cow;

use domain::policy::quota::QuotaKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::fields::{PhoneField, TimeField};
use crate::optional::optional;

/// `POST /{device_id}/send`. Fields this API does not have are ignored, as the original does.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WagySendRequest)]
pub(super) struct SendBody {
    /// The receiver: a phone number as text or integer, or a group's id.
    #[schema(value_type = String)]
    pub phone: PhoneField,
    /// The text; the caption when media is sent.
    pub message: String,
    /// Public URL of a file; it is downloaded when the message is delivered.
    #[serde(default, deserialize_with = "optional")]
    pub media_url: Option<String>,
    /// `image`, `video`, `audio` or `document`; detected when left out. Needs `media_url`.
    #[serde(default, deserialize_with = "optional")]
    pub media_type: Option<String>,
    /// Seconds between attempts, at least 1.
    #[serde(default, deserialize_with = "optional")]
    pub retry_interval: Option<i64>,
    /// Seconds until the message expires, at least 1.
    #[serde(default, deserialize_with = "optional")]
    pub expires_in: Option<i64>,
    /// When the message expires (RFC 3339); wins over `expires_in`.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional")]
    pub expires_at: Option<TimeField>,
}

/// What was read.
#[derive(Serialize, ToSchema)]
pub(super) struct Found<T> {
    /// `success`.
    pub status: &'static str,
    /// What was asked for.
    pub data: T,
}

/// What was done.
#[derive(Serialize, ToSchema)]
pub(super) struct Done<T> {
    /// `success`.
    pub status: &'static str,
    /// The result.
    pub data: T,
    /// In words.
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

/// A device's state.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyStatus)]
pub(super) struct StatusData<'a> {
    /// Its id.
    pub device_id: Uuid,
    /// Whether it is paired with a number.
    pub paired: bool,
    /// Whether it takes messages; the same here.
    pub active: bool,
    /// Whether it is connected to WhatsApp now.
    pub connected: bool,
    /// Whether WhatsApp knows it; the same as `paired` here.
    pub logged_in: bool,
    /// Its number; null before it was first paired.
    pub user: Option<&'a str>,
    /// Whose it is.
    pub owner: OwnerData<'a>,
}

/// Whose a device is.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyOwner)]
pub(super) struct OwnerData<'a> {
    /// The account's e-mail address.
    pub email: &'a str,
    /// The device's number: accounts have none of their own.
    pub whatsapp: Option<&'a str>,
    /// When the device was last known to be connected.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_active_at: Option<Timestamp>,
    /// When the account was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What may still be sent.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyQuota)]
pub(super) struct QuotaData {
    /// The device.
    pub device_id: Uuid,
    /// The plan's messages, in the account's calendar month.
    pub free: FreeData,
    /// Messages granted to the device and to the account; spent first.
    pub pro: ProData,
}

/// The plan's messages.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyFreeQuota)]
pub(super) struct FreeData {
    /// Of a month; 2147483647 where the plan sets no limit.
    pub monthly_limit: i64,
    /// Used in this month.
    pub used: i64,
    /// Left in this month; 2147483647 where the plan sets no limit.
    pub remaining: i64,
}

/// Messages granted.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyProQuota)]
pub(super) struct ProData {
    /// Granted.
    pub total: i64,
    /// Used.
    pub used: i64,
    /// Left.
    pub remaining: i64,
    /// When what is left is void; null for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
}

/// `POST /{device_id}/redeem`.
#[derive(Deserialize, ToSchema)]
#[schema(as = WagyRedeemRequest)]
pub(super) struct RedeemBody {
    /// The voucher's code.
    pub code: String,
}

/// What a voucher brought.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyRedeemed)]
pub(super) struct RedeemedData {
    /// The messages of the voucher.
    pub messages: i64,
    /// What is left of all that was granted.
    pub remaining: i64,
}

/// A QR.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyQr)]
pub(super) struct QrData {
    /// A `data:` URL of a PNG; null when the device is paired already.
    pub qr_code: Option<String>,
}

/// A page of messages, newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyMessages)]
pub(super) struct MessagesBody<'a> {
    /// `success`.
    pub status: &'static str,
    /// The messages.
    pub data: Vec<MessageRow<'a>>,
    /// Which page this is.
    pub pagination: Pagination,
}

/// Which page of how many messages.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyPagination)]
pub(super) struct Pagination {
    /// The page, from 1.
    pub page: u32,
    /// Messages of a page.
    pub limit: u32,
    /// Messages on all pages.
    pub total: i64,
}

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = WagyMessage)]
pub(super) struct MessageRow<'a> {
    /// The `message_id` of the send.
    pub id: i64,
    /// The number or group it goes to.
    pub recipient: &'a str,
    /// The text or the caption.
    pub message: Cow<'a, str>,
    /// Where its file is downloaded from.
    pub media_url: Option<&'a str>,
    /// `image`, `video`, `audio` or `document`; null without a file.
    pub media_type: Option<&'static str>,
    /// `PENDING`, `SENT`, `DELIVERED`, `READ`, `FAILED`, `EXPIRED` or `CANCELLED`.
    pub status: &'static str,
    /// Why it failed.
    pub error: Option<&'a str>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When WhatsApp took it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_at: Option<Timestamp>,
    /// When it reached the phone.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivered_at: Option<Timestamp>,
    /// When it was read.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub read_at: Option<Timestamp>,
}

/// The filters of `GET /{device_id}/messages`, as they come.
#[derive(Default, Deserialize)]
pub(super) struct MessageQuery {
    #[serde(default, deserialize_with = "optional")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub recipient: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub start_date: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub end_date: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub page: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub limit: Option<String>,
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
