//! Pairing a client with a phone, by QR or by code: the server's side.
//!
//! The phone's cryptography is in [`crate::phone::pairing`]. A device exists once it has
//! returned the phone's certificate signed with its own key, not before.

use rusqlite::params;
use tokio::sync::oneshot;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use wacore_libsignal::protocol::KeyPair;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;

use super::keys::be_u32;
use super::{attr, child_bytes, error, jid_attr, result, server};
use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, SimulatorError, bad_request, conflict, not_found};
use crate::limits::{CODES_MAX, LINKED_DEVICES_MAX};
use crate::phone::pairing::{
    self, CodeExchange, PairingOutcome, PairingReply, PairingState, PendingCode, QrCode,
};
use crate::switchboard::{ConnId, Peer, Switchboard};

/// References offered to one client: its QR codes, one after the other.
const REFS: usize = 6;

impl Switchboard {
    /// Sends an unpaired client the references for its QR codes.
    pub(crate) fn offer_pairing(&mut self, conn: ConnId) -> Result<()> {
        let mut refs = Vec::with_capacity(REFS);
        for _ in 0..REFS {
            let text = format!("2@{}", hex::encode(clock::random_bytes::<24>()));
            self.refs.insert(text.clone(), conn);
            refs.push(NodeBuilder::new("ref").bytes(text.into_bytes()).build());
        }
        let pair = NodeBuilder::new("pair-device").children(refs).build();
        let iq = iq_set(pair, "md");
        self.send(conn, iq);
        Ok(())
    }

    /// The phone scans a QR text. The reply comes when the client has finished pairing.
    pub(crate) fn scan(
        &mut self,
        number: Number,
        qr: &QrCode,
    ) -> Result<oneshot::Receiver<Result<PairingOutcome>>> {
        self.may_pair(number)?;
        let conn = self.refs.get(&qr.reference).copied().ok_or_else(|| {
            not_found(
                "no client is showing this QR code (it may have expired; take the newest one)",
            )
        })?;
        let (noise, data) = match self.conns.get(&conn) {
            Some(found) => match &found.peer {
                Peer::Unpaired(data) => (found.client_static, data),
                Peer::Device(_) => return Err(conflict("that client is linked already")),
            },
            None => return Err(not_found("the client that showed this QR code is gone")),
        };
        if noise != qr.noise_key || data.e_ident.as_deref() != Some(&qr.identity_key) {
            return Err(bad_request("this QR code does not belong to the client that shows it"));
        }
        let (reply, answer) = oneshot::channel();
        self.certify_or_challenge(conn, number, &qr.adv_secret, reply)?;
        Ok(answer)
    }

    /// Whether the phone can link one more device.
    pub(crate) fn may_pair(&mut self, number: Number) -> Result<()> {
        let phone = self.phone(number)?;
        if !phone.registered {
            return Err(conflict(format!("{number} is not registered with WhatsApp")));
        }
        if !phone.online {
            return Err(conflict(format!("the phone {number} is offline")));
        }
        if self.linked_devices(number)?.len() >= LINKED_DEVICES_MAX {
            return Err(conflict(format!("{number} has too many linked devices")));
        }
        Ok(())
    }

    /// Sends the phone's certificate, unless the account demands a passkey first.
    fn certify_or_challenge(
        &mut self,
        conn: ConnId,
        number: Number,
        adv_secret: &[u8],
        reply: PairingReply,
    ) -> Result<()> {
        if !self.phone(number)?.passkey {
            return self.pair_success(conn, number, adv_secret, reply);
        }
        self.demand_passkey(conn, number);
        self.after_commit(move |_| {
            let _ = reply.send(Ok(PairingOutcome::PasskeyDemanded));
        });
        Ok(())
    }

    /// Sends the phone's certificate for the client's identity, and awaits its signature.
    pub(super) fn pair_success(
        &mut self,
        conn: ConnId,
        number: Number,
        adv_secret: &[u8],
        reply: PairingReply,
    ) -> Result<()> {
        let identity = match self.conns.get(&conn).map(|conn| &conn.peer) {
            Some(Peer::Unpaired(data)) => data.e_ident.clone().unwrap_or_default(),
            _ => return Err(not_found("the client is gone")),
        };
        let device = self.next_device_number(number)?;
        let addr = DeviceAddr { number, device };
        let keys = self.keys_of(number)?;
        let key_index = u32::from(device);
        let certificate = pairing::certify(&keys, &identity, key_index, adv_secret)?;
        let leaf = |tag: &'static str| NodeBuilder::new(tag);
        let mut content = vec![
            leaf("device-identity").bytes(certificate.container).build(),
            leaf("biz").attr("name", format!("Phone {number}")).build(),
            leaf("platform").attr("name", "android").build(),
            leaf("device").attr("jid", addr.jid()).attr("lid", self.device_lid_jid(addr)).build(),
        ];
        if self.is_migrated(number)? {
            let props = wa::ClientPairingProps {
                is_chat_db_lid_migrated: Some(true),
                ..Default::default()
            };
            content.push(leaf("client-props").bytes(props.encode_to_vec()).build());
        }
        let success = leaf("pair-success").children(content).build();
        let iq = iq_set(success, "md");
        let iq_id = iq.attrs.get("id").map(ToString::to_string).unwrap_or_default();
        self.send(conn, iq);
        let link = PairingState::AwaitSignature {
            addr,
            key_index,
            details: certificate.details,
            iq_id,
            reply,
        };
        self.pairings.insert(conn, link);
        Ok(())
    }

