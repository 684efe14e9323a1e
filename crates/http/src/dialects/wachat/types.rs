//! The bodies on the wire, to the field name and type. Requests are read field by field, because one
//! answer names every fault; see `translate.rs`.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A successful answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    /// Always false.
    pub error: bool,
    /// `Data message`.
    pub message: &'static str,
    /// What was asked for.
    pub data: T,
}

/// Whose key it is.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatPerson)]
pub(super) struct Person {
    /// The account's e-mail address.
    pub userid: String,
    /// The account's number.
    #[serde(rename = "idPerson")]
    pub id_person: i64,
    /// The account's number.
    #[serde(rename = "idClient")]
    pub id_client: i64,
}

/// A device and what it may still send.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatGateway)]
pub(super) struct Gateway {
    /// The account's number.
    #[serde(rename = "idClient")]
    pub id_client: i64,
    /// The device's name.
    pub name: String,
    /// Messages used: of the month and of the grants.
    pub counter: i64,
    /// Messages allowed: the plan's of the month and the grants.
    pub limit: i64,
}

/// A text to be sent.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatSendMessage)]
pub(super) struct MessageBody {
    /// The device's phone number.
    sender: Option<String>,
    /// The device's id.
    queue: Option<String>,
    /// Seconds until the message expires.
    #[schema(default = 86400, minimum = 1)]
    timeout: Option<i64>,
    /// Whether the destination is a group.
    #[schema(default = false)]
    is_group: Option<bool>,
    /// A phone number, or a group's id with `is_group`.
    destination: String,
    /// The text.
    message: String,
}

/// A file to be sent: `media_url`, or `media_base64` with `file_name`.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatSendMedia)]
pub(super) struct MediaBody {
    /// The device's phone number.
    sender: Option<String>,
    /// The device's id.
    queue: Option<String>,
    /// Seconds until the message expires.
    #[schema(default = 86400, minimum = 1)]
    timeout: Option<i64>,
    /// Whether the destination is a group.
    #[schema(default = false)]
    is_group: Option<bool>,
    /// A phone number, or a group's id with `is_group`.
    destination: String,
    /// The text under the file.
    caption: Option<String>,
    /// The URL of the file.
    media_url: Option<String>,
    /// The file itself.
    media_base64: Option<String>,
    /// Its name; required with `media_base64`.
    file_name: Option<String>,
}

/// An accepted text.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatSentMessage)]
pub(super) struct SentMessage {
    /// The device's phone number.
    pub sender: Option<String>,
    /// The device's id.
    pub queue: String,
    /// The receiver.
    pub destination: String,
    /// The text.
    pub message: String,
    /// What `GET /status/{message_ref_no}` takes.
    pub ref_no: String,
}

/// An accepted file.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatSentMedia)]
pub(super) struct SentMedia {
    /// The device's phone number.
    pub sender: Option<String>,
    /// The device's id.
    pub queue: String,
    /// The receiver.
    pub destination: String,
    /// The text under the file.
    pub caption: Option<String>,
    /// The URL of the file; null when it came with the request.
    pub media_url: Option<String>,
    /// What `GET /status/{message_ref_no}` takes.
    pub ref_no: String,
}

/// A message and what has become of it.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatMessageInfo)]
pub(super) struct MessageInfo {
    /// The receiver.
    pub destination: String,
    /// The device's phone number.
    pub sender: Option<String>,
    /// Whether the destination is a group.
    pub is_group: bool,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub create_date: Timestamp,
    /// When WhatsApp took it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub sent_date: Option<Timestamp>,
    /// When it was seen.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub read_date: Option<Timestamp>,
    /// When it was on the phone.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delivered_date: Option<Timestamp>,
    /// What this path takes.
    pub ref_no: String,
    /// `U` not being sent yet, `Q` queued, `S` sent, `D` delivered, `R` read, `A` aborted.
    pub status: String,
    /// The text.
    pub message: Option<String>,
    /// The text under the file.
    pub caption: Option<String>,
    /// The URL of the file.
    pub media_url: Option<String>,
}

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatError)]
pub(super) struct ErrorBody {
    /// Always true.
    pub error: bool,
    /// What is wrong.
    pub message: String,
}

/// Faulty parameters.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatValidationError)]
pub(super) struct FaultsBody {
    /// One entry for each.
    pub detail: Vec<Fault>,
}

/// What is answered instead of success: faults with 422, an error with every other status.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = WachatAnyError)]
pub(super) enum AnyError {
    /// An error.
    Error(ErrorBody),
    /// Faulty parameters.
    Faults(FaultsBody),
}

/// A faulty parameter.
#[derive(Serialize, ToSchema)]
#[schema(as = WachatFault)]
pub(super) struct Fault {
    /// Where it is, such as `["body", "destination"]`.
    pub loc: Vec<String>,
    /// What is wrong.
    pub msg: String,
    /// The kind of fault, such as `value_error.missing`.
    #[serde(rename = "type")]
    pub kind: String,
}
