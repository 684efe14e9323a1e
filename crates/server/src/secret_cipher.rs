//! Encrypts the secrets of webhooks and the proxies of devices in the database: ChaCha20-Poly1305 under a key that is
//! derived from the gateway's secret key.

use std::sync::Arc;

use domain::ports::{Entropy, SecretCipher};
use domain::webhook::{SealedSecret, SecretRow};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;

/// Encrypts with one key; a sealed secret is [`BOUND`], its nonce and the ciphertext with its tag, which
/// covers its row.
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

/// What a sealed secret begins with that is bound to its row; one without is an earlier release's,
/// which was bound to nothing.
const BOUND: &[u8] = b"gbs1";

/// The row as the cipher sees it: account and webhook, or account and device; the lengths differ.
fn bound_to(row: SecretRow) -> Vec<u8> {
    match row {
        SecretRow::Webhook { account, webhook } => {
            [account.0.to_be_bytes(), webhook.0.to_be_bytes()].concat()
        }
        SecretRow::Proxy { account, device } => {
            [&account.0.to_be_bytes()[..], device.0.as_bytes()].concat()
        }
        SecretRow::File { device } => [&b"file"[..], device.0.as_bytes()].concat(),
        SecretRow::Person { user } => [&b"person"[..], &user.0.to_be_bytes()].concat(),
    }
}

impl ChaChaCipher {
    fn open_with(&self, associated: &[u8], sealed: &[u8]) -> Option<String> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let open = self.key.open_in_place(nonce, Aad::from(associated), &mut text).ok()?;
        String::from_utf8(open.to_vec()).ok()
    }
}

impl SecretCipher for ChaChaCipher {
    fn seal(&self, row: SecretRow, secret: &str) -> SealedSecret {
        let mut nonce = [0; NONCE_LEN];
        self.entropy.fill(&mut nonce);
        let mut text = secret.as_bytes().to_vec();
        let associated = Aad::from(bound_to(row));
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated, &mut text)
            .expect("a secret is short");
        SealedSecret([BOUND, &nonce, &text].concat())
    }

    fn open(&self, row: SecretRow, sealed: &SealedSecret) -> Option<String> {
        let bound = sealed.0.strip_prefix(BOUND);
        let bound = bound.and_then(|sealed| self.open_with(&bound_to(row), sealed));
        // The nonce that an earlier release begins with may look like the mark.
        bound.or_else(|| self.open_with(&[], &sealed.0))
    }

    fn is_current(&self, sealed: &SealedSecret) -> bool {
        sealed.0.starts_with(BOUND)
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::{AccountId, WebhookId};

    use super::*;
    use crate::system::SystemEntropy;

    fn cipher(key: u8) -> ChaChaCipher {
        ChaChaCipher::new(&[key; 32], Arc::new(SystemEntropy))
    }

    fn row(account: i64, webhook: i64) -> SecretRow {
        SecretRow::Webhook { account: AccountId(account), webhook: WebhookId(webhook) }
    }

    #[test]
    fn only_the_same_key_and_row_open_and_nothing_shows() {
        let sealed = cipher(1).seal(row(1, 2), "whsec_geheim");
        assert_ne!(sealed, cipher(1).seal(row(1, 2), "whsec_geheim"), "the nonce differs");
        assert!(!String::from_utf8_lossy(&sealed.0).contains("geheim"));
        assert!(cipher(1).is_current(&sealed));
        assert_eq!(cipher(1).open(row(1, 2), &sealed).as_deref(), Some("whsec_geheim"));
        assert_eq!(cipher(2).open(row(1, 2), &sealed), None);
        for other in [row(1, 3), row(2, 2), row(2, 1)] {
            assert_eq!(cipher(1).open(other, &sealed), None, "another row");
        }
        for damaged in [vec![], vec![0; 5], [sealed.0.clone(), vec![0]].concat()] {
            assert_eq!(cipher(1).open(row(1, 2), &SealedSecret(damaged)), None);
        }
    }

    #[test]
    fn what_an_earlier_release_sealed_still_opens() {
        let cipher = cipher(1);
        let mut text = b"whsec_geheim".to_vec();
        let nonce = Nonce::assume_unique_for_key([7; NONCE_LEN]);
        cipher.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut text).unwrap();
        let sealed = SealedSecret([[7; NONCE_LEN].as_slice(), &text].concat());
        assert!(!cipher.is_current(&sealed));
        assert_eq!(cipher.open(row(1, 2), &sealed).as_deref(), Some("whsec_geheim"));
    }
}
