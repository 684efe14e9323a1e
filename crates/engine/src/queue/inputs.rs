//! What happens to a device's queue from outside.

use jiff::Timestamp;

use domain::chat::ChatId;
use domain::ids::{MessageId, WhatsappId};
use domain::message::{Failure, MessageEvent, Receipt};
use domain::ports::{OutboxEntry, Progress, SendError};

use super::backlog::WhatsappKey;
use super::flight::Stage;
use super::verdict::{self, Verdict};
use super::{ACK_WAIT, Action, DeviceQueue, Flight, NOT_CONNECTED_PAUSE, Settings, Withdrawn};

impl DeviceQueue {
    /// A message is durable and waits. One that is known already changes nothing.
    pub fn accepted(&mut self, message: OutboxEntry, now: Timestamp) {
        if self.backlog.get(message.id).is_some() {
            return;
        }
        let (id, entry) = self.entry_of(message, now);
        self.by_whatsapp.insert(entry.whatsapp, id);
        self.expiries.insert((entry.expires_at, id));
        self.backlog.insert(id, entry, now);
    }

    /// The settings have changed. A pause that was drawn from other pacing is over.
    pub fn configure(&mut self, settings: Settings, now: Timestamp) {
        self.budget.roll(now, &self.settings);
        self.budget.adjust(now, &settings, 0);
        if settings.pacing != self.settings.pacing {
            self.rest_until = now;
        }
        self.settings = settings;
    }

    /// Which chats the device has written to, and how many of them first today.
    pub fn learn_contacts(&mut self, chats: &[ChatId], first_today: u32, now: Timestamp) {
        self.budget.adjust(now, &self.settings, first_today);
        self.backlog.add_contacts(chats, now);
    }

    /// Until when WhatsApp takes no first contacts; `None` when it does. Those that wait are held.
    pub fn restrict(&mut self, until: Option<Timestamp>, now: Timestamp) {
        let until = until.filter(|until| *until > now);
        if self.budget.lock(until) && until.is_some() {
            // Where there is no limit, it was not known who is none.
            self.actions.push(Action::LoadContacts);
        }
    }

    /// The number has these chats from before it was linked.
    pub fn know(&mut self, chats: &[ChatId], now: Timestamp) {
        self.backlog.add_contacts(chats, now);
    }

    /// These two names are one person's.
    pub fn identify(&mut self, one: &ChatId, other: &ChatId, now: Timestamp) {
        self.backlog.identify(one, other, now);
    }

    /// Both are one chat, known by the second name from now on.
    pub fn merge(&mut self, from: ChatId, into: ChatId, now: Timestamp) {
        self.backlog.merge(from, into, now);
    }

    /// Holds back, or no longer holds back, everything that is not submitted yet.
    pub fn hold(&mut self, is_held: bool, now: Timestamp) {
        if is_held && !self.is_held {
            self.ground(now);
        }
        self.is_held = is_held;
    }

    /// Begins no attempt before `until`, because none can succeed.
    pub fn pause(&mut self, until: Timestamp) {
        self.pause_until = self.pause_until.max(until);
    }

    /// The device can send. When it could already, this is another connection: the one before went
    /// without notice.
    pub fn connected(&mut self, now: Timestamp) {
        if self.is_connected {
            self.disconnected(now);
        }
        self.is_connected = true;
        self.pause_until = now;
    }

    /// The device cannot send any more.
    ///
    /// What was submitted and not acknowledged goes first when it can again.
    pub fn disconnected(&mut self, now: Timestamp) {
        self.is_connected = false;
        self.ground(now);
        for id in self.flights.ids() {
            match self.flights.get_mut(id) {
                Some(flight) if flight.stage == Stage::Submitting => flight.lost_connection = true,
                Some(flight) if matches!(flight.stage, Stage::Unacknowledged { .. }) => {
                    self.cut_off(id);
                }
                _ => {}
            }
        }
        self.busy_with = None;
    }

    /// Puts back into its line what is not submitted yet.
    fn ground(&mut self, now: Timestamp) {
        for id in self.flights.ids() {
            let Some(flight) = self.flights.get(id) else { continue };
            match flight.stage {
                Stage::Loading | Stage::Typing { .. } => self.put_back(id, now),
                // Fetching does not need the device.
                Stage::Fetching | Stage::Ready { .. } => {}
                Stage::Submitting | Stage::Unacknowledged { .. } | Stage::CutOff => {}
            }
        }
    }

