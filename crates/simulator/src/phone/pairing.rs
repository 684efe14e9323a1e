//! The phone's side of pairing: reads QR texts and codes, certifies a client's key.

use std::collections::HashMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::sync::oneshot;
use wacore::crypto::hkdf_sha256_into;
use wacore::pair_code::PairCodeUtils;
use wacore_libsignal::crypto::aes_256_gcm_decrypt;
use wacore_libsignal::protocol::{KeyPair, PublicKey};
use waproto::buffa::Message as _;
use waproto::whatsapp::{
    ADVDeviceIdentity, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC, DeviceProps,
};

use crate::address::{DeviceAddr, Number};
use crate::clock;
use crate::error::{Result, SimulatorError, bad_request, not_found};
use crate::keys::PhoneKeys;
use crate::stanza::passkey::Passkey;
use crate::switchboard::ConnId;

/// Before the account's signature over a device's identity.
const ACCOUNT_SIGNATURE_PREFIX: [u8; 2] = [6, 0];
/// Before the device's own signature over the same.
const DEVICE_SIGNATURE_PREFIX: [u8; 2] = [6, 1];
const LINK_PREFIX: &str = "https://wa.me/settings/linked_devices#";
const QR_CHARS_MAX: usize = 1_024;

/// How a scan or a code ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PairingOutcome {
    /// The device with this number is linked.
    Device(u16),
    /// The client has been asked for a passkey; pairing continues without the caller.
    PasskeyDemanded,
}

/// Answers the control API's call that started the pairing.
pub(crate) type PairingReply = oneshot::Sender<Result<PairingOutcome>>;

/// A pairing in progress on a connection.
pub(crate) enum PairingState {
    /// By code: the phone's hello was sent, the client's finish is awaited.
    AwaitFinish {
        number: Number,
        ephemeral: KeyPair,
        companion_ephemeral: [u8; 32],
        reply: PairingReply,
    },
    /// The account demands a passkey.
    Passkey(Box<Passkey>),
    /// The phone's certificate was sent, the client's signature is awaited.
    AwaitSignature {
        addr: DeviceAddr,
        key_index: u32,
        details: Vec<u8>,
        iq_id: String,
        reply: PairingReply,
    },
}

/// The fields of a QR text.
pub(crate) struct QrCode {
    pub(crate) reference: String,
    pub(crate) noise_key: [u8; 32],
    pub(crate) identity_key: [u8; 32],
    pub(crate) adv_secret: [u8; 32],
}

impl QrCode {
    /// Reads `[https://wa.me/…#]ref,noise,identity,secret[,platform]`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let refused = || bad_request("this is not the text of a WhatsApp linking QR code");
        let text = text.trim();
        if text.len() > QR_CHARS_MAX {
            return Err(refused());
        }
        let body = text.strip_prefix(LINK_PREFIX).unwrap_or(text);
        let parts: Vec<&str> = body.split(',').collect();
        let [reference, noise, identity, secret, ..] = parts[..] else {
            return Err(refused());
        };
        let key = |text: &str| -> Result<[u8; 32]> {
            let bytes = BASE64_STANDARD.decode(text).map_err(|_| refused())?;
            bytes.try_into().map_err(|_| refused())
        };
        Ok(QrCode {
            reference: reference.to_owned(),
            noise_key: key(noise)?,
            identity_key: key(identity)?,
            adv_secret: key(secret)?,
        })
    }
}

/// A client that shows a code and waits for the phone.
#[derive(Clone)]
pub(crate) struct PendingCode {
    pub(crate) conn: ConnId,
    pub(crate) reference: Vec<u8>,
    /// The client's ephemeral key, encrypted with the code.
    pub(crate) wrapped: [u8; 80],
}

/// The clients that wait for a code to be entered: the newest of each number.
#[derive(Default)]
pub(crate) struct PendingCodes(HashMap<Number, PendingCode>);

impl PendingCodes {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn add(&mut self, number: Number, pending: PendingCode) {
        self.0.insert(number, pending);
    }

