//! What members do with their groups through a linked device: create, change, invite.

use rusqlite::{OptionalExtension as _, params};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef};

use super::groups::{GroupKind, SUBJECT_CHARS_MAX};
use super::{attr, bytes_of, children, error, jid_attr, result};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::Result;
use crate::limits::GROUP_MEMBERS_MAX;
use crate::switchboard::{StanzaClass, Switchboard};

const DESCRIPTION_CHARS_MAX: usize = 2_048;
/// Largest picture of a group, in bytes.
pub(crate) const PICTURE_BYTES_MAX: usize = 512 * 1024;

/// What a group says about itself beside its name.
#[derive(Default)]
struct About {
    description: String,
    description_id: String,
    locked: bool,
    invite: String,
}

impl Switchboard {
    /// `<create>`: the members are who it names, and its creator.
    pub(super) fn created_group(&mut self, creator: Number, node: &NodeRef<'_>) -> Result<Node> {
        let Some(create) = node.get_optional_child("create") else {
            return Ok(error(node, 400, "bad-request"));
        };
        let subject = attr(create, "subject");
        let mut members = vec![creator];
        for asked in children(create).iter().filter(|child| child.tag == "participant") {
            let who = jid_attr(asked, "jid").and_then(|jid| number_of(&jid));
            members.extend(who.filter(|who| *who != creator));
        }
        let is_named = (1..=SUBJECT_CHARS_MAX).contains(&subject.chars().count());
        if !is_named || members.len() > GROUP_MEMBERS_MAX {
            return Ok(error(node, 406, "not-acceptable"));
        }
        let by_lid = self.phone(creator)?.migrated;
        let id = self.create_group(&subject, &members, by_lid, &GroupKind::default())?;
        let made = self.group_node(id.trim_end_matches("@g.us"))?;
        Ok(result(node, made.into_iter().collect()))
    }

    /// Everything else that is asked of one group.
    pub(super) fn administer(
        &mut self,
        number: Number,
        id: &str,
        node: &NodeRef<'_>,
    ) -> Result<Node> {
        let members = self.group_members(id)?;
        if members.is_empty() {
            return Ok(error(node, 404, "item-not-found"));
        }
        if !members.contains(&number) {
            return Ok(error(node, 403, "forbidden"));
        }
        let Some(asked) = children(node).first() else {
            return Ok(error(node, 400, "bad-request"));
        };
        let is_admin = self.admins(id)?.contains(&number);
        let about = self.about(id)?;
        match &*asked.tag {
            "subject" | "description" if about.locked && !is_admin => {
                Ok(error(node, 403, "forbidden"))
            }
            "subject" => self.renamed(number, id, asked, node),
            "description" => self.described(number, id, &about, asked, node),
            _ if !is_admin => Ok(error(node, 403, "forbidden")),
            "announcement" | "not_announcement" => {
                self.set_announcement(id, &*asked.tag == "announcement", Some(number))?;
                Ok(result(node, vec![]))
            }
            "locked" | "unlocked" => {
                self.set_locked(id, &*asked.tag == "locked", Some(number))?;
                Ok(result(node, vec![]))
            }
            "invite" => self.invited(id, about, node),
            "add" | "remove" | "promote" | "demote" => {
                self.members_changed(number, id, asked, node)
            }
            _ => Ok(error(node, 501, "feature-not-implemented")),
        }
    }

    fn renamed(
        &mut self,
        by: Number,
        id: &str,
        asked: &NodeRef<'_>,
        node: &NodeRef<'_>,
    ) -> Result<Node> {
        let subject = String::from_utf8_lossy(&bytes_of(asked)).into_owned();
        if !(1..=SUBJECT_CHARS_MAX).contains(&subject.chars().count()) {
            return Ok(error(node, 406, "not-acceptable"));
        }
        self.set_subject(id, &subject, Some(by))?;
        Ok(result(node, vec![]))
    }

