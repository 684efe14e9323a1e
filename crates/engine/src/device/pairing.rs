//! Pairing a device: asking WhatsApp for an offer, and showing it to those who wait for it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use domain::device::{DeviceNotice, DeviceStatus, LinkedNumber, PairMethod, PairOffer};
use domain::error::{Error, Result, StoreError};
use domain::passkey::{PasskeyRefusal, PasskeyStep};

use super::DeviceTask;
use super::jobs::Done;
use super::journal::Write;
use super::records::same;
use crate::reply::{Reply, answer};
use crate::timing::{STORE_PAUSE, pause};

/// How long WhatsApp may take to offer a QR or a code.
const OFFER_WAIT: SignedDuration = SignedDuration::from_secs(30);

/// The attempt that runs, if one does.
#[derive(Default)]
pub(super) struct Pairing {
    attempt: Option<Attempt>,
    /// How often the messenger was asked to pair.
    asked: u64,
    /// Whether the last attempt ended without a link after WhatsApp had asked for a passkey.
    has_missed_passkey: bool,
    /// Whether the session is still to be read, which may be linked already.
    is_link_unread: bool,
    /// Asked for before it was known whether the device is linked; as many as callers wait.
    early: Vec<(PairMethod, Reply<PairOffer>)>,
}

struct Attempt {
    method: PairMethod,
    /// Whether the messenger still ends an earlier attempt, whose failure is none of this one.
    is_restarting: bool,
    offer: Option<(PairOffer, Timestamp)>,
    waiters: Vec<Reply<PairOffer>>,
    /// Until when the waiters wait.
    offer_by: Timestamp,
}

impl Pairing {
    pub(super) fn is_running(&self) -> bool {
        self.attempt.is_some()
    }

    /// When the offer is due, while a caller waits for it.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let attempt = self.attempt.as_ref().filter(|attempt| !attempt.waiters.is_empty());
        attempt.map(|attempt| attempt.offer_by)
    }

    /// Ends the attempt that runs with this answer; whether one did.
    pub(super) fn end(&mut self, reply: impl Fn() -> Result<PairOffer>) -> bool {
        let Some(mut attempt) = self.attempt.take() else { return false };
        self.has_missed_passkey = attempt.passkey().is_some();
        attempt.answer(reply);
        true
    }

    fn add_early(&mut self, method: PairMethod, reply: Reply<PairOffer>) {
        self.early.retain(|(_, earlier)| !earlier.is_closed());
        self.early.push((method, reply));
    }

    /// Waits for the offer of the attempt that runs, or gets it at once. The reply comes back when
    /// none runs with this method.
    fn join(
        &mut self,
        method: &PairMethod,
        reply: Reply<PairOffer>,
        now: Timestamp,
    ) -> std::result::Result<(), Reply<PairOffer>> {
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.method == *method)
        else {
            return Err(reply);
        };
        if attempt.waiters.is_empty() {
            attempt.offer_by = offer_by(now);
        }
        attempt.waiters.push(reply);
        if let Some(offer) = attempt.current(now) {
            attempt.answer(|| Ok(offer.clone()));
        }
        Ok(())
    }

    /// Begins an attempt; whether it takes the place of another.
    fn begin(&mut self, method: PairMethod, reply: Reply<PairOffer>, now: Timestamp) -> bool {
        let is_restarting =
            self.end(|| Err(Error::Conflict("another way of linking was asked for")));
        let (waiters, offer_by) = (vec![reply], offer_by(now));
        self.has_missed_passkey = false;
        self.attempt = Some(Attempt { method, is_restarting, offer: None, waiters, offer_by });
        is_restarting
    }

    /// The messenger is asked to pair, by this method, for the n-th time.
    fn ask(&mut self) -> Option<(u64, PairMethod)> {
        let method = self.attempt.as_ref()?.method.clone();
        self.asked += 1;
        Some((self.asked, method))
    }

    /// The messenger was asked for the n-th time; whether that is still what runs.
    fn was_asked(&mut self, n: u64) -> bool {
        if let Some(attempt) = self.attempt.as_mut().filter(|_| n == self.asked) {
            attempt.is_restarting = false;
        }
        n == self.asked
    }

    /// Whether a failure that the messenger reports is the running attempt's.
    fn can_fail(&self) -> bool {
        self.attempt.as_ref().is_some_and(|attempt| !attempt.is_restarting)
    }

    /// What is on offer at `now`.
    pub(super) fn current(&self, now: Timestamp) -> Option<PairOffer> {
        self.attempt.as_ref()?.current(now)
    }

    /// How far the attempt is with its passkey at `now`.
    pub(super) fn passkey(&self, now: Timestamp) -> Result<PasskeyStep, PasskeyRefusal> {
        let Some(attempt) = &self.attempt else {
            let has_missed = self.has_missed_passkey;
            return Err(if has_missed {
                PasskeyRefusal::Expired
            } else {
                PasskeyRefusal::NotRequested
            });
        };
        let step = attempt.passkey().ok_or(PasskeyRefusal::NotRequested)?.clone();
        attempt.current(now).map(|_| step).ok_or(PasskeyRefusal::Expired)
    }

    /// WhatsApp has taken the passkey; the offer that shows it, unless the next step came already.
    pub(super) fn passkey_accepted(&mut self) -> Option<PairOffer> {
        let (offer, _) = self.attempt.as_mut()?.offer.as_mut()?;
        let PairOffer::Passkey { step: step @ PasskeyStep::Requested, .. } = offer else {
            return None;
        };
        *step = PasskeyStep::Accepted;
        Some(offer.clone())
    }

    /// Shows an offer to those who wait; false when it is none of this attempt.
    fn offered(&mut self, offer: &PairOffer, now: Timestamp) -> bool {
        let Some(attempt) = self.attempt.as_mut().filter(|attempt| attempt.fits(offer)) else {
            return false;
        };
        attempt.offer = Some((offer.clone(), now));
        attempt.answer(|| Ok(offer.clone()));
        true
    }
}

