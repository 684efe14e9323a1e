//! Messages that came in, translated; pure.
//!
//! Invariants: a chat with a person is named by phone number whenever the number is known, so that
//! one person has one chat; what is no message of a user (keys, revokes, synchronisation, stories)
//! translates to nothing.

use domain::chat::{ChatId, Lid};
use domain::contact::Identity;
use domain::content::{Contact, Content, ContentKind, File, Location, Poll, Unsupported};
use domain::context::Context;
use domain::ids::WhatsappId;
use domain::media::{FILENAME_CHARS_MAX, Media};
use domain::message::{Address, IncomingMessage, ReceivedOrigin, TEXT_CHARS_MAX};
use domain::phone::PhoneNumber;
use domain::text::is_mimetype;
use jiff::{SignedDuration, Timestamp};
use wacore::types::message::{MessageCategory, MessageInfo};
use wacore_binary::{Jid, JidExt, Server};
use waproto::whatsapp as wa;

use crate::changes;
use crate::contacts;
use crate::download;
use crate::events::Me;
use crate::limits::WRAPPERS_MAX;
use crate::mentions;
use crate::message_context::context;
use crate::structured;

/// Numbers by LID and LIDs by number, as far as the session knows them.
pub(crate) trait Names {
    /// The phone number of a LID.
    fn phone(&self, lid: &str) -> Option<String>;
    /// The LID of a phone number.
    fn lid(&self, phone: &str) -> Option<String>;
}

/// Translates one message; `None` when it is nothing that a user wrote.
pub(crate) fn translate(
    message: &wa::Message,
    info: &MessageInfo,
    me: &Me,
    names: &impl Names,
) -> Option<IncomingMessage> {
    if !is_chat(&info.source.chat) {
        return None;
    }
    if let Some(change) = changes::read(unwrap(message), info, me, names) {
        let changed = with_content(change.content, change.context, info, me, names)?;
        return within_its_second(changed, change.at);
    }
    let context = context(unwrap(message), me, names);
    let mut content = content(message)?;
    mentions::show_numbers(&mut content, unwrap(message), names);
    download::describe(&mut content, unwrap(message), info);
    with_content(content, context, info, me, names)
}

/// The writer's clock orders what is written within a second; it is not believed beyond that.
pub(crate) fn within_its_second(
    message: IncomingMessage,
    at: Option<Timestamp>,
) -> Option<IncomingMessage> {
    let second = message.at.saturating_add(SignedDuration::from_millis(999)).ok()?;
    let at = at.map_or(message.at, |at| at.clamp(message.at, second));
    Some(IncomingMessage { at, ..message })
}

/// The message of which nothing but its envelope can be read; `None` where no user writes.
pub(crate) fn unreadable(
    info: &MessageInfo,
    me: &Me,
    names: &impl Names,
) -> Option<IncomingMessage> {
    let is_users = is_chat(&info.source.chat) && info.category != MessageCategory::Peer;
    let content = is_users.then(Content::unreadable)?;
    with_content(content, Context::default(), info, me, names)
}

/// Whether users write messages there: stories and channels are none.
fn is_chat(chat: &Jid) -> bool {
    !chat.is_status_broadcast() && chat.server != Server::Newsletter
}

pub(crate) fn with_content(
    content: Content,
    context: Context,
    info: &MessageInfo,
    me: &Me,
    names: &impl Names,
) -> Option<IncomingMessage> {
    let source = &info.source;
    let sender_name = Some(&info.push_name).filter(|name| !name.is_empty() && !source.is_from_me);
    let context = Context { sender_name: sender_name.map(|name| short(name)), ..context };
    let (origin, sender) = if source.is_from_me {
        (ReceivedOrigin::Phone, address(me.pn.as_ref(), me.lid.as_ref(), names))
    } else {
        let sender = address(Some(&source.sender), source.sender_alt.as_ref(), names);
        (ReceivedOrigin::Incoming, sender)
    };
    Some(IncomingMessage {
        whatsapp_id: WhatsappId::from_outside(&info.id),
        chat: chat(info, &sender, names),
        sender,
        origin,
        content,
        context,
        at: Timestamp::from_second(info.timestamp.timestamp()).ok()?,
    })
}

/// The chat of a message, whatever it carries.
pub(crate) fn chat_of(info: &MessageInfo, names: &impl Names) -> ChatId {
    let sender = address(Some(&info.source.sender), info.source.sender_alt.as_ref(), names);
    chat(info, &sender, names)
}

