//! The tries of a delivery, in `tries` of `deliveries`: one JSON object a line, so that one more is added
//! without a look at the others.

use std::borrow::Cow;

use domain::webhook::DeliveryTry;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::to_text;
use crate::sql::SqlResult;

#[derive(Serialize, Deserialize)]
struct StoredTry<'a> {
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
    #[serde(default)]
    ms: u64,
    #[serde(borrow, default, skip_serializing_if = "str::is_empty")]
    answer: Cow<'a, str>,
}

/// The line of a try.
pub(crate) fn write(tried: &DeliveryTry) -> SqlResult<String> {
    let stored = StoredTry {
        at: tried.at,
        status: tried.status,
        error: tried.error.as_deref().map(Cow::Borrowed),
        ms: tried.ms,
        answer: tried.answer.as_str().into(),
    };
    Ok(to_text(&stored)? + "\n")
}

/// The tries; a line that cannot be read is left out, such as one that was cut.
pub(crate) fn read(text: &str) -> Vec<DeliveryTry> {
    let tried = |line| {
        let stored: StoredTry<'_> = serde_json::from_str(line).ok()?;
        Some(DeliveryTry {
            at: stored.at,
            status: stored.status,
            error: stored.error.map(Cow::into_owned),
            ms: stored.ms,
            answer: stored.answer.into_owned(),
        })
    };
    text.lines().filter_map(tried).collect()
}
