//! The server's key and its certificate chain: root, intermediate, leaf.
//!
//! The chain is real: a client that is given the root's public key verifies all of it.
//! All three keys come from the simulator's seed, so a restart keeps them.

use wacore_libsignal::protocol::KeyPair;
use waproto::buffa::{Message as _, MessageField};
use waproto::whatsapp::{CertChain, cert_chain::NoiseCertificate, cert_chain::noise_certificate};

use crate::clock;
use crate::error::Result;
use crate::keys::Seed;

const INTERMEDIATE_SERIAL: u32 = 2;
const LEAF_SERIAL: u32 = 3;
const VALID_BEFORE_S: u64 = 24 * 60 * 60;
const VALID_AFTER_S: u64 = 10 * 365 * 24 * 60 * 60;

/// The server's key and certificate chain.
pub(crate) struct ServerIdentity {
    /// The leaf's key: the server's static Noise key.
    pub(crate) key: KeyPair,
    /// The encoded chain, sent in every handshake.
    pub(crate) chain: Vec<u8>,
    /// The public key that a client must trust.
    pub(crate) root_public: [u8; 32],
}

impl ServerIdentity {
    /// Derives the keys and signs the chain.
    pub(crate) fn new(seed: &Seed) -> Result<Self> {
        let root = seed.key_pair("certificate root")?;
        let intermediate = seed.key_pair("certificate intermediate")?;
        let key = seed.key_pair("server static")?;
        let chain = CertChain {
            intermediate: certificate(&root, &intermediate, INTERMEDIATE_SERIAL, 0)?,
            leaf: certificate(&intermediate, &key, LEAF_SERIAL, INTERMEDIATE_SERIAL)?,
        };
        let mut root_public = [0; 32];
        root_public.copy_from_slice(root.public_key.public_key_bytes());
        Ok(ServerIdentity { key, chain: chain.encode_to_vec(), root_public })
    }
}

fn certificate(
    issuer: &KeyPair,
    subject: &KeyPair,
    serial: u32,
    issuer_serial: u32,
) -> Result<MessageField<NoiseCertificate>> {
    let now = u64::try_from(clock::unix_s()).unwrap_or(0);
    let details = noise_certificate::Details {
        serial: Some(serial),
        issuer_serial: Some(issuer_serial),
        key: Some(subject.public_key.public_key_bytes().to_vec()),
        not_before: Some(now.saturating_sub(VALID_BEFORE_S)),
        not_after: Some(now + VALID_AFTER_S),
    }
    .encode_to_vec();
    let signature = issuer.calculate_signature(&details, &mut clock::rng())?;
    Ok(MessageField::some(NoiseCertificate {
        signature: Some(signature.to_vec()),
        details: Some(details),
    }))
}
