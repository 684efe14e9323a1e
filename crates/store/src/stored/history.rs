//! The states a message has passed through, in `history` of both tables of messages.

use std::borrow::Cow;

use domain::message::{MessageState, StateChange};
use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::{from_text, to_text, unreadable};
use crate::sql::SqlResult;

const WHAT: &str = "its history";

#[derive(Serialize, Deserialize)]
struct StoredChange<'a> {
    #[serde(borrow)]
    state: Cow<'a, str>,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
}

/// Written without a list in between: this is on the path of every acceptance.
struct StoredHistory<'a>(&'a [StateChange]);

impl Serialize for StoredHistory<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|change| StoredChange {
            state: change.state.as_str().into(),
            at: change.at,
            reason: change.reason.as_deref().map(Cow::Borrowed),
        }))
    }
}

pub(crate) fn write(history: &[StateChange]) -> SqlResult<String> {
    to_text(&StoredHistory(history))
}

pub(crate) fn read(text: &str) -> SqlResult<Vec<StateChange>> {
    let change = |stored: StoredChange<'_>| {
        Some(StateChange {
            state: MessageState::from_name(&stored.state)?,
            at: stored.at,
            reason: stored.reason.map(Cow::into_owned),
        })
    };
    let stored: Vec<StoredChange<'_>> = from_text(text, WHAT)?;
    stored.into_iter().map(change).collect::<Option<_>>().ok_or_else(|| unreadable(WHAT))
}