    /// The attempt did not take place.
    pub(super) fn put_back(&mut self, id: MessageId, now: Timestamp) {
        if self.flights.get(id).is_some_and(Flight::may_have_arrived) {
            self.cut_off(id);
            return;
        }
        let Some(flight) = self.flights.end(id) else { return };
        if self.busy_with == Some(id) {
            self.busy_with = None;
        }
        if matches!(flight.stage, Stage::Typing { .. }) {
            self.actions.push(Action::HideTyping(id));
        }
        if flight.is_first_contact {
            self.budget.give_back();
        }
        self.expect_expiry(id);
        self.backlog.put_back(id, flight.is_first_contact, now);
    }

    fn cut_off(&mut self, id: MessageId) {
        if let Some(flight) = self.flights.get_mut(id) {
            flight.stage = Stage::CutOff;
            flight.cut_off_at = flight.submitted_at;
            flight.lost_connection = false;
            flight.has_file_slot = false;
        }
        if self.busy_with == Some(id) {
            self.busy_with = None;
        }
        self.expect_expiry(id);
    }

    fn expect_expiry(&mut self, id: MessageId) {
        if let Some(entry) = self.backlog.get(id) {
            self.expiries.insert((entry.expires_at, id));
        }
    }

    /// The body of a message has been fetched: whether typing is shown, and its text.
    /// False when the message is not wanted any more.
    pub fn loaded(
        &mut self,
        id: MessageId,
        typing: bool,
        text: &str,
        now: Timestamp,
        mut random: impl FnMut() -> u64,
    ) -> bool {
        let Some(flight) = self.flights.get(id) else { return false };
        let Some(entry) = self.backlog.get(id) else { return false };
        if flight.stage != Stage::Loading || entry.expires_at <= now {
            return false;
        }
        let is_repeat = flight.may_have_arrived();
        if typing && self.settings.pacing.typing && !is_repeat {
            let time = self.settings.pacing.typing_time(text);
            let until = now.saturating_add(time).unwrap_or(Timestamp::MAX);
            if let Some(flight) = self.flights.get_mut(id) {
                flight.stage = Stage::Typing { until };
                self.actions.push(Action::ShowTyping(id));
            }
        } else {
            self.submit(id, now, &mut random);
        }
        true
    }

    /// The store has no such message waiting: it is dropped and not recorded.
    pub fn vanished(&mut self, id: MessageId, now: Timestamp) {
        self.land(id, now);
        self.forget(id, now);
    }

    /// The body could not be fetched now.
    pub fn load_failed(&mut self, id: MessageId, now: Timestamp) {
        if self.flights.get(id).is_some_and(|flight| flight.stage == Stage::Loading) {
            self.put_back(id, now);
        }
    }

    /// The message is on the wire.
    pub fn submitted(&mut self, id: MessageId, now: Timestamp) {
        let Some(flight) = self.flights.get_mut(id) else { return };
        if flight.stage != Stage::Submitting {
            return;
        }
        let deadline = now.saturating_add(ACK_WAIT).unwrap_or(Timestamp::MAX);
        flight.stage = Stage::Unacknowledged { deadline };
        flight.has_file_slot = false;
        let (gap, is_lost) = (flight.gap, flight.lost_connection);
        self.rest(now, gap);
        if is_lost {
            self.cut_off(id);
        }
        if self.busy_with == Some(id) {
            self.busy_with = None;
        }
    }

    /// The message did not get onto the wire.
    pub fn send_failed(&mut self, id: MessageId, error: SendError, now: Timestamp) {
        if self.flights.get(id).is_none_or(|flight| flight.stage != Stage::Submitting) {
            return;
        }
        match error {
            SendError::NotConnected => {
                self.not_written(id, now);
                if self.is_connected {
                    self.pause(now.saturating_add(NOT_CONNECTED_PAUSE).unwrap_or(now));
                }
            }
            // The next step ends it.
            SendError::Expired => self.not_written(id, now),
            SendError::Temporary(why) => {
                self.attempt_failed(id, verdict::not_submitted(why), now);
            }
            SendError::Permanent(failure) => {
                self.end(id, MessageEvent::Failed, Some(failure), now);
            }
        }
    }

    /// Nothing was written, so that nothing can have arrived.
    fn not_written(&mut self, id: MessageId, now: Timestamp) {
        if let Some(flight) = self.flights.get_mut(id) {
            flight.stage = Stage::Loading;
            flight.submitted_at = flight.cut_off_at;
        }
        self.put_back(id, now);
    }

