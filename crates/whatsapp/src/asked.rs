//! Older messages of a chat, asked of the phone.
//!
//! The phone answers with a history of its own, which comes as an event. Who waits for it is found by the id of
//! the request; what comes later is stored all the same.

use std::collections::HashMap;
use std::sync::Arc;

use domain::chat::ChatId;
use domain::ids::DeviceId;
use domain::message::{Direction, IncomingMessage, Message};
use domain::ports::SendError;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use wacore::history_sync::HistorySyncStream;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use whatsapp_rust::Client;

use crate::events::Me;
use crate::history::History;
use crate::identities::Events;
use crate::known_names::KnownNames;
use crate::limits::{ASKED_MESSAGES_MAX, HISTORY_ANSWER_MAX, HISTORY_MESSAGES_PER_REPORT_MAX};
use crate::recovery::{self, Resent};
use crate::{incoming, outgoing};

/// The requests of a device that wait for their answers; held while one is on its way, so that no answer is
/// before its request.
#[derive(Default)]
pub(crate) struct Asked(Mutex<HashMap<String, oneshot::Sender<u64>>>);

impl Asked {
    /// The answer has come, and this number of its messages was stored.
    pub(crate) async fn answered(&self, request: &str, stored: u64) {
        if let Some(waiter) = self.0.lock().await.remove(request) {
            // Who waited may be gone.
            let _ = waiter.send(stored);
        }
    }
}

/// Asks for messages of a chat from before this one; how many were stored, `None` while the phone has not
/// answered.
pub(crate) async fn ask(
    client: &Arc<Client>,
    asked: &Asked,
    chat: &Jid,
    before: &Message,
    count: u32,
) -> Result<Option<u64>, SendError> {
    let is_ours = before.direction() == Direction::Out;
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let id = before.whatsapp_id.as_str();
    let at_ms = before.history.first().map_or(before.due_at, |first| first.at).as_millisecond();
    let (sender, answer) = oneshot::channel();
    let mut waiting = asked.0.lock().await;
    let request = client.fetch_message_history(chat, id, is_ours, at_ms, count).await;
    // Who waits no longer has left a request behind.
    waiting.retain(|_, waiter| !waiter.is_closed());
    waiting.insert(request.map_err(|_| SendError::NotConnected)?, sender);
    drop(waiting);
    Ok(timeout(HISTORY_ANSWER_MAX, answer).await.ok().and_then(Result::ok))
}

/// Stores the messages of an answer; how many were not known.
pub(crate) async fn report(
    events: &Events,
    device: DeviceId,
    client: &Client,
    history: History,
    me: &Me,
) -> u64 {
    let Some(events) = events.get() else { return 0 };
    let own = me.clone();
    let Ok(found) = tokio::task::spawn_blocking(move || messages_of(&history, &own)).await else {
        return 0;
    };
    let mut messages = Vec::with_capacity(found.len());
    for found in &found {
        messages.extend(translated(client, found, me).await);
    }
    // The phone gives them in either order.
    messages.sort_by_key(|message| std::cmp::Reverse(message.at));
    let mut stored = 0;
    for some in messages.chunks(HISTORY_MESSAGES_PER_REPORT_MAX) {
        match events.history(device, some.to_vec()).await {
            Ok(new) => stored += new,
            Err(error) => {
                tracing::warn!(%device, %error, "older messages are not stored");
                break;
            }
        }
    }
    stored
}

async fn translated(client: &Client, found: &Resent, me: &Me) -> Option<IncomingMessage> {
    let names = KnownNames::of_message(client, &found.message, &found.info).await;
    let message = incoming::translate(&found.message, &found.info, me, &names)?;
    let is_part = found.info.source.is_from_me && outgoing::captioned(&found.info.id).is_some();
    let is_chat = !matches!(message.chat, ChatId::Other(_));
    (is_chat && !is_part).then_some(message)
}

fn messages_of(history: &History, me: &Me) -> Vec<Resent> {
    let size = u64::try_from(history.size).unwrap_or(u64::MAX);
    let mut stream = HistorySyncStream::new(&history.compressed, size);
    let mut messages = Vec::new();
    while let Ok(Some(conversation)) = stream.next_conversation_bytes() {
        let Ok(conversation) = decode(conversation) else { continue };
        let infos = conversation.messages.into_iter().filter_map(|mut one| one.message.take());
        messages.extend(infos.filter_map(|info| recovery::resent_of(info, me)));
        if messages.len() >= ASKED_MESSAGES_MAX {
            messages.truncate(ASKED_MESSAGES_MAX);
            break;
        }
    }
    messages
}

fn decode(bytes: &[u8]) -> Result<wa::Conversation, waproto::buffa::DecodeError> {
    use waproto::buffa::Message as _;
    wa::Conversation::decode_from_slice(bytes)
}