/// The people in a message of whom both names are known.
pub(crate) fn people(info: &MessageInfo, names: &impl Names) -> Vec<Identity> {
    let source = &info.source;
    let sender = address(Some(&source.sender), source.sender_alt.as_ref(), names);
    let chat = person_of_chat(info, &sender, names);
    let both = |person: Address| Some(Identity { phone: person.phone?, lid: person.lid? });
    let mut people: Vec<Identity> =
        [Some(sender), chat].into_iter().flatten().filter_map(both).collect();
    people.dedup();
    people
}

/// The chat: a person's by number where that is known.
fn chat(info: &MessageInfo, sender: &Address, names: &impl Names) -> ChatId {
    let person = person_of_chat(info, sender, names).unwrap_or_default();
    match (person.phone, person.lid) {
        (Some(phone), _) => ChatId::Person(phone),
        (None, Some(lid)) => ChatId::Lid(lid),
        (None, None) => info.source.chat.to_non_ad_string().into(),
    }
}

/// The person whose chat it is; `None` for a group and the like.
fn person_of_chat(info: &MessageInfo, sender: &Address, names: &impl Names) -> Option<Address> {
    let source = &info.source;
    Some(match source.chat.server {
        Server::Pn | Server::Lid | Server::Hosted | Server::HostedLid => {
            let alt = if source.is_from_me {
                source.recipient_alt.as_ref().or(info.peer_recipient_pn.as_ref())
            } else {
                source.sender_alt.as_ref()
            };
            address(Some(&source.chat), alt, names)
        }
        // A message to a list of contacts arrives in the chat with its writer.
        Server::Broadcast if !source.is_from_me => sender.clone(),
        _ => return None,
    })
}

/// Both names of a person, from what the message says and what the session knows.
pub(crate) fn address(jid: Option<&Jid>, alt: Option<&Jid>, names: &impl Names) -> Address {
    let both = || jid.into_iter().chain(alt);
    let user = |jid: &Jid| jid.user.to_string();
    let phone = both().find(|jid| jid.server.is_pn_family()).map(user);
    let lid = both().find(|jid| jid.server.is_lid_family()).map(user);
    let phone = phone.or_else(|| names.phone(lid.as_deref()?));
    let lid = lid.or_else(|| names.lid(phone.as_deref()?));
    Address { phone: phone.map(PhoneNumber::from_digits), lid: lid.as_deref().map(Lid::from_user) }
}

/// A file. Its address is not taken over: what a sender says of it is not to be asked.
fn file(
    kind: ContentKind,
    caption: Option<&String>,
    mimetype: Option<&String>,
    size: Option<u64>,
) -> File {
    let mimetype = mimetype.map(|text| text.trim()).filter(|text| is_mimetype(text));
    let size = size.filter(|size| i64::try_from(*size).is_ok());
    let media = Media { mimetype: mimetype.map(str::to_owned), size, ..Media::default() };
    File { kind, caption: long(caption).into(), media }
}

fn text(text: Option<&String>) -> Content {
    Content::Text(long(text).into())
}

/// A text as far as it is kept: no app lets anybody write a longer one.
fn long(text: Option<&String>) -> &str {
    let text = text.map(String::as_str).unwrap_or_default();
    let end = text.char_indices().nth(TEXT_CHARS_MAX).map_or(text.len(), |(at, _)| at);
    &text[..end]
}

fn unsupported(kind: ContentKind, text: Option<&String>) -> Content {
    Content::Unsupported(Unsupported {
        kind,
        text: text.map(|text| short(text)).unwrap_or_default(),
    })
}

/// What a user wrote; `None` for everything else.
pub(crate) fn content(message: &wa::Message) -> Option<Content> {
    let is_view_once = is_view_once(message);
    let message = unwrap(message);
    if is_housekeeping(message) {
        return None;
    }
    text_content(message)
        .or_else(|| {
            file_content(message).map(|file| Content::File(marked(file, message, is_view_once)))
        })
        .or_else(|| place_or_contact(message))
        .or_else(|| poll(message).map(asked))
        .or_else(|| reaction(message))
        .or_else(|| structured::read(message))
        .or_else(|| (!is_empty(message)).then(|| structured::unnamed(message)))
}

/// A poll; where it has neither a question nor answers, the protocol's name for it.
fn asked(poll: Content) -> Content {
    match poll.poll() {
        Some(Poll { question, options, .. }) if question.is_empty() && options.is_empty() => {
            structured::named("pollCreationMessage", None)
        }
        _ => poll,
    }
}

