//! What messages carry.
//!
//! One [`Content`] goes all the way: asked for (with a [`FileRequest`] where a file will be), stored
//! and shown (with a [`File`]), and on its way to WhatsApp (with an [`OutgoingFile`]).

use std::borrow::Cow;
use std::sync::Arc;

use crate::media::{FileFacts, FileRequest, Media, ReadyMedia};
use crate::structured::{LiveLocation, Structured, Vote};
use crate::text::{clean, clean_filename, clean_shared};

/// What kind of thing a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the documentation")]
pub enum ContentKind {
    Text,
    Image,
    Video,
    Audio,
    Voice,
    Document,
    Sticker,
    Location,
    Contact,
    Poll,
    Reaction,
    PollVote,
    Answer,
    Order,
    GroupInvite,
    Event,
    Album,
    /// Another text for a message that was sent before.
    Edit,
    /// Deletes a message that was sent before, for everyone.
    Revoke,
    /// Something that came in and could not be decrypted; it may turn into the message later.
    Unreadable,
    /// Anything we have no name for.
    Other,
}

impl ContentKind {
    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Location => "location",
            Self::Contact => "contact",
            Self::Poll => "poll",
            Self::Reaction => "reaction",
            Self::PollVote => "poll_vote",
            Self::Answer => "answer",
            Self::Order => "order",
            Self::GroupInvite => "group_invite",
            Self::Event => "event",
            Self::Album => "album",
            Self::Edit => "edit",
            Self::Revoke => "revoke",
            Self::Unreadable => "unreadable",
            Self::Other => "unsupported",
        }
    }

    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Text,
        Self::Image,
        Self::Video,
        Self::Audio,
        Self::Voice,
        Self::Document,
        Self::Sticker,
        Self::Location,
        Self::Contact,
        Self::Poll,
        Self::Reaction,
        Self::PollVote,
        Self::Answer,
        Self::Order,
        Self::GroupInvite,
        Self::Event,
        Self::Album,
        Self::Edit,
        Self::Revoke,
        Self::Unreadable,
        Self::Other,
    ];

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Reads a name back; an unknown one is [`ContentKind::Other`].
    pub fn from_name(name: &str) -> Self {
        Self::named(name).unwrap_or(Self::Other)
    }

    /// Whether it is a file.
    pub fn is_file(self) -> bool {
        match self {
            Self::Image
            | Self::Video
            | Self::Audio
            | Self::Voice
            | Self::Document
            | Self::Sticker => true,
            Self::Text
            | Self::Location
            | Self::Contact
            | Self::Poll
            | Self::Reaction
            | Self::PollVote
            | Self::Answer
            | Self::Order
            | Self::GroupInvite
            | Self::Event
            | Self::Album
            | Self::Edit
            | Self::Revoke
            | Self::Unreadable
            | Self::Other => false,
        }
    }
}

/// What a message carries; `F` is what is known of a file at that point of its way.
///
/// Texts and captions are shared: those for many receivers, and those of events, are in memory once.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<F = File> {
    /// Text alone.
    Text(Arc<str>),
    /// A file with its caption.
    File(F),
    /// A place.
    Location(Location),
    /// People's names and numbers.
    Contacts(Vec<Contact>),
    /// A question with answers to choose from.
    Poll(Poll),
    /// An emoji on the message that [`Context::reply_to`](crate::context::Context::reply_to) names;
    /// empty when it is removed.
    Reaction(String),
    /// Another text for the message that [`Context::reply_to`](crate::context::Context::reply_to) names.
    Edit(Arc<str>),
    /// That message is deleted for everyone.
    Revoke,
    /// Something with fields of its own that only comes in.
    Structured(Box<Structured>),
    /// Something of which we know the kind and a few words.
    Unsupported(Unsupported),
}

/// Floats in contents are finite, so that each equals itself.
impl<F: PartialEq> Eq for Content<F> {}

