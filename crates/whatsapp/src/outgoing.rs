//! Messages on their way out, in WhatsApp's form; pure.

use domain::chat::ChatId;
use domain::content::{
    Contact, Content, ContentKind, Location, OutgoingContent, OutgoingFile, Poll,
};
use domain::context::{Context, Mentions, Quote};
use domain::ids::WhatsappId;
use domain::link::LinkPreview;
use wacore::proto_helpers::MessageExt as _;
use wacore_binary::{Jid, JidExt as _};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message as m;
use waproto::whatsapp::message::protocol_message::Type;
use whatsapp_rust::upload::UploadResponse;

use crate::contacts::vcard;

/// What the ids that the gateway chooses begin with.
const OWN_PREFIX: &str = "3EB0";
/// What the id of a caption begins with that goes out as a message of its own.
const CAPTION_PREFIX: &str = "3EBC";

/// What is around the content of a message that goes out.
#[derive(Clone)]
pub(crate) struct Surroundings<'a> {
    /// The chat it goes to, as the device's account addresses it.
    pub(crate) to: &'a Jid,
    /// Whether people are named by LID there.
    pub(crate) by_lid: bool,
    /// The device's own address, as it is named there.
    pub(crate) own: Option<Jid>,
    /// What it refers to.
    pub(crate) context: Context,
    /// What is shown of a link in its text.
    pub(crate) preview: Option<LinkPreview>,
    /// With which those who vote in a poll hide their votes from WhatsApp.
    pub(crate) poll_secret: [u8; 32],
    /// Now, in milliseconds.
    pub(crate) now_ms: i64,
}

/// What is written to WhatsApp for a message, in this order, each under its id; `None` for what cannot
/// be sent.
///
/// Audio has no caption there: it goes before the audio as a text of its own. The audio's
/// acknowledgement stands for both, because a connection's messages are acknowledged in order.
pub(crate) fn messages(
    id: &WhatsappId,
    content: OutgoingContent,
    uploaded: Option<UploadResponse>,
    around: &Surroundings<'_>,
) -> Option<Vec<(WhatsappId, wa::Message)>> {
    if let Some(of_caption) = revoked_caption(&content, around) {
        let parts = [(caption_id(id), &of_caption), (id.clone(), around)];
        let revoke = |(id, around)| Some((id, protocol(Type::REVOKE, None, around)?));
        return parts.into_iter().map(revoke).collect();
    }
    let caption = match &content {
        Content::File(OutgoingFile { media, caption, .. }) if !caption.trim().is_empty() => {
            let is_audio = matches!(media.kind, ContentKind::Audio | ContentKind::Voice);
            is_audio.then(|| Content::Text(caption.as_str().into()))
        }
        _ => None,
    };
    let caption = caption.and_then(|text| Some((caption_id(id), message(text, None, around)?)));
    let own = (id.clone(), message(content, uploaded, around)?);
    Some(caption.into_iter().chain([own]).collect())
}

/// With an audio its caption is deleted, which is a message of its own: what that refers to.
fn revoked_caption<'a>(
    content: &OutgoingContent,
    around: &Surroundings<'a>,
) -> Option<Surroundings<'a>> {
    let quote = around.context.reply_to.as_ref().filter(|_| matches!(content, Content::Revoke))?;
    let is_audio = matches!(quote.kind, ContentKind::Audio | ContentKind::Voice);
    if !is_audio || quote.text.trim().is_empty() {
        return None;
    }
    let reply_to = Quote { whatsapp_id: caption_id(&quote.whatsapp_id), ..quote.clone() };
    let context = Context { reply_to: Some(reply_to), ..around.context.clone() };
    Some(Surroundings { context, ..around.clone() })
}

/// The id of a message's caption: always the same, so that the phone recognises a repeat.
fn caption_id(id: &WhatsappId) -> WhatsappId {
    let rest = id.as_str().strip_prefix(OWN_PREFIX).unwrap_or(id.as_str());
    WhatsappId(format!("{CAPTION_PREFIX}{rest}"))
}

/// The message whose caption has this id; `None` when it is no caption's.
pub(crate) fn captioned(id: &str) -> Option<WhatsappId> {
    id.strip_prefix(CAPTION_PREFIX).map(|rest| WhatsappId(format!("{OWN_PREFIX}{rest}")))
}