/// Most contacts of a received message that are kept.
const CONTACTS_MAX: usize = 100;
/// Most answers of a received poll that are kept.
const OPTIONS_MAX: usize = 100;

/// Looks into envelopes: copies from one's own devices, disappearing and view-once messages,
/// documents with captions, parts of albums and the like.
pub(crate) fn unwrap(message: &wa::Message) -> &wa::Message {
    let mut current = message;
    for _ in 0..WRAPPERS_MAX {
        let own_copy = current.device_sent_message.as_option().and_then(|m| m.message.as_option());
        let envelopes = [
            &current.ephemeral_message,
            &current.view_once_message,
            &current.view_once_message_v2,
            &current.view_once_message_v2_extension,
            &current.document_with_caption_message,
            &current.edited_message,
            &current.group_mentioned_message,
            &current.lottie_sticker_message,
            &current.bot_invoke_message,
            &current.associated_child_message,
            &current.spoiler_message,
            &current.question_message,
            &current.question_reply_message,
            &current.poll_creation_message_v4,
            &current.bot_forwarded_message,
        ];
        let enveloped = || {
            envelopes
                .into_iter()
                .find_map(|envelope| envelope.as_option().and_then(|m| m.message.as_option()))
        };
        match own_copy.or_else(enveloped) {
            Some(inner) => current = inner,
            None => break,
        }
    }
    current
}

/// Whether a message comes in an envelope for what is shown once.
fn is_view_once(message: &wa::Message) -> bool {
    let own_copy = message.device_sent_message.as_option().and_then(|m| m.message.as_option());
    let message = own_copy.unwrap_or(message);
    let ephemeral = message.ephemeral_message.as_option().and_then(|m| m.message.as_option());
    let message = ephemeral.unwrap_or(message);
    message.view_once_message.is_set()
        || message.view_once_message_v2.is_set()
        || message.view_once_message_v2_extension.is_set()
}

/// A file with what its message says of how it is shown.
fn marked(mut file: File, message: &wa::Message, is_in_envelope: bool) -> File {
    let image = message.image_message.as_option().and_then(|m| m.view_once);
    let video = message.video_message.as_option();
    let audio = message.audio_message.as_option().and_then(|m| m.view_once);
    let once = image.or(video.and_then(|m| m.view_once)).or(audio);
    file.media.is_view_once = is_in_envelope || once == Some(true);
    file.media.is_gif = video.is_some_and(|m| m.gif_playback == Some(true));
    file
}

/// What apps exchange about chats: keys, pins and the like, no messages in them.
fn is_housekeeping(message: &wa::Message) -> bool {
    message.protocol_message.is_set()
        || message.keep_in_chat_message.is_set()
        || message.pin_in_chat_message.is_set()
        || message.placeholder_message.is_set()
        || message.message_history_bundle.is_set()
        || message.message_history_notice.is_set()
        || message.group_root_key_share.is_set()
        || message.sticker_sync_rmr_message.is_set()
}

/// Whether nothing is left without the keys and the context that travel with messages.
fn is_empty(message: &wa::Message) -> bool {
    let mut rest = message.clone();
    rest.sender_key_distribution_message = Default::default();
    rest.fast_ratchet_key_sender_key_distribution_message = Default::default();
    rest.message_context_info = Default::default();
    rest.conversation = rest.conversation.filter(|text| !text.is_empty());
    rest == wa::Message::default()
}

fn text_content(message: &wa::Message) -> Option<Content> {
    let plain = message.conversation.as_ref();
    let extended = message.extended_text_message.as_option();
    let mut texts = plain.into_iter().chain(extended.and_then(|m| m.text.as_ref()));
    if let Some(text) = texts.find(|text| !text.is_empty()) {
        return Some(self::text(Some(text)));
    }
    extended.map(|_| structured::named("extendedTextMessage", None))
}