    /// A group is called so from now on.
    pub(crate) fn set_subject(
        &mut self,
        id: &str,
        subject: &str,
        by: Option<Number>,
    ) -> Result<()> {
        let sql = "UPDATE groups SET subject = ?2 WHERE id = ?1";
        self.db.prepare_cached(sql)?.execute(params![id, subject])?;
        let now = clock::unix_s().to_string();
        let news = NodeBuilder::new("subject").attr("subject", subject).attr("s_t", now);
        self.notify_group(id, by, &news.build())
    }

    /// Only admins change its name and description from now on, or everybody again.
    pub(crate) fn set_locked(&mut self, id: &str, is_so: bool, by: Option<Number>) -> Result<()> {
        let about = self.about(id)?;
        self.set_about(id, &About { locked: is_so, ..about })?;
        let news = NodeBuilder::new(if is_so { "locked" } else { "unlocked" }).build();
        self.notify_group(id, by, &news)
    }

    /// The change names the description that it replaces, as the service wants it.
    fn described(
        &mut self,
        by: Number,
        id: &str,
        about: &About,
        asked: &NodeRef<'_>,
        node: &NodeRef<'_>,
    ) -> Result<Node> {
        if attr(asked, "prev") != about.description_id {
            return Ok(error(node, 409, "conflict"));
        }
        let body = asked.get_optional_child("body").map(bytes_of).unwrap_or_default();
        let description = String::from_utf8_lossy(&body).into_owned();
        if description.chars().count() > DESCRIPTION_CHARS_MAX {
            return Ok(error(node, 406, "not-acceptable"));
        }
        self.set_description(id, &description, attr(asked, "id"), Some(by))?;
        Ok(result(node, vec![]))
    }

    /// A group has this description from now on; none when it is empty.
    pub(crate) fn set_description(
        &mut self,
        id: &str,
        text: &str,
        description_id: String,
        by: Option<Number>,
    ) -> Result<()> {
        let About { locked, invite, .. } = self.about(id)?;
        let description_id = if text.is_empty() { String::new() } else { description_id };
        let description = text.to_owned();
        self.set_about(id, &About { description, description_id, locked, invite })?;
        let about = self.about_nodes(id)?.into_iter().find(|node| node.tag == "description");
        let gone = || {
            let gone = [NodeBuilder::new("delete").build()];
            NodeBuilder::new("description").attr("id", clock::message_id()).children(gone).build()
        };
        self.notify_group(id, by, &about.unwrap_or_else(gone))
    }

    /// `w:profile:picture`: the picture of a group, or that it has none any more.
    pub(super) fn on_group_picture(
        &mut self,
        number: Number,
        group: &Jid,
        node: &NodeRef<'_>,
    ) -> Result<Node> {
        let id = group.user.to_string();
        if !self.group_members(&id)?.contains(&number) {
            return Ok(error(node, 403, "forbidden"));
        }
        if self.about(&id)?.locked && !self.admins(&id)?.contains(&number) {
            return Ok(error(node, 403, "forbidden"));
        }
        let picture = node.get_optional_child("picture").map(bytes_of).unwrap_or_default();
        if picture.len() > PICTURE_BYTES_MAX {
            return Ok(error(node, 406, "not-acceptable"));
        }
        let picture_id = self.set_picture(&id, &picture, Some(number))?;
        Ok(result(node, vec![NodeBuilder::new("picture").attr("id", picture_id).build()]))
    }

    /// A group has this picture from now on; none when it is empty. The picture's id.
    pub(crate) fn set_picture(
        &mut self,
        id: &str,
        picture: &[u8],
        by: Option<Number>,
    ) -> Result<String> {
        let sql = "UPDATE groups SET picture = ?2 WHERE id = ?1";
        self.db.prepare_cached(sql)?.execute(params![id, picture])?;
        let picture_id = clock::random_below(1_000_000_000).to_string();
        let news = match picture.is_empty() {
            true => NodeBuilder::new("delete"),
            false => NodeBuilder::new("set").attr("id", picture_id.as_str()),
        };
        let mut news = news.attr("jid", Jid::group(id));
        if let Some(by) = by {
            news = news.attr("author", by.jid());
        }
        let news = news.build();
        for member in self.group_members(id)? {
            for device in self.linked_devices(member)? {
                let notification = NodeBuilder::new("notification")
                    .attr("from", Jid::group(id))
                    .attr("type", "picture")
                    .attr("id", clock::message_id())
                    .attr("t", clock::unix_s().to_string())
                    .children([news.clone()])
                    .build();
                self.mail(device, StanzaClass::Notification, notification)?;
            }
        }
        Ok(picture_id)
    }

