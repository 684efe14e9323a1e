//! Disappearing chats: what is sent carries its chat's timer, or the phones in it would keep it.
//!
//! A timer is learnt from what comes in: a setting, or a message that carries the timer; a group's
//! also from the group itself. Invariant: what was learnt from a message is stored before the message
//! is acknowledged.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::chat::{ChatId, Lid};
use domain::ids::DeviceId;
use domain::ports::{MessengerEvents, ProtocolStore, ProtocolWrite, StoreResult};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;
use wacore::iq::groups::{GroupInfoOutcome, GroupQueryIq};
use wacore::proto_helpers::MessageExt as _;
use wacore_binary::Jid;
use waproto::whatsapp as wa;
use waproto::whatsapp::message::protocol_message::Type;
use whatsapp_rust::Client;

use crate::incoming;
use crate::limits::LOOK_UP_MAX;

/// Timers by chat.
const SPACE: &str = "chat_timer";

/// A chat's timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// In seconds; 0 is off.
    pub(crate) seconds: u32,
    /// When it was set, in seconds since 1970: an older setting that comes late changes nothing.
    pub(crate) set_at_s: i64,
}

/// The timers of one device's chats.
#[derive(Default)]
pub(crate) struct Timers {
    known: Mutex<HashMap<ChatId, Timer>>,
    /// The chats whose lists show them.
    reported: Mutex<HashSet<ChatId>>,
}

/// Where a device's timers are stored.
pub(crate) struct TimerStore<'a> {
    pub(crate) store: &'a Arc<dyn ProtocolStore>,
    pub(crate) device: DeviceId,
}

impl Timers {
    /// Reads what is stored.
    pub(crate) async fn load(&self, stored: &TimerStore<'_>) -> StoreResult<()> {
        let rows = stored.store.protocol_scan(stored.device, SPACE, "").await?;
        let read = rows.into_iter().filter_map(|(chat, bytes)| {
            Some((ChatId::from(chat), serde_json::from_slice(&bytes).ok()?))
        });
        *self.known.lock() = read.collect();
        Ok(())
    }

    /// A chat's timer; `None` when nothing is known of it.
    fn get(&self, chat: &ChatId) -> Option<Timer> {
        self.known.lock().get(chat).copied()
    }

    /// Takes and stores what was learnt of chats, unless something newer is known.
    pub(crate) async fn learn(
        &self,
        stored: &TimerStore<'_>,
        learnt: Vec<(ChatId, Timer)>,
    ) -> StoreResult<Vec<ChatId>> {
        let is_news = |(chat, timer): &(ChatId, Timer)| {
            self.get(chat).is_none_or(|known| {
                timer.set_at_s >= known.set_at_s && timer.seconds != known.seconds
            })
        };
        let news: Vec<_> = learnt.into_iter().filter(is_news).collect();
        if news.is_empty() {
            return Ok(Vec::new());
        }
        let write = |(chat, timer): &(ChatId, Timer)| {
            let value = serde_json::to_vec(timer).ok();
            ProtocolWrite { space: SPACE, key: chat.to_string(), value }
        };
        stored.store.protocol_write(stored.device, news.iter().map(write).collect()).await?;
        let chats = news.iter().map(|(chat, _)| chat.clone()).collect();
        self.known.lock().extend(news);
        Ok(chats)
    }

    /// Reports the timers of chats for their lists: new ones, and those that have not been reported since the
    /// start. A chat without a timer needs no report.
    pub(crate) async fn report(
        &self,
        events: &dyn MessengerEvents,
        device: DeviceId,
        news: &[ChatId],
        of: Vec<ChatId>,
    ) {
        for chat in of {
            let seconds = self.get(&chat).map_or(0, |timer| timer.seconds);
            let is_reported = self.reported.lock().contains(&chat);
            if !news.contains(&chat) && (seconds == 0 || is_reported) {
                continue;
            }
            match events.chat_timer(device, &chat, seconds).await {
                Ok(true) => drop(self.reported.lock().insert(chat)),
                Ok(false) => {}
                Err(error) => tracing::debug!(%device, %error, "a chat's timer is not stored"),
            }
        }
    }

    /// The timer that a message to a chat carries, in seconds; 0 for none. A group that is not known is
    /// asked for.
    pub(crate) async fn of(
        &self,
        stored: &TimerStore<'_>,
        client: &Client,
        chat: &ChatId,
        to: &Jid,
    ) -> u32 {
        if let Some(timer) = self.get(chat) {
            return timer.seconds;
        }
        if !chat.is_group() {
            return self.by_lid(client, to).await;
        }
        let Ok(Ok(GroupInfoOutcome::Full(group))) =
            timeout(LOOK_UP_MAX, client.execute(GroupQueryIq::new(to))).await
        else {
            return 0;
        };
        let seconds = group.ephemeral.and_then(|settings| settings.expiration).unwrap_or_default();
        let timer = Timer { seconds, set_at_s: 0 };
        if let Err(error) = self.learn(stored, vec![(chat.clone(), timer)]).await {
            tracing::debug!(device = %stored.device, %error, "a group's timer is not stored");
        }
        seconds
    }
}