fn file_content(message: &wa::Message) -> Option<File> {
    if let Some(m) = message.image_message.as_option() {
        let (caption, mimetype) = (m.caption.as_ref(), m.mimetype.as_ref());
        return Some(file(ContentKind::Image, caption, mimetype, m.file_length));
    }
    if let Some(m) = message.video_message.as_option().or(message.ptv_message.as_option()) {
        let (caption, mimetype) = (m.caption.as_ref(), m.mimetype.as_ref());
        return Some(file(ContentKind::Video, caption, mimetype, m.file_length));
    }
    if let Some(m) = message.audio_message.as_option() {
        let kind = if m.ptt == Some(true) { ContentKind::Voice } else { ContentKind::Audio };
        return Some(file(kind, None, m.mimetype.as_ref(), m.file_length));
    }
    if let Some(m) = message.sticker_message.as_option() {
        let mimetype = m.mimetype.as_ref();
        return Some(file(ContentKind::Sticker, None, mimetype, m.file_length));
    }
    let m = message.document_message.as_option()?;
    let (caption, mimetype) = (m.caption.as_ref(), m.mimetype.as_ref());
    let mut document = file(ContentKind::Document, caption, mimetype, m.file_length);
    let name = m.file_name.as_ref().or(m.title.as_ref()).filter(|name| !name.is_empty());
    document.media.filename = name.map(|text| short(text));
    Some(document)
}

fn place_or_contact(message: &wa::Message) -> Option<Content> {
    if let Some(place) = message.location_message.as_option() {
        let degrees = place.degrees_latitude.zip(place.degrees_longitude);
        return Some(location(degrees, place.name.as_ref(), place.address.as_ref()));
    }
    if let Some(one) = message.contact_message.as_option() {
        return Some(contacts_or_name("contactMessage", vec![contact(one)]));
    }
    let array = message.contacts_array_message.as_option()?;
    let contacts = array.contacts.iter().take(CONTACTS_MAX).map(contact).collect();
    Some(contacts_or_name("contactsArrayMessage", contacts))
}

/// Contacts; where none of them says anything, the protocol's name for them.
fn contacts_or_name(name: &str, mut contacts: Vec<Contact>) -> Content {
    contacts.retain(|contact| *contact != Contact::default());
    if contacts.is_empty() { structured::named(name, None) } else { Content::Contacts(contacts) }
}

fn contact(contact: &wa::message::ContactMessage) -> Contact {
    contacts::contact(contact.display_name.as_deref(), contact.vcard.as_deref())
}

/// A poll, in the field of whatever age its writer's app is.
pub(crate) fn poll(message: &wa::Message) -> Option<Content> {
    let fields = [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
        &message.poll_creation_message_v6,
    ];
    let poll = fields.into_iter().find_map(|field| field.as_option())?;
    let named = poll.options.iter().take(OPTIONS_MAX);
    let named = named.map(|option| option.option_name.as_deref().map(short).unwrap_or_default());
    let mut options: Vec<String> = Vec::new();
    for option in named {
        // A vote does not say which of equal ones it is for.
        if !options.contains(&option) {
            options.push(option);
        }
    }
    Some(Content::Poll(Poll {
        question: poll.name.as_ref().map(|name| short(name)).unwrap_or_default(),
        options,
        selectable: int32(poll.selectable_options_count).unwrap_or_default(),
        votes: Vec::new(),
    }))
}

/// A place; of one that is nowhere on the map no more than its name is known.
fn location(
    degrees: Option<(f64, f64)>,
    name: Option<&String>,
    address: Option<&String>,
) -> Content {
    let given =
        |text: Option<&String>| text.filter(|text| !text.is_empty()).map(|text| short(text));
    let place = degrees.map(|(latitude, longitude)| Location {
        latitude,
        longitude,
        name: given(name),
        address: given(address),
    });
    match place.filter(|place| place.has_latitude() && place.has_longitude()) {
        Some(place) => Content::Location(place),
        None => structured::named("locationMessage", name),
    }
}

/// A name as far as it is kept: its writer decides how long it is.
pub(crate) fn short(name: &str) -> String {
    name.chars().take(FILENAME_CHARS_MAX).collect()
}

/// A number as far as clients can read it: our API promises 32 bits with a sign.
pub(crate) fn int32(number: Option<u32>) -> Option<u32> {
    number.filter(|number| i32::try_from(*number).is_ok())
}

/// A reaction; in announcements it is hidden from WhatsApp.
fn reaction(message: &wa::Message) -> Option<Content> {
    if message.enc_reaction_message.is_set() {
        return Some(unsupported(ContentKind::Reaction, None));
    }
    let reaction = message.reaction_message.as_option()?;
    let emoji = reaction.text.as_ref().map(|emoji| short(emoji));
    Some(Content::Reaction(emoji.unwrap_or_default()))
}

#[cfg(test)]
#[path = "incoming_tests.rs"]
mod tests;