/// A message, with its file uploaded where it is one; `None` for what cannot be sent.
fn message(
    content: OutgoingContent,
    uploaded: Option<UploadResponse>,
    around: &Surroundings<'_>,
) -> Option<wa::Message> {
    let mut message = match content {
        Content::Text(text) => text_message(text.to_string(), around.preview.as_ref()),
        Content::File(sent) => file(sent, uploaded?),
        Content::Location(place) => location(place),
        Content::Contacts(people) => contacts(&people),
        Content::Poll(question) => poll(question, around),
        Content::Reaction(emoji) => return reaction(emoji, around),
        Content::Edit(text) => return edit(&text, around),
        Content::Revoke => return protocol(Type::REVOKE, None, around),
        Content::Structured(_) | Content::Unsupported(_) => return None,
    };
    let Context { reply_to, mentions, .. } = &around.context;
    if reply_to.is_some() || *mentions != Mentions::default() {
        put_context(&mut message, context_info(around));
    }
    Some(message)
}

/// Puts what a message refers to on it, or on what is in its envelope.
fn put_context(message: &mut wa::Message, context: wa::ContextInfo) {
    let envelopes = [
        &mut message.document_with_caption_message,
        &mut message.view_once_message_v2,
        &mut message.view_once_message_v2_extension,
    ];
    let envelope = envelopes.into_iter().find_map(|envelope| envelope.as_option_mut());
    match envelope.and_then(|envelope| envelope.message.as_option_mut()) {
        Some(inner) => inner.set_context_info(context),
        None => message.set_context_info(context),
    };
}

/// A text, with what is shown of a link in it.
fn text_message(text: String, preview: Option<&LinkPreview>) -> wa::Message {
    let Some(preview) = preview else {
        return wa::Message { conversation: Some(text), ..Default::default() };
    };
    let extended = m::ExtendedTextMessage {
        text: Some(text),
        matched_text: Some(preview.link.clone()),
        title: Some(preview.title.clone()),
        description: preview.description.clone(),
        jpeg_thumbnail: preview.picture.clone(),
        ..Default::default()
    };
    wa::Message { extended_text_message: MessageField::some(extended), ..Default::default() }
}

/// What a message refers to, as phones read it.
fn context_info(around: &Surroundings<'_>) -> wa::ContextInfo {
    let Context { reply_to, mentions, .. } = &around.context;
    let mut info = mentioning(mentions);
    if let Some(quote) = reply_to {
        info.stanza_id = Some(quote.whatsapp_id.as_str().to_owned());
        info.participant = writer(quote, around).map(|jid| jid.to_string());
        info.quoted_message = MessageField::some(quoted(quote));
    }
    info
}

fn mentioning(mentions: &Mentions) -> wa::ContextInfo {
    let jid = |person: &String| person_jid(&ChatId::from(person.as_str())).to_string();
    wa::ContextInfo {
        mentioned_jid: mentions.people.iter().map(jid).collect(),
        non_jid_mentions: mentions.all.then_some(1),
        ..Default::default()
    }
}

/// How WhatsApp names a person.
pub(crate) fn person_jid(person: &ChatId) -> Jid {
    match person {
        ChatId::Lid(lid) => Jid::lid(lid.user()),
        person => Jid::pn(person.user()),
    }
}

/// Who wrote the message that is referred to, in the chat that this one goes to.
fn writer(quote: &Quote, around: &Surroundings<'_>) -> Option<Jid> {
    if quote.is_ours == Some(true) {
        return around.own.clone();
    }
    if !around.to.is_group() {
        return Some(around.to.clone());
    }
    let sender = quote.sender.as_ref()?;
    let by_lid = || sender.lid.as_ref().map(|lid| Jid::lid(lid.user()));
    let by_number = || sender.phone.as_ref().map(|phone| Jid::pn(phone.as_str()));
    if around.by_lid { by_lid().or_else(by_number) } else { by_number().or_else(by_lid) }
}

/// As much of the message that is answered as phones show above the answer, where they do not have it.
fn quoted(quote: &Quote) -> wa::Message {
    let text = (!quote.text.is_empty()).then(|| quote.text.clone());
    let mut message = wa::Message::default();
    match quote.kind {
        ContentKind::Image => {
            let image = m::ImageMessage { caption: text, ..Default::default() };
            message.image_message = MessageField::some(image);
        }
        ContentKind::Video => {
            let video = m::VideoMessage { caption: text, ..Default::default() };
            message.video_message = MessageField::some(video);
        }
        ContentKind::Audio | ContentKind::Voice => {
            let ptt = Some(quote.kind == ContentKind::Voice);
            let audio = m::AudioMessage { ptt, ..Default::default() };
            message.audio_message = MessageField::some(audio);
        }
        ContentKind::Sticker => message.sticker_message = MessageField::some(Default::default()),
        ContentKind::Document => {
            let document = m::DocumentMessage { caption: text, ..Default::default() };
            message.document_message = MessageField::some(document);
        }
        _ => message.conversation = Some(quote.text.clone()),
    }
    message
}

