//! The addresses of files that came in: `/media/TOKEN`, which anyone who has it may fetch until it ends.
//!
//! A token names account, message and end, and is signed; nothing is stored for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ids::{AccountId, MessageId};
use domain::ports::{EventFormats, FormatRules, MediaLinks, WebhookRequest};
use domain::webhook::{Event, FormatName, SigningSecrets};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

use crate::formats::Formats;

/// Bytes of a token that are signed: account, message and end.
const SIGNED_BYTES: usize = 24;
/// Bytes of its signature.
const SIGNATURE_BYTES: usize = 16;

/// Makes and reads the addresses.
pub struct SignedLinks {
    key: [u8; 32],
    base: String,
    kept: SignedDuration,
}

impl SignedLinks {
    /// Derives its own key from the gateway's; addresses begin with `base`, without a trailing slash, and
    /// are over when files are not kept any more.
    pub fn new(secret_key: &[u8; 32], base: String, kept: SignedDuration) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret_key).expect("HMAC takes any key");
        mac.update(b"media links");
        Self { key: mac.finalize().into_bytes().into(), base, kept }
    }

    fn mac(&self, signed: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes any key");
        mac.update(signed);
        mac
    }
}

impl MediaLinks for SignedLinks {
    fn url(&self, account: AccountId, message: MessageId, created_at: Timestamp) -> String {
        let end = created_at.saturating_add(self.kept).unwrap_or(Timestamp::MAX);
        let numbers = [account.0, message.0, end.as_second()].map(i64::to_be_bytes);
        let signed = numbers.concat();
        let signature = self.mac(&signed).finalize().into_bytes();
        let token = [&signed[..], &signature[..SIGNATURE_BYTES]].concat();
        format!("{}/media/{}", self.base, URL_SAFE_NO_PAD.encode(token))
    }

    fn read(&self, token: &str, now: Timestamp) -> Option<(AccountId, MessageId)> {
        let token = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (signed, signature) = token.split_at_checked(SIGNED_BYTES)?;
        if signature.len() != SIGNATURE_BYTES {
            return None;
        }
        self.mac(signed).verify_truncated_left(signature).ok()?;
        let number = |index: usize| {
            let bytes = signed.get(index * 8..index * 8 + 8)?.try_into().ok()?;
            Some(i64::from_be_bytes(bytes))
        };
        let end = number(2)?;
        (now.as_second() < end).then_some((AccountId(number(0)?), MessageId(number(1)?)))
    }
}

/// The formats of webhooks, with the addresses of files in the events.
pub struct LinkedFormats(pub Arc<dyn MediaLinks>);

impl EventFormats for LinkedFormats {
    fn all(&self) -> Vec<FormatRules> {
        Formats.all()
    }

    fn encode(
        &self,
        format: &FormatName,
        url: &str,
        event: &Event,
        secrets: SigningSecrets<'_>,
        now: Timestamp,
    ) -> Option<WebhookRequest> {
        let mut event = event.clone();
        event.link_file(&*self.0);
        Formats.encode(format, url, &event, secrets, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(key: u8) -> SignedLinks {
        let base = "https://wa.example".to_owned();
        SignedLinks::new(&[key; 32], base, SignedDuration::from_hours(24))
    }

    fn token(url: &str) -> &str {
        url.strip_prefix("https://wa.example/media/").unwrap()
    }

    #[test]
    fn a_token_names_its_file_until_it_is_over() {
        let made = Timestamp::from_second(1_800_000_000).unwrap();
        let url = links(1).url(AccountId(3), MessageId(77), made);
        let after = |seconds| made + SignedDuration::from_secs(seconds);
        let file = Some((AccountId(3), MessageId(77)));
        assert_eq!(links(1).read(token(&url), made), file);
        assert_eq!(links(1).read(token(&url), after(86_399)), file);
        assert_eq!(links(1).read(token(&url), after(86_400)), None);
        assert_eq!(links(2).read(token(&url), made), None, "another gateway's");
    }

    #[test]
    fn a_token_that_was_changed_names_nothing() {
        let made = Timestamp::from_second(1_800_000_000).unwrap();
        let url = links(1).url(AccountId(3), MessageId(77), made);
        let bytes = URL_SAFE_NO_PAD.decode(token(&url)).unwrap();
        for index in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[index] ^= 1;
            assert_eq!(links(1).read(&URL_SAFE_NO_PAD.encode(changed), made), None, "{index}");
        }
        for end in 0..bytes.len() {
            assert_eq!(links(1).read(&URL_SAFE_NO_PAD.encode(&bytes[..end]), made), None, "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(links(1).read(&URL_SAFE_NO_PAD.encode(longer), made), None);
        assert_eq!(links(1).read("", made), None);
        assert_eq!(links(1).read("../../etc/passwd", made), None);
    }
}