impl Timers {
    /// The timer that was learnt while a person was known by LID only.
    async fn by_lid(&self, client: &Client, to: &Jid) -> u32 {
        let Ok(Some(entry)) = client.get_lid_pn_entry(to).await else { return 0 };
        let chat = ChatId::Lid(Lid::from_user(&entry.lid));
        self.get(&chat).map_or(0, |timer| timer.seconds)
    }
}

/// The timer that a message sets or carries; `at_s` is when it was sent.
pub(crate) fn carried(message: &wa::Message, at_s: i64) -> Option<Timer> {
    let message = incoming::unwrap(message);
    if let Some(setting) = message.protocol_message.as_option() {
        let is_setting = setting.r#type == Some(Type::EPHEMERAL_SETTING);
        let set_at_s = setting.ephemeral_setting_timestamp.filter(|at| *at > 0).unwrap_or(at_s);
        let seconds = setting.ephemeral_expiration.unwrap_or_default();
        return is_setting.then_some(Timer { seconds, set_at_s });
    }
    let seconds = message.get_ephemeral_expiration()?;
    Some(Timer { seconds, set_at_s: at_s })
}

/// Puts a timer on a message, also inside the envelope that a document's caption, or what is shown once,
/// comes in.
pub(crate) fn put_on(message: &mut wa::Message, seconds: u32) {
    let envelopes = [
        &mut message.document_with_caption_message,
        &mut message.view_once_message_v2,
        &mut message.view_once_message_v2_extension,
    ];
    let envelope = envelopes.into_iter().find_map(|envelope| envelope.as_option_mut());
    match envelope.and_then(|envelope| envelope.message.as_option_mut()) {
        Some(inner) => inner.set_ephemeral_expiration(seconds),
        None => message.set_ephemeral_expiration(seconds),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::phone::PhoneNumber;
    use testkit::memory_store::MemoryStore;
    use uuid::Uuid;
    use waproto::buffa::MessageField;
    use waproto::whatsapp::message as m;

    fn setting(seconds: u32, at: Option<i64>) -> wa::Message {
        let setting = m::ProtocolMessage {
            r#type: Some(Type::EPHEMERAL_SETTING),
            ephemeral_expiration: Some(seconds),
            ephemeral_setting_timestamp: at,
            ..Default::default()
        };
        wa::Message { protocol_message: MessageField::some(setting), ..Default::default() }
    }

    #[test]
    fn settings_and_messages_carry_timers() {
        let timer = |seconds, set_at_s| Some(Timer { seconds, set_at_s });
        assert_eq!(carried(&setting(86_400, Some(5)), 9), timer(86_400, 5));
        assert_eq!(carried(&setting(0, None), 9), timer(0, 9));
        let mut text = wa::Message { conversation: Some("Halo".into()), ..Default::default() };
        assert_eq!(carried(&text, 9), None, "it says nothing");
        put_on(&mut text, 604_800);
        assert_eq!(carried(&text, 9), timer(604_800, 9));
    }

    #[test]
    fn a_document_with_a_caption_carries_it_inside() {
        let document = m::DocumentMessage { caption: Some("Faktur".into()), ..Default::default() };
        let inner =
            wa::Message { document_message: MessageField::some(document), ..Default::default() };
        let envelope = m::FutureProofMessage { message: MessageField::some(inner) };
        let mut message = wa::Message {
            document_with_caption_message: MessageField::some(envelope),
            ..Default::default()
        };
        put_on(&mut message, 86_400);
        assert_eq!(carried(&message, 1), Some(Timer { seconds: 86_400, set_at_s: 1 }));
    }

    #[test]
    fn what_is_shown_once_carries_it_inside() {
        let image = m::ImageMessage { view_once: Some(true), ..Default::default() };
        let inner = wa::Message { image_message: MessageField::some(image), ..Default::default() };
        let envelope = m::FutureProofMessage { message: MessageField::some(inner) };
        let mut message = wa::Message {
            view_once_message_v2: MessageField::some(envelope),
            ..Default::default()
        };
        put_on(&mut message, 86_400);
        assert_eq!(carried(&message, 1), Some(Timer { seconds: 86_400, set_at_s: 1 }));
    }

    #[tokio::test]
    async fn a_late_setting_changes_nothing_and_a_restart_forgets_nothing() {
        let store: Arc<dyn ProtocolStore> = Arc::new(MemoryStore::for_protocol());
        let stored = TimerStore { store: &store, device: DeviceId(Uuid::from_u128(1)) };
        let chat = ChatId::Person(PhoneNumber::from_digits("628222"));
        let timers = Timers::default();
        for (seconds, set_at_s, expected) in [(86_400, 10, 86_400), (0, 20, 0), (86_400, 15, 0)] {
            let learnt = vec![(chat.clone(), Timer { seconds, set_at_s })];
            timers.learn(&stored, learnt).await.unwrap();
            assert_eq!(timers.get(&chat).unwrap().seconds, expected);
        }
        let again = Timers::default();
        again.load(&stored).await.unwrap();
        assert_eq!(again.get(&chat), Some(Timer { seconds: 0, set_at_s: 20 }));
    }
}
