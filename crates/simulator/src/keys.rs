//! Keys that are derived, not stored.
//!
//! Every phone's identity, signed prekey and one-time prekeys, and the server's own keys,
//! come from one random seed in the database by HKDF. So "every number exists" costs
//! nothing until a number is used, and a restart finds the same keys.

use std::sync::OnceLock;

use wacore::crypto::hkdf_sha256_into;
use wacore_libsignal::protocol::{
    GenericSignedPreKey as _, IdentityKey, IdentityKeyPair, KeyPair, PreKeyId, PreKeyRecord,
    PrivateKey, SignedPreKeyId, SignedPreKeyRecord, Timestamp,
};

use crate::address::Number;
use crate::clock;
use crate::error::{Result, SimulatorError};

/// The only signed prekey a phone ever has.
pub(crate) const SIGNED_PREKEY_ID: u32 = 1;
/// One-time prekey ids are three bytes on the wire.
const PREKEY_IDS: u64 = 0xFF_FFFE;

/// The root of all derived keys.
pub(crate) struct Seed([u8; 32]);

impl Seed {
    /// Takes the stored seed.
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Seed(bytes)
    }

    /// 32 bytes for `purpose`.
    pub(crate) fn bytes(&self, purpose: &str) -> Result<[u8; 32]> {
        let mut out = [0; 32];
        hkdf_sha256_into(&self.0, Some(b"gerbang simulator"), purpose.as_bytes(), &mut out)
            .map_err(|_| SimulatorError::Internal("key derivation".into()))?;
        Ok(out)
    }

    /// A key pair for `purpose`.
    pub(crate) fn key_pair(&self, purpose: &str) -> Result<KeyPair> {
        let private = PrivateKey::deserialize(&self.bytes(purpose)?)?;
        Ok(KeyPair::try_from(private)?)
    }

    /// The keys of `number`'s phone, after it was reinstalled `generation` times.
    pub(crate) fn phone(&self, number: Number, generation: u32) -> Result<PhoneKeys> {
        let number = match generation {
            0 => number.to_string(),
            _ => format!("{number} {generation}"),
        };
        let identity = self.key_pair(&format!("identity {number}"))?;
        Ok(PhoneKeys {
            identity: IdentityKeyPair::new(
                IdentityKey::new(identity.public_key),
                identity.private_key,
            ),
            signed: self.key_pair(&format!("signed prekey {number}"))?,
            signature: OnceLock::new(),
            secret: self.bytes(&format!("phone {number}"))?,
        })
    }
}

/// One phone's keys.
pub(crate) struct PhoneKeys {
    /// Its identity: also what signs its linked devices.
    pub(crate) identity: IdentityKeyPair,
    signed: KeyPair,
    signature: OnceLock<[u8; 64]>,
    secret: [u8; 32],
}

impl PhoneKeys {
    /// Signal's registration id: 14 bits, never zero.
    pub(crate) fn registration_id(&self) -> u32 {
        1 + u32::from(u16::from_be_bytes([self.secret[0], self.secret[1]]) & 0x3FFE)
    }

    /// The account's `raw_id` in device certificates.
    pub(crate) fn raw_id(&self) -> u32 {
        u32::from_be_bytes([0, self.secret[2], self.secret[3], self.secret[4]]) | 1
    }

    /// The id and secret of the app-state key shared with linked devices.
    pub(crate) fn app_state_key(&self) -> Result<([u8; 6], [u8; 32])> {
        let key = Seed(self.secret).bytes("app state key")?;
        Ok(([0, 1, self.secret[5], self.secret[6], 0, 1], key))
    }

    /// The signed prekey's public half and its signature.
    pub(crate) fn signed_prekey(&self) -> Result<(KeyPair, [u8; 64])> {
        if let Some(signature) = self.signature.get() {
            return Ok((self.signed.clone(), *signature));
        }
        let message = self.signed.public_key.serialize();
        let signature =
            self.identity.private_key().calculate_signature(&message, &mut clock::rng())?;
        Ok((self.signed.clone(), *self.signature.get_or_init(|| signature)))
    }

    /// The signed prekey as the Signal library wants it.
    pub(crate) fn signed_prekey_record(&self) -> Result<SignedPreKeyRecord> {
        let (pair, signature) = self.signed_prekey()?;
        Ok(SignedPreKeyRecord::new(
            SignedPreKeyId::from(SIGNED_PREKEY_ID),
            Timestamp::from_epoch_millis(0),
            &pair,
            &signature,
        ))
    }

    /// A random one-time prekey id; very likely unused.
    pub(crate) fn fresh_prekey_id() -> u32 {
        u32::try_from(1 + clock::random_below(PREKEY_IDS)).unwrap_or(1)
    }

    /// The one-time prekey with this id: every id has one.
    pub(crate) fn prekey(&self, id: u32) -> Result<PreKeyRecord> {
        let pair = Seed(self.secret).key_pair(&format!("prekey {id}"))?;
        Ok(PreKeyRecord::new(PreKeyId::from(id), &pair))
    }
}
