//! Keys: how they are made, recognised and never stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// What a key is for; it shows in the key's first characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// Runs the gateway.
    Operator,
    /// Acts for an account.
    Account,
    /// Acts for one device.
    Device,
    /// The cookie of a session of the dashboard.
    Session,
    /// A one-time link to the dashboard.
    Link,
    /// A link to the page of one device.
    Portal,
    /// What `gerbang admin` shows to the gateway that runs on its machine.
    Console,
}

impl KeyKind {
    fn prefix(self) -> &'static str {
        match self {
            Self::Operator => "gbo_",
            Self::Account => "gba_",
            Self::Device => "gbd_",
            Self::Session => "gbs_",
            Self::Link => "gbl_",
            Self::Portal => "gbp_",
            Self::Console => "gbc_",
        }
    }
}

/// A key in full: shown once, when it is made. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes a key from 32 random bytes.
    pub fn from_random(kind: KeyKind, bytes: [u8; 32]) -> Self {
        Self(format!("{}{}", kind.prefix(), URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Takes a key as it came in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The key itself. Show it once; never log it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored in its place. A fast hash is enough for 256 random bits.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }

    /// Its last four characters, so that people can distinguish keys.
    pub fn last_four(&self) -> String {
        let count = self.0.chars().count();
        self.0.chars().skip(count.saturating_sub(4)).collect()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// SHA-256 of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_long_and_hides_in_debug() {
        let secret = Secret::from_random(KeyKind::Account, [7; 32]);
        assert_eq!(secret.reveal().len(), 4 + 43);
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        assert_eq!(secret.hash(), Secret::new(secret.reveal()).hash());
    }

    #[test]
    fn the_first_characters_say_what_a_key_is_for() {
        use KeyKind::{Account, Console, Device, Link, Operator, Portal, Session};
        for (kind, prefix) in [
            (Operator, "gbo_"),
            (Account, "gba_"),
            (Device, "gbd_"),
            (Session, "gbs_"),
            (Link, "gbl_"),
            (Portal, "gbp_"),
            (Console, "gbc_"),
        ] {
            assert!(Secret::from_random(kind, [7; 32]).reveal().starts_with(prefix), "{kind:?}");
        }
    }

    #[test]
    fn people_see_the_last_four_characters() {
        for (key, shown) in
            [("gba_abcdef", "cdef"), ("kunci-é€ñü", "é€ñü"), ("abc", "abc"), ("", "")]
        {
            assert_eq!(Secret::new(key).last_four(), shown, "{key}");
        }
    }
}