    pub(crate) fn find(&self, number: Number) -> Result<PendingCode> {
        let found = self.0.get(&number).cloned();
        found.ok_or_else(|| not_found(format!("no client waits for a code of {number}")))
    }

    pub(crate) fn waits(&self, number: Number) -> bool {
        self.0.contains_key(&number)
    }

    pub(crate) fn forget(&mut self, conn: ConnId) {
        self.0.retain(|_, pending| pending.conn != conn);
    }
}

/// The phone's keys after a code was typed.
pub(crate) struct CodeExchange {
    pub(crate) ephemeral: KeyPair,
    pub(crate) companion_ephemeral: [u8; 32],
    /// The phone's ephemeral key, encrypted with the code.
    pub(crate) wrapped: [u8; 80],
}

/// Types a code in. Slow on purpose (PBKDF2): not for the switchboard's thread.
pub(crate) fn type_code(pending: &PendingCode, code: &str) -> Result<CodeExchange> {
    let code: String = code
        .chars()
        .filter(|c| c.is_ascii_alphanumeric())
        .map(|c| c.to_ascii_uppercase())
        .collect();
    if !PairCodeUtils::validate_code(&code) {
        return Err(bad_request("a pairing code has eight letters and digits"));
    }
    let ephemeral = KeyPair::generate(&mut clock::rng());
    let companion_ephemeral = PairCodeUtils::decrypt_primary_ephemeral_pub(&pending.wrapped, &code)
        .map_err(|_| bad_request("this is not the code the client shows"))?;
    let mut public = [0; 32];
    public.copy_from_slice(ephemeral.public_key.public_key_bytes());
    Ok(CodeExchange {
        wrapped: PairCodeUtils::encrypt_ephemeral_pub(&public, &code),
        companion_ephemeral,
        ephemeral,
    })
}

/// Decrypts the client's bundle; returns the secret for its certificate.
pub(crate) fn open_bundle(
    keys: &PhoneKeys,
    ephemeral: &KeyPair,
    companion_ephemeral: &[u8; 32],
    identity: &[u8],
    bundle: &[u8],
) -> Result<[u8; 32]> {
    let refused = || SimulatorError::Protocol("a key bundle that does not open");
    let (salt, rest) = bundle.split_at_checked(32).ok_or_else(refused)?;
    let (nonce, sealed) = rest.split_first_chunk::<12>().ok_or_else(refused)?;
    let companion = PublicKey::from_djb_public_key_bytes(companion_ephemeral)?;
    let shared = ephemeral.calculate_agreement(&companion)?;
    let mut key = [0; 32];
    let info = b"link_code_pairing_key_bundle_encryption_key";
    hkdf_sha256_into(&shared, Some(salt), info, &mut key).map_err(|_| refused())?;
    let mut opened = Vec::new();
    aes_256_gcm_decrypt(&key, nonce, b"", sealed, &mut opened).map_err(|_| refused())?;
    let own = keys.identity.public_key().public_key_bytes();
    if opened.len() != 96 || &opened[..32] != identity || &opened[32..64] != own {
        return Err(refused());
    }
    let companion = PublicKey::from_djb_public_key_bytes(identity)?;
    let identity_shared = keys.identity.private_key().calculate_agreement(&companion)?;
    let secret = [&shared[..], &identity_shared, &opened[64..]].concat();
    let mut adv_secret = [0; 32];
    hkdf_sha256_into(&secret, None, b"adv_secret", &mut adv_secret).map_err(|_| refused())?;
    Ok(adv_secret)
}

/// A phone's certificate for a client.
pub(crate) struct DeviceCertificate {
    /// The encoded `ADVDeviceIdentity`.
    pub(crate) details: Vec<u8>,
    /// The encoded `ADVSignedDeviceIdentityHMAC`.
    pub(crate) container: Vec<u8>,
}

