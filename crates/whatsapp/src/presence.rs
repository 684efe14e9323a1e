//! When a device is "online" for others: only while it types, because as long as it is, the owner's
//! phone shows no notifications.
//!
//! Invariants: available and unavailable are written in the order they were decided; nothing stays
//! available longer than [`AVAILABLE_MAX`] after it began to type.

use std::collections::HashMap;
use std::sync::Arc;

use domain::chat::ChatId;
use domain::ids::DeviceId;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use wacore_binary::Jid;
use whatsapp_rust::Client;

use crate::limits::{ANNOUNCEMENT_PAUSES, AVAILABLE_MAX, TYPING_MAX};

/// The chats in which a device is typing, and until when at the latest.
#[derive(Default)]
pub(crate) struct Presence {
    typing: Mutex<HashMap<ChatId, Instant>>,
}

impl Presence {
    /// Shows "typing…". WhatsApp shows the typing of available numbers only.
    pub(crate) async fn begin_typing(
        self: &Arc<Self>,
        device: DeviceId,
        client: Arc<Client>,
        chat: &ChatId,
        to: &Jid,
    ) {
        let until = Instant::now() + AVAILABLE_MAX;
        let mut typing = self.typing.lock().await;
        let is_first = typing.is_empty();
        typing.insert(chat.clone(), until);
        let show = async {
            if is_first {
                let _ = client.presence().set_available().await;
            }
            let _ = client.chatstate().send_composing(to).await;
        };
        if timeout(TYPING_MAX, show).await.is_err() {
            tracing::debug!(%device, "typing could not be shown in time");
        }
        drop(typing);
        let (presence, chat) = (self.clone(), chat.clone());
        tokio::spawn(async move {
            sleep_until(until).await;
            presence.end_overdue(&client, &chat).await;
        });
    }

    /// The message was written, or will not come: the device is offline for others again, unless it
    /// types elsewhere.
    pub(crate) async fn end_typing(&self, client: Option<&Client>, chat: &ChatId) {
        let mut typing = self.typing.lock().await;
        if typing.remove(chat).is_some() && typing.is_empty() {
            show_unavailable(client).await;
        }
    }

    async fn end_overdue(&self, client: &Client, chat: &ChatId) {
        let mut typing = self.typing.lock().await;
        let is_overdue = typing.get(chat).is_some_and(|until| *until <= Instant::now());
        if is_overdue && typing.remove(chat).is_some() && typing.is_empty() {
            show_unavailable(Some(client)).await;
        }
    }

    /// A new connection is ready: what was typed over an earlier one is over.
    pub(crate) fn begin_connection(self: &Arc<Self>, client: Arc<Client>) {
        let presence = self.clone();
        tokio::spawn(async move {
            let mut typing = presence.typing.lock().await;
            typing.clear();
            show_unavailable(Some(&client)).await;
        });
    }

    /// The library announces the device as available whenever it learns the owner's name, some time
    /// after it has reported the name.
    pub(crate) fn withdraw_announcement(self: &Arc<Self>, client: Arc<Client>) {
        let presence = self.clone();
        tokio::spawn(async move {
            for pause in ANNOUNCEMENT_PAUSES {
                sleep(pause).await;
                let typing = presence.typing.lock().await;
                if typing.is_empty() {
                    show_unavailable(Some(&client)).await;
                }
            }
        });
    }
}

/// Without a name yet there was no announcement; a lost connection needs none.
async fn show_unavailable(client: Option<&Client>) {
    if let Some(client) = client {
        let _ = timeout(TYPING_MAX, client.presence().set_unavailable()).await;
    }
}