fn contacts(people: &[Contact]) -> wa::Message {
    let card = |contact: &Contact| m::ContactMessage {
        display_name: Some(contact.name.clone()),
        vcard: Some(vcard(contact)),
        ..Default::default()
    };
    if let [contact] = people {
        let contact = MessageField::some(card(contact));
        return wa::Message { contact_message: contact, ..Default::default() };
    }
    let array = m::ContactsArrayMessage {
        display_name: Some(format!("{} contacts", people.len())),
        contacts: people.iter().map(card).collect(),
        ..Default::default()
    };
    wa::Message { contacts_array_message: MessageField::some(array), ..Default::default() }
}

fn poll(poll: Poll, around: &Surroundings<'_>) -> wa::Message {
    let option = |name: String| m::poll_creation_message::Option {
        option_name: Some(name),
        ..Default::default()
    };
    let is_single = poll.selectable == 1;
    let creation = m::PollCreationMessage {
        name: Some(poll.question),
        options: poll.options.into_iter().map(option).collect(),
        selectable_options_count: Some(poll.selectable),
        ..Default::default()
    };
    let info = wa::MessageContextInfo {
        message_secret: Some(around.poll_secret.to_vec()),
        ..Default::default()
    };
    let mut message =
        wa::Message { message_context_info: MessageField::some(info), ..Default::default() };
    // Phones take a poll with one answer in another field.
    if is_single {
        message.poll_creation_message_v3 = MessageField::some(creation);
    } else {
        message.poll_creation_message = MessageField::some(creation);
    }
    message
}

fn reaction(emoji: String, around: &Surroundings<'_>) -> Option<wa::Message> {
    let quote = around.context.reply_to.as_ref()?;
    let is_ours = quote.is_ours == Some(true);
    let participant = || writer(quote, around).map(|jid| jid.to_string());
    let key = wa::MessageKey {
        remote_jid: Some(around.to.to_string()),
        from_me: Some(is_ours),
        id: Some(quote.whatsapp_id.as_str().to_owned()),
        participant: around.to.is_group().then(participant).flatten(),
    };
    let reaction = m::ReactionMessage {
        key: MessageField::some(key),
        text: Some(emoji),
        sender_timestamp_ms: Some(around.now_ms),
        ..Default::default()
    };
    Some(wa::Message { reaction_message: MessageField::some(reaction), ..Default::default() })
}

/// Another text for a message. Phones want the text in the field in which its message had it.
fn edit(text: &str, around: &Surroundings<'_>) -> Option<wa::Message> {
    let kind = around.context.reply_to.as_ref()?.kind;
    let caption = || Some(text.to_owned());
    let mut edited = wa::Message::default();
    match kind {
        ContentKind::Image => {
            let image = m::ImageMessage { caption: caption(), ..Default::default() };
            edited.image_message = MessageField::some(image);
        }
        ContentKind::Video => {
            let video = m::VideoMessage { caption: caption(), ..Default::default() };
            edited.video_message = MessageField::some(video);
        }
        ContentKind::Document => {
            let document = m::DocumentMessage { caption: caption(), ..Default::default() };
            edited.document_message = MessageField::some(document);
            edited = in_caption_envelope(edited);
        }
        _ => edited.conversation = Some(text.to_owned()),
    }
    let mentions = &around.context.mentions;
    if *mentions != Mentions::default() {
        put_context(&mut edited, mentioning(mentions));
    }
    protocol(Type::MESSAGE_EDIT, Some(edited), around)
}

/// A change of a message that the device's own number has sent.
fn protocol(
    kind: Type,
    edited: Option<wa::Message>,
    around: &Surroundings<'_>,
) -> Option<wa::Message> {
    let quote = around.context.reply_to.as_ref()?;
    let key = wa::MessageKey {
        remote_jid: Some(around.to.to_string()),
        from_me: Some(true),
        id: Some(quote.whatsapp_id.as_str().to_owned()),
        participant: None,
    };
    let protocol = m::ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(kind),
        timestamp_ms: edited.is_some().then_some(around.now_ms),
        edited_message: edited.map(MessageField::some).unwrap_or_default(),
        ..Default::default()
    };
    Some(wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() })
}