    /// Device numbers are one byte: the next one never used, else the lowest free one.
    pub(crate) fn next_device_number(&mut self, number: Number) -> Result<u16> {
        let next: u16 = self
            .db
            .prepare_cached(
                "INSERT INTO phones (number, next_device, seen_ms) VALUES (?1, 2, ?2) \
                 ON CONFLICT (number) DO UPDATE SET next_device = next_device + 1 \
                 RETURNING next_device - 1",
            )?
            .query_row(params![number.sql(), clock::unix_ms()], |row| row.get(0))?;
        if next <= 250 {
            return Ok(next);
        }
        let used = self.linked_devices(number)?;
        (1..=250)
            .find(|free| used.iter().all(|addr| addr.device != *free))
            .ok_or_else(|| conflict("no device number is free"))
    }

    /// A client's answer to a query of the server: a ping, or what pairing asks.
    pub(super) fn on_iq_answer(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        self.on_pong(conn, &attr(node, "id"));
        let signed = match self.pairings.get(&conn) {
            Some(PairingState::AwaitSignature { iq_id, .. }) => *iq_id == attr(node, "id"),
            _ => false,
        };
        if !signed {
            return Ok(());
        }
        let Some(PairingState::AwaitSignature { addr, key_index, details, reply, .. }) =
            self.pairings.remove(&conn)
        else {
            return Ok(());
        };
        let proof = node
            .get_optional_child_by_tag(&["pair-device-sign", "device-identity"])
            .map(super::bytes_of)
            .unwrap_or_default();
        let linked = self.store_linked(conn, addr, key_index, &details, &proof);
        let outcome = match linked {
            Ok(()) => Ok(PairingOutcome::Device(addr.device)),
            Err(error) => {
                self.close(conn);
                Err(bad_request(format!("the client did not finish linking: {error}")))
            }
        };
        self.after_commit(move |_| {
            let _ = reply.send(outcome);
        });
        Ok(())
    }

