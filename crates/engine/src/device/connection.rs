//! What happens to the device itself: linking, connecting, losing the connection, unlinking.
//!
//! Invariants:
//! - A change of state is durable before anybody is told of it.
//! - Only a linked device connects, sends or loses its connection: events that come late, from
//!   before an unlinking, change nothing.
//! - Messages outlive a logout. Linking another number than before takes them back.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use domain::device::{
    DeviceNotice, DeviceStatus, DisconnectReason, LinkedNumber, PairMethod, PairOffer, Reconnect,
    StatusChange,
};
use domain::error::{Error, Result, StoreError};
use domain::ids::WhatsappId;
use domain::message::Receipt;
use domain::ports::{MessengerEvent, MovedDevice, StoreResult};

use crate::device::journal::Write;
use crate::device::sending::same;
use crate::device::{Configured, DeviceTask, Done, Ending};
use crate::reply::Reply;
use crate::timing::within;

/// How long WhatsApp may take to offer a QR or a code.
pub(crate) const OFFER_WAIT: SignedDuration = SignedDuration::from_secs(30);
/// How long unlinking may take.
pub(crate) const UNLINK_WAIT: Duration = Duration::from_secs(15);

/// The code of a logout, in the numbering of the field's libraries.
const LOGGED_OUT_CODE: u16 = 401;

/// A linking that runs.
pub(crate) struct Pairing {
    method: PairMethod,
    /// Whether the messenger still ends an earlier linking, whose failure is none of this one.
    is_restarting: bool,
    offer: Option<(PairOffer, Timestamp)>,
    waiters: Vec<Reply<PairOffer>>,
    /// Until when the waiters wait.
    offer_by: Timestamp,
}

impl Pairing {
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        (!self.waiters.is_empty()).then_some(self.offer_by)
    }

    /// What is on offer at `now`, with the seconds that are left.
    fn current(&self, now: Timestamp) -> Option<PairOffer> {
        let (offer, since) = self.offer.as_ref()?;
        let age_s = u64::try_from(now.duration_since(*since).as_secs()).unwrap_or(0);
        let left = |s: u64| s.checked_sub(age_s).filter(|left| *left > 0);
        match offer {
            PairOffer::Qr { code, expires_in_s } => left(*expires_in_s)
                .map(|expires_in_s| PairOffer::Qr { code: code.clone(), expires_in_s }),
            PairOffer::Code { code, expires_in_s } => left(*expires_in_s)
                .map(|expires_in_s| PairOffer::Code { code: code.clone(), expires_in_s }),
            PairOffer::Passkey { .. } => Some(offer.clone()),
        }
    }

    /// Whether an offer is one of this linking; one of the method before may still come.
    fn fits(&self, offer: &PairOffer) -> bool {
        match offer {
            PairOffer::Qr { .. } => self.method == PairMethod::Qr,
            PairOffer::Code { .. } => matches!(self.method, PairMethod::Code(_)),
            PairOffer::Passkey { .. } => true,
        }
    }

    fn answer(&mut self, answer: impl Fn() -> Result<PairOffer>) {
        for waiter in self.waiters.drain(..) {
            // Whoever asked may have gone.
            let _ = waiter.send(answer());
        }
    }
}

impl DeviceTask {
    /// The messenger reports something.
    pub(crate) fn event(&mut self, event: MessengerEvent) {
        let now = self.now();
        match event {
            MessengerEvent::Offer(offer) => self.offered(offer),
            MessengerEvent::PairingFailed(reason) => {
                if self.pairing.as_ref().is_some_and(|pairing| !pairing.is_restarting) {
                    self.fail_pairing(&reason);
                }
            }
            MessengerEvent::Paired(linked) => self.paired(linked),
            MessengerEvent::Connected => self.connected(),
            MessengerEvent::Disconnected(reason) => self.disconnected(reason),
            MessengerEvent::LoggedOut(reason) => self.logged_out(reason),
            MessengerEvent::Acknowledged(id) => {
                self.take_arrivals();
                self.queue.acknowledged(&id, now);
            }
            MessengerEvent::Refused(id, code) => self.queue.refused(&id, code, now),
            // It comes as an input of its own.
            MessengerEvent::Receipt(..) => {}
        }
    }

