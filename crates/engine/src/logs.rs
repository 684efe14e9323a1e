//! One line for each step of a message, with its id, so that one search finds its whole way. Never
//! its text, its chat or a number.

use domain::ids::DeviceId;
use domain::message::{Message, MessageState};
use domain::ports::{OutboxEntry, Recorded};

/// Messages that are durable from now on; in the span of the request that asked for them.
pub(crate) fn log_accepted(entries: &[OutboxEntry]) {
    for entry in entries {
        tracing::debug!(
            message_id = %entry.id, whatsapp_id = %entry.whatsapp_id, device = %entry.device_id,
            "accepted",
        );
    }
}

/// What the store has recorded of our messages: outcomes, failed attempts, receipts.
pub(crate) fn log_recorded(recorded: &[Recorded]) {
    for Recorded { message, .. } in recorded {
        let (message_id, whatsapp_id) = (message.id, &message.whatsapp_id);
        let attempts = message.attempts;
        let code = message.failure.as_ref().map(|failure| failure.code.as_str());
        if has_just_been_sent(message) {
            tracing::info!(%message_id, %whatsapp_id, attempts, "sent");
        }
        match message.state {
            MessageState::Sent => {}
            MessageState::Failed => {
                tracing::info!(%message_id, %whatsapp_id, attempts, code, "failed");
            }
            MessageState::Expired => {
                tracing::info!(%message_id, %whatsapp_id, attempts, code, "expired");
            }
            MessageState::Cancelled => tracing::debug!(%message_id, code, "cancelled"),
            MessageState::Delivered => tracing::debug!(%message_id, %whatsapp_id, "delivered"),
            MessageState::Read => tracing::debug!(%message_id, %whatsapp_id, "read"),
            MessageState::Played => tracing::debug!(%message_id, %whatsapp_id, "played"),
            MessageState::Scheduled | MessageState::Queued | MessageState::Sending => {
                tracing::debug!(%message_id, %whatsapp_id, attempts, code, "attempt failed");
            }
        }
    }
}

/// Whether it left the outbox with this change; a receipt that came before the acknowledgement may have
/// moved it past `sent` at once.
fn has_just_been_sent(message: &Message) -> bool {
    use MessageState::{Delivered, Played, Read, Sent};
    let before = message.history.iter().rev().nth(1);
    matches!(message.state, Sent | Delivered | Read | Played)
        && before.is_none_or(|before| before.state.is_waiting())
}

/// Messages that came in, or were written on the phone.
pub(crate) fn log_received(device: DeviceId, recorded: &[Recorded]) {
    for Recorded { message, .. } in recorded {
        let (message_id, whatsapp_id) = (message.id, &message.whatsapp_id);
        tracing::debug!(%device, %message_id, %whatsapp_id, "received");
    }
}
