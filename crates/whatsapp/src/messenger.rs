//! The messenger: finds the device's pairing and calls its client.

mod recipients;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use domain::call::Call;
use domain::chat::{ChatId, GroupId};
use domain::client::{ClientSettings, ConnectedAs};
use domain::content::Content;
use domain::device::{Group, LinkedNumber, PairMethod};
use domain::error::{Error, Result};
use domain::group::{GroupAnswer, GroupRequest};
use domain::ids::{DeviceId, WhatsappId};
use domain::incoming_file::FileReference;
use domain::media::TempMedia;
use domain::message::{Address, Message};
use domain::passkey::{Assertion, PasskeyRefusal};
use domain::phone::PhoneNumber;
use domain::ports::{
    FetchError, Messenger, MessengerEvents, OutgoingMessage, ProtocolStore, SendError,
};
use futures_util::future::join_all;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};
use wacore_binary::{Jid, JidExt as _};
use whatsapp_rust::Client;
use whatsapp_rust::upload::UploadResponse;

use crate::asked;
use crate::calls;
use crate::client::ClientContext;
use crate::config::{Config, ConfigError};
use crate::connection::Online;
use crate::download;
use crate::errors;
use crate::groups;
use crate::limits::{LOGOUT_MAX, LOOK_UP_MAX, SEND_MAX, TYPING_MAX};
use crate::liveness;
use crate::mentions;
use crate::outgoing::{self, Surroundings};
use crate::pairing::{Pairing, Purpose};
use crate::passkey::Challenge;
use crate::polls::poll_secret;
use crate::storage::device::linked_number;
use crate::timers::{self, TimerStore};
use crate::upload::upload;
use crate::writing::{NotWritten, Writer};

/// WhatsApp, through the protocol library.
///
/// The engine needs a messenger and the messenger needs the engine: make this first, then the
/// engine over it, then call [`WhatsappMessenger::set_events`] before the first device is connected.
pub struct WhatsappMessenger {
    shared: Arc<ClientContext>,
    slots: Mutex<HashMap<DeviceId, Arc<Slot>>>,
    is_closed: AtomicBool,
}

/// What is kept for a device; one for every device ever asked for.
#[derive(Default)]
struct Slot {
    /// Locked while a pairing is started or ended, so that there is never a second one.
    pairing: tokio::sync::Mutex<Option<Pairing>>,
    online: Arc<Online>,
    settings: Mutex<ClientSettings>,
}

impl Slot {
    async fn end(&self, pairing: &mut Option<Pairing>) {
        if let Some(pairing) = pairing.take() {
            pairing.end().await;
        }
        self.online.set(None);
    }
}

