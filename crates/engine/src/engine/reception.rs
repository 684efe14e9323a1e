//! Where the messenger delivers to.

use async_trait::async_trait;
use domain::chat::{ChatFacts, ChatId};
use domain::contact::{Identity, Spelling};
use domain::ids::{DeviceId, WhatsappId};
use domain::message::IncomingMessage;
use domain::ports::{MessengerEvent, MessengerEvents, StoreResult};

use super::Engine;
use crate::device::inbox::Input;
use crate::logs::log_received;
use crate::{group_facts, incoming_files, reading};

#[async_trait]
impl MessengerEvents for Engine {
    async fn event(&self, device: DeviceId, event: MessengerEvent) -> StoreResult<()> {
        if let MessengerEvent::Receipt(ids, receipt, at) = event {
            return self.receipt(device, ids, receipt, at).await;
        }
        if self.context.stats().reception_event(&event) {
            return Ok(());
        }
        self.inform(device, Input::Event(event)).await;
        Ok(())
    }

    async fn received(
        &self,
        device: DeviceId,
        mut messages: Vec<IncomingMessage>,
    ) -> StoreResult<()> {
        let now = self.context.now();
        incoming_files::seal(&self.context, device, &mut messages);
        let new = self.context.store().receive(device, messages, now).await?;
        self.context.stats().add_received(&new);
        log_received(device, &new);
        self.context.emit_recorded(&new);
        self.context.incoming_files().nudge(&new);
        group_facts::learn(&self.context, device, &new);
        reading::read_at_once(&self.context, device, &new).await;
        Ok(())
    }

    async fn is_stored(&self, device: DeviceId, id: &WhatsappId) -> StoreResult<bool> {
        self.context.store().has_message(device, id).await
    }

    async fn history(
        &self,
        device: DeviceId,
        mut messages: Vec<IncomingMessage>,
    ) -> StoreResult<u64> {
        incoming_files::seal(&self.context, device, &mut messages);
        self.context.store().receive_history(device, messages, self.context.now()).await
    }

    async fn chat_timer(&self, device: DeviceId, chat: &ChatId, seconds: u32) -> StoreResult<bool> {
        let facts = ChatFacts { ephemeral_s: Some(seconds), ..ChatFacts::default() };
        self.context.store().describe_chat(device, chat, &facts).await
    }

    async fn identified(&self, device: DeviceId, identities: Vec<Identity>) -> StoreResult<()> {
        let now = self.context.now();
        let events = self.context.store().identify(device, identities.clone(), now).await?;
        self.context.emit(&events);
        self.inform(device, Input::Identified(identities)).await;
        Ok(())
    }

    async fn spelled(&self, device: DeviceId, spelling: Spelling) -> StoreResult<()> {
        self.context.store().spell(device, spelling.clone()).await?;
        self.inform(device, Input::Spelled(spelling)).await;
        Ok(())
    }

    async fn chats_known(&self, device: DeviceId, chats: Vec<ChatId>) -> StoreResult<()> {
        self.context.store().add_contacts(device, chats.clone()).await?;
        self.inform(device, Input::ChatsKnown(chats)).await;
        Ok(())
    }
}
