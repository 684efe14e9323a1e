//! Writes a message so that a device of its recipient can open it, resends it to devices that turn out
//! to be missing, and once more when its recipient was misnamed or its token was missing.
//!
//! A device that is missing may ask for the message itself, which the library answers. Invariants: no request
//! is left to a copy that was sent, because only the device knows whether it could open that; a copy is left
//! out only when an answer that begins a session was written before it, over the same connection. So a device
//! may get one copy more than it has asked for: when its request comes, or is answered, after the copy was
//! sent. Phones show them as one message, by its id.

use std::collections::HashSet;
use std::sync::Arc;

use domain::ids::DeviceId;
use domain::ports::MessengerEvent;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::time::timeout;
use wacore::iq::usync::DeviceListSpec;
use wacore_binary::{Jid, JidExt as _, OwnedNodeRef};
use waproto::whatsapp as wa;
use whatsapp_rust::futures::channel::oneshot;
use whatsapp_rust::{
    Client, Freshness, MessageRetransmission, NodeFilter, SendError as ClientSendError, SendOptions,
};

use crate::connection::Online;
use crate::events::{self, Me, Signal};
use crate::limits::{ACK_MAX, LOOK_UP_MAX, RESENDS_MAX};
use crate::stanzas::{SentStanza, Verdict, ack_of, fresh_copy_for};

/// The code of a message whose recipient does not exist any more.
const GONE_CODE: u16 = 404;

/// Why a message was not written.
pub(crate) enum NotWritten {
    /// The library failed.
    Failed(ClientSendError),
    /// No device of the recipient can open what the library wrote.
    Hollow,
}

/// One message on its way to one chat.
#[derive(Clone)]
pub(crate) struct Writer {
    pub(crate) device: DeviceId,
    pub(crate) client: Arc<Client>,
    pub(crate) online: Arc<Online>,
    pub(crate) to: Jid,
    /// Whether WhatsApp has answered that it must be written once more.
    pub(crate) is_repeat: bool,
}

impl Writer {
    /// Writes a message; when no device of the recipient could be written to, once more with a fresh
    /// list of devices.
    pub(crate) async fn write(&self, id: &str, message: &wa::Message) -> Result<(), NotWritten> {
        let me = Me { pn: self.client.pn(), lid: self.client.lid() };
        let stanzas = &self.online.stanzas;
        let mut failure = NotWritten::Hollow;
        for freshness in [Freshness::CachePreferred, Freshness::Refresh] {
            let ack = self.client.wait_for_node(ack_of(id));
            let stanza = stanzas.expect(&self.client, id, &self.to, me.clone());
            let options =
                SendOptions::default().with_message_id(id).with_device_freshness(freshness);
            let sent =
                self.client.send_message_with_options(self.to.clone(), message.clone(), options);
            let sent = sent.await;
            let is_openable = stanzas.conclude(id, &self.to, &stanza);
            match sent {
                Ok(_) if is_openable => {
                    self.follow(id, message, stanza, ack, me);
                    return Ok(());
                }
                Ok(_) => {
                    failure = NotWritten::Hollow;
                    self.look_up_anew().await;
                }
                // The crypto and the look-ups; anything else fails again in the same way.
                Err(error @ ClientSendError::Internal(_)) => failure = NotWritten::Failed(error),
                Err(error) => return Err(NotWritten::Failed(error)),
            }
            let device = self.device;
            tracing::debug!(%device, whatsapp_id = id, ?freshness, "no recipient was written to");
        }
        Err(failure)
    }