impl Attempt {
    /// What is on offer at `now`, with the seconds that are left.
    fn current(&self, now: Timestamp) -> Option<PairOffer> {
        let (offer, since) = self.offer.as_ref()?;
        let age_s = u64::try_from(now.duration_since(*since).as_secs()).unwrap_or(0);
        let left = |s: u64| s.checked_sub(age_s).filter(|left| *left > 0);
        let mut offer = offer.clone();
        let (PairOffer::Qr { expires_in_s, .. }
        | PairOffer::Code { expires_in_s, .. }
        | PairOffer::Passkey { expires_in_s, .. }) = &mut offer;
        *expires_in_s = left(*expires_in_s)?;
        Some(offer)
    }

    /// How far it is with its passkey; `None` while WhatsApp has not asked for one.
    fn passkey(&self) -> Option<&PasskeyStep> {
        match &self.offer {
            Some((PairOffer::Passkey { step, .. }, _)) => Some(step),
            _ => None,
        }
    }

    /// Whether an offer is one of this attempt; one of the method before may still come.
    fn fits(&self, offer: &PairOffer) -> bool {
        match offer {
            // Once WhatsApp has asked for a passkey, the phone takes no other.
            PairOffer::Qr { .. } | PairOffer::Code { .. } if self.passkey().is_some() => false,
            PairOffer::Qr { .. } => self.method == PairMethod::Qr,
            PairOffer::Code { .. } => matches!(self.method, PairMethod::Code(_)),
            PairOffer::Passkey { .. } => true,
        }
    }

    fn answer(&mut self, offer: impl Fn() -> Result<PairOffer>) {
        self.waiters.drain(..).for_each(|waiter| answer(waiter, offer()));
    }
}

fn offer_by(now: Timestamp) -> Timestamp {
    now.saturating_add(OFFER_WAIT).unwrap_or(Timestamp::MAX)
}

impl DeviceTask {
    /// Whether it is not known yet if the device is linked.
    pub(super) fn is_link_unknown(&self) -> bool {
        let is_unread = self.connection.status().is_none() && self.connection.account().is_some();
        is_unread || self.pairing.is_link_unread
    }

    /// It is known whether the device is linked, or that it ends: does what was asked for before.
    pub(super) fn pair_as_asked(&mut self) {
        for (method, reply) in std::mem::take(&mut self.pairing.early) {
            self.pair(method, reply);
        }
    }

    /// Begins to pair the device, or shows what is on offer.
    pub(super) fn pair(&mut self, method: PairMethod, reply: Reply<PairOffer>) {
        let refusal = match self.ending {
            Some(_) => Some("the device is being stopped"),
            None => self.connection.is_paired().then_some("the device is already linked"),
        };
        if let Some(why) = refusal {
            answer(reply, Err(Error::Conflict(why)));
            return;
        }
        if self.is_link_unknown() {
            // Some clients ask again and again: a new attempt would erase what the phone has just linked.
            return self.pairing.add_early(method, reply);
        }
        let now = self.now();
        let Err(reply) = self.pairing.join(&method, reply, now) else { return };
        if self.pairing.begin(method, reply, now) {
            self.start_pairing(true);
        } else {
            let change = self.connection.next_change(DeviceStatus::Pairing, None, None);
            self.connection.set_status(DeviceStatus::Pairing, None);
            self.records.push(Write::StartPairing(change));
        }
    }

