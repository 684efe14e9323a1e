//! The bodies on the wire, to the field name and type. Fields that this API does not have are
//! ignored, as the original does.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::openapi::{AllOfBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::message_type::MessageType;
use crate::fields::PhoneField;
use crate::optional::{ListField, optional};

/// A body that names a device.
pub(super) trait NamesDevice: DeserializeOwned + Serialize + Send + 'static {
    /// The device's id, as it was given.
    fn account_id(&self) -> &str;
}

macro_rules! names_device {
    ($($body:ty),*) => {
        $(impl NamesDevice for $body {
            fn account_id(&self) -> &str {
                &self.account_id
            }
        })*
    };
}

names_device!(
    AccountBody,
    MessageBody,
    BroadcastBody,
    TextBody,
    ImageBody,
    DocumentBody,
    GroupBody,
    GroupMediaBody,
    ScheduleBody
);

/// A request that names nothing but a device.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikAccount)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountBody {
    /// The device's id (UUID).
    pub account_id: String,
}

/// `POST /message`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikMessage)]
#[serde(rename_all = "camelCase")]
pub(super) struct MessageBody {
    /// The device's id (UUID).
    pub account_id: String,
    /// The receiver's phone number, as text or integer.
    #[schema(value_type = String)]
    pub to: PhoneField,
    /// `text`, `image`, `video`, `audio` or `document`, in any letter case.
    #[schema(value_type = String)]
    pub message_type: MessageType,
    /// The text; required for `text`, otherwise the caption when `caption` is not given.
    pub content: Option<String>,
    /// Where the file is; required unless the type is `text`.
    #[serde(default, deserialize_with = "optional")]
    pub url: Option<String>,
    /// The name the recipient sees.
    #[serde(default, deserialize_with = "optional")]
    pub file_name: Option<String>,
    /// The file's MIME type; detected when not given.
    #[serde(default, deserialize_with = "optional")]
    pub mimetype: Option<String>,
    /// The caption.
    #[serde(default, deserialize_with = "optional")]
    pub caption: Option<String>,
}

/// `POST /broadcast`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikBroadcast)]
#[serde(rename_all = "camelCase")]
pub(super) struct BroadcastBody {
    /// The device's id (UUID).
    pub account_id: String,
    /// 1 to 1,000 phone numbers; in forms `to[]`.
    #[schema(value_type = Vec<String>)]
    pub to: ListField<PhoneField>,
    /// `text`, `image`, `video`, `audio` or `document`, in any letter case.
    #[schema(value_type = String)]
    pub message_type: MessageType,
    /// The text; required for `text`, otherwise the caption when `caption` is not given.
    pub content: Option<String>,
    /// Where the file is; required unless the type is `text`.
    #[serde(default, deserialize_with = "optional")]
    pub url: Option<String>,
    /// The name the recipients see.
    #[serde(default, deserialize_with = "optional")]
    pub file_name: Option<String>,
    /// The file's MIME type; detected when not given.
    #[serde(default, deserialize_with = "optional")]
    pub mimetype: Option<String>,
    /// The caption.
    #[serde(default, deserialize_with = "optional")]
    pub caption: Option<String>,
}

/// `POST /send-text`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikText)]
#[serde(rename_all = "camelCase")]
pub(super) struct TextBody {
    /// The device's id (UUID).
    pub account_id: String,
    /// The receiver's phone number, as text or integer.
    #[schema(value_type = String)]
    pub to: PhoneField,
    /// The text.
    pub text: String,
}

/// `POST /send-image`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikImage)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageBody {
    /// The device's id (UUID).
    pub account_id: String,
    /// The receiver's phone number, as text or integer.
    #[schema(value_type = String)]
    pub to: PhoneField,
    /// Where the image is.
    pub url: String,
    /// The caption.
    #[serde(default, deserialize_with = "optional")]
    pub caption: Option<String>,
}

