//! How phones list a device, as `/v1` reads and shows it.

use domain::client::{Language, Platform, ShownAs, shown_name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api_error::ApiError;
use crate::optional::optional;

/// What is read and shown.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShownAsJson {
    #[serde(default, deserialize_with = "optional")]
    name: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    platform: Option<String>,
    #[serde(default, deserialize_with = "optional")]
    language: Option<String>,
}

/// How phones list a device; what is null follows the gateway's settings.
#[derive(ToSchema)]
#[schema(as = ShownAs)]
#[expect(dead_code, reason = "describes ShownAsJson")]
pub(super) struct ShownAsBody {
    /// Its name, up to 60 characters; a phone learns it when the device is paired.
    name: Option<String>,
    /// `chrome`, `edge`, `firefox`, `opera`, `safari` or `desktop`; as the name.
    platform: Option<String>,
    /// Its language and country, such as `id-ID`.
    language: Option<String>,
}

impl ShownAsJson {
    /// `None` when all of it follows the gateway.
    pub(super) fn of(shown_as: &ShownAs) -> Option<Self> {
        (*shown_as != ShownAs::default()).then(|| Self {
            name: shown_as.name.clone(),
            platform: shown_as.platform.map(|platform| platform.as_str().to_owned()),
            language: shown_as.language.as_ref().map(|language| language.as_str().to_owned()),
        })
    }

    pub(super) fn read(self) -> Result<ShownAs, ApiError> {
        Ok(ShownAs {
            name: field("name", self.name.as_deref(), shown_name)?,
            platform: field("platform", self.platform.as_deref(), Platform::parse)?,
            language: field("language", self.language.as_deref(), Language::parse)?,
        })
    }
}

fn field<T>(
    name: &str,
    text: Option<&str>,
    read: fn(&str) -> Result<T, &'static str>,
) -> Result<Option<T>, ApiError> {
    let wrong = |why| ApiError::field(format!("shown_as.{name}"), why);
    text.map(|text| read(text).map_err(wrong)).transpose()
}
