//! The secret key and its fingerprint, which the database keeps: another key, or none, is noticed at the start
//! and not when the first secret cannot be opened.

use anyhow::{Context as _, Result, anyhow};
use domain::ports::{AccountStore as _, PageRequest, Store as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use store::SqlStore;

use crate::config::Settings;
use crate::exit::Failure;

/// The setting under which the store keeps the fingerprint.
pub const FINGERPRINT_SETTING: &str = "secret_key_fingerprint";
/// How many bytes it has: enough to know one key from another, and too few to find one by.
const FINGERPRINT_BYTES: usize = 8;

/// The fingerprint of a secret key, as 16 hexadecimal digits.
pub fn fingerprint(secret_key: &[u8; 32]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret_key).expect("HMAC takes any key");
    mac.update(b"fingerprint of the secret key");
    hex::encode(&mac.finalize().into_bytes()[..FINGERPRINT_BYTES])
}

/// The key of the settings, which is the database's. A new installation gets `fresh`, unless it has one.
///
/// # Errors
/// The key is missing, or it is not the one that the database was used with.
pub async fn checked(settings: &Settings, store: &SqlStore, fresh: [u8; 32]) -> Result<[u8; 32]> {
    let known = known_fingerprint(store).await?;
    let is_used = known.is_some() || has_accounts(store).await?;
    let found = settings.stored_secret_key().context(Failure::SECRET_KEY)?;
    let key = match found {
        Some(key) => key,
        None if is_used => return Err(missing(settings, known).context(Failure::SECRET_KEY)),
        None => settings.make_secret_key(fresh).context("cannot keep the secret key")?,
    };
    let own = fingerprint(&key);
    let kept = store.setting(FINGERPRINT_SETTING, own.clone().into_bytes()).await?;
    if kept != own.as_bytes() {
        let kept = String::from_utf8_lossy(&kept).into_owned();
        return Err(another(settings, &own, &kept).context(Failure::SECRET_KEY));
    }
    Ok(key)
}

/// The fingerprint that the database keeps.
///
/// # Errors
/// The database's.
pub async fn known_fingerprint(store: &SqlStore) -> Result<Option<String>> {
    let kept = store.stored_setting(FINGERPRINT_SETTING).await?;
    Ok(kept.map(|kept| String::from_utf8_lossy(&kept).into_owned()))
}

/// What became of a key that was to be accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The key's fingerprint.
    pub fingerprint: String,
    /// Whether the database was used with another one before, or with one that it does not know.
    pub is_changed: bool,
}

/// From now on the database is used with the key of the settings, or with `fresh` where there is none.
///
/// # Errors
/// The key cannot be read or kept, or the database cannot be written.
pub async fn accept(settings: &Settings, store: &SqlStore, fresh: [u8; 32]) -> Result<Accepted> {
    let found = settings.stored_secret_key().context(Failure::SECRET_KEY)?;
    let key = match found {
        Some(key) => key,
        None => settings.make_secret_key(fresh).context("cannot keep the secret key")?,
    };
    let fingerprint = fingerprint(&key);
    let is_changed = known_fingerprint(store).await?.as_ref() != Some(&fingerprint);
    if is_changed {
        store.replace_setting(FINGERPRINT_SETTING, fingerprint.clone().into_bytes()).await?;
    }
    Ok(Accepted { fingerprint, is_changed })
}

async fn has_accounts(store: &SqlStore) -> Result<bool> {
    let page = store.accounts(PageRequest { before: None, limit: 1 }).await?;
    Ok(!page.items.is_empty())
}

fn missing(settings: &Settings, known: Option<String>) -> anyhow::Error {
    let known = known.map(|known| format!(" (its fingerprint is {known})")).unwrap_or_default();
    let path = settings.secret_key_path();
    anyhow!(
        "there is none, and the database was used with one{known}: set GERBANG_SECRET_KEY to it, or put its \
         file back at {}. If it is lost, gerbang admin accept-secret-key makes a new one",
        path.display()
    )
}

fn another(settings: &Settings, own: &str, kept: &str) -> anyhow::Error {
    let origin = settings.secret_key_origin();
    anyhow!(
        "{origin} has the fingerprint {own}, and the database was used with the key {kept}: put that one \
         there. If it is lost, gerbang admin accept-secret-key takes this one"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_same_for_ever_and_differs_by_key() {
        assert_eq!(fingerprint(&[7; 32]), fingerprint(&[7; 32]));
        assert_ne!(fingerprint(&[7; 32]), fingerprint(&[8; 32]));
        assert_eq!(fingerprint(&[7; 32]).len(), 16);
    }
}
