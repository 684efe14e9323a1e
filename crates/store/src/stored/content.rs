//! What a message carries and refers to: the columns `kind`, `text` and `media` of both tables of messages, and
//! the same fields in queued events.
//!
//! Kind and text stand in columns of their own, because lists show and filter by them; everything
//! else is one versioned JSON in `media`. `docs/adr/0003-stored-content.md` says why there.

use std::borrow::Cow;

use domain::content::{Contact, Content, ContentKind, File, Location, Poll, Unsupported};
use domain::context::{Changes, Context, EarlierText, Mentions, Quote};
use domain::ids::WhatsappId;
use domain::incoming_file::FileState;
use domain::media::Media;
use domain::structured::Vote;
use domain::text::clean_filename;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::address::StoredAddress;
use super::structured::{StoredStructured, StoredVote};
use super::to_text;
use crate::sql::SqlResult;

/// The version that is written. Rows from before there were versions are of the first.
const VERSION: u32 = 1;

/// One flat object: its fields of a file are those of the first release, so that each release reads
/// the other's files.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct StoredContent<'a> {
    #[serde(default = "first_version")]
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_kind_given: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filename: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mimetype: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    view_once: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    gif: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seconds: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dimensions: Option<(u32, u32)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pages: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thumbnail: Option<Cow<'a, str>>,
    /// Where a file that came in was at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_state: Option<Cow<'a, str>>,
    /// Why it was not here then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_reason: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<StoredLocation<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contacts: Option<Vec<StoredContact<'a>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll: Option<StoredPoll<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    structured: Option<StoredStructured>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<StoredContext<'a>>,
}

#[derive(Serialize, Deserialize)]
struct StoredContact<'a> {
    name: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    organization: Option<Cow<'a, str>>,
}

/// The question is the text.
#[derive(Serialize, Deserialize)]
struct StoredPoll<'a> {
    options: Cow<'a, [String]>,
    selectable: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    votes: Vec<StoredVote>,
}

#[derive(Default, Serialize, Deserialize)]
struct StoredContext<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<StoredQuote<'a>>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    mentions: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "is_false")]
    mentions_all: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    is_forwarded: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    is_without_preview: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revoked_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    earlier: Vec<StoredText<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sender_name: Option<Cow<'a, str>>,
}

/// A text that a message had, until then.
#[derive(Serialize, Deserialize)]
struct StoredText<'a> {
    text: Cow<'a, str>,
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct StoredQuote<'a> {
    whatsapp_id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_ours: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sender: Option<StoredAddress<'a>>,
    kind: Cow<'a, str>,
    text: Cow<'a, str>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

impl<'a> From<&'a Contact> for StoredContact<'a> {
    fn from(contact: &'a Contact) -> Self {
        Self {
            name: contact.name.as_str().into(),
            phone: contact.phone.as_deref().map(Cow::Borrowed),
            organization: contact.organization.as_deref().map(Cow::Borrowed),
        }
    }
}

impl From<StoredContact<'_>> for Contact {
    fn from(stored: StoredContact<'_>) -> Self {
        Self {
            name: stored.name.into_owned(),
            phone: stored.phone.map(Cow::into_owned),
            organization: stored.organization.map(Cow::into_owned),
        }
    }
}

impl<'a> From<&'a Context> for StoredContext<'a> {
    fn from(context: &'a Context) -> Self {
        let Changes { edited_at, revoked_at, earlier } = &context.changes;
        let text = |EarlierText { text, until }: &'a EarlierText| StoredText {
            text: Cow::Borrowed(text),
            until: *until,
        };
        Self {
            edited_at: *edited_at,
            revoked_at: *revoked_at,
            earlier: earlier.iter().map(text).collect(),
            reply_to: context.reply_to.as_ref().map(StoredQuote::from),
            mentions: Cow::Borrowed(&context.mentions.people),
            mentions_all: context.mentions.all,
            is_forwarded: context.is_forwarded,
            is_without_preview: context.is_without_preview,
            sender_name: context.sender_name.as_deref().map(Cow::Borrowed),
        }
    }
}

