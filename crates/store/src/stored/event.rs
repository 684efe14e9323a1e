//! An event on its way to a webhook, in `deliveries.event`.

use std::borrow::Cow;

use domain::call::CallReport;
use domain::chat::Lid;
use domain::contact::Identity;
use domain::content::{Content, ContentKind};
use domain::context::Context;
use domain::device::DeviceStatus;
use domain::ids::{AccountId, DeviceId, DeviceNumber, MessageId, WhatsappId};
use domain::message::{Address, Direction, Failure, MessageState};
use domain::phone::PhoneNumber;
use domain::webhook::{Event, EventDevice, EventKind, EventMessage, EventStatus, Subject};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::address::StoredAddress;
use super::content::{self, StoredContent};
use super::failure::StoredFailure;
use super::group::StoredGroup;
use super::{from_text, to_text, unreadable};
use crate::sql::SqlResult;

const WHAT: &str = "its event";

#[derive(Serialize, Deserialize)]
struct StoredEvent<'a> {
    id: Cow<'a, str>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    at: Timestamp,
    account_id: i64,
    device: StoredDevice<'a>,
    #[serde(borrow)]
    subject: StoredSubject<'a>,
}

#[derive(Serialize, Deserialize)]
struct StoredDevice<'a> {
    id: Uuid,
    number_id: i64,
    name: Cow<'a, str>,
    phone: Option<Cow<'a, str>>,
    lid: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
enum StoredSubject<'a> {
    #[serde(rename = "message", borrow)]
    Message(Box<StoredMessage<'a>>),
    #[serde(rename = "device", borrow)]
    Device(StoredStatus<'a>),
    #[serde(rename = "contact", borrow)]
    Contact(StoredIdentity<'a>),
    #[serde(rename = "call", borrow)]
    Call(StoredCall<'a>),
    #[serde(rename = "group", borrow)]
    Group(StoredGroup<'a>),
}

#[derive(Serialize, Deserialize)]
struct StoredMessage<'a> {
    id: i64,
    whatsapp_id: Cow<'a, str>,
    #[serde(borrow)]
    direction: Cow<'a, str>,
    chat: Cow<'a, str>,
    sender: Option<StoredAddress<'a>>,
    #[serde(borrow)]
    kind: Cow<'a, str>,
    text: Cow<'a, str>,
    media: Option<StoredContent<'a>>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    failure: Option<StoredFailure<'a>>,
    created_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct StoredStatus<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    reason: Option<Cow<'a, str>>,
    code: Option<u16>,
    should_reconnect: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restricted_until: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct StoredIdentity<'a> {
    #[serde(borrow)]
    phone: Cow<'a, str>,
    #[serde(borrow)]
    lid: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct StoredCall<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    from: StoredAddress<'a>,
    video: bool,
    group: bool,
    rejected: bool,
}

impl<'a> From<&'a CallReport> for StoredCall<'a> {
    fn from(call: &'a CallReport) -> Self {
        Self {
            id: (&call.id).into(),
            from: (&call.from).into(),
            video: call.is_video,
            group: call.is_group,
            rejected: call.is_rejected,
        }
    }
}

fn call_from(stored: StoredCall<'_>, at: Timestamp) -> CallReport {
    CallReport {
        id: stored.id.into_owned(),
        from: stored.from.into(),
        is_video: stored.video,
        is_group: stored.group,
        is_rejected: stored.rejected,
        at,
    }
}

pub(crate) fn write(event: &Event) -> SqlResult<String> {
    to_text(&StoredEvent {
        id: (&event.id).into(),
        kind: event.kind.as_str().into(),
        at: event.at,
        account_id: event.account_id.0,
        device: StoredDevice::from(&event.device),
        subject: match &event.subject {
            Subject::Message(message) => {
                StoredSubject::Message(Box::new(StoredMessage::from(&**message)))
            }
            Subject::Device(status) => StoredSubject::Device(StoredStatus::from(status)),
            Subject::Contact(Identity { phone, lid }) => StoredSubject::Contact(StoredIdentity {
                phone: phone.as_str().into(),
                lid: lid.as_str().into(),
            }),
            Subject::Call(call) => StoredSubject::Call(call.into()),
            Subject::Group(report) => StoredSubject::Group(report.into()),
        },
    })
}

pub(crate) fn read(text: &str) -> SqlResult<Event> {
    let stored: StoredEvent<'_> = from_text(text, WHAT)?;
    event_from(stored).ok_or_else(|| unreadable(WHAT))
}

fn event_from(stored: StoredEvent<'_>) -> Option<Event> {
    Some(Event {
        id: stored.id.into_owned(),
        kind: EventKind::from_name(&stored.kind)?,
        at: stored.at,
        account_id: AccountId(stored.account_id),
        device: stored.device.into(),
        subject: match stored.subject {
            StoredSubject::Message(message) => Subject::Message(Box::new(message_from(*message)?)),
            StoredSubject::Device(status) => Subject::Device(status_from(status)?),
            StoredSubject::Contact(StoredIdentity { phone, lid }) => Subject::Contact(Identity {
                phone: PhoneNumber::from_digits(phone.into_owned()),
                lid: Lid::from_jid(lid.into_owned()),
            }),
            StoredSubject::Call(call) => Subject::Call(call_from(call, stored.at)),
            StoredSubject::Group(group) => Subject::Group(group.read(stored.at)?),
        },
    })
}

impl<'a> From<&'a EventDevice> for StoredDevice<'a> {
    fn from(device: &'a EventDevice) -> Self {
        Self {
            id: device.id.0,
            number_id: device.number_id.0,
            name: (&device.name).into(),
            phone: device.phone.as_ref().map(|phone| phone.as_str().into()),
            lid: device.lid.as_ref().map(|lid| lid.as_str().into()),
        }
    }
}

impl From<StoredDevice<'_>> for EventDevice {
    fn from(stored: StoredDevice<'_>) -> Self {
        let phone = stored.phone.map(|digits| PhoneNumber::from_digits(digits.into_owned()));
        Self {
            id: DeviceId(stored.id),
            number_id: DeviceNumber(stored.number_id),
            name: stored.name.into_owned(),
            phone,
            lid: stored.lid.map(Lid::from_jid),
        }
    }
}

