//! The bodies on the wire, to the field name and type. Every field of a request may be missing: one
//! answer names all that is required.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::fields::{BooleanField, DeviceField, IntegerField, PhoneField};
use crate::optional::optional;

/// The body of `POST /api/v1/send-message`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WagateSendMessage)]
pub(super) struct MessageFields {
    /// The receiver: a phone number as text or integer, or a group's id.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub recipient: Option<PhoneField>,
    /// The text, of at most 5,000 characters.
    #[schema(required, value_type = String, min_length = 1, max_length = 5_000)]
    #[serde(default, deserialize_with = "optional")]
    pub message: Option<String>,
    /// Whether the receiver first sees that somebody types; true unless said otherwise.
    #[schema(value_type = Option<bool>)]
    #[serde(default, deserialize_with = "optional")]
    pub show_typing: Option<BooleanField>,
    /// Through which device: its id or its `number_id`. Only an account key of several devices needs
    /// it.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    pub device_id: Option<DeviceField>,
}

/// The body of `POST /api/v1/send-media`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WagateSendMedia)]
pub(super) struct MediaFields {
    /// The receiver: a phone number as text or integer, or a group's id.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub recipient: Option<PhoneField>,
    /// Where the file is: an absolute `http` or `https` URL.
    #[schema(required, value_type = String)]
    #[serde(default, deserialize_with = "optional")]
    pub media_url: Option<String>,
    /// `image`, `video`, `audio` or `document`; detected when left out.
    #[serde(default, deserialize_with = "optional")]
    pub media_type: Option<String>,
    /// The text that goes with the file.
    #[serde(default, deserialize_with = "optional")]
    pub caption: Option<String>,
    /// Through which device: its id or its `number_id`. Only an account key of several devices needs
    /// it.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    pub device_id: Option<DeviceField>,
}

/// The query of every call.
#[derive(Deserialize)]
pub(super) struct DeviceQuery {
    #[serde(default, deserialize_with = "optional")]
    pub device_id: Option<DeviceField>,
}

/// The query of `GET /api/v1/messages`.
#[derive(Deserialize)]
pub(super) struct MessagesQuery {
    #[serde(default, deserialize_with = "optional")]
    pub limit: Option<IntegerField>,
    #[serde(default, deserialize_with = "optional")]
    pub page: Option<IntegerField>,
    #[serde(default, deserialize_with = "optional")]
    pub status: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    pub device_id: Option<DeviceField>,
}

/// The answer to a send.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateSent)]
pub(super) struct SentBody {
    /// True.
    pub success: bool,
    /// `Message sent successfully` or `Media message sent successfully`.
    pub message: &'static str,
    /// The message.
    pub data: SentData,
}

/// A message that was sent.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateSentMessage)]
pub(super) struct SentData {
    /// Its id on WhatsApp.
    pub message_id: String,
    /// When it was sent, in seconds since 1970; the present time when it still waits.
    pub timestamp: i64,
}

/// The answer of `GET /api/v1/device`.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateDeviceAnswer)]
pub(super) struct DeviceBody {
    /// True.
    pub success: bool,
    /// The device.
    pub data: DeviceData,
}

/// A device, and whose it is.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateDeviceData)]
pub(super) struct DeviceData {
    /// The device.
    pub device: DeviceInfo,
    /// Whose it is.
    pub user: User,
    /// What that customer may do.
    pub subscription: Subscription,
    /// What the device has done.
    pub statistics: Statistics,
}

/// A device.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateDevice)]
pub(super) struct DeviceInfo {
    /// Its `number_id`.
    pub id: i64,
    /// What its owner calls it.
    pub name: String,
    /// The number it is, or last was, paired with.
    #[schema(required)]
    pub phone_number: Option<String>,
    /// `connected`, `disconnected`, `connecting`, `pairing`, `unpaired` or `logged_out`.
    pub status: &'static str,
    /// When it last connected.
    #[schema(required, format = DateTime)]
    pub connected_at: Option<String>,
    /// When it was last known to be connected: now, when it is.
    #[schema(required, format = DateTime)]
    pub last_seen: Option<String>,
}

/// A customer.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateUser)]
pub(super) struct User {
    /// The account's name.
    pub name: String,
    /// Its e-mail address.
    pub email: String,
}

/// What a customer may do; 2147483647 where there is no limit.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateSubscription)]
pub(super) struct Subscription {
    /// The plan's name.
    pub package: String,
    /// The month's messages of the plan, and those granted.
    pub message_quota: i64,
    /// How many more messages are accepted now.
    pub message_remaining: i64,
    /// Most devices of the account.
    pub device_limit: i64,
    /// Null: plans do not end by themselves.
    #[schema(required, format = Date)]
    pub end_date: Option<String>,
    /// False: there are no trials.
    pub is_trial: bool,
}

/// Messages of a device, counted.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateStatistics)]
pub(super) struct Statistics {
    /// Messages that WhatsApp has.
    pub total_sent: i64,
    /// Messages that failed, expired or were cancelled.
    pub total_failed: i64,
    /// Messages that WhatsApp has, in the account's current day.
    pub today_sent: i64,
}

/// The answer of `GET /api/v1/messages`.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateMessages)]
pub(super) struct MessagesBody {
    /// True.
    pub success: bool,
    /// The messages, newest first.
    pub data: Vec<MessageRow>,
    /// Which of them these are.
    pub pagination: Pagination,
}

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateMessage)]
pub(super) struct MessageRow {
    /// Its id.
    pub id: i64,
    /// The receiver's number, or a group's id.
    pub recipient: String,
    /// The text; the caption of a file.
    pub message: String,
    /// `sent`, `failed` or `pending`.
    pub status: &'static str,
    /// When it was accepted.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it was sent.
    #[schema(required, format = DateTime)]
    pub sent_at: Option<String>,
}

/// The position in a list.
#[derive(Serialize, ToSchema)]
#[schema(as = WagatePagination)]
pub(super) struct Pagination {
    /// The page's number, from 1.
    pub current_page: u32,
    /// How many pages there are; 1 when there are no messages.
    pub total_pages: i64,
    /// Most messages of a page.
    pub per_page: u32,
    /// How many messages there are.
    pub total: i64,
}

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = WagateError)]
pub(super) struct ErrorBody {
    /// False.
    pub success: bool,
    /// What is wrong.
    pub message: String,
    /// What is left of the quota, when it does not suffice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_quota: Option<i64>,
}