    fn store_linked(
        &mut self,
        conn: ConnId,
        addr: DeviceAddr,
        key_index: u32,
        details: &[u8],
        proof: &[u8],
    ) -> Result<()> {
        let (noise, language, data) = match self.conns.get(&conn) {
            Some(found) => match &found.peer {
                Peer::Unpaired(data) => (found.client_static, found.language.clone(), data.clone()),
                Peer::Device(_) => return Err(SimulatorError::Protocol("linked already")),
            },
            None => return Err(SimulatorError::Closed),
        };
        let keys = self.keys_of(addr.number)?;
        let identity = data.e_ident.unwrap_or_default();
        pairing::check_signature(&keys, details, &identity, proof)?;
        let of_data = |bytes: &Option<Vec<u8>>| bytes.clone().unwrap_or_default();
        let (key, signature) = (of_data(&data.e_skey_val), of_data(&data.e_skey_sig));
        super::keys::check_signed_prekey(&identity, &key, &signature)?;
        let now = clock::unix_ms();
        let shown = pairing::shown_as(data.device_props.as_deref());
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO devices (number, device, noise_key, identity_key, \
                 registration, skey_id, skey, skey_signature, identity_proof, key_index, platform, \
                 push_name, linked_ms, seen_ms, dirty, client, language) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                addr.number.sql(),
                addr.device,
                noise,
                identity,
                be_u32(&data.e_regid.unwrap_or_default()),
                be_u32(&data.e_skey_id.unwrap_or_default()),
                data.e_skey_val.unwrap_or_default(),
                data.e_skey_sig.unwrap_or_default(),
                proof,
                key_index,
                shown.name,
                format!("Phone {}", addr.number),
                now,
                super::pings::DIRTY_AT_FIRST,
                shown.client,
                language
            ])?;
        self.notify_device_list_changed(addr, "add")?;
        self.end_with(conn, 515);
        self.phone_changed(addr.number);
        Ok(())
    }

    /// The two steps of a client that is paired by code.
    pub(super) fn on_link_code(&mut self, conn: ConnId, node: &NodeRef<'_>) -> Result<()> {
        let Some(step) = node.get_optional_child("link_code_companion_reg") else {
            return Ok(());
        };
        match &*attr(step, "stage") {
            "companion_hello" => {
                let answer = self.companion_hello(conn, node, step);
                self.send(conn, answer);
                Ok(())
            }
            "companion_finish" => {
                self.send(conn, result(node, vec![]));
                self.companion_finish(conn, step)
            }
            _ => {
                self.send(conn, error(node, 400, "bad-request"));
                Ok(())
            }
        }
    }

    fn companion_hello(&mut self, conn: ConnId, node: &NodeRef<'_>, step: &NodeRef<'_>) -> Node {
        let number = jid_attr(step, "jid").and_then(|jid| DeviceAddr::from_jid(&jid));
        let wrapped = child_bytes(step, "link_code_pairing_wrapped_companion_ephemeral_pub");
        let (Some(addr), Ok(wrapped)) = (number, wrapped.try_into()) else {
            return error(node, 400, "bad-request");
        };
        if self.codes.len() >= CODES_MAX {
            return error(node, 429, "rate-overlimit");
        }
        let reference = hex::encode(clock::random_bytes::<16>()).into_bytes();
        let pending = PendingCode { conn, reference: reference.clone(), wrapped };
        self.codes.add(addr.number, pending);
        self.phone_changed(addr.number);
        let reference = NodeBuilder::new("link_code_pairing_ref").bytes(reference);
        let step = NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "companion_hello")
            .children([reference.build()]);
        result(node, vec![step.build()])
    }

    /// The phone has a code typed in and answers the client that waits for it.
    pub(crate) fn enter_code(
        &mut self,
        number: Number,
        exchange: CodeExchange,
    ) -> Result<oneshot::Receiver<Result<PairingOutcome>>> {
        self.may_pair(number)?;
        let pending = self.codes.find(number)?;
        let keys = self.keys_of(number)?;
        let leaf = |tag: &'static str, bytes: Vec<u8>| NodeBuilder::new(tag).bytes(bytes).build();
        let identity = keys.identity.public_key().public_key_bytes().to_vec();
        let step = NodeBuilder::new("link_code_companion_reg")
            .attr("stage", "primary_hello")
            .children([
                leaf("link_code_pairing_wrapped_primary_ephemeral_pub", exchange.wrapped.to_vec()),
                leaf("primary_identity_pub", identity),
                leaf("link_code_pairing_ref", pending.reference.clone()),
            ])
            .build();
        let notification = NodeBuilder::new("notification")
            .attr("from", server())
            .attr("type", "link_code_companion_reg")
            .attr("id", clock::message_id())
            .attr("t", clock::unix_s().to_string())
            .children([step])
            .build();
        self.send(pending.conn, notification);
        let (reply, answer) = oneshot::channel();
        let link = PairingState::AwaitFinish {
            number,
            ephemeral: exchange.ephemeral,
            companion_ephemeral: exchange.companion_ephemeral,
            reply,
        };
        self.pairings.insert(pending.conn, link);
        Ok(answer)
    }

    fn companion_finish(&mut self, conn: ConnId, step: &NodeRef<'_>) -> Result<()> {
        let Some(PairingState::AwaitFinish { number, ephemeral, companion_ephemeral, reply }) =
            self.pairings.remove(&conn)
        else {
            return Err(SimulatorError::Protocol("no code was entered"));
        };
        let bundle = child_bytes(step, "link_code_pairing_wrapped_key_bundle");
        let identity = child_bytes(step, "companion_identity_public");
        let opened =
            self.open_code_bundle(number, &ephemeral, &companion_ephemeral, &identity, &bundle);
        match opened {
            Ok(adv_secret) => {
                self.codes.forget(conn);
                self.certify_or_challenge(conn, number, &adv_secret, reply)
            }
            Err(_) => {
                self.after_commit(move |_| {
                    let _ = reply.send(Err(bad_request("this is not the code the client shows")));
                });
                Ok(())
            }
        }
    }

    fn open_code_bundle(
        &mut self,
        number: Number,
        ephemeral: &KeyPair,
        companion_ephemeral: &[u8; 32],
        identity: &[u8],
        bundle: &[u8],
    ) -> Result<[u8; 32]> {
        let keys = self.keys_of(number)?;
        pairing::open_bundle(&keys, ephemeral, companion_ephemeral, identity, bundle)
    }
}

fn iq_set(child: Node, space: &'static str) -> Node {
    NodeBuilder::new("iq")
        .attr("from", server())
        .attr("type", "set")
        .attr("id", clock::message_id())
        .attr("xmlns", space)
        .children([child])
        .build()
}
