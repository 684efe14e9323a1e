//! One line for each step of a message, with its id, so that one search finds its whole way. Never
//! its text, its chat or a number.

use domain::message::MessageState;
use domain::ports::Recorded;

/// What the store has recorded of messages: outcomes, failed attempts, receipts and arrivals.
pub(crate) fn log_recorded(recorded: &[Recorded]) {
    for Recorded { message, .. } in recorded {
        let (message_id, whatsapp_id) = (message.id, &message.whatsapp_id);
        let (state, attempts) = (message.state.as_str(), message.attempts);
        let code = message.failure.as_ref().map(|failure| failure.code.as_str());
        match message.state {
            MessageState::Sent => {
                tracing::info!(%message_id, %whatsapp_id, attempts, "message sent");
            }
            MessageState::Failed | MessageState::Expired => {
                tracing::info!(%message_id, %whatsapp_id, attempts, state, code, "message not sent");
            }
            _ => {
                tracing::debug!(%message_id, %whatsapp_id, attempts, state, code, "message recorded");
            }
        }
    }
}