/// Certifies a client's identity key; `adv_secret` proves to the client that its QR was scanned.
pub(crate) fn certify(
    keys: &PhoneKeys,
    identity: &[u8],
    key_index: u32,
    adv_secret: &[u8],
) -> Result<DeviceCertificate> {
    let details = ADVDeviceIdentity {
        raw_id: Some(keys.raw_id()),
        timestamp: u64::try_from(clock::unix_s()).ok(),
        key_index: Some(key_index),
        ..Default::default()
    }
    .encode_to_vec();
    let signed = [&ACCOUNT_SIGNATURE_PREFIX[..], &details, identity].concat();
    let signature = keys.identity.private_key().calculate_signature(&signed, &mut clock::rng())?;
    let signed = ADVSignedDeviceIdentity {
        details: Some(details.clone()),
        account_signature_key: Some(keys.identity.public_key().public_key_bytes().to_vec()),
        account_signature: Some(signature.to_vec()),
        device_signature: None,
    }
    .encode_to_vec();
    let mut mac = Hmac::<Sha256>::new_from_slice(adv_secret)
        .map_err(|_| SimulatorError::Internal("hmac key".into()))?;
    mac.update(&signed);
    let container = ADVSignedDeviceIdentityHMAC {
        hmac: Some(mac.finalize().into_bytes().to_vec()),
        details: Some(signed),
        ..Default::default()
    };
    Ok(DeviceCertificate { details, container: container.encode_to_vec() })
}

/// The proof that a phone has linked a companion, signed by both.
pub(crate) fn companion_proof(
    phone: &PhoneKeys,
    companion: &PhoneKeys,
    key_index: u32,
) -> Result<Vec<u8>> {
    let identity = companion.identity.public_key().public_key_bytes();
    let certificate = certify(phone, identity, key_index, &[0; 32])?;
    let account = phone.identity.public_key().public_key_bytes();
    let device = [&DEVICE_SIGNATURE_PREFIX[..], &certificate.details, identity, account].concat();
    let signed = [&ACCOUNT_SIGNATURE_PREFIX[..], &certificate.details, identity].concat();
    let sign = |keys: &PhoneKeys, message: &[u8]| {
        keys.identity.private_key().calculate_signature(message, &mut clock::rng())
    };
    let proof = ADVSignedDeviceIdentity {
        account_signature: Some(sign(phone, &signed)?.to_vec()),
        device_signature: Some(sign(companion, &device)?.to_vec()),
        details: Some(certificate.details),
        account_signature_key: None,
    };
    Ok(proof.encode_to_vec())
}

/// Checks the client's own signature under the phone's certificate.
pub(crate) fn check_signature(
    keys: &PhoneKeys,
    details: &[u8],
    identity: &[u8],
    proof: &[u8],
) -> Result<()> {
    let proof = ADVSignedDeviceIdentity::decode_from_slice(proof)
        .map_err(|_| SimulatorError::Protocol("unreadable device identity"))?;
    if proof.details.as_deref() != Some(details) {
        return Err(SimulatorError::Protocol("the certificate was changed"));
    }
    let account = keys.identity.public_key().public_key_bytes();
    let signed = [&DEVICE_SIGNATURE_PREFIX[..], details, identity, account].concat();
    let key = PublicKey::from_djb_public_key_bytes(identity)?;
    match key.verify_signature(&signed, &proof.device_signature.unwrap_or_default()) {
        true => Ok(()),
        false => Err(SimulatorError::Protocol("the device's signature does not verify")),
    }
}

/// How a phone lists a linked device.
pub(crate) struct ShownAs {
    /// The name that it gave itself.
    pub(crate) name: String,
    /// What kind of client it is, such as chrome.
    pub(crate) client: String,
}

