//! Groups: created through the control API; clients list and leave them.

use std::collections::HashSet;

use rusqlite::{OptionalExtension as _, params};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, Server};

use super::{attr, error, jid_attr, result};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, bad_request, not_found};
use crate::limits::GROUP_MEMBERS_MAX;
use crate::switchboard::{ConnId, StanzaClass, Switchboard};

const GROUP_ID_PREFIX: &str = "120363";
const GROUP_ID_DIGITS: u64 = 1_000_000_000_000;
const SUBJECT_CHARS_MAX: usize = 100;

impl Switchboard {
    pub(super) fn on_groups(
        &mut self,
        conn: ConnId,
        device: DeviceAddr,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let to = jid_attr(node, "to");
        let group = to.filter(|jid| jid.server == Server::Group && !jid.user.is_empty());
        let has = |tag: &str| node.get_optional_child(tag).is_some();
        let answer = match group {
            None if has("participating") => self.participating(device.number, node)?,
            Some(group) if has("query") => self.group_query(device.number, &group, node)?,
            None if has("leave") => self.leave(device.number, node)?,
            _ => error(node, 501, "feature-not-implemented"),
        };
        self.send(conn, answer);
        Ok(())
    }

    fn participating(&mut self, number: Number, node: &NodeRef<'_>) -> Result<Node> {
        let ids: Vec<String> = {
            let sql = "SELECT group_id FROM group_members WHERE number = ?1 ORDER BY group_id";
            let mut query = self.db.prepare_cached(sql)?;
            let rows = query.query_map([number.sql()], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        let mut groups = Vec::with_capacity(ids.len());
        for id in ids {
            groups.extend(self.group_node(&id)?);
        }
        Ok(result(node, vec![NodeBuilder::new("groups").children(groups).build()]))
    }

    fn group_query(&mut self, number: Number, group: &Jid, node: &NodeRef<'_>) -> Result<Node> {
        let members = self.group_members(&group.user)?;
        match self.group_node(&group.user)? {
            None => Ok(error(node, 404, "item-not-found")),
            Some(_) if !members.contains(&number) => Ok(error(node, 403, "forbidden")),
            Some(found) => Ok(result(node, vec![found])),
        }
    }

    fn leave(&mut self, number: Number, node: &NodeRef<'_>) -> Result<Node> {
        let leave = node.get_optional_child("leave");
        let asked = leave.map(super::children).unwrap_or_default();
        let mut left = Vec::new();
        for group in asked.iter().take(GROUP_MEMBERS_MAX) {
            let id = attr(group, "id");
            let user = id.split('@').next().unwrap_or_default();
            self.db
                .prepare_cached("DELETE FROM group_members WHERE group_id = ?1 AND number = ?2")?
                .execute(params![user, number.sql()])?;
            left.push(NodeBuilder::new("group").attr("id", id).build());
        }
        Ok(result(node, vec![NodeBuilder::new("leave").children(left).build()]))
    }

    fn group_node(&self, id: &str) -> Result<Option<Node>> {
        let found: Option<(String, i64, i64, bool)> = self
            .db
            .prepare_cached(
                "SELECT subject, creator, created_ms, by_lid FROM groups WHERE id = ?1",
            )?
            .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let Some((subject, creator, created_ms, by_lid)) = found else {
            return Ok(None);
        };
        let creator = Number::from_sql(creator);
        let created = (created_ms / 1_000).to_string();
        let members = self.group_members(id)?;
        let size = members.len().to_string();
        let timer = self.group_timer(id)?;
        let timer = (timer > 0)
            .then(|| NodeBuilder::new("ephemeral").attr("expiration", timer.to_string()).build());
        let mut hidden = HashSet::new();
        for member in &members {
            if self.phone(*member)?.hidden {
                hidden.insert(*member);
            }
        }
        let participants = members.into_iter().map(|member| {
            let node = participant(member, by_lid, hidden.contains(&member));
            match member == creator {
                true => node.attr("type", "superadmin").build(),
                false => node.build(),
            }
        });
        let group = NodeBuilder::new("group")
            .attr("id", id)
            .attr("subject", subject)
            .attr("s_t", created.clone())
            .attr("creation", created)
            .attr("size", size)
            .children(participants.chain(timer));
        let group = match by_lid {
            true => group
                .attr("addressing_mode", "lid")
                .attr("s_o", creator.lid_jid())
                .attr("s_o_pn", creator.jid())
                .attr("creator", creator.lid_jid())
                .attr("creator_pn", creator.jid()),
            false => group
                .attr("addressing_mode", "pn")
                .attr("s_o", creator.jid())
                .attr("creator", creator.jid()),
        };
        Ok(Some(group.build()))
    }

    /// The members of a group; none when there is no such group.
    pub(crate) fn group_members(&self, id: &str) -> Result<Vec<Number>> {
        let sql = "SELECT number FROM group_members WHERE group_id = ?1 ORDER BY number";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map([id], |row| Ok(Number::from_sql(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a group knows its members by their LIDs.
    pub(crate) fn group_is_by_lid(&self, id: &str) -> Result<bool> {
        let sql = "SELECT by_lid FROM groups WHERE id = ?1";
        let found = self.db.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
        Ok(found.unwrap_or_default())
    }

    /// Creates a group owned by its first member; returns its JID.
    pub(crate) fn create_group(
        &mut self,
        subject: &str,
        members: &[Number],
        by_lid: bool,
    ) -> Result<String> {
        if subject.trim().is_empty() || subject.chars().count() > SUBJECT_CHARS_MAX {
            return Err(bad_request("a group's subject has 1 to 100 characters"));
        }
        if members.is_empty() || members.len() > GROUP_MEMBERS_MAX {
            return Err(bad_request(format!("a group has 1 to {GROUP_MEMBERS_MAX} participants")));
        }
        let id = format!("{GROUP_ID_PREFIX}{:012}", clock::random_below(GROUP_ID_DIGITS));
        self.db
            .prepare_cached(
                "INSERT INTO groups (id, subject, creator, created_ms, by_lid) \
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![id, subject, members[0].sql(), clock::unix_ms(), by_lid])?;
        for (index, member) in members.iter().enumerate() {
            self.db
                .prepare_cached("INSERT OR IGNORE INTO group_members (group_id, number, admin) VALUES (?1, ?2, ?3)")?
                .execute(params![id, member.sql(), index == 0])?;
        }
        self.announce_group(&id)?;
        Ok(Jid::group(id).to_string())
    }

    /// A member joins a group, or leaves it.
    pub(crate) fn change_member(&mut self, id: &str, number: Number, joins: bool) -> Result<()> {
        let Some(group) = self.group_node(id)? else {
            return Err(not_found(format!("there is no group {id:?}")));
        };
        let by_lid = self.group_is_by_lid(id)?;
        let change = match joins {
            true => {
                "INSERT OR IGNORE INTO group_members (group_id, number, admin) VALUES (?1, ?2, 0)"
            }
            false => "DELETE FROM group_members WHERE group_id = ?1 AND number = ?2",
        };
        let before = self.group_members(id)?;
        if joins && before.len() >= GROUP_MEMBERS_MAX {
            return Err(bad_request(format!("a group has 1 to {GROUP_MEMBERS_MAX} participants")));
        }
        self.db.prepare_cached(change)?.execute(params![id, number.sql()])?;
        let tag = if joins { "add" } else { "remove" };
        let is_hidden = self.phone(number)?.hidden;
        let news = NodeBuilder::new(tag)
            .children([participant(number, by_lid, is_hidden).build()])
            .build();
        let mut hear = before;
        hear.extend(joins.then_some(number));
        self.notify_members(&group, id, hear, &news)
    }

    /// Notifies the members' linked devices of their new group.
    fn announce_group(&mut self, id: &str) -> Result<()> {
        let Some(group) = self.group_node(id)? else {
            return Ok(());
        };
        let create = NodeBuilder::new("create").attr("type", "new").children([group.clone()]);
        let members = self.group_members(id)?;
        self.notify_members(&group, id, members, &create.build())
    }

    /// Notifies the members' linked devices of a change of their group.
    pub(crate) fn notify_group(&mut self, id: &str, news: &Node) -> Result<()> {
        let Some(group) = self.group_node(id)? else { return Ok(()) };
        let members = self.group_members(id)?;
        self.notify_members(&group, id, members, news)
    }

    fn notify_members(
        &mut self,
        group: &Node,
        id: &str,
        members: Vec<Number>,
        news: &Node,
    ) -> Result<()> {
        let creator = group.attrs.get("creator").and_then(wacore_binary::NodeValue::to_jid);
        let creator = creator.unwrap_or_else(super::server);
        for member in members {
            for device in self.linked_devices(member)? {
                let notification = NodeBuilder::new("notification")
                    .attr("from", Jid::group(id))
                    .attr("participant", creator.clone())
                    .attr("type", "w:gp2")
                    .attr("id", clock::message_id())
                    .attr("t", clock::unix_s().to_string())
                    .children([news.clone()])
                    .build();
                self.mail(device, StanzaClass::Notification, notification)?;
            }
        }
        Ok(())
    }
}

/// How a group names a member.
fn participant(member: Number, by_lid: bool, is_hidden: bool) -> NodeBuilder {
    let node = NodeBuilder::new("participant");
    match (by_lid, is_hidden) {
        (true, true) => node.attr("jid", member.lid_jid()),
        (true, false) => node.attr("jid", member.lid_jid()).attr("phone_number", member.jid()),
        (false, _) => node.attr("jid", member.jid()).attr("lid", member.lid_jid()),
    }
}
