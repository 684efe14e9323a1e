//! What waits for one webhook, and in which order it is posted.
//!
//! Invariants:
//! - Everything that is known stands in the *line* of its lane, by id, or has been *passed*: tried
//!   so often that the others of its lane no longer wait for it ([`is_holding`]).
//! - Of a line only the first is posted, and the next one not before its outcome is written down.
//! - At most [`POSTS_MAX`] posts run at a time; what is known is bounded by [`KNOWN_MAX`].

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use domain::ids::DeliveryId;
use domain::policy::webhook::{Verdict, is_holding, judge};
use domain::ports::WebhookAnswer;
use domain::webhook::{DeliveryOutcome, DeliveryState, DeliveryTry};

/// Most posts to one webhook at a time.
pub const POSTS_MAX: usize = 4;
/// Most deliveries of one webhook that are kept in memory, without their events.
pub const KNOWN_MAX: usize = 4_096;
/// Most of them that have been passed. With more, the lanes wait for what fails.
pub const PASSED_MAX: usize = 2_048;

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Post these; answer each with [`Lanes::answered`], [`Lanes::put_off`] or [`Lanes::vanished`].
    pub posts: Vec<DeliveryId>,
    /// When to ask again, unless something happens before.
    pub next_wake: Option<Timestamp>,
}

/// What became of a try.
#[derive(Debug, PartialEq, Eq)]
pub struct JudgedPost {
    /// What to write down; then call [`Lanes::written`].
    pub delivery: DeliveryOutcome,
    /// Whether the receiver wants no more events at all.
    pub is_gone: bool,
}

#[derive(Debug)]
struct Known {
    lane: Arc<str>,
    tries: u32,
    due_at: Timestamp,
    is_passed: bool,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Posting,
    /// Its outcome is being written down; then it has ended, or waits again.
    Writing {
        has_ended: bool,
    },
}

#[derive(Debug, Default)]
struct Lane {
    line: VecDeque<DeliveryId>,
    /// The one of the line that is being posted or written down.
    busy: Option<DeliveryId>,
    /// The first of the line, as it is listed among those that may go.
    listed: Option<(Timestamp, DeliveryId)>,
}

/// All that is known to wait for one webhook.
#[derive(Debug, Default)]
pub struct Lanes {
    known: HashMap<DeliveryId, Known>,
    lanes: HashMap<Arc<str>, Lane>,
    /// Those that may go when they are due.
    due: BTreeSet<(Timestamp, DeliveryId)>,
    posting: usize,
    passed: usize,
}

impl Lanes {
    /// How many are known.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// How many more may be added.
    pub fn room(&self) -> usize {
        KNOWN_MAX.saturating_sub(self.known.len())
    }

    /// Those that are known.
    pub fn ids(&self) -> Vec<DeliveryId> {
        self.known.keys().copied().collect()
    }

    /// Whether something is posted, or written down.
    pub fn is_busy(&self) -> bool {
        self.known.values().any(|known| known.stage != Stage::Waiting)
    }

    /// Something waits, and was tried so often. False when it is known already.
    pub fn add(&mut self, id: DeliveryId, lane: &str, tries: u32, due_at: Timestamp) -> bool {
        if self.known.contains_key(&id) {
            return false;
        }
        let name = self.lanes.get_key_value(lane).map(|(name, _)| name.clone());
        let lane = name.unwrap_or_else(|| Arc::from(lane));
        let stage = Stage::Waiting;
        let known = Known { lane: lane.clone(), tries, due_at, is_passed: false, stage };
        self.known.insert(id, known);
        let line = &mut self.lanes.entry(lane.clone()).or_default().line;
        if let Err(at) = line.binary_search(&id) {
            line.insert(at, id);
        }
        self.let_pass(id);
        self.refresh(&lane);
        true
    }

    /// What is posted now, and when to ask again.
    pub fn step(&mut self, now: Timestamp) -> Step {
        let mut step = Step::default();
        while self.posting < POSTS_MAX {
            let Some((_, id)) = self.due.first().copied().filter(|(at, _)| *at <= now) else {
                step.next_wake = self.due.first().map(|(at, _)| *at);
                break;
            };
            self.begin(id);
            step.posts.push(id);
        }
        step
    }

    fn begin(&mut self, id: DeliveryId) {
        let Some(known) = self.known.get_mut(&id) else { return };
        self.due.remove(&(known.due_at, id));
        known.stage = Stage::Posting;
        self.posting += 1;
        if !known.is_passed
            && let Some(lane) = self.lanes.get_mut(&known.lane)
        {
            lane.busy = Some(id);
            lane.listed = None;
        }
    }

