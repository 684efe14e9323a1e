//! Keys for a moment: a session that tries an API gets one, so that the API sees a request like any other
//! and never a cookie.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Core, Principal, Visitor};
use crate::error::{Error, Result};
use crate::key::{KeyHash, KeyKind, Secret};

/// Most keys that are lent at a time.
const LENT_MAX: usize = 64;

/// The keys that are lent now; in memory only.
#[derive(Default)]
pub(super) struct LentKeys(Arc<Mutex<HashMap<KeyHash, Principal>>>);

/// A key that counts until this is dropped.
pub struct LentKey {
    secret: Secret,
    keys: Arc<Mutex<HashMap<KeyHash, Principal>>>,
}

impl LentKey {
    /// The key.
    pub fn reveal(&self) -> &str {
        self.secret.reveal()
    }
}

impl Drop for LentKey {
    fn drop(&mut self) {
        self.keys.lock().remove(&self.secret.hash());
    }
}

impl LentKeys {
    pub(super) fn holder(&self, key: &KeyHash) -> Option<Principal> {
        self.0.lock().get(key).cloned()
    }
}

impl Core {
    /// A key that may what somebody with a session may, in the account that is looked at.
    ///
    /// # Errors
    /// [`Error::TooManyRequests`].
    pub fn lend_key(&self, visitor: &Visitor) -> Result<LentKey> {
        let secret = Secret::from_random(KeyKind::Session, self.random());
        let keys = Arc::clone(&self.lent.0);
        let mut lent = keys.lock();
        if lent.len() >= LENT_MAX {
            return Err(Error::TooManyRequests);
        }
        let principal = Principal { key: secret.hash(), ..visitor.principal.clone() };
        lent.insert(secret.hash(), principal);
        drop(lent);
        Ok(LentKey { secret, keys })
    }
}
