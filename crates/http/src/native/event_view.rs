//! The JSON of an event: in webhooks of our own format, in the live stream, and in the delivery log.

use std::borrow::Cow;

use domain::call::CallReport;
use domain::chat::{ChatId, Lid};
use domain::contact::Identity;
use domain::ids::DeviceNumber;
use domain::message::Direction;
use domain::webhook::{Event, EventDevice, EventKind, EventMessage, EventStatus, Subject};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::group_event::{EventGroupBody, group_body};
use super::media_view::MediaBody;
use super::message_view::{
    ContactBody, EarlierBody, ErrorBody, LocationBody, Parties, PollBody, ReactionBody, mentions,
    reply_to,
};
use super::structured_view::{
    AlbumBody, AnswerBody, CalendarEventBody, GroupInviteBody, OrderBody, PollVoteBody,
    StructuredFields,
};

/// Something that happened.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventBody<'a> {
    /// What: `message.received`, `message.sent`, `device.connected` and so on.
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    kind: EventKind,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// The message, the device's new state, or the person.
    data: DataBody<'a>,
}

/// What an event is about.
#[derive(Serialize, ToSchema)]
#[schema(as = EventData)]
#[serde(untagged)]
enum DataBody<'a> {
    /// A message, for `message.*`.
    Message(Box<EventMessageBody<'a>>),
    /// A device, for `device.*`.
    Device(EventStatusBody<'a>),
    /// A person, for `contact.identified`.
    Contact(EventContactBody<'a>),
    /// A call, for `call.received`.
    Call(EventCallBody<'a>),
    /// A group, for `group.updated` and `group.participants`.
    Group(EventGroupBody<'a>),
}

/// A message, as it was then.
#[derive(Serialize, ToSchema)]
#[schema(as = EventMessage)]
struct EventMessageBody<'a> {
    /// Its id.
    id: i64,
    /// The id in a form that cannot be mistaken for a number.
    #[serde(rename = "ref")]
    reference: String,
    /// Its id on WhatsApp.
    whatsapp_id: &'a str,
    /// The device that sends or received it.
    device: EventDeviceBody<'a>,
    /// `in` or `out`.
    direction: &'static str,
    /// The chat's address on WhatsApp.
    #[schema(value_type = String)]
    chat: &'a ChatId,
    /// The group's id, when the chat is one.
    group: Option<&'a str>,
    /// The recipient: a number, or a group's id; null when it was received.
    to: Option<&'a str>,
    /// Who wrote it: a number, else a LID; null when we send it.
    from: Option<&'a str>,
    /// The other side's number, where known.
    phone: Option<&'a str>,
    /// The other side's LID, where known.
    lid: Option<&'a str>,
    /// What its writer calls themselves, where they say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    /// What it carries, such as `text`.
    kind: &'static str,
    /// The text, the caption, or what stands for the rest: names, a place's degrees, a question.
    text: Cow<'a, str>,
    /// What is known of the file, where there is one.
    media: Option<MediaBody<'a>>,
    /// The place, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<LocationBody<'a>>,
    /// The contacts, where it is some.
    #[serde(skip_serializing_if = "Option::is_none")]
    contacts: Option<Vec<ContactBody<'a>>>,
    /// The poll, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    poll: Option<PollBody<'a>>,
    /// The reaction, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    reaction: Option<ReactionBody<'a>>,
    /// The vote in a poll, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    poll_vote: Option<PollVoteBody<'a>>,
    /// The choice among buttons or a list, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<AnswerBody<'a>>,
    /// The order, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<OrderBody<'a>>,
    /// The invitation into a group, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    group_invite: Option<GroupInviteBody<'a>>,
    /// What takes place, where it is that.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<CalendarEventBody<'a>>,
    /// The head of an album, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    album: Option<AlbumBody>,
    /// The protocol's name of a kind that has none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsupported: Option<&'a str>,
    /// The WhatsApp id of the message it answers, edits or deletes, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<&'a str>,
    /// Whom it mentions: numbers, LIDs, `all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mentions: Option<Vec<&'a str>>,
    /// `true` where its writer passed it on from another chat.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forwarded: bool,
    /// When its present text was written, where it was edited.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    edited_at: Option<Timestamp>,
    /// Its earlier texts, oldest first, where it was edited: the newest 20.
    #[serde(skip_serializing_if = "Option::is_none")]
    edits: Option<Vec<EarlierBody<'a>>>,
    /// When it was deleted for everyone; what it carried stays here.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    /// The state it came into.
    status: &'static str,
    /// Why it failed.
    error: Option<ErrorBody<'a>>,
    /// When it was accepted or received.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// A device's new state.
#[derive(Serialize, ToSchema)]
#[schema(as = EventStatus)]
struct EventStatusBody<'a> {
    /// The device.
    device: EventDeviceBody<'a>,
    /// Its state, as in `/v1/devices`.
    status: &'static str,
    /// Why, in words.
    reason: Option<&'a str>,
    /// Why, as a number: 401 logged out, 408 lost, 440 replaced and so on.
    code: Option<u16>,
    /// Whether it comes back by itself.
    should_reconnect: bool,
    /// Until when WhatsApp lets its number write to no new contacts.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(skip_serializing_if = "Option::is_none")]
    restricted_until: Option<Timestamp>,
}

/// A person who was known by LID and is known by number, too, or by another number. The messages of the
/// person are in one chat now, and show the number.
#[derive(Serialize, ToSchema)]
#[schema(as = EventContact)]
struct EventContactBody<'a> {
    /// The device that knows the person.
    device: EventDeviceBody<'a>,
    /// The person's number.
    phone: &'a str,
    /// The person's LID.
    lid: &'a str,
    /// The chat with the person, from now on.
    #[schema(value_type = String)]
    chat: ChatId,
}

/// A call that came in.
#[derive(Serialize, ToSchema)]
#[schema(as = EventCall)]
struct EventCallBody<'a> {
    /// The device that was called.
    device: EventDeviceBody<'a>,
    /// The call's id on WhatsApp.
    id: &'a str,
    /// Who called: a number, else a LID.
    from: &'a str,
    /// The caller's number, where known.
    phone: Option<&'a str>,
    /// The caller's LID, where known.
    lid: Option<&'a str>,
    /// Whether it was a video call.
    video: bool,
    /// Whether a group was called.
    is_group: bool,
    /// Whether the device has rejected it, as its setting `reject_calls` says.
    rejected: bool,
}

/// The device of an event.
#[derive(Serialize, ToSchema)]
#[schema(as = EventDevice)]
pub(super) struct EventDeviceBody<'a> {
    /// Its id.
    id: Uuid,
    /// Its id as a small integer.
    #[schema(value_type = i64)]
    number_id: DeviceNumber,
    /// What its owner calls it.
    name: &'a str,
    /// Its number.
    phone: Option<&'a str>,
    /// WhatsApp's other name for that number.
    lid: Option<&'a str>,
}

