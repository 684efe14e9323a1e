//! The keys of an account: what they may do, until when, and when they were last used.

use std::collections::HashMap;

use jiff::Timestamp;
use parking_lot::Mutex;

use super::{Core, Principal, check_name};
use crate::account::{KEYS_MAX, Key, KeyRights};
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::ids::{DeviceId, KeyId};
use crate::key::{KeyKind, Secret};
use crate::ports::{CreatedKey, Page, PageRequest};
use crate::scope::{Scope, Scopes};

/// Most keys whose last use is remembered until it is stored.
const USES_KEPT: usize = 100_000;
/// Keys whose last use is stored in one transaction.
const USES_PER_COMMIT: usize = 500;

/// What is asked for when a key is made.
#[derive(Debug, Clone, Default)]
pub struct NewKeyRequest {
    /// What its owner calls it.
    pub name: String,
    /// What it may do; `None` for all that the caller may.
    pub scopes: Option<Scopes>,
    /// The only device it is for; `None` for all of the account's.
    pub device: Option<DeviceId>,
    /// Until when it is valid; `None` for as long as the caller's key.
    pub expires_at: Option<Timestamp>,
}

/// When keys were last used, until it is stored.
#[derive(Debug, Default)]
pub(super) struct KeyUses(Mutex<HashMap<KeyId, Timestamp>>);

impl KeyUses {
    /// Notes that a key is used.
    pub(super) fn note(&self, key: KeyId, now: Timestamp) {
        let mut uses = self.0.lock();
        if uses.len() < USES_KEPT || uses.contains_key(&key) {
            uses.insert(key, now);
        }
    }

    fn last(&self, key: KeyId) -> Option<Timestamp> {
        self.0.lock().get(&key).copied()
    }

    fn snapshot(&self) -> Vec<(KeyId, Timestamp)> {
        self.0.lock().iter().map(|(key, at)| (*key, *at)).collect()
    }

    /// Forgets uses that are stored by now, but not those that came after.
    fn stored(&self, uses: &[(KeyId, Timestamp)]) {
        let mut kept = self.0.lock();
        for (key, at) in uses {
            if kept.get(key) == Some(at) {
                kept.remove(key);
            }
        }
    }
}

impl Core {
    /// Makes a key; it is shown only now. It may do nothing that its maker's key may not, and is valid
    /// no longer.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for device tokens, [`Error::ScopeMissing`], [`Error::Invalid`],
    /// [`Error::NotFound`] for the device, [`Error::Conflict`] at the limit.
    pub async fn create_key(
        &self,
        principal: &Principal,
        request: NewKeyRequest,
    ) -> Result<(Key, Secret)> {
        let account = principal.require_account_key()?;
        principal.require(Scope::Manage)?;
        let name = check_name("name", &request.name)?;
        let rights = self.rights(principal, &request)?;
        if let Some(device) = rights.device {
            self.device(principal, device).await?;
        }
        let kind = rights.device.map_or(KeyKind::Account, |_| KeyKind::Device);
        let (secret, key) = self.new_secret(kind, &name);
        match self.store.create_key(account, key, rights, self.clock.now()).await? {
            CreatedKey::Created(key) => {
                self.note(principal, Action::KeyCreated, named(&key)).await;
                Ok((key, secret))
            }
            CreatedKey::LimitReached => Err(Error::Conflict(TOO_MANY_KEYS)),
            CreatedKey::DeviceGone => Err(Error::NotFound("device")),
        }
    }

    fn rights(&self, principal: &Principal, request: &NewKeyRequest) -> Result<KeyRights> {
        let own = principal.scopes();
        let scopes = request.scopes.unwrap_or(own);
        if scopes.is_empty() {
            return Err(Error::invalid("scopes", "must name at least one of read, send, manage"));
        }
        if let Some(scope) = own.lacks(scopes) {
            return Err(Error::ScopeMissing(scope));
        }
        let own_end = principal.holder.as_ref().and_then(|holder| holder.expires_at);
        let expires_at = request.expires_at.or(own_end);
        if expires_at.is_some_and(|at| at <= self.clock.now()) {
            return Err(Error::invalid("expires_at", "must be in the future"));
        }
        if own_end.is_some_and(|end| expires_at.is_none_or(|at| at > end)) {
            let message = "must not be after the end of the key that makes it";
            return Err(Error::invalid("expires_at", message));
        }
        Ok(KeyRights { scopes, device: request.device, expires_at })
    }

    /// The keys of the caller's account, without their secrets.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for device tokens, [`Error::ScopeMissing`].
    pub async fn keys(&self, principal: &Principal, page: PageRequest) -> Result<Page<Key>> {
        let account = principal.require_account_key()?;
        principal.require(Scope::Manage)?;
        let mut page = self.store.keys(account, page).await?;
        for key in &mut page.items {
            key.last_used_at = self.key_uses.last(key.id).or(key.last_used_at);
        }
        Ok(page)
    }

    /// Revokes a key, at once.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for device tokens, [`Error::ScopeMissing`], [`Error::NotFound`].
    pub async fn delete_key(&self, principal: &Principal, id: KeyId) -> Result<()> {
        let account = principal.require_account_key()?;
        principal.require(Scope::Manage)?;
        let subject = match self.key_named(account, id).await {
            Ok(Some(key)) => named(&key),
            _ => id.to_string(),
        };
        self.store.make_room().await;
        let deleted = self.store.delete_key(account, id).await?;
        self.end_revoked_streams(account).await;
        deleted.then_some(()).ok_or(Error::NotFound("key"))?;
        self.note(principal, Action::KeyRevoked, subject).await;
        Ok(())
    }

    /// Stores when keys were last used, and ends the live streams of those that have expired. For a
    /// task that calls it now and then.
    ///
    /// # Errors
    /// The store's; what is not stored is kept for the next time.
    pub async fn tend_keys(&self) -> Result<()> {
        self.end_revoked().await;
        for uses in self.key_uses.snapshot().chunks(USES_PER_COMMIT) {
            self.store.note_key_uses(uses).await?;
            self.key_uses.stored(uses);
        }
        Ok(())
    }
}

/// What names a key in the audit log, also when it is gone.
fn named(key: &Key) -> String {
    format!("{} {}", key.id, key.name)
}

const TOO_MANY_KEYS: &str = "the account has 100 keys already; revoke one that is not used";
const _: () = assert!(KEYS_MAX == 100, "the text above says so");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_after_the_one_that_is_stored_is_kept() {
        let uses = KeyUses::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        uses.note(KeyId(1), at(1));
        uses.note(KeyId(2), at(1));
        let stored = uses.snapshot();
        uses.note(KeyId(2), at(2));
        uses.stored(&stored);
        assert_eq!((uses.last(KeyId(1)), uses.last(KeyId(2))), (None, Some(at(2))));
    }

    #[test]
    fn the_uses_of_many_keys_are_kept_and_no_more() {
        let uses = KeyUses::default();
        let at = |s| Timestamp::from_second(s).unwrap();
        let most = i64::try_from(USES_KEPT).unwrap();
        for key in 0..=most {
            uses.note(KeyId(key), at(1));
        }
        assert_eq!((uses.snapshot().len(), uses.last(KeyId(most))), (USES_KEPT, None));
        uses.note(KeyId(0), at(2));
        assert_eq!(uses.last(KeyId(0)), Some(at(2)), "a known one is noted");
    }
}