impl WhatsappMessenger {
    /// Makes a messenger without any connection.
    ///
    /// # Errors
    /// [`ConfigError`] when the configured address is not one this build may connect to.
    pub fn new(
        config: Config,
        sessions: Arc<dyn ProtocolStore>,
    ) -> std::result::Result<Self, ConfigError> {
        Ok(Self {
            shared: Arc::new(ClientContext::new(config, sessions)?),
            slots: Mutex::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    /// Sets the receiver of events and messages. Only the first call counts.
    pub fn set_events(&self, events: Arc<dyn MessengerEvents>) {
        if self.shared.events.set(events).is_err() {
            tracing::error!("the messenger's receiver of events is set already");
        }
    }

    /// Closes every connection after its last writes; none is made after this.
    pub async fn shutdown(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        let slots: Vec<Arc<Slot>> = self.lock_slots().values().cloned().collect();
        join_all(
            slots.iter().map(|slot| async { slot.end(&mut *slot.pairing.lock().await).await }),
        )
        .await;
    }

    fn lock_slots(&self) -> parking_lot::MutexGuard<'_, HashMap<DeviceId, Arc<Slot>>> {
        self.slots.lock()
    }

    fn slot(&self, device: DeviceId) -> Arc<Slot> {
        self.lock_slots().entry(device).or_default().clone()
    }

    fn client(&self, device: DeviceId) -> std::result::Result<Arc<Client>, SendError> {
        let slot = self.lock_slots().get(&device).cloned();
        slot.and_then(|slot| slot.online.get()).ok_or(SendError::NotConnected)
    }

    fn challenge(&self, device: DeviceId) -> Result<Challenge> {
        let slot = self.lock_slots().get(&device).cloned();
        let challenge = slot.and_then(|slot| slot.online.challenge());
        challenge.ok_or(Error::Passkey(PasskeyRefusal::NotRequested))
    }

    fn start(&self, slot: &Slot, device: DeviceId, purpose: Purpose) -> Result<Pairing> {
        if self.is_closed.load(Ordering::SeqCst) {
            return Err(Error::Whatsapp("the gateway is shutting down".to_owned()));
        }
        let (shared, online) = (self.shared.clone(), slot.online.clone());
        let settings = slot.settings.lock().clone();
        Ok(Pairing::start(shared, device, purpose, settings, online))
    }

    /// Writes a message to the connection.
    async fn write(
        &self,
        device: DeviceId,
        message: OutgoingMessage,
    ) -> std::result::Result<(), SendError> {
        let (client, online) = (self.client(device)?, self.slot(device).online.clone());
        let recipient = online.while_up(self.recipient(device, &message.chat)).await;
        let to = recipient.ok_or(SendError::NotConnected)??;
        let uploaded = match &message.content {
            Content::File(file) => {
                Some(upload(device, &client, &self.shared.uploads, &file.media).await?)
            }
            _ => None,
        };
        let now_ms = wacore::time::now_millis();
        if message.expires_at.is_some_and(|at| at.as_millisecond() <= now_ms) {
            return Err(SendError::Expired);
        }
        let written = online.while_up(self.write_to(device, client, to, message, uploaded)).await;
        written.unwrap_or(Err(SendError::NotConnected))
    }

    /// Writes a message whose file, if it has one, is uploaded.
    async fn write_to(
        &self,
        device: DeviceId,
        client: Arc<Client>,
        to: Jid,
        message: OutgoingMessage,
        uploaded: Option<UploadResponse>,
    ) -> std::result::Result<(), SendError> {
        let OutgoingMessage { chat, whatsapp_id: id, mut content, mut context, preview, .. } =
            message;
        let names_people = !context.mentions.people.is_empty();
        let refers = names_people || context.reply_to.is_some();
        let addressed = match refers {
            true => self.addressed(device, &client, to.clone()).await,
            false => None,
        };
        let named = addressed.unwrap_or_else(|| to.clone());
        let by_lid = named.is_lid()
            || (refers && to.is_group() && self.group_is_by_lid(device, &client, &to).await);
        if names_people {
            let people = &context.mentions.people;
            let names = mentions::names_in_chat(&client, &to, people, by_lid).await;
            mentions::rename(&mut content, &mut context, &names);
        }
        let own = client.lid().filter(|_| by_lid).or_else(|| client.pn());
        let around = Surroundings {
            to: &named,
            by_lid,
            own: own.map(|jid| jid.to_non_ad()),
            context,
            preview,
            poll_secret: poll_secret(&client, &id),
            now_ms: wacore::time::now_millis(),
        };
        let parts = outgoing::messages(&id, content, uploaded, &around);
        let parts = parts.ok_or_else(errors::unsupported_content)?;
        let is_group = chat.is_group();
        let stored = TimerStore { store: &self.shared.sessions, device };
        let timers = self.slot(device).online.timers.clone();
        let timer = timers.of(&stored, &client, &chat, &to).await;
        if let ChatId::Group(group) = &chat {
            for (id, _) in &parts {
                forget_key_holders(device, &client, group, id).await;
            }
        }
        let online = self.slot(device).online.clone();
        // In a task of its own: cut off half-way, a send would leave the session's keys used up.
        let sending = tokio::spawn(async move {
            let writer = Writer { device, client, online, to, is_repeat: false };
            for (id, mut part) in parts {
                timers::put_on(&mut part, timer);
                writer.write(id.as_str(), &part).await?;
            }
            Ok::<_, NotWritten>(())
        });
        match timeout(SEND_MAX, sending).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(why))) => {
                // The library's own text may name people.
                let error = match why {
                    NotWritten::Failed(error) => errors::send_error(&error, is_group),
                    NotWritten::Hollow => errors::not_openable(),
                };
                tracing::debug!(%device, whatsapp_id = %id, %error, "a message could not be written");
                Err(error)
            }
            Ok(Err(_)) => Err(SendError::Temporary("the protocol library failed".to_owned())),
            Err(_) => Err(SendError::Temporary("WhatsApp did not take it in time".to_owned())),
        }
    }
}

/// Makes the library send its group key again: a message that goes out once more was lost on its
/// way, and with it the key it carried, which the library takes for delivered.
async fn forget_key_holders(device: DeviceId, client: &Client, group: &GroupId, id: &WhatsappId) {
    let store = client.persistence_manager().backend();
    let is_lost = match store.take_sent_message(group.as_str(), id.as_str()).await {
        Ok(sent) => sent.is_some(),
        Err(_) => return,
    };
    if is_lost && let Err(error) = store.clear_sender_key_devices(group.as_str()).await {
        tracing::debug!(%device, %error, "the key of a group cannot be sent again");
    }
}