/// `POST /send-document`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikDocument)]
#[serde(rename_all = "camelCase")]
pub(super) struct DocumentBody {
    /// The device's id (UUID).
    pub account_id: String,
    /// The receiver's phone number, as text or integer.
    #[schema(value_type = String)]
    pub to: PhoneField,
    /// Where the document is.
    pub url: String,
    /// The name the recipient sees.
    #[serde(default, deserialize_with = "optional")]
    pub file_name: Option<String>,
    /// Its MIME type; detected when not given.
    #[serde(default, deserialize_with = "optional")]
    pub mimetype: Option<String>,
    /// The text under it.
    // What repeated requests are recognised by must stay the same where it is not used.
    #[serde(default, deserialize_with = "optional", skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
}

/// `POST /send-group`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikGroupText)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupBody {
    /// The device's id (UUID).
    pub account_id: String,
    /// The group's id: `…@g.us`.
    pub group_id: String,
    /// The text.
    pub text: String,
}

/// `POST /send-group-media`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikGroupMedia)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupMediaBody {
    /// The device's id (UUID).
    pub account_id: String,
    /// The group's id: `…@g.us`.
    pub group_id: String,
    /// `IMAGE`, `VIDEO` or `DOCUMENT`, in any letter case.
    #[schema(value_type = String)]
    pub message_type: MessageType,
    /// Where the file is.
    pub url: String,
    /// The caption when `caption` is not given.
    pub content: Option<String>,
    /// The name the recipients see.
    #[serde(default, deserialize_with = "optional")]
    pub file_name: Option<String>,
    /// The file's MIME type; detected when not given.
    #[serde(default, deserialize_with = "optional")]
    pub mimetype: Option<String>,
    /// The caption.
    #[serde(default, deserialize_with = "optional")]
    pub caption: Option<String>,
}

/// `POST /schedule`.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = WasyikSchedule)]
#[serde(rename_all = "camelCase")]
pub(super) struct ScheduleBody {
    /// The device's id (UUID).
    pub account_id: String,
    /// The receiver's phone number, as text or integer.
    #[schema(value_type = String)]
    pub to: PhoneField,
    /// `TEXT`, `IMAGE`, `VIDEO` or `DOCUMENT`, in any letter case.
    #[schema(value_type = String)]
    pub message_type: MessageType,
    /// The text; required for `TEXT`, otherwise the caption when `caption` is not given.
    pub content: Option<String>,
    /// When: `YYYY-MM-DD HH:mm:ss` is WIB (UTC+7), RFC 3339 with an offset is what it says.
    #[serde(rename = "scheduled_at")]
    pub scheduled_at: String,
    /// Where the file is; this or `url_file` is required unless the type is `TEXT`.
    #[serde(default, deserialize_with = "optional")]
    pub url: Option<String>,
    /// Another name of `url`.
    #[serde(rename = "url_file")]
    #[serde(default, deserialize_with = "optional")]
    pub url_file: Option<String>,
    /// The name the recipient sees.
    #[serde(default, deserialize_with = "optional")]
    pub file_name: Option<String>,
    /// The file's MIME type; detected when not given.
    #[serde(default, deserialize_with = "optional")]
    pub mimetype: Option<String>,
    /// The caption.
    #[serde(default, deserialize_with = "optional")]
    pub caption: Option<String>,
}

/// The envelope of every answer: `{"data": {"responseCode": "00", …}}`.
#[derive(Serialize)]
pub(super) struct Enveloped<T> {
    data: Coded<T>,
}

#[derive(Serialize)]
struct Coded<T> {
    #[serde(rename = "responseCode")]
    response_code: &'static str,
    #[serde(flatten)]
    rest: T,
}

impl<T> Enveloped<T> {
    /// What a success says.
    pub(super) fn success(rest: T) -> Self {
        Self::coded("00", rest)
    }

    /// What is said under another code.
    pub(super) fn coded(response_code: &'static str, rest: T) -> Self {
        Self { data: Coded { response_code, rest } }
    }
}