    /// Waits for the acknowledgement: it says when devices are missing, and what else must follow.
    fn follow(
        &self,
        id: &str,
        message: &wa::Message,
        stanza: Arc<SentStanza>,
        ack: oneshot::Receiver<Arc<OwnedNodeRef>>,
        me: Me,
    ) {
        let (device, client) = (self.device, Arc::downgrade(&self.client));
        let (online, to, is_repeat) = (self.online.clone(), self.to.clone(), self.is_repeat);
        let (id, message) = (id.to_owned(), message.clone());
        tokio::spawn(async move {
            let Ok(Ok(ack)) = timeout(ACK_MAX, ack).await else { return };
            if let Some(verdict) = Verdict::read(&ack) {
                let Some(client) = client.upgrade() else { return };
                let writer = Self { device, client, online, to, is_repeat };
                return writer.answer(verdict, &stanza, &id, &message).await;
            }
            let phash = ack.get().attrs().optional_string("phash").map(|hash| hash.into_owned());
            let (Some(phash), Some(written)) = (phash, stanza.written()) else { return };
            let Some(client) = client.upgrade() else { return };
            if written.phash.as_ref() == Some(&phash) {
                return;
            }
            let resend = Resend { client: &client, written, me: &me, id: &id, message: &message };
            match resend.run().await {
                Ok(0) => {}
                Ok(resent) => {
                    tracing::debug!(%device, whatsapp_id = id, resent, "sent to missing devices");
                }
                Err(_) => tracing::warn!(
                    %device, whatsapp_id = id, "devices of the recipient may miss a message",
                ),
            }
        });
    }
}

impl Writer {
    /// Acts on what WhatsApp has answered.
    async fn answer(self, verdict: Verdict, stanza: &SentStanza, id: &str, message: &wa::Message) {
        let has_token = stanza.written().is_some_and(|written| written.has_token);
        match verdict {
            // A LID that is gone has no number any more that is the same person's.
            Verdict::StaleLid if self.is_repeat || !self.to.is_pn() => {
                self.report(events::refused(id, GONE_CODE));
            }
            Verdict::StaleLid => {
                self.look_up_anew().await;
                self.write_again(id, message).await;
            }
            Verdict::Stranger if !self.is_repeat && !has_token && self.has_token().await => {
                // The library attaches a token once it knows the account's properties.
                let _ = timeout(LOOK_UP_MAX, self.client.fetch_props()).await;
                self.write_again(id, message).await;
            }
            Verdict::Stranger => {
                if let Some(until) = self.online.restrictions.ask(&self.client).await {
                    self.report(MessengerEvent::Restricted(until));
                }
                self.report(events::refused(id, Verdict::STRANGER_CODE));
            }
            Verdict::Faulty if !self.is_repeat && self.is_addressed_anew(stanza).await => {
                self.write_again(id, message).await;
            }
            Verdict::Faulty => self.report(events::refused(id, Verdict::FAULTY_CODE)),
        }
    }

    /// Learns how people are addressed: an account, or a group, may have come to name them by LID since the
    /// connection began. Whether the stanza may be written otherwise now.
    async fn is_addressed_anew(&self, stanza: &SentStanza) -> bool {
        if self.to.is_group() {
            let groups = self.client.groups();
            let asked = groups.query_info_with_freshness(&self.to, Freshness::Refresh);
            return matches!(timeout(LOOK_UP_MAX, asked).await, Ok(Ok(_)));
        }
        let was_by_lid = stanza.written().is_some_and(|written| written.to.is_lid());
        let _ = timeout(LOOK_UP_MAX, self.client.fetch_props()).await;
        if self.client.is_lid_migrated().await == was_by_lid {
            return false;
        }
        self.look_up_anew().await;
        true
    }

    /// Learns the LID that a number has now.
    async fn look_up_anew(&self) {
        if self.to.is_pn() {
            let (asked, contacts) = ([self.to.clone()], self.client.contacts());
            let _ = timeout(LOOK_UP_MAX, contacts.is_on_whatsapp(&asked)).await;
        }
    }

    async fn write_again(mut self, id: &str, message: &wa::Message) {
        self.is_repeat = true;
        let device = self.device;
        tracing::debug!(%device, whatsapp_id = id, "written once more");
        // Boxed, because writing leads back here. Unwritten, it is not acknowledged, and the engine
        // tries again.
        let again: BoxFuture<'_, Result<(), NotWritten>> = Box::pin(self.write(id, message));
        if again.await.is_err() {
            tracing::debug!(%device, whatsapp_id = id, "it could not be written once more");
        }
    }

    /// Whether the recipient has let the number write.
    async fn has_token(&self) -> bool {
        let store = self.client.persistence_manager().backend();
        let lid = match self.client.get_lid_pn_entry(&self.to).await {
            Ok(Some(entry)) => entry.lid.to_string(),
            _ => self.to.user.to_string(),
        };
        let token = store.get_tc_token(&lid).await.ok().flatten();
        token.is_some_and(|entry| !entry.token.is_empty())
    }

