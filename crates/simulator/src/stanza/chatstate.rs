//! Typing: relayed to linked devices that are connected, and timed for the phone's inbox.
//! Never stored.

use std::collections::HashMap;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};

use super::{children, jid_attr};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::Result;
use crate::limits::{TYPING_CHATS_MAX, TYPING_SHOWN_TIME_MAX};
use crate::switchboard::{ConnId, Switchboard};

/// One sender's typing, as one phone sees it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct TypingSeen {
    pub(crate) from: Number,
    pub(crate) by: Number,
    /// The group; `None` in a direct chat.
    pub(crate) group: Option<Jid>,
}

/// What phones have seen of typing since the last message.
#[derive(Default)]
pub(crate) struct Typing(HashMap<TypingSeen, TypingSpan>);

#[derive(Default)]
struct TypingSpan {
    /// Finished spans, in milliseconds.
    before_ms: i64,
    /// The current span: its start, and when the client last confirmed it.
    now: Option<(i64, i64)>,
}

impl TypingSpan {
    fn total_ms(&self, now_ms: i64) -> i64 {
        let going_on = self.now.map_or(0, |(since, last)| {
            let end = now_ms.min(shown_until_ms(last));
            // The shortest counts as one millisecond.
            end.saturating_sub(since).max(1)
        });
        self.before_ms.saturating_add(going_on)
    }

    fn is_shown(&self, now_ms: i64) -> bool {
        self.now.is_some_and(|(_, last)| now_ms < shown_until_ms(last))
    }

    fn pause(&mut self, now_ms: i64) {
        self.before_ms = self.total_ms(now_ms);
        self.now = None;
    }
}

/// Until when typing is shown that a client last confirmed then.
fn shown_until_ms(last: i64) -> i64 {
    let shown_max = i64::try_from(TYPING_SHOWN_TIME_MAX.as_millis()).unwrap_or(i64::MAX);
    last.saturating_add(shown_max)
}

impl Typing {
    /// The client starts typing, or confirms it.
    fn composing(&mut self, seen: TypingSeen, now_ms: i64) {
        if self.0.len() >= TYPING_CHATS_MAX {
            self.0.clear();
        }
        let stretch = self.0.entry(seen).or_default();
        let since = stretch.now.map_or(now_ms, |(since, _)| since);
        stretch.now = Some((since, now_ms));
    }

    fn paused(&mut self, seen: &TypingSeen, now_ms: i64) {
        if let Some(stretch) = self.0.get_mut(seen) {
            stretch.pause(now_ms);
        }
    }

    /// A number is offline: nobody sees it typing any more.
    fn stopped(&mut self, from: Number, now_ms: i64) {
        for (_, stretch) in self.0.iter_mut().filter(|(seen, _)| seen.from == from) {
            stretch.pause(now_ms);
        }
    }

    /// The numbers that a phone sees typing now.
    pub(crate) fn seen_by(&self, by: Number, now_ms: i64) -> Vec<Number> {
        let typing = self.0.iter().filter(|(seen, span)| seen.by == by && span.is_shown(now_ms));
        let mut typing: Vec<Number> = typing.map(|(seen, _)| seen.from).collect();
        typing.sort_unstable();
        typing.dedup();
        typing
    }

    /// How much typing was seen, in milliseconds.
    pub(crate) fn seen_ms(&self, seen: &TypingSeen, now_ms: i64) -> i64 {
        self.0.get(seen).map_or(0, |stretch| stretch.total_ms(now_ms))
    }

    /// The message has arrived: the count starts again.
    pub(crate) fn end(&mut self, seen: &TypingSeen) {
        self.0.remove(seen);
    }
}

impl Switchboard {
    pub(super) fn on_chatstate(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let (Some(from), Some(to)) = (self.device_of(conn), jid_attr(node, "to")) else {
            return Ok(());
        };
        let Some(state) = children(node).first() else {
            return Ok(());
        };
        // The service shows the typing of available devices only.
        if !self.is_available(conn) {
            return Ok(());
        }
        let group = (to.server == Server::Group).then(|| to.clone());
        if group.is_none() && to.is_lid() != self.is_migrated(from.number)? {
            return Ok(());
        }
        let Some(viewers) = self.typing_viewers(from.number, &to)? else {
            return Ok(());
        };
        let person = DeviceAddr::phone(from.number);
        for by in viewers {
            let relayed = NodeBuilder::new("chatstate");
            let relayed = self.with_origin(relayed, person, group.as_ref(), by)?;
            let relayed = relayed.children([state.to_owned()]).build();
            let seen = TypingSeen { from: from.number, by, group: group.clone() };
            self.phone_sees_typing(seen, state)?;
            for device in self.linked_devices(by)? {
                self.send_if_live(device, relayed.clone());
            }
        }
        Ok(())
    }