    fn invited(&mut self, id: &str, about: About, node: &NodeRef<'_>) -> Result<Node> {
        let is_new = about.invite.is_empty() || attr(node, "type") == "set";
        let invite = match is_new {
            true => hex::encode(clock::random_bytes::<11>()),
            false => about.invite.clone(),
        };
        self.set_about(id, &About { invite: invite.clone(), ..about })?;
        Ok(result(node, vec![NodeBuilder::new("invite").attr("code", invite).build()]))
    }

    fn members_changed(
        &mut self,
        by: Number,
        id: &str,
        asked: &NodeRef<'_>,
        node: &NodeRef<'_>,
    ) -> Result<Node> {
        let mut answers = Vec::new();
        for person in children(asked).iter().filter(|child| child.tag == "participant") {
            let Some(jid) = jid_attr(person, "jid") else { continue };
            let number = number_of(&jid);
            let refused = match number {
                None => Some(404),
                Some(number) => self.member_changed(by, id, &asked.tag, number)?,
            };
            let answer = match number {
                Some(number) if refused.is_none() => {
                    let is_hidden = self.phone(number)?.hidden;
                    self.participant(number, self.group_is_by_lid(id)?, is_hidden)
                }
                _ => NodeBuilder::new("participant").attr("jid", jid),
            };
            answers.push(match refused {
                Some(code) => answer.attr("error", code.to_string()).build(),
                None => answer.build(),
            });
        }
        let done = NodeBuilder::new_dynamic(asked.tag.to_string()).children(answers).build();
        Ok(result(node, vec![done]))
    }

    /// One person's change; the code of what speaks against it.
    fn member_changed(
        &mut self,
        by: Number,
        id: &str,
        change: &str,
        number: Number,
    ) -> Result<Option<u16>> {
        let by = Some(by);
        let is_member = self.group_members(id)?.contains(&number);
        match (change, is_member) {
            ("add", true) => return Ok(Some(409)),
            ("add", false) if !self.phone(number)?.registered => return Ok(Some(404)),
            ("add", false) => self.change_member(id, number, true, by)?,
            (_, false) => return Ok(Some(404)),
            ("remove", true) => self.change_member(id, number, false, by)?,
            (change, true) => self.set_admin(id, number, change == "promote", by)?,
        }
        Ok(None)
    }

    /// Description and lock, as a group's node shows them.
    pub(super) fn about_nodes(&self, id: &str) -> Result<Vec<Node>> {
        let about = self.about(id)?;
        let description = (!about.description.is_empty()).then(|| {
            let body = NodeBuilder::new("body").string_content(about.description.as_str()).build();
            NodeBuilder::new("description")
                .attr("id", about.description_id.as_str())
                .children([body])
                .build()
        });
        let locked = about.locked.then(|| NodeBuilder::new("locked").build());
        Ok(description.into_iter().chain(locked).collect())
    }

    fn about(&self, id: &str) -> Result<About> {
        let sql = "SELECT description, description_id, locked, invite FROM groups WHERE id = ?1";
        let mut query = self.db.prepare_cached(sql)?;
        let found = query.query_row([id], |row| {
            Ok(About {
                description: row.get(0)?,
                description_id: row.get(1)?,
                locked: row.get(2)?,
                invite: row.get(3)?,
            })
        });
        Ok(found.optional()?.unwrap_or_default())
    }

    fn set_about(&mut self, id: &str, about: &About) -> Result<()> {
        let sql = "UPDATE groups SET description = ?2, description_id = ?3, locked = ?4, invite = ?5 \
                   WHERE id = ?1";
        let About { description, description_id, locked, invite } = about;
        let values = params![id, description, description_id, locked, invite];
        self.db.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }
}

/// Who is meant by an address of either kind.
fn number_of(jid: &Jid) -> Option<Number> {
    DeviceAddr::from_jid(jid).map(|device| device.number)
}
