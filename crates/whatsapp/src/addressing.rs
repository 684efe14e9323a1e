//! How the account of a device addresses people: by number or, once it is migrated, by LID.
//!
//! It may be migrated while the device is connected. WhatsApp refuses messages in the wrong addressing
//! (`writing` asks then), but lets receipts and typing go astray. So it is asked again, when an address is
//! needed, if the phone has sent the LIDs of its chats, if somebody has written by LID, or after a day.
//! A group, too, may name its members otherwise than before: each of its messages shows how.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use wacore::types::message::{AddressingMode, MessageInfo};
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::Client;

use crate::limits::{ADDRESSING_FOR, ADDRESSING_GROUPS_MAX, ADDRESSING_MAX, ADDRESSING_RETRY};

/// What hints at a migration; the greater is the surer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hint {
    /// Somebody writes by LID, as a few do to any account.
    LidChat,
    /// The phone has sent the LIDs of its chats.
    PhoneSync,
}

/// What is known of the addressing of one device's account.
#[derive(Default)]
pub(crate) struct Addressing {
    state: Mutex<State>,
    /// Whether groups name their members by LID, as their last messages did.
    groups: Mutex<HashMap<String, bool>>,
    /// Held while WhatsApp is asked: those who need an address at the same time share an answer.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    hint: Option<Hint>,
    /// When WhatsApp was last asked; the library asks at each login.
    asked_at: Option<Instant>,
    /// When it was last asked for a hint.
    followed_at: Option<Instant>,
    /// When it last did not answer.
    failed_at: Option<Instant>,
}

impl Addressing {
    /// A new connection is ready.
    pub(crate) fn begin_connection(&self) {
        self.state.lock().asked_at = Some(Instant::now());
    }

    /// Takes note of what a message that came in says of its account, or its group.
    pub(crate) fn note(&self, message: &wa::Message, info: &MessageInfo) {
        if let Some(hint) = hint(message, info) {
            self.state.lock().note(hint);
        }
        self.note_group(info);
    }

    /// Takes note of how the group of a message names its members; the message may be unreadable.
    pub(crate) fn note_group(&self, info: &MessageInfo) {
        let source = &info.source;
        if !source.is_group || source.addressing_mode.is_none() {
            return;
        }
        let by_lid = source.addressing_mode == Some(AddressingMode::Lid);
        let mut groups = self.groups.lock();
        if groups.get(&*source.chat.user) == Some(&by_lid) {
            return;
        }
        if groups.len() >= ADDRESSING_GROUPS_MAX {
            groups.clear();
        }
        groups.insert(source.chat.user.to_string(), by_lid);
    }

    /// Whether a group names its members by LID; `None` when no message of it has come lately.
    pub(crate) fn group_is_by_lid(&self, group: &Jid) -> Option<bool> {
        self.groups.lock().get(&*group.user).copied()
    }

    /// Whether the account addresses people by LID; asks WhatsApp when that is in doubt.
    pub(crate) async fn is_by_lid(&self, client: &Client) -> bool {
        if client.is_lid_migrated().await {
            return true;
        }
        let since = Instant::now();
        let _turn = self.turn.lock().await;
        let state = *self.state.lock();
        if state.is_to_be_asked(since, Instant::now()) {
            let asked = timeout(ADDRESSING_MAX, client.fetch_props()).await;
            let (mut known, now) = (self.state.lock(), Instant::now());
            match asked {
                Ok(Ok(())) => known.answered(state.hint, now),
                _ => known.failed_at = Some(now),
            }
        }
        client.is_lid_migrated().await
    }
}

impl State {
    fn note(&mut self, hint: Hint) {
        self.hint = self.hint.max(Some(hint));
    }

    /// Whether WhatsApp is asked for somebody who has waited for the turn since then: an answer that did not
    /// come meanwhile is not waited for by each of them.
    fn is_to_be_asked(&self, since: Instant, now: Instant) -> bool {
        self.failed_at.is_none_or(|at| at < since) && self.is_in_doubt(now)
    }

    fn is_in_doubt(&self, now: Instant) -> bool {
        let is_past = |at: Option<Instant>, pause: Duration| at.is_none_or(|at| now >= at + pause);
        match self.hint {
            Some(Hint::PhoneSync) => true,
            Some(Hint::LidChat) => is_past(self.followed_at, ADDRESSING_RETRY),
            None => is_past(self.asked_at, ADDRESSING_FOR),
        }
    }

