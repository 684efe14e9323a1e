//! The messages of a conversation, as people see them in a chat.

use std::collections::BTreeMap;

use domain::content::{Contact, Content, Poll};
use domain::incoming_file::FileState;
use domain::media::Media;
use domain::message::{Direction, Message};
use domain::phone::PHONE_DIGITS_MIN;
use maud::{Markup, html};

use super::caller::Person;
use super::chats::ChatWords;
use super::show::{self, with};
use super::words::Words;
use crate::media::is_picture;

/// The messages of a conversation, oldest first.
pub(super) struct Bubbles<'a> {
    pub(super) person: &'a Person,
    /// Where a message is answered, without its number.
    pub(super) answer: String,
    pub(super) messages: &'a [Message],
    pub(super) is_answerable: bool,
}

/// Who wrote a message, in words.
pub(super) fn writer(person: &Person, message: &Message) -> String {
    if message.direction() == Direction::Out {
        return ChatWords::of(person.lang).you.to_owned();
    }
    let number = || match message.sender.as_ref().and_then(|sender| sender.phone.as_ref()) {
        Some(phone) => format!("+{phone}"),
        None => message.sender.as_ref().map_or_else(String::new, |sender| sender.key().to_owned()),
    };
    message.context.sender_name.clone().unwrap_or_else(number)
}

/// Who wrote a message, for what they did last: their address.
fn writer_key(message: &Message) -> &str {
    match message.direction() {
        Direction::Out => "",
        Direction::In => message.sender.as_ref().map_or("?", |sender| sender.key()),
    }
}

/// How a message begins, without marks.
fn beginning(words: &Words, message: &Message) -> String {
    let text: String = message.text().chars().take(60).collect();
    if text.is_empty() { show::kind_word(words, message.kind()).to_owned() } else { text }
}

/// The last reaction of each person on each message, by the message's id on WhatsApp.
type Reactions<'a> = BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>;

impl Bubbles<'_> {
    /// As a list.
    pub(super) fn render(&self) -> Markup {
        let reactions = self.reactions();
        let shown = self.messages.iter().filter(|message| !self.is_elsewhere(message));
        html! {
            @if self.messages.is_empty() { p.empty { (self.person.words().no_messages) } }
            ol.bubbles { @for message in shown { (self.bubble(message, &reactions)) } }
        }
    }

    fn target<'m>(&'m self, message: &Message) -> Option<&'m Message> {
        let quote = message.context.reply_to.as_ref()?;
        self.messages.iter().find(|other| other.whatsapp_id == quote.whatsapp_id)
    }

    /// Whether it shows in another message of the page: a reaction, or a change.
    fn is_elsewhere(&self, message: &Message) -> bool {
        let is_reaction = matches!(message.content, Content::Reaction(_));
        message.content.is_change() || (is_reaction && self.target(message).is_some())
    }

    fn reactions(&self) -> Reactions<'_> {
        let mut reactions = Reactions::new();
        for message in self.messages {
            let (Content::Reaction(emoji), Some(target)) = (&message.content, self.target(message))
            else {
                continue;
            };
            let of_target = reactions.entry(target.whatsapp_id.0.as_str()).or_default();
            of_target.insert(writer_key(message), emoji);
        }
        for of_target in reactions.values_mut() {
            of_target.retain(|_, emoji| !emoji.is_empty());
        }
        reactions
    }

    fn bubble(&self, message: &Message, reactions: &Reactions<'_>) -> Markup {
        let (words, own) = (self.person.words(), ChatWords::of(self.person.lang));
        let is_out = message.direction() == Direction::Out;
        let given = reactions.get(message.whatsapp_id.0.as_str());
        let is_revoked = message.context.changes.revoked_at.is_some();
        html! {
            li #{ "m" (message.id) } data-direction=(if is_out { "out" } else { "in" }) {
                @if message.is_in_group() && !is_out { strong { (writer(self.person, message)) } }
                (self.quote(message))
                @if is_revoked { p.quiet { (words.revoked) } }
                @else { (content(self.person, message)) }
                @if let Some(given) = given.filter(|given| !given.is_empty()) {
                    p.reactions { @for emoji in given.values() { span { (emoji) } } }
                }
                p.foot {
                    a href={ "/app/messages/" (message.id) } {
                        (show::short_time(self.person, message.created_at))
                    }
                    @if message.context.changes.edited_at.is_some() { span.quiet { (words.edited) } }
                    @if is_out { (show::state(words, message.state)) }
                    @if self.is_answerable && !message.state.is_waiting() && !is_revoked {
                        a href={ (self.answer) (message.id) "#write" }
                            aria-label=(format!("{}: {}", own.answer, beginning(words, message))) { (own.answer) }
                    }
                }
            }
        }
    }

    fn quote(&self, message: &Message) -> Markup {
        let words = self.person.words();
        html! {
            @if let Some(quote) = &message.context.reply_to {
                blockquote {
                    @match self.target(message) {
                        Some(target) => a href={ "#m" (target.id) } { (show::summary(words, target)) },
                        None => {
                            span.kind { (show::kind_word(words, quote.kind)) } " " (quote.text)
                        }
                    }
                }
            }
        }
    }
}

