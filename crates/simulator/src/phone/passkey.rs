//! The passkey of a phone's account: what it signs, and how that is verified.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rusqlite::OptionalExtension as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::address::Number;
use crate::error::{Result, SimulatorError, bad_request};
use crate::switchboard::Switchboard;

/// The site that WhatsApp's passkeys are for.
pub(crate) const PASSKEY_SITE: &str = "whatsapp.com";
/// A point of P-256: a mark and two coordinates.
const POINT_BYTES: usize = 65;
/// That a person was there and was verified, in the flags of an authenticator.
const PRESENT_AND_VERIFIED: u8 = 0b101;

const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What the control API may set.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "must be true, false or {credential_id, public_key}")]
pub(crate) enum PasskeyPatch {
    Demanded(bool),
    Known(AccountPasskey),
}

/// A passkey that the account has registered; both in base64url.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccountPasskey {
    credential_id: String,
    /// A key of P-256: its point, or the point in a `SubjectPublicKeyInfo`, which ends with it.
    public_key: String,
}

impl AccountPasskey {
    pub(crate) fn check(&self) -> Result<()> {
        if decoded(&self.credential_id)?.is_empty() {
            return Err(bad_request("passkey.credential_id: must not be empty"));
        }
        self.point().map(drop)
    }

    fn point(&self) -> Result<Vec<u8>> {
        let wrong = || {
            bad_request("passkey.public_key: must be a key of P-256, as a point or with its type")
        };
        let key = decoded(&self.public_key)?;
        let point = key.len().checked_sub(POINT_BYTES).and_then(|start| key.get(start..));
        point.filter(|point| point[0] == 4).map(<[u8]>::to_vec).ok_or_else(wrong)
    }

    /// Whether an assertion is this passkey's for a challenge, made on WhatsApp's site.
    pub(crate) fn verify(&self, challenge: &[u8], assertion: &Value) -> Result<()> {
        let refused = |what| SimulatorError::Protocol(what);
        let field = |value: &Value| BASE64URL.decode(value.as_str().unwrap_or_default());
        let part = |name: &str| {
            field(&assertion["response"][name]).map_err(|_| refused("a part is not base64url"))
        };
        let id = field(&assertion["id"]).map_err(|_| refused("the id is not base64url"))?;
        if id != decoded(&self.credential_id)? {
            return Err(refused("another passkey"));
        }
        let client_data = part("clientDataJSON")?;
        check_client_data(&client_data, challenge)?;
        let authenticator = part("authenticatorData")?;
        if !authenticator.starts_with(&Sha256::digest(PASSKEY_SITE)) {
            return Err(refused("a passkey of another site"));
        }
        if authenticator.get(32).is_none_or(|flags| !flags & PRESENT_AND_VERIFIED != 0) {
            return Err(refused("no person was verified"));
        }
        let signed = [&authenticator[..], &Sha256::digest(&client_data)].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, self.point()?)
            .verify(&signed, &part("signature")?)
            .map_err(|_| refused("the signature does not verify"))
    }
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    BASE64URL.decode(text).map_err(|_| bad_request("passkey: must be in base64url"))
}

fn check_client_data(client_data: &[u8], challenge: &[u8]) -> Result<()> {
    let refused = |what| SimulatorError::Protocol(what);
    let data: Value = serde_json::from_slice(client_data)
        .map_err(|_| refused("the client's data is not JSON"))?;
    if data["type"] != "webauthn.get" {
        return Err(refused("no answer of a passkey"));
    }
    if data["challenge"] != BASE64_URL_SAFE_NO_PAD.encode(challenge) {
        return Err(refused("another challenge"));
    }
    let origin = data["origin"].as_str().unwrap_or_default();
    let host = origin.strip_prefix("https://").unwrap_or_default();
    let is_on_site =
        host.strip_suffix(PASSKEY_SITE).is_some_and(|sub| sub.is_empty() || sub.ends_with('.'));
    if !is_on_site && !origin.starts_with("android:apk-key-hash:") {
        return Err(refused("made on another site"));
    }
    Ok(())
}

impl Switchboard {
    /// The passkey that the account of a number has registered; `None` when any counts.
    pub(crate) fn passkey_of(&self, number: Number) -> Result<Option<AccountPasskey>> {
        let sql = "SELECT passkey_key FROM phones WHERE number = ?1";
        let json: Option<String> =
            self.db.prepare_cached(sql)?.query_row([number.sql()], |row| row.get(0)).optional()?;
        Ok(json.and_then(|json| serde_json::from_str(&json).ok()))
    }

    /// Registers a passkey in place of the one before; `None` for one that is not verified.
    pub(crate) fn set_passkey(
        &mut self,
        number: Number,
        passkey: Option<&AccountPasskey>,
    ) -> Result<()> {
        let json = passkey.map_or(Ok(String::new()), serde_json::to_string);
        let json = json.map_err(|error| SimulatorError::Internal(error.to_string()))?;
        self.db
            .prepare_cached("UPDATE phones SET passkey_key = ?2 WHERE number = ?1")?
            .execute((number.sql(), json))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
    use serde_json::json;

    /// Signs as an authenticator does.
    fn signed(key: &EcdsaKeyPair, origin: &str, challenge: &[u8], flags: u8) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let client_data = json!({
            "type": "webauthn.get", "challenge": encode(challenge), "origin": origin,
        })
        .to_string();
        let data = [&Sha256::digest(PASSKEY_SITE)[..], &[flags, 0, 0, 0, 1]].concat();
        let message = [&data[..], &Sha256::digest(&client_data)].concat();
        let signature = key.sign(&SystemRandom::new(), &message).unwrap();
        json!({"id": "AQID", "response": {
            "clientDataJSON": encode(client_data.as_bytes()),
            "authenticatorData": encode(&data),
            "signature": encode(signature.as_ref()),
        }})
    }

    #[test]
    fn only_the_registered_passkey_answers_and_only_this_challenge() {
        let random = SystemRandom::new();
        let pair = || {
            let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
            let pkcs8 = pkcs8.unwrap();
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random)
                .unwrap()
        };
        let (own, other) = (pair(), pair());
        let passkey = |key: &EcdsaKeyPair, id: &str| AccountPasskey {
            credential_id: id.to_owned(),
            public_key: BASE64_URL_SAFE_NO_PAD.encode(key.public_key()),
        };
        let known = passkey(&own, "AQID");
        known.check().unwrap();
        let site = "https://web.whatsapp.com";
        known.verify(b"challenge", &signed(&own, site, b"challenge", 5)).unwrap();
        let refused = |passkey: &AccountPasskey, assertion: Value| {
            passkey.verify(b"challenge", &assertion).unwrap_err().to_string()
        };
        for (assertion, why) in [
            (signed(&other, site, b"challenge", 5), "the signature does not verify"),
            (signed(&own, site, b"another", 5), "another challenge"),
            (signed(&own, "https://evilwhatsapp.com", b"challenge", 5), "made on another site"),
            (signed(&own, site, b"challenge", 1), "no person was verified"),
        ] {
            assert_eq!(refused(&known, assertion), format!("protocol: {why}"));
        }
        let another = passkey(&own, "BAUG");
        let why = refused(&another, signed(&own, site, b"challenge", 5));
        assert_eq!(why, "protocol: another passkey");
        let broken = AccountPasskey { public_key: "AQ".to_owned(), ..known };
        assert!(broken.check().is_err());
    }
}
