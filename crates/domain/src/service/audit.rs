//! The log of who changed what.

use std::fmt::Display;

use jiff::Timestamp;

use super::{Core, Principal, Visitor};
use crate::account::Caller;
use crate::audit::{Action, AuditEntry, NewAuditEntry};
use crate::error::Result;
use crate::ids::AccountId;
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
        self.write_note(account_id, name_of(principal), action, subject).await;
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
}

/// What names the caller in the log.
fn name_of(principal: &Principal) -> String {
    match (&principal.person, principal.caller) {
        (Some(person), _) => person.to_string(),
        (None, Caller::Operator) => "operator key".to_owned(),
        (None, Caller::Account(_, key)) => format!("key {key}"),
        (None, Caller::Device(_, device, _)) => format!("token of device {device}"),
    }
}
