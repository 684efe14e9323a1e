//! Which numbers are on WhatsApp, and their devices.

use rusqlite::params;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef};
use waproto::buffa::Message as _;
use waproto::whatsapp::{ADVKeyIndexList, ADVSignedKeyIndexList};

use super::{attr, bytes_of, children, jid_attr, result};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::Result;
use crate::limits::QUERY_USERS_MAX;
use crate::switchboard::{ConnId, StanzaClass, Switchboard};

/// Before the account's signature over a key-index list.
const KEY_INDEX_PREFIX: [u8; 2] = [6, 2];

impl Switchboard {
    pub(super) fn on_usync(
        &mut self,
        conn: ConnId,
        _asker: DeviceAddr,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let Some(usync) = node.get_optional_child("usync") else {
            self.send(conn, super::error(node, 400, "bad-request"));
            return Ok(());
        };
        let protocols: Vec<String> = usync
            .get_optional_child("query")
            .map(children)
            .unwrap_or_default()
            .iter()
            .map(|protocol| protocol.tag.to_string())
            .collect();
        let asked = usync.get_optional_child("list").map(children).unwrap_or_default();
        let mut users = Vec::with_capacity(asked.len().min(QUERY_USERS_MAX));
        for user in asked.iter().take(QUERY_USERS_MAX) {
            users.push(self.usync_user(user, &protocols)?);
        }
        let states = protocols.iter().map(|name| NodeBuilder::new_dynamic(name.clone()).build());
        let answer = NodeBuilder::new("usync")
            .attr("sid", attr(usync, "sid"))
            .attr("mode", attr(usync, "mode"))
            .attr("context", attr(usync, "context"))
            .attr("index", "0")
            .attr("last", "true")
            .children([
                NodeBuilder::new("result").children(states).build(),
                NodeBuilder::new("list").children(users).build(),
            ])
            .build();
        self.send(conn, result(node, vec![answer]));
        Ok(())
    }

    fn usync_user(&mut self, user: &NodeRef<'_>, protocols: &[String]) -> Result<Node> {
        let asked_contact = user.get_optional_child("contact").map(bytes_of);
        let text =
            asked_contact.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let jid = jid_attr(user, "jid");
        let number = match (&jid, &text) {
            (Some(jid), _) => DeviceAddr::from_jid(jid).map(|device| device.number),
            (None, Some(text)) => digits(text).and_then(|digits| Number::parse(&digits)),
            (None, None) => None,
        };
        let number = match number {
            // A check answers the account's own spelling.
            Some(number) if asked_contact.is_some() => {
                Some(self.phone(number)?.answers_as.unwrap_or(number))
            }
            number => number,
        };
        let jid = jid.filter(|_| asked_contact.is_none());
        let is_gone = jid.as_ref().is_some_and(|jid| self.is_of_former_owner(jid));
        let registered = match number {
            Some(number) => self.phone(number)?.registered && !is_gone,
            None => false,
        };
        let mut content = Vec::new();
        for protocol in protocols {
            let answer = match (&**protocol, number) {
                ("contact", _) => Some(contact(registered, text.clone())),
                ("devices", Some(number)) if registered => Some(self.device_list(number)?),
                ("lid", Some(number)) if registered => {
                    Some(NodeBuilder::new("lid").attr("val", self.lid_jid(number)).build())
                }
                ("status", _) if registered => Some(NodeBuilder::new("status").build()),
                _ => None,
            };
            content.extend(answer);
        }
        // A number that cannot be one is named as it was asked for.
        let impossible = || text.as_deref().and_then(digits).map(Jid::pn);
        let shown = jid.map(Jid::into_non_ad).or(number.map(Number::jid)).or_else(impossible);
        let mut out = NodeBuilder::new("user");
        if let Some(shown) = shown {
            if let (true, Some(number)) = (shown.is_lid(), number)
                && !self.phone(number)?.hidden
            {
                out = out.attr("pn_jid", number.jid());
            }
            out = out.attr("jid", shown);
        }
        Ok(out.children(content).build())
    }