/// What is asked to be sent.
pub type ContentRequest = Content<FileRequest>;
/// What is given to WhatsApp.
pub type OutgoingContent = Content<OutgoingFile>;

/// The file of a message, as it is kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Image, video, audio, voice, document or sticker; a guess until it is sent, unless
    /// [`Media::is_kind_given`].
    pub kind: ContentKind,
    /// The text below it.
    pub caption: Arc<str>,
    /// What is known of the file itself.
    pub media: Media,
}

/// The file of a message that is given to WhatsApp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingFile {
    /// The file.
    pub media: ReadyMedia,
    /// The text below it; WhatsApp has none for audio, where it goes as a message of its own.
    pub caption: String,
    /// Whether it can be looked at once only.
    pub is_view_once: bool,
    /// Whether it is a video that is played as an animation.
    pub is_gif: bool,
}

/// A place on the map.
#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// What it is called.
    pub name: Option<String>,
    /// Where that is, in words.
    pub address: Option<String>,
}

/// Somebody's name and number, as an address book has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contact {
    /// The name.
    pub name: String,
    /// The number as it was written; `None` where a received one has none.
    pub phone: Option<String>,
    /// Where they work.
    pub organization: Option<String>,
}

/// A question with answers to choose from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Poll {
    /// The question.
    pub question: String,
    /// The answers.
    pub options: Vec<String>,
    /// How many of them one may choose; 0 for all.
    pub selectable: u32,
    /// What people chose, the last vote of each.
    pub votes: Vec<Vote>,
}

/// Most contacts in a message that is sent.
pub const CONTACTS_MAX: usize = 10;
/// Longest name and organization of a contact, in characters.
pub const CONTACT_CHARS_MAX: usize = 100;
/// Longest question of a poll, in characters.
pub const QUESTION_CHARS_MAX: usize = 255;
/// Longest answer of a poll, in characters.
pub const OPTION_CHARS_MAX: usize = 100;
/// Fewest answers of a poll.
pub const OPTIONS_MIN: usize = 2;
/// Most answers of a poll.
pub const OPTIONS_MAX: usize = 12;
/// Longest emoji, in bytes: one of a family is long.
pub const EMOJI_BYTES_MAX: usize = 64;

/// Longest name of a place, in characters.
pub const LOCATION_NAME_CHARS_MAX: usize = 200;
/// Longest address of a place, in characters.
pub const LOCATION_ADDRESS_CHARS_MAX: usize = 500;

impl Location {
    /// Whether the latitude is a number of degrees.
    pub fn has_latitude(&self) -> bool {
        (-90.0..=90.0).contains(&self.latitude)
    }

    /// Whether the longitude is a number of degrees.
    pub fn has_longitude(&self) -> bool {
        (-180.0..=180.0).contains(&self.longitude)
    }
}

/// Content of a kind that cannot be sent, or a stored one that this build cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsupported {
    /// What it is.
    pub kind: ContentKind,
    /// What stands for it, such as a contact's name.
    pub text: String,
}

impl<F> Default for Content<F> {
    fn default() -> Self {
        Self::Text(Arc::default())
    }
}

impl<F> Content<F> {
    /// The same content with another form of its file; `None` where there is no such form.
    pub fn with_file<G>(self, change: impl FnOnce(F) -> Option<G>) -> Option<Content<G>> {
        Some(match self {
            Self::Text(text) => Content::Text(text),
            Self::File(file) => Content::File(change(file)?),
            Self::Location(location) => Content::Location(location),
            Self::Contacts(contacts) => Content::Contacts(contacts),
            Self::Poll(poll) => Content::Poll(poll),
            Self::Reaction(emoji) => Content::Reaction(emoji),
            Self::Edit(text) => Content::Edit(text),
            Self::Revoke => Content::Revoke,
            Self::Structured(structured) => Content::Structured(structured),
            Self::Unsupported(unsupported) => Content::Unsupported(unsupported),
        })
    }

