//! The messages of one device that wait, in the order in which they may go.
//!
//! Invariants:
//! - A message that is not due for the first time yet *sleeps*: it is in no line and holds back
//!   none. Every other message stands in the line of its chat, by id, or is its chat's *current*
//!   one: the message that was attempted, or is being attempted. A chat has at most one of those,
//!   and nothing else of the chat goes before it has ended.
//! - A chat is in `ready` exactly when its first message may go now.
//! - No call looks at all messages; the costliest ones are linear in the length of one chat's line.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use domain::chat::ChatId;
use domain::ids::MessageId;

use super::budget::Contacts;

/// What is kept of a waiting message: as little as possible, there may be a million.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) chat: Arc<ChatId>,
    pub(super) whatsapp: WhatsappKey,
    pub(super) due_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) attempts: u32,
    pub(super) retry_interval_s: Option<u32>,
    pub(super) priority: i16,
    /// How often WhatsApp refused it since the gateway started.
    pub(super) refusals: u8,
    /// Whether WhatsApp took its chat for a stranger's, whatever is known of it.
    pub(super) is_stranger: bool,
    /// Whether it is known to carry a file, which takes one of few slots.
    pub(super) has_file: bool,
}

/// A WhatsApp id in eight bytes: exact for our own ids, a hash of any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct WhatsappKey(u64);

impl WhatsappKey {
    pub(super) fn of(id: &domain::ids::WhatsappId) -> Self {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let own = id.as_str().strip_prefix("3EB0").filter(|hex| hex.len() == 16);
        let exact = own.and_then(|hex| u64::from_str_radix(hex, 16).ok());
        Self(exact.unwrap_or_else(|| {
            let mut hasher = DefaultHasher::new();
            id.as_str().hash(&mut hasher);
            hasher.finish()
        }))
    }
}

/// Where a chat stands among those that may go: priority first, then who has waited longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Position {
    priority: Reverse<i16>,
    due_at: Timestamp,
    id: MessageId,
}

/// What a message needs besides its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Resources {
    /// One of today's first contacts.
    pub(super) first_contact: bool,
    /// A slot for its file.
    pub(super) file: bool,
}

impl Resources {
    const ALL: [Self; 4] = [
        Self { first_contact: false, file: false },
        Self { first_contact: true, file: false },
        Self { first_contact: false, file: true },
        Self { first_contact: true, file: true },
    ];

    fn index(self) -> usize {
        usize::from(self.first_contact) + 2 * usize::from(self.file)
    }

    /// Whether all of it is among the resources that are free.
    fn is_met_by(self, available_now: Self) -> bool {
        (!self.first_contact || available_now.first_contact) && (!self.file || available_now.file)
    }
}

#[derive(Debug, Default)]
struct Chat {
    current: Option<MessageId>,
    is_away: bool,
    line: VecDeque<MessageId>,
    /// How many messages of the line, and the current one, have which priority. The highest
    /// counts for the whole chat: an urgent message must not starve behind its own chat's others.
    priorities: Vec<(i16, u32)>,
    position: Option<Position>,
}

impl Chat {
    fn first(&self) -> Option<MessageId> {
        self.current.or_else(|| self.line.front().copied())
    }

    fn count(&mut self, priority: i16) {
        match self.priorities.iter_mut().find(|(p, _)| *p == priority) {
            Some((_, n)) => *n += 1,
            None => self.priorities.push((priority, 1)),
        }
    }

    fn uncount(&mut self, priority: i16) {
        if let Some(at) = self.priorities.iter().position(|(p, _)| *p == priority) {
            self.priorities[at].1 -= 1;
            if self.priorities[at].1 == 0 {
                self.priorities.swap_remove(at);
            }
        }
    }

    fn priority(&self) -> i16 {
        self.priorities.iter().map(|(p, _)| *p).max().unwrap_or_default()
    }

