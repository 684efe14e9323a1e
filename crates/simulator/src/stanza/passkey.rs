//! Pairing with a phone whose account demands a passkey.
//!
//! After the scan the server asks the client for a WebAuthn assertion; then client and phone
//! agree on a key, both show the same verification code, and the client sends its keys and a
//! new secret for the certificate under that key. The assertion is verified when the account has a
//! passkey; else any well-formed one counts.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use wacore::shortcake::ShortcakeUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef};
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::KeyPair;
use waproto::buffa::Message as _;
use waproto::whatsapp as wa;

use super::{child_bytes, error, result, server};
use crate::address::Number;
use crate::clock;
use crate::error::{Result, SimulatorError};
use crate::phone::pairing::PairingState;
use crate::phone::passkey::PASSKEY_SITE;
use crate::switchboard::{ConnId, Peer, Switchboard};

/// How long the challenge is valid.
const CHALLENGE_MS: i64 = 600_000;

/// How long the phone takes to react to what the client sends.
const PHONE_REACTION: Duration = Duration::from_millis(200);

/// The next step of a pairing with a passkey.
pub(crate) struct Passkey {
    number: Number,
    challenge: [u8; 32],
    asked_ms: i64,
    reference: String,
    step: PasskeyStep,
}

enum PasskeyStep {
    /// The assertion is awaited.
    Prologue,
    /// The client's nonce is awaited.
    Nonce(Box<KeyAgreement>),
    /// The user compares the codes; the client's keys are awaited.
    Request { key: [u8; 32], code: String },
}

struct KeyAgreement {
    primary: KeyPair,
    primary_nonce: [u8; 32],
    companion: [u8; 32],
    device_type: wa::device_props::PlatformType,
    identity: Vec<u8>,
    commitment: Vec<u8>,
}

impl Passkey {
    /// The code that the phone shows, once there is one.
    pub(crate) fn code(&self, number: Number) -> Option<&str> {
        match &self.step {
            PasskeyStep::Request { code, .. } if self.number == number => Some(code),
            _ => None,
        }
    }

    /// Whether another assertion may be tried.
    fn is_open(&self) -> bool {
        let is_valid = clock::unix_ms() - self.asked_ms < CHALLENGE_MS;
        is_valid && matches!(self.step, PasskeyStep::Prologue)
    }

    fn options(&self) -> Vec<u8> {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "challenge": encode(&self.challenge),
            "rpId": PASSKEY_SITE,
            "allowCredentials": [],
            "userVerification": "required",
            "timeout": CHALLENGE_MS,
        })
        .to_string()
        .into_bytes()
    }
}

impl Switchboard {
    /// Instead of a certificate the client gets a challenge.
    pub(super) fn demand_passkey(&mut self, conn: ConnId, number: Number) {
        let passkey = Passkey {
            number,
            challenge: clock::random_bytes(),
            asked_ms: clock::unix_ms(),
            reference: hex::encode(clock::random_bytes::<16>()),
            step: PasskeyStep::Prologue,
        };
        let options = NodeBuilder::new("passkey_request_options").bytes(passkey.options()).build();
        self.pairings.insert(conn, PairingState::Passkey(Box::new(passkey)));
        self.send(conn, notification("passkey_prologue_request", options));
    }

    /// The code a phone shows while a client pairs with a passkey.
    pub(crate) fn passkey_code(&self, number: Number) -> Option<String> {
        self.pairings.values().find_map(|link| match link {
            PairingState::Passkey(passkey) => {
                let (first, second) = passkey.code(number)?.split_at_checked(4)?;
                Some(format!("{first}-{second}"))
            }
            _ => None,
        })
    }

    /// One of the client's steps.
    pub(super) fn on_passkey(
        &mut self,
        conn: ConnId,
        step: &str,
        node: &NodeRef<'_>,
    ) -> Result<()> {
        let Some(PairingState::Passkey(mut passkey)) = self.pairings.remove(&conn) else {
            self.send(conn, error(node, 404, "item-not-found"));
            return Ok(());
        };
        let outcome = match step {
            "ref" => {
                let leaf = NodeBuilder::new("ref").bytes(passkey.reference.clone().into_bytes());
                self.send(conn, result(node, vec![leaf.build()]));
                Ok(None)
            }
            "passkey_request_options" => {
                let leaf = NodeBuilder::new("passkey_request_options").bytes(passkey.options());
                self.send(conn, result(node, vec![leaf.build()]));
                Ok(None)
            }
            "passkey_prologue" => self.passkey_prologue(conn, &mut passkey, node),
            "companion_nonce" => self.passkey_nonce(conn, &mut passkey, node),
            _ => self.passkey_request(conn, &passkey, node),
        };
        match outcome {
            Ok(Some(secret)) => {
                let (number, (reply, _)) = (passkey.number, tokio::sync::oneshot::channel());
                // The client keeps its new secret once its keys are taken.
                self.later(PHONE_REACTION, move |sb| sb.pair_success(conn, number, &secret, reply));
                Ok(())
            }
            Ok(None) => {
                self.phone_changed(passkey.number);
                self.pairings.insert(conn, PairingState::Passkey(passkey));
                Ok(())
            }
            Err(refused) => {
                tracing::debug!(%refused, "a pairing with a passkey was refused");
                self.send(conn, error(node, 403, "forbidden"));
                if passkey.is_open() {
                    self.pairings.insert(conn, PairingState::Passkey(passkey));
                }
                Ok(())
            }
        }
    }

