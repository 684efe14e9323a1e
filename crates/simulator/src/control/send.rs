//! Sending from a phone.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use wacore::download::MediaType;
use wacore::proto_helpers::MessageExt as _;
use wacore_binary::{Jid, Server};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message as wam;

use super::{Body, HandlerResult, parse_number};
use crate::Simulator;
use crate::address::DeviceAddr;
use crate::error::{Result, bad_request};
use crate::media::{Sealed, StoredMedia};
use crate::phone::PhoneMessage;
use crate::socket::host_of;

const TEXT_BYTES_MAX: usize = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SendRequest {
    to: String,
    text: Option<String>,
    media: Option<SendMedia>,
    location: Option<SendLocation>,
    contacts: Option<Vec<SendContact>>,
    poll: Option<SendPoll>,
    reaction: Option<SendReaction>,
    vote: Option<SendVote>,
    live_location: Option<SendLiveLocation>,
    call: Option<SendCall>,
    /// A message of the protocol, in base64.
    raw: Option<String>,
    /// The id of the message, in place of a new one.
    id: Option<String>,
    edit: Option<SendEdit>,
    revoke: Option<SendRevoke>,
    /// The id of a message that the phone has sent or received in that chat.
    reply_to: Option<String>,
    /// Numbers.
    #[serde(default)]
    mentions: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendContact {
    name: String,
    phone: String,
    organization: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendPoll {
    question: String,
    options: Vec<String>,
    #[serde(default = "one")]
    selectable: u32,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendReaction {
    message: String,
    emoji: String,
}

/// All that the phone chooses; nothing withdraws its vote.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendVote {
    message: String,
    options: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendCall {
    #[serde(default)]
    video: bool,
}

/// With the `id` of an earlier one and a later `sequence`, that one moves.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendLiveLocation {
    latitude: f64,
    longitude: f64,
    accuracy_m: Option<u32>,
    #[serde(default)]
    sequence: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendEdit {
    message: String,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendRevoke {
    message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendLocation {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
    address: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendMedia {
    base64: String,
    mimetype: Option<String>,
    kind: Option<String>,
    filename: Option<String>,
    caption: Option<String>,
    #[serde(default)]
    voice: bool,
    seconds: Option<u32>,
    #[serde(default)]
    view_once: bool,
    #[serde(default)]
    gif: bool,
}

/// `POST /phones/{number}/send`
pub(super) async fn send(
    State(simulator): State<Simulator>,
    Path(number): Path<String>,
    headers: HeaderMap,
    Body(body): Body<SendRequest>,
) -> HandlerResult<Json<Value>> {
    let number = parse_number(&number)?;
    let to = addressee(&body.to)?;
    if let Some(SendCall { video }) = body.call {
        let to = DeviceAddr::from_jid(&to).ok_or_else(|| bad_request("that is no number"))?.number;
        let called = simulator.switchboard().run(move |sb| sb.call(number, to, video));
        return Ok(Json(json!({ "id": called.await? })));
    }
    let (reply_to, mentions) = (body.reply_to.clone(), body.mentions.clone());
    let reacted_to = body.reaction.as_ref().map(|reaction| reaction.message.clone());
    let edited = body.edit.as_ref().map(|edit| edit.message.clone());
    let changed = edited.or(body.revoke.as_ref().map(|revoke| revoke.message.clone()));
    let id = body.id.clone();
    let vote = body.vote.as_ref().map(|vote| (vote.message.clone(), vote.options.clone()));
    let mut message = content(&simulator, body, &headers).await?;
    if !mentions.is_empty() {
        // By LID as well, as in groups whose members are named so.
        let jid = |given: &String| match given.split_once('@') {
            Some((lid, "lid")) => Ok(Jid::lid(lid).to_string()),
            _ => parse_number(given).map(|number| number.jid().to_string()),
        };
        let mentioned_jid = mentions.iter().map(jid).collect::<Result<_>>()?;
        let context = wa::ContextInfo { mentioned_jid, ..Default::default() };
        let protocol = message.protocol_message.as_option_mut();
        match protocol.and_then(|protocol| protocol.edited_message.as_option_mut()) {
            Some(edited) => edited.set_context_info(context),
            None => message.set_context_info(context),
        };
    }
    let refers_to = reacted_to.or(changed).or(reply_to);
    let mut outgoing = PhoneMessage { to, message, refers_to, id };
    let sent = simulator.switchboard().run(move |sb| {
        if let Some((poll, options)) = vote {
            outgoing.message = sb.vote(number, &outgoing.to, &poll, &options)?;
        }
        sb.phone_sends(number, &outgoing)
    });
    Ok(Json(json!({ "id": sent.await? })))
}

async fn content(
    simulator: &Simulator,
    body: SendRequest,
    headers: &HeaderMap,
) -> Result<wa::Message> {
    let mut messages = Vec::new();
    messages.extend(body.text.map(text_message).transpose()?);
    if let Some(media) = body.media {
        let host = simulator.base_host().await?.unwrap_or_else(|| host_of(headers));
        messages.push(media_message(simulator, media, &host).await?);
    }
    messages.extend(body.location.map(location_message));
    messages.extend(body.contacts.map(contacts_message));
    messages.extend(body.poll.map(poll_message));
    messages.extend(body.reaction.map(reaction_message));
    messages.extend(body.vote.map(|_| wa::Message::default()));
    messages.extend(body.live_location.map(live_location_message));
    messages.extend(body.raw.map(|raw| raw_message(&raw)).transpose()?);
    messages.extend(body.edit.map(|edit| change_message(Some(edit.text))));
    messages.extend(body.revoke.map(|_| change_message(None)));
    let [message] = <[wa::Message; 1]>::try_from(messages).map_err(|_| {
        bad_request(
            "send needs one of text, media, location, live_location, contacts, poll, vote, reaction, \
             edit, revoke and raw",
        )
    })?;
    Ok(message)
}

fn contacts_message(contacts: Vec<SendContact>) -> wa::Message {
    let card = |contact: SendContact| {
        let SendContact { name, phone, organization } = contact;
        let organization = organization.map(|text| format!("ORG:{text};\n")).unwrap_or_default();
        let vcard = format!(
            "BEGIN:VCARD\nVERSION:3.0\nN:;{name};;;\nFN:{name}\n{organization}\
             TEL;type=CELL;waid={phone}:+{phone}\nEND:VCARD"
        );
        wam::ContactMessage { display_name: Some(name), vcard: Some(vcard), ..Default::default() }
    };
    let mut cards: Vec<_> = contacts.into_iter().map(card).collect();
    if cards.len() == 1 {
        let contact = MessageField::some(cards.remove(0));
        return wa::Message { contact_message: contact, ..Default::default() };
    }
    let array = wam::ContactsArrayMessage { contacts: cards, ..Default::default() };
    wa::Message { contacts_array_message: MessageField::some(array), ..Default::default() }
}

fn poll_message(poll: SendPoll) -> wa::Message {
    let option = |name: String| wam::poll_creation_message::Option {
        option_name: Some(name),
        ..Default::default()
    };
    let creation = wam::PollCreationMessage {
        name: Some(poll.question),
        options: poll.options.into_iter().map(option).collect(),
        selectable_options_count: Some(poll.selectable),
        ..Default::default()
    };
    let secret: [u8; 32] = crate::clock::random_bytes();
    let info =
        wa::MessageContextInfo { message_secret: Some(secret.to_vec()), ..Default::default() };
    wa::Message {
        poll_creation_message_v3: MessageField::some(creation),
        message_context_info: MessageField::some(info),
        ..Default::default()
    }
}

fn live_location_message(place: SendLiveLocation) -> wa::Message {
    let place = wam::LiveLocationMessage {
        degrees_latitude: Some(place.latitude),
        degrees_longitude: Some(place.longitude),
        accuracy_in_meters: place.accuracy_m,
        sequence_number: Some(place.sequence),
        ..Default::default()
    };
    wa::Message { live_location_message: MessageField::some(place), ..Default::default() }
}

fn raw_message(raw: &str) -> Result<wa::Message> {
    let bytes = BASE64_STANDARD.decode(raw).map_err(|_| bad_request("raw is not base64"))?;
    waproto::codec::message_decode(&bytes).map_err(|_| bad_request("raw is no message"))
}

/// The message that it is on is filled in by the phone, which has it.
fn reaction_message(reaction: SendReaction) -> wa::Message {
    let reaction = wam::ReactionMessage {
        text: Some(reaction.emoji),
        sender_timestamp_ms: Some(crate::clock::unix_ms()),
        ..Default::default()
    };
    wa::Message { reaction_message: MessageField::some(reaction), ..Default::default() }
}

/// An edit to this text, or a deletion; its message is filled in by the phone.
fn change_message(text: Option<String>) -> wa::Message {
    use wam::protocol_message::Type;
    let kind = if text.is_some() { Type::MESSAGE_EDIT } else { Type::REVOKE };
    let edited = text.map(|text| wa::Message { conversation: Some(text), ..Default::default() });
    let protocol = wam::ProtocolMessage {
        r#type: Some(kind),
        edited_message: edited.map(MessageField::some).unwrap_or_default(),
        timestamp_ms: Some(crate::clock::unix_ms()),
        ..Default::default()
    };
    wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() }
}

/// A number, a user's JID or a group's.
pub(super) fn addressee(text: &str) -> Result<Jid> {
    let Some((user, server)) = text.split_once('@') else {
        return Ok(parse_number(text)?.jid());
    };
    match server {
        "g.us" => Ok(Jid::new(user, Server::Group)),
        "s.whatsapp.net" | "c.us" => Ok(parse_number(user)?.jid()),
        "lid" => match crate::address::Number::from_lid(user) {
            Some(number) => Ok(number.jid()),
            None => Err(bad_request("no such LID")),
        },
        _ => Err(bad_request("to is a number or a group's id")),
    }
}

fn text_message(text: String) -> Result<wa::Message> {
    if text.is_empty() || text.len() > TEXT_BYTES_MAX {
        return Err(bad_request(format!("text has 1 to {TEXT_BYTES_MAX} bytes")));
    }
    Ok(wa::Message { conversation: Some(text), ..Default::default() })
}

fn location_message(location: SendLocation) -> wa::Message {
    let location = wam::LocationMessage {
        degrees_latitude: Some(location.latitude),
        degrees_longitude: Some(location.longitude),
        name: location.name,
        address: location.address,
        ..Default::default()
    };
    wa::Message { location_message: MessageField::some(location), ..Default::default() }
}

async fn media_message(simulator: &Simulator, media: SendMedia, host: &str) -> Result<wa::Message> {
    if media.base64.is_empty() {
        return Err(bad_request("media.base64 is empty"));
    }
    let bytes = BASE64_STANDARD
        .decode(media.base64.as_bytes())
        .map_err(|_| bad_request("media.base64 is not base64"))?;
    let kind = media.kind.clone().unwrap_or_else(|| match (media.voice, &media.mimetype) {
        (true, _) => "audio".into(),
        (false, mimetype) => kind_of(mimetype.as_deref().unwrap_or_default()).into(),
    });
    let mimetype = media.mimetype.clone().unwrap_or_else(|| usual_mimetype(&kind).into());
    let media_type = match &*kind {
        "image" => MediaType::Image,
        "video" => MediaType::Video,
        "audio" | "voice" => MediaType::Audio,
        "document" => MediaType::Document,
        "sticker" => MediaType::Sticker,
        _ => return Err(bad_request("media.kind is image, video, audio, document or sticker")),
    };
    let stored = simulator.media().seal(bytes, media_type).await?;
    let description = MediaDescription {
        mimetype,
        voice: media.voice || kind == "voice",
        url: format!("https://{host}{}", stored.direct_path),
        stored,
        media,
    };
    Ok(description.message(media_type))
}

fn kind_of(mimetype: &str) -> &'static str {
    match mimetype.split('/').next() {
        Some("image") => "image",
        Some("video") => "video",
        Some("audio") => "audio",
        _ => "document",
    }
}

fn usual_mimetype(kind: &str) -> &'static str {
    match kind {
        "image" => "image/jpeg",
        "video" => "video/mp4",
        "audio" | "voice" => "audio/ogg; codecs=opus",
        "sticker" => "image/webp",
        _ => "application/octet-stream",
    }
}

/// A stored file and the fields that describe it.
struct MediaDescription {
    media: SendMedia,
    mimetype: String,
    voice: bool,
    url: String,
    stored: StoredMedia,
}

macro_rules! with_file {
    ($kind:ident, $media:expr, { $($field:ident : $value:expr),* $(,)? }) => {{
        let Sealed { media_key, file_sha256, file_enc_sha256, file_length } = $media.stored.sealed.clone();
        MessageField::some(wam::$kind {
            url: Some($media.url.clone()),
            direct_path: Some($media.stored.direct_path.clone()),
            mimetype: Some($media.mimetype.clone()),
            media_key: Some(media_key),
            file_sha256: Some(file_sha256),
            file_enc_sha256: Some(file_enc_sha256),
            file_length: Some(file_length),
            media_key_timestamp: Some(crate::clock::unix_s()),
            $($field: $value,)*
            ..Default::default()
        })
    }};
}

impl MediaDescription {
    fn message(self, kind: MediaType) -> wa::Message {
        let caption = self.media.caption.clone();
        let is_view_once = self.media.view_once;
        let once = is_view_once.then_some(true);
        let mut message = wa::Message::default();
        match kind {
            MediaType::Image => {
                message.image_message =
                    with_file!(ImageMessage, self, { caption: caption, view_once: once });
            }
            MediaType::Video => {
                message.video_message = with_file!(VideoMessage, self, {
                    caption: caption,
                    seconds: self.media.seconds,
                    view_once: once,
                    gif_playback: self.media.gif.then_some(true),
                });
            }
            MediaType::Audio => {
                message.audio_message = with_file!(AudioMessage, self, {
                    ptt: Some(self.voice),
                    seconds: self.media.seconds,
                    view_once: once,
                });
            }
            MediaType::Sticker => {
                message.sticker_message = with_file!(StickerMessage, self, {});
            }
            _ => {
                message.document_message = with_file!(DocumentMessage, self, {
                    caption: caption,
                    file_name: self.media.filename.clone(),
                    title: self.media.filename.clone(),
                });
            }
        }
        if !is_view_once {
            return message;
        }
        let envelope = wam::FutureProofMessage { message: MessageField::some(message) };
        wa::Message { view_once_message_v2: MessageField::some(envelope), ..Default::default() }
    }
}