fn location(place: Location) -> wa::Message {
    let place = m::LocationMessage {
        degrees_latitude: Some(place.latitude),
        degrees_longitude: Some(place.longitude),
        name: place.name,
        address: place.address,
        ..Default::default()
    };
    wa::Message { location_message: MessageField::some(place), ..Default::default() }
}

/// The fields that all kinds of files share.
macro_rules! file {
    ($kind:ident, $media:expr, $uploaded:expr, { $($field:ident: $value:expr),* $(,)? }) => {
        MessageField::some(m::$kind {
            url: Some($uploaded.url),
            direct_path: Some($uploaded.direct_path),
            media_key: Some($uploaded.media_key.to_vec()),
            file_sha256: Some($uploaded.file_sha256.to_vec()),
            file_enc_sha256: Some($uploaded.file_enc_sha256.to_vec()),
            file_length: Some($uploaded.file_length),
            media_key_timestamp: Some($uploaded.media_key_timestamp),
            mimetype: Some($media.mimetype),
            $($field: $value,)*
            ..Default::default()
        })
    };
}

/// A message with a file that has been uploaded. Audio goes without its caption.
fn file(sent: OutgoingFile, uploaded: UploadResponse) -> wa::Message {
    let OutgoingFile { media, caption, is_view_once, is_gif } = sent;
    let caption = (!caption.is_empty()).then_some(caption);
    let (width, height) = media.dimensions.unzip();
    let thumbnail = media.preview.thumbnail.as_deref().map(<[u8]>::to_vec);
    let once = is_view_once.then_some(true);
    let mut message = wa::Message::default();
    match media.kind {
        ContentKind::Image => {
            message.image_message = file!(ImageMessage, media, uploaded, {
                caption: caption,
                width: width,
                height: height,
                jpeg_thumbnail: thumbnail,
                view_once: once,
            });
        }
        ContentKind::Video => {
            message.video_message = file!(VideoMessage, media, uploaded, {
                caption: caption,
                seconds: media.seconds,
                width: width,
                height: height,
                view_once: once,
                gif_playback: is_gif.then_some(true),
                streaming_sidecar: uploaded.streaming_sidecar,
            });
        }
        ContentKind::Audio | ContentKind::Voice => {
            message.audio_message = file!(AudioMessage, media, uploaded, {
                ptt: Some(media.kind == ContentKind::Voice),
                seconds: media.seconds,
                waveform: media.waveform,
                view_once: once,
                streaming_sidecar: uploaded.streaming_sidecar,
            });
        }
        ContentKind::Sticker => {
            message.sticker_message = file!(StickerMessage, media, uploaded, {
                width: width,
                height: height,
                is_animated: Some(media.preview.is_animated),
            });
        }
        _ => {
            let has_caption = caption.is_some();
            message.document_message = file!(DocumentMessage, media, uploaded, {
                caption: caption,
                title: media.filename.clone(),
                page_count: media.preview.pages,
                file_name: media.filename,
            });
            if has_caption {
                message = in_caption_envelope(message);
            }
        }
    }
    if is_view_once { in_view_once_envelope(message) } else { message }
}

/// Phones show a file once that comes in this envelope; sound has one of its own.
fn in_view_once_envelope(message: wa::Message) -> wa::Message {
    let is_audio = message.audio_message.is_set();
    let envelope =
        MessageField::some(m::FutureProofMessage { message: MessageField::some(message) });
    match is_audio {
        true => wa::Message { view_once_message_v2_extension: envelope, ..Default::default() },
        false => wa::Message { view_once_message_v2: envelope, ..Default::default() },
    }
}

