//! The content of a message, as the inbox shows it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use wacore::proto_helpers::MessageExt as _;
use waproto::whatsapp as wa;

/// The content of one message.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Content {
    /// `text`, `image`, `video`, `audio`, `document`, `sticker`, `location`, `contact`,
    /// `reaction`, `poll`, `vote`, `edit`, `revoke`, `other`, or `failed`: a file that the phone could not open.
    pub(crate) kind: String,
    pub(crate) text: Option<String>,
    pub(crate) caption: Option<String>,
    pub(crate) filename: Option<String>,
    pub(crate) mimetype: Option<String>,
    pub(crate) size: Option<u64>,
    /// Of the plain file, in hexadecimal.
    pub(crate) sha256: Option<String>,
    /// Whether audio is a voice note.
    pub(crate) voice: bool,
    pub(crate) seconds: Option<u32>,
    pub(crate) waveform: Option<Vec<u8>>,
    pub(crate) media: Option<MediaRef>,
    /// The timer of a disappearing message, in seconds.
    #[serde(default)]
    pub(crate) expiration: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) contacts: Option<Vec<Card>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) poll: Option<Poll>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reaction: Option<Reaction>,
    /// The message that it edits or deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) changes: Option<String>,
    /// The id of the message that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply_to: Option<String>,
    /// The JID by which it names the message that it is about: of the writer in an answer, of the chat in a
    /// reaction, an edit or a deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) target_jid: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) view_once: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) gif: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) animated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) height: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pages: Option<u32>,
    /// The size of the small picture that came with it, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) thumbnail_bytes: Option<usize>,
    /// What came with a link in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) link: Option<LinkCard>,
    /// Whom it mentions, as JIDs, and `all`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) mentions: Vec<String>,
}

/// What is shown of where a link leads.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct LinkCard {
    pub(crate) url: String,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    /// The size of its small picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) picture_bytes: Option<usize>,
}

/// A contact as it came.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Card {
    pub(crate) name: Option<String>,
    pub(crate) vcard: Option<String>,
}

/// A poll.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Poll {
    pub(crate) question: String,
    pub(crate) options: Vec<String>,
    pub(crate) selectable: u32,
}

/// A reaction.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Reaction {
    /// The id of the message it is on.
    pub(crate) message: Option<String>,
    pub(crate) emoji: String,
}

/// A place on the map.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct Place {
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
    pub(crate) name: Option<String>,
    pub(crate) address: Option<String>,
}

impl Place {
    /// What the page shows: the names, and where it is.
    fn text(&self) -> String {
        let names = [self.name.as_deref(), self.address.as_deref()].into_iter().flatten();
        let degrees = format!("{}, {}", self.latitude, self.longitude);
        names.chain([degrees.as_str()]).collect::<Vec<_>>().join("\n")
    }
}

/// A media file's address and keys.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct MediaRef {
    pub(crate) direct_path: String,
    /// Base64.
    pub(crate) media_key: String,
    /// Of the encrypted file, in hexadecimal.
    #[serde(default)]
    pub(crate) enc_sha256: Option<String>,
    /// Whether the phone has fetched the file and checked it against the message.
    #[serde(default)]
    pub(crate) checked: bool,
    /// Why it could not be decrypted.
    #[serde(default)]
    pub(crate) failure: Option<String>,
}

/// A decrypted file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PlainFile {
    /// In bytes.
    pub(crate) size: u64,
    /// In hexadecimal.
    pub(crate) sha256: String,
}

/// The fields all kinds of media share.
struct FileFields<'a> {
    mimetype: &'a Option<String>,
    size: Option<u64>,
    sha256: &'a Option<Vec<u8>>,
    enc_sha256: &'a Option<Vec<u8>>,
    direct_path: &'a Option<String>,
    url: &'a Option<String>,
    media_key: &'a Option<Vec<u8>>,
}

macro_rules! file {
    ($message:expr) => {
        FileFields {
            mimetype: &$message.mimetype,
            size: $message.file_length,
            sha256: &$message.file_sha256,
            enc_sha256: &$message.file_enc_sha256,
            direct_path: &$message.direct_path,
            url: &$message.url,
            media_key: &$message.media_key,
        }
    };
}

impl Content {
    /// The content of a message; `None` when it has none to show (a key, a receipt of sorts).
    pub(crate) fn of(message: &wa::Message) -> Option<Self> {
        let base = message.get_base_message();
        if let Some(change) = change(base) {
            return Some(change);
        }
        let text = message.text_content().map(|text| Content {
            kind: "text".into(),
            text: Some(text.to_owned()),
            link: link(base),
            ..Default::default()
        });
        let content = text.or_else(|| media(base)).or_else(|| other(base))?;
        let context = context_info(base);
        Some(Content {
            expiration: base.get_ephemeral_expiration(),
            reply_to: context.and_then(|info| info.stanza_id.clone()),
            target_jid: context
                .and_then(|info| info.participant.clone())
                .or_else(|| content.target_jid.clone()),
            mentions: shown_mentions(base),
            ..content
        })
    }

