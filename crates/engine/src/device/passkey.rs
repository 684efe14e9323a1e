//! The steps of linking with a passkey.

use domain::device::PairOffer;
use domain::error::{Error, Result};
use domain::passkey::{Assertion, PasskeyRefusal, PasskeyStep};

use super::DeviceTask;
use super::jobs::Done;
use crate::reply::{Reply, answer};

impl DeviceTask {
    /// What is on offer while the device is being paired.
    pub(super) fn current_offer(&self, reply: Reply<Option<PairOffer>>) {
        answer(reply, Ok(self.pairing.current(self.now())));
    }

    /// Gives the answer to WhatsApp's challenge to the messenger.
    pub(super) fn give_passkey(&self, assertion: Assertion, reply: Reply<PairOffer>) {
        let refusal = match self.pairing.passkey(self.now()) {
            Ok(PasskeyStep::Requested) => None,
            Ok(PasskeyStep::Accepted | PasskeyStep::Confirm(_)) => {
                Some(PasskeyRefusal::AlreadyGiven)
            }
            Err(refusal) => Some(refusal),
        };
        if let Some(refusal) = refusal {
            answer(reply, Err(Error::Passkey(refusal)));
            return;
        }
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        self.begin(async move {
            Done::PasskeyGiven(messenger.give_passkey(device, assertion).await, reply)
        });
    }

    /// The messenger has given it to WhatsApp, or could not.
    pub(super) fn passkey_given(&mut self, result: Result<()>, reply: Reply<PairOffer>) {
        if let Err(error) = result {
            answer(reply, Err(error));
            return;
        }
        if let Some(offer) = self.pairing.passkey_accepted() {
            self.show_offer(offer);
        }
        let ended = Error::Conflict("pairing has ended meanwhile");
        answer(reply, self.pairing.current(self.now()).ok_or(ended));
    }

    /// Finishes the link: its owner has compared the codes.
    pub(super) fn confirm_passkey(&self, reply: Reply<()>) {
        let refusal = match self.pairing.passkey(self.now()) {
            Ok(PasskeyStep::Confirm(_)) => None,
            Ok(PasskeyStep::Requested | PasskeyStep::Accepted) => Some(PasskeyRefusal::NoCode),
            Err(refusal) => Some(refusal),
        };
        if let Some(refusal) = refusal {
            answer(reply, Err(Error::Passkey(refusal)));
            return;
        }
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        self.begin(async move {
            Done::PasskeyConfirmed(messenger.confirm_passkey(device).await, reply)
        });
    }
}
