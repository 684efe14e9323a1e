//! Deliveries: events on their way to webhooks.

use jiff::Timestamp;

use super::Event;
use crate::ids::{DeliveryId, WebhookId};
use crate::message::whole_millis;
use crate::ports::WebhookAnswer;
use crate::text::storable;

/// Where a delivery is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// It waits for its first or next try.
    Pending,
    /// The receiver took it.
    Delivered,
    /// A dead letter; it can be replayed.
    Dead,
}

impl DeliveryState {
    /// Its name in every API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// Reads a name back.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Delivered, Self::Dead].into_iter().find(|s| s.as_str() == name)
    }
}

/// Most deliveries that are replayed by one request.
pub const REPLAYED_MAX: u32 = 10_000;

/// Which deliveries are replayed together: those that have ended, of events since a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayRange {
    /// When their events came about, at the earliest.
    pub since: Timestamp,
    /// Whether those that were delivered go again, too, and not only dead letters.
    pub includes_delivered: bool,
}

impl ReplayRange {
    /// Whether a delivery is one of them.
    pub fn includes(&self, delivery: &Delivery) -> bool {
        let is_wanted = match delivery.state {
            DeliveryState::Pending => false,
            DeliveryState::Delivered => self.includes_delivered,
            DeliveryState::Dead => true,
        };
        is_wanted && delivery.created_at >= self.since
    }
}

/// One event on its way to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; of one chat, in the order of events.
    pub id: DeliveryId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// What is posted.
    pub event: Event,
    /// Where it is in its life.
    pub state: DeliveryState,
    /// Tries so far.
    pub attempts: u32,
    /// Not to be tried before this.
    pub due_at: Timestamp,
    /// The receiver's last status.
    pub last_status: Option<u16>,
    /// Why the last try failed, in words for people.
    pub last_error: Option<String>,
    /// When the event came about.
    pub created_at: Timestamp,
    /// When it was delivered or became a dead letter.
    pub ended_at: Option<Timestamp>,
}

/// Longest beginning of a receiver's answer that is kept of a try that failed, in characters.
const ANSWER_CHARS_MAX: usize = 2_000;
/// The same of one that was taken.
const TAKEN_ANSWER_CHARS_MAX: usize = 200;

/// A try to deliver: when, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryTry {
    /// When it ended.
    pub at: Timestamp,
    /// The receiver's status.
    pub status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// How the body of the answer begins.
    pub answer: String,
}

impl DeliveryTry {
    /// What came of a post that ended at `at`.
    pub fn of(answer: &WebhookAnswer, at: Timestamp) -> Self {
        let kept = if answer.is_success() { TAKEN_ANSWER_CHARS_MAX } else { ANSWER_CHARS_MAX };
        let text = String::from_utf8_lossy(&answer.body);
        Self {
            at: whole_millis(at),
            status: answer.status,
            error: answer.error.clone(),
            ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
            answer: storable(&text).chars().take(kept).collect(),
        }
    }
}

/// What became of one try.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Delivery`")]
pub struct DeliveryOutcome {
    pub id: DeliveryId,
    pub state: DeliveryState,
    pub attempts: u32,
    pub due_at: Timestamp,
    pub last_status: Option<u16>,
    pub last_error: Option<String>,
    pub ended_at: Option<Timestamp>,
    /// `None` where nothing was posted.
    pub tried: Option<DeliveryTry>,
}
