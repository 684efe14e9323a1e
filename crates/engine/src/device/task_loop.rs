//! The loop of one device: from what happens to what is to be done.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;

use domain::ids::DeviceId;
use domain::ports::StoreResult;

use crate::context::{Input, Phase, Shared};
use crate::device::journal::Write;
use crate::device::{DeviceTask, Done, Ending};
use crate::timing::{SLEEP_MAX, pause, until, within};

/// How long a device may take to connect before the next one's turn comes.
const CONNECT_TURN: Duration = Duration::from_secs(15);
/// The pause after the messenger would not even begin to connect.
const CONNECT_PAUSE: Duration = Duration::from_secs(60);
/// How long a stop waits for acknowledgements.
pub(crate) const ACKS_WAIT: Duration = Duration::from_secs(10);
/// How long a stop waits, after that, for the store.
pub(crate) const WRITES_WAIT: Duration = Duration::from_secs(5);
/// How long closing a connection may take.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

/// The pause after a task has crashed.
pub(crate) const CRASH_PAUSE: Duration = Duration::from_secs(10);

impl Shared {
    pub(crate) fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Runs the task of a device. Where one crashes, as by a fault of the protocol library, the next one
/// goes on with what the store says, as after a crash of the whole process.
pub(crate) async fn drive(task: DeviceTask) {
    let (shared, id) = (task.shared.clone(), task.id);
    if AssertUnwindSafe(task.run()).catch_unwind().await.is_ok() {
        return;
    }
    tracing::error!(device = %id, "the task of a device has crashed; it begins anew");
    let mut stop = shared.stop.subscribe();
    let revive = async {
        loop {
            pause(CRASH_PAUSE).await;
            match revive(&shared, id).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(device = %id, %error, "cannot begin anew yet"),
            }
        }
    };
    tokio::select! {
        () = revive => {}
        _ = stop.wait_for(|is_stopping| *is_stopping) => {}
    }
}

/// Puts a new task into the place of one that has crashed.
async fn revive(shared: &Arc<Shared>, id: DeviceId) -> StoreResult<()> {
    // What it has reported meanwhile is lost: the next connection begins from the start.
    within(CLOSE_WAIT, shared.messenger.disconnect(id)).await;
    let device = shared.store.all_devices().await?.into_iter().find(|device| device.id == id);
    let waiting = shared.store.outbox().await?.into_iter().filter(|entry| entry.device_id == id);
    let mut registry = shared.registry();
    // Accepted since they were read.
    let late = registry.devices.remove(&id).map(|crashed| crashed.arrivals.take());
    if let (Some(device), Phase::Running) = (device, &registry.phase) {
        let task = shared.get_or_spawn(&mut registry, id, Some(device.account_id));
        task.arrivals.add(waiting.chain(late.into_iter().flatten()));
    }
    Ok(())
}

