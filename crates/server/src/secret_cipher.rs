//! Encrypts webhook secrets in the database: ChaCha20-Poly1305 under a key that is
//! derived from the gateway's secret key.

use std::sync::Arc;

use domain::ports::{Entropy, SecretCipher};
use domain::webhook::SealedSecret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;

/// Encrypts with one key; a sealed secret is its nonce and the ciphertext with its tag.
pub struct ChaChaCipher {
    key: LessSafeKey,
    entropy: Arc<dyn Entropy>,
}

impl ChaChaCipher {
    /// Derives its own key from the gateway's.
    pub fn new(secret_key: &[u8; 32], entropy: Arc<dyn Entropy>) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret_key).expect("HMAC takes any key");
        mac.update(b"webhook secrets");
        let derived = mac.finalize().into_bytes();
        let key = UnboundKey::new(&CHACHA20_POLY1305, &derived).expect("32 bytes are a key");
        Self { key: LessSafeKey::new(key), entropy }
    }
}

impl SecretCipher for ChaChaCipher {
    fn seal(&self, secret: &str) -> SealedSecret {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut text = secret.as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)
            .expect("a secret is short");
        SealedSecret([nonce.as_slice(), &text].concat())
    }

    fn open(&self, sealed: &SealedSecret) -> Option<String> {
        let (nonce, text) = sealed.0.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let open = self.key.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        String::from_utf8(open.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::SystemEntropy;

    fn cipher(key: u8) -> ChaChaCipher {
        ChaChaCipher::new(&[key; 32], Arc::new(SystemEntropy))
    }

    #[test]
    fn only_the_same_key_opens_and_nothing_shows() {
        let sealed = cipher(1).seal("whsec_geheim");
        assert_ne!(sealed, cipher(1).seal("whsec_geheim"), "the nonce differs");
        assert!(!String::from_utf8_lossy(&sealed.0).contains("geheim"));
        assert_eq!(cipher(1).open(&sealed).as_deref(), Some("whsec_geheim"));
        assert_eq!(cipher(2).open(&sealed), None);
        for damaged in [vec![], vec![0; 5], [sealed.0.clone(), vec![0]].concat()] {
            assert_eq!(cipher(1).open(&SealedSecret(damaged)), None);
        }
    }
}
