//! Which messages a list wants.

use domain::message::{Direction, Message, MessageState};
use domain::ports::{MessageBatch, MessageFilter};
use jiff::Timestamp;

use super::stored;

/// A message's state as readers see it.
fn seen_at(message: &Message, now: Timestamp) -> MessageState {
    match message.state {
        MessageState::Scheduled if message.due_at <= now => MessageState::Queued,
        state => state,
    }
}

/// Whether a message is wanted.
pub(super) fn matches(message: &Message, filter: &MessageFilter) -> bool {
    let state = filter.now.map_or(message.state, |now| seen_at(message, now));
    filter.direction.is_none_or(|direction| direction == message.direction())
        && filter.device.is_none_or(|device| device == message.device_id)
        && (filter.states.is_empty() || filter.states.contains(&state))
        && filter.chat.as_ref().is_none_or(|chat| *chat == message.chat)
        && (filter.kinds.is_empty() || filter.kinds.contains(&message.kind()))
        && filter
            .text
            .as_ref()
            .is_none_or(|text| message.content.text().to_lowercase().contains(&text.to_lowercase()))
        && filter.since.is_none_or(|since| message.created_at >= stored(since))
        && filter.until.is_none_or(|until| message.created_at < stored(until))
        && (!filter.is_scheduled || message.was_scheduled())
}

/// How many messages of a batch are in which state.
pub(super) fn counted_by_state(
    messages: &[Message],
    batch: MessageBatch,
    now: Timestamp,
) -> Vec<(MessageState, i64)> {
    let is_of_it = |message: &&Message| {
        (batch.first..=batch.last).contains(&message.id)
            && message.device_id == batch.device
            && message.created_at == batch.created_at
            && message.direction() == Direction::Out
    };
    let states: Vec<_> = messages.iter().filter(is_of_it).map(|m| seen_at(m, now)).collect();
    let count = |state| {
        let count = states.iter().filter(|other| **other == state).count();
        (state, i64::try_from(count).expect("a small count"))
    };
    MessageState::ALL.map(count).into_iter().filter(|(_, count)| *count > 0).collect()
}
