//! Ports to what is outside the gateway and not WhatsApp: customers' servers, files, secrets.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::link::LinkPreview;
use crate::media::{FetchedFile, MediaWish, ReadyMedia, TempMedia};
use crate::message::Failure;
use crate::proxy::Proxy;
use crate::webhook::{
    Event, EventKind, FormatName, SealedSecret, SecretRow, SigningSecrets, Webhook, WebhookSecrets,
};

/// Why a URL is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlRefusal {
    /// It is no absolute http or https URL.
    #[error("must be an absolute http or https URL")]
    Malformed,
    /// It holds a user name or a password.
    #[error("must not hold a user name or a password")]
    Credentials,
    /// Its host, port or address is none that may be reached.
    #[error("must be a public address on port 80 or 443")]
    Forbidden,
}

/// A webhook's message on its way out.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Where to.
    pub url: String,
    /// What the body is.
    pub content_type: &'static str,
    /// Further headers, such as the signature.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// What a webhook's receiver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookAnswer {
    /// Its status; `None` when there was no answer.
    pub status: Option<u16>,
    /// How long it wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Why there was no answer; safe to show.
    pub error: Option<String>,
    /// How long it took.
    pub took: Duration,
    /// How its body begins.
    pub body: Vec<u8>,
}

impl WebhookAnswer {
    /// Whether the receiver took it.
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// Why there is no file to send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Our own trouble, such as a full disk: later it may work.
    #[error("{0}")]
    Temporary(String),
    /// It cannot be fetched, or cannot be sent, and never will be. A failure with the code
    /// [`Failure::MEDIA`] and words that are safe to show.
    #[error("{}", .0.message)]
    Permanent(Failure),
}

/// Every HTTP request that is made on a customer's behalf. Guarded: only public addresses, unless
/// the operator allows others.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Whether a URL may be asked at all, by its form and its literal address; nothing is resolved
    /// and no connection is made.
    ///
    /// # Errors
    /// [`UrlRefusal`].
    fn check_url(&self, url: &str) -> Result<(), UrlRefusal>;
    /// Whether a proxy may be connected to, by the form of its address; nothing is resolved.
    fn permits_proxy(&self, proxy: &Proxy) -> bool;
    /// Downloads a file to the disk, bounded in size and time. How many at a time is the caller's to
    /// bound.
    ///
    /// # Errors
    /// [`FileError`]; with words that are safe to show.
    async fn fetch(&self, url: &str) -> Result<FetchedFile, FileError>;
    /// Puts bytes that came with a request onto the disk.
    ///
    /// # Errors
    /// As [`Outbound::fetch`].
    async fn keep(&self, bytes: Vec<u8>) -> Result<TempMedia, FileError>;
    /// Whether the disk has as much free space as the operator wants to keep; `reusable_bytes` are
    /// free inside the database.
    fn has_room(&self, _reusable_bytes: u64) -> bool {
        true
    }
    /// Notes that nothing is accepted because the disk has too little free space.
    fn report_full(&self) {}
    /// What is shown of where a link leads; bounded in size and time, and `None` where there is nothing. How
    /// many at a time is the caller's to bound.
    async fn look_at(&self, _link: &str) -> Option<LinkPreview> {
        None
    }
    /// Posts to a webhook, once.
    async fn post(&self, request: WebhookRequest) -> WebhookAnswer;
    /// Asks a webhook's URL with `challenge` in its query, and wants exactly that as the answer.
    ///
    /// # Errors
    /// Why it failed; safe to show.
    async fn challenge(&self, url: &str, challenge: &str) -> Result<(), String>;
}

/// What makes files fit to be sent.
#[async_trait]
pub trait MediaCodec: Send + Sync {
    /// Finds out what a file is. Only one that is wished to be a voice note is converted, which
    /// keeps a processor busy: how many at a time is the caller's to bound.
    ///
    /// # Errors
    /// [`FileError`]; with words that are safe to show.
    async fn prepare(&self, file: TempMedia, wish: MediaWish) -> Result<ReadyMedia, FileError>;
    /// Makes a small picture of an image, as JPEG; `None` where that is not possible.
    async fn make_small(&self, _image: Vec<u8>) -> Option<Vec<u8>> {
        None
    }
    /// Makes the picture of a group of an image: a square JPEG.
    ///
    /// # Errors
    /// [`FileError`]; with words that are safe to show.
    async fn make_picture(&self, _file: TempMedia) -> Result<Vec<u8>, FileError> {
        Err(FileError::Temporary("pictures are not made here".to_owned()))
    }
}

