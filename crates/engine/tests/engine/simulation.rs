//! The queue and the store in memory under seeded disorder: crashes, delays, lost and late
//! acknowledgements, lost connections, cancellations. A failure prints its seed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use domain::account::NewAccount;
use domain::chat::ChatId;
use domain::content::Content;
use domain::context::Context;
use domain::device::NewDevice;
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::key::{KeyKind, Secret};
use domain::message::{Failure, Message, MessageState, NewMessage, Receipt};
use domain::plan::Plan;
use domain::policy::pacing::Pacing;
use domain::policy::queue::QueueLimits;
use domain::policy::quota::Period;
use domain::ports::{
    Acceptance, Accepted, AccountStore, CreatedDevice, DeviceStore, MessageStore, NewKey,
    OutboxEntry, Progress, SendError,
};
use engine::queue::{Action, DeviceQueue, FILE_SLOTS_MAX, IN_FLIGHT_MAX, Settings};
use futures_util::FutureExt;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testkit::memory_store::MemoryStore;

use crate::rig::{START, wa};

const CHATS: u32 = 5;
const MESSAGES: usize = 60;
const ROUNDS: usize = 600;

/// The store in memory never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the store in memory answers at once")
}

/// An answer that is on its way to the queue.
enum Answer {
    Body(MessageId),
    File(MessageId),
    Submitted(MessageId),
    SendFailed(MessageId, SendError),
    Acknowledged(WhatsappId),
    Refused(WhatsappId, u16),
    Receipt(WhatsappId, Receipt),
}

/// What the world knows of a message.
struct Known {
    chat: ChatId,
    is_scheduled: bool,
    expires_at: Timestamp,
    whatsapp_id: WhatsappId,
    has_file: bool,
    first_sent: bool,
    /// It ended once, and a crash may have forgotten that: others went on without it.
    has_ended: bool,
}

struct World {
    seed: u64,
    rng: StdRng,
    now: Timestamp,
    store: MemoryStore,
    account: AccountId,
    device: DeviceId,
    queue: DeviceQueue,
    is_connected: bool,
    /// Answers by when they come.
    answers: BTreeMap<(Timestamp, u64), Answer>,
    count: u64,
    /// What happened and is not durable yet; a crash forgets it.
    journal: VecDeque<Progress>,
    known: BTreeMap<MessageId, Known>,
    ids: HashMap<WhatsappId, MessageId>,
    /// Submitted on this connection and neither answered nor timed out.
    in_the_air: BTreeSet<MessageId>,
    /// Submitted in this life of the process, with an unknown outcome.
    open: BTreeSet<MessageId>,
    /// Whose files are ready.
    ready: BTreeSet<MessageId>,
    /// How calm it is: in the end everything works.
    is_calm: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let store = MemoryStore::new();
        let key = |name: &str| NewKey {
            name: name.into(),
            hash: Secret::from_random(KeyKind::Account, [7; 32]).hash(),
            last_four: "abcd".into(),
        };
        let account = NewAccount {
            name: "Ani".into(),
            email: "ani@example.com".into(),
            plan: "unlimited".into(),
            default_country: "62".into(),
            timezone: "Asia/Jakarta".into(),
        };
        let account = now(store.create_account(account, key("first"), START)).unwrap().unwrap().id;
        let device = DeviceId(uuid::Uuid::from_u128(1));
        let new = NewDevice { id: device, account_id: account, name: "phone".into() };
        let made = now(store.create_device(new, key("token"), None, START)).unwrap();
        assert!(matches!(made, CreatedDevice::Created(_)));
        let queue = DeviceQueue::new(settings(&mut rng), START);
        Self {
            seed,
            rng,
            now: START,
            store,
            account,
            device,
            queue,
            is_connected: false,
            answers: BTreeMap::new(),
            count: 0,
            journal: VecDeque::new(),
            known: BTreeMap::new(),
            ids: HashMap::new(),
            in_the_air: BTreeSet::new(),
            open: BTreeSet::new(),
            ready: BTreeSet::new(),
            is_calm: false,
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        !self.is_calm && self.rng.random_range(0..100) < percent
    }

