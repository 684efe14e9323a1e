//! How a phone lists a device, in `devices.shown_as`.

use domain::client::{Language, Platform, ShownAs, shown_name};
use serde::{Deserialize, Serialize};

use super::{from_text, to_text, unreadable};
use crate::sql::SqlResult;

const WHAT: &str = "how it is shown";

#[derive(Serialize, Deserialize)]
struct StoredShownAs {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    language: Option<String>,
}

/// `None` when all of it follows the gateway.
pub(crate) fn write(shown_as: &ShownAs) -> SqlResult<Option<String>> {
    if *shown_as == ShownAs::default() {
        return Ok(None);
    }
    to_text(&StoredShownAs {
        name: shown_as.name.clone(),
        platform: shown_as.platform.map(|platform| platform.as_str().to_owned()),
        language: shown_as.language.as_ref().map(|language| language.as_str().to_owned()),
    })
    .map(Some)
}

pub(crate) fn read(text: &str) -> SqlResult<ShownAs> {
    let stored: StoredShownAs = from_text(text, WHAT)?;
    let wrong = |_| unreadable(WHAT);
    Ok(ShownAs {
        name: stored.name.as_deref().map(shown_name).transpose().map_err(wrong)?,
        platform: stored.platform.as_deref().map(Platform::parse).transpose().map_err(wrong)?,
        language: stored.language.as_deref().map(Language::parse).transpose().map_err(wrong)?,
    })
}