#[async_trait]
impl Messenger for WhatsappMessenger {
    fn configure(&self, device: DeviceId, settings: ClientSettings) {
        *self.slot(device).settings.lock() = settings;
    }

    async fn fetch_file(
        &self,
        device: DeviceId,
        reference: &FileReference,
        draft: &TempMedia,
    ) -> std::result::Result<u64, FetchError> {
        let client = self.client(device).map_err(|_| FetchError::NotConnected)?;
        download::fetch(&client, &self.shared.files, reference, draft).await
    }

    async fn connect(&self, device: DeviceId) -> Result<()> {
        let slot = self.slot(device);
        let mut pairing = slot.pairing.lock().await;
        if let Some(running) = pairing.as_ref().filter(|pairing| !pairing.has_ended()) {
            running.hurry();
        } else {
            slot.end(&mut pairing).await;
            *pairing = Some(self.start(&slot, device, Purpose::Connect)?);
        }
        Ok(())
    }

    async fn connect_now(&self, device: DeviceId) -> Result<()> {
        self.connect(device).await?;
        let slot = self.slot(device);
        if let Some(running) = slot.pairing.lock().await.as_ref() {
            running.hurry();
        }
        Ok(())
    }

    async fn pair(&self, device: DeviceId, method: PairMethod) -> Result<()> {
        let slot = self.slot(device);
        let mut pairing = slot.pairing.lock().await;
        slot.end(&mut pairing).await;
        // What an earlier number has left must not be mixed with the new one's.
        self.shared.erase(device, &slot.online.awaited).await?;
        *pairing = Some(self.start(&slot, device, Purpose::Pair(method))?);
        Ok(())
    }

    async fn linked(&self, device: DeviceId) -> Result<Option<LinkedNumber>> {
        Ok(linked_number(&*self.shared.sessions, device).await?)
    }

    async fn give_passkey(&self, device: DeviceId, assertion: Assertion) -> Result<()> {
        self.challenge(device)?.answer(device, &assertion).await
    }

    async fn confirm_passkey(&self, device: DeviceId) -> Result<()> {
        self.challenge(device)?.confirm(device).await
    }

    async fn logout(&self, device: DeviceId) -> Result<()> {
        let slot = self.slot(device);
        let mut pairing = slot.pairing.lock().await;
        if let (Some(pairing), Some(client)) = (pairing.as_ref(), slot.online.get()) {
            // What the logout does to the connection is no news for the engine.
            pairing.begin_unpairing();
            if timeout(LOGOUT_MAX, client.logout()).await.is_err() {
                tracing::warn!(%device, "WhatsApp did not confirm the logout in time");
            }
        }
        slot.end(&mut pairing).await;
        self.shared.erase(device, &slot.online.awaited).await?;
        Ok(())
    }

    async fn disconnect(&self, device: DeviceId) {
        let slot = self.slot(device);
        if !self.shared.config.leases.may_send(device, Instant::now().into_std()) {
            // Another node may run the device before what this one has is written down.
            slot.online.line.cut().await;
        }
        let mut pairing = slot.pairing.lock().await;
        slot.end(&mut pairing).await;
    }

    async fn send(
        &self,
        device: DeviceId,
        message: OutgoingMessage,
    ) -> std::result::Result<(), SendError> {
        let (slot, chat) = (self.slot(device), message.chat.clone());
        let written = self.write(device, message).await;
        slot.online.presence.end_typing(slot.online.get().as_deref(), &chat).await;
        written
    }

    async fn typing(&self, device: DeviceId, chat: &ChatId, is_typing: bool) {
        let (slot, client) = (self.slot(device), self.client(device));
        let to = match &client {
            Ok(client) => {
                timeout(TYPING_MAX, self.typing_address(device, client, chat)).await.ok().flatten()
            }
            Err(_) => None,
        };
        let presence = &slot.online.presence;
        match (client, to) {
            (Ok(client), Some(to)) if is_typing => {
                presence.begin_typing(device, client, chat, &to).await;
            }
            (Ok(client), Some(to)) => {
                let _ = timeout(TYPING_MAX, client.chatstate().send_paused(&to)).await;
                presence.end_typing(Some(&client), chat).await;
            }
            (client, None) => presence.end_typing(client.ok().as_deref(), chat).await,
            (Err(_), Some(_)) => {}
        }
    }

    async fn find_number(
        &self,
        device: DeviceId,
        phone: &PhoneNumber,
    ) -> std::result::Result<Option<PhoneNumber>, SendError> {
        let registered = self.registered(device, phone).await?;
        if let Some(known) = &registered
            && let Err(error) = self.report_spelling(device, phone, known).await
        {
            tracing::debug!(%device, %error, "a spelling of a number is not stored yet");
        }
        Ok(registered)
    }