    fn report(&self, event: MessengerEvent) {
        if let Some(sink) = self.online.sink() {
            sink.send(Signal::Event(event));
        }
    }
}

/// A message that some devices of its chat have not been sent.
struct Resend<'a> {
    client: &'a Client,
    written: &'a crate::stanzas::Written,
    me: &'a Me,
    id: &'a str,
    message: &'a wa::Message,
}

impl Resend<'_> {
    /// Sends it to those whom the library does not send it meanwhile; how many they are.
    async fn run(&self) -> anyhow::Result<usize> {
        let answered = Mutex::default();
        let resent = self.resend_unless(&answered);
        tokio::pin!(resent);
        let copies = NodeFilter::tag("message").attr("id", self.id);
        loop {
            tokio::select! {
                biased;
                // An error means that the connection has ended: there are no more answers.
                Ok(copy) = self.client.wait_for_sent_node(copies.clone()) => {
                    answered.lock().extend(fresh_copy_for(&copy));
                }
                resent = &mut resent => return resent,
            }
        }
    }

    /// One device that cannot be sent it does not keep the others from it.
    async fn resend_unless(&self, answered: &Mutex<HashSet<String>>) -> anyhow::Result<usize> {
        let missing = timeout(LOOK_UP_MAX, self.missing()).await??;
        let (mut resent, mut outcome) = (0, Ok(()));
        for device in &missing {
            let is_answered = answered.lock().contains(&device.to_string());
            if is_answered {
                continue;
            }
            match self.resend(device).await {
                Ok(()) => resent += 1,
                Err(error) => outcome = Err(error),
            }
        }
        outcome.map(|()| resent)
    }

    async fn missing(&self) -> anyhow::Result<Vec<Jid>> {
        let (to, me) = (&self.written.to, self.me);
        let users = match to.is_group() {
            true => self.members().await?,
            false => [Some(to), self.own()].into_iter().flatten().map(Jid::to_non_ad).collect(),
        };
        let sid = self.client.generate_message_id();
        let lists = self.client.execute(DeviceListSpec::new(users, sid)).await?.device_lists;
        let mut known: HashSet<String> = self.written.devices.iter().map(Jid::to_string).collect();
        if to.is_group() {
            let store = self.client.persistence_manager().backend();
            let holders = store.get_sender_key_devices(&to.to_string()).await?;
            known.extend(holders.into_iter().filter(|(_, has_key)| *has_key).map(|(jid, _)| jid));
        }
        let sender = [&me.pn, &me.lid].map(|jid| jid.as_ref().map(Jid::to_string));
        let devices = lists.into_iter().flat_map(|list| {
            let user = list.user;
            list.devices.into_iter().filter(|device| !device.is_hosted).map(move |device| {
                let mut jid = user.clone();
                jid.device = device.device;
                jid
            })
        });
        let is_missing = |jid: &Jid| {
            let name = jid.to_string();
            !known.contains(&name) && !sender.contains(&Some(name))
        };
        Ok(devices.filter(is_missing).take(RESENDS_MAX as usize).collect())
    }

    /// Our own number, in the addressing of the stanza.
    fn own(&self) -> Option<&Jid> {
        if self.written.to.is_lid() { self.me.lid.as_ref() } else { self.me.pn.as_ref() }
    }

    /// The other members of the group.
    async fn members(&self) -> anyhow::Result<Vec<Jid>> {
        let groups = self.client.groups();
        let group = groups.query_info_with_freshness(&self.written.to, Freshness::Refresh).await?;
        let members = group.participants.iter().filter(|member| !self.me.is(member));
        Ok(members.map(Jid::to_non_ad).collect())
    }

    async fn resend(&self, device: &Jid) -> anyhow::Result<()> {
        let (chat, id) = (self.written.to.clone(), self.id.to_owned());
        let mut request =
            MessageRetransmission::new(chat.clone(), device.clone(), self.message.clone(), id, 1);
        if !chat.is_group() && self.me.is(device) {
            request = request.with_recipient(chat);
        }
        Ok(self.client.retransmit_message(request).await?)
    }
}