    /// WhatsApp has answered; `hint` is what it was asked for.
    fn answered(&mut self, hint: Option<Hint>, now: Instant) {
        self.asked_at = Some(now);
        if hint.is_some() {
            self.followed_at = Some(now);
        }
        // What came meanwhile may be newer than the answer.
        if self.hint == hint {
            self.hint = None;
        }
    }
}

/// What a message says of how its account addresses people.
fn hint(message: &wa::Message, info: &MessageInfo) -> Option<Hint> {
    let protocol = message.protocol_message.as_option();
    let has_lids = protocol
        .is_some_and(|protocol| protocol.lid_migration_mapping_sync_message.as_option().is_some());
    match has_lids && info.source.is_from_me {
        true => Some(Hint::PhoneSync),
        false => info.source.chat.is_lid().then_some(Hint::LidChat),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wacore::types::message::MessageSource;
    use waproto::buffa::MessageField;

    #[test]
    fn a_hint_is_followed_and_an_old_answer_renewed() {
        let start = Instant::now();
        let mut state = State { asked_at: Some(start), ..State::default() };
        assert!(!state.is_in_doubt(start + ADDRESSING_FOR / 2));
        assert!(state.is_in_doubt(start + ADDRESSING_FOR));
        state.note(Hint::LidChat);
        assert!(state.is_in_doubt(start));
        state.answered(Some(Hint::LidChat), start);
        assert!(!state.is_in_doubt(start));
        state.note(Hint::LidChat);
        assert!(!state.is_in_doubt(start), "a few write so to any account");
        assert!(state.is_in_doubt(start + ADDRESSING_RETRY));
        state.note(Hint::PhoneSync);
        assert!(state.is_in_doubt(start));
        state.note(Hint::LidChat);
        state.answered(Some(Hint::LidChat), start);
        assert!(state.is_in_doubt(start), "the phone has sent LIDs since then");
        state.answered(Some(Hint::PhoneSync), start);
        assert!(!state.is_in_doubt(start));
    }

    #[test]
    fn those_who_wait_share_an_answer_that_does_not_come() {
        let start = Instant::now();
        let later = start + ADDRESSING_MAX;
        let state =
            State { hint: Some(Hint::PhoneSync), failed_at: Some(later), ..State::default() };
        assert!(!state.is_to_be_asked(start, later));
        assert!(state.is_to_be_asked(later + ADDRESSING_MAX, later + ADDRESSING_MAX));
        assert!(State { failed_at: None, ..state }.is_to_be_asked(start, later));
    }

    #[test]
    fn a_groups_last_message_shows_how_it_names_its_members() {
        let addressing = Addressing::default();
        let group: Jid = "120363@g.us".parse().unwrap();
        assert_eq!(addressing.group_is_by_lid(&group), None);
        for mode in [AddressingMode::Pn, AddressingMode::Lid, AddressingMode::Pn] {
            let by_lid = mode == AddressingMode::Lid;
            let source = MessageSource {
                chat: group.clone(),
                is_group: true,
                addressing_mode: Some(mode),
                ..Default::default()
            };
            addressing.note_group(&MessageInfo { source, ..Default::default() });
            assert_eq!(addressing.group_is_by_lid(&group), Some(by_lid));
        }
    }

    #[test]
    fn only_the_own_phone_sends_the_lids_of_chats() {
        let info = |chat: &str, is_from_me| MessageInfo {
            source: MessageSource { chat: chat.parse().unwrap(), is_from_me, ..Default::default() },
            ..Default::default()
        };
        let text = wa::Message { conversation: Some("halo".into()), ..Default::default() };
        let protocol = wa::message::ProtocolMessage {
            lid_migration_mapping_sync_message: MessageField::some(Default::default()),
            ..Default::default()
        };
        let sync =
            wa::Message { protocol_message: MessageField::some(protocol), ..Default::default() };
        let (number, lid) = ("628111@s.whatsapp.net", "77@lid");
        assert_eq!(hint(&sync, &info(number, true)), Some(Hint::PhoneSync));
        assert_eq!(hint(&sync, &info(number, false)), None);
        assert_eq!(hint(&text, &info(number, false)), None);
        assert_eq!(hint(&text, &info("120363@g.us", false)), None);
        assert_eq!(hint(&text, &info(lid, false)), Some(Hint::LidChat));
    }
}
