//! Portal links, and the log of who changed what.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Page, PageRequest, StoreResult};
use crate::audit::{AuditEntry, NewAuditEntry};
use crate::ids::{AccountId, DeviceId, PortalLinkId};
use crate::key::KeyHash;
use crate::portal::{Permission, PortalLink};

/// A portal link to be made.
#[derive(Debug, Clone)]
pub struct NewPortalLink {
    /// The hash of its secret.
    pub hash: KeyHash,
    /// Whose device it opens.
    pub account_id: AccountId,
    /// The device.
    pub device_id: DeviceId,
    /// What its holder may do.
    pub may: Vec<Permission>,
    /// Until when it is valid.
    pub expires_at: Timestamp,
}

/// Portal links. Nothing here is on the path of a request of an API.
#[async_trait]
pub trait PortalStore: Send + Sync {
    /// Makes a link; those of the device that have expired are erased. `None` when the device is gone or
    /// has [`crate::portal::PORTAL_LINKS_MAX`] of them.
    async fn create_portal_link(
        &self,
        link: NewPortalLink,
        now: Timestamp,
    ) -> StoreResult<Option<PortalLink>>;
    /// The valid links of a device, newest first.
    async fn portal_links(
        &self,
        account: AccountId,
        device: DeviceId,
        now: Timestamp,
    ) -> StoreResult<Vec<PortalLink>>;
    /// The valid link with this hash.
    async fn portal_link(&self, hash: KeyHash, now: Timestamp) -> StoreResult<Option<PortalLink>>;
    /// Erases a link; false when the device has none with this id.
    async fn delete_portal_link(
        &self,
        account: AccountId,
        device: DeviceId,
        id: PortalLinkId,
    ) -> StoreResult<bool>;
}

/// The audit log.
#[async_trait]
pub trait AuditStore: Send + Sync {
    /// Writes an entry, unless its account is gone. Entries older than [`crate::audit::AUDIT_KEPT`], and
    /// beyond [`crate::audit::AUDIT_ENTRIES_MAX`] of the account, are erased.
    async fn write_audit(&self, entry: NewAuditEntry, now: Timestamp) -> StoreResult<()>;
    /// The entries of an account, or all of them, newest first.
    async fn audit(
        &self,
        account: Option<AccountId>,
        page: PageRequest,
    ) -> StoreResult<Page<AuditEntry>>;
}
