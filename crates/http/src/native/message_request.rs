//! Messages to send, as `POST /v1/messages` takes them.

use domain::content::{Contact, Content, ContentRequest, Location, Poll};
use domain::service::{SendRequest, SendingDevice};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::media_field::MediaField;
use crate::api_error::ApiError;
use crate::fields::{DeviceField, MessageIdField, Object, PhoneField, TimeField};
use crate::optional::{ListField, optional};

/// A message to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageRequest {
    /// The device's id or number_id; device tokens may leave it out.
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "optional")]
    pub(super) device: Option<DeviceField>,
    /// A phone number, as text or integer, a group's id `…@g.us`, or a person's LID `…@lid`.
    #[schema(value_type = String)]
    to: PhoneField,
    /// The text, at most 65,536 characters. A message carries exactly one of `text`, `media`, `location`,
    /// `contacts`, `poll` and `reaction`.
    text: Option<String>,
    /// A file.
    #[schema(value_type = Option<MediaField>)]
    #[serde(default, deserialize_with = "optional")]
    media: Option<Object<MediaField>>,
    /// A location.
    #[schema(value_type = Option<LocationField>)]
    // What repeated requests are recognised by must stay the same where it is not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    location: Option<Object<LocationField>>,
    /// 1 to 10 contacts.
    #[schema(value_type = Option<Vec<ContactField>>, max_items = 10)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    contacts: Option<ListField<Object<ContactField>>>,
    /// A poll. Its votes come in as messages, and are counted with it.
    #[schema(value_type = Option<PollField>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    poll: Option<Object<PollField>>,
    /// A reaction to a message of the chat.
    #[schema(value_type = Option<ReactionField>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    reaction: Option<Object<ReactionField>>,
    /// The message of the chat that this one answers: its id, its `ref`, or its id on WhatsApp.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    reply_to: Option<MessageIdField>,
    /// Whom the text or the caption mentions, at most 1,024: phone numbers, LIDs, or `all` in a group.
    /// Phones highlight a number where the text has it after an `@`.
    #[schema(value_type = Option<Vec<String>>, max_items = 1024)]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    mentions: Option<ListField<PhoneField>>,
    /// Whether title and description are shown of the page that the first link in the text leads to; true unless
    /// given. The page is asked for when the message is sent, for at most 5 seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(default, deserialize_with = "optional")]
    link_preview: Option<bool>,
    /// Not before this (plan feature `schedule`).
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional")]
    schedule_at: Option<TimeField>,
    /// Not after this; wins over `expires_in_s`. 24 hours unless given.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, deserialize_with = "optional")]
    expires_at: Option<TimeField>,
    /// Not later than this many seconds after it may first be sent.
    #[serde(default, deserialize_with = "optional")]
    expires_in_s: Option<i64>,
    /// Seconds between attempts.
    #[serde(default, deserialize_with = "optional")]
    retry_interval_s: Option<u32>,
    /// Whether the recipient is shown that somebody types.
    #[serde(default, deserialize_with = "optional")]
    typing: Option<bool>,
    /// Higher goes first, between chats; -100 to 100.
    #[serde(default, deserialize_with = "optional")]
    #[schema(value_type = Option<i16>, minimum = -100, maximum = 100)]
    priority: Option<i64>,
}

/// A location to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = LocationRequest)]
#[serde(deny_unknown_fields)]
struct LocationField {
    /// Degrees north, -90 to 90.
    latitude: f64,
    /// Degrees east, -180 to 180.
    longitude: f64,
    /// Its name, at most 200 characters.
    #[serde(default, deserialize_with = "optional")]
    name: Option<String>,
    /// Where that is in words, at most 500 characters.
    #[serde(default, deserialize_with = "optional")]
    address: Option<String>,
}

/// A contact to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = ContactRequest)]
#[serde(deny_unknown_fields)]
struct ContactField {
    /// The name, at most 100 characters.
    name: String,
    /// The number, with its country code, as text or integer.
    #[schema(value_type = String)]
    phone: PhoneField,
    /// Where they work, at most 100 characters.
    #[serde(default, deserialize_with = "optional")]
    organization: Option<String>,
}

/// A poll to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = PollRequest)]
#[serde(deny_unknown_fields)]
struct PollField {
    /// The question, at most 255 characters.
    question: String,
    /// 2 to 12 answers, each at most 100 characters and different from the others.
    #[schema(value_type = Vec<String>, min_items = 2, max_items = 12)]
    options: ListField<String>,
    /// How many answers one may choose; 1 unless given, 0 for all.
    #[serde(default, deserialize_with = "optional")]
    selectable: Option<u32>,
}