impl<'a> From<&'a Event> for EventBody<'a> {
    fn from(event: &'a Event) -> Self {
        let data = match &event.subject {
            Subject::Message(message) => {
                DataBody::Message(Box::new(message_body(message, &event.device)))
            }
            Subject::Device(status) => DataBody::Device(status_body(status, &event.device)),
            Subject::Contact(identity) => DataBody::Contact(contact_body(identity, &event.device)),
            Subject::Call(call) => DataBody::Call(call_body(call, &event.device)),
            Subject::Group(report) => DataBody::Group(group_body(report, &event.device)),
        };
        Self { kind: event.kind, timestamp: event.at, data }
    }
}

fn message_body<'a>(message: &'a EventMessage, device: &'a EventDevice) -> EventMessageBody<'a> {
    let parties = Parties::of(message.direction, &message.chat, message.sender.as_ref());
    let structured = StructuredFields::of(&message.content, &message.context);
    EventMessageBody {
        id: message.id.0,
        reference: message.id.to_ref(),
        whatsapp_id: message.whatsapp_id.as_str(),
        device: device.into(),
        direction: if message.direction == Direction::Out { "out" } else { "in" },
        chat: &message.chat,
        group: message.chat.is_group().then(|| message.chat.short()),
        to: parties.to,
        from: parties.from,
        phone: parties.phone,
        lid: parties.lid,
        name: message.context.sender_name.as_deref(),
        kind: message.content.kind().as_str(),
        text: message.content.shown_text(),
        media: message.content.media().map(MediaBody::from),
        location: LocationBody::of(&message.content),
        contacts: message.content.contacts().map(ContactBody::list),
        poll: message.content.poll().map(PollBody::from),
        reaction: ReactionBody::of(&message.content, &message.context),
        poll_vote: structured.poll_vote,
        answer: structured.answer,
        order: structured.order,
        group_invite: structured.group_invite,
        event: structured.event,
        album: structured.album,
        unsupported: structured.unsupported,
        reply_to: reply_to(&message.content, &message.context),
        mentions: mentions(&message.context),
        forwarded: message.context.is_forwarded,
        edited_at: message.context.changes.edited_at,
        edits: EarlierBody::list(&message.context),
        revoked_at: message.context.changes.revoked_at,
        status: message.state.as_str(),
        error: message.failure.as_ref().map(ErrorBody::from),
        created_at: message.created_at,
    }
}

fn status_body<'a>(status: &'a EventStatus, device: &'a EventDevice) -> EventStatusBody<'a> {
    EventStatusBody {
        device: device.into(),
        status: status.status.as_str(),
        reason: status.reason.as_deref(),
        code: status.code,
        should_reconnect: status.should_reconnect,
        restricted_until: status.restricted_until,
    }
}

fn call_body<'a>(call: &'a CallReport, device: &'a EventDevice) -> EventCallBody<'a> {
    EventCallBody {
        device: device.into(),
        id: &call.id,
        from: call.from.key(),
        phone: call.from.phone.as_ref().map(|phone| phone.as_str()),
        lid: call.from.lid.as_ref().map(Lid::as_str),
        video: call.is_video,
        is_group: call.is_group,
        rejected: call.is_rejected,
    }
}

fn contact_body<'a>(identity: &'a Identity, device: &'a EventDevice) -> EventContactBody<'a> {
    EventContactBody {
        device: device.into(),
        phone: identity.phone.as_str(),
        lid: identity.lid.as_str(),
        chat: identity.chat(),
    }
}

impl<'a> From<&'a EventDevice> for EventDeviceBody<'a> {
    fn from(device: &'a EventDevice) -> Self {
        Self {
            id: device.id.0,
            number_id: device.number_id,
            name: &device.name,
            phone: device.phone.as_ref().map(|phone| phone.as_str()),
            lid: device.lid.as_ref().map(Lid::as_str),
        }
    }
}
