//! The loop of one device: from what happens to what is to be done.

use std::time::Duration;

use domain::chat::ChatId;
use jiff::Timestamp;
use tokio::time::Instant;

use super::inbox::{Incoming, Input};
use super::jobs::Done;
use super::{DeviceTask, Ending, Exit, Stop};
use crate::reply::answer;
use crate::timing::{SLEEP_MAX, until, within};

/// How long a stop waits for acknowledgements.
const ACKS_WAIT: Duration = Duration::from_secs(10);
/// How long a stop waits, after that, for the store.
const WRITES_WAIT: Duration = Duration::from_secs(5);
/// How long closing a connection may take.
pub(crate) const CLOSE_WAIT: Duration = Duration::from_secs(5);

impl DeviceTask {
    /// Runs until the device is erased, the gateway stops, or there is nothing left to do.
    pub(crate) async fn run(&mut self) -> Exit {
        let mut stop = self.stop.clone();
        let mut stop_at = None;
        loop {
            match *stop.borrow_and_update() {
                Stop::Gently if stop_at.is_none() => {
                    stop_at = Some(Instant::now());
                    self.ending = Some(Ending::Shutdown);
                }
                Stop::AtOnce => return Exit::Lost,
                Stop::No | Stop::Gently => {}
            }
            let wake_at = self.advance();
            let wake_at = stop_at.map_or(wake_at, |since| wake_at.min(next_stop_check(since)));
            if let Some(exit) = self.exit(stop_at) {
                return exit;
            }
            let takes_inputs = self.records.has_room();
            let can_send = self.connection.is_connected();
            tokio::select! {
                Some(done) = self.jobs.next() => self.finished(done),
                incoming = self.inbox.next(takes_inputs, can_send) => match incoming {
                    Incoming::Input(input) => self.take(input),
                    // What was accepted with it comes meanwhile: one look for all of it.
                    Incoming::Arrivals => tokio::task::yield_now().await,
                    Incoming::Closed => return Exit::Shutdown,
                },
                Ok(()) = stop.changed() => {}
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
    }

    /// Does everything that is due; when to look again at the latest.
    fn advance(&mut self) -> Instant {
        self.take_arrivals();
        let now = self.now();
        self.check_offer(now);
        let mut next_step = self.step(now);
        let (next_wait, has_withdrawn) = self.check_waits(now);
        if has_withdrawn {
            next_step = self.step(now);
        }
        let next_ask = self.check_restriction(now);
        self.outbox.tidy_up();
        self.records.flush_reporters();
        self.write();
        let clock = Instant::now();
        self.connection.end_overdue_turn(clock);
        let wake = [next_step, next_wait, self.pairing.deadline()].into_iter().flatten().min();
        let wake_at = clock + wake.map_or(SLEEP_MAX, |wake| until(now, wake));
        let others = [self.connection.turn_ends(), next_ask];
        others.into_iter().flatten().fold(wake_at, Instant::min)
    }

    /// Does what the queue wants; when it wants to be asked again.
    fn step(&mut self, now: Timestamp) -> Option<Timestamp> {
        let is_held = self.ending.is_some() || !self.records.has_room();
        let step = self.outbox.step(is_held, now);
        for action in step.actions {
            self.perform(action);
        }
        step.next_wake
    }

    /// Why the task has nothing left to do, or no time left to do it; `None` while it has.
    fn exit(&self, stop_at: Option<Instant>) -> Option<Exit> {
        match (self.ending, stop_at) {
            (Some(Ending::Shutdown), Some(since)) => {
                let acks_due =
                    since.elapsed() < ACKS_WAIT && self.outbox.queue().unacknowledged() > 0;
                let writes_due =
                    since.elapsed() < ACKS_WAIT + WRITES_WAIT && !self.records.is_empty();
                (!acks_due && !writes_due).then_some(Exit::Shutdown)
            }
            (Some(Ending::Lost), _) => Some(Exit::Lost),
            (Some(_), _) => self.records.is_empty().then_some(Exit::Removed),
            (None, _) => (self.is_idle() && self.inbox.is_undisturbed()).then_some(Exit::Idle),
        }
    }

    fn is_idle(&self) -> bool {
        !self.connection.is_paired()
            && !self.pairing.is_running()
            && self.outbox.queue().is_empty()
            && self.records.is_empty()
            && self.jobs.is_empty()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.event(event),
            Input::Receipt(ids, receipt, at, reply) => self.receipt(ids, receipt, at, reply),
            Input::Cancel(id, reply) => self.cancel(id, reply),
            Input::Wait(id, until, reply) => self.waits.add(id, until, reply),
            Input::Pair(method, reply) => self.pair(method, reply),
            Input::Offer(reply) => self.current_offer(reply),
            Input::Passkey(assertion, reply) => self.give_passkey(assertion, reply),
            Input::ConfirmPasskey(reply) => self.confirm_passkey(reply),
            Input::Connect(reply) => self.reconnect(reply),
            Input::Logout(reply) => self.logout(reply),
            Input::Remove(account, reply) => self.remove(account, reply),
            Input::Reload(reply) => self.configure(false, vec![reply]),
            Input::Waiting(ids, reply) => {
                answer(reply, Ok(self.outbox.waiting(ids, self.now())));
            }
            Input::Identified(identities) => self.identified(&identities),
            Input::Spelled(spelling) => {
                let [from, to] = [spelling.spelling, spelling.phone].map(ChatId::Person);
                let now = self.now();
                self.outbox.queue_mut().merge(from, to, now);
            }
            Input::ChatsKnown(chats) => {
                let now = self.now();
                self.outbox.queue_mut().know(&chats, now);
            }
        }
    }

    fn finished(&mut self, done: Done) {
        match done {
            Done::Loaded(id, body) => self.loaded(id, body),
            Done::FilePrepared(id, file) => self.file_prepared(id, file),
            Done::Sent(id, result) => self.sent(id, result),
            Done::Written(result) => self.written(result),
            Done::Configured(loaded, replies) => {
                self.configured(loaded);
                replies.into_iter().for_each(|reply| answer(reply, Ok(())));
            }
            Done::BanWaited => self.wait_for_ban(),
            Done::ConnectTurn(turn) => self.connect(turn),
            Done::ConnectAsked(result) => self.connect_asked(result),
            Done::LinkRead(linked) => self.link_read(linked),
            Done::RestrictionAsked(answer) => self.restriction_asked(answer),
            Done::PairAsked(n, result) => self.pair_asked(n, result),
            Done::PasskeyGiven(result, reply) => self.passkey_given(result, reply),
            Done::PasskeyConfirmed(result, reply) => answer(reply, result),
            Done::Unpaired(result, reply) => self.unpaired(result, reply),
            Done::Stopped(account, reply) => self.stopped(account, reply),
            Done::Nothing => {}
        }
    }

    /// Takes nothing any more and closes the connection, when the gateway stops or another node has the
    /// device.
    pub(crate) async fn close(mut self, exit: Exit) {
        self.inbox.close();
        if matches!(exit, Exit::Idle | Exit::Removed) {
            self.context.device_watchers().close(self.id);
            return;
        }
        if exit == Exit::Lost {
            // They watch at the other node when they connect again.
            self.context.device_watchers().close(self.id);
        }
        let unacknowledged = self.outbox.queue().unacknowledged();
        if unacknowledged > 0 || !self.records.is_empty() {
            tracing::warn!(
                unacknowledged,
                "stopped with open outcomes; those messages are sent again, with the same ids",
            );
        }
        // The messenger may be reporting something meanwhile: nothing takes it any more.
        within(CLOSE_WAIT, self.context.messenger().disconnect(self.id)).await;
    }
}

/// When a stop that began at `since` has to be looked at again.
fn next_stop_check(since: Instant) -> Instant {
    let no_more_acks = since + ACKS_WAIT;
    if no_more_acks > Instant::now() { no_more_acks } else { no_more_acks + WRITES_WAIT }
}
