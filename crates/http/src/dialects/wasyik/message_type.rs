//! The field `messageType`.

use std::fmt;

use domain::message::ContentKind;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// What something is sent as; in any letter case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum MessageType {
    Text,
    Image,
    Video,
    Audio,
    Document,
}

impl MessageType {
    const NAMES: [(&str, Self); 5] = [
        ("text", Self::Text),
        ("image", Self::Image),
        ("video", Self::Video),
        ("audio", Self::Audio),
        ("document", Self::Document),
    ];

    /// The core's word for it.
    pub(super) fn kind(self) -> ContentKind {
        match self {
            Self::Text => ContentKind::Text,
            Self::Image => ContentKind::Image,
            Self::Video => ContentKind::Video,
            Self::Audio => ContentKind::Audio,
            Self::Document => ContentKind::Document,
        }
    }
}

impl<'de> Deserialize<'de> for MessageType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl Visitor<'_> for Reader {
            type Value = MessageType;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, image, video, audio or document")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<MessageType, E> {
                let text = text.trim();
                let known =
                    MessageType::NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
                let wrong = || E::custom("must be text, image, video, audio or document");
                known.map(|(_, found)| *found).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_str(Reader)
    }
}
