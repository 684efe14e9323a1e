//! How many strangers a device may still write to today.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use domain::chat::ChatId;
use domain::policy::pacing;

/// The chats a device has written to, as hashes: a device may have many thousands, and a collision
/// only lets one stranger pass as known.
#[derive(Debug, Default)]
pub(super) struct Contacts(HashSet<u64>);

impl Contacts {
    pub(super) fn add(&mut self, chat: &ChatId) {
        self.0.insert(hash(chat));
    }

    pub(super) fn forget(&mut self, chat: &ChatId) {
        self.0.remove(&hash(chat));
    }

    /// Whether writing to this chat is a first contact. Groups are none: one joins them first.
    pub(super) fn is_stranger(&self, chat: &ChatId) -> bool {
        !chat.is_group() && !self.0.contains(&hash(chat))
    }
}

fn hash(chat: &ChatId) -> u64 {
    let mut hasher = DefaultHasher::new();
    chat.hash(&mut hasher);
    hasher.finish()
}

/// The first-contact budget of one calendar day of the account.
#[derive(Debug)]
pub(super) struct Budget {
    limit: Option<u32>,
    spent: u32,
    is_closed: bool,
    ends_at: Timestamp,
}

impl Budget {
    pub(super) fn new(limit: Option<u32>, spent: u32, now: Timestamp, zone: &TimeZone) -> Self {
        Self { limit, spent, is_closed: false, ends_at: pacing::next_day(now, zone) }
    }

    /// Begins a new day when the old one is over.
    pub(super) fn roll(&mut self, now: Timestamp, zone: &TimeZone) {
        if now >= self.ends_at {
            *self = Self::new(self.limit, 0, now, zone);
        }
    }

    /// Follows changed settings within the same day.
    pub(super) fn adjust(&mut self, limit: Option<u32>, spent: u32) {
        self.limit = limit;
        self.spent = self.spent.max(spent);
    }

    pub(super) fn allows(&self) -> bool {
        !self.is_closed && self.limit.is_none_or(|limit| self.spent < limit)
    }

    pub(super) fn spend(&mut self) {
        self.spent = self.spent.saturating_add(1);
    }

    pub(super) fn give_back(&mut self) {
        self.spent = self.spent.saturating_sub(1);
    }

    /// No more first contacts today, whatever the limit; whether that is new.
    pub(super) fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.is_closed, true)
    }

    pub(super) fn ends_at(&self) -> Timestamp {
        self.ends_at
    }
}
