//! Sends that wait for their outcome, which only the node learns at once that runs the device.

use domain::ports::IdempotencyKey;
use domain::service::{AcceptedMessages, Core, Principal, SendRefusal, SendRequest};

use crate::request_context;

/// Accepts messages and waits for them as [`Core::send_and_wait`] does. Where the node that was waiting has
/// not answered, they are accepted, unless it had done that, and not waited for.
///
/// # Errors
/// Those of [`Core::send_and_wait`].
pub async fn send_and_wait(
    core: &Core,
    principal: &Principal,
    requests: Vec<SendRequest>,
    idempotency: Option<IdempotencyKey>,
) -> Result<AcceptedMessages, SendRefusal> {
    if request_context::has_waited() {
        let accepted = core.send_after_wait(principal, requests, idempotency).await?;
        // The caller has had no answer yet, whichever node accepted them.
        return Ok(AcceptedMessages { is_repeat: false, ..accepted });
    }
    request_context::note_wait();
    core.send_and_wait(principal, requests, idempotency).await
}
