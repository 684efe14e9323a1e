//! How a message is shown.

use std::borrow::Cow;

use domain::chat::{ChatId, Lid};
use domain::content::{Contact, Content, ContentKind, Poll};
use domain::context::{Context, EarlierText};
use domain::message::{Address, Direction, Failure, Message, MessageState, StateChange, Waiting};
use domain::phone::PhoneNumber;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::media_view::MediaBody;
use super::structured_view::{
    AlbumBody, AnswerBody, CalendarEventBody, GroupInviteBody, LiveBody, OrderBody, PollVoteBody,
    StructuredFields,
};

/// A message.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageBody<'a> {
    /// Its id.
    id: i64,
    /// The id in a form that cannot be mistaken for a number.
    #[serde(rename = "ref")]
    reference: String,
    /// Its id on WhatsApp.
    whatsapp_id: &'a str,
    /// The device that sends or received it.
    device: Uuid,
    /// `in` or `out`.
    direction: &'static str,
    /// The chat's address on WhatsApp.
    #[schema(value_type = String)]
    chat: &'a ChatId,
    /// Whom it goes to: a number, or a group's id; null when it was received.
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
    /// `scheduled`, `queued`, `sending`, `sent`, `delivered`, `read`, `played`, `failed`,
    /// `expired` or `cancelled`.
    status: &'static str,
    /// Why it failed, or why its last attempt did.
    error: Option<ErrorBody<'a>>,
    /// What it waits for, while it waits; not in the answer to a send.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<WaitingBody>,
    /// Attempts so far.
    attempts: u32,
    /// Higher goes first, between chats.
    priority: i16,
    /// Not to be sent before this, where one was asked for.
    #[schema(value_type = Option<String>, format = DateTime)]
    schedule_at: Option<Timestamp>,
    /// Not to be sent after this.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Seconds between attempts, where asked for.
    retry_interval_s: Option<u32>,
    /// When it was accepted or received.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When WhatsApp acknowledged it.
    #[schema(value_type = Option<String>, format = DateTime)]
    sent_at: Option<Timestamp>,
    /// When it reached the phone.
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<Timestamp>,
    /// When it was seen.
    #[schema(value_type = Option<String>, format = DateTime)]
    read_at: Option<Timestamp>,
    /// When it was played.
    #[schema(value_type = Option<String>, format = DateTime)]
    played_at: Option<Timestamp>,
    /// The states it has been through, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<StateBody<'a>>>,
}

/// A message's location.
#[derive(Serialize, ToSchema)]
#[schema(as = Location)]
pub(super) struct LocationBody<'a> {
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
    /// Its name.
    name: Option<&'a str>,
    /// Where that is, in words.
    address: Option<&'a str>,
    /// Further fields of a place that moves with the phone that shares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveBody>,
}

impl<'a> LocationBody<'a> {
    pub(super) fn of(content: &'a Content) -> Option<Self> {
        let location = content.location()?;
        Some(Self {
            latitude: location.latitude,
            longitude: location.longitude,
            name: location.name.as_deref(),
            address: location.address.as_deref(),
            live: LiveBody::of(content),
        })
    }
}

/// A contact of a message.
#[derive(Serialize, ToSchema)]
#[schema(as = Contact)]
pub(super) struct ContactBody<'a> {
    /// The name.
    name: &'a str,
    /// The number; null where a received contact has none.
    phone: Option<&'a str>,
    /// Where they work.
    organization: Option<&'a str>,
}

impl<'a> ContactBody<'a> {
    pub(super) fn list(contacts: &'a [Contact]) -> Vec<Self> {
        let body = |contact: &'a Contact| Self {
            name: &contact.name,
            phone: contact.phone.as_deref(),
            organization: contact.organization.as_deref(),
        };
        contacts.iter().map(body).collect()
    }
}

/// A message's poll.
#[derive(Serialize, ToSchema)]
#[schema(as = Poll)]
pub(super) struct PollBody<'a> {
    /// The question.
    question: &'a str,
    /// The answers.
    options: Vec<PollOptionBody<'a>>,
    /// How many of them one may choose; 0 for all.
    selectable: u32,
}

/// An answer of a poll.
#[derive(Serialize, ToSchema)]
#[schema(as = PollOption)]
struct PollOptionBody<'a> {
    /// The answer.
    text: &'a str,
    /// How many people chose it.
    votes: usize,
}

impl<'a> From<&'a Poll> for PollBody<'a> {
    fn from(poll: &'a Poll) -> Self {
        let counted = poll.options.iter().zip(poll.tally());
        let options = counted.map(|(text, votes)| PollOptionBody { text, votes }).collect();
        Self { question: &poll.question, options, selectable: poll.selectable }
    }
}

/// A message's reaction.
#[derive(Serialize, ToSchema)]
#[schema(as = Reaction)]
pub(super) struct ReactionBody<'a> {
    /// The WhatsApp id of the message it is on; null where it is not known.
    message: Option<&'a str>,
    /// The emoji; empty when the reaction was removed.
    emoji: &'a str,
}

impl<'a> ReactionBody<'a> {
    pub(super) fn of(content: &'a Content, context: &'a Context) -> Option<Self> {
        let emoji = content.reaction()?;
        let message = context.reply_to.as_ref().map(|quote| quote.whatsapp_id.as_str());
        Some(Self { message, emoji })
    }
}

/// The message that is answered; reactions and votes name theirs.
pub(super) fn reply_to<'a>(content: &Content, context: &'a Context) -> Option<&'a str> {
    let is_named = content.reaction().is_some() || content.kind() == ContentKind::PollVote;
    let quote = context.reply_to.as_ref().filter(|_| !is_named);
    quote.map(|quote| quote.whatsapp_id.as_str())
}

