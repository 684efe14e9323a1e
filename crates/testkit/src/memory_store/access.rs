//! Portal links and the audit log.

use async_trait::async_trait;
use domain::audit::{AUDIT_ENTRIES_MAX, AUDIT_KEPT, AuditEntry, NewAuditEntry};
use domain::ids::{AccountId, AuditId, DeviceId, PortalLinkId};
use domain::key::KeyHash;
use domain::portal::{PORTAL_LINKS_MAX, PortalLink};
use domain::ports::{AuditStore, NewPortalLink, Page, PageRequest, PortalStore, StoreResult};
use jiff::Timestamp;

use super::{MemoryStore, page_of, stored};

#[async_trait]
impl PortalStore for MemoryStore {
    async fn create_portal_link(
        &self,
        new: NewPortalLink,
        now: Timestamp,
    ) -> StoreResult<Option<PortalLink>> {
        let mut state = self.state();
        if state.owned(new.account_id, new.device_id).is_none() {
            return Ok(None);
        }
        let device = new.device_id;
        state.portal_links.retain(|(_, link)| link.device_id != device || link.expires_at > now);
        let count = state.portal_links.iter().filter(|(_, link)| link.device_id == device).count();
        if count >= usize::try_from(PORTAL_LINKS_MAX).expect("a small limit") {
            return Ok(None);
        }
        let link = PortalLink {
            id: PortalLinkId(state.next_id("portal_links")),
            account_id: new.account_id,
            device_id: device,
            may: new.may,
            created_at: stored(now),
            expires_at: stored(new.expires_at),
        };
        state.portal_links.push((new.hash, link.clone()));
        Ok(Some(link))
    }

    async fn portal_links(
        &self,
        account: AccountId,
        device: DeviceId,
        now: Timestamp,
    ) -> StoreResult<Vec<PortalLink>> {
        let state = self.state();
        let links = state.portal_links.iter().rev().map(|(_, link)| link);
        let is_it = |link: &&PortalLink| {
            (link.account_id, link.device_id) == (account, device) && link.expires_at > now
        };
        Ok(links.filter(is_it).cloned().collect())
    }

    async fn portal_link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<PortalLink>> {
        let state = self.state();
        let mut valid = state.portal_links.iter().filter(|(_, link)| link.expires_at > now);
        Ok(valid.find(|(known, _)| *known == hash).map(|(_, link)| link.clone()))
    }

    async fn delete_portal_link(
        &self,
        account: AccountId,
        device: DeviceId,
        id: PortalLinkId,
    ) -> StoreResult<bool> {
        let mut state = self.state();
        let before = state.portal_links.len();
        state.portal_links.retain(|(_, link)| {
            (link.account_id, link.device_id, link.id) != (account, device, id)
        });
        Ok(state.portal_links.len() < before)
    }
}

#[async_trait]
impl AuditStore for MemoryStore {
    async fn write_audit(&self, new: NewAuditEntry, now: Timestamp) -> StoreResult<()> {
        let mut state = self.state();
        if new.account_id.is_some_and(|id| !state.accounts.contains_key(&id)) {
            return Ok(());
        }
        let NewAuditEntry { account_id, by, action, subject } = new;
        state.last_audit_id += 1;
        let (id, action) = (AuditId(state.last_audit_id), action.as_str().to_owned());
        state.audit.push(AuditEntry { id, account_id, by, action, subject, at: stored(now) });
        state.audit.retain(|entry| now.duration_since(entry.at) < AUDIT_KEPT);
        let of_account = |entry: &AuditEntry| entry.account_id == account_id;
        let count = state.audit.iter().filter(|entry| of_account(entry)).count();
        if count > usize::try_from(AUDIT_ENTRIES_MAX).expect("a small limit")
            && let Some(oldest) = state.audit.iter().position(of_account)
        {
            state.audit.remove(oldest);
        }
        Ok(())
    }

    async fn audit(
        &self,
        account: Option<AccountId>,
        page: PageRequest,
    ) -> StoreResult<Page<AuditEntry>> {
        let state = self.state();
        let entries = state.audit.iter().rev().filter(|entry| {
            page.before.is_none_or(|before| entry.id.0 < before)
                && account.is_none_or(|account| entry.account_id == Some(account))
        });
        let limit = usize::try_from(page.limit).expect("a small limit");
        Ok(page_of(entries.take(limit + 1).cloned().collect(), page.limit))
    }
}
