//! Keys of linked devices: uploads, counts, digests, and bundles for whoever writes to them.
//!
//! A phone's bundle is derived; a linked device's comes from what it uploaded, one one-time
//! prekey per bundle, and none when they have run out (as the real server does).

use rusqlite::{OptionalExtension as _, params};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef};

use super::{attr, bytes_of, child_bytes, children, error, jid_attr, result};
use crate::address::DeviceAddr;
use crate::error::{Result, SimulatorError};
use crate::keys::{PhoneKeys, SIGNED_PREKEY_ID};
use crate::limits::{PREKEYS_MAX, QUERY_USERS_MAX};
use crate::switchboard::{ConnId, Switchboard};

/// The type byte of Curve25519 keys.
const DJB_TYPE: u8 = 5;

/// What somebody needs to begin a Signal session with a device.
pub(crate) struct Bundle {
    pub(crate) registration_id: u32,
    pub(crate) identity: Vec<u8>,
    pub(crate) signed_id: u32,
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) one_time: Option<(u32, Vec<u8>)>,
    /// The proof that the phone has linked the device.
    pub(crate) identity_proof: Option<Vec<u8>>,
}

impl Switchboard {
    pub(super) fn on_keys(
        &mut self,
        conn: ConnId,
        device: DeviceAddr,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let get = attr(node, "type") == "get";
        let has = |tag: &str| node.get_optional_child(tag).is_some();
        let answer = if get && has("count") {
            let count = self.prekey_count(device)?.to_string();
            result(node, vec![NodeBuilder::new("count").attr("value", count).build()])
        } else if get && has("digest") {
            // The client compares; without a digest it uploads its keys again.
            error(node, 404, "item-not-found")
        } else if get && has("key") {
            self.bundles(node)?
        } else if !get && has("rotate") {
            let skey = node.get_optional_child_by_tag(&["rotate", "skey"]);
            self.store_signed_prekey(device, skey)?;
            result(node, vec![])
        } else if !get && has("list") {
            self.store_keys(device, node)?;
            result(node, vec![])
        } else {
            error(node, 400, "bad-request")
        };
        self.send(conn, answer);
        Ok(())
    }

    fn prekey_count(&self, device: DeviceAddr) -> Result<i64> {
        let sql = "SELECT COUNT(*) FROM prekeys WHERE number = ?1 AND device = ?2";
        let key = params![device.number.sql(), device.device];
        Ok(self.db.prepare_cached(sql)?.query_row(key, |row| row.get(0))?)
    }

    fn store_keys(&mut self, device: DeviceAddr, node: &NodeRef<'_>) -> Result<()> {
        let registration = be_u32(&child_bytes(node, "registration"));
        let identity = child_bytes(node, "identity");
        if identity.len() == 32 {
            self.db
                .prepare_cached(
                    "UPDATE devices SET registration = ?3, identity_key = ?4 \
                     WHERE number = ?1 AND device = ?2",
                )?
                .execute(params![device.number.sql(), device.device, registration, identity])?;
        }
        self.store_signed_prekey(device, node.get_optional_child("skey"))?;
        let keys = node.get_optional_child("list").map(children).unwrap_or_default();
        let mut insert = self.db.prepare_cached(
            "INSERT OR REPLACE INTO prekeys (number, device, id, key) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for key in keys.iter().take(PREKEYS_MAX) {
            let (id, value) = (be_u32(&child_bytes(key, "id")), child_bytes(key, "value"));
            if value.len() == 32 {
                insert.execute(params![device.number.sql(), device.device, id, value])?;
            }
        }
        drop(insert);
        self.share_app_state_key(device)
    }

    fn store_signed_prekey(&self, device: DeviceAddr, skey: Option<&NodeRef<'_>>) -> Result<()> {
        let Some(skey) = skey else { return Ok(()) };
        let id = be_u32(&child_bytes(skey, "id"));
        let (value, signature) = (child_bytes(skey, "value"), child_bytes(skey, "signature"));
        if value.len() != 32 || signature.len() != 64 {
            return Err(SimulatorError::Protocol("a signed prekey of the wrong size"));
        }
        self.db
            .prepare_cached(
                "UPDATE devices SET skey_id = ?3, skey = ?4, skey_signature = ?5 \
                 WHERE number = ?1 AND device = ?2",
            )?
            .execute(params![device.number.sql(), device.device, id, value, signature])?;
        Ok(())
    }

    fn bundles(&mut self, node: &NodeRef<'_>) -> Result<Node> {
        let asked = node.get_optional_child("key").map(children).unwrap_or_default();
        let mut users = Vec::with_capacity(asked.len().min(QUERY_USERS_MAX));
        for user in asked.iter().take(QUERY_USERS_MAX) {
            let Some(jid) = jid_attr(user, "jid") else {
                continue;
            };
            let bundle = match DeviceAddr::from_jid(&jid) {
                Some(device) => self.bundle(device)?,
                None => None,
            };
            users.push(bundle_node(jid, bundle));
        }
        Ok(result(node, vec![NodeBuilder::new("list").children(users).build()]))
    }