/// Whom a message mentions; `None` for no one.
pub(super) fn mentions(context: &Context) -> Option<Vec<&str>> {
    let all = context.mentions.all.then_some("all");
    let people: Vec<&str> = context.mentions.people.iter().map(String::as_str).chain(all).collect();
    (!people.is_empty()).then_some(people)
}

/// A text that a message had before it was edited.
#[derive(Serialize, ToSchema)]
#[schema(as = EarlierText)]
pub(super) struct EarlierBody<'a> {
    /// The text.
    text: &'a str,
    /// Until when it had it.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
}

impl<'a> EarlierBody<'a> {
    /// The earlier texts; `None` for none.
    pub(super) fn list(context: &'a Context) -> Option<Vec<Self>> {
        let earlier = &context.changes.earlier;
        let body = |text: &'a EarlierText| Self { text: &text.text, until: text.until };
        (!earlier.is_empty()).then(|| earlier.iter().map(body).collect())
    }
}

/// Why a message failed.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageError)]
pub(super) struct ErrorBody<'a> {
    /// Stable, such as `not_on_whatsapp`.
    code: &'a str,
    /// For people.
    message: &'a str,
}

/// What a message waits for.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageWaiting)]
pub(super) struct WaitingBody {
    /// `scheduled`, `pacing`, `quiet_hours`, `first_contacts` (the day's limit of new numbers),
    /// `reachout_timelock` (WhatsApp lets the number write to no new contacts), `not_connected`,
    /// `chat_order` (an earlier message of its chat), `retry` or `file`.
    reason: &'static str,
    /// Not before this, where that is known.
    #[schema(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl From<&Waiting> for WaitingBody {
    fn from(waiting: &Waiting) -> Self {
        Self { reason: waiting.reason.as_str(), until: waiting.until }
    }
}

/// A step in a message's life.
#[derive(Serialize, ToSchema)]
#[schema(as = MessageStep)]
struct StateBody<'a> {
    /// The state it came into.
    status: &'static str,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Why, where there is something to say.
    reason: Option<&'a str>,
}

impl<'a> MessageBody<'a> {
    /// A message without its history.
    pub(super) fn brief(message: &'a Message) -> Self {
        let is_out = message.direction() == Direction::Out;
        let parties = Parties::of(message.direction(), &message.chat, message.sender.as_ref());
        let structured = StructuredFields::of(&message.content, &message.context);
        Self {
            id: message.id.0,
            reference: message.id.to_ref(),
            whatsapp_id: message.whatsapp_id.as_str(),
            device: message.device_id.0,
            direction: if is_out { "out" } else { "in" },
            chat: &message.chat,
            to: parties.to,
            from: parties.from,
            phone: parties.phone,
            lid: parties.lid,
            name: message.context.sender_name.as_deref(),
            kind: message.kind().as_str(),
            text: message.shown_text(),
            media: message.media().map(MediaBody::from),
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
            waiting: None,
            attempts: message.attempts,
            priority: message.priority,
            schedule_at: schedule(message),
            expires_at: message.expires_at,
            retry_interval_s: message.retry_interval_s,
            created_at: message.created_at,
            sent_at: message.reached(MessageState::Sent).filter(|_| is_out),
            delivered_at: message.reached(MessageState::Delivered),
            read_at: message.reached(MessageState::Read),
            played_at: message.reached(MessageState::Played),
            history: None,
        }
    }

    /// The same with what it waits for.
    pub(super) fn waiting(self, waiting: Option<&Waiting>) -> Self {
        Self { waiting: waiting.map(WaitingBody::from), ..self }
    }

    /// A message with its history.
    pub(super) fn full(message: &'a Message) -> Self {
        let history = Some(message.history.iter().map(StateBody::from).collect());
        Self { history, ..Self::brief(message) }
    }
}

/// Who writes to whom.
pub(super) struct Parties<'a> {
    /// Whom it goes to: a number, or a group's id; `None` when it was received.
    pub to: Option<&'a str>,
    /// Who wrote it: a number, else a LID; `None` when we send it.
    pub from: Option<&'a str>,
    /// The other side's number, where known.
    pub phone: Option<&'a str>,
    /// The other side's LID, where known.
    pub lid: Option<&'a str>,
}

impl<'a> Parties<'a> {
    pub(super) fn of(direction: Direction, chat: &'a ChatId, sender: Option<&'a Address>) -> Self {
        let is_out = direction == Direction::Out;
        let sender_phone = sender.and_then(|sender| sender.phone.as_ref());
        let phone = if is_out { chat.phone() } else { sender_phone };
        let lid = sender.and_then(|sender| sender.lid.as_ref()).map(Lid::as_str);
        Self {
            to: is_out.then(|| chat.short()),
            from: sender_phone.map(PhoneNumber::as_str).or(lid).filter(|_| !is_out),
            phone: phone.map(PhoneNumber::as_str),
            lid,
        }
    }
}

/// The time asked for; a retry's due time is not one.
fn schedule(message: &Message) -> Option<Timestamp> {
    let first = message.history.first()?;
    let was_scheduled = first.state == MessageState::Scheduled;
    (was_scheduled && message.attempts == 0).then_some(message.due_at)
}

impl<'a> From<&'a Failure> for ErrorBody<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self { code: &failure.code, message: &failure.message }
    }
}

impl<'a> From<&'a StateChange> for StateBody<'a> {
    fn from(change: &'a StateChange) -> Self {
        Self { status: change.state.as_str(), at: change.at, reason: change.reason.as_deref() }
    }
}
