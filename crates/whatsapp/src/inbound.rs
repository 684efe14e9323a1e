//! What comes in: stored before the library acknowledges it.

use std::sync::Arc;

use async_trait::async_trait;
use domain::chat::ChatId;
use domain::contact::Identity;
use domain::ids::DeviceId;
use domain::message::IncomingMessage;
use domain::ports::MessengerEvent;
use futures_util::future::join_all;
use wacore::types::events::InboundMessage;
use wacore::types::message::MessageInfo;
use waproto::whatsapp as wa;
use whatsapp_rust::{Client, InboundDurabilityHook};

use crate::addressing::Addressing;
use crate::awaited::{Awaited, AwaitedStore, Envelope};
use crate::client::{ClientContext, Sink};
use crate::events::{Me, Signal};
use crate::identities::IdentityReporter;
use crate::incoming;
use crate::known_names::KnownNames;
use crate::outage::Outage;
use crate::polls::PollStore;
use crate::recovery;
use crate::timers::{self, Timer, TimerStore, Timers};

/// Stores incoming messages before the library acknowledges them.
pub(crate) struct Hook {
    pub(crate) shared: Arc<ClientContext>,
    pub(crate) device: DeviceId,
    pub(crate) sink: Arc<Sink>,
    pub(crate) outage: Outage,
    pub(crate) timers: Arc<Timers>,
    pub(crate) awaited: Arc<Awaited>,
    pub(crate) addressing: Arc<Addressing>,
    pub(crate) reporter: IdentityReporter,
}

impl Hook {
    /// Stores what the messages of a batch say of their chats and people, and then the messages.
    async fn store(&self, inbound: Vec<Inbound>) -> anyhow::Result<()> {
        let (mut learnt, mut people, mut messages) = (Vec::new(), Vec::new(), Vec::new());
        for one in inbound {
            learnt.extend(one.timers);
            people.extend(one.people);
            messages.extend(one.messages);
        }
        let stored = TimerStore { store: &self.shared.sessions, device: self.device };
        let mut chats: Vec<ChatId> = messages.iter().map(|one| one.chat.clone()).collect();
        chats.extend(learnt.iter().map(|(chat, _)| chat.clone()));
        chats.sort_unstable();
        chats.dedup();
        let news = self.timers.learn(&stored, learnt).await?;
        let reported = self.reporter.report(people).await;
        reported.inspect_err(|error| self.outage.note(error))?;
        let events = self.shared.events.get();
        if let Some(events) = events.filter(|_| messages.is_empty()) {
            self.timers.report(&**events, self.device, &news, chats).await;
            return Ok(());
        }
        let events =
            events.ok_or_else(|| anyhow::anyhow!("no receiver for messages is set yet"))?;
        let envelopes: Vec<Envelope> = messages.iter().map(Envelope::of).collect();
        let stored = events.received(self.device, messages).await;
        stored.inspect_err(|error| self.outage.note(error))?;
        self.timers.report(&**events, self.device, &news, chats).await;
        let store = AwaitedStore { store: &self.shared.sessions, device: self.device };
        let recovered = self.awaited.came(&store, &envelopes).await?;
        if recovered > 0 {
            events.event(self.device, MessengerEvent::Recovered(recovered)).await?;
        }
        Ok(())
    }

    async fn read(&self, client: &Client, inbound: &InboundMessage, me: &Me) -> Inbound {
        self.addressing.note(&inbound.message, &inbound.info);
        let resent = recovery::resent(&inbound.message, &inbound.info, me);
        let mut read = Inbound::default();
        for resent in &resent {
            let names = KnownNames::of_message(client, &resent.message, &resent.info).await;
            read.timers.extend(timer(&resent.message, &resent.info, &names));
            read.people.extend(incoming::people(&resent.info, &names));
            read.messages.extend(resent.translate(&self.awaited, me, &names));
        }
        if resent.is_empty() {
            let (message, info) = (&inbound.message, &inbound.info);
            let names = KnownNames::of_message(client, message, info).await;
            read.timers.extend(timer(message, info, &names));
            read.people.extend(incoming::people(info, &names));
            let polls = PollStore { store: &self.shared.sessions, device: self.device };
            let vote = polls.vote(client, message, info, me, &names).await;
            let new = vote.or_else(|| incoming::translate(message, info, me, &names));
            read.messages.extend(new.map(|new| self.awaited.with_first_time(new)));
        }
        read
    }
}

/// The timer that a message carries for its chat.
fn timer(message: &wa::Message, info: &MessageInfo, names: &KnownNames) -> Option<(ChatId, Timer)> {
    let timer = timers::carried(message, info.timestamp.timestamp())?;
    Some((incoming::chat_of(info, names), timer))
}

#[async_trait]
impl InboundDurabilityHook for Hook {
    async fn on_messages(
        &self,
        client: Arc<Client>,
        batch: &[InboundMessage],
    ) -> anyhow::Result<()> {
        let me = self.sink.me();
        let polls = PollStore { store: &self.shared.sessions, device: self.device };
        if let Err(error) = polls.keep(batch, &me).await {
            self.outage.note(&error);
            self.sink.send(Signal::Redeliver);
            return Err(error.into());
        }
        let read = batch.iter().map(|inbound| self.read(&client, inbound, &me));
        let stored = self.store(join_all(read).await).await;
        if stored.is_err() {
            // WhatsApp sends unacknowledged messages again over the next connection only.
            self.sink.send(Signal::Redeliver);
        }
        stored
    }
}

/// What one message says of its chat and people, and the message itself; or those that it resends.
#[derive(Default)]
struct Inbound {
    timers: Vec<(ChatId, Timer)>,
    people: Vec<Identity>,
    messages: Vec<IncomingMessage>,
}