    /// Asks the messenger to pair, once the state `pairing` is durable.
    pub(super) fn start_pairing(&mut self, is_restart: bool) {
        let Some((n, method)) = self.pairing.ask() else { return };
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        messenger.configure(device, self.connection.client_settings());
        self.begin(async move {
            if is_restart {
                messenger.disconnect(device).await;
            }
            Done::PairAsked(n, messenger.pair(device, method).await)
        });
    }

    /// The messenger was asked to pair the device, for the n-th time.
    pub(super) fn pair_asked(&mut self, n: u64, result: Result<()>) {
        if let (true, Err(error)) = (self.pairing.was_asked(n), result) {
            self.fail_pairing(&error.to_string());
        }
    }

    pub(super) fn offered(&mut self, offer: PairOffer) {
        let now = self.now();
        if self.pairing.offered(&offer, now) {
            self.show_offer(offer);
        }
    }

    /// Shows a new offer; what a passkey wants is seen by the device's state, too.
    pub(super) fn show_offer(&mut self, offer: PairOffer) {
        if let PairOffer::Passkey { step, .. } = &offer {
            self.change(DeviceStatus::Pairing, Some(step.describe().to_owned()), None);
        }
        self.context.device_watchers().notify(self.id, DeviceNotice::Offer(offer));
    }

    /// The messenger reports that pairing has failed.
    pub(super) fn pairing_failed(&mut self, reason: &str) {
        if self.pairing.can_fail() {
            self.fail_pairing(reason);
        }
    }

    /// Ends an attempt for which no offer has come in time.
    pub(super) fn check_offer(&mut self, now: Timestamp) {
        if self.pairing.deadline().is_some_and(|deadline| deadline <= now) {
            self.fail_pairing("WhatsApp made no offer in time");
            let (messenger, device) = (self.context.messenger().clone(), self.id);
            self.begin(async move {
                messenger.disconnect(device).await;
                Done::Nothing
            });
        }
    }

    /// Ends the attempt that runs, if one does.
    pub(super) fn fail_pairing(&mut self, reason: &str) {
        if self.pairing.end(|| Err(Error::Whatsapp(reason.to_owned()))) {
            let status = self.connection.unpaired_status();
            self.change(status, Some(reason.to_owned()), None);
        }
    }

    /// The state `pairing` could not be written: nothing was begun.
    pub(super) fn pairing_not_begun(&mut self, error: &StoreError) {
        if self.pairing.end(|| Err(same(error).into())) {
            self.connection.pairing_not_begun();
        }
    }

    /// The phone has paired the device.
    pub(super) fn paired(&mut self, linked: LinkedNumber) {
        if self.pairing.end(|| Err(Error::Conflict("the device has just been paired"))) {
            self.link(linked);
        }
    }

    /// The gateway has ended while the device was being paired. The phone may have paired it all the same: the
    /// session is stored before WhatsApp hears that the device has taken it, and its row after.
    pub(super) fn read_link(&mut self) {
        self.pairing.is_link_unread = true;
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        self.begin(async move {
            loop {
                match messenger.linked(device).await {
                    Ok(linked) => return Done::LinkRead(linked),
                    Err(error) => {
                        tracing::warn!(%error, "cannot read yet whether the device is linked");
                        pause(STORE_PAUSE).await;
                    }
                }
            }
        });
    }

    /// Goes on with what the session says.
    pub(super) fn link_read(&mut self, linked: Option<LinkedNumber>) {
        self.pairing.is_link_unread = false;
        let is_pairing = self.connection.status() == Some(DeviceStatus::Pairing);
        match linked {
            _ if !is_pairing || self.ending.is_some() => {}
            Some(linked) => {
                self.link(linked);
                self.ask_to_connect(Duration::ZERO);
            }
            None => {
                let status = self.connection.unpaired_status();
                self.change(status, Some("the gateway was restarted while linking".into()), None);
            }
        }
        self.pair_as_asked();
    }

    fn link(&mut self, linked: LinkedNumber) {
        if self.connection.phone().is_some_and(|before| *before != linked.phone) {
            self.take_arrivals();
            let now = self.now();
            self.outbox.queue_mut().withdraw_all(now);
            // The restriction was the other number's.
            self.outbox.queue_mut().restrict(None, now);
        }
        self.change(DeviceStatus::Connecting, None, Some(linked));
    }
}
