//! A queue with a clock that a test moves, and a log of what it did.

use std::collections::HashSet;

use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::MessageEvent;
use domain::policy::pacing::Pacing;
use domain::ports::{OutboxEntry, Progress};
use engine::queue::{Action, DeviceQueue, Settings};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// 2026-11-21, 08:00 UTC, which is 15:00 in Jakarta.
pub const START: Timestamp = Timestamp::constant(1_795_248_000, 0);

/// The start and `s` seconds.
pub fn at_s(s: i64) -> Timestamp {
    START + SignedDuration::from_secs(s)
}

/// The WhatsApp id of a message.
pub fn wa(id: i64) -> WhatsappId {
    WhatsappId::from_random(id.to_be_bytes())
}

/// An ordinary message: due at the start, expiring a day later.
pub fn entry(id: i64, chat: &str) -> OutboxEntry {
    OutboxEntry {
        id: MessageId(id),
        account_id: AccountId(1),
        device_id: DeviceId(uuid::Uuid::nil()),
        chat: format!("{chat}@s.whatsapp.net").into(),
        whatsapp_id: wa(id),
        priority: 0,
        attempts: 0,
        due_at: START,
        expires_at: Some(at_s(86_400)),
        retry_interval_s: None,
        is_scheduled: false,
    }
}

/// The queue, its time, and what it did: `send 1`, `typing 1`, `sent 1` and so on.
pub struct Rig {
    pub queue: DeviceQueue,
    pub now: Timestamp,
    pub next_wake: Option<Timestamp>,
    /// Whether submitting is answered at once.
    pub answers: bool,
    /// What every message says, and whether it wants typing shown.
    pub text: String,
    pub typing: bool,
    /// Which messages carry a file.
    pub files: HashSet<MessageId>,
    ready: HashSet<MessageId>,
    pub records: Vec<Progress>,
    log: Vec<String>,
}

impl Rig {
    /// A connected device in Jakarta with this pacing.
    pub fn new(pacing: Pacing) -> Self {
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        let mut queue = DeviceQueue::new(Settings { pacing, zone, linked_at: None }, START);
        queue.connected(START);
        Self {
            queue,
            now: START,
            next_wake: None,
            answers: true,
            text: "hello".into(),
            typing: true,
            files: HashSet::new(),
            ready: HashSet::new(),
            records: Vec::new(),
            log: Vec::new(),
        }
    }

    pub fn accept(&mut self, entries: impl IntoIterator<Item = OutboxEntry>) {
        for entry in entries {
            self.queue.accepted(entry, self.now);
        }
    }

    pub fn ack(&mut self, id: i64) {
        self.queue.acknowledged(&wa(id), self.now);
    }

    pub fn refuse(&mut self, id: i64, code: u16) {
        self.queue.refused(&wa(id), code, self.now);
    }

    /// The file of a message is ready; whether it is still wanted.
    pub fn file_ready(&mut self, id: i64) -> bool {
        let id = MessageId(id);
        let is_wanted = self.queue.file_ready(id, self.now);
        is_wanted && self.ready.insert(id)
    }

    /// Steps until nothing happens any more at this time; what happened since the last call.
    pub fn settle(&mut self) -> Vec<String> {
        loop {
            let step = self.queue.step(self.now, || 0);
            self.next_wake = step.next_wake;
            self.ready.retain(|id| self.queue.wants_file(*id));
            if step.actions.is_empty() && step.next_wake.is_none_or(|wake| wake > self.now) {
                return std::mem::take(&mut self.log);
            }
            for action in step.actions {
                self.perform(action);
            }
        }
    }

    /// Moves the time, wake by wake, and settles; what happened.
    pub fn advance_to(&mut self, until: Timestamp) -> Vec<String> {
        let mut log = self.settle();
        while let Some(wake) = self.next_wake.filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            log.extend(self.settle());
        }
        self.now = until;
        log.extend(self.settle());
        log
    }

    pub fn advance_s(&mut self, s: i64) -> Vec<String> {
        self.advance_to(self.now + SignedDuration::from_secs(s))
    }

    /// As [`Rig::advance_s`], each entry with the seconds since the start at which it happened.
    pub fn timeline_s(&mut self, s: i64) -> Vec<String> {
        let until = self.now + SignedDuration::from_secs(s);
        let mut timeline = Vec::new();
        loop {
            let at = self.now.duration_since(START).as_secs();
            timeline.extend(self.settle().into_iter().map(|entry| format!("{at}: {entry}")));
            match self.next_wake.filter(|wake| *wake <= until) {
                Some(wake) => self.now = self.now.max(wake),
                None => break,
            }
        }
        self.now = until;
        timeline
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Load(id) if self.files.contains(&id) && !self.ready.remove(&id) => {
                if self.queue.needs_file(id, self.now) {
                    self.log.push(format!("fetch {id}"));
                }
            }
            Action::Load(id) => {
                let (text, typing) = (self.text.clone(), self.typing);
                self.queue.loaded(id, typing, &text, self.now, || 0);
            }
            Action::ShowTyping(id) => self.log.push(format!("typing {id}")),
            Action::HideTyping(id) => self.log.push(format!("no typing {id}")),
            Action::Send(id) => {
                self.log.push(format!("send {id}"));
                if self.answers {
                    self.queue.submitted(id, self.now);
                }
            }
            Action::Record(progress) => {
                self.log.push(describe(&progress));
                self.records.push(progress);
            }
            Action::LoadContacts => self.log.push("load contacts".into()),
        }
    }
}

/// What became of a message, in a word or two.
pub fn describe(progress: &Progress) -> String {
    let id = progress.id;
    let last = progress.steps.last().map(|(event, _)| *event);
    let code = progress.failure.as_ref().map_or("", |failure| failure.code.as_str());
    match last {
        Some(MessageEvent::Acknowledged) => format!("sent {id}"),
        Some(MessageEvent::AttemptFailed) => format!("again {id} {code}"),
        Some(MessageEvent::Failed) => format!("failed {id} {code}"),
        Some(MessageEvent::Expired) => format!("expired {id}"),
        Some(MessageEvent::Withdrawn) => format!("withdrawn {id}"),
        other => format!("{id} {other:?}"),
    }
}
