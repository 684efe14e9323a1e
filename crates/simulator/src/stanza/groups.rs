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
pub(super) const SUBJECT_CHARS_MAX: usize = 100;

/// What kind of group it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct GroupKind {
    /// Only its admins write.
    pub(crate) announcement: bool,
    /// It holds other groups, and no messages.
    pub(crate) community: bool,
    /// The community that it is a group of.
    pub(crate) parent: Option<String>,
}

struct Group {
    subject: String,
    creator: Number,
    created_ms: i64,
    by_lid: bool,
    kind: GroupKind,
}

impl Group {
    fn kind_nodes(&self) -> Vec<Node> {
        let parent = self.kind.parent.as_ref().map(|parent| {
            NodeBuilder::new("linked_parent").attr("jid", Jid::group(parent)).build()
        });
        let announcement = || NodeBuilder::new("announcement").build();
        let community = || {
            let mode = ("default_membership_approval_mode", "request_required");
            NodeBuilder::new("parent").attr(mode.0, mode.1).build()
        };
        let kinds = [
            self.kind.announcement.then(announcement),
            self.kind.community.then(community),
            parent,
        ];
        kinds.into_iter().flatten().collect()
    }
}

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
            None if has("create") => self.created_group(device.number, node)?,
            Some(group) => self.administer(device.number, &group.user, node)?,
            None => error(node, 501, "feature-not-implemented"),
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
            if self.group_members(user)?.contains(&number) {
                self.change_member(user, number, false, Some(number))?;
            }
            left.push(NodeBuilder::new("group").attr("id", id).build());
        }
        Ok(result(node, vec![NodeBuilder::new("leave").children(left).build()]))
    }

    pub(super) fn group_node(&self, id: &str) -> Result<Option<Node>> {
        let Some(found) = self.group(id)? else { return Ok(None) };
        let created = (found.created_ms / 1_000).to_string();
        let members = self.group_members(id)?;
        let size = members.len().to_string();
        let admins = self.admins(id)?;
        let mut content = Vec::with_capacity(members.len() + 3);
        for member in members {
            let is_hidden = self.phone(member)?.hidden;
            let node = self.participant(member, found.by_lid, is_hidden);
            content.push(match (member == found.creator, admins.contains(&member)) {
                (true, _) => node.attr("type", "superadmin").build(),
                (false, true) => node.attr("type", "admin").build(),
                (false, false) => node.build(),
            });
        }
        let timer = self.group_timer(id)?;
        content.extend(
            (timer > 0).then(|| {
                NodeBuilder::new("ephemeral").attr("expiration", timer.to_string()).build()
            }),
        );
        content.extend(found.kind_nodes());
        content.extend(self.about_nodes(id)?);
        let group = NodeBuilder::new("group")
            .attr("id", id)
            .attr("subject", found.subject)
            .attr("s_t", created.clone())
            .attr("creation", created)
            .attr("size", size)
            .children(content);
        let creator = found.creator;
        let group = match found.by_lid {
            true => group
                .attr("addressing_mode", "lid")
                .attr("s_o", self.lid_jid(creator))
                .attr("s_o_pn", creator.jid())
                .attr("creator", self.lid_jid(creator))
                .attr("creator_pn", creator.jid()),
            false => group
                .attr("addressing_mode", "pn")
                .attr("s_o", creator.jid())
                .attr("creator", creator.jid()),
        };
        Ok(Some(group.build()))
    }

    fn group(&self, id: &str) -> Result<Option<Group>> {
        let sql = "SELECT subject, creator, created_ms, by_lid, announcement, community, parent \
                   FROM groups WHERE id = ?1";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row([id], |row| {
            Ok(Group {
                subject: row.get(0)?,
                creator: Number::from_sql(row.get(1)?),
                created_ms: row.get(2)?,
                by_lid: row.get(3)?,
                kind: GroupKind {
                    announcement: row.get(4)?,
                    community: row.get(5)?,
                    parent: row.get(6)?,
                },
            })
        });
        Ok(found.optional()?)
    }

    /// Whether a member may write into a group: of announcements only its admins, into a community
    /// no member.
    pub(crate) fn may_write(&self, id: &str, member: Number) -> Result<bool> {
        let Some(Group { kind, .. }) = self.group(id)? else { return Ok(false) };
        Ok(!kind.community && (!kind.announcement || self.admins(id)?.contains(&member)))
    }

    pub(crate) fn admins(&self, id: &str) -> Result<HashSet<Number>> {
        let sql = "SELECT number FROM group_members WHERE group_id = ?1 AND admin = 1";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map([id], |row| Ok(Number::from_sql(row.get(0)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
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

    /// A group names its members by LID from now on, or by number: its messages show it.
    pub(crate) fn set_by_lid(&self, id: &str, by_lid: bool) -> Result<()> {
        let sql = "UPDATE groups SET by_lid = ?2 WHERE id = ?1";
        self.db.prepare_cached(sql)?.execute(params![id, by_lid])?;
        Ok(())
    }

    /// Creates a group owned by its first member; returns its JID.
    pub(crate) fn create_group(
        &mut self,
        subject: &str,
        members: &[Number],
        by_lid: bool,
        kind: &GroupKind,
    ) -> Result<String> {
        if subject.trim().is_empty() || subject.chars().count() > SUBJECT_CHARS_MAX {
            return Err(bad_request("a group's subject has 1 to 100 characters"));
        }
        if members.is_empty() || members.len() > GROUP_MEMBERS_MAX {
            return Err(bad_request(format!("a group has 1 to {GROUP_MEMBERS_MAX} participants")));
        }
        let parent = kind.parent.as_deref().map(|parent| parent.trim_end_matches("@g.us"));
        if let Some(parent) = parent
            && !self.group(parent)?.is_some_and(|group| group.kind.community)
        {
            return Err(bad_request("parent is a community"));
        }
        let id = format!("{GROUP_ID_PREFIX}{:012}", clock::random_below(GROUP_ID_DIGITS));
        self.db
            .prepare_cached(
                "INSERT INTO groups (id, subject, creator, created_ms, by_lid, announcement, \
                 community, parent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                id,
                subject,
                members[0].sql(),
                clock::unix_ms(),
                by_lid,
                kind.announcement,
                kind.community,
                parent
            ])?;
        for (index, member) in members.iter().enumerate() {
            self.db
                .prepare_cached("INSERT OR IGNORE INTO group_members (group_id, number, admin) VALUES (?1, ?2, ?3)")?
                .execute(params![id, member.sql(), index == 0])?;
        }
        self.announce_group(&id)?;
        Ok(Jid::group(id).to_string())
    }

    /// Only admins may write from now on, or everybody again.
    pub(crate) fn set_announcement(
        &mut self,
        id: &str,
        is_so: bool,
        by: Option<Number>,
    ) -> Result<()> {
        let sql = "UPDATE groups SET announcement = ?2 WHERE id = ?1";
        if self.db.prepare_cached(sql)?.execute(params![id, is_so])? == 0 {
            return Err(not_found(format!("there is no group {id:?}")));
        }
        let news = if is_so { "announcement" } else { "not_announcement" };
        self.notify_group(id, by, &NodeBuilder::new(news).build())
    }

    /// A member becomes an admin, or ceases to be one.
    pub(crate) fn set_admin(
        &mut self,
        id: &str,
        member: Number,
        is_so: bool,
        by: Option<Number>,
    ) -> Result<()> {
        let sql = "UPDATE group_members SET admin = ?3 WHERE group_id = ?1 AND number = ?2";
        if self.db.prepare_cached(sql)?.execute(params![id, member.sql(), is_so])? == 0 {
            return Err(not_found(format!("{member} is not in the group {id:?}")));
        }
        let (by_lid, is_hidden) = (self.group_is_by_lid(id)?, self.phone(member)?.hidden);
        let news = NodeBuilder::new(if is_so { "promote" } else { "demote" })
            .children([self.participant(member, by_lid, is_hidden).build()]);
        self.notify_group(id, by, &news.build())
    }

    /// A member joins a group, or leaves it.
    pub(crate) fn change_member(
        &mut self,
        id: &str,
        number: Number,
        joins: bool,
        by: Option<Number>,
    ) -> Result<()> {
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
            .children([self.participant(number, by_lid, is_hidden).build()])
            .build();
        let mut hear = before;
        hear.extend(joins.then_some(number));
        self.notify_members(&group, id, hear, by, &news)
    }

    /// Notifies the members' linked devices of their new group.
    fn announce_group(&mut self, id: &str) -> Result<()> {
        let Some(group) = self.group_node(id)? else {
            return Ok(());
        };
        let create = NodeBuilder::new("create").attr("type", "new").children([group.clone()]);
        let members = self.group_members(id)?;
        self.notify_members(&group, id, members, None, &create.build())
    }

    /// Notifies the members' linked devices of a change of their group; its creator has made it unless
    /// another one is named.
    pub(crate) fn notify_group(&mut self, id: &str, by: Option<Number>, news: &Node) -> Result<()> {
        let Some(group) = self.group_node(id)? else { return Ok(()) };
        let members = self.group_members(id)?;
        self.notify_members(&group, id, members, by, news)
    }

    fn notify_members(
        &mut self,
        group: &Node,
        id: &str,
        members: Vec<Number>,
        by: Option<Number>,
        news: &Node,
    ) -> Result<()> {
        let creator = group.attrs.get("creator").and_then(wacore_binary::NodeValue::to_jid);
        let by_lid = self.group_is_by_lid(id)?;
        let (author, number) = match by {
            Some(by) if by_lid => {
                let is_hidden = self.phone(by)?.hidden;
                (self.lid_jid(by), (!is_hidden).then(|| by.jid()))
            }
            Some(by) => (by.jid(), None),
            None => (creator.unwrap_or_else(super::server), None),
        };
        for member in members {
            for device in self.linked_devices(member)? {
                let mut notification = NodeBuilder::new("notification")
                    .attr("from", Jid::group(id))
                    .attr("participant", author.clone());
                if let Some(number) = &number {
                    notification = notification.attr("participant_pn", number.clone());
                }
                let notification = notification
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

    /// How a group names a member.
    pub(super) fn participant(&self, member: Number, by_lid: bool, is_hidden: bool) -> NodeBuilder {
        let (node, lid) = (NodeBuilder::new("participant"), self.lid_jid(member));
        match (by_lid, is_hidden) {
            (true, true) => node.attr("jid", lid),
            (true, false) => node.attr("jid", lid).attr("phone_number", member.jid()),
            (false, _) => node.attr("jid", member.jid()).attr("lid", lid),
        }
    }
}
