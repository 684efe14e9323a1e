//! The pacing of a device, in `devices.pacing`.
//!
//! The previous release refuses unknown fields here: a field that is new is written only where it
//! is used.

use domain::policy::pacing::{Pacing, QuietHours};
use jiff::civil::Time;
use serde::{Deserialize, Serialize};

use super::{from_text, to_text, unreadable};
use crate::sql::SqlResult;

const WHAT: &str = "its pacing";

#[derive(Serialize, Deserialize)]
struct StoredPacing {
    min_s: u32,
    max_s: u32,
    typing: bool,
    first_contacts_per_day: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    warm_up: bool,
    quiet_hours: Option<StoredQuietHours>,
}

#[derive(Serialize, Deserialize)]
struct StoredQuietHours {
    from: Time,
    until: Time,
}

pub(crate) fn write(pacing: &Pacing) -> SqlResult<String> {
    let quiet = pacing.quiet_hours;
    to_text(&StoredPacing {
        min_s: pacing.min_s,
        max_s: pacing.max_s,
        typing: pacing.typing,
        first_contacts_per_day: pacing.first_contacts_per_day,
        warm_up: pacing.warm_up,
        quiet_hours: quiet.map(|QuietHours { from, until }| StoredQuietHours { from, until }),
    })
}

pub(crate) fn read(text: &str) -> SqlResult<Pacing> {
    let stored: StoredPacing = from_text(text, WHAT)?;
    let quiet = stored.quiet_hours;
    let pacing = Pacing {
        min_s: stored.min_s,
        max_s: stored.max_s,
        typing: stored.typing,
        first_contacts_per_day: stored.first_contacts_per_day,
        warm_up: stored.warm_up,
        quiet_hours: quiet.map(|StoredQuietHours { from, until }| QuietHours { from, until }),
    };
    pacing.check().map(|()| pacing).map_err(|_| unreadable(WHAT))
}
