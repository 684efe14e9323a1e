//! What a device does with what comes in, in `devices.incoming`.

use domain::device::IncomingSettings;
use serde::{Deserialize, Serialize};

use super::{from_text, to_text};
use crate::sql::SqlResult;

#[derive(Serialize, Deserialize)]
struct StoredIncoming {
    #[serde(default)]
    reject_calls: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reject_text: Option<String>,
    #[serde(default)]
    read_at_once: bool,
}

pub(crate) fn write(settings: IncomingSettings) -> SqlResult<String> {
    let IncomingSettings { rejects_calls, reject_text, reads_at_once } = settings;
    to_text(&StoredIncoming {
        reject_calls: rejects_calls,
        reject_text,
        read_at_once: reads_at_once,
    })
}

pub(crate) fn read(text: &str) -> SqlResult<IncomingSettings> {
    let stored: StoredIncoming = from_text(text, "the settings of a device")?;
    let StoredIncoming { reject_calls, reject_text, read_at_once } = stored;
    Ok(IncomingSettings { rejects_calls: reject_calls, reject_text, reads_at_once: read_at_once })
}