    fn device_list(&mut self, number: Number) -> Result<Node> {
        let linked = self.key_indexes(number)?;
        let devices = std::iter::once((0, 0)).chain(linked.iter().copied());
        let list = devices.map(|(device, index)| {
            let node = NodeBuilder::new("device").attr("id", device.to_string());
            match device {
                0 => node.build(),
                _ => node.attr("key-index", index.to_string()).build(),
            }
        });
        let mut content = vec![NodeBuilder::new("device-list").children(list).build()];
        if !linked.is_empty() {
            content.push(self.key_index_list(number, &linked)?);
        }
        Ok(NodeBuilder::new("devices").children(content).build())
    }

    /// The phone's signed list of its linked devices' key indexes.
    fn key_index_list(&mut self, number: Number, linked: &[(u16, u32)]) -> Result<Node> {
        let keys = self.keys_of(number)?;
        let now = clock::unix_s();
        let details = ADVKeyIndexList {
            raw_id: Some(keys.raw_id()),
            timestamp: u64::try_from(now).ok(),
            current_index: linked.iter().map(|(_, index)| *index).max(),
            valid_indexes: std::iter::once(0).chain(linked.iter().map(|(_, i)| *i)).collect(),
            ..Default::default()
        }
        .encode_to_vec();
        let signed = [&KEY_INDEX_PREFIX[..], &details].concat();
        let signature =
            keys.identity.private_key().calculate_signature(&signed, &mut clock::rng())?;
        let list = ADVSignedKeyIndexList {
            details: Some(details),
            account_signature: Some(signature.to_vec()),
            account_signature_key: Some(keys.identity.public_key().public_key_bytes().to_vec()),
        };
        Ok(NodeBuilder::new("key-index-list")
            .attr("ts", now.to_string())
            .bytes(list.encode_to_vec())
            .build())
    }

    fn key_indexes(&self, number: Number) -> Result<Vec<(u16, u32)>> {
        let sql = "SELECT device, key_index FROM devices WHERE number = ?1 ORDER BY device";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map([number.sql()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The linked devices of a number.
    pub(crate) fn linked_devices(&self, number: Number) -> Result<Vec<DeviceAddr>> {
        let devices = self.key_indexes(number)?;
        Ok(devices.into_iter().map(|(device, _)| DeviceAddr { number, device }).collect())
    }

    /// Notifies the devices that have a chat with `device`'s owner, and the owner's other
    /// devices, that the owner's device list has changed.
    pub(crate) fn notify_device_list_changed(
        &mut self,
        device: DeviceAddr,
        change: &'static str,
    ) -> Result<()> {
        let mut index = 0;
        for (listed, key_index) in self.key_indexes(device.number)? {
            if listed == device.device {
                index = key_index;
            }
        }
        let linked = self.key_indexes(device.number)?;
        let list = self.key_index_list(device.number, &linked)?;
        let entry = NodeBuilder::new("device")
            .attr("jid", device.jid())
            .attr("key-index", index.to_string())
            .build();
        let change = NodeBuilder::new(change).children([entry, list]).build();
        for peer in self.correspondents(device.number)? {
            if peer == device {
                continue;
            }
            let notification = NodeBuilder::new("notification")
                .attr("from", device.number.jid())
                .attr("type", "devices")
                .attr("id", clock::message_id())
                .attr("t", clock::unix_s().to_string())
                .attr("lid", self.lid_jid(device.number))
                .children([change.clone()])
                .build();
            self.mail(peer, StanzaClass::Notification, notification)?;
        }
        Ok(())
    }

    /// The linked devices of everyone who has a chat with `number`, and its own.
    pub(crate) fn correspondents(&self, number: Number) -> Result<Vec<DeviceAddr>> {
        let sql = "SELECT d.number, d.device FROM devices d WHERE d.number = ?1 \
                   OR d.number IN (SELECT DISTINCT sender FROM inbox WHERE number = ?1 LIMIT 1000)";
        let mut query = self.db.prepare_cached(sql)?;
        let rows = query.query_map(params![number.sql()], |row| {
            Ok(DeviceAddr { number: Number::from_sql(row.get(0)?), device: row.get(1)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn contact(registered: bool, text: Option<String>) -> Node {
    let kind = if registered { "in" } else { "out" };
    let node = NodeBuilder::new("contact").attr("type", kind);
    match text {
        Some(text) => node.bytes(text.into_bytes()).build(),
        None => node.build(),
    }
}

/// The digits of a number as people write it.
fn digits(text: &str) -> Option<String> {
    let text = text.split('@').next()?;
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}
