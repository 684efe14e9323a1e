//! What has become of the messages of a list.

use super::{Core, Principal};
use crate::error::{Error, Result};
use crate::ids::MessageId;
use crate::message::{Direction, MessageState, WaitingReason};
use crate::ports::MessageBatch;
use crate::scope::Scope;

/// How far the ids of a batch may be apart: other nodes draw some of those between.
const BATCH_SPAN_MAX: i64 = 20_000;

/// What has become of messages that were accepted with one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchProgress {
    /// Which they are.
    pub batch: MessageBatch,
    /// How many are in which state.
    pub states: Vec<(MessageState, i64)>,
    /// What those wait for that wait, and how many of them.
    pub waiting: Vec<(WaitingReason, usize)>,
}

impl Core {
    /// What has become of the messages that were accepted with `first`, up to `last`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the caller has not sent `first`, or the two belong to no batch.
    pub async fn batch_progress(
        &self,
        principal: &Principal,
        first: MessageId,
        last: MessageId,
    ) -> Result<BatchProgress> {
        principal.require(Scope::Read)?;
        let message = self.own_message(principal, first).await?;
        let span = last.0.checked_sub(first.0);
        let is_batch = span.is_some_and(|span| (0..BATCH_SPAN_MAX).contains(&span));
        if !is_batch || message.direction() == Direction::In {
            return Err(Error::NotFound("batch"));
        }
        let (device, created_at) = (message.device_id, message.created_at);
        let batch = MessageBatch { device, first, last, created_at };
        let account = principal.account_id()?;
        let states = self.store.count_batch(account, batch, self.clock.now()).await?;
        let is_waiting = states.iter().any(|(state, _)| state.is_waiting());
        let mut waiting: Vec<(WaitingReason, usize)> = Vec::new();
        if is_waiting {
            let ids = (first.0..=last.0).map(MessageId).collect();
            for (_, held) in self.dispatcher.waiting(device, ids).await {
                match waiting.iter_mut().find(|(reason, _)| *reason == held.reason) {
                    Some((_, count)) => *count += 1,
                    None => waiting.push((held.reason, 1)),
                }
            }
            waiting.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), reason.as_str()));
        }
        Ok(BatchProgress { batch, states, waiting })
    }
}