    fn later(&mut self, max_ms: i64, answer: Answer) {
        let wait = SignedDuration::from_millis(self.rng.random_range(0..=max_ms));
        self.count += 1;
        self.answers.insert((self.now + wait, self.count), answer);
    }

    // ---- what people do -------------------------------------------------------------------------

    fn accept(&mut self) {
        let due_s = if self.chance(15) { self.rng.random_range(1..300) } else { 0 };
        let due_at = self.now + SignedDuration::from_secs(due_s);
        let lives_s = if self.chance(20) { self.rng.random_range(1..200) } else { 86_400 };
        let message = NewMessage {
            device_id: self.device,
            chat: ChatId::from(format!("62812{}@s.whatsapp.net", self.rng.random_range(0..CHATS))),
            content: Content::Text("hello".into()),
            context: Context::default(),
            inline_file: None,
            whatsapp_id: wa(1_000 + self.known.len() as i64),
            typing: true,
            priority: self.rng.random_range(-1..=1),
            due_at,
            is_scheduled: due_s > 0,
            expires_at: due_at + SignedDuration::from_secs(lives_s),
            retry_interval_s: self.chance(50).then_some(5),
        };
        let plan =
            Plan::built_in().into_iter().find(|plan| plan.name == "unlimited").unwrap().into();
        let acceptance = Acceptance {
            account_id: self.account,
            plan,
            period: Period::of(self.now, &TimeZone::get("Asia/Jakarta").unwrap()),
            limits: QueueLimits::default(),
            messages: vec![message],
            idempotency: None,
            now: self.now,
        };
        let Accepted::New(messages) = now(self.store.accept(acceptance)).unwrap() else {
            panic!("seed {}: not accepted", self.seed);
        };
        let message = &messages[0];
        self.ids.insert(message.whatsapp_id.clone(), message.id);
        let known = Known {
            chat: message.chat.clone(),
            is_scheduled: due_s > 0,
            expires_at: message.expires_at.unwrap(),
            whatsapp_id: message.whatsapp_id.clone(),
            has_file: self.rng.random_range(0..5) == 0,
            first_sent: false,
            has_ended: false,
        };
        self.known.insert(message.id, known);
        // A crash may come between the commit and this.
        if self.chance(2) {
            self.crash();
        } else {
            self.queue.accepted(OutboxEntry::from(message), self.now);
        }
    }

    fn cancel(&mut self) {
        // As the task does: what has happened is written down before the next request is taken.
        self.step();
        let ids: Vec<_> = self.known.keys().copied().collect();
        let Some(id) = ids.get(self.rng.random_range(0..ids.len().max(1))) else { return };
        if let Some(withdrawn) = self.queue.withdraw(*id, self.now) {
            assert!(!self.open.contains(id), "seed {}: {id} was submitted", self.seed);
            if self.chance(20) {
                self.queue.restore(withdrawn, self.now);
            } else {
                self.journal.push_back(withdrawn.progress(self.now));
            }
        }
    }

    // ---- what goes wrong ------------------------------------------------------------------------

    fn connect(&mut self, is_connected: bool) {
        if self.is_connected == is_connected {
            return;
        }
        self.is_connected = is_connected;
        self.in_the_air.clear();
        if is_connected {
            self.queue.connected(self.now);
        } else {
            self.queue.disconnected(self.now);
        }
    }

    /// The process dies: only the store, and what is under way outside, remains.
    fn crash(&mut self) {
        self.journal.clear();
        self.answers.retain(|_, answer| {
            matches!(answer, Answer::Acknowledged(_) | Answer::Receipt(..) | Answer::Refused(..))
        });
        self.in_the_air.clear();
        self.open.clear();
        self.ready.clear();
        self.is_connected = false;
        let settings = settings(&mut self.rng);
        self.queue = DeviceQueue::new(settings, self.now);
        for entry in now(self.store.outbox()).unwrap() {
            self.queue.accepted(entry, self.now);
        }
    }

    fn write(&mut self, n: usize) {
        let n = n.min(self.journal.len());
        let batch: Vec<_> = self.journal.drain(..n).collect();
        now(self.store.record(batch)).unwrap();
    }

    // ---- the queue and its surroundings ---------------------------------------------------------