    /// A device's bundle; uses up one of its one-time prekeys.
    pub(crate) fn bundle(&mut self, device: DeviceAddr) -> Result<Option<Bundle>> {
        if !self.phone(device.number)?.registered {
            return Ok(None);
        }
        match device.is_phone() {
            true => self.phone_bundle(device).map(Some),
            false => self.linked_bundle(device),
        }
    }

    fn phone_bundle(&mut self, device: DeviceAddr) -> Result<Bundle> {
        let keys = self.keys_of(device.number)?;
        let (signed, signature) = keys.signed_prekey()?;
        let id = PhoneKeys::fresh_prekey_id();
        let one_time = keys.prekey(id)?.public_key()?.public_key_bytes().to_vec();
        Ok(Bundle {
            registration_id: keys.registration_id(),
            identity: keys.identity.public_key().public_key_bytes().to_vec(),
            signed_id: SIGNED_PREKEY_ID,
            signed: signed.public_key.public_key_bytes().to_vec(),
            signature: signature.to_vec(),
            one_time: Some((id, one_time)),
            identity_proof: None,
        })
    }

    fn linked_bundle(&mut self, device: DeviceAddr) -> Result<Option<Bundle>> {
        let key = params![device.number.sql(), device.device];
        let bundle = self
            .db
            .prepare_cached(
                "SELECT registration, identity_key, skey_id, skey, skey_signature, identity_proof \
                 FROM devices WHERE number = ?1 AND device = ?2",
            )?
            .query_row(key, |row| {
                Ok(Bundle {
                    registration_id: row.get(0)?,
                    identity: row.get(1)?,
                    signed_id: row.get(2)?,
                    signed: row.get(3)?,
                    signature: row.get(4)?,
                    one_time: None,
                    identity_proof: Some(row.get(5)?),
                })
            })
            .optional()?;
        let Some(mut bundle) = bundle else {
            return Ok(None);
        };
        bundle.one_time = self
            .db
            .prepare_cached(
                "DELETE FROM prekeys WHERE number = ?1 AND device = ?2 AND id = \
                 (SELECT MIN(id) FROM prekeys WHERE number = ?1 AND device = ?2) \
                 RETURNING id, key",
            )?
            .query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(Some(bundle))
    }
}

fn bundle_node(jid: Jid, bundle: Option<Bundle>) -> Node {
    let user = NodeBuilder::new("user").attr("jid", jid);
    let Some(bundle) = bundle else {
        let error = NodeBuilder::new("error").attr("code", "406").attr("text", "not-acceptable");
        return user.children([error.build()]).build();
    };
    let leaf = |tag: &'static str, bytes: Vec<u8>| NodeBuilder::new(tag).bytes(bytes).build();
    let key = |tag: &'static str, id: u32, value: Vec<u8>| {
        NodeBuilder::new(tag)
            .children([leaf("id", id.to_be_bytes()[1..].to_vec()), leaf("value", value)])
    };
    let mut content = vec![
        leaf("registration", bundle.registration_id.to_be_bytes().to_vec()),
        leaf("type", vec![DJB_TYPE]),
        leaf("identity", bundle.identity),
    ];
    if let Some((id, value)) = bundle.one_time {
        content.push(key("key", id, value).build());
    }
    let skey = NodeBuilder::new("skey").children([
        leaf("id", bundle.signed_id.to_be_bytes()[1..].to_vec()),
        leaf("value", bundle.signed),
        leaf("signature", bundle.signature),
    ]);
    content.push(skey.build());
    if let Some(proof) = bundle.identity_proof {
        content.push(leaf("device-identity", proof));
    }
    user.attr("t", crate::clock::unix_s().to_string()).children(content).build()
}

/// Up to four big-endian bytes.
pub(crate) fn be_u32(bytes: &[u8]) -> u32 {
    bytes.iter().take(4).fold(0, |sum, b| sum << 8 | u32::from(*b))
}

/// A bundle sent inside a retry receipt.
pub(crate) fn bundle_in_retry(node: &NodeRef<'_>) -> Option<Bundle> {
    let keys = node.get_optional_child("keys")?;
    let skey = keys.get_optional_child("skey")?;
    let one_time = keys.get_optional_child("key");
    Some(Bundle {
        registration_id: be_u32(&child_bytes(node, "registration")),
        identity: child_bytes(keys, "identity"),
        signed_id: be_u32(&child_bytes(skey, "id")),
        signed: child_bytes(skey, "value"),
        signature: child_bytes(skey, "signature"),
        one_time: one_time.map(|key| (be_u32(&child_bytes(key, "id")), child_bytes(key, "value"))),
        identity_proof: keys.get_optional_child("device-identity").map(bytes_of),
    })
}