/// A reaction to send.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = ReactionRequest)]
#[serde(deny_unknown_fields)]
struct ReactionField {
    /// The message it is on: its id, its `ref`, or its id on WhatsApp.
    #[schema(value_type = String)]
    message: MessageIdField,
    /// One emoji; empty to remove the reaction.
    emoji: String,
}

impl From<ContactField> for Contact {
    fn from(field: ContactField) -> Self {
        let ContactField { name, phone, organization } = field;
        Self { name: name.trim().to_owned(), phone: Some(phone.0), organization }
    }
}

impl From<PollField> for Poll {
    fn from(field: PollField) -> Self {
        let PollField { question, options: ListField(options), selectable } = field;
        Self { question, options, selectable: selectable.unwrap_or(1), ..Self::default() }
    }
}

impl From<LocationField> for Location {
    fn from(field: LocationField) -> Self {
        let LocationField { latitude, longitude, name, address } = field;
        Self { latitude, longitude, name, address }
    }
}

/// Translates a message into the core's words.
pub(super) fn command(
    device: Option<SendingDevice>,
    mut body: MessageRequest,
) -> Result<SendRequest, ApiError> {
    let reacted_to = body.reaction.as_ref().map(|Object(reaction)| reaction.message.0.clone());
    if reacted_to.is_some() && body.reply_to.is_some() {
        return Err(ApiError::field("reply_to", "cannot go with a reaction"));
    }
    let mentions = body.mentions.take().map(|ListField(given)| given).unwrap_or_default();
    Ok(SendRequest {
        device,
        content: content(&mut body)?,
        to: body.to.0,
        reply_to: reacted_to.or(body.reply_to.map(|id| id.0)),
        mentions: mentions.into_iter().map(|one| one.0).collect(),
        link_preview: body.link_preview,
        schedule_at: body.schedule_at.map(|time| time.0),
        expires_at: body.expires_at.map(|time| time.0),
        expires_in_s: body.expires_in_s,
        retry_interval_s: body.retry_interval_s,
        typing: body.typing,
        // Whatever is out of the type's range is out of the allowed one.
        priority: body.priority.map(|priority| i16::try_from(priority).unwrap_or(i16::MAX)),
    })
}

/// The one content that a message has.
fn content(body: &mut MessageRequest) -> Result<ContentRequest, ApiError> {
    let text = body.text.take();
    let media = body.media.take();
    let mut others: Vec<(&'static str, ContentRequest)> = Vec::new();
    if let Some(Object(location)) = body.location.take() {
        others.push(("location", Content::Location(location.into())));
    }
    // An empty list is a template's field that was left empty.
    if let Some(ListField(contacts)) = body.contacts.take().filter(|list| !list.0.is_empty()) {
        let contacts = contacts.into_iter().map(|Object(contact)| contact.into()).collect();
        others.push(("contacts", Content::Contacts(contacts)));
    }
    if let Some(Object(poll)) = body.poll.take() {
        others.push(("poll", Content::Poll(poll.into())));
    }
    if let Some(Object(reaction)) = body.reaction.take() {
        others.push(("reaction", Content::Reaction(reaction.emoji)));
    }
    // A template whose fields were left empty is no file beside the rest.
    let has_rest = !others.is_empty() || text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let media = media.filter(|Object(media)| !(has_rest && media.is_empty()));
    let is_alone = media.is_none() && others.is_empty();
    let text = text.filter(|text| is_alone || !text.trim().is_empty());
    let other = others.pop();
    if let Some((field, _)) = &other
        && (text.is_some() || media.is_some() || !others.is_empty())
    {
        return Err(ApiError::field(*field, "cannot go with another content"));
    }
    match (text, media, other) {
        (Some(_), Some(_), _) => {
            Err(ApiError::field("text", "cannot go with media; use media.caption"))
        }
        (Some(text), None, _) => Ok(Content::Text(text.into())),
        (None, Some(Object(media)), _) => Ok(Content::File(media.into_request()?)),
        (None, None, Some((_, content))) => Ok(content),
        (None, None, None) => Err(ApiError::field(
            "text",
            "is required, unless there is media, a location, contacts, a poll or a reaction",
        )),
    }
}
