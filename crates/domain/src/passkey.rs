//! Linking with a passkey: what WhatsApp asks for when a scan or a code is not enough.
//!
//! WhatsApp sends a challenge, which a passkey of the phone's owner signs; then gateway and phone show
//! the same code, and the owner confirms that it is the same.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

/// How long WhatsApp waits from its challenge to the confirmation.
pub const PASSKEY_FOR: Duration = Duration::from_secs(600);

/// A passkey's answer to a challenge, which WebAuthn calls an assertion.
#[derive(Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are WebAuthn's")]
pub struct Assertion {
    pub credential_id: Vec<u8>,
    pub client_data_json: Vec<u8>,
    pub authenticator_data: Vec<u8>,
    pub signature: Vec<u8>,
    pub user_handle: Option<Vec<u8>>,
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Assertion(…)")
    }
}

/// How far linking with a passkey is.
#[derive(Clone, PartialEq, Eq)]
pub enum PasskeyStep {
    /// The passkey must answer the challenge.
    Requested,
    /// WhatsApp has taken the answer; the phone has not reacted yet.
    Accepted,
    /// Phone and gateway show this code; the owner must confirm that it is the same.
    Confirm(String),
}

impl std::fmt::Debug for PasskeyStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PasskeyStep {
    /// Its name in every API.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Requested => "passkey",
            Self::Accepted => "phone",
            Self::Confirm(_) => "confirm",
        }
    }

    /// The code that the phone shows, too.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Confirm(code) => Some(code),
            Self::Requested | Self::Accepted => None,
        }
    }

    /// What the phone's owner must do.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Requested => {
                "WhatsApp asks for a passkey of this account: answer its challenge within 10 minutes"
            }
            Self::Accepted => "WhatsApp has taken the passkey: continue on the phone",
            Self::Confirm(_) => {
                "compare the code with the one on the phone, and confirm that it is the same"
            }
        }
    }
}

/// Why a step of linking with a passkey is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyRefusal {
    /// The device is not being linked, or without a passkey so far.
    #[error("WhatsApp has not asked for a passkey")]
    NotRequested,
    /// The challenge is answered.
    #[error("the passkey was given already")]
    AlreadyGiven,
    /// Phone and gateway have not agreed on a code yet.
    #[error("there is no code to confirm yet")]
    NoCode,
    /// [`PASSKEY_FOR`] is over.
    #[error("the 10 minutes for the passkey are over; pair the device again")]
    Expired,
    /// WhatsApp does not accept the assertion.
    #[error("WhatsApp did not accept this passkey")]
    Rejected,
}

/// What names the page that leads through a challenge: who knows the challenge knows the page.
pub fn page_token(request: &str) -> String {
    let hash = Sha256::new().chain_update("passkey page").chain_update(request).finalize();
    hex::encode(&hash[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_the_name_of_its_challenge() {
        let token = page_token("{\"challenge\":\"a\"}");
        assert_eq!(token.len(), 32);
        assert_ne!(token, page_token("{\"challenge\":\"b\"}"));
    }

    #[test]
    fn only_a_code_that_is_to_be_compared_is_shown() {
        let confirm = PasskeyStep::Confirm("ABCD-1234".to_owned());
        for (step, name, code) in [
            (PasskeyStep::Requested, "passkey", None),
            (PasskeyStep::Accepted, "phone", None),
            (confirm, "confirm", Some("ABCD-1234")),
        ] {
            assert_eq!((step.as_str(), step.code()), (name, code));
        }
    }
}