impl From<StoredContext<'_>> for Context {
    fn from(stored: StoredContext<'_>) -> Self {
        let text = |StoredText { text, until }: StoredText<'_>| EarlierText {
            text: text.into_owned().into(),
            until,
        };
        Self {
            changes: Changes {
                edited_at: stored.edited_at,
                revoked_at: stored.revoked_at,
                earlier: stored.earlier.into_iter().map(text).collect(),
            },
            reply_to: stored.reply_to.map(Quote::from),
            mentions: Mentions { people: stored.mentions.into_owned(), all: stored.mentions_all },
            is_forwarded: stored.is_forwarded,
            is_without_preview: stored.is_without_preview,
            sender_name: stored.sender_name.map(Cow::into_owned),
        }
    }
}

impl<'a> From<&'a Quote> for StoredQuote<'a> {
    fn from(quote: &'a Quote) -> Self {
        Self {
            whatsapp_id: quote.whatsapp_id.as_str().into(),
            is_ours: quote.is_ours,
            sender: quote.sender.as_ref().map(StoredAddress::from),
            kind: quote.kind.as_str().into(),
            text: quote.text.as_str().into(),
        }
    }
}

impl From<StoredQuote<'_>> for Quote {
    fn from(stored: StoredQuote<'_>) -> Self {
        Self {
            whatsapp_id: WhatsappId(stored.whatsapp_id.into_owned()),
            is_ours: stored.is_ours,
            sender: stored.sender.map(Into::into),
            kind: ContentKind::from_name(&stored.kind),
            text: stored.text.into_owned(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct StoredLocation<'a> {
    latitude: f64,
    longitude: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Location> for StoredLocation<'a> {
    fn from(location: &'a Location) -> Self {
        Self {
            latitude: location.latitude,
            longitude: location.longitude,
            name: location.name.as_deref().map(Cow::Borrowed),
            address: location.address.as_deref().map(Cow::Borrowed),
        }
    }
}

impl From<StoredLocation<'_>> for Location {
    fn from(stored: StoredLocation<'_>) -> Self {
        Self {
            latitude: stored.latitude,
            longitude: stored.longitude,
            name: stored.name.map(Cow::into_owned),
            address: stored.address.map(Cow::into_owned),
        }
    }
}

/// The name of a file that was stored before such names were cleaned.
fn seen(mut name: String) -> String {
    clean_filename(&mut name);
    name
}

fn first_version() -> u32 {
    1
}

impl<'a> StoredContent<'a> {
    /// What is stored beside kind and text; `None` where they say it all.
    pub(super) fn of(content: &'a Content, context: &'a Context) -> Option<Self> {
        let stored = Self::of_content(content);
        if context.is_empty() {
            return stored;
        }
        let stored = stored.unwrap_or(Self { v: VERSION, ..Self::default() });
        Some(Self { context: Some(context.into()), ..stored })
    }

    fn of_content(content: &'a Content) -> Option<Self> {
        match content {
            Content::Text(_)
            | Content::Reaction(_)
            | Content::Edit(_)
            | Content::Revoke
            | Content::Unsupported(_) => None,
            Content::Contacts(contacts) => {
                let contacts = Some(contacts.iter().map(StoredContact::from).collect());
                Some(Self { v: VERSION, contacts, ..Self::default() })
            }
            Content::Structured(structured) => {
                let structured = Some(StoredStructured::from(&**structured));
                Some(Self { v: VERSION, structured, ..Self::default() })
            }
            Content::Poll(Poll { options, selectable, votes, .. }) => {
                let votes = votes.iter().map(StoredVote::from).collect();
                let (options, selectable) = (Cow::Borrowed(options.as_slice()), *selectable);
                let poll = StoredPoll { options, selectable, votes };
                Some(Self { v: VERSION, poll: Some(poll), ..Self::default() })
            }
            Content::File(file) => Some(Self::of_file(&file.media)),
            Content::Location(location) => {
                Some(Self { v: VERSION, location: Some(location.into()), ..Self::default() })
            }
        }
    }

    fn of_file(media: &'a Media) -> Self {
        Self {
            v: VERSION,
            url: media.url.as_deref().map(Cow::Borrowed),
            is_kind_given: Some(media.is_kind_given),
            filename: media.filename.as_deref().map(Cow::Borrowed),
            mimetype: media.mimetype.as_deref().map(Cow::Borrowed),
            size: media.size,
            sha256: media.sha256.as_deref().map(Cow::Borrowed),
            seconds: media.seconds,
            dimensions: media.dimensions,
            pages: media.pages,
            thumbnail: media.thumbnail.as_deref().map(Cow::Borrowed),
            file_state: media.state.map(|state| state.as_str().into()),
            file_reason: media.reason.as_deref().map(Cow::Borrowed),
            view_once: media.is_view_once,
            gif: media.is_gif,
            ..Self::default()
        }
    }

    fn into_media(self) -> Media {
        Media {
            url: self.url.map(Cow::into_owned),
            is_kind_given: self.is_kind_given.unwrap_or(false),
            filename: self.filename.map(Cow::into_owned).map(seen),
            mimetype: self.mimetype.map(Cow::into_owned),
            size: self.size,
            sha256: self.sha256.map(Cow::into_owned),
            seconds: self.seconds,
            dimensions: self.dimensions,
            pages: self.pages,
            thumbnail: self.thumbnail.map(Into::into),
            state: self.file_state.as_deref().and_then(FileState::from_name),
            reason: self.file_reason.map(Cow::into_owned),
            reference: None,
            is_view_once: self.view_once,
            is_gif: self.gif,
        }
    }
}

/// The content of a kind, and what it refers to. One that only a later release knows is an error that
/// holds kind and text.
pub(super) fn content(
    kind: ContentKind,
    text: String,
    stored: Option<StoredContent<'_>>,
) -> Result<(Content, Context), Unsupported> {
    let mut stored = stored.unwrap_or_default();
    if stored.v > VERSION {
        return Err(Unsupported { kind, text });
    }
    let location = stored.location.take().map(Location::from);
    if location.as_ref().is_some_and(|at| !at.has_latitude() || !at.has_longitude()) {
        return Err(Unsupported { kind, text });
    }
    let context = stored.context.take().map(Context::from).unwrap_or_default();
    let contacts = stored.contacts.take();
    let poll = stored.poll.take();
    let structured = stored.structured.take().and_then(StoredStructured::read);
    if let Some(structured) = structured.filter(|structured| structured.kind() == kind) {
        return Ok((Content::Structured(Box::new(structured)), context));
    }
    let media = stored.into_media();
    let content = match (kind, location) {
        (ContentKind::Text, _) => Content::Text(text.into()),
        (ContentKind::Reaction, _) => Content::Reaction(text),
        (ContentKind::Edit, _) => Content::Edit(text.into()),
        (ContentKind::Revoke, _) => Content::Revoke,
        (ContentKind::Location, Some(location)) => Content::Location(location),
        (ContentKind::Contact, _) if contacts.is_some() => {
            Content::Contacts(contacts.into_iter().flatten().map(Contact::from).collect())
        }
        (ContentKind::Poll, _) if poll.is_some() => {
            let (options, selectable, votes) = poll
                .map(|poll| (poll.options.into_owned(), poll.selectable, poll.votes))
                .unwrap_or_default();
            let votes = votes.into_iter().map(Vote::from).collect();
            Content::Poll(Poll { question: text, options, selectable, votes })
        }
        (kind, _) if kind.is_file() => Content::File(File { kind, caption: text.into(), media }),
        // The first release kept no more of a received place or contact than its name.
        (kind, _) => Content::Unsupported(Unsupported { kind, text }),
    };
    Ok((content, context))
}

/// What goes into the column `media`.
pub(crate) fn write(content: &Content, context: &Context) -> SqlResult<Option<String>> {
    StoredContent::of(content, context).map(|stored| to_text(&stored)).transpose()
}

/// Reads the three columns. What cannot be read of them is an error that holds what can.
pub(crate) fn read(
    kind: &str,
    text: String,
    media: Option<&str>,
) -> Result<(Content, Context), Unsupported> {
    let kind = ContentKind::from_name(kind);
    match media.map(serde_json::from_str).transpose() {
        Ok(stored) => content(kind, text, stored),
        Err(_) => Err(Unsupported { kind, text }),
    }
}