/// Reads what a client reports of itself.
pub(crate) fn shown_as(props: Option<&[u8]>) -> ShownAs {
    let props = props.and_then(|bytes| DeviceProps::decode_from_slice(bytes).ok());
    let props = props.unwrap_or_default();
    let name: String = props.os.unwrap_or_default().chars().take(60).collect();
    let client = props.platform_type.map(|kind| format!("{kind:?}").to_lowercase());
    ShownAs {
        name: if name.is_empty() { "unknown".into() } else { name },
        client: client.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::Seed;

    fn phone() -> PhoneKeys {
        Seed::new([3; 32]).phone(Number::parse("628111").unwrap(), 0).unwrap()
    }

    fn public(pair: &KeyPair) -> [u8; 32] {
        pair.public_key.public_key_bytes().try_into().unwrap()
    }

    #[test]
    fn a_code_leads_both_sides_to_the_same_secret() {
        let keys = phone();
        let (ephemeral, identity) =
            (KeyPair::generate(&mut clock::rng()), KeyPair::generate(&mut clock::rng()));
        let pending = PendingCode {
            conn: ConnId::for_tests(),
            reference: vec![],
            wrapped: PairCodeUtils::encrypt_ephemeral_pub(&public(&ephemeral), "ABCD2345"),
        };
        let exchange = type_code(&pending, "abcd-2345").unwrap();
        let seen =
            PairCodeUtils::decrypt_primary_ephemeral_pub(&exchange.wrapped, "ABCD2345").unwrap();
        let account = keys.identity.public_key().public_key_bytes().try_into().unwrap();
        let (bundle, secret) =
            PairCodeUtils::prepare_key_bundle(&ephemeral, &seen, &account, &identity).unwrap();
        let opened = open_bundle(
            &keys,
            &exchange.ephemeral,
            &exchange.companion_ephemeral,
            &public(&identity),
            &bundle,
        );
        assert_eq!(opened.unwrap(), secret);

        let wrong = type_code(&pending, "ABCD2346").unwrap();
        let seen = wrong.companion_ephemeral;
        let opened = open_bundle(&keys, &wrong.ephemeral, &seen, &public(&identity), &bundle);
        assert_eq!(opened.unwrap_err().to_string(), "protocol: a key bundle that does not open");
        let short = type_code(&pending, "ABCD").err().unwrap().to_string();
        assert_eq!(short, "a pairing code has eight letters and digits");
    }

    #[test]
    fn only_the_certified_key_can_sign() {
        let keys = phone();
        let identity = KeyPair::generate(&mut clock::rng());
        let certificate = certify(&keys, &public(&identity), 1, &[1; 32]).unwrap();
        let account = keys.identity.public_key().public_key_bytes();
        let signed = [&[6, 1][..], &certificate.details, &public(&identity), account].concat();
        let sign = |pair: &KeyPair| {
            ADVSignedDeviceIdentity {
                details: Some(certificate.details.clone()),
                device_signature: Some(
                    pair.calculate_signature(&signed, &mut clock::rng()).unwrap().to_vec(),
                ),
                ..Default::default()
            }
            .encode_to_vec()
        };
        let check =
            |proof: &[u8]| check_signature(&keys, &certificate.details, &public(&identity), proof);
        check(&sign(&identity)).unwrap();
        let refused = |proof: &[u8]| check(proof).unwrap_err().to_string();
        let other = sign(&KeyPair::generate(&mut clock::rng()));
        assert_eq!(refused(&other), "protocol: the device's signature does not verify");
        assert_eq!(refused(b"\xff"), "protocol: unreadable device identity");
    }

    #[test]
    fn qr_texts_are_read_or_refused() {
        let key = BASE64_STANDARD.encode([5; 32]);
        for text in [
            format!("2@ref,{key},{key},{key}"),
            format!("2@ref,{key},{key},{key},1"),
            format!("{LINK_PREFIX}2@ref,{key},{key},{key},1"),
        ] {
            let qr = QrCode::parse(&text).unwrap();
            assert_eq!((qr.reference.as_str(), qr.adv_secret), ("2@ref", [5; 32]));
        }
        for text in ["", "hello", "a,b,c,d", "2@ref,AAAA,AAAA,AAAA", &"x".repeat(2_000)] {
            let error = QrCode::parse(text).err().expect(text).to_string();
            assert_eq!(error, "this is not the text of a WhatsApp linking QR code");
        }
    }
}