    fn media(kind: &str, file: &FileFields<'_>) -> Self {
        let path = file.direct_path.clone().or_else(|| path_of(file.url.as_deref()?));
        let key = file.media_key.as_ref().map(|key| BASE64_STANDARD.encode(key));
        Content {
            kind: kind.into(),
            mimetype: file.mimetype.clone(),
            size: file.size,
            sha256: file.sha256.as_ref().map(hex::encode),
            media: Some(MediaRef {
                direct_path: path.unwrap_or_default(),
                media_key: key.unwrap_or_default(),
                enc_sha256: file.enc_sha256.as_ref().map(hex::encode),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// The content after the phone has checked its file: its real size and hash, or kind `failed`.
    pub(crate) fn checked(mut self, outcome: std::result::Result<PlainFile, String>) -> Self {
        let media = self.media.get_or_insert_default();
        media.checked = true;
        match outcome {
            Ok(plain) => {
                self.size = Some(plain.size);
                self.sha256 = Some(plain.sha256);
            }
            Err(failure) => {
                media.failure = Some(failure);
                self.kind = "failed".into();
                (self.size, self.sha256) = (None, None);
            }
        }
        self
    }

    /// Whether playing it sends a receipt.
    pub(crate) fn is_playable(&self) -> bool {
        self.kind == "audio"
    }
}

fn link(message: &wa::Message) -> Option<LinkCard> {
    let text = message.extended_text_message.as_option()?;
    let (title, description) = (text.title.clone(), text.description.clone());
    let picture_bytes = text.jpeg_thumbnail.as_ref().map(|jpeg| jpeg.len());
    Some(LinkCard { url: text.matched_text.clone()?, title, description, picture_bytes })
}

fn media(message: &wa::Message) -> Option<Content> {
    if let Some(image) = message.image_message.as_option() {
        return Some(Content {
            caption: image.caption.clone(),
            width: image.width,
            height: image.height,
            thumbnail_bytes: image.jpeg_thumbnail.as_ref().map(|jpeg| jpeg.len()),
            view_once: image.view_once == Some(true),
            ..Content::media("image", &file!(image))
        });
    }
    if let Some(video) = message.video_message.as_option().or(message.ptv_message.as_option()) {
        return Some(Content {
            caption: video.caption.clone(),
            seconds: video.seconds,
            width: video.width,
            height: video.height,
            view_once: video.view_once == Some(true),
            gif: video.gif_playback == Some(true),
            ..Content::media("video", &file!(video))
        });
    }
    if let Some(audio) = message.audio_message.as_option() {
        return Some(Content {
            voice: audio.ptt.unwrap_or(false),
            seconds: audio.seconds,
            waveform: audio.waveform.as_ref().map(|wave| wave.to_vec()),
            view_once: audio.view_once == Some(true),
            ..Content::media("audio", &file!(audio))
        });
    }
    if let Some(document) = message.document_message.as_option() {
        return Some(Content {
            caption: document.caption.clone(),
            filename: document.file_name.clone(),
            pages: document.page_count,
            ..Content::media("document", &file!(document))
        });
    }
    let sticker = message.sticker_message.as_option()?;
    Some(Content {
        animated: sticker.is_animated == Some(true),
        width: sticker.width,
        height: sticker.height,
        ..Content::media("sticker", &file!(sticker))
    })
}

fn other(message: &wa::Message) -> Option<Content> {
    if let Some(location) = message.location_message.as_option() {
        let place = Place {
            latitude: location.degrees_latitude.unwrap_or(0.0),
            longitude: location.degrees_longitude.unwrap_or(0.0),
            name: location.name.clone(),
            address: location.address.clone(),
        };
        let text = Some(place.text());
        let location = Some(place);
        return Some(Content { kind: "location".into(), text, location, ..Default::default() });
    }
    if let Some(live) = message.live_location_message.as_option() {
        let place = Place {
            latitude: live.degrees_latitude.unwrap_or(0.0),
            longitude: live.degrees_longitude.unwrap_or(0.0),
            ..Default::default()
        };
        let text = Some(place.text());
        let location = Some(place);
        return Some(Content { kind: "location".into(), text, location, ..Default::default() });
    }
    if message.poll_update_message.is_set() {
        return Some(Content { kind: "vote".into(), ..Default::default() });
    }
    let typed = contacts(message).or_else(|| poll(message)).or_else(|| reaction(message));
    typed.or_else(|| {
        let other = || Content { kind: "other".into(), ..Default::default() };
        (!silent(message)).then(other)
    })
}

fn contacts(message: &wa::Message) -> Option<Content> {
    let one = message.contact_message.as_option().map(std::slice::from_ref);
    let cards = one.or_else(|| {
        message.contacts_array_message.as_option().map(|array| array.contacts.as_slice())
    })?;
    let card = |card: &wa::message::ContactMessage| Card {
        name: card.display_name.clone(),
        vcard: card.vcard.clone(),
    };
    let contacts: Vec<Card> = cards.iter().map(card).collect();
    let text = contacts.first().and_then(|card| card.name.clone());
    Some(Content { kind: "contact".into(), text, contacts: Some(contacts), ..Default::default() })
}

fn poll(message: &wa::Message) -> Option<Content> {
    let creation = message.poll_creation_message.as_option();
    let creation = creation.or(message.poll_creation_message_v3.as_option())?;
    let name = |option: &wa::message::poll_creation_message::Option| {
        option.option_name.clone().unwrap_or_default()
    };
    let poll = Poll {
        question: creation.name.clone().unwrap_or_default(),
        options: creation.options.iter().map(name).collect(),
        selectable: creation.selectable_options_count.unwrap_or_default(),
    };
    let text = creation.name.clone();
    Some(Content { kind: "poll".into(), text, poll: Some(poll), ..Default::default() })
}

fn reaction(message: &wa::Message) -> Option<Content> {
    let reaction = message.reaction_message.as_option()?;
    let (text, key) = (reaction.text.clone(), reaction.key.as_option());
    let target_jid = key.and_then(|key| key.remote_jid.clone());
    let reaction = Some(Reaction {
        message: key.and_then(|key| key.id.clone()),
        emoji: text.clone().unwrap_or_default(),
    });
    Some(Content { kind: "reaction".into(), text, reaction, target_jid, ..Default::default() })
}

/// An edit of another message, or its deletion.
fn change(message: &wa::Message) -> Option<Content> {
    use wa::message::protocol_message::Type;
    let protocol = message.protocol_message.as_option()?;
    let key = protocol.key.as_option()?;
    let (changes, target_jid) = (key.id.clone(), key.remote_jid.clone());
    let kind = match protocol.r#type? {
        Type::MESSAGE_EDIT => "edit",
        Type::REVOKE => "revoke",
        _ => return None,
    };
    let edited = protocol.edited_message.as_option().map(wa::Message::get_base_message);
    let text = edited.and_then(|edited| {
        edited.text_content().or_else(|| edited.get_caption()).map(str::to_owned)
    });
    let mentions = edited.map(shown_mentions).unwrap_or_default();
    Some(Content { kind: kind.into(), text, changes, target_jid, mentions, ..Default::default() })
}

/// Whom a message mentions, as JIDs, and `all`.
fn shown_mentions(message: &wa::Message) -> Vec<String> {
    let info = context_info(message);
    let all = info.is_some_and(|info| info.non_jid_mentions.unwrap_or_default() > 0);
    mentioned(message).into_iter().chain(all.then(|| "all".to_owned())).collect()
}

/// Whom a message mentions, as JIDs.
pub(super) fn mentioned(message: &wa::Message) -> Vec<String> {
    context_info(message).map(|info| info.mentioned_jid.clone()).unwrap_or_default()
}

fn context_info(message: &wa::Message) -> Option<&wa::ContextInfo> {
    macro_rules! first {
        ($($field:ident),+ $(,)?) => {
            None$(.or_else(|| message.$field.as_option().and_then(|m| m.context_info.as_option())))+
        };
    }
    first!(
        extended_text_message,
        image_message,
        video_message,
        ptv_message,
        audio_message,
        document_message,
        sticker_message,
        location_message,
        contact_message,
        contacts_array_message,
        poll_creation_message,
        poll_creation_message_v3,
    )
}

/// Messages between devices that no user sees.
fn silent(message: &wa::Message) -> bool {
    let only_keys = wa::Message {
        sender_key_distribution_message: message.sender_key_distribution_message.clone(),
        message_context_info: message.message_context_info.clone(),
        ..Default::default()
    };
    message.protocol_message.is_set() || *message == only_keys
}

fn path_of(url: &str) -> Option<String> {
    let rest = url.split_once("://")?.1;
    Some(rest[rest.find('/')?..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use waproto::buffa::MessageField;

    #[test]
    fn text_in_any_wrapping_is_found() {
        let plain = wa::Message { conversation: Some("halo".into()), ..Default::default() };
        let wrapped = wa::Message {
            ephemeral_message: MessageField::some(wa::message::FutureProofMessage {
                message: MessageField::some(plain.clone()),
            }),
            ..Default::default()
        };
        for message in [plain, wrapped] {
            let content = Content::of(&message).unwrap();
            assert_eq!((content.kind.as_str(), content.text.as_deref()), ("text", Some("halo")));
        }
    }

    #[test]
    fn keys_alone_are_no_content() {
        assert_eq!(Content::of(&wa::Message::default()), None);
        let keys = wa::Message {
            sender_key_distribution_message: MessageField::some(Default::default()),
            ..Default::default()
        };
        assert_eq!(Content::of(&keys), None);
    }
}
