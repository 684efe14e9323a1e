//! Linking a device that is on its way: what is on offer, and the steps of a passkey.

use std::sync::Arc;

use super::{Core, Principal};
use crate::device::{Device, PairOffer};
use crate::error::{Error, Result};
use crate::ids::DeviceId;
use crate::passkey::{Assertion, page_token};
use crate::scope::Scope;

impl Core {
    /// What is on offer while a device is being linked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Conflict`] when it is not being linked.
    pub async fn pairing(&self, principal: &Principal, id: DeviceId) -> Result<PairOffer> {
        principal.require(Scope::Manage)?;
        self.device(principal, id).await?;
        let offer = self.dispatcher.pairing(id).await?;
        offer.ok_or(Error::Conflict("the device is not being paired"))
    }

    /// Answers WhatsApp's challenge.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Passkey`], [`Error::Invalid`] for an answer to something else.
    pub async fn give_passkey(
        &self,
        principal: &Principal,
        id: DeviceId,
        assertion: Assertion,
    ) -> Result<PairOffer> {
        principal.require(Scope::Manage)?;
        self.device(principal, id).await?;
        self.dispatcher.give_passkey(id, assertion).await
    }

    /// Confirms that phone and gateway show the same code.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Passkey`], [`Error::Whatsapp`].
    pub async fn confirm_passkey(
        &self,
        principal: &Principal,
        id: DeviceId,
    ) -> Result<Arc<Device>> {
        principal.require(Scope::Manage)?;
        self.device(principal, id).await?;
        self.dispatcher.confirm_passkey(id).await?;
        self.device(principal, id).await
    }

    /// What the page of a challenge shows; its name is all that its reader must know.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the page of no challenge, or of one that is over.
    pub async fn passkey_page(&self, id: DeviceId, token: &str) -> Result<PairOffer> {
        match self.dispatcher.pairing(id).await? {
            Some(offer) if is_page_of(&offer, token) => Ok(offer),
            _ => Err(Error::NotFound("page")),
        }
    }

    /// As [`Core::give_passkey`], for the reader of a page.
    ///
    /// # Errors
    /// As [`Core::passkey_page`] and [`Core::give_passkey`].
    pub async fn give_passkey_on_page(
        &self,
        id: DeviceId,
        token: &str,
        assertion: Assertion,
    ) -> Result<PairOffer> {
        self.passkey_page(id, token).await?;
        self.dispatcher.give_passkey(id, assertion).await
    }

    /// As [`Core::confirm_passkey`], for the reader of a page.
    ///
    /// # Errors
    /// As [`Core::passkey_page`] and [`Core::confirm_passkey`].
    pub async fn confirm_passkey_on_page(&self, id: DeviceId, token: &str) -> Result<()> {
        self.passkey_page(id, token).await?;
        self.dispatcher.confirm_passkey(id).await
    }
}

fn is_page_of(offer: &PairOffer, token: &str) -> bool {
    // Guessing it by the time of comparisons is no way in: it is a hash of what is unknown.
    matches!(offer, PairOffer::Passkey { request, .. } if page_token(request) == token)
}