    /// Whether it is a file.
    pub fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }
}

impl Content {
    /// What stands for a message that could not be decrypted.
    pub fn unreadable() -> Self {
        Self::Unsupported(Unsupported { kind: ContentKind::Unreadable, text: String::new() })
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> ContentKind {
        match self {
            Self::Text(_) => ContentKind::Text,
            Self::File(file) => file.kind,
            Self::Location(_) => ContentKind::Location,
            Self::Contacts(_) => ContentKind::Contact,
            Self::Poll(_) => ContentKind::Poll,
            Self::Reaction(_) => ContentKind::Reaction,
            Self::Edit(_) => ContentKind::Edit,
            Self::Revoke => ContentKind::Revoke,
            Self::Structured(structured) => structured.kind(),
            Self::Unsupported(unsupported) => unsupported.kind,
        }
    }

    /// The text, the caption, a place's or the first contact's name, a poll's question, a reaction's
    /// emoji, or the words that stand for it; empty when there are none.
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text) | Self::Edit(text) => text,
            Self::File(file) => &file.caption,
            Self::Location(location) => location.name.as_deref().unwrap_or_default(),
            Self::Contacts(contacts) => contacts.first().map_or("", |first| &first.name),
            Self::Poll(poll) => &poll.question,
            Self::Reaction(emoji) => emoji,
            Self::Revoke => "",
            Self::Structured(structured) => structured.text(),
            Self::Unsupported(unsupported) => &unsupported.text,
        }
    }

    /// Its [`Content::text`] where nothing else is shown of it: of contacts all their names, of a place
    /// without a name where it is.
    pub fn shown_text(&self) -> Cow<'_, str> {
        match self {
            Self::Contacts(contacts) => {
                let names: Vec<&str> = contacts.iter().map(|one| one.name.as_str()).collect();
                names.join(", ").into()
            }
            _ => match self.location().filter(|_| self.text().is_empty()) {
                Some(place) => format!("{}, {}", place.latitude, place.longitude).into(),
                None => self.text().into(),
            },
        }
    }

    /// The file it is.
    pub fn file(&self) -> Option<&File> {
        if let Self::File(file) = self { Some(file) } else { None }
    }

    /// What is known of the file it is.
    pub fn media(&self) -> Option<&Media> {
        self.file().map(|file| &file.media)
    }

    /// The place it is.
    pub fn location(&self) -> Option<&Location> {
        match self {
            Self::Location(location) => Some(location),
            _ => self.structured()?.live_location().map(|live| &live.place),
        }
    }

    /// The contacts it is.
    pub fn contacts(&self) -> Option<&[Contact]> {
        if let Self::Contacts(contacts) = self { Some(contacts) } else { None }
    }

    /// The poll it is.
    pub fn poll(&self) -> Option<&Poll> {
        if let Self::Poll(poll) = self { Some(poll) } else { None }
    }

    /// The emoji of the reaction it is.
    pub fn reaction(&self) -> Option<&str> {
        if let Self::Reaction(emoji) = self { Some(emoji) } else { None }
    }

    /// What it is, where it has fields of its own and only comes in.
    pub fn structured(&self) -> Option<&Structured> {
        if let Self::Structured(structured) = self { Some(structured) } else { None }
    }

    /// Removes what a database does not store from all texts that somebody else wrote.
    pub fn clean(&mut self) {
        match self {
            Self::Text(text) | Self::Edit(text) => clean_shared(text),
            Self::Revoke => {}
            Self::File(File { caption, media, .. }) => {
                clean_shared(caption);
                [&mut media.url, &mut media.mimetype].into_iter().flatten().for_each(clean);
                media.filename.iter_mut().for_each(clean_filename);
            }
            Self::Location(Location { name, address, .. }) => {
                [name, address].into_iter().flatten().for_each(clean);
            }
            Self::Contacts(contacts) => {
                for Contact { name, phone, organization } in contacts {
                    clean(name);
                    [phone, organization].into_iter().flatten().for_each(clean);
                }
            }
            Self::Poll(Poll { question, options, .. }) => {
                clean(question);
                options.iter_mut().for_each(clean);
            }
            Self::Reaction(emoji) => clean(emoji),
            Self::Structured(structured) => structured.clean(),
            Self::Unsupported(unsupported) => clean(&mut unsupported.text),
        }
    }

    /// Whether it changes another message and is none of its own.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Edit(_) | Self::Revoke)
    }

    /// Whether phones show it with another message and not as one: a change of it, a reaction or a vote.
    pub fn is_of_another(&self) -> bool {
        use ContentKind::{PollVote, Reaction};
        self.is_change() || matches!(self.kind(), Reaction | PollVote)
    }

    /// The text that people may edit: a text, or a caption that phones show.
    pub fn editable_text(&self) -> Option<&Arc<str>> {
        use ContentKind::{Document, Image, Video};
        match self {
            Self::Text(text) => Some(text),
            Self::File(File { kind: Image | Video | Document, caption, .. }) => Some(caption),
            _ => None,
        }
    }

    /// Puts another text in place of an editable one; the earlier one.
    pub fn edit(&mut self, text: Arc<str>) -> Option<Arc<str>> {
        self.editable_text()?;
        match self {
            Self::Text(current) | Self::File(File { caption: current, .. }) => {
                Some(std::mem::replace(current, text))
            }
            _ => None,
        }
    }

    /// Names the answers that a vote chooses.
    pub fn name_choices(&mut self, options: Vec<String>) {
        let Self::Structured(structured) = self else { return };
        if let Structured::PollVote(vote) = &mut **structured {
            vote.name(options);
        }
    }

    /// A place that moves is here now; says whether that is news.
    pub fn move_to(&mut self, to: &LiveLocation) -> bool {
        let Self::Structured(structured) = self else { return false };
        match &mut **structured {
            Structured::LiveLocation(live) if live.sequence < to.sequence => {
                *live = to.clone();
                true
            }
            _ => false,
        }
    }

    /// The file has turned out to be of this kind.
    pub fn set_file_kind(&mut self, kind: ContentKind) {
        if let Self::File(file) = self {
            file.kind = kind;
        }
    }

    /// The file that went out was this.
    pub fn file_was(&mut self, facts: &FileFacts) {
        let Self::File(File { media, .. }) = self else { return };
        media.filename = facts.filename.clone().or(media.filename.take());
        media.mimetype = Some(facts.mimetype.clone());
        media.size = Some(facts.size);
        (media.seconds, media.pages) = (facts.seconds, facts.pages);
        media.dimensions = facts.dimensions;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::structured::PollVote;

    #[test]
    fn the_name_of_a_file_that_comes_in_disguises_no_type() {
        let filename = Some("Faktur\u{202e}fdp.exe".to_owned());
        let media = Media { filename, ..Media::default() };
        let mut content =
            Content::File(File { kind: ContentKind::Document, caption: "\u{200f}x".into(), media });
        content.clean();
        let Content::File(file) = content else { panic!("a file") };
        assert_eq!(file.media.filename.as_deref(), Some("Fakturfdp.exe"));
        assert_eq!(&*file.caption, "\u{200f}x", "texts keep their marks");
    }

    #[test]
    fn what_a_content_shows() {
        let file = File {
            kind: ContentKind::Image,
            caption: "look".into(),
            media: Media { size: Some(3), ..Media::default() },
        };
        let place = Location {
            latitude: -6.2088,
            longitude: 106.8456,
            name: Some("Monas".into()),
            address: None,
        };
        let unnamed = Location { latitude: -6.2, longitude: 106.8, name: None, address: None };
        let budi = Contact { name: "Budi".into(), ..Contact::default() };
        let ani = Contact { name: "Ani".into(), ..Contact::default() };
        let poll = Poll { question: "Which?".into(), ..Poll::default() };
        let unknown = Unsupported { kind: ContentKind::Other, text: String::new() };
        let cases = [
            (Content::Text("hi".into()), ContentKind::Text, "hi", None),
            (Content::File(file), ContentKind::Image, "look", Some(3)),
            (Content::Location(place), ContentKind::Location, "Monas", None),
            (Content::Location(unnamed), ContentKind::Location, "-6.2, 106.8", None),
            (Content::Contacts(vec![budi.clone()]), ContentKind::Contact, "Budi", None),
            (Content::Contacts(vec![budi, ani]), ContentKind::Contact, "Budi, Ani", None),
            (Content::Contacts(Vec::new()), ContentKind::Contact, "", None),
            (Content::Poll(poll), ContentKind::Poll, "Which?", None),
            (Content::Reaction("👍".into()), ContentKind::Reaction, "👍", None),
            (Content::Unsupported(unknown), ContentKind::Other, "", None),
        ];
        for (mut content, kind, text, size) in cases {
            assert_eq!((content.kind(), &*content.shown_text()), (kind, text));
            assert_eq!(content.media().and_then(|media| media.size), size);
            assert_eq!((content.is_file(), kind.is_file()), (size.is_some(), size.is_some()));
            content.set_file_kind(ContentKind::Video);
            assert_eq!(content.kind(), if size.is_some() { ContentKind::Video } else { kind });
        }
    }

    #[test]
    fn another_form_of_the_file_leaves_the_rest() {
        let length = |file: &str| Some(file.len()).filter(|length| *length > 0);
        let text: Content<&str> = Content::Text("x".into());
        let cases = [
            (Content::File("a file"), Some(Content::File(6))),
            (Content::File(""), None),
            (text, Some(Content::Text("x".into()))),
        ];
        for (content, expected) in cases {
            assert_eq!(content.with_file(length), expected);
        }
    }

    #[test]
    fn names_of_kinds_lead_back_and_an_unknown_one_is_unsupported() {
        for kind in ContentKind::ALL {
            assert_eq!(ContentKind::named(kind.as_str()), Some(kind));
        }
        assert_eq!(ContentKind::named("hologram"), None);
        assert_eq!(ContentKind::from_name("hologram"), ContentKind::Other);
    }

    fn file(kind: ContentKind) -> Content {
        Content::File(File { kind, caption: "before".into(), media: Media::default() })
    }

    fn live(latitude: f64, sequence: i64) -> LiveLocation {
        let place = Location { latitude, longitude: 106.8, name: None, address: None };
        LiveLocation { place, accuracy_m: None, heading: None, speed: None, sequence }
    }

    #[test]
    fn each_content_is_one_thing() {
        let vote = Structured::PollVote(PollVote::new(vec!["aa".into()], Vec::new()));
        let contacts = vec![Contact { name: "Budi".into(), ..Contact::default() }];
        let poll = Poll { question: "Which?".into(), ..Poll::default() };
        let cases = [
            (Content::Contacts(contacts.clone()), Some(&contacts[..]), None, None, None),
            (Content::Poll(poll.clone()), None, Some(&poll), None, None),
            (Content::Reaction("👍".into()), None, None, Some("👍"), None),
            (Content::Reaction(String::new()), None, None, Some(""), None),
            (Content::Structured(Box::new(vote.clone())), None, None, None, Some(&vote)),
            (Content::Text("👍".into()), None, None, None, None),
        ];
        for (content, contacts, poll, reaction, structured) in cases {
            assert_eq!((content.contacts(), content.poll()), (contacts, poll));
            assert_eq!((content.reaction(), content.structured()), (reaction, structured));
        }
    }

    #[test]
    fn what_stands_for_an_undecrypted_message_is_of_its_own_kind_and_has_no_text() {
        let content = Content::unreadable();
        assert_eq!((content.kind(), content.text()), (ContentKind::Unreadable, ""));
    }

    #[test]
    fn changes_reactions_and_votes_are_of_another_message() {
        let vote = Structured::PollVote(PollVote::default());
        let cases = [
            (Content::Edit("x".into()), true, true),
            (Content::Revoke, true, true),
            (Content::Reaction("👍".into()), false, true),
            (Content::Structured(Box::new(vote)), false, true),
            (Content::Structured(Box::new(Structured::LiveLocation(live(1.0, 1)))), false, false),
            (Content::Text("x".into()), false, false),
            (Content::Poll(Poll::default()), false, false),
            (file(ContentKind::Image), false, false),
        ];
        for (content, is_change, is_of_another) in cases {
            let seen = (content.is_change(), content.is_of_another());
            assert_eq!(seen, (is_change, is_of_another), "{content:?}");
        }
    }

    #[test]
    fn texts_and_captions_that_phones_show_can_be_edited() {
        use ContentKind::{Audio, Document, Image, Sticker, Video, Voice};
        let text: Content = Content::Text("before".into());
        let editable = [Image, Video, Document].map(file).into_iter().chain([text]);
        for mut content in editable {
            assert_eq!(content.editable_text().map(|text| &**text), Some("before"));
            assert_eq!(content.edit("after".into()).as_deref(), Some("before"));
            assert_eq!(content.text(), "after");
        }
        let poll = Poll { question: "before".into(), ..Poll::default() };
        let others = [Audio, Voice, Sticker].map(file).into_iter().chain([Content::Poll(poll)]);
        for mut content in others {
            assert_eq!(content.editable_text(), None);
            assert_eq!(content.edit("after".into()), None);
            assert_eq!(content.text(), "before");
        }
    }

    #[test]
    fn a_place_moves_with_later_updates_only() {
        let here = live(-6.2, 5);
        for (to, is_news) in [(live(-6.3, 4), false), (live(-6.3, 5), false), (live(-6.3, 6), true)]
        {
            let mut content = Content::Structured(Box::new(Structured::LiveLocation(here.clone())));
            assert_eq!(content.move_to(&to), is_news, "{}", to.sequence);
            let latitude = content.location().map(|place| place.latitude);
            assert_eq!(latitude, Some(if is_news { -6.3 } else { -6.2 }));
        }
        let mut fixed = Content::Location(here.place);
        assert!(!fixed.move_to(&live(-6.3, 6)));
    }

    #[test]
    fn a_vote_shows_the_answers_once_they_are_known() {
        let vote = Structured::PollVote(PollVote::new(vec!["aa".into()], Vec::new()));
        let mut content = Content::Structured(Box::new(vote));
        assert_eq!(content.shown_text(), "");
        content.name_choices(vec!["Soto".into()]);
        assert_eq!(content.shown_text(), "Soto");
    }

    #[test]
    fn what_has_gone_out_is_what_is_kept_of_a_file() {
        let facts = |filename: Option<&str>| FileFacts {
            kind: ContentKind::Document,
            filename: filename.map(str::to_owned),
            mimetype: "application/pdf".into(),
            size: 7,
            seconds: None,
            dimensions: Some((3, 4)),
            pages: Some(2),
        };
        for (found, kept) in [(None, "asked.pdf"), (Some("found.pdf"), "found.pdf")] {
            let media = Media {
                filename: Some("asked.pdf".into()),
                mimetype: Some("text/plain".into()),
                seconds: Some(9),
                ..Media::default()
            };
            let mut content =
                Content::File(File { kind: ContentKind::Document, caption: "".into(), media });
            content.file_was(&facts(found));
            let expected = Media {
                filename: Some(kept.into()),
                mimetype: Some("application/pdf".into()),
                size: Some(7),
                dimensions: Some((3, 4)),
                pages: Some(2),
                ..Media::default()
            };
            assert_eq!(content.media(), Some(&expected));
        }
    }
}