impl DeviceTask {
    /// Runs until the device is removed, the gateway stops, or there is nothing left to do.
    pub(crate) async fn run(mut self) {
        let mut stop = self.shared.stop.subscribe();
        let mut stop_at = None;
        if self.account.is_some() {
            self.configure(false, Vec::new());
        }
        loop {
            let is_stopping = *stop.borrow_and_update();
            if is_stopping && stop_at.is_none() {
                stop_at = Some(Instant::now());
                self.ending = Some(Ending::Shutdown);
            }
            let wake_at = self.advance();
            let wake_at = stop_at.map_or(wake_at, |since| wake_at.min(next_stop_check(since)));
            if self.is_over(stop_at) {
                break;
            }
            tokio::select! {
                Some(done) = self.jobs.next() => self.finished(done),
                input = self.inputs.recv(), if self.journal.has_room() => match input {
                    Some(input) => self.take(input),
                    None => break,
                },
                // What was accepted with it comes meanwhile: one look for all of it.
                () = self.arrivals.came.notified() => tokio::task::yield_now().await,
                Ok(()) = stop.changed() => {}
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
        self.close().await;
    }

    /// Does everything that is due; when to look again at the latest.
    fn advance(&mut self) -> Instant {
        self.take_arrivals();
        let now = self.now();
        self.check_offer(now);
        let is_held = !self.is_configured || self.ending.is_some() || !self.journal.has_room();
        self.queue.hold(is_held, now);
        let shared = self.shared.clone();
        let step = self.queue.step(now, || shared.random());
        let mut next_wake = step.next_wake;
        for action in step.actions {
            self.perform(action);
        }
        let (next_wait, has_taken_back) = self.check_waits(now);
        if has_taken_back {
            let step = self.queue.step(now, || shared.random());
            next_wake = step.next_wake;
            for action in step.actions {
                self.perform(action);
            }
        }
        self.forget_files();
        let reporters = std::mem::take(&mut self.reporters);
        self.journal.extend(reporters.into_iter().map(Write::Told));
        self.count();
        self.write();
        let turn_ends = self.connect_turn.as_ref().map(|(_, until)| *until);
        if turn_ends.is_some_and(|until| until <= Instant::now()) {
            self.connect_turn = None;
        }
        let pairing = self.pairing.as_ref().and_then(crate::device::connection::Pairing::deadline);
        let wake = [next_wake, next_wait, pairing].into_iter().flatten().min();
        let wake_at = Instant::now() + wake.map_or(SLEEP_MAX, |wake| until(now, wake));
        turn_ends.map_or(wake_at, |ends| ends.min(wake_at))
    }

    /// Whether the task has nothing left to do, or no time left to do it.
    fn is_over(&mut self, stop_at: Option<Instant>) -> bool {
        match (self.ending, stop_at) {
            (Some(Ending::Shutdown), Some(since)) => {
                let acks_due = since.elapsed() < ACKS_WAIT && self.queue.unacknowledged() > 0;
                let writes_due =
                    since.elapsed() < ACKS_WAIT + WRITES_WAIT && !self.journal.is_empty();
                !acks_due && !writes_due
            }
            (Some(_), _) => self.journal.is_empty(),
            (None, _) => self.is_idle() && self.retire(),
        }
    }

    fn is_idle(&self) -> bool {
        !self.is_paired()
            && self.pairing.is_none()
            && self.queue.is_empty()
            && self.journal.is_empty()
            && self.jobs.is_empty()
    }

    /// Leaves the registry, unless something has just come.
    fn retire(&mut self) -> bool {
        let mut registry = self.shared.registry();
        // Whoever holds a second sender is about to ask something.
        let is_asked = self.inputs.sender_strong_count() > 1 || !self.inputs.is_empty();
        if !self.arrivals.is_empty() || is_asked {
            return false;
        }
        registry.devices.remove(&self.id);
        true
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Event(event) => self.event(event),
            Input::Receipt(ids, receipt, at, reply) => self.receipt(ids, receipt, at, reply),
            Input::Cancel(id, reply) => self.cancel(id, reply),
            Input::Wait(id, until, reply) => self.waits.add(id, until, reply),
            Input::Pair(method, reply) => self.pair(method, reply),
            Input::Logout(reply) => self.logout(reply),
            Input::Remove(account, reply) => self.remove(account, reply),
            Input::Reload(reply) => self.configure(false, vec![reply]),
        }
    }

    fn finished(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Loaded(id, body) => self.loaded(id, body),
            Done::FileReady(id, file) => self.file_ready(id, file),
            Done::Sent(id, Ok(())) => self.queue.submitted(id, now),
            Done::Sent(id, Err(error)) => {
                self.queue.send_failed(id, error, now);
                self.hide_sending(id);
            }
            Done::Written(result) => self.written(result),
            Done::Configured(configured, replies) => {
                self.configured(configured);
                for reply in replies {
                    // Whoever asked may have gone.
                    let _ = reply.send(Ok(()));
                }
            }
            Done::ConnectTurn(turn) => {
                if self.connect() {
                    self.connect_turn = Some((turn, Instant::now() + CONNECT_TURN));
                }
            }
            Done::ConnectAsked(Ok(())) | Done::Nothing => {}
            Done::ConnectAsked(Err(error)) => self.connect_again_later(&error),
            Done::PairAsked(n, result) => self.pair_asked(n, result),
            Done::Unlinked(result, reply) => self.unlinked(result, reply),
            Done::Stopped(account, reply) => self.stopped(account, reply),
        }
    }

    fn connect_again_later(&mut self, error: &domain::error::Error) {
        tracing::warn!(device = %self.id, %error, "cannot begin to connect; trying again later");
        self.connect_turn = None;
        let turns = self.shared.connects.clone();
        self.begin(async move {
            pause(CONNECT_PAUSE).await;
            turns.acquire_owned().await.map_or(Done::Nothing, Done::ConnectTurn)
        });
    }

    async fn close(mut self) {
        self.inputs.close();
        if self.ending == Some(Ending::Shutdown) {
            let left = self.queue.unacknowledged();
            if left > 0 || !self.journal.is_empty() {
                tracing::warn!(device = %self.id, unacknowledged = left,
                    "stopped with open outcomes; those messages are sent again, with the same ids");
            }
            // The messenger may be telling us something meanwhile: nobody listens any more.
            within(CLOSE_WAIT, self.shared.messenger.disconnect(self.id)).await;
        } else {
            self.shared.watchers.close(self.id);
        }
        let (shared, id): (_, DeviceId) = (self.shared.clone(), self.id);
        if self.ending == Some(Ending::Removed) {
            shared.registry().devices.remove(&id);
        }
    }
}

/// When a stop that began at `since` has to be looked at again.
fn next_stop_check(since: Instant) -> Instant {
    let no_more_acks = since + ACKS_WAIT;
    if no_more_acks > Instant::now() { no_more_acks } else { no_more_acks + WRITES_WAIT }
}
