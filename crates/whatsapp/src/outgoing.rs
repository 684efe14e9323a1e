//! Messages on their way out, in WhatsApp's form; pure.

use domain::content::{Content, ContentKind, Location, OutgoingContent, OutgoingFile};
use domain::ids::WhatsappId;
use domain::media::ReadyMedia;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::message as m;
use whatsapp_rust::upload::UploadResponse;

/// What the ids that the gateway chooses begin with.
const OWN_PREFIX: &str = "3EB0";
/// What the id of a caption begins with that goes out as a message of its own.
const CAPTION_PREFIX: &str = "3EBC";

/// What is written to WhatsApp for a message, in this order, each under its id; `None` for what cannot
/// be sent.
///
/// Audio has no caption there: it goes before the audio as a text of its own. The audio's
/// acknowledgement stands for both, because a connection's messages are acknowledged in order.
pub(crate) fn messages(
    id: &WhatsappId,
    content: OutgoingContent,
    uploaded: Option<UploadResponse>,
) -> Option<Vec<(WhatsappId, wa::Message)>> {
    let caption = match &content {
        Content::File(OutgoingFile { media, caption }) if !caption.trim().is_empty() => {
            let is_audio = matches!(media.kind, ContentKind::Audio | ContentKind::Voice);
            is_audio.then(|| Content::Text(caption.as_str().into()))
        }
        _ => None,
    };
    let caption = caption.and_then(|text| Some((caption_id(id), message(text, None)?)));
    let own = (id.clone(), message(content, uploaded)?);
    Some(caption.into_iter().chain([own]).collect())
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
fn message(content: OutgoingContent, uploaded: Option<UploadResponse>) -> Option<wa::Message> {
    match content {
        Content::Text(text) => {
            Some(wa::Message { conversation: Some(text.to_string()), ..Default::default() })
        }
        Content::File(OutgoingFile { media, caption }) => Some(file(media, caption, uploaded?)),
        Content::Location(place) => Some(location(place)),
        Content::Unsupported(_) => None,
    }
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
fn file(media: ReadyMedia, caption: String, uploaded: UploadResponse) -> wa::Message {
    let caption = (!caption.is_empty()).then_some(caption);
    let mut message = wa::Message::default();
    match media.kind {
        ContentKind::Image => {
            let (width, height) = media.dimensions.unzip();
            message.image_message = file!(ImageMessage, media, uploaded, { caption: caption, width: width, height: height });
        }
        ContentKind::Video => {
            message.video_message = file!(VideoMessage, media, uploaded, {
                caption: caption,
                seconds: media.seconds,
                streaming_sidecar: uploaded.streaming_sidecar,
            });
        }
        ContentKind::Audio | ContentKind::Voice => {
            message.audio_message = file!(AudioMessage, media, uploaded, {
                ptt: Some(media.kind == ContentKind::Voice),
                seconds: media.seconds,
                waveform: media.waveform,
                streaming_sidecar: uploaded.streaming_sidecar,
            });
        }
        _ => {
            let has_caption = caption.is_some();
            message.document_message = file!(DocumentMessage, media, uploaded, {
                caption: caption,
                title: media.filename.clone(),
                file_name: media.filename,
            });
            if has_caption {
                message = in_caption_envelope(message);
            }
        }
    }
    message
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
