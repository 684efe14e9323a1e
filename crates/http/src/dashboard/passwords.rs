//! Passwords: hashed with argon2id, at most two at a time; and the field for a new one.

use std::sync::Arc;

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use domain::error::{Error, Result};
use domain::person::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
use domain::service::Core;
use maud::{Markup, html};
use tokio::sync::Semaphore;

use super::show::{Fault, with};
use super::words::Lang;

/// Most that are hashed at a time: each takes 19 MiB and a core.
const HASHED_MAX: usize = 2;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// Hashes passwords.
pub(crate) struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(HASHED_MAX)))
    }
}

impl Passwords {
    /// The text to be stored for a new password.
    pub(crate) async fn hash(&self, core: &Core, password: String) -> Result<String> {
        let mut salt = [0; SALT_BYTES];
        core.fill_random(&mut salt);
        let hash = self.derive(password, salt.to_vec()).await?;
        let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash));
        Ok(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}"))
    }

    /// Whether a password is the stored one. Takes as long when there is none.
    pub(crate) async fn verify(&self, password: String, stored: Option<&str>) -> Result<bool> {
        let known = stored.and_then(parts);
        let (salt, hash) = known.clone().unwrap_or_else(|| (vec![0; SALT_BYTES], Vec::new()));
        let derived = self.derive(password, salt).await?;
        // The time of a comparison reveals nothing: it is of hashes under a secret salt.
        Ok(known.is_some() && derived.as_slice() == hash)
    }

    async fn derive(&self, password: String, salt: Vec<u8>) -> Result<[u8; HASH_BYTES]> {
        let fault = |what: &str| Error::Store(domain::error::StoreError::Fault(what.to_owned()));
        let permit = self.0.clone().acquire_owned().await;
        let permit = permit.map_err(|_| fault("no password can be hashed"))?;
        let derive = move || {
            // Until the work has ended, also for a client that has hung up.
            let _permit = permit;
            let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_BYTES)).ok()?;
            let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
            let mut hash = [0; HASH_BYTES];
            argon.hash_password_into(password.as_bytes(), &salt, &mut hash).ok()?;
            Some(hash)
        };
        let derived = tokio::task::spawn_blocking(derive).await.ok().flatten();
        derived.ok_or_else(|| fault("a password cannot be hashed"))
    }
}

/// Salt and hash of a stored password; `None` for one of other parameters, or of none.
fn parts(stored: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let rest =
        stored.strip_prefix(&format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$"))?;
    let (salt, hash) = rest.split_once('$')?;
    Some((STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?))
}

/// The field of a new password.
pub(super) fn password_field(lang: Lang, label: &str, fault: Option<&Fault>) -> Markup {
    html! {
        label for="password" { (label) }
        input #password name="password" type="password" required minlength=(PASSWORD_CHARS_MIN)
            autocomplete="new-password" aria-describedby="password-help password-fault";
        span.help #password-help { (with(lang.words().password_rule, PASSWORD_CHARS_MIN)) }
        (Fault::beside(fault, "password"))
    }
}

/// What is wrong with a new password.
pub(super) fn password_fault(lang: Lang, password: &str) -> Option<Fault> {
    let rule = || with(lang.words().password_rule, PASSWORD_CHARS_MIN);
    (!is_acceptable(password)).then(|| Fault::of("password", rule()))
}

/// Whether a new password is long enough, and not too long.
fn is_acceptable(password: &str) -> bool {
    password.chars().count() >= PASSWORD_CHARS_MIN && password.len() <= PASSWORD_BYTES_MAX
}
