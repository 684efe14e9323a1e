//! Whom a message goes to: which number an account has, and how the device's account addresses people.

use domain::chat::ChatId;
use domain::contact::Spelling;
use domain::ids::DeviceId;
use domain::phone::PhoneNumber;
use domain::ports::{SendError, StoreResult};
use tokio::time::timeout;
use wacore_binary::Jid;
use whatsapp_rust::Client;

use super::WhatsappMessenger;
use crate::errors;
use crate::groups;
use crate::identities::IdentityReporter;
use crate::limits::LOOK_UP_MAX;

impl WhatsappMessenger {
    /// Asks for the number of an account; `None` when there is no account.
    async fn look_up(
        &self,
        client: &Client,
        phone: &PhoneNumber,
    ) -> std::result::Result<Option<PhoneNumber>, SendError> {
        let jids = [Jid::pn(phone.as_str())];
        let contacts = client.contacts();
        let found = match timeout(LOOK_UP_MAX, contacts.is_on_whatsapp(&jids)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return Err(errors::contact_error(&error)),
            Err(_) => return Err(SendError::Temporary("WhatsApp did not answer in time".into())),
        };
        let registered = found.iter().find(|contact| contact.is_registered).map(|contact| {
            // Some countries' numbers have two spellings, and the account goes by one of them.
            let jids = contact.pn_jid.iter().chain([&contact.jid]);
            let answered = jids.into_iter().find(|jid| jid.is_pn());
            answered.map_or_else(|| phone.clone(), |jid| PhoneNumber::from_digits(&*jid.user))
        });
        self.shared.registrations.put(phone, registered.clone());
        Ok(registered)
    }

    /// The number that the account of a number has, by a recent answer or a new one; `None` when there is no
    /// account.
    pub(super) async fn registered(
        &self,
        device: DeviceId,
        phone: &PhoneNumber,
    ) -> std::result::Result<Option<PhoneNumber>, SendError> {
        match self.shared.registrations.get(phone) {
            Some(known) => Ok(known),
            None => self.look_up(&*self.client(device)?, phone).await,
        }
    }

    /// Reports that an account is known by another spelling of the number, where it is.
    pub(super) async fn report_spelling(
        &self,
        device: DeviceId,
        spelling: &PhoneNumber,
        phone: &PhoneNumber,
    ) -> StoreResult<()> {
        if spelling == phone {
            return Ok(());
        }
        let reporter = IdentityReporter {
            events: self.shared.events.clone(),
            device,
            identities: self.slot(device).online.identities.clone(),
        };
        let spelling = Spelling { spelling: spelling.clone(), phone: phone.clone() };
        reporter.report_spelling(spelling).await
    }

    /// The recipient's address; an error when WhatsApp says that the number is not registered.
    pub(super) async fn recipient(
        &self,
        device: DeviceId,
        chat: &ChatId,
    ) -> std::result::Result<Jid, SendError> {
        match chat {
            ChatId::Group(group) => Ok(Jid::group(group.user())),
            ChatId::Lid(lid) => Ok(Jid::lid(lid.user())),
            ChatId::Other(_) => Err(errors::invalid_recipient()),
            ChatId::Person(phone) => {
                let registered = self.registered(device, phone).await?;
                let registered = registered.ok_or_else(errors::not_on_whatsapp)?;
                // Durable before the number is written to: what follows is in the right chat.
                let reported = self.report_spelling(device, phone, &registered).await;
                reported
                    .map_err(|_| SendError::Temporary("the number could not be stored".into()))?;
                Ok(Jid::pn(registered.as_str()))
            }
        }
    }

    /// Where typing is shown: a person as the device's account addresses people, which the library
    /// sees to for messages only.
    pub(super) async fn typing_address(
        &self,
        device: DeviceId,
        client: &Client,
        chat: &ChatId,
    ) -> Option<Jid> {
        // What is learnt of a number here, its message need not ask again.
        let to = self.recipient(device, chat).await.ok()?;
        self.addressed(device, client, to).await
    }

    /// A recipient as the device's account addresses people; `None` when that cannot be found out.
    pub(super) async fn addressed(
        &self,
        device: DeviceId,
        client: &Client,
        to: Jid,
    ) -> Option<Jid> {
        let addressing = self.slot(device).online.addressing.clone();
        if !to.is_pn() || !addressing.is_by_lid(client).await {
            return Some(to);
        }
        let lid = async || {
            let known = client.get_lid_pn_entry(&to).await.ok().flatten();
            known.map(|entry| Jid::lid(&*entry.lid))
        };
        if let Some(lid) = lid().await {
            return Some(lid);
        }
        // Another device has asked for the number: this one learns its LID from an answer of its own.
        self.look_up(client, &PhoneNumber::from_digits(&*to.user)).await.ok()?;
        Some(lid().await.unwrap_or_else(|| to.clone()))
    }

    /// Whether a group names its members by LID: as in its last message, or as it is known.
    pub(super) async fn group_is_by_lid(
        &self,
        device: DeviceId,
        client: &Client,
        group: &Jid,
    ) -> bool {
        let noted = self.slot(device).online.addressing.group_is_by_lid(group);
        match noted {
            Some(by_lid) => by_lid,
            None => groups::is_by_lid(client, group).await,
        }
    }
}