/// What a message carries, in full.
pub(super) fn content(person: &Person, message: &Message) -> Markup {
    let words = person.words();
    html! {
        @match &message.content {
            Content::Text(text) => p.said { (text) },
            Content::File(of_message) => {
                (file(person, message, &of_message.media))
                @if !of_message.caption.is_empty() { p.said { (of_message.caption) } }
            }
            Content::Location(place) => {
                p { span.kind { (words.kind_location) } " " (place.name.as_deref().unwrap_or_default()) }
                @if let Some(address) = &place.address { p.said { (address) } }
                p { (place.latitude) ", " (place.longitude) }
            }
            Content::Contacts(contacts) => {
                @for contact in contacts {
                    p { span.kind { (words.kind_contact) } " " (contact.name) " "
                        (phone_of(message, contact))
                        @if let Some(organization) = &contact.organization { " · " (organization) } }
                }
            }
            Content::Poll(poll) => (poll_of(person, poll)),
            _ => p.said { (show::summary(words, message)) },
        }
    }
}

/// A contact's number: one that we sent has its country code, unless it is a short one; others have written theirs
/// as they liked.
fn phone_of(message: &Message, contact: &Contact) -> String {
    let phone = contact.phone.as_deref().unwrap_or_default();
    let is_whole = phone.len() >= PHONE_DIGITS_MIN && phone.bytes().all(|b| b.is_ascii_digit());
    if is_whole && message.direction() == Direction::Out {
        format!("+{phone}")
    } else {
        phone.to_owned()
    }
}

/// The question, and for each answer how many chose it.
fn poll_of(person: &Person, poll: &Poll) -> Markup {
    let own = ChatWords::of(person.lang);
    html! {
        p.said { (poll.question) }
        ul.plain-list {
            @for (option, votes) in poll.options.iter().zip(poll.tally()) {
                li { (option) " " span.quiet { (with(own.votes, votes)) } }
            }
        }
    }
}

/// A picture is shown; all else, and what strangers call a picture and is none, is a download.
fn file(person: &Person, message: &Message, media: &Media) -> Markup {
    let (words, own) = (person.words(), ChatWords::of(person.lang));
    let kind = show::kind_word(words, message.kind());
    let name = media.filename.as_deref().unwrap_or(own.file);
    // Another origin is none of the pages' policy: the same server answers here.
    let url = media.url.as_deref().and_then(|url| url.rfind("/media/").map(|at| &url[at..]));
    let url = url.filter(|_| message.direction() == Direction::In);
    let is_here = media.state == Some(FileState::Stored);
    let is_shown =
        is_here && !media.is_view_once && media.mimetype.as_deref().is_some_and(is_picture);
    html! {
        @match (url, media.state) {
            (Some(url), _) if is_shown => {
                a href=(url) {
                    img src=(url) loading="lazy" alt=(with(own.picture_of, writer(person, message)));
                }
            }
            (_, Some(FileState::Failed)) => p.fault { (own.file_failed) },
            (_, Some(FileState::Gone)) => p.quiet { (kind) " · " (own.file_gone) },
            (Some(url), _) => {
                p { span.kind { (kind) } " " a href=(url) download=(name) { (with(own.download, name)) }
                    @if media.is_view_once { " " span.quiet { (own.view_once) } } }
            }
            (None, _) => p { span.kind { (kind) } " " (name) },
        }
    }
}