    fn stand_in_line(&mut self, id: MessageId) {
        if let Err(at) = self.line.binary_search(&id) {
            self.line.insert(at, id);
        }
    }

    fn leave_line(&mut self, id: MessageId) -> bool {
        if self.current == Some(id) {
            self.current = None;
            self.is_away = false;
            return true;
        }
        match self.line.binary_search(&id) {
            Ok(at) => self.line.remove(at).is_some(),
            Err(_) => false,
        }
    }
}

/// All waiting messages of a device.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    entries: HashMap<MessageId, Entry>,
    chats: HashMap<Arc<ChatId>, Chat>,
    /// The chats whose first message may go now, by [`Resources::index`] of that message.
    ready: [BTreeSet<Position>; 4],
    /// When sleepers wake and retries fall due.
    timers: BTreeSet<(Timestamp, MessageId)>,
    contacts: Contacts,
    /// Chats that go by another name now, for messages that still bear the old one.
    renamed: HashMap<ChatId, Arc<ChatId>>,
}

/// New names that are remembered at most; without one, a message that sleeps keeps to its own line.
const RENAMED_MAX: usize = 1_000;

impl Backlog {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, id: MessageId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: MessageId) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    pub(super) fn ids(&self) -> Vec<MessageId> {
        let mut ids: Vec<_> = self.entries.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    /// The chat's id, shared with the other messages that wait there.
    pub(super) fn shared_chat(&self, chat: ChatId) -> Arc<ChatId> {
        let known = self.renamed.get(&chat);
        let known = known.or_else(|| self.chats.get_key_value(&chat).map(|(shared, _)| shared));
        known.cloned().unwrap_or_else(|| Arc::new(chat))
    }

    pub(super) fn insert(&mut self, id: MessageId, entry: Entry, now: Timestamp) {
        let chat = entry.chat.clone();
        let (due_at, attempts, priority) = (entry.due_at, entry.attempts, entry.priority);
        if self.entries.insert(id, entry).is_some() {
            return;
        }
        if attempts == 0 && due_at > now {
            self.timers.insert((due_at, id));
            return;
        }
        let state = self.chats.entry(chat.clone()).or_default();
        let before = (state.first(), state.priority());
        state.count(priority);
        if attempts > 0 && state.current.is_none() {
            state.current = Some(id);
        } else {
            state.stand_in_line(id);
        }
        // At the end of a line it changes nothing for its chat.
        if before != (state.first(), state.priority()) {
            self.refresh(&chat, now);
        }
    }