    fn step(&mut self) -> Option<Timestamp> {
        let rng = &mut self.rng;
        let step = self.queue.step(self.now, || rng.random());
        for action in step.actions {
            self.perform(action);
        }
        let queue = &self.queue;
        self.ready.retain(|id| queue.wants_file(*id));
        let files = self.known.keys().filter(|id| queue.wants_file(**id)).count();
        assert!(files <= FILE_SLOTS_MAX, "seed {}: {files} files", self.seed);
        let waits = self.queue.unacknowledged();
        assert!(waits <= IN_FLIGHT_MAX, "seed {}: {waits} in the air", self.seed);
        step.next_wake
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Load(id) => self.later(50, Answer::Body(id)),
            Action::Send(id) => self.send(id),
            Action::Record(progress) => {
                self.in_the_air.remove(&progress.id);
                self.open.remove(&progress.id);
                if let Some(known) = self.known.get_mut(&progress.id) {
                    known.has_ended |= ends(&progress);
                }
                self.journal.push_back(progress);
            }
            Action::LoadContacts => self.queue.learn_contacts(&[], 0, self.now),
            Action::ShowTyping(_) | Action::HideTyping(_) => {}
        }
    }

    fn send(&mut self, id: MessageId) {
        if !self.is_connected || self.chance(5) {
            return self.later(100, Answer::SendFailed(id, SendError::NotConnected));
        }
        if self.chance(5) {
            let error = SendError::Temporary("faulty".into());
            return self.later(100, Answer::SendFailed(id, error));
        }
        if self.chance(2) {
            let error = SendError::Permanent(Failure::new("not_on_whatsapp", "no"));
            return self.later(100, Answer::SendFailed(id, error));
        }
        if self.known[&id].has_file {
            assert!(self.ready.remove(&id), "seed {}: {id} goes without its file", self.seed);
        }
        self.check_wire(id);
        self.in_the_air.insert(id);
        self.open.insert(id);
        self.later(100, Answer::Submitted(id));
        let whatsapp_id = self.known[&id].whatsapp_id.clone();
        if self.chance(15) {
            return;
        }
        if self.chance(8) {
            let code = [400, 429, 463, 500][self.rng.random_range(0..4)];
            return self.later(200, Answer::Refused(whatsapp_id, code));
        }
        let late_ms = if self.chance(10) { 90_000 } else { 200 };
        if self.chance(10) {
            self.later(late_ms, Answer::Receipt(whatsapp_id.clone(), Receipt::Delivered));
        }
        self.later(late_ms, Answer::Acknowledged(whatsapp_id));
    }

    /// What must hold whenever a message goes over the wire.
    fn check_wire(&mut self, id: MessageId) {
        let seed = self.seed;
        let stored = self.stored(id);
        assert!(stored.state.is_waiting(), "seed {seed}: {id} is sent though {:?}", stored.state);
        let ended = self.journal.iter().any(|p| p.id == id && ends(p));
        assert!(!ended, "seed {seed}: {id} is sent though it has ended");
        let known = &self.known[&id];
        assert!(self.now < known.expires_at, "seed {seed}: {id} is sent after its expiry");
        assert_eq!(stored.whatsapp_id, known.whatsapp_id, "seed {seed}: another id");
        let same_chat = |other: &&MessageId| self.known[other].chat == known.chat;
        let others: Vec<_> =
            self.in_the_air.iter().filter(|o| **o != id).filter(same_chat).collect();
        assert!(others.is_empty(), "seed {seed}: {id} and {others:?} are in the air in one chat");
        if !known.first_sent && !known.is_scheduled && !known.has_ended {
            let overtaken = self.known.range(id..).skip(1).find(|(_, later)| {
                later.chat == known.chat && later.first_sent && !later.is_scheduled
            });
            assert!(
                overtaken.is_none(),
                "seed {seed}: {id} is sent after {:?}",
                overtaken.map(|o| o.0)
            );
        }
        if let Some(known) = self.known.get_mut(&id) {
            known.first_sent = true;
        }
    }

    fn stored(&self, id: MessageId) -> Message {
        now(self.store.message(self.account, id)).unwrap().expect("accepted messages stay")
    }

    fn answer(&mut self, answer: Answer) {
        let at = self.now;
        match answer {
            Answer::Body(id) if self.chance(5) => {
                self.queue.load_failed(id, at);
                self.queue.pause(at + SignedDuration::from_secs(1));
            }
            Answer::Body(id) => match now(self.store.waiting_message(id)).unwrap() {
                Some(_) if self.known[&id].has_file && !self.ready.contains(&id) => {
                    if self.queue.needs_file(id, at) {
                        self.later(3_000, Answer::File(id));
                    }
                }
                Some(message) => {
                    let rng = &mut self.rng;
                    self.queue.loaded(id, message.typing, message.text(), at, || rng.random());
                }
                None => self.queue.vanished(id, at),
            },
            Answer::File(id) if self.chance(5) => {
                let failure = Failure::new(Failure::MEDIA, "gone");
                self.queue.file_failed(id, failure, at);
            }
            Answer::File(id) if self.chance(5) => self.queue.file_put_off(id, at),
            Answer::File(id) => {
                if self.queue.file_ready(id, at) {
                    self.ready.insert(id);
                }
            }
            Answer::Submitted(id) => self.queue.submitted(id, at),
            Answer::SendFailed(id, error) => self.queue.send_failed(id, error, at),
            Answer::Acknowledged(id) => _ = self.queue.acknowledged(&id, at),
            Answer::Refused(id, code) => _ = self.queue.refused(&id, code, at),
            Answer::Receipt(id, receipt) => _ = self.queue.receipt(&id, receipt, at, at),
        }
    }

    /// Moves to the next thing that happens, at most `max_ms` ahead.
    fn pass_time(&mut self, wake: Option<Timestamp>, max_ms: i64) {
        let limit = self.now + SignedDuration::from_millis(max_ms);
        let answer = self.answers.keys().next().map(|(at, _)| *at);
        let next = wake.into_iter().chain(answer).min().unwrap_or(limit);
        self.now = next.clamp(self.now, limit);
        while let Some(entry) = self.answers.first_entry().filter(|e| e.key().0 <= self.now) {
            let answer = entry.remove();
            self.answer(answer);
        }
    }

    fn disorder(&mut self) {
        if self.known.len() < MESSAGES && self.chance(30) {
            self.accept();
        }
        if self.chance(3) {
            self.cancel();
        }
        if self.chance(5) {
            let is_connected = self.rng.random_range(0..3) > 0;
            self.connect(is_connected);
        }
        if self.chance(1) {
            self.crash();
        }
        if self.chance(60) {
            let n = self.rng.random_range(1..5);
            self.write(n);
        }
        let wake = self.step();
        self.pass_time(wake, 5_000);
    }

    /// Everything works from now on: every message comes to its end.
    fn calm_down(&mut self) {
        self.is_calm = true;
        self.crash();
        self.connect(true);
        for _ in 0..100_000 {
            self.write(usize::MAX);
            let wake = self.step();
            if self.queue.is_empty() && self.journal.is_empty() {
                return;
            }
            self.pass_time(wake, 86_400_000);
        }
        panic!("seed {}: {} messages never end", self.seed, self.queue.len());
    }

    fn check_end(&self) {
        let seed = self.seed;
        for (id, known) in &self.known {
            let message = self.stored(*id);
            let state = message.state;
            assert!(!state.is_waiting(), "seed {seed}: {id} still waits");
            let arrived = matches!(state, MessageState::Sent | MessageState::Delivered);
            assert!(!arrived || known.first_sent, "seed {seed}: {id} is {state:?} but never left");
        }
        assert!(now(self.store.outbox()).unwrap().is_empty(), "seed {seed}");
    }
}

fn ends(progress: &Progress) -> bool {
    use domain::message::MessageEvent::AttemptFailed;
    progress.steps.last().is_none_or(|(event, _)| *event != AttemptFailed)
}

fn settings(rng: &mut StdRng) -> Settings {
    let pacing = match rng.random_range(0..3) {
        0 => Pacing { first_contacts_per_day: None, ..Pacing::between(1, 3).unwrap() },
        _ => Pacing::off(),
    };
    Settings { pacing, zone: TimeZone::UTC, linked_at: None }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..ROUNDS {
        world.disorder();
    }
    world.calm_down();
    world.check_end();
}

#[test]
fn no_disorder_loses_doubles_or_reorders_a_message() {
    for seed in crate::seeds(150) {
        run(seed);
    }
}