    fn passkey_prologue(
        &mut self,
        conn: ConnId,
        passkey: &mut Passkey,
        node: &NodeRef<'_>,
    ) -> Result<Option<[u8; 32]>> {
        let refused = |what| SimulatorError::Protocol(what);
        if !passkey.is_open() {
            return Err(refused("an assertion out of turn, or too late"));
        }
        let prologue = node.get_optional_child("passkey_prologue").ok_or(refused("no prologue"))?;
        let assertion: Value = serde_json::from_slice(&child_bytes(prologue, "webauthn_assertion"))
            .map_err(|_| refused("the assertion is not JSON"))?;
        if assertion.get("id").is_none() || child_bytes(prologue, "credential_id").is_empty() {
            return Err(refused("the assertion names no credential"));
        }
        if let Some(known) = self.passkey_of(passkey.number)? {
            known.verify(&passkey.challenge, &assertion)?;
        }
        let payload =
            wa::ProloguePayload::decode_from_slice(&child_bytes(prologue, "prologue_payload"))
                .map_err(|_| refused("unreadable prologue"))?;
        let identity = payload.companion_ephemeral_identity.unwrap_or_default();
        let parsed = wa::CompanionEphemeralIdentity::decode_from_slice(&identity)
            .map_err(|_| refused("unreadable identity"))?;
        if parsed.r#ref.as_deref() != Some(&passkey.reference) {
            return Err(refused("another reference"));
        }
        let commitment = payload.commitment.into_option().and_then(|c| c.hash);
        let agreement = KeyAgreement {
            primary: KeyPair::generate(&mut clock::rng()),
            primary_nonce: clock::random_bytes(),
            companion: key(&parsed.public_key.unwrap_or_default())?,
            device_type: parsed.device_type.unwrap_or_default(),
            identity,
            commitment: commitment.unwrap_or_default(),
        };
        let primary = wa::PrimaryEphemeralIdentity {
            public_key: Some(agreement.primary.public_key.public_key_bytes().to_vec()),
            nonce: Some(agreement.primary_nonce.to_vec()),
        };
        passkey.step = PasskeyStep::Nonce(Box::new(agreement));
        self.send(conn, result(node, vec![]));
        let leaf = NodeBuilder::new("primary_ephemeral_identity").bytes(primary.encode_to_vec());
        // A phone takes a moment, and clients take the answer first.
        let next = notification("crsc_continuation", leaf.build());
        self.later(PHONE_REACTION, move |sb| {
            sb.send(conn, next);
            Ok(())
        });
        Ok(None)
    }

    fn passkey_nonce(
        &mut self,
        conn: ConnId,
        passkey: &mut Passkey,
        node: &NodeRef<'_>,
    ) -> Result<Option<[u8; 32]>> {
        let PasskeyStep::Nonce(agreement) = &passkey.step else {
            return Err(SimulatorError::Protocol("a nonce out of turn"));
        };
        let nonce = key(&child_bytes(node, "companion_nonce"))?;
        let commitment = ShortcakeUtils::commitment_hash(&agreement.identity, &nonce);
        if commitment[..] != agreement.commitment {
            return Err(SimulatorError::Protocol("the nonce is not the one committed to"));
        }
        let failed = |_| SimulatorError::Protocol("no common key");
        let shared = ShortcakeUtils::derive_encryption_key(
            &agreement.primary,
            &agreement.companion,
            agreement.device_type,
            &passkey.reference,
        )
        .map_err(failed)?;
        let public = key(agreement.primary.public_key.public_key_bytes())?;
        let code =
            ShortcakeUtils::derive_verification_code(&nonce, &public, &agreement.primary_nonce);
        passkey.step = PasskeyStep::Request { key: shared, code };
        self.send(conn, result(node, vec![]));
        Ok(None)
    }

    /// Checks the client's keys; returns its secret for the certificate.
    fn passkey_request(
        &mut self,
        conn: ConnId,
        passkey: &Passkey,
        node: &NodeRef<'_>,
    ) -> Result<Option<[u8; 32]>> {
        let refused = |what| SimulatorError::Protocol(what);
        let PasskeyStep::Request { key: shared, .. } = &passkey.step else {
            return Err(refused("keys out of turn"));
        };
        let sealed = child_bytes(node, "encrypted_pairing_request");
        let sealed = wa::EncryptedPairingRequest::decode_from_slice(&sealed)
            .map_err(|_| refused("unreadable request"))?;
        let nonce: [u8; 12] =
            sealed.iv.and_then(|iv| iv.try_into().ok()).ok_or(refused("no nonce"))?;
        let mut opened = Vec::new();
        let payload = sealed.encrypted_payload.unwrap_or_default();
        aes_256_gcm_decrypt(shared, &nonce, b"", &payload, &mut opened)
            .map_err(|_| refused("the request does not open"))?;
        let request = wa::PairingRequest::decode_from_slice(&opened)
            .map_err(|_| refused("unreadable keys"))?;
        let own = match self.conns.get(&conn).map(|conn| &conn.peer) {
            Some(Peer::Unpaired(data)) => data.e_ident == request.companion_identity_key,
            _ => false,
        };
        if !own {
            return Err(refused("the keys are another client's"));
        }
        self.send(conn, result(node, vec![]));
        Ok(Some(key(&request.adv_secret.unwrap_or_default())?))
    }
}

fn notification(kind: &'static str, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", server())
        .attr("type", kind)
        .attr("id", clock::message_id())
        .attr("t", clock::unix_s().to_string())
        .children([child])
        .build()
}

fn key(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| SimulatorError::Protocol("a key is not 32 bytes"))
}