    pub(super) fn remove(&mut self, id: MessageId, now: Timestamp) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.timers.remove(&(entry.due_at, id));
        if let Some(chat) = self.chats.get_mut(&entry.chat)
            && chat.leave_line(id)
        {
            chat.uncount(entry.priority);
            self.refresh(&entry.chat, now);
        }
        Some(entry)
    }

    /// Lets those whose time has come stand in their line.
    pub(super) fn wake(&mut self, now: Timestamp) {
        while let Some((due_at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(due_at, id));
            let Some(entry) = self.entries.get_mut(&id) else { continue };
            if entry.attempts == 0
                && let Some(name) = self.renamed.get(&*entry.chat)
            {
                entry.chat = name.clone();
            }
            let (chat, priority, is_sleeper) =
                (entry.chat.clone(), entry.priority, entry.attempts == 0);
            let state = self.chats.entry(chat.clone()).or_default();
            let stands = state.current == Some(id) || state.line.binary_search(&id).is_ok();
            if is_sleeper && !stands {
                state.count(priority);
                state.stand_in_line(id);
            }
            self.refresh(&chat, now);
        }
    }

    /// The next time [`Backlog::wake`] has something to do.
    pub(super) fn next_timer(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Which message goes next, of those that need nothing but the resources that are free.
    pub(super) fn next(&self, available_now: Resources) -> Option<MessageId> {
        self.open(available_now).filter_map(BTreeSet::first).min().map(|position| position.id)
    }

    fn open(&self, available_now: Resources) -> impl Iterator<Item = &BTreeSet<Position>> {
        let met =
            Resources::ALL.into_iter().filter(move |resources| resources.is_met_by(available_now));
        met.map(|resources| &self.ready[resources.index()])
    }

    /// How many messages go before a waiting one for certain, counted up to `max` for each kind.
    pub(super) fn ahead(&self, id: MessageId, available_now: Resources, max: usize) -> usize {
        let Some(chat) = self.entries.get(&id).and_then(|entry| self.chats.get(&entry.chat)) else {
            return 0;
        };
        let retried = usize::from(chat.current.is_some_and(|other| other != id) && !chat.is_away);
        let in_line = chat.line.binary_search(&id).unwrap_or(0);
        let others = chat.position.map_or(0, |position| {
            self.open(available_now).map(|ready| ready.range(..position).take(max).count()).sum()
        });
        retried + in_line + others
    }

    /// When the message that goes first in the chat of a waiting one may go.
    pub(super) fn chat_due_at(&self, id: MessageId) -> Option<Timestamp> {
        let chat = self.chats.get(&self.entries.get(&id)?.chat)?;
        chat.first().and_then(|first| self.entries.get(&first)).map(|first| first.due_at)
    }

    /// Whether writing this message is a first contact.
    pub(super) fn is_first_contact(&self, id: MessageId) -> bool {
        self.entries.get(&id).is_some_and(|entry| self.is_to_stranger(entry))
    }

    fn is_to_stranger(&self, entry: &Entry) -> bool {
        entry.is_stranger || self.contacts.is_stranger(&entry.chat)
    }

    /// The message that goes first in the chat of a waiting one.
    pub(super) fn first_of_chat(&self, id: MessageId) -> Option<MessageId> {
        self.chats.get(&self.entries.get(&id)?.chat)?.first()
    }

    /// WhatsApp takes the chat of a message for a stranger's.
    pub(super) fn call_stranger(&mut self, id: MessageId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.is_stranger = true;
        }
    }

    /// These two names are one person's.
    pub(super) fn identify(&mut self, one: &ChatId, other: &ChatId, now: Timestamp) {
        self.contacts.identify(one, other);
        if let Some((name, _)) = self.chats.get_key_value(other) {
            let name = name.clone();
            self.refresh(&name, now);
        }
    }

    /// What waits in the first chat waits in the other from now on, in the order of the ids. Where a message of
    /// each is being attempted, the first chat keeps what stands in its line.
    pub(super) fn merge(&mut self, from: ChatId, into: ChatId, now: Timestamp) {
        if from == into {
            return;
        }
        self.contacts.identify(&from, &into);
        self.contacts.identify(&into, &from);
        self.renamed.remove(&into);
        let into = self.shared_chat(into);
        self.remember_name(from.clone(), into.clone());
        self.move_line(&from, &into);
        self.refresh(&Arc::new(from), now);
        self.refresh(&into, now);
    }

    fn remember_name(&mut self, from: ChatId, into: Arc<ChatId>) {
        if self.renamed.len() >= RENAMED_MAX {
            self.renamed.clear();
        }
        for name in self.renamed.values_mut().filter(|name| ***name == from) {
            *name = into.clone();
        }
        self.renamed.insert(from, into);
    }

    fn move_line(&mut self, from: &ChatId, into: &Arc<ChatId>) {
        let is_busy = |name: &ChatId| self.chats.get(name).is_some_and(|it| it.current.is_some());
        if is_busy(from) && is_busy(into) {
            return;
        }
        let Some(mut left) = self.chats.remove(from) else { return };
        self.withdraw(left.position.take());
        let moved: Vec<MessageId> = left.line.iter().chain(&left.current).copied().collect();
        for id in moved {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.chat = into.clone();
            }
        }
        let chat = self.chats.entry(into.clone()).or_default();
        for (priority, count) in left.priorities {
            (0..count).for_each(|_| chat.count(priority));
        }
        if left.current.is_some() {
            (chat.current, chat.is_away) = (left.current, left.is_away);
        }
        chat.line.append(&mut left.line);
        chat.line.make_contiguous().sort_unstable();
    }

    /// The chat was not written to after all.
    pub(super) fn forget_contact(&mut self, id: MessageId) {
        if let Some(entry) = self.entries.get(&id) {
            self.contacts.forget(&entry.chat);
        }
    }

    /// Takes a message out of its line: it is being attempted. Whether that is a first contact.
    pub(super) fn take(&mut self, id: MessageId, now: Timestamp) -> bool {
        let Some(entry) = self.entries.get(&id) else { return false };
        let chat = entry.chat.clone();
        let is_first_contact = self.is_to_stranger(entry);
        if let Some(state) = self.chats.get_mut(&chat) {
            state.leave_line(id);
            state.current = Some(id);
            state.is_away = true;
        }
        self.contacts.add(&chat);
        self.refresh(&chat, now);
        is_first_contact
    }

    /// The attempt did not happen: the message waits as if it had not been taken.
    pub(super) fn put_back(&mut self, id: MessageId, was_first_contact: bool, now: Timestamp) {
        let Some(entry) = self.entries.get(&id) else { return };
        let (chat, is_new) = (entry.chat.clone(), entry.attempts == 0);
        if was_first_contact {
            self.contacts.forget(&chat);
        }
        if let Some(state) = self.chats.get_mut(&chat) {
            state.is_away = false;
            if is_new && state.current == Some(id) {
                state.current = None;
                state.stand_in_line(id);
            }
        }
        self.refresh(&chat, now);
    }

    /// The attempt failed: the message stays its chat's current one and is due again later.
    pub(super) fn postpone(&mut self, id: MessageId, due_at: Timestamp, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        self.timers.remove(&(entry.due_at, id));
        entry.due_at = due_at;
        let chat = entry.chat.clone();
        if let Some(state) = self.chats.get_mut(&chat) {
            state.is_away = false;
        }
        self.refresh(&chat, now);
    }

    /// Learns whom the device has written to before.
    pub(super) fn add_contacts(&mut self, chats: &[ChatId], now: Timestamp) {
        for chat in chats {
            self.contacts.add(chat);
            let first = self.chats.get(chat).and_then(Chat::first);
            if let Some(entry) = first.and_then(|id| self.entries.get_mut(&id)) {
                entry.is_stranger = false;
            }
        }
        let names: Vec<_> = self.chats.keys().cloned().collect();
        for name in names {
            self.refresh(&name, now);
        }
    }

    fn withdraw(&mut self, position: Option<Position>) {
        for ready in &mut self.ready {
            if let Some(position) = &position {
                ready.remove(position);
            }
        }
    }

    /// Puts a chat where it belongs after a change.
    fn refresh(&mut self, name: &Arc<ChatId>, now: Timestamp) {
        let Some(position) = self.chats.get_mut(name).map(|chat| chat.position.take()) else {
            return;
        };
        self.withdraw(position);
        let Some(chat) = self.chats.get_mut(name) else { return };
        let Some(id) = chat.first() else {
            self.chats.remove(name);
            return;
        };
        let Some(entry) = self.entries.get(&id) else { return };
        if chat.is_away {
            return;
        }
        if entry.due_at > now {
            self.timers.insert((entry.due_at, id));
            return;
        }
        let position = Position { priority: Reverse(chat.priority()), due_at: entry.due_at, id };
        chat.position = Some(position);
        let first_contact = entry.is_stranger || self.contacts.is_stranger(name);
        let resources = Resources { first_contact, file: entry.has_file };
        self.ready[resources.index()].insert(position);
    }
}