    /// A recipient's phone reported messages; whoever reports it waits until that is durable.
    pub(crate) fn receipt(
        &mut self,
        ids: Vec<WhatsappId>,
        receipt: Receipt,
        at: Timestamp,
        reply: oneshot::Sender<StoreResult<()>>,
    ) {
        let now = self.now();
        self.take_arrivals();
        for id in ids {
            if !self.queue.receipt(&id, receipt, at, now) {
                self.journal.push(Write::Receipt(id, receipt, at));
            }
        }
        self.reporters.push(reply);
    }

    /// The device's row and settings were read.
    pub(crate) fn configured(&mut self, configured: Option<Box<Configured>>) {
        let Some(configured) = configured else {
            self.gone();
            return;
        };
        let Configured { device, settings, contacts, first_contacts_today } = *configured;
        let now = self.now();
        self.queue.configure(settings, now);
        self.queue.learn_contacts(&contacts, first_contacts_today, now);
        self.is_configured = true;
        let is_first = self.status.is_none();
        if is_first {
            self.set_status(device.status, device.reason.clone());
            self.device = Some(device);
            self.resume();
        } else {
            self.device = Some(device);
        }
    }

    /// The task has just begun: the device goes on where it was.
    fn resume(&mut self) {
        match self.status {
            Some(DeviceStatus::Pairing) => {
                let status = self.unlinked_status();
                self.change(status, Some("the gateway was restarted while linking".into()), None);
            }
            Some(status) if status.is_paired() => {
                if status != DeviceStatus::Connecting {
                    self.change(DeviceStatus::Connecting, None, None);
                }
                self.ask_to_connect();
            }
            _ => {}
        }
    }

    /// Waits for a turn to connect.
    pub(crate) fn ask_to_connect(&self) {
        let turns = self.shared.connects.clone();
        self.begin(async move {
            match turns.acquire_owned().await {
                Ok(turn) => Done::ConnectTurn(turn),
                Err(_) => Done::Nothing,
            }
        });
    }

    /// It is this device's turn; false when it does not want to any more.
    pub(crate) fn connect(&self) -> bool {
        if self.status != Some(DeviceStatus::Connecting) || self.ending.is_some() {
            return false;
        }
        let (messenger, device) = (self.shared.messenger.clone(), self.id);
        self.begin(async move { Done::ConnectAsked(messenger.connect(device).await) });
        true
    }

    fn connected(&mut self) {
        if !self.is_paired() {
            tracing::debug!(device = %self.id, "connected though not linked; passed over");
            return;
        }
        self.connect_turn = None;
        let now = self.now();
        self.queue.connected(now);
        if self.status != Some(DeviceStatus::Connected) {
            self.change(DeviceStatus::Connected, None, None);
        }
        if !self.is_configured {
            self.configure(false, Vec::new());
        }
    }

    fn disconnected(&mut self, reason: DisconnectReason) {
        let now = self.now();
        self.queue.disconnected(now);
        if !self.is_paired() {
            return;
        }
        self.connect_turn = None;
        let status = match reason {
            DisconnectReason::RestartRequired => DeviceStatus::Connecting,
            _ => DeviceStatus::Disconnected,
        };
        let change = StatusChange {
            reason: Some(reason.describe()),
            code: Some(reason.code()),
            should_reconnect: reason.reconnect() != Reconnect::Never,
            ..StatusChange::new(status, now)
        };
        if (self.status, &self.reason) != (Some(status), &change.reason) {
            self.record_change(change);
        }
    }

    fn logged_out(&mut self, reason: String) {
        if self.pairing.is_some() {
            self.fail_pairing(&reason);
            return;
        }
        let now = self.now();
        self.queue.disconnected(now);
        self.connect_turn = None;
        if self.is_paired() {
            self.change(DeviceStatus::LoggedOut, Some(reason), None);
        }
    }