// By hand: the derived name would be the same for every answer.
impl<T: ToSchema> ToSchema for Enveloped<T> {
    fn name() -> Cow<'static, str> {
        format!("{}Answer", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Enveloped<T> {
    fn schema() -> RefOr<Schema> {
        let code = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("`00`; of errors `01` to `11`, or `99`."));
        let code = ObjectBuilder::new().property("responseCode", code).required("responseCode");
        let rest = Ref::from_schema_name(T::name());
        let data = AllOfBuilder::new().item(code).item(rest);
        ObjectBuilder::new().property("data", data).required("data").into()
    }
}

/// A text.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikWords)]
pub(super) struct Words {
    /// What was done, or what is wrong.
    pub message: String,
}

/// A message that was sent, or will be.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikSent)]
#[serde(rename_all = "camelCase")]
pub(super) struct SentData {
    /// `success`; some calls do not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<&'static str>,
    /// The message's id on WhatsApp.
    pub message_id: String,
    /// `sent`, or `pending` when it still waits.
    pub status: &'static str,
}

/// A QR to scan.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikQr)]
pub(super) struct QrData {
    /// The QR: a `data:` URL of a PNG.
    #[serde(rename = "QRCode")]
    pub qr_code: String,
    /// Seconds until another one takes its place.
    #[serde(rename = "Timeout")]
    pub timeout: u64,
}

/// The devices.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikAccounts)]
pub(super) struct AccountsData {
    /// Newest first.
    pub accounts: Vec<AccountRow>,
}

/// A device.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikAccountRow)]
pub(super) struct AccountRow {
    /// Its id (UUID).
    #[serde(rename = "accountId")]
    pub account_id: String,
    /// What its owner calls it.
    #[serde(rename = "accountName")]
    pub account_name: String,
    /// The number it is paired with.
    pub whatsapp_number: Option<String>,
    /// `active`.
    pub status: &'static str,
    /// `connected`, or another state.
    pub whatsapp_status: &'static str,
}

/// A device's state.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikStatus)]
pub(super) struct StatusData {
    /// Whether it is connected.
    #[serde(rename = "isConnected")]
    pub is_connected: bool,
    /// `connected`, or another state.
    pub whatsapp_status: &'static str,
}

/// The groups of a device.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikGroups)]
pub(super) struct GroupsData {
    /// By name.
    pub groups: Vec<GroupRow>,
}

/// A group.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikGroup)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GroupRow {
    /// Its id: `…@g.us`.
    pub group_id: String,
    /// Its name.
    pub name: String,
}

/// A message that waits for its time.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikScheduled)]
pub(super) struct ScheduledData {
    /// `Message scheduled successfully`.
    pub message: &'static str,
    /// Its id.
    #[serde(rename = "scheduleId")]
    pub schedule_id: i64,
    /// When it is sent.
    pub scheduled_at: String,
}

/// The messages that wait for their time, or waited.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikScheduledList)]
pub(super) struct ScheduledList {
    /// By the time of their delivery.
    pub scheduled_messages: Vec<ScheduledRow>,
}

/// A scheduled message.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikScheduledRow)]
pub(super) struct ScheduledRow {
    /// Its id.
    pub id: i64,
    /// The chat: `628…@s.whatsapp.net`.
    pub to: String,
    /// `TEXT`, `IMAGE`, `VIDEO`, `DOCUMENT` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it says.
    pub payload: Payload,
    /// When it is, or was to be sent.
    pub scheduled_at: String,
    /// `pending`, `sent` or `failed`.
    pub status: &'static str,
    /// Why it failed.
    pub error_message: Option<String>,
    /// When it was scheduled.
    pub created_at: String,
}

/// What a scheduled message says.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikPayload)]
pub(super) struct Payload {
    /// The text or the caption.
    pub message: String,
}

/// The older list, that of the doubled path.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikPendingList)]
pub(super) struct PendingList {
    /// By the time of their delivery.
    pub data: Vec<PendingRow>,
}

/// A pending message in the older list.
#[derive(Serialize, ToSchema)]
#[schema(as = WasyikPendingRow)]
pub(super) struct PendingRow {
    /// Its id.
    pub id: i64,
    /// The receiver: digits only.
    pub to: String,
    /// `TEXT`, `IMAGE`, `VIDEO`, `DOCUMENT` and so on.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it is sent.
    pub scheduled_at: String,
    /// `pending`.
    pub status: &'static str,
}
