//! Between this dialect's words and the core's. Pure.

use domain::chat::ChatId;
use domain::content::{Content, ContentRequest};
use domain::device::{Device, DeviceStatus, Group};
use domain::error::Error;
use domain::media::{FileRequest, MediaSource};
use domain::message::{BATCH_MESSAGES_MAX, Message, MessageState};
use domain::phone::{PhoneNumber, Recipient};
use domain::plan::Feature;
use domain::service::{SendOutcome, SendRefusal, SendRequest, SendingDevice};

use super::message_type::MessageType;
use super::times::{self, Style};
use super::types::{
    AccountRow, BroadcastBody, DocumentBody, GroupBody, GroupMediaBody, GroupRow, ImageBody,
    MessageBody, NamesDevice, Payload, PendingRow, ScheduleBody, ScheduledRow, SentData, TextBody,
};
use crate::api_error::ApiError;
use crate::fields::PhoneField;

/// Most faulty numbers of a broadcast that are named.
const NAMED_NUMBERS_MAX: usize = 20;
/// Most characters of a faulty number that are repeated.
const NAMED_NUMBER_CHARS_MAX: usize = 40;

/// What the fields of a call are called, where the core has one name for all calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    /// The receiver's.
    pub to: &'static str,
    /// The text's.
    pub text: &'static str,
    /// The caption's.
    pub caption: &'static str,
    /// The file's.
    pub url: &'static str,
}

impl Names {
    const MESSAGE: Self = Self { to: "to", text: "content", caption: "content", url: "url" };
    const GROUP: Self = Self { to: "groupId", text: "text", ..Self::MESSAGE };
    /// Of a call for files alone.
    const FILE: Self = Self { caption: "caption", ..Self::MESSAGE };

    /// Where a caption may be in two fields, the name of the one that counts.
    fn captioned(self, caption: Option<&String>) -> Self {
        if caption.is_some() { Self { caption: "caption", ..self } } else { self }
    }

    /// A refusal of the core, in this API's field names.
    pub(super) fn refusal(self, SendRefusal { index, error }: SendRefusal) -> ApiError {
        match error {
            Error::Invalid { field, message } => ApiError::field(self.name(field), message),
            error => ApiError::Core { index, error },
        }
    }

    fn name(self, core: &'static str) -> &'static str {
        match core {
            "to" => self.to,
            "text" => self.text,
            "media.caption" => self.caption,
            "media.url" => self.url,
            "media.filename" => "fileName",
            "media.mimetype" => "mimetype",
            "schedule_at" => "scheduled_at",
            same => same,
        }
    }
}

/// A body that asks for one message to be sent at once.
pub(super) trait Single: NamesDevice {
    /// The call's name, for idempotency keys.
    const NAME: &'static str;
    /// What the plan must include.
    const FEATURE: Option<Feature> = None;
    /// Whether the answer says `success` too.
    const SAYS_SUCCESS: bool = false;

    /// What its fields are called.
    fn names(&self) -> Names;

    /// What the core is asked to do.
    ///
    /// # Errors
    /// [`ApiError::Field`].
    fn command(self, device: SendingDevice) -> Result<SendRequest, ApiError>;
}

impl Single for MessageBody {
    const NAME: &'static str = "message";
    const SAYS_SUCCESS: bool = true;

    fn names(&self) -> Names {
        Names::MESSAGE.captioned(self.caption.as_ref())
    }

    fn command(self, device: SendingDevice) -> Result<SendRequest, ApiError> {
        let content = GivenContent {
            names: self.names(),
            message_type: self.message_type,
            content: self.content,
            url: self.url,
            file_name: self.file_name,
            mimetype: self.mimetype,
            caption: self.caption,
        };
        content.command(device, person(self.to)?)
    }
}

impl Single for TextBody {
    const NAME: &'static str = "send-text";

    fn names(&self) -> Names {
        Names { text: "text", ..Names::MESSAGE }
    }

    fn command(self, device: SendingDevice) -> Result<SendRequest, ApiError> {
        Ok(text_command(device, person(self.to)?, self.text))
    }
}

impl Single for ImageBody {
    const NAME: &'static str = "send-image";
    const FEATURE: Option<Feature> = Some(Feature::SendImage);

    fn names(&self) -> Names {
        Names::FILE
    }

    fn command(self, device: SendingDevice) -> Result<SendRequest, ApiError> {
        let content = GivenContent {
            url: Some(self.url),
            caption: self.caption,
            ..GivenContent::of(MessageType::Image)
        };
        content.command(device, person(self.to)?)
    }
}

impl Single for DocumentBody {
    const NAME: &'static str = "send-document";
    const FEATURE: Option<Feature> = Some(Feature::SendDocument);

    fn names(&self) -> Names {
        Names::FILE
    }