impl<'a> From<&'a EventMessage> for StoredMessage<'a> {
    fn from(message: &'a EventMessage) -> Self {
        Self {
            id: message.id.0,
            whatsapp_id: message.whatsapp_id.as_str().into(),
            direction: message.direction.as_str().into(),
            chat: message.chat.to_string().into(),
            sender: message.sender.as_ref().map(StoredAddress::from),
            kind: message.content.kind().as_str().into(),
            text: message.content.text().into(),
            media: StoredContent::of(&message.content, &message.context),
            state: message.state.as_str().into(),
            failure: message.failure.as_ref().map(StoredFailure::from),
            created_at: message.created_at,
        }
    }
}

fn message_from(stored: StoredMessage<'_>) -> Option<EventMessage> {
    let kind = ContentKind::from_name(&stored.kind);
    let (content, context) = content::content(kind, stored.text.into_owned(), stored.media)
        .unwrap_or_else(|unsupported| (Content::Unsupported(unsupported), Context::default()));
    Some(EventMessage {
        id: MessageId(stored.id),
        whatsapp_id: WhatsappId(stored.whatsapp_id.into_owned()),
        direction: Direction::from_name(&stored.direction)?,
        chat: stored.chat.into_owned().into(),
        sender: stored.sender.map(Address::from),
        content,
        context,
        state: MessageState::from_name(&stored.state)?,
        failure: stored.failure.map(Failure::from),
        created_at: stored.created_at,
    })
}

impl<'a> From<&'a EventStatus> for StoredStatus<'a> {
    fn from(status: &'a EventStatus) -> Self {
        Self {
            status: status.status.as_str().into(),
            reason: status.reason.as_deref().map(Cow::Borrowed),
            code: status.code,
            should_reconnect: status.should_reconnect,
            restricted_until: status.restricted_until,
        }
    }
}

fn status_from(stored: StoredStatus<'_>) -> Option<EventStatus> {
    Some(EventStatus {
        status: DeviceStatus::from_name(&stored.status)?,
        reason: stored.reason.map(Cow::into_owned),
        code: stored.code,
        should_reconnect: stored.should_reconnect,
        restricted_until: stored.restricted_until,
    })
}
