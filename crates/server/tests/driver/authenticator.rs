//! A passkey in software: answers challenges as an authenticator of a browser does.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use domain::passkey::Assertion;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

const CREDENTIAL: &[u8] = b"a passkey of the tests";
/// That a person was there and was verified.
const FLAGS: u8 = 0b101;

pub struct Authenticator(EcdsaKeyPair);

impl Authenticator {
    pub fn new() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
        Self(key.unwrap())
    }

    /// What the account registers.
    pub fn registration(&self) -> Value {
        json!({
            "credential_id": BASE64_URL_SAFE_NO_PAD.encode(CREDENTIAL),
            "public_key": BASE64_URL_SAFE_NO_PAD.encode(self.0.public_key()),
        })
    }

    /// Answers a challenge on WhatsApp's site.
    pub fn answer(&self, request: &str) -> Assertion {
        let options: Value = serde_json::from_str(request).unwrap();
        let client_data_json = json!({
            "type": "webauthn.get",
            "challenge": options["challenge"],
            "origin": "https://web.whatsapp.com",
            "crossOrigin": false,
        })
        .to_string()
        .into_bytes();
        let site = Sha256::digest(options["rpId"].as_str().unwrap());
        let authenticator_data = [&site[..], &[FLAGS, 0, 0, 0, 1]].concat();
        let signed = [&authenticator_data[..], &Sha256::digest(&client_data_json)].concat();
        let signature = self.0.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec();
        let credential_id = CREDENTIAL.to_vec();
        Assertion {
            credential_id,
            client_data_json,
            authenticator_data,
            signature,
            user_handle: None,
        }
    }
}