/// Phones show the caption of a document only when it comes in this envelope.
fn in_caption_envelope(message: wa::Message) -> wa::Message {
    let envelope = m::FutureProofMessage { message: MessageField::some(message) };
    wa::Message {
        document_with_caption_message: MessageField::some(envelope),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::chat::Lid;
    use domain::message::Address;
    use domain::phone::PhoneNumber;

    fn around(to: &Jid, context: Context) -> Surroundings<'_> {
        let (own, preview, poll_secret, now_ms) = (None, None, [0; 32], 0);
        Surroundings { to, by_lid: false, own, context, preview, poll_secret, now_ms }
    }

    #[test]
    fn who_is_answered_is_named_as_the_chat_names_people() {
        let to: Jid = "120363@g.us".parse().unwrap();
        let sender = Address {
            phone: Some(PhoneNumber::from_digits("628111")),
            lid: Some(Lid::from_user("77")),
        };
        for (by_lid, expected) in [(false, "628111@s.whatsapp.net"), (true, "77@lid")] {
            let reply_to = Some(Quote {
                whatsapp_id: WhatsappId::from_random([7; 8]),
                is_ours: Some(false),
                sender: Some(sender.clone()),
                kind: ContentKind::Text,
                text: "halo".to_owned(),
            });
            let context = Context { reply_to, ..Context::default() };
            let around = Surroundings { by_lid, ..around(&to, context) };
            assert_eq!(context_info(&around).participant.as_deref(), Some(expected));
            let reaction = reaction("👍".to_owned(), &around).unwrap();
            let key = reaction.reaction_message.as_option().unwrap().key.as_option().unwrap();
            assert_eq!(key.participant.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_direct_chat_names_all_as_it_is_addressed() {
        let to = Jid::lid("77");
        let quote = |is_ours: bool| Quote {
            whatsapp_id: WhatsappId::from_random([7; 8]),
            is_ours: Some(is_ours),
            sender: (!is_ours)
                .then(|| Address { phone: Some(PhoneNumber::from_digits("628111")), lid: None }),
            kind: ContentKind::Text,
            text: "halo".to_owned(),
        };
        for (is_ours, writer) in [(false, "77@lid"), (true, "99@lid")] {
            let context = Context { reply_to: Some(quote(is_ours)), ..Context::default() };
            let own = Some(Jid::lid("99"));
            let around = Surroundings { by_lid: true, own, ..around(&to, context) };
            assert_eq!(context_info(&around).participant.as_deref(), Some(writer));
            let reaction = reaction("👍".to_owned(), &around).unwrap();
            let key = reaction.reaction_message.as_option().unwrap().key.as_option().unwrap();
            let named = (key.remote_jid.as_deref(), key.participant.as_deref());
            assert_eq!(named, (Some("77@lid"), None));
            for change in [edit("x", &around), protocol(Type::REVOKE, None, &around)] {
                let change = change.unwrap();
                let key = change.protocol_message.as_option().unwrap().key.as_option().unwrap();
                assert_eq!(key.remote_jid.as_deref(), Some("77@lid"));
            }
        }
    }

    #[test]
    fn an_edit_carries_whom_its_text_mentions() {
        let to: Jid = "120363@g.us".parse().unwrap();
        for kind in [ContentKind::Text, ContentKind::Image, ContentKind::Document] {
            let reply_to = Some(Quote {
                whatsapp_id: WhatsappId::from_random([7; 8]),
                is_ours: Some(true),
                sender: None,
                kind,
                text: String::new(),
            });
            let mentions = Mentions { people: vec!["77@lid".to_owned()], all: false };
            let context = Context { reply_to, mentions, ..Context::default() };
            let edited = edit("@77", &around(&to, context)).unwrap();
            assert_eq!(crate::mentions::people(&edited), [Jid::lid("77")], "{kind:?}");
        }
    }

    #[test]
    fn with_an_audio_its_caption_is_deleted() {
        let target = WhatsappId::from_random([7; 8]);
        let to: Jid = "628111@s.whatsapp.net".parse().unwrap();
        let deleted = |kind, text: &str| {
            let (whatsapp_id, is_ours, text) = (target.clone(), Some(true), text.to_owned());
            let quote = Quote { whatsapp_id, is_ours, sender: None, kind, text };
            let context = Context { reply_to: Some(quote), ..Context::default() };
            let around = around(&to, context);
            let id = WhatsappId::from_random([9; 8]);
            let parts = messages(&id, Content::Revoke, None, &around).unwrap();
            let key = |part: wa::Message| {
                part.protocol_message
                    .as_option()
                    .unwrap()
                    .key
                    .as_option()
                    .unwrap()
                    .id
                    .clone()
                    .unwrap()
            };
            parts.into_iter().map(|(_, part)| WhatsappId(key(part))).collect::<Vec<_>>()
        };
        assert_eq!(deleted(ContentKind::Voice, "hi"), [caption_id(&target), target.clone()]);
        let alone = std::slice::from_ref(&target);
        assert_eq!(deleted(ContentKind::Voice, ""), alone);
        assert_eq!(deleted(ContentKind::Image, "hi"), alone);
    }

    #[test]
    fn a_captions_id_leads_back_to_its_message() {
        let id = WhatsappId::from_random([7; 8]);
        let caption = caption_id(&id);
        assert_ne!(caption, id);
        assert_eq!(caption, caption_id(&id));
        assert_eq!(captioned(caption.as_str()), Some(id.clone()));
        assert_eq!(captioned(id.as_str()), None);
    }
}
