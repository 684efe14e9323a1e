//! One line for each step of a message, with its id, so that one search finds its whole way. Never
//! its text, its chat or a number.

use domain::ids::DeviceId;
use domain::message::MessageState;
use domain::ports::Recorded;

/// What the store has recorded of our messages: outcomes, failed attempts, receipts.
pub(crate) fn log_recorded(recorded: &[Recorded]) {
    for Recorded { message, .. } in recorded {
        let (message_id, whatsapp_id) = (message.id, &message.whatsapp_id);
        let attempts = message.attempts;
        let code = message.failure.as_ref().map(|failure| failure.code.as_str());
        match message.state {
            MessageState::Sent => tracing::info!(%message_id, %whatsapp_id, attempts, "sent"),
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

/// Messages that came in, or were written on the phone.
pub(crate) fn log_received(device: DeviceId, recorded: &[Recorded]) {
    for Recorded { message, .. } in recorded {
        let (message_id, whatsapp_id) = (message.id, &message.whatsapp_id);
        tracing::debug!(%device, %message_id, %whatsapp_id, "received");
    }
}
