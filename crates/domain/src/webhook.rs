//! Events, the webhooks that get them, and the deliveries in between.

mod deliveries;
mod reports;
mod secrets;

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::call::CallReport;
use crate::chat::{ChatId, Lid};
use crate::contact::Identity;
use crate::content::{Content, ContentKind};
use crate::context::Context;
use crate::device::{Device, DeviceStatus, RESTRICTED, StatusChange};
use crate::group::GroupReport;
use crate::ids::{AccountId, DeviceId, DeviceNumber, MessageId, WebhookId, WhatsappId};
use crate::incoming_file;
use crate::message::{
    Address, Amendment, Change, Direction, Failure, Message, MessageState, Origin,
};
use crate::phone::PhoneNumber;
use crate::plan::{Feature, Plan};
use crate::ports::MediaLinks;

pub use deliveries::{
    Delivery, DeliveryOutcome, DeliveryState, DeliveryTry, REPLAYED_MAX, ReplayRange,
};
pub use secrets::{SealedSecret, SecretRow, SigningSecrets, WebhookSecrets};

/// Most webhooks of an account.
pub const WEBHOOKS_MAX: usize = 100;
/// Longest secret a customer may choose, in bytes.
pub const SECRET_BYTES_MAX: usize = 256;
/// Shortest secret a customer may choose, in bytes.
pub const SECRET_BYTES_MIN: usize = 8;

/// What can happen. The names are those of every API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum EventKind {
    #[serde(rename = "message.received")]
    MessageReceived,
    #[serde(rename = "message.sent")]
    MessageSent,
    #[serde(rename = "message.delivered")]
    MessageDelivered,
    #[serde(rename = "message.read")]
    MessageRead,
    #[serde(rename = "message.played")]
    MessagePlayed,
    #[serde(rename = "message.failed")]
    MessageFailed,
    #[serde(rename = "message.expired")]
    MessageExpired,
    #[serde(rename = "message.cancelled")]
    MessageCancelled,
    #[serde(rename = "message.edited")]
    MessageEdited,
    #[serde(rename = "message.revoked")]
    MessageRevoked,
    #[serde(rename = "device.connected")]
    DeviceConnected,
    #[serde(rename = "device.disconnected")]
    DeviceDisconnected,
    #[serde(rename = "device.logged_out")]
    DeviceLoggedOut,
    #[serde(rename = "device.paired")]
    DevicePaired,
    #[serde(rename = "device.restricted")]
    DeviceRestricted,
    #[serde(rename = "contact.identified")]
    ContactIdentified,
    #[serde(rename = "call.received")]
    CallReceived,
    #[serde(rename = "group.updated")]
    GroupUpdated,
    #[serde(rename = "group.participants")]
    GroupParticipants,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::MessageReceived,
        Self::MessageSent,
        Self::MessageDelivered,
        Self::MessageRead,
        Self::MessagePlayed,
        Self::MessageFailed,
        Self::MessageExpired,
        Self::MessageCancelled,
        Self::DeviceConnected,
        Self::DeviceDisconnected,
        Self::DeviceLoggedOut,
        Self::DevicePaired,
        Self::DeviceRestricted,
        Self::ContactIdentified,
        Self::MessageEdited,
        Self::MessageRevoked,
        Self::CallReceived,
        Self::GroupUpdated,
        Self::GroupParticipants,
    ];

    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageSent => "message.sent",
            Self::MessageDelivered => "message.delivered",
            Self::MessageRead => "message.read",
            Self::MessagePlayed => "message.played",
            Self::MessageFailed => "message.failed",
            Self::MessageExpired => "message.expired",
            Self::MessageCancelled => "message.cancelled",
            Self::MessageEdited => "message.edited",
            Self::MessageRevoked => "message.revoked",
            Self::DeviceConnected => "device.connected",
            Self::DeviceDisconnected => "device.disconnected",
            Self::DeviceLoggedOut => "device.logged_out",
            Self::DevicePaired => "device.paired",
            Self::DeviceRestricted => "device.restricted",
            Self::ContactIdentified => "contact.identified",
            Self::CallReceived => "call.received",
            Self::GroupUpdated => "group.updated",
            Self::GroupParticipants => "group.participants",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether it concerns a device and not a message.
    pub fn is_of_device(self) -> bool {
        self.as_str().starts_with("device.")
    }

    /// What a plan must include for it to be delivered to webhooks.
    pub fn feature(self) -> Feature {
        match self {
            Self::MessageReceived
            | Self::MessageEdited
            | Self::MessageRevoked
            | Self::ContactIdentified
            | Self::CallReceived
            | Self::GroupUpdated
            | Self::GroupParticipants => Feature::IncomingWebhook,
            kind if kind.is_of_device() => Feature::DowntimeNotification,
            _ => Feature::AdvanceWebhook,
        }
    }

    pub(crate) fn of_state(state: MessageState) -> Option<Self> {
        use MessageState as S;
        Some(match state {
            S::Scheduled | S::Queued | S::Sending => return None,
            S::Sent => Self::MessageSent,
            S::Delivered => Self::MessageDelivered,
            S::Read => Self::MessageRead,
            S::Played => Self::MessagePlayed,
            S::Failed => Self::MessageFailed,
            S::Expired => Self::MessageExpired,
            S::Cancelled => Self::MessageCancelled,
        })
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The same in every delivery, to every webhook and listener.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub account_id: AccountId,
    /// To which device.
    pub device: EventDevice,
    /// The message, the device's new state, or the person.
    pub subject: Subject,
}