    /// The numbers that see `from` typing in the chat `to`; none in a group that it is not in.
    fn typing_viewers(&self, from: Number, to: &Jid) -> Result<Option<Vec<Number>>> {
        if to.server != Server::Group {
            return Ok(DeviceAddr::from_jid(to).map(|to| vec![to.number]));
        }
        let mut members = self.group_members(&to.user)?;
        let inside = members.contains(&from);
        members.retain(|member| *member != from);
        Ok(inside.then_some(members))
    }

    fn phone_sees_typing(&mut self, seen: TypingSeen, state: &NodeRef<'_>) -> Result<()> {
        // An offline phone does not see it.
        if !self.phone(seen.by)?.online {
            return Ok(());
        }
        self.phone_changed(seen.by);
        match &*state.tag {
            "composing" => self.typing.composing(seen, clock::unix_ms()),
            _ => self.typing.paused(&seen, clock::unix_ms()),
        }
        Ok(())
    }

    /// A connection of a number has ended, or is available no more.
    pub(crate) fn end_typing_of(&mut self, number: Number) {
        if self.online_since(number).is_none() {
            self.typing.stopped(number, clock::unix_ms());
        }
    }

    /// Sends a stanza that is not stored: only to a connected device.
    pub(crate) fn send_if_live(&mut self, to: DeviceAddr, node: Node) {
        self.after_commit(move |sb| {
            if let Some(&id) = sb.by_device.get(&to)
                && sb.conns.get(&id).is_some_and(|conn| conn.live)
            {
                sb.put_out(id, node);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> TypingSeen {
        let number = |text| Number::parse(text).unwrap();
        TypingSeen { from: number("628111"), by: number("628222"), group: None }
    }

    #[test]
    fn typing_is_counted_until_the_message_comes() {
        let mut typing = Typing::default();
        assert_eq!(typing.seen_ms(&seen(), 1_000), 0);
        typing.composing(seen(), 1_000);
        typing.composing(seen(), 2_000);
        assert_eq!(typing.seen_ms(&seen(), 2_500), 1_500);
        typing.end(&seen());
        assert_eq!(typing.seen_ms(&seen(), 2_500), 0);
    }

    #[test]
    fn the_shortest_typing_is_seen() {
        let mut typing = Typing::default();
        typing.composing(seen(), 1_000);
        typing.paused(&seen(), 1_000);
        assert_eq!(typing.seen_ms(&seen(), 9_000), 1);
    }

    #[test]
    fn pauses_do_not_count() {
        let mut typing = Typing::default();
        typing.composing(seen(), 1_000);
        typing.paused(&seen(), 1_400);
        typing.paused(&seen(), 5_000);
        typing.composing(seen(), 6_000);
        assert_eq!(typing.seen_ms(&seen(), 6_100), 500);
    }

    #[test]
    fn who_is_offline_types_no_more() {
        let mut typing = Typing::default();
        let (by, from) = (seen().by, seen().from);
        typing.composing(seen(), 1_000);
        assert_eq!((typing.seen_by(by, 1_500), typing.seen_by(from, 1_500)), (vec![from], vec![]));
        assert_eq!(typing.seen_by(by, 26_000), [], "it is not confirmed");
        typing.stopped(by, 1_500);
        assert_eq!(typing.seen_by(by, 1_500), [from], "another one is offline");
        typing.stopped(from, 1_500);
        assert_eq!(typing.seen_by(by, 1_500), []);
        assert_eq!(typing.seen_ms(&seen(), 9_000), 500);
    }

    #[test]
    fn typing_without_an_end_expires() {
        let mut typing = Typing::default();
        typing.composing(seen(), 1_000);
        assert_eq!(typing.seen_ms(&seen(), 900_000), 25_000);
    }
}
