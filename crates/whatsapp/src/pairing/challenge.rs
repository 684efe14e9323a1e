//! What WhatsApp's wish for a passkey changes about an attempt to link.

use domain::device::PairOffer;
use domain::passkey::{PASSKEY_FOR, PasskeyStep};
use domain::ports::MessengerEvent;
use tokio::time::Instant;

use super::Supervisor;
use crate::client::Session;
use crate::connection::{Connection, Deadline, DeadlineAction};
use crate::passkey::Challenge;

impl Supervisor {
    /// The attempt lasts as long as the challenge, over this connection.
    pub(super) async fn passkey_asked(
        &mut self,
        session: &Session,
        watch: &mut Connection,
        request: String,
    ) {
        watch.stop_code_request();
        watch.deadline = Deadline::new(PASSKEY_FOR, DeadlineAction::FailPasskey);
        let (client, sink) = (session.client.clone(), session.sink.clone());
        self.online.set_challenge(Some(Challenge { client, sink, request: request.clone() }));
        self.offer_passkey(watch.deadline.at, request, PasskeyStep::Requested).await;
    }

    /// The phone shows this code, too.
    pub(super) async fn passkey_code(&mut self, until: Instant, code: String) {
        let Some(challenge) = self.online.challenge() else { return };
        self.offer_passkey(until, challenge.request, PasskeyStep::Confirm(code)).await;
    }

    async fn offer_passkey(&self, until: Instant, request: String, step: PasskeyStep) {
        let expires_in_s = until.saturating_duration_since(Instant::now()).as_secs();
        let offer = PairOffer::Passkey { request, step, expires_in_s };
        self.emit(MessengerEvent::Offer(offer)).await;
    }
}
