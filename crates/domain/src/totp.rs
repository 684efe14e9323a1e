//! Codes of an authenticator app (RFC 6238), as every app makes them: SHA-1, six digits, half a minute each.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha1::Sha1;

/// Seconds that a code is shown.
pub const STEP_S: i64 = 30;
/// Bytes of a secret.
pub const TOTP_SECRET_BYTES: usize = 20;
/// Bytes of a recovery code.
pub const RECOVERY_CODE_BYTES: usize = 10;
/// Recovery codes that somebody gets.
pub const RECOVERY_CODES: usize = 8;

const DIGITS: usize = 6;
/// Clocks are wrong, and people slow: the codes before and after the present one count, too.
const STEPS_AROUND: i64 = 1;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What an app and the gateway share. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret([u8; TOTP_SECRET_BYTES]);

impl TotpSecret {
    /// Takes random bytes.
    pub fn from_random(bytes: [u8; TOTP_SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads a text of [`TotpSecret::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        from_base32(text)?.try_into().ok().map(Self)
    }

    /// As people type it into an app.
    pub fn to_text(&self) -> String {
        base32(&self.0)
    }

    /// What an app reads from a QR.
    pub fn uri(&self, email: &str) -> String {
        let email: String = email.bytes().map(escaped).collect();
        format!("otpauth://totp/Gerbang:{email}?secret={}&issuer=Gerbang", self.to_text())
    }

    /// The step whose code this is, of those near `now`.
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let present = now.as_second().div_euclid(STEP_S);
        let mut near = present - STEPS_AROUND..=present + STEPS_AROUND;
        near.find(|step| self.code(*step) == code)
    }

    /// The code of a step.
    pub fn code(&self, step: i64) -> String {
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(&step.to_be_bytes());
        let digest = mac.finalize().into_bytes();
        let at = usize::from(digest[digest.len() - 1] & 15);
        let part = u32::from_be_bytes(std::array::from_fn(|n| digest[at + n]));
        format!("{:0DIGITS$}", (part & 0x7fff_ffff) % 1_000_000)
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(…)")
    }
}

/// A recovery code, in groups that people can copy.
pub fn recovery_code(bytes: [u8; RECOVERY_CODE_BYTES]) -> String {
    let text = base32(&bytes).to_lowercase();
    let groups: Vec<&str> = (0..text.len()).step_by(4).map(|at| &text[at..at + 4]).collect();
    groups.join("-")
}

/// A code as it was typed, without what people put in between; of a recovery code in one spelling.
pub fn cleaned_code(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric).take(64);
    kept.map(|c| c.to_ascii_lowercase()).collect()
}

fn escaped(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    }
}

fn base32(bytes: &[u8]) -> String {
    let (mut text, mut held, mut bits) = (String::new(), 0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(held >> bits & 31) as usize]));
        }
    }
    text
}

fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == byte.to_ascii_uppercase())?;
        held = held << 5 | u32::try_from(value).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 255).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = TotpSecret::from_random(*b"12345678901234567890");
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(secret.code(at / STEP_S), code, "{at}");
        }
    }

    #[test]
    fn neighbouring_codes_count_and_no_others() {
        let secret = TotpSecret::from_random([7; TOTP_SECRET_BYTES]);
        let now = Timestamp::from_second(3_000).unwrap();
        for (step, counts) in [(98, false), (99, true), (100, true), (101, true), (102, false)] {
            let found = secret.step_of(&secret.code(step), now);
            assert_eq!(found, counts.then_some(step), "{step}");
        }
        assert_eq!(secret.step_of("", now), None);
    }

    #[test]
    fn texts_read_back() {
        let secret = TotpSecret::from_random(std::array::from_fn(|n| n as u8 * 13));
        assert_eq!(TotpSecret::parse(&secret.to_text()), Some(secret.clone()));
        assert_eq!(TotpSecret::parse(&secret.to_text().to_lowercase()), Some(secret.clone()));
        for wrong in ["", "ABC", "0189", &(secret.to_text() + "AAAAAAAA")] {
            assert_eq!(TotpSecret::parse(wrong), None, "{wrong}");
        }
        let uri = secret.uri("a+b@c.example");
        assert!(uri.starts_with("otpauth://totp/Gerbang:a%2Bb%40c.example?secret="), "{uri}");
        assert_eq!(recovery_code([255; RECOVERY_CODE_BYTES]), "7777-7777-7777-7777");
        assert_eq!(cleaned_code(" 7777-77 77A\n"), "77777777a");
    }
}