/// The device of an event, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Device`")]
pub struct EventDevice {
    pub id: DeviceId,
    pub number_id: DeviceNumber,
    pub name: String,
    pub phone: Option<PhoneNumber>,
    pub lid: Option<Lid>,
}

impl From<&Device> for EventDevice {
    fn from(device: &Device) -> Self {
        Self {
            id: device.id,
            number_id: device.number_id,
            name: device.name.clone(),
            phone: device.phone.clone(),
            lid: device.lid.clone(),
        }
    }
}

/// What an event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A message.
    Message(Box<EventMessage>),
    /// The device itself.
    Device(EventStatus),
    /// A person of whom both names are known now.
    Contact(Identity),
    /// A call that came in.
    Call(CallReport),
    /// What has changed about a group.
    Group(GroupReport),
}

/// The message of an event, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Message`")]
pub struct EventMessage {
    pub id: MessageId,
    pub whatsapp_id: WhatsappId,
    pub direction: Direction,
    pub chat: ChatId,
    pub sender: Option<Address>,
    pub content: Content,
    pub context: Context,
    pub state: MessageState,
    pub failure: Option<Failure>,
    pub created_at: Timestamp,
}

impl EventMessage {
    fn of(message: &Message, state: MessageState) -> Self {
        Self {
            id: message.id,
            whatsapp_id: message.whatsapp_id.clone(),
            direction: message.direction(),
            chat: message.chat.clone(),
            sender: message.sender.clone(),
            content: message.content.clone(),
            context: message.context.clone(),
            state,
            failure: message.failure.clone(),
            created_at: message.created_at,
        }
    }
}

/// The state of a device, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventStatus {
    /// The state.
    pub status: DeviceStatus,
    /// Why, in words for people.
    pub reason: Option<String>,
    /// Why, as a number in the numbering of the field's libraries: 401 logged out, 403 forbidden,
    /// 408 lost, 428 closed, 440 replaced, 503, 515.
    pub code: Option<u16>,
    /// Whether it comes back by itself.
    pub should_reconnect: bool,
    /// Until when WhatsApp lets the number write to no strangers.
    pub restricted_until: Option<Timestamp>,
}

impl Event {
    /// Puts the address of its file into the event of a message that came in.
    pub fn link_file(&mut self, links: &dyn MediaLinks) {
        if let Subject::Message(message) = &mut self.subject {
            let (account, id, created_at) = (self.account_id, message.id, message.created_at);
            incoming_file::link(&mut message.content, links, account, id, created_at);
        }
    }

    /// The events of the steps of a message's history from `since` on.
    pub fn of_message(message: &Message, device: &EventDevice, since: usize) -> Vec<Self> {
        let kind_of = |state| match message.origin {
            Origin::Api(_) => EventKind::of_state(state),
            // What the device's own number wrote elsewhere is not ours to report on.
            Origin::Phone => None,
            Origin::Incoming => {
                (state == MessageState::Delivered).then_some(EventKind::MessageReceived)
            }
        };
        let steps = message.history.iter().skip(since);
        let events = steps.filter_map(|step| kind_of(step.state).map(|kind| (kind, step)));
        // What it turns out to be is an event of its own: receivers skip ids that they have seen.
        let is_unreadable = message.kind() == ContentKind::Unreadable;
        let suffix = if is_unreadable { "_unreadable" } else { "" };
        events
            .map(|(kind, step)| Self {
                id: format!("evt_{}_{}{suffix}", message.id, kind.as_str().replace('.', "_")),
                kind,
                at: step.at,
                account_id: message.account_id,
                device: device.clone(),
                subject: Subject::Message(Box::new(EventMessage::of(message, step.state))),
            })
            .collect()
    }

    /// The event of a message that was edited, moved or deleted for everyone. A vote has none: it is itself
    /// a message.
    pub fn of_change(
        message: &Message,
        device: &EventDevice,
        amendment: &Amendment,
    ) -> Option<Self> {
        let kind = match amendment.change {
            Change::Edited { .. } | Change::Moved(_) => EventKind::MessageEdited,
            Change::Revoked => EventKind::MessageRevoked,
            Change::Voted(_) => return None,
        };
        let (name, at) = (kind.as_str().replace('.', "_"), amendment.at);
        Some(Self {
            id: format!("evt_{}_{name}_{}", message.id, at.as_millisecond()),
            kind,
            at,
            account_id: message.account_id,
            device: device.clone(),
            subject: Subject::Message(Box::new(EventMessage::of(message, message.state))),
        })
    }