    /// Begins to link the device, or shows what is on offer.
    pub(crate) fn pair(&mut self, method: PairMethod, reply: Reply<PairOffer>) {
        let refusal = match self.ending {
            Some(_) => Some("the device is being stopped"),
            None => self.is_paired().then_some("the device is already linked"),
        };
        if let Some(why) = refusal {
            // Whoever asked may have gone.
            let _ = reply.send(Err(Error::Conflict(why)));
            return;
        }
        let now = self.now();
        let offer_by = now.saturating_add(OFFER_WAIT).unwrap_or(Timestamp::MAX);
        if let Some(pairing) = self.pairing.as_mut().filter(|pairing| pairing.method == method) {
            if pairing.waiters.is_empty() {
                pairing.offer_by = offer_by;
            }
            pairing.waiters.push(reply);
            if let Some(offer) = pairing.current(now) {
                pairing.answer(|| Ok(offer.clone()));
            }
            return;
        }
        let other = self.pairing.take();
        let is_restarting = other.is_some();
        let pairing =
            Pairing { method, is_restarting, offer: None, waiters: vec![reply], offer_by };
        self.pairing = Some(pairing);
        match other {
            Some(mut other) => {
                other.answer(|| Err(Error::Conflict("another way of linking was asked for")));
                self.start_pairing(true);
            }
            None => {
                let change = self.next_change(DeviceStatus::Pairing, None, None);
                self.set_status(DeviceStatus::Pairing, None);
                self.journal.push(Write::StartPairing(change));
            }
        }
    }

    fn start_pairing(&mut self, is_restart: bool) {
        let Some(method) = self.pairing.as_ref().map(|pairing| pairing.method.clone()) else {
            return;
        };
        self.pairings += 1;
        let (messenger, device, n) = (self.shared.messenger.clone(), self.id, self.pairings);
        self.begin(async move {
            if is_restart {
                messenger.disconnect(device).await;
            }
            Done::PairAsked(n, messenger.pair(device, method).await)
        });
    }

    /// The messenger was asked to link the device, for the n-th time.
    pub(crate) fn pair_asked(&mut self, n: u64, result: Result<()>) {
        if n != self.pairings {
            return;
        }
        if let Some(pairing) = &mut self.pairing {
            pairing.is_restarting = false;
        }
        if let Err(error) = result {
            self.fail_pairing(&error.to_string());
        }
    }

    fn offered(&mut self, offer: PairOffer) {
        let now = self.now();
        let Some(pairing) = self.pairing.as_mut().filter(|pairing| pairing.fits(&offer)) else {
            return;
        };
        pairing.offer = Some((offer.clone(), now));
        pairing.answer(|| Ok(offer.clone()));
        self.shared.watchers.notify(self.id, DeviceNotice::Offer(offer));
    }

    /// Ends a linking for which no offer has come in time.
    pub(crate) fn check_offer(&mut self, now: Timestamp) {
        let deadline = self.pairing.as_ref().and_then(Pairing::deadline);
        if deadline.is_some_and(|deadline| deadline <= now) {
            self.fail_pairing("WhatsApp made no offer in time");
            let (messenger, device) = (self.shared.messenger.clone(), self.id);
            self.begin(async move {
                messenger.disconnect(device).await;
                Done::Nothing
            });
        }
    }

    pub(crate) fn fail_pairing(&mut self, reason: &str) {
        let Some(mut pairing) = self.pairing.take() else { return };
        pairing.answer(|| Err(Error::Whatsapp(reason.to_owned())));
        let status = self.unlinked_status();
        self.change(status, Some(reason.to_owned()), None);
    }

    /// The state `pairing` could not be written: nothing was begun.
    pub(crate) fn pairing_not_begun(&mut self, error: &StoreError) {
        let Some(mut pairing) = self.pairing.take() else { return };
        pairing.answer(|| Err(same(error).into()));
        let (status, reason) = (self.unlinked_status(), self.reason.clone());
        self.set_status(status, reason);
    }