    /// WhatsApp has the message. Counts whenever it comes. `None` when no such message waits.
    pub fn acknowledged(&mut self, whatsapp_id: &WhatsappId, now: Timestamp) -> Option<MessageId> {
        let id = self.find(whatsapp_id)?;
        self.end(id, MessageEvent::Acknowledged, None, now);
        Some(id)
    }

    /// WhatsApp refused the message, with its code. `None` when no such message waits.
    pub fn refused(
        &mut self,
        whatsapp_id: &WhatsappId,
        code: u16,
        now: Timestamp,
    ) -> Option<MessageId> {
        let id = self.find(whatsapp_id)?;
        let entry = self.backlog.get_mut(id)?;
        entry.refusals = entry.refusals.saturating_add(1);
        let is_group = entry.chat.is_group();
        let refusal = verdict::refusal(code, is_group);
        let verdict = match verdict::judge(code, entry.refusals, is_group) {
            Verdict::NoStrangers if self.budget.is_locked() => Verdict::Hold,
            // Whom the device knows is written to once more: a token may have come meanwhile.
            Verdict::Later if self.is_lock(code) && self.was_first_contact(id) => Verdict::Hold,
            verdict => verdict,
        };
        match verdict {
            Verdict::Hold => self.hold_stranger(id, refusal, now),
            Verdict::Later => {
                // A refusal that comes after its attempt has failed adds nothing.
                if self.flights.get(id).is_some_and(Flight::may_have_arrived) {
                    self.attempt_failed(id, refusal, now);
                }
            }
            Verdict::Never | Verdict::NoStrangers => {
                if verdict == Verdict::NoStrangers && self.budget.close() {
                    self.actions.push(Action::LoadContacts);
                }
                self.end(id, MessageEvent::Failed, Some(refusal), now);
            }
        }
        Some(id)
    }

    fn is_lock(&self, code: u16) -> bool {
        code == verdict::STRANGER_CODE && self.budget.is_locked()
    }

    fn was_first_contact(&self, id: MessageId) -> bool {
        self.flights.get(id).is_some_and(|flight| flight.is_first_contact)
    }

    /// Holds a message back until WhatsApp takes first contacts again.
    fn hold_stranger(&mut self, id: MessageId, failure: Failure, now: Timestamp) {
        if self.flights.get(id).is_none_or(|flight| !flight.may_have_arrived()) {
            return;
        }
        if self.was_first_contact(id) {
            self.budget.give_back();
        }
        self.backlog.forget_contact(id);
        self.backlog.call_stranger(id);
        self.repeat_at(now, id, failure, now);
    }

    /// A recipient's phone reported the message: as good as an acknowledgement while it waits.
    /// `None` when it does not, so that the receipt is for the history.
    pub fn receipt(
        &mut self,
        whatsapp_id: &WhatsappId,
        receipt: Receipt,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<MessageId> {
        let id = self.acknowledged(whatsapp_id, now)?;
        if let Some(Action::Record(progress)) = self.actions.last_mut() {
            progress.steps.push((receipt.event(), at));
        }
        Some(id)
    }

    /// Takes a message out of the queue if it cannot have reached WhatsApp; `None` when it is too late.
    pub fn withdraw(&mut self, id: MessageId, now: Timestamp) -> Option<Withdrawn> {
        if self.flights.get(id).is_some_and(Flight::may_have_arrived) {
            return None;
        }
        if self.flights.get(id).is_some() {
            self.put_back(id, now);
        }
        self.forget(id, now).map(|entry| Withdrawn { id, entry })
    }

    /// Puts back what could not be cancelled after all.
    pub fn restore(&mut self, withdrawn: Withdrawn, now: Timestamp) {
        let Withdrawn { id, entry } = withdrawn;
        self.by_whatsapp.insert(entry.whatsapp, id);
        self.expiries.insert((entry.expires_at, id));
        self.backlog.insert(id, entry, now);
    }

    /// Withdraws everything that waits: the device has another number now.
    pub fn withdraw_all(&mut self, now: Timestamp) {
        for id in self.backlog.ids() {
            self.end(id, MessageEvent::Withdrawn, None, now);
        }
    }

    fn find(&self, whatsapp_id: &WhatsappId) -> Option<MessageId> {
        self.by_whatsapp.get(&WhatsappKey::of(whatsapp_id)).copied()
    }
}

impl Withdrawn {
    /// What to write down about it.
    pub fn progress(&self, now: Timestamp) -> Progress {
        let steps = vec![(MessageEvent::Withdrawn, now)];
        Progress { id: self.id, steps, failure: None, next_attempt_at: None, file: None }
    }

    /// Which message.
    pub fn id(&self) -> MessageId {
        self.id
    }
}
