//! The ports of portal links and of the audit log.

use async_trait::async_trait;
use domain::audit::{AuditEntry, NewAuditEntry};
use domain::ids::{AccountId, DeviceId, PortalLinkId};
use domain::key::KeyHash;
use domain::portal::PortalLink;
use domain::ports::{AuditStore, NewPortalLink, Page, PageRequest, PortalStore, StoreResult};
use jiff::Timestamp;

use super::SqlStore;
use crate::access;

#[async_trait]
impl PortalStore for SqlStore {
    async fn create_portal_link(
        &self,
        link: NewPortalLink,
        now: Timestamp,
    ) -> StoreResult<Option<PortalLink>> {
        run!(self.write, access::create_portal_link, link, now)
    }

    async fn portal_links(
        &self,
        account: AccountId,
        device: DeviceId,
        now: Timestamp,
    ) -> StoreResult<Vec<PortalLink>> {
        run!(self.read, access::portal_links, account, device, now)
    }

    async fn portal_link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<PortalLink>> {
        run!(self.read, access::portal_link, hash, now)
    }

    async fn delete_portal_link(
        &self,
        account: AccountId,
        device: DeviceId,
        id: PortalLinkId,
    ) -> StoreResult<bool> {
        run!(self.write, access::delete_portal_link, account, device, id)
    }
}

#[async_trait]
impl AuditStore for SqlStore {
    async fn write_audit(&self, entry: NewAuditEntry, now: Timestamp) -> StoreResult<()> {
        run!(self.write, access::write_audit, entry, now)
    }

    async fn audit(
        &self,
        account: Option<AccountId>,
        page: PageRequest,
    ) -> StoreResult<Page<AuditEntry>> {
        run!(self.read, access::audit, account, page)
    }
}