    fn alive(&self) -> Vec<(DeviceId, Timestamp)> {
        let slots = self.lock_slots();
        let online = slots.iter().filter_map(|(id, slot)| Some((*id, slot.online.get()?)));
        online.filter_map(|(id, client)| Some((id, liveness::alive_at(&client)?))).collect()
    }

    fn alive_at(&self, device: DeviceId) -> Option<Timestamp> {
        liveness::alive_at(&*self.client(device).ok()?)
    }

    fn connected_as(&self, device: DeviceId) -> Option<ConnectedAs> {
        let client = self.client(device).ok()?;
        let known = client.persistence_manager().get_device_snapshot();
        let (major, minor) = (known.app_version_primary, known.app_version_secondary);
        let version = format!("{major}.{minor}.{}", known.app_version_tertiary);
        // Until WhatsApp sends the name, the number stands for it.
        let is_name = |name: &String| {
            let number = known.pn.as_ref().map(|pn| pn.user.to_string());
            !name.is_empty() && number.as_ref() != Some(name)
        };
        Some(ConnectedAs { phone_name: Some(known.push_name.clone()).filter(is_name), version })
    }

    async fn groups(&self, device: DeviceId) -> std::result::Result<Vec<Group>, SendError> {
        let client = self.client(device)?;
        in_time(groups::list(&client)).await
    }

    async fn mark_read(
        &self,
        device: DeviceId,
        messages: &[Message],
    ) -> std::result::Result<(), SendError> {
        let client = self.client(device)?;
        let Some(first) = messages.first() else { return Ok(()) };
        let to = match &first.chat {
            ChatId::Other(_) => return Err(errors::invalid_recipient()),
            chat => self
                .typing_address(device, &client, chat)
                .await
                .ok_or_else(errors::invalid_recipient)?,
        };
        let by_lid = to.is_group() && self.group_is_by_lid(device, &client, &to).await;
        let mut by_writer: BTreeMap<Option<String>, Vec<&str>> = BTreeMap::new();
        for message in messages {
            let writer = message.sender.as_ref().filter(|_| to.is_group());
            let writer = writer.and_then(|writer| participant(writer, by_lid));
            let ids = by_writer.entry(writer.map(|jid| jid.to_string())).or_default();
            ids.push(message.whatsapp_id.as_str());
        }
        for (writer, ids) in by_writer {
            let writer: Option<Jid> = writer.and_then(|jid| jid.parse().ok());
            let marked = client.mark_as_read(&to, writer.as_ref(), &ids).await;
            marked.map_err(|_| SendError::NotConnected)?;
        }
        Ok(())
    }

    async fn ask_history(
        &self,
        device: DeviceId,
        before: &Message,
        count: u32,
    ) -> std::result::Result<Option<u64>, SendError> {
        let (slot, client) = (self.slot(device), self.client(device)?);
        let chat = self.typing_address(device, &client, &before.chat).await;
        let chat = chat.ok_or_else(errors::invalid_recipient)?;
        asked::ask(&client, &slot.online.asked, &chat, before, count).await
    }

    async fn restriction(
        &self,
        device: DeviceId,
    ) -> std::result::Result<Option<Timestamp>, SendError> {
        let (slot, client) = (self.slot(device), self.client(device)?);
        let answer = slot.online.restrictions.ask(&client).await;
        answer.ok_or_else(|| SendError::Temporary("WhatsApp did not answer in time".into()))
    }

    async fn reject_call(
        &self,
        device: DeviceId,
        call: &Call,
    ) -> std::result::Result<(), SendError> {
        calls::reject(&*self.client(device)?, call).await
    }

    async fn group(
        &self,
        device: DeviceId,
        request: GroupRequest,
    ) -> std::result::Result<GroupAnswer, SendError> {
        let client = self.client(device)?;
        in_time(groups::answer(&client, request)).await
    }
}

/// How a group names one of its members.
fn participant(person: &Address, by_lid: bool) -> Option<Jid> {
    let lid = person.lid.as_ref().map(|lid| Jid::lid(lid.user()));
    let number = person.phone.as_ref().map(|phone| Jid::pn(phone.as_str()));
    if by_lid { lid.or(number) } else { number.or(lid) }
}

async fn in_time<T>(
    asked: impl Future<Output = std::result::Result<T, SendError>>,
) -> std::result::Result<T, SendError> {
    let answer = timeout(LOOK_UP_MAX, asked).await;
    answer.unwrap_or_else(|_| Err(SendError::Temporary("WhatsApp did not answer in time".into())))
}
