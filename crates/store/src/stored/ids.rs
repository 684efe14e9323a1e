//! The messages that a request led to, in `idempotency.message_ids`.

use domain::ids::MessageId;
use serde::{Serialize, Serializer};

use super::{from_text, to_text};
use crate::sql::SqlResult;

struct StoredIds<I>(I);

impl<I: Iterator<Item = MessageId> + Clone> Serialize for StoredIds<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.clone().map(|id| id.0))
    }
}

pub(crate) fn write(ids: impl Iterator<Item = MessageId> + Clone) -> SqlResult<String> {
    to_text(&StoredIds(ids))
}

pub(crate) fn read(text: &str) -> SqlResult<Vec<MessageId>> {
    let ids: Vec<i64> = from_text(text, "the ids of its messages")?;
    Ok(ids.into_iter().map(MessageId).collect())
}