    /// The events of a device that has changed its state.
    pub fn of_device(before: DeviceStatus, after: &Device, change: &StatusChange) -> Vec<Self> {
        use DeviceStatus as S;
        let was_up = matches!(before, S::Connected | S::Connecting);
        let moved = match change.status {
            S::Connected if before != S::Connected => Some(EventKind::DeviceConnected),
            S::Disconnected if was_up => Some(EventKind::DeviceDisconnected),
            S::Connecting if before == S::Connected => Some(EventKind::DeviceDisconnected),
            S::LoggedOut if before != S::LoggedOut => Some(EventKind::DeviceLoggedOut),
            _ => None,
        };
        let paired = change.linked.is_some().then_some(EventKind::DevicePaired);
        let event = |kind: EventKind| Self {
            id: format!(
                "evt_d{}_{}_{}",
                after.number_id,
                kind.as_str().replace('.', "_"),
                change.at.as_millisecond()
            ),
            kind,
            at: change.at,
            account_id: after.account_id,
            device: after.into(),
            subject: Subject::Device(EventStatus {
                status: change.status,
                reason: change.reason.clone(),
                code: change.code,
                should_reconnect: change.should_reconnect,
                restricted_until: after.restricted_at(change.at),
            }),
        };
        paired.into_iter().chain(moved).map(event).collect()
    }

    /// WhatsApp lets a device's number write to no strangers until then.
    pub fn of_restriction(device: &Device, until: Timestamp, at: Timestamp) -> Self {
        let name = EventKind::DeviceRestricted.as_str().replace('.', "_");
        Self {
            id: format!("evt_d{}_{name}_{}", device.number_id, at.as_millisecond()),
            kind: EventKind::DeviceRestricted,
            at,
            account_id: device.account_id,
            device: device.into(),
            subject: Subject::Device(EventStatus {
                status: device.status,
                reason: Some(RESTRICTED.to_owned()),
                code: None,
                should_reconnect: false,
                restricted_until: Some(until),
            }),
        }
    }

    /// Within what its order counts: a chat of a device, or the device itself.
    pub fn lane(&self) -> String {
        match &self.subject {
            Subject::Message(message) => format!("{}/{}", self.device.id, message.chat),
            Subject::Device(_) => self.device.id.to_string(),
            Subject::Contact(identity) => format!("{}/{}", self.device.id, identity.chat()),
            Subject::Call(call) => format!("{}/call {}", self.device.id, call.from.key()),
            Subject::Group(report) => format!("{}/{}", self.device.id, report.group),
        }
    }
}

/// The name of the format in which a webhook gets its events: `gerbang`, or a dialect's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FormatName(pub String);

/// A URL that events are posted to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Whose.
    pub account_id: AccountId,
    /// Only this device's events; `None` for all of the account's.
    pub device_id: Option<DeviceId>,
    /// Where it is.
    pub url: String,
    /// In which format it gets them.
    pub format: FormatName,
    /// Of what; never empty.
    pub events: Vec<EventKind>,
    /// What its messages are signed with.
    pub secret: SealedSecret,
    /// Why nothing is posted any more; `None` while it works.
    pub disabled: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Webhook {
    /// What its secret is sealed for.
    pub fn secret_row(&self) -> SecretRow {
        SecretRow::Webhook { account: self.account_id, webhook: self.id }
    }

    /// Whether it gets an event of `device` under `plan`.
    pub fn wants(&self, kind: EventKind, device: DeviceId, plan: &Plan) -> bool {
        self.disabled.is_none()
            && self.device_id.is_none_or(|only| only == device)
            && self.events.contains(&kind)
            && plan.has(kind.feature())
    }
}

/// A webhook that is to be stored.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields are those of `Webhook`")]
pub struct NewWebhook {
    pub account_id: AccountId,
    pub device_id: Option<DeviceId>,
    pub url: String,
    pub format: FormatName,
    pub events: Vec<EventKind>,
}

/// Seals the secret of a new webhook once its id is known. Called in the transaction that makes it,
/// with the account's other webhooks of its format, oldest first: it may have to share their secret.
/// `None` when that cannot be read any more.
pub type SealNewSecret = Arc<dyn Fn(WebhookId, &[Webhook]) -> Option<SealedSecret> + Send + Sync>;

/// What became of a webhook that was to be made.
#[derive(Debug, Clone)]
pub enum CreatedWebhook {
    /// The webhook.
    Created(Webhook),
    /// The account has [`WEBHOOKS_MAX`] already.
    LimitReached,
    /// The secret that it had to share cannot be read.
    SecretUnreadable,
}

/// What may change about a webhook; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct WebhookPatch {
    /// A new address.
    pub url: Option<String>,
    /// Other events.
    pub events: Option<Vec<EventKind>>,
    /// `Some(None)` switches it on again, `Some(Some(why))` off.
    pub disabled: Option<Option<String>>,
    /// Another secret, or the same one sealed anew.
    pub secret: Option<SealedSecret>,
}

#[cfg(test)]
mod tests;
