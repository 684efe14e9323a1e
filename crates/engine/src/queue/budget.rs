//! How many strangers a device may still write to today.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use domain::chat::ChatId;
use domain::message::WaitingReason;
use domain::policy::pacing;

use super::Settings;

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

    /// These two names are one person's.
    pub(super) fn identify(&mut self, one: &ChatId, other: &ChatId) {
        if self.0.contains(&hash(one)) {
            self.add(other);
        }
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
    /// Until when WhatsApp takes none.
    locked_until: Option<Timestamp>,
    ends_at: Timestamp,
}

impl Budget {
    pub(super) fn new(now: Timestamp, settings: &Settings) -> Self {
        let limit = settings.first_contacts_on(now);
        let ends_at = pacing::next_day(now, &settings.zone);
        Self { limit, spent: 0, is_closed: false, locked_until: None, ends_at }
    }

    /// Begins a new day when the old one is over, and ends a lock that is.
    pub(super) fn roll(&mut self, now: Timestamp, settings: &Settings) {
        self.locked_until.take_if(|until| *until <= now);
        if now >= self.ends_at {
            *self = Self { locked_until: self.locked_until, ..Self::new(now, settings) };
        }
    }

    /// Follows changed settings; the day ends where they say.
    pub(super) fn adjust(&mut self, now: Timestamp, settings: &Settings, spent: u32) {
        self.limit = settings.first_contacts_on(now);
        self.ends_at = pacing::next_day(now, &settings.zone);
        self.spent = self.spent.max(spent);
    }

    /// No first contacts until then, or again when there is no such time; whether that is new.
    pub(super) fn lock(&mut self, until: Option<Timestamp>) -> bool {
        std::mem::replace(&mut self.locked_until, until) != until
    }

    pub(super) fn is_locked(&self) -> bool {
        self.locked_until.is_some()
    }

    pub(super) fn allows(&self) -> bool {
        !self.is_locked() && !self.is_spent()
    }

    fn is_spent(&self) -> bool {
        self.is_closed || self.limit.is_some_and(|limit| self.spent >= limit)
    }

    /// Why it allows none.
    pub(super) fn reason(&self) -> WaitingReason {
        match self.locked_until {
            Some(until) if !self.is_spent() || until >= self.ends_at => {
                WaitingReason::ReachoutTimelock
            }
            _ => WaitingReason::FirstContacts,
        }
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

    /// When it allows some again, at the earliest; in the past when it does.
    pub(super) fn opens_at(&self) -> Timestamp {
        let day = if self.is_spent() { self.ends_at } else { Timestamp::MIN };
        self.locked_until.map_or(day, |until| until.max(day))
    }
}
