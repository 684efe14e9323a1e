//! Keys of linked devices: uploads, counts, digests, and bundles for their senders.
//!
//! A phone's bundle is derived; a linked device's comes from what it uploaded, one one-time
//! prekey per bundle, and none when they have run out (as the real server does).

use rusqlite::{OptionalExtension as _, params};
use wacore::prekeys::compute_key_bundle_digest;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef};
use wacore_libsignal::protocol::PublicKey;

use super::{attr, bytes_of, child_bytes, children, error, jid_attr, result};
use crate::address::DeviceAddr;
use crate::error::{Result, SimulatorError};
use crate::keys::{PhoneKeys, SIGNED_PREKEY_ID};
use crate::limits::{PREKEYS_MAX, QUERY_USERS_MAX};
use crate::phone::BundleKind;
use crate::switchboard::{ConnId, StanzaClass, Switchboard};

/// The type byte of Curve25519 keys.
const DJB_TYPE: u8 = 5;
/// A device with fewer one-time prekeys is asked for more.
const PREKEYS_LOW: i64 = 5;

/// The keys that start a Signal session with a device.
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
            self.digest(device, node)?
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

    /// A digest of a device's stored keys, for the device to compare. Without prekeys it is an
    /// error, and the client uploads new ones.
    fn digest(&self, device: DeviceAddr, node: &NodeRef<'_>) -> Result<Node> {
        let sql = "SELECT id, key FROM prekeys WHERE number = ?1 AND device = ?2 ORDER BY id";
        let keys: Vec<(u32, Vec<u8>)> = {
            let mut query = self.db.prepare_cached(sql)?;
            let rows = query.query_map(params![device.number.sql(), device.device], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            rows.collect::<Result<_, _>>()?
        };
        let Some(bundle) = self.stored_bundle(device)?.filter(|_| !keys.is_empty()) else {
            return Ok(error(node, 404, "item-not-found"));
        };
        let values: Vec<&[u8]> = keys.iter().map(|(_, key)| &key[..]).collect();
        let hash =
            compute_key_bundle_digest(&bundle.identity, &bundle.signed, &bundle.signature, &values);
        let ids = keys.iter().map(|(id, _)| leaf("id", three_bytes(*id)));
        let digest = NodeBuilder::new("digest").children([
            leaf("registration", bundle.registration_id.to_be_bytes().to_vec()),
            leaf("type", vec![DJB_TYPE]),
            leaf("identity", bundle.identity.clone()),
            signed_prekey_node(&bundle),
            NodeBuilder::new("list").children(ids).build(),
            leaf("hash", hash),
        ]);
        Ok(result(node, vec![digest.build()]))
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
        let identity = self.stored_bundle(device)?.map(|bundle| bundle.identity);
        check_signed_prekey(&identity.unwrap_or_default(), &value, &signature)?;
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
            let Some(device) = DeviceAddr::from_jid(&jid) else {
                users.push(bundle_node(jid, None));
                continue;
            };
            let kind = self.bundle_kind(device.number)?;
            let bundle = match kind {
                BundleKind::None => continue,
                BundleKind::Refused => None,
                BundleKind::Normal | BundleKind::NoOneTime => self.bundle(device)?,
            };
            let without_one_time = |bundle: Bundle| Bundle { one_time: None, ..bundle };
            let bundle = match kind {
                BundleKind::NoOneTime => bundle.map(without_one_time),
                _ => bundle,
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

    /// What a device has uploaded, without a one-time prekey.
    fn stored_bundle(&self, device: DeviceAddr) -> Result<Option<Bundle>> {
        Ok(self
            .db
            .prepare_cached(
                "SELECT registration, identity_key, skey_id, skey, skey_signature, identity_proof \
                 FROM devices WHERE number = ?1 AND device = ?2",
            )?
            .query_row(params![device.number.sql(), device.device], |row| {
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
            .optional()?)
    }

    fn linked_bundle(&mut self, device: DeviceAddr) -> Result<Option<Bundle>> {
        let key = params![device.number.sql(), device.device];
        let Some(mut bundle) = self.stored_bundle(device)? else {
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
        if bundle.one_time.is_some() && self.prekey_count(device)? == PREKEYS_LOW {
            self.ask_for_prekeys(device)?;
        }
        Ok(Some(bundle))
    }

    /// Notifies a device that its one-time prekeys run low.
    fn ask_for_prekeys(&mut self, device: DeviceAddr) -> Result<()> {
        let count = NodeBuilder::new("count").attr("value", PREKEYS_LOW.to_string());
        let notification = NodeBuilder::new("notification")
            .attr("from", super::server())
            .attr("type", "encrypt")
            .attr("id", crate::clock::message_id())
            .attr("t", crate::clock::unix_s().to_string())
            .children([count.build()])
            .build();
        self.mail(device, StanzaClass::Notification, notification)
    }
}

/// Whether a device's identity has signed its prekey.
pub(super) fn check_signed_prekey(identity: &[u8], key: &[u8], signature: &[u8]) -> Result<()> {
    if key.len() != 32 || signature.len() != 64 {
        return Err(SimulatorError::Protocol("a signed prekey of the wrong size"));
    }
    let identity = PublicKey::from_djb_public_key_bytes(identity)?;
    let key = PublicKey::from_djb_public_key_bytes(key)?;
    match identity.verify_signature(&key.serialize(), signature) {
        true => Ok(()),
        false => Err(SimulatorError::Protocol("a signed prekey that its identity has not signed")),
    }
}

fn bundle_node(jid: Jid, bundle: Option<Bundle>) -> Node {
    let user = NodeBuilder::new("user").attr("jid", jid);
    let Some(bundle) = bundle else {
        let error = NodeBuilder::new("error").attr("code", "406").attr("text", "not-acceptable");
        return user.children([error.build()]).build();
    };
    let mut content = vec![leaf("registration", bundle.registration_id.to_be_bytes().to_vec())];
    content.extend(key_nodes(bundle));
    user.attr("t", crate::clock::unix_s().to_string()).children(content).build()
}

/// A bundle for the sender who is asked to resend a message; read by [`bundle_in_retry`].
pub(crate) fn retry_keys(bundle: Bundle) -> Node {
    NodeBuilder::new("keys").children(key_nodes(bundle)).build()
}

fn key_nodes(bundle: Bundle) -> Vec<Node> {
    let signed = signed_prekey_node(&bundle);
    let mut content = vec![leaf("type", vec![DJB_TYPE]), leaf("identity", bundle.identity)];
    if let Some((id, value)) = bundle.one_time {
        let key = NodeBuilder::new("key");
        let key = key.children([leaf("id", three_bytes(id)), leaf("value", value)]);
        content.push(key.build());
    }
    content.push(signed);
    if let Some(proof) = bundle.identity_proof {
        content.push(leaf("device-identity", proof));
    }
    content
}

fn signed_prekey_node(bundle: &Bundle) -> Node {
    NodeBuilder::new("skey")
        .children([
            leaf("id", three_bytes(bundle.signed_id)),
            leaf("value", bundle.signed.clone()),
            leaf("signature", bundle.signature.clone()),
        ])
        .build()
}

fn leaf(tag: &'static str, bytes: Vec<u8>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// Key ids on the wire.
fn three_bytes(id: u32) -> Vec<u8> {
    id.to_be_bytes()[1..].to_vec()
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