    fn command(self, device: SendingDevice) -> Result<SendRequest, ApiError> {
        let content = GivenContent {
            url: Some(self.url),
            file_name: self.file_name,
            mimetype: self.mimetype,
            caption: self.caption,
            ..GivenContent::of(MessageType::Document)
        };
        content.command(device, person(self.to)?)
    }
}

impl Single for GroupBody {
    const NAME: &'static str = "send-group";
    const FEATURE: Option<Feature> = Some(Feature::Groups);

    fn names(&self) -> Names {
        Names::GROUP
    }

    fn command(self, device: SendingDevice) -> Result<SendRequest, ApiError> {
        Ok(text_command(device, group(self.group_id)?, self.text))
    }
}

impl Single for GroupMediaBody {
    const NAME: &'static str = "send-group-media";
    const FEATURE: Option<Feature> = Some(Feature::SendGroupMedia);
    const SAYS_SUCCESS: bool = true;

    fn names(&self) -> Names {
        Names::GROUP.captioned(self.caption.as_ref())
    }

    fn command(self, device: SendingDevice) -> Result<SendRequest, ApiError> {
        if matches!(self.message_type, MessageType::Text | MessageType::Audio) {
            return Err(ApiError::field("messageType", "must be IMAGE, VIDEO or DOCUMENT"));
        }
        let content = GivenContent {
            names: self.names(),
            message_type: self.message_type,
            content: self.content,
            url: Some(self.url),
            file_name: self.file_name,
            mimetype: self.mimetype,
            caption: self.caption,
        };
        content.command(device, group(self.group_id)?)
    }
}

/// What the core is asked to do later, and what its fields are called.
///
/// # Errors
/// [`ApiError::Field`].
pub(super) fn schedule(body: ScheduleBody, device: SendingDevice) -> Result<SendRequest, ApiError> {
    if body.message_type == MessageType::Audio {
        return Err(ApiError::field("messageType", "must be TEXT, IMAGE, VIDEO or DOCUMENT"));
    }
    let schedule_at = times::read(&body.scheduled_at).ok_or_else(|| {
        let message = "must be YYYY-MM-DD HH:mm:ss (WIB), or a time with its offset";
        ApiError::field("scheduled_at", message)
    })?;
    let content = GivenContent {
        names: body.names(),
        message_type: body.message_type,
        content: body.content,
        url: body.url.or(body.url_file),
        file_name: body.file_name,
        mimetype: body.mimetype,
        caption: body.caption,
    };
    let command = content.command(device, person(body.to)?)?;
    Ok(SendRequest { schedule_at: Some(schedule_at), ..command })
}

impl ScheduleBody {
    /// What its fields are called.
    pub(super) fn names(&self) -> Names {
        let is_other = self.url.is_none() && self.url_file.is_some();
        let url = if is_other { "url_file" } else { "url" };
        Names { url, ..Names::MESSAGE.captioned(self.caption.as_ref()) }
    }
}

impl BroadcastBody {
    /// What its fields are called.
    pub(super) fn names(&self) -> Names {
        Names::MESSAGE.captioned(self.caption.as_ref())
    }
}

/// What the core is asked to do for a broadcast: one message for each number, and one only.
///
/// # Errors
/// [`ApiError::Field`]; of faulty numbers it names as many as are worth reading.
pub(super) fn broadcast(
    body: BroadcastBody,
    device: SendingDevice,
    country: &str,
) -> Result<Vec<SendRequest>, ApiError> {
    let texts = || body.to.0.iter().map(|to| to.0.as_str());
    let people = PhoneNumber::parse_distinct(texts(), country).map_err(|wrong| {
        let shorten = |text: &str| text.chars().take(NAMED_NUMBER_CHARS_MAX).collect::<String>();
        let wrong = wrong.iter().filter_map(|index| body.to.0.get(*index)).take(NAMED_NUMBERS_MAX);
        let named: Vec<_> = wrong.map(|to| shorten(&to.0)).collect();
        ApiError::field("to", format!("these are no phone numbers: {}", named.join(", ")))
    })?;
    if people.is_empty() || people.len() > BATCH_MESSAGES_MAX {
        let message = format!("must hold 1 to {BATCH_MESSAGES_MAX} phone numbers");
        return Err(ApiError::field("to", message));
    }
    let content = GivenContent {
        names: body.names(),
        message_type: body.message_type,
        content: body.content,
        url: body.url,
        file_name: body.file_name,
        mimetype: body.mimetype,
        caption: body.caption,
    };
    let command = content.command(device, String::new())?;
    let command = |to: PhoneNumber| SendRequest { to: to.to_string(), ..command.clone() };
    Ok(people.into_iter().map(command).collect())
}

/// What is to be sent, wherever it came from.
struct GivenContent {
    names: Names,
    message_type: MessageType,
    content: Option<String>,
    url: Option<String>,
    file_name: Option<String>,
    mimetype: Option<String>,
    caption: Option<String>,
}

impl GivenContent {
    fn of(message_type: MessageType) -> Self {
        Self {
            names: Names::FILE,
            message_type,
            content: None,
            url: None,
            file_name: None,
            mimetype: None,
            caption: None,
        }
    }