    /// The receiver has answered; `None` when there was nothing to post. What follows, which
    /// holds once it is written down.
    pub fn answered(
        &mut self,
        id: DeliveryId,
        answer: Option<WebhookAnswer>,
        now: Timestamp,
        random: u64,
    ) -> Option<JudgedPost> {
        let known = self.known.get_mut(&id).filter(|known| known.stage == Stage::Posting)?;
        known.tries = known.tries.saturating_add(1);
        let verdict = answer.as_ref().map_or(Verdict::Delivered, |answer| {
            judge(answer.status, answer.retry_after, known.tries, now, random)
        });
        let (state, ended_at) = match verdict {
            Verdict::Delivered => (DeliveryState::Delivered, Some(now)),
            Verdict::Dead | Verdict::Gone => (DeliveryState::Dead, Some(now)),
            Verdict::Again(at) => {
                known.due_at = at;
                (DeliveryState::Pending, None)
            }
        };
        known.stage = Stage::Writing { has_ended: ended_at.is_some() };
        self.posting -= 1;
        let tried = answer.as_ref().map(|answer| DeliveryTry::of(answer, now));
        let last_status = answer.as_ref().and_then(|answer| answer.status);
        let last_error = answer.filter(|answer| !answer.is_success()).map(words_of);
        let (attempts, due_at) = (known.tries, known.due_at);
        let delivery = DeliveryOutcome {
            id,
            state,
            attempts,
            due_at,
            last_status,
            last_error,
            ended_at,
            tried,
        };
        Some(JudgedPost { delivery, is_gone: verdict == Verdict::Gone })
    }

    /// An outcome is durable.
    pub fn written(&mut self, id: DeliveryId) {
        let Some(known) = self.known.get_mut(&id) else { return };
        let Stage::Writing { has_ended } = known.stage else { return };
        known.stage = Stage::Waiting;
        self.leave(id, has_ended);
    }

    /// It could not be posted now, for reasons of ours: that does not count.
    pub fn put_off(&mut self, id: DeliveryId, until: Timestamp) {
        let Some(known) = self.known.get_mut(&id).filter(|k| k.stage == Stage::Posting) else {
            return;
        };
        known.stage = Stage::Waiting;
        known.due_at = until;
        self.posting -= 1;
        self.leave(id, false);
    }

    /// The store has no such delivery waiting any more.
    pub fn vanished(&mut self, id: DeliveryId) {
        let Some(known) = self.known.get(&id) else { return };
        if known.stage == Stage::Posting {
            self.posting -= 1;
        }
        self.leave(id, true);
    }

    /// A try is over: the lane goes on.
    fn leave(&mut self, id: DeliveryId, is_forgotten: bool) {
        let Some(known) = self.known.get(&id) else { return };
        let (name, due_at, is_passed) = (known.lane.clone(), known.due_at, known.is_passed);
        if let Some(lane) = self.lanes.get_mut(&name).filter(|lane| lane.busy == Some(id)) {
            lane.busy = None;
        }
        if is_forgotten {
            self.known.remove(&id);
            self.due.remove(&(due_at, id));
            self.passed -= usize::from(is_passed);
            if let Some(lane) = self.lanes.get_mut(&name) {
                lane.line.retain(|other| *other != id);
            }
        } else if is_passed {
            self.due.insert((due_at, id));
        } else {
            self.let_pass(id);
        }
        self.refresh(&name);
    }

    /// Takes one that has failed often enough out of its line.
    fn let_pass(&mut self, id: DeliveryId) {
        if self.passed >= PASSED_MAX {
            return;
        }
        let Some(known) = self.known.get_mut(&id).filter(|known| !is_holding(known.tries)) else {
            return;
        };
        known.is_passed = true;
        self.passed += 1;
        self.due.insert((known.due_at, id));
        if let Some(lane) = self.lanes.get_mut(&known.lane) {
            lane.line.retain(|other| *other != id);
        }
    }

    /// Lists the first of a line among those that may go.
    fn refresh(&mut self, name: &Arc<str>) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        if let Some(listed) = lane.listed.take() {
            self.due.remove(&listed);
        }
        if lane.busy.is_some() {
            return;
        }
        let Some(first) = lane.line.front().copied() else {
            self.lanes.remove(name);
            return;
        };
        if let Some(known) = self.known.get(&first) {
            lane.listed = Some((known.due_at, first));
            self.due.insert((known.due_at, first));
        }
    }
}

/// Why a try has failed, in words for people.
fn words_of(answer: WebhookAnswer) -> String {
    let status = answer.status.map(|status| format!("the receiver answered {status}"));
    answer.error.or(status).unwrap_or_else(|| "the receiver did not answer".to_owned())
}
