//! What the messages of a webhook are signed with.

use jiff::{SignedDuration, Timestamp};

use crate::ids::{AccountId, DeviceId, UserId, WebhookId};

/// How long messages are signed with the old secret too, once there is a new one.
const BOTH_FOR: SignedDuration = SignedDuration::from_hours(24);
/// Before a secret that is replaced, in the stored text.
const PREVIOUS: &str = "previous ";
/// Says in the stored text that the secret is no other webhook's.
const OWN: &str = "own";

/// A secret as it is kept: encrypted. Its `Debug` form hides even that.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(pub Vec<u8>);

impl std::fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedSecret(…)")
    }
}

/// The row that a sealed secret belongs to: in another one it cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say whose it is")]
pub enum SecretRow {
    /// What the messages of a webhook are signed with.
    Webhook { account: AccountId, webhook: WebhookId },
    /// The proxy of a device.
    Proxy { account: AccountId, device: DeviceId },
    /// What a file that a device received is fetched by.
    File { device: DeviceId },
    /// What a person signs in with.
    Person { user: UserId },
}

/// The secrets of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecrets {
    /// What its owner knows.
    pub current: String,
    /// What it was before, and until when messages are signed with that as well.
    pub previous: Option<(String, Timestamp)>,
    /// Whether it is not to be shared with further webhooks of the format: a token of one device
    /// was shown it, or it is for this receiver alone.
    pub is_own: bool,
}

/// What one message is signed with.
#[derive(Clone, Copy)]
pub struct SigningSecrets<'a> {
    /// The secret.
    pub current: &'a str,
    /// The one before it, while receivers may still check with that.
    pub previous: Option<&'a str>,
}

impl<'a> From<&'a str> for SigningSecrets<'a> {
    fn from(current: &'a str) -> Self {
        Self { current, previous: None }
    }
}

impl WebhookSecrets {
    /// A first secret.
    pub fn new(current: String, is_own: bool) -> Self {
        Self { current, previous: None, is_own }
    }

    /// With another secret in place of the present one, at `now`.
    pub fn replaced(self, current: String, now: Timestamp) -> Self {
        let until = now.saturating_add(BOTH_FOR).unwrap_or(Timestamp::MAX);
        Self { current, previous: Some((self.current, until)), is_own: true }
    }

    /// What a message at `now` is signed with.
    pub fn at(&self, now: Timestamp) -> SigningSecrets<'_> {
        let previous = self.previous.as_ref().filter(|(_, until)| now < *until);
        SigningSecrets {
            current: &self.current,
            previous: previous.map(|(secret, _)| secret.as_str()),
        }
    }

    /// The text that is encrypted. No secret holds a line feed.
    pub fn to_text(&self) -> String {
        let mut text = self.current.clone();
        if self.is_own {
            text.push('\n');
            text.push_str(OWN);
        }
        if let Some((secret, until)) = &self.previous {
            text.push_str(&format!("\n{PREVIOUS}{} {secret}", until.as_millisecond()));
        }
        text
    }

    /// Reads what [`WebhookSecrets::to_text`] wrote; a secret alone is that of an earlier release.
    pub fn from_text(text: &str) -> Self {
        let mut lines = text.split('\n');
        let current = lines.next().unwrap_or_default().to_owned();
        let mut secrets = Self::new(current, false);
        for line in lines {
            secrets.is_own |= line == OWN;
            let previous = line.strip_prefix(PREVIOUS).and_then(|rest| rest.split_once(' '));
            let until = |ms: &str| Timestamp::from_millisecond(ms.parse().ok()?).ok();
            if let Some((secret, until)) = previous.and_then(|(ms, s)| Some((s, until(ms)?))) {
                secrets.previous = Some((secret.to_owned(), until));
            }
        }
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_secret_signs_for_one_more_day() {
        let now = Timestamp::UNIX_EPOCH;
        let first = WebhookSecrets::new("a secret of mine".into(), false);
        let second = first.clone().replaced("another".into(), now);
        let read = WebhookSecrets::from_text(&second.to_text());
        assert!(read == second && read.is_own);
        assert!(WebhookSecrets::from_text(&first.to_text()) == first);
        assert!(WebhookSecrets::from_text("a secret of mine") == first, "an earlier release's");
        let signs = |hours| {
            let at = read.at(now + SignedDuration::from_hours(hours));
            (at.current, at.previous)
        };
        assert_eq!(signs(23), ("another", Some("a secret of mine")));
        assert_eq!(signs(24), ("another", None));
    }
}