/// What keeps secrets unreadable in the database.
pub trait SecretCipher: Send + Sync {
    /// Encrypts for one row.
    fn seal(&self, row: SecretRow, secret: &str) -> SealedSecret;
    /// Decrypts; `None` when it was sealed with another key or for another row, or is damaged.
    fn open(&self, row: SecretRow, sealed: &SealedSecret) -> Option<String>;
    /// Whether it is sealed as [`SecretCipher::seal`] does now; what an earlier release sealed opens
    /// too and is sealed anew with the next change.
    fn is_current(&self, sealed: &SealedSecret) -> bool;
}

impl dyn SecretCipher + '_ {
    /// The secrets of a webhook; `None` when they cannot be read.
    pub fn secrets(&self, webhook: &Webhook) -> Option<WebhookSecrets> {
        let text = self.open(webhook.secret_row(), &webhook.secret)?;
        Some(WebhookSecrets::from_text(&text))
    }
}

/// Which events a format can render, and how it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormatRules {
    /// Its name.
    pub name: &'static str,
    /// What it has a shape for.
    pub events: &'static [EventKind],
    /// Whether a receiver has to answer a challenge first.
    pub needs_challenge: bool,
    /// Whether all webhooks of an account in this format have one secret.
    pub shares_secret: bool,
    /// What a secret that is made for it begins with.
    pub secret_prefix: &'static str,
}

/// The formats in which events are rendered; implemented beside the APIs that define them.
pub trait EventFormats: Send + Sync {
    /// All of them.
    fn all(&self) -> Vec<FormatRules>;
    /// An event in the shape of `format`, signed at `now`; `None` when the format has no shape for
    /// it, or is unknown: [`EventFormats::rules`] says which.
    fn encode(
        &self,
        format: &FormatName,
        url: &str,
        event: &Event,
        secrets: SigningSecrets<'_>,
        now: Timestamp,
    ) -> Option<WebhookRequest>;
    /// The rules of one format.
    fn rules(&self, format: &FormatName) -> Option<FormatRules> {
        self.all().into_iter().find(|rules| rules.name == format.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, WebhookId};

    struct Formats;

    impl EventFormats for Formats {
        fn all(&self) -> Vec<FormatRules> {
            let named = |name| FormatRules {
                name,
                events: &EventKind::ALL,
                needs_challenge: false,
                shares_secret: false,
                secret_prefix: "",
            };
            ["gerbang", "other"].map(named).to_vec()
        }

        fn encode(
            &self,
            _: &FormatName,
            _: &str,
            _: &Event,
            _: SigningSecrets<'_>,
            _: Timestamp,
        ) -> Option<WebhookRequest> {
            None
        }
    }

    #[test]
    fn rules_are_those_of_the_format() {
        let rules = |name: &str| Formats.rules(&FormatName(name.to_owned()));
        assert_eq!(rules("other").map(|rules| rules.name), Some("other"));
        assert_eq!(rules("unknown"), None);
    }

    /// Opens what is sealed for one row.
    struct Cipher(SecretRow);

    impl SecretCipher for Cipher {
        fn seal(&self, _: SecretRow, secret: &str) -> SealedSecret {
            SealedSecret(secret.into())
        }

        fn open(&self, row: SecretRow, sealed: &SealedSecret) -> Option<String> {
            (row == self.0).then(|| String::from_utf8_lossy(&sealed.0).into_owned())
        }

        fn is_current(&self, _: &SealedSecret) -> bool {
            true
        }
    }

    #[test]
    fn secrets_of_a_webhook_are_those_of_its_row() {
        let (account, webhook) = (AccountId(1), WebhookId(2));
        let secrets = WebhookSecrets::new("a secret of mine".into(), true);
        let hook = Webhook {
            id: webhook,
            account_id: account,
            device_id: None,
            url: "https://hook.example".into(),
            format: FormatName("gerbang".into()),
            events: vec![EventKind::MessageSent],
            secret: SealedSecret(secrets.to_text().into()),
            disabled: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        let opened = |row| (&Cipher(row) as &dyn SecretCipher).secrets(&hook);
        assert!(opened(SecretRow::Webhook { account, webhook }) == Some(secrets));
        assert!(opened(SecretRow::Webhook { account, webhook: WebhookId(3) }).is_none());
    }
}
