//! What a message carries: the columns `kind`, `text` and `media` of both tables of messages, and
//! the same fields in queued events.
//!
//! Kind and text stand in columns of their own, because lists show and filter by them; everything
//! else is one versioned JSON in `media`. `docs/adr/0003-stored-content.md` says why there.

use std::borrow::Cow;

use domain::content::{Content, ContentKind, File, Location, Unsupported};
use domain::media::Media;
use serde::{Deserialize, Serialize};

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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<StoredLocation<'a>>,
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

fn first_version() -> u32 {
    1
}

impl<'a> StoredContent<'a> {
    /// What is stored beside kind and text; `None` where they say it all.
    pub(super) fn of(content: &'a Content) -> Option<Self> {
        match content {
            Content::Text(_) | Content::Unsupported(_) => None,
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
            location: None,
        }
    }

    fn into_media(self) -> Media {
        Media {
            url: self.url.map(Cow::into_owned),
            is_kind_given: self.is_kind_given.unwrap_or(false),
            filename: self.filename.map(Cow::into_owned),
            mimetype: self.mimetype.map(Cow::into_owned),
            size: self.size,
        }
    }
}

/// The content of a kind. One that only a later release knows is an error that holds kind and text.
pub(super) fn content(
    kind: ContentKind,
    text: String,
    stored: Option<StoredContent<'_>>,
) -> Result<Content, Unsupported> {
    let mut stored = stored.unwrap_or_default();
    if stored.v > VERSION {
        return Err(Unsupported { kind, text });
    }
    let location = stored.location.take().map(Location::from);
    if location.as_ref().is_some_and(|at| !at.has_latitude() || !at.has_longitude()) {
        return Err(Unsupported { kind, text });
    }
    let media = stored.into_media();
    Ok(match (kind, location) {
        (ContentKind::Text, _) => Content::Text(text.into()),
        (ContentKind::Location, Some(location)) => Content::Location(location),
        (kind, _) if kind.is_file() => Content::File(File { kind, caption: text.into(), media }),
        // The first release kept no more of a received place than its name.
        (kind, _) => Content::Unsupported(Unsupported { kind, text }),
    })
}

/// What goes into the column `media`.
pub(crate) fn write(content: &Content) -> SqlResult<Option<String>> {
    StoredContent::of(content).map(|stored| to_text(&stored)).transpose()
}

/// Reads the three columns. What cannot be read of them is an error that holds what can.
pub(crate) fn read(kind: &str, text: String, media: Option<&str>) -> Result<Content, Unsupported> {
    let kind = ContentKind::from_name(kind);
    match media.map(serde_json::from_str).transpose() {
        Ok(stored) => content(kind, text, stored),
        Err(_) => Err(Unsupported { kind, text }),
    }
}