    fn paired(&mut self, linked: LinkedNumber) {
        let Some(mut pairing) = self.pairing.take() else { return };
        pairing.answer(|| Err(Error::Conflict("the device has just been linked")));
        let before = self.device.as_ref().and_then(|device| device.phone.as_ref());
        if before.is_some_and(|before| *before != linked.phone) {
            self.take_arrivals();
            let now = self.now();
            self.queue.take_back_all(now);
        }
        self.change(DeviceStatus::Connecting, None, Some(linked));
    }

    /// Unlinks the device.
    pub(crate) fn logout(&mut self, reply: Reply<()>) {
        self.fail_pairing("the device was logged out");
        let now = self.now();
        self.queue.disconnected(now);
        self.connect_turn = None;
        let (messenger, device) = (self.shared.messenger.clone(), self.id);
        self.begin(async move {
            let result = within(UNLINK_WAIT, messenger.logout(device)).await;
            let late = || Err(Error::Whatsapp("unlinking took too long".into()));
            Done::Unlinked(result.unwrap_or_else(late), reply)
        });
    }

    /// The device was unlinked, or was not.
    pub(crate) fn unlinked(&mut self, result: Result<()>, reply: Reply<()>) {
        if let Err(error) = result {
            if self.status == Some(DeviceStatus::Connected) {
                let now = self.now();
                self.queue.connected(now);
            }
            // Whoever asked may have gone.
            let _ = reply.send(Err(error));
            return;
        }
        if self.is_paired() {
            self.change(DeviceStatus::LoggedOut, Some("logged out by request".into()), None);
        }
        self.journal.push(Write::Done(reply));
    }

    /// The store has no such device any more.
    fn gone(&mut self) {
        if let Some(mut pairing) = self.pairing.take() {
            pairing.answer(|| Err(Error::NotFound("device")));
        }
        self.ending = Some(Ending::Removed);
    }

    /// A change of state is durable.
    pub(crate) fn status_written(
        &mut self,
        change: StatusChange,
        moved: Option<&MovedDevice>,
        is_pairing: bool,
    ) {
        let Some(MovedDevice { device, events }) = moved else {
            self.gone();
            return;
        };
        self.shared.tell(events);
        self.account = Some(device.account_id);
        self.device = Some(device.clone());
        self.shared.watchers.notify(self.id, DeviceNotice::Status(change));
        if is_pairing {
            self.start_pairing(false);
        }
    }

    /// The state of a device that is not linked: never, or not any more.
    fn unlinked_status(&self) -> DeviceStatus {
        match self.device.as_ref().and_then(|device| device.paired_at) {
            Some(_) => DeviceStatus::LoggedOut,
            None => DeviceStatus::Unpaired,
        }
    }

    pub(crate) fn change(
        &mut self,
        status: DeviceStatus,
        reason: Option<String>,
        linked: Option<LinkedNumber>,
    ) {
        let change = self.next_change(status, reason, linked);
        self.record_change(change);
    }

    fn record_change(&mut self, change: StatusChange) {
        let (status, reason) = (change.status, change.reason.clone());
        tracing::info!(device = %self.id, status = status.as_str(), reason, "device");
        self.set_status(status, reason);
        self.journal.push(Write::Status(change));
    }

    fn next_change(
        &self,
        status: DeviceStatus,
        reason: Option<String>,
        linked: Option<LinkedNumber>,
    ) -> StatusChange {
        let code = (status == DeviceStatus::LoggedOut).then_some(LOGGED_OUT_CODE);
        StatusChange { reason, code, linked, ..StatusChange::new(status, self.now()) }
    }

    fn set_status(&mut self, status: DeviceStatus, reason: Option<String>) {
        self.shared.stats.device_moves(self.status, Some(status));
        self.status = Some(status);
        self.reason = reason;
    }
}
