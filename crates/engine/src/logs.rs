//! One line for each step of a message, with its id, so that one search finds its whole way. Never
//! its text, its chat or a number.

use domain::ids::DeviceId;
use domain::message::MessageState;
use domain::ports::{OutboxEntry, Recorded};
use domain::webhook::EventKind;

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
    for recorded in recorded {
        let message = &recorded.message;
        let (message_id, whatsapp_id) = (message.id, &message.whatsapp_id);
        let attempts = message.attempts;
        let code = message.failure.as_ref().map(|failure| failure.code.as_str());
        if has_just_been_sent(recorded) {
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

/// Whether WhatsApp's acknowledgement is new with this record; a receipt that came before it may have
/// moved the message past `sent` at once. Without its device a record has no events.
fn has_just_been_sent(recorded: &Recorded) -> bool {
    recorded.message.state == MessageState::Sent
        || recorded.events.iter().any(|event| event.kind == EventKind::MessageSent)
}

/// Messages that came in, or were written on the phone.
pub(crate) fn log_received(device: DeviceId, recorded: &[Recorded]) {
    for Recorded { message, .. } in recorded {
        let (message_id, whatsapp_id) = (message.id, &message.whatsapp_id);
        tracing::debug!(%device, %message_id, %whatsapp_id, "received");
    }
}
