//! The pacing of a device, as `/v1` reads and shows it.

use std::borrow::Cow;

use domain::policy::pacing::{Pacing, QuietHours};
use jiff::civil::Time;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::optional::optional;

/// What is read and shown. What is stored is a type of the store's: this one may change with the
/// API.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PacingJson {
    min_s: u32,
    max_s: u32,
    typing: bool,
    #[serde(default, deserialize_with = "optional")]
    first_contacts_per_day: Option<u32>,
    #[serde(default, deserialize_with = "optional", skip_serializing_if = "Option::is_none")]
    warm_up: Option<bool>,
    #[serde(default, deserialize_with = "optional")]
    quiet_hours: Option<QuietHoursJson>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuietHoursJson {
    #[serde(deserialize_with = "time_of_day")]
    from: Time,
    #[serde(deserialize_with = "time_of_day")]
    until: Time,
}

fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
    let text = Cow::<str>::deserialize(deserializer)?;
    text.parse().map_err(|_| D::Error::custom("must be a time such as 21:00"))
}

impl From<&Pacing> for PacingJson {
    fn from(pacing: &Pacing) -> Self {
        let quiet = pacing.quiet_hours;
        Self {
            min_s: pacing.min_s,
            max_s: pacing.max_s,
            typing: pacing.typing,
            first_contacts_per_day: pacing.first_contacts_per_day,
            warm_up: pacing.warm_up.then_some(true),
            quiet_hours: quiet.map(|QuietHours { from, until }| QuietHoursJson { from, until }),
        }
    }
}

impl From<PacingJson> for Pacing {
    fn from(json: PacingJson) -> Self {
        let quiet = json.quiet_hours;
        Self {
            min_s: json.min_s,
            max_s: json.max_s,
            typing: json.typing,
            first_contacts_per_day: json.first_contacts_per_day,
            warm_up: json.warm_up.unwrap_or(false),
            quiet_hours: quiet.map(|QuietHoursJson { from, until }| QuietHours { from, until }),
        }
    }
}

/// How a device paces itself.
#[derive(ToSchema)]
#[schema(as = Pacing)]
#[expect(dead_code, reason = "describes `PacingJson` in the document")]
pub(super) struct PacingBody {
    /// Shortest pause between two messages, in seconds.
    min_s: u32,
    /// Longest pause between two messages, in seconds.
    max_s: u32,
    /// Whether time to type is taken before a text.
    typing: bool,
    /// Most new numbers in a day of the account; null for no limit.
    first_contacts_per_day: Option<u32>,
    /// Whether that limit begins low and grows over the week after the device was paired; false
    /// unless given.
    warm_up: Option<bool>,
    /// Hours in which nothing is sent, in the account's time zone.
    quiet_hours: Option<QuietHoursBody>,
}

/// From `from` until `until`, over midnight when `until` is earlier.
#[derive(ToSchema)]
#[schema(as = QuietHours)]
#[expect(dead_code, reason = "describes `QuietHoursJson` in the document")]
struct QuietHoursBody {
    /// The first quiet minute, such as `21:00`.
    from: String,
    /// The first minute that is not quiet any more, such as `07:00`.
    until: String,
}
