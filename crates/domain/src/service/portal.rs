//! Portal links: one device for somebody without an account.

use std::sync::Arc;

use super::{Core, Principal};
use crate::account::Caller;
use crate::audit::Action;
use crate::error::{Error, Result};
use crate::ids::{DeviceId, KeyId, PortalLinkId};
use crate::key::{KeyKind, Secret};
use crate::portal::{
    PORTAL_LINK_S, PORTAL_LINK_S_MAX, PORTAL_LINK_S_MIN, PORTAL_LINKS_MAX, Permission, PortalLink,
    expiry,
};
use crate::ports::{KeyHolder, NewPortalLink};
use crate::scope::{Scope, Scopes};

/// Somebody with a portal link.
#[derive(Debug, Clone)]
pub struct PortalVisitor {
    /// The link.
    pub link: PortalLink,
    /// Whom it stands for: the device, and nothing else of its account.
    pub principal: Principal,
}

impl PortalVisitor {
    /// Lets those pass whose link allows it.
    ///
    /// # Errors
    /// [`Error::Forbidden`].
    pub fn require(&self, permission: Permission) -> Result<()> {
        self.may(permission).then_some(()).ok_or(Error::Forbidden)
    }

    /// Whether the link allows it.
    pub fn may(&self, permission: Permission) -> bool {
        self.link.may.contains(&permission)
    }
}

impl Core {
    /// Makes a portal link; its secret is shown only now.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] for device tokens, [`Error::ScopeMissing`],
    /// [`Error::Invalid`], [`Error::Conflict`] at the limit.
    pub async fn create_portal_link(
        &self,
        principal: &Principal,
        device_id: DeviceId,
        expires_in_s: Option<i64>,
        mut may: Vec<Permission>,
    ) -> Result<(PortalLink, Secret)> {
        let account_id = principal.require_account_key()?;
        principal.require(Scope::Manage)?;
        self.device(principal, device_id).await?;
        let seconds = expires_in_s.unwrap_or(PORTAL_LINK_S);
        if !(PORTAL_LINK_S_MIN..=PORTAL_LINK_S_MAX).contains(&seconds) {
            let message = format!("must be {PORTAL_LINK_S_MIN} to {PORTAL_LINK_S_MAX} seconds");
            return Err(Error::invalid("expires_in_s", message));
        }
        // A link may do nothing that its maker may not.
        may.iter().try_for_each(|permission| principal.require(permission.scope()))?;
        may.sort_unstable();
        may.dedup();
        if may.is_empty() {
            return Err(Error::invalid("may", "must name one or more of pair, read and send"));
        }
        let now = self.clock.now();
        let secret = Secret::from_random(KeyKind::Portal, self.random());
        let (hash, expires_at) = (secret.hash(), expiry(now, seconds));
        let new = NewPortalLink { hash, account_id, device_id, may, expires_at };
        let link = self.store.create_portal_link(new, now).await?;
        let link = link.ok_or(Error::Conflict(TOO_MANY_LINKS))?;
        self.note(principal, Action::PortalLinkCreated, format!("{} of {device_id}", link.id))
            .await;
        Ok((link, secret))
    }

    /// The valid portal links of a device, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] for device tokens.
    pub async fn portal_links(
        &self,
        principal: &Principal,
        device: DeviceId,
    ) -> Result<Vec<PortalLink>> {
        let account = principal.require_account_key()?;
        principal.require(Scope::Manage)?;
        self.device(principal, device).await?;
        Ok(self.store.portal_links(account, device, self.clock.now()).await?)
    }

    /// Revokes a portal link, at once.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] for device tokens.
    pub async fn delete_portal_link(
        &self,
        principal: &Principal,
        device: DeviceId,
        id: PortalLinkId,
    ) -> Result<()> {
        let account = principal.require_account_key()?;
        principal.require(Scope::Manage)?;
        if !self.store.delete_portal_link(account, device, id).await? {
            return Err(Error::NotFound("portal link"));
        }
        self.end_revoked_streams(account).await;
        self.note(principal, Action::PortalLinkRevoked, format!("{id} of {device}")).await;
        Ok(())
    }

    /// Who holds this portal link.
    ///
    /// # Errors
    /// [`Error::NotFound`] when it has ended, was revoked, or is none of ours.
    pub async fn portal_visitor(&self, secret: &Secret) -> Result<PortalVisitor> {
        let gone = || Error::NotFound("link");
        let link = self.store.portal_link(secret.hash(), self.clock.now()).await?;
        let link = link.ok_or_else(gone)?;
        let scopes: Scopes = link.may.iter().map(|permission| permission.scope()).collect();
        let holder = self.holder_of(link.account_id, scopes).await?.ok_or_else(gone)?;
        // A link is no key, and ids of keys begin with 1.
        let caller = Caller::Device(link.account_id, link.device_id, KeyId(0));
        let holder = Arc::new(KeyHolder { caller, ..KeyHolder::clone(&holder) });
        let person = Some(format!("portal link {}", link.id).into());
        let key = secret.hash();
        let principal = Principal { caller, holder: Some(holder), key, rate: None, person };
        Ok(PortalVisitor { link, principal })
    }
}

const TOO_MANY_LINKS: &str = "the device has 100 portal links already; revoke one";
const _: () = assert!(PORTAL_LINKS_MAX == 100, "the text above says so");