    fn command(self, device: SendingDevice, to: String) -> Result<SendRequest, ApiError> {
        if self.message_type == MessageType::Text {
            // Neither would reach the phone.
            for (field, value) in [(self.names.url, &self.url), ("caption", &self.caption)] {
                if value.is_some() {
                    let message = "goes with a file; messageType is text";
                    return Err(ApiError::field(field, message));
                }
            }
            let text = self.content.filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| ApiError::field("content", "is required"));
            return Ok(text_command(device, to, text?));
        }
        let url = self.url.filter(|url| !url.trim().is_empty());
        let url = url.ok_or_else(|| ApiError::field("url", "is required"))?;
        let file = FileRequest {
            kind: Some(self.message_type.kind()),
            filename: self.file_name,
            mimetype: self.mimetype,
            caption: self.caption.or(self.content).unwrap_or_default().into(),
            ..FileRequest::new(MediaSource::Url(url))
        };
        Ok(command(device, to, Content::File(file)))
    }
}

fn text_command(device: SendingDevice, to: String, text: String) -> SendRequest {
    command(device, to, Content::Text(text.into()))
}

fn command(device: SendingDevice, to: String, content: ContentRequest) -> SendRequest {
    SendRequest { device: Some(device), to, content, ..SendRequest::default() }
}

fn person(PhoneField(to): PhoneField) -> Result<String, ApiError> {
    if ChatId::from(to.trim()).is_group() {
        let message = "must be a phone number; groups have calls of their own";
        return Err(ApiError::field("to", message));
    }
    Ok(to)
}

fn group(id: String) -> Result<String, ApiError> {
    // A group's id needs no country.
    match Recipient::parse(&id, "") {
        Ok(Recipient::Group(_)) => Ok(id),
        _ => {
            let message = "must be a group's id, such as 120363041234567890@g.us";
            Err(ApiError::field("groupId", message))
        }
    }
}

/// The answer to a message that was waited for.
///
/// # Errors
/// Why it was not sent.
pub(super) fn sent<B: Single>(message: &Message) -> Result<SentData, Error> {
    let status = match message.outcome()? {
        SendOutcome::Sent => "sent",
        SendOutcome::Pending => "pending",
    };
    Ok(SentData {
        message: B::SAYS_SUCCESS.then_some("success"),
        message_id: message.whatsapp_id.0.clone(),
        status,
    })
}

/// A device in the list.
pub(super) fn account(device: &Device) -> AccountRow {
    AccountRow {
        account_id: device.id.to_string(),
        account_name: device.name.clone(),
        whatsapp_number: device.phone.as_ref().map(ToString::to_string),
        status: "active",
        whatsapp_status: device.status.as_str(),
    }
}

/// Whether a device is ready to send.
pub(super) fn is_connected(device: &Device) -> bool {
    device.status == DeviceStatus::Connected
}

/// A group in the list.
pub(super) fn group_row(group: Group) -> GroupRow {
    GroupRow { group_id: group.id.to_string(), name: group.name }
}

/// When a message is, or was to be sent. A later attempt moves `due_at`, and only that.
pub(super) fn scheduled_at(message: &Message) -> jiff::Timestamp {
    message.reached(MessageState::Queued).unwrap_or(message.due_at)
}

/// The states of scheduled messages that are shown: all but the withdrawn ones.
pub(super) const SHOWN_STATES: [MessageState; 8] = [
    MessageState::Scheduled,
    MessageState::Queued,
    MessageState::Sent,
    MessageState::Delivered,
    MessageState::Read,
    MessageState::Played,
    MessageState::Failed,
    MessageState::Expired,
];

/// The states of those that wait.
pub(super) const PENDING_STATES: [MessageState; 2] =
    [MessageState::Scheduled, MessageState::Queued];

/// A scheduled message in the list.
pub(super) fn scheduled_row(message: &Message, style: Style) -> ScheduledRow {
    let status = match message.state {
        MessageState::Scheduled | MessageState::Queued | MessageState::Sending => "pending",
        MessageState::Sent
        | MessageState::Delivered
        | MessageState::Read
        | MessageState::Played => "sent",
        MessageState::Failed | MessageState::Expired | MessageState::Cancelled => "failed",
    };
    let why = || match &message.failure {
        Some(failure) => failure.message.clone(),
        None => format!("the message is {}", message.state.as_str()),
    };
    ScheduledRow {
        id: message.id.0,
        to: message.chat.to_string(),
        kind: message.kind().as_str().to_uppercase(),
        payload: Payload { message: message.shown_text().into_owned() },
        scheduled_at: style.print(scheduled_at(message)),
        status,
        error_message: (status == "failed").then(why),
        created_at: style.print(message.created_at),
    }
}

/// A scheduled message in the older list.
pub(super) fn pending_row(message: &Message, style: Style) -> PendingRow {
    PendingRow {
        id: message.id.0,
        to: message.chat.user().to_owned(),
        kind: message.kind().as_str().to_uppercase(),
        scheduled_at: style.print(scheduled_at(message)),
        status: "pending",
    }
}
