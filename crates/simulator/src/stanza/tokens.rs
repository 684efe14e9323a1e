//! Trusted-contact tokens, and the time in which no number may write to strangers.
//!
//! A number that writes to another one gives it a token; who holds that may write back at any time.
//! While the time-lock lasts, a message to anybody else is refused with 463.

use rusqlite::params;
use serde_json::json;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};

use super::{attr, child_bytes, children, error, jid_attr, result};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::Result;
use crate::switchboard::{ConnId, StanzaClass, Switchboard};

/// The code for a message to a stranger.
pub(super) const STRANGER_CODE: u16 = 463;
/// The switch that makes clients send tokens with their messages.
pub(super) const TOKENS_PROP: &str = "10518";
/// The query for the end of the time-lock, by its number.
const TIMELOCK_QUERY: &str = "23983697327930364";

impl Switchboard {
    /// The token that a number gives another one; the same as long as neither changes its owner.
    pub(crate) fn token(&self, giver: Number, receiver: Number) -> Result<Vec<u8>> {
        let owners = (self.owners_before(giver), self.owners_before(receiver));
        let purpose = format!("token {giver}/{} {receiver}/{}", owners.0, owners.1);
        Ok(self.seed.bytes(&purpose)?.to_vec())
    }

    /// Notes that a number has given another one its token; whether that is new.
    pub(crate) fn give_token(&mut self, giver: Number, receiver: Number) -> Result<bool> {
        if giver == receiver {
            return Ok(false);
        }
        let sql = "INSERT OR IGNORE INTO tokens (giver, receiver, given_s) VALUES (?1, ?2, ?3)";
        let given = params![giver.sql(), receiver.sql(), clock::unix_s()];
        Ok(self.db.prepare_cached(sql)?.execute(given)? > 0)
    }

    /// The numbers that hold a token of this one.
    pub(crate) fn tokens_given(&self, giver: Number) -> Result<Vec<Number>> {
        let sql = "SELECT receiver FROM tokens WHERE giver = ?1 ORDER BY receiver";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map([giver.sql()], |row| Ok(Number::from_sql(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A phone writes to somebody, and lets that number write back.
    pub(crate) fn phone_trusts(&mut self, giver: Number, receiver: Number) -> Result<()> {
        if !self.give_token(giver, receiver)? {
            return Ok(());
        }
        let token = self.token(giver, receiver)?;
        let token = NodeBuilder::new("token")
            .attr("type", "trusted_contact")
            .attr("t", clock::unix_s().to_string())
            .bytes(token)
            .build();
        let tokens = NodeBuilder::new("tokens").children([token]).build();
        for device in self.linked_devices(receiver)? {
            let (lid, is_hidden) = (self.lid_jid(giver), self.phone(giver)?.hidden);
            let notification = NodeBuilder::new("notification")
                .attr("from", if is_hidden { lid.clone() } else { giver.jid() })
                .attr("sender_lid", lid)
                .attr("type", "privacy_token")
                .attr("id", clock::message_id())
                .attr("t", clock::unix_s().to_string())
                .children([tokens.clone()])
                .build();
            self.mail(device, StanzaClass::Notification, notification)?;
        }
        Ok(())
    }

    /// A client lets others write to its number.
    pub(super) fn on_tokens(
        &mut self,
        conn: ConnId,
        device: DeviceAddr,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let tokens = node.get_optional_child("tokens").map(children).unwrap_or_default();
        for token in tokens {
            let receiver = jid_attr(token, "jid").and_then(|jid| DeviceAddr::from_jid(&jid));
            if let Some(receiver) = receiver {
                self.give_token(device.number, receiver.number)?;
            }
        }
        self.send(conn, result(node, vec![]));
        Ok(())
    }

    /// Whether a message is refused because its recipient is a stranger.
    pub(super) fn is_refused_as_stranger(
        &self,
        from: Number,
        peer: Number,
        node: &NodeRef<'_>,
    ) -> Result<bool> {
        let is_locked = self.timelock_until.is_some_and(|until| clock::unix_ms() < until);
        if !is_locked || from == peer || attr(node, "category") == "peer" {
            return Ok(false);
        }
        // What a device has asked for again is no first contact.
        let is_repeat =
            |child: &NodeRef<'_>| &*child.tag == "enc" && !attr(child, "count").is_empty();
        if children(node).iter().any(is_repeat) {
            return Ok(false);
        }
        let has_given = self.tokens_given(peer)?.contains(&from);
        Ok(!has_given || child_bytes(node, "tctoken") != self.token(peer, from)?)
    }

    /// The one query of this kind that is answered: until when no stranger may be written to.
    pub(super) fn on_mex(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let query = node.get_optional_child("query");
        let answer = match query.is_some_and(|query| attr(query, "query_id") == TIMELOCK_QUERY) {
            true => self.timelock_answer(node),
            false => error(node, 501, "feature-not-implemented"),
        };
        self.send(conn, answer);
        Ok(())
    }

    fn timelock_answer(&self, node: &NodeRef<'_>) -> Node {
        let until = self.timelock_until.filter(|until| clock::unix_ms() < *until);
        let ends_s = until.map(|ms| (ms + 999).div_euclid(1_000).to_string());
        let state = json!({
            "is_active": until.is_some(),
            "time_enforcement_ends": ends_s,
            "enforcement_type": until.map(|_| "DEFAULT"),
        });
        let data = json!({ "data": { "xwa2_fetch_account_reachout_timelock": state } });
        let content = NodeBuilder::new("result").bytes(data.to_string().into_bytes()).build();
        result(node, vec![content])
    }

    /// How many owners numbers had before their present ones; after a start.
    pub(crate) fn load_recycled(&mut self) -> Result<()> {
        let mut query =
            self.db.prepare("SELECT number, recycled FROM phones WHERE recycled > 0")?;
        let rows = query.query_map([], |row| Ok((Number::from_sql(row.get(0)?), row.get(1)?)))?;
        self.recycled = rows.collect::<Result<_, _>>()?;
        Ok(())
    }
}
