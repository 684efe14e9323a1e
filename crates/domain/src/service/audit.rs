//! The log of who changed what.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;

use jiff::Timestamp;

use super::{Core, Principal, Visitor};
use crate::account::{Caller, Key};
use crate::audit::{Action, AuditEntry, NewAuditEntry};
use crate::error::Result;
use crate::ids::{AccountId, DeviceId, KeyId};
use crate::person::Role;
use crate::ports::{Page, PageRequest};

/// Most entries of a page.
pub const AUDIT_PAGE_MAX: u32 = 100;
/// Longest subject of an entry, in characters.
const SUBJECT_CHARS_MAX: usize = 200;

impl Core {
    /// Notes a change in the caller's account, or one of the operator.
    pub(super) async fn note(&self, principal: &Principal, action: Action, subject: impl Display) {
        self.note_in(principal, principal.caller.account(), action, subject).await;
    }

    /// As [`Core::note`], in an account that need not be the caller's.
    pub(super) async fn note_in(
        &self,
        principal: &Principal,
        account_id: Option<AccountId>,
        action: Action,
        subject: impl Display,
    ) {
        let by = self.name_of(principal).await;
        self.write_note(account_id, by, action, subject).await;
    }

    /// Notes what a person did who has no session yet.
    pub(super) async fn write_note(
        &self,
        account_id: Option<AccountId>,
        by: String,
        action: Action,
        subject: impl Display,
    ) {
        let subject = subject.to_string().chars().take(SUBJECT_CHARS_MAX).collect();
        let entry = NewAuditEntry { account_id, by, action, subject };
        // The change is made by now, and no answer may deny it. What the store cannot write it reports.
        let _ = self.store.write_audit(entry, self.clock.now()).await;
    }

    /// Notes that somebody makes a backup, which holds everything; returns the time.
    ///
    /// # Errors
    /// [`crate::error::Error::Forbidden`] for anybody but the operator.
    pub async fn note_backup(&self, principal: &Principal) -> Result<Timestamp> {
        principal.require_operator()?;
        self.note(principal, Action::BackupMade, "").await;
        Ok(self.clock.now())
    }

    /// The log of the account that is looked at, or of all for an operator.
    ///
    /// # Errors
    /// [`crate::error::Error::Forbidden`] for anybody but owners and operators.
    pub async fn audit(&self, visitor: &Visitor, page: PageRequest) -> Result<Page<AuditEntry>> {
        visitor.require(Role::Owner)?;
        let account = match visitor.account() {
            Some(account) => Some(account.id),
            None => visitor.require_operator().map(|()| None)?,
        };
        let page = PageRequest { limit: page.limit.min(AUDIT_PAGE_MAX), ..page };
        Ok(self.store.audit(account, page).await?)
    }

    /// What the devices and keys that entries name by their ids alone are called, as far as they are there.
    /// For entries that [`Core::audit`] has given.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit_names(&self, entries: &[AuditEntry]) -> Result<AuditNames> {
        let mut names = AuditNames::default();
        let words = entries.iter().flat_map(|entry| {
            let account = entry.account_id;
            let words = entry.subject.split(' ').chain(entry.by.split(' '));
            words.filter_map(move |word| Some((word.parse::<DeviceId>().ok()?, account?)))
        });
        let named: HashMap<DeviceId, AccountId> = words.collect();
        let ids: Vec<DeviceId> = named.keys().copied().collect();
        for device in self.store.devices_by_id(&ids).await? {
            // An entry may name what another account has.
            if named.get(&device.id) == Some(&device.account_id) {
                names.devices.insert(device.id, device.name);
            }
        }
        let keys: HashSet<(AccountId, KeyId)> = entries.iter().filter_map(nameless_key).collect();
        for (account, id) in keys {
            if let Some(key) = self.key_named(account, id).await? {
                names.keys.insert(id, key.name);
            }
        }
        Ok(names)
    }

    /// What names the caller in the log: a key is gone when somebody reads it, so its name goes with it.
    async fn name_of(&self, principal: &Principal) -> String {
        match (&principal.person, principal.caller) {
            (Some(person), _) => person.to_string(),
            (None, Caller::Operator) => "operator key".to_owned(),
            (None, Caller::Account(account, id)) => match self.key_named(account, id).await {
                Ok(Some(key)) => format!("{KEY}{id} {}", key.name),
                _ => format!("{KEY}{id}"),
            },
            (None, Caller::Device(_, device, _)) => format!("token of device {device}"),
        }
    }

    /// A key of an account.
    pub(super) async fn key_named(&self, account: AccountId, id: KeyId) -> Result<Option<Key>> {
        let page = PageRequest { before: id.0.checked_add(1), limit: 1 };
        let found = self.store.keys(account, page).await?.items;
        Ok(found.into_iter().find(|key| key.id == id))
    }
}

/// What stands before the id of a key that did something.
const KEY: &str = "key ";

/// What is named in entries by its id alone.
#[derive(Debug, Default)]
pub struct AuditNames {
    /// The names of devices.
    pub devices: HashMap<DeviceId, String>,
    /// The names of keys.
    pub keys: HashMap<KeyId, String>,
}

/// The key that did something, or to which it was done, where its name is not in the entry.
fn nameless_key(entry: &AuditEntry) -> Option<(AccountId, KeyId)> {
    let is_of_key = entry.action.starts_with("key.");
    let id = entry.by.strip_prefix(KEY).and_then(|id| id.parse().ok());
    let id = id.or_else(|| entry.subject.parse().ok().filter(|_| is_of_key))?;
    Some((entry.account_id?, KeyId(id)))
}
