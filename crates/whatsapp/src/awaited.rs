//! Messages that came in and could not be decrypted. The library asks their senders and the phone for
//! them; what has not come after a while is reported as unreadable, and turns into the message when it
//! comes later. The phone is also asked for what was decrypted by a process that died before it was stored
//! ([`crate::missed`]).
//!
//! Invariant: such a message is stored before anything is answered for it, so that no crash loses it.

use std::sync::Arc;
use std::time::Duration;

use domain::chat::{ChatId, Lid};
use domain::content::Content;
use domain::context::Context;
use domain::ids::{DeviceId, WhatsappId};
use domain::message::{Address, IncomingMessage, ReceivedOrigin};
use domain::phone::PhoneNumber;
use domain::ports::{MessengerEvents, ProtocolStore, ProtocolWrite, StoreResult};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use wacore::types::message::MessageInfo;

use crate::limits::{AWAITED_FOR, AWAITED_MAX, LATE_COUNT_MAX, LATE_MAX, REQUESTS_MAX};
use crate::recovery;

/// Awaited messages, by chat, sender and id.
const SPACE: &str = "awaited";

/// The messages that one device waits for; those that were kept last are the last.
#[derive(Default)]
pub(crate) struct Awaited(Mutex<Vec<Awaiting>>);

/// Where a device's awaited messages are stored.
pub(crate) struct AwaitedStore<'a> {
    pub(crate) store: &'a Arc<dyn ProtocolStore>,
    pub(crate) device: DeviceId,
}

/// A message without its content, and until when it is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Awaiting {
    message: IncomingMessage,
    until_s: i64,
    /// Whether the phone was asked for it from here; the library does so in most cases.
    is_requested: bool,
    why: Why,
}

/// Why a message is waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Why {
    /// It could not be decrypted, and is to be reported when it does not come.
    #[default]
    Undecryptable,
    /// It was reported, and may come all the same.
    Reported,
    /// It was decrypted once, and nothing of it is stored: it may have been nothing that is. It is never reported, and
    /// its time is not known.
    Missed,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    id: String,
    chat: String,
    phone: Option<String>,
    lid: Option<String>,
    from_phone: bool,
    at_s: i64,
    until_s: i64,
    #[serde(default)]
    why: Why,
}

impl Awaited {
    /// Reads what is stored.
    pub(crate) async fn load(&self, stored: &AwaitedStore<'_>) -> StoreResult<()> {
        let rows = stored.store.protocol_scan(stored.device, SPACE, "").await?;
        let read = rows.iter().filter_map(|(_, bytes)| Awaiting::read(bytes));
        *self.0.lock() = read.collect();
        Ok(())
    }

    /// Keeps a message that cannot be decrypted; one that no device has any more is not waited for. Whether it is new.
    pub(crate) async fn add(
        &self,
        stored: &AwaitedStore<'_>,
        message: IncomingMessage,
        is_lost: bool,
    ) -> StoreResult<bool> {
        if self.find(&message.whatsapp_id, message.origin).is_some() {
            return Ok(false);
        }
        let wait = if is_lost || self.is_full() { Duration::ZERO } else { AWAITED_FOR };
        let (until_s, why) = (in_s(wait), Why::Undecryptable);
        let awaiting = Awaiting { message, until_s, is_requested: is_lost, why };
        self.keep(stored, vec![awaiting]).await.map(|()| true)
    }

    /// Keeps what is known of a message that was decrypted once and of which nothing is stored.
    pub(crate) async fn add_missed(
        &self,
        stored: &AwaitedStore<'_>,
        message: IncomingMessage,
    ) -> StoreResult<()> {
        let envelope = [Envelope::of(&message)];
        let is_known = self.0.lock().iter().any(|other| other.is_among(&envelope));
        if is_known || self.is_full() {
            return Ok(());
        }
        let (until_s, why) = (in_s(LATE_MAX), Why::Missed);
        self.keep(stored, vec![Awaiting { message, until_s, is_requested: false, why }]).await
    }

    async fn keep(&self, stored: &AwaitedStore<'_>, new: Vec<Awaiting>) -> StoreResult<()> {
        let write = |awaiting: &Awaiting| ProtocolWrite {
            space: SPACE,
            key: awaiting.key(),
            value: serde_json::to_vec(&awaiting.stored()).ok(),
        };
        stored.store.protocol_write(stored.device, new.iter().map(write).collect()).await?;
        self.0.lock().extend(new);
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.0.lock().len() >= AWAITED_MAX
    }

    /// What is known of an awaited message.
    pub(crate) fn find(&self, id: &WhatsappId, origin: ReceivedOrigin) -> Option<IncomingMessage> {
        let awaited = self.0.lock();
        let is_it = |other: &&Awaiting| {
            let message = &other.message;
            other.why != Why::Missed && message.whatsapp_id == *id && message.origin == origin
        };
        awaited.iter().find(is_it).map(|found| found.message.clone())
    }

    /// A message with the time at which it was first sent, where that is known: who resends it gives it another.
    pub(crate) fn with_first_time(&self, message: IncomingMessage) -> IncomingMessage {
        match self.find(&message.whatsapp_id, message.origin) {
            Some(first) => IncomingMessage { at: message.at.min(first.at), ..message },
            None => message,
        }
    }

    /// These messages are stored: they are not waited for any more. How many of them could not be decrypted before.
    pub(crate) async fn came(
        &self,
        store: &AwaitedStore<'_>,
        messages: &[Envelope],
    ) -> StoreResult<u64> {
        let keys: Vec<String> = {
            let awaited = self.0.lock();
            awaited.iter().filter(|one| one.is_among(messages)).map(Awaiting::key).collect()
        };
        if keys.is_empty() {
            return Ok(0);
        }
        let removed = |key| ProtocolWrite { space: SPACE, key, value: None };
        store.store.protocol_write(store.device, keys.into_iter().map(removed).collect()).await?;
        // Counted only now: its sender and the phone may have resent a message at the same time.
        let mut waiting = self.0.lock();
        let came = waiting.extract_if(.., |awaiting| awaiting.is_among(messages));
        let count = came.filter(|awaiting| awaiting.why != Why::Missed).count();
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// Reports what has been waited for long enough, or everything when there is nothing to come.
    pub(crate) async fn report(
        &self,
        store: &AwaitedStore<'_>,
        events: &dyn MessengerEvents,
        is_all: bool,
    ) -> StoreResult<()> {
        let now_s = wacore::time::now_secs();
        let due: Vec<Awaiting> = {
            let awaited = self.0.lock();
            let is_due = |awaiting: &&Awaiting| is_all || awaiting.until_s <= now_s;
            awaited.iter().filter(is_due).cloned().collect()
        };
        if due.is_empty() {
            return Ok(());
        }
        let envelopes: Vec<_> = due.iter().map(|one| Envelope::of(&one.message)).collect();
        let is_to_report = |awaiting: &Awaiting| awaiting.why == Why::Undecryptable;
        let mut reports: Vec<_> = due.into_iter().filter(is_to_report).collect();
        if !reports.is_empty() {
            let messages = reports.iter().map(|awaiting| awaiting.message.clone()).collect();
            events.received(store.device, messages).await?;
        }
        self.came(store, &envelopes).await?;
        let room = if is_all { 0 } else { LATE_COUNT_MAX.saturating_sub(self.0.lock().len()) };
        reports.truncate(room);
        for one in &mut reports {
            (one.why, one.until_s) = (Why::Reported, in_s(LATE_MAX));
        }
        self.keep(store, reports).await
    }

    /// What the phone may still have to be asked for, not too much at once: the library does not after every failure, and
    /// what an earlier process began to wait for is not known to it.
    pub(crate) fn take_requests(&self) -> Vec<MessageInfo> {
        let mut awaited = self.0.lock();
        let open = awaited.iter_mut().filter(|awaiting| !awaiting.is_requested);
        let requests = open.filter_map(|awaiting| {
            awaiting.is_requested = true;
            recovery::info_of(&awaiting.message)
        });
        requests.take(REQUESTS_MAX).collect()
    }

    /// Whether something has been waited for long enough.
    pub(crate) fn is_due(&self) -> bool {
        let awaited = self.0.lock();
        !awaited.is_empty() && {
            let now_s = wacore::time::now_secs();
            awaited.iter().any(|awaiting| awaiting.until_s <= now_s)
        }
    }
}

/// So long from now, in Unix seconds.
fn in_s(wait: Duration) -> i64 {
    wacore::time::now_secs().saturating_add_unsigned(wait.as_secs())
}

/// What is known of a message without its content.
pub(crate) struct Envelope {
    id: WhatsappId,
    origin: ReceivedOrigin,
    sender: Address,
}

impl Envelope {
    pub(crate) fn of(message: &IncomingMessage) -> Self {
        let (id, sender) = (message.whatsapp_id.clone(), message.sender.clone());
        Self { id, origin: message.origin, sender }
    }

    /// The same message; either may know more of its sender.
    fn is_of_the_same(&self, other: &Self) -> bool {
        self.id == other.id && self.origin == other.origin && self.sender.is_same(&other.sender)
    }
}

impl Awaiting {
    fn is_among(&self, messages: &[Envelope]) -> bool {
        let awaited = Envelope::of(&self.message);
        messages.iter().any(|message| message.is_of_the_same(&awaited))
    }

    fn key(&self) -> String {
        let Address { phone, lid } = &self.message.sender;
        let sender = phone.as_ref().map(PhoneNumber::as_str);
        let sender = sender.or(lid.as_ref().map(Lid::as_str)).unwrap_or_default();
        [&self.message.chat.to_string(), sender, self.message.whatsapp_id.as_str()].join("|")
    }

    fn stored(&self) -> Stored {
        let Self { message, until_s, why, .. } = self;
        Stored {
            id: message.whatsapp_id.to_string(),
            chat: message.chat.to_string(),
            phone: message.sender.phone.as_ref().map(|phone| phone.as_str().to_owned()),
            lid: message.sender.lid.as_ref().map(|lid| lid.user().to_owned()),
            from_phone: message.origin == ReceivedOrigin::Phone,
            at_s: message.at.as_second(),
            until_s: *until_s,
            why: *why,
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let stored: Stored = serde_json::from_slice(bytes).ok()?;
        let sender = Address {
            phone: stored.phone.map(PhoneNumber::from_digits),
            lid: stored.lid.as_deref().map(Lid::from_user),
        };
        let origin = match stored.from_phone {
            true => ReceivedOrigin::Phone,
            false => ReceivedOrigin::Incoming,
        };
        let message = IncomingMessage {
            whatsapp_id: WhatsappId::from_outside(&stored.id),
            chat: ChatId::from(stored.chat),
            sender,
            origin,
            content: Content::unreadable(),
            context: Context::default(),
            at: Timestamp::from_second(stored.at_s).ok()?,
        };
        let Stored { until_s, why, .. } = stored;
        Some(Self { message, until_s, is_requested: false, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use domain::contact::{Identity, Spelling};
    use domain::error::StoreError;
    use domain::ports::MessengerEvent;
    use testkit::flaky_store::FlakyStore;
    use testkit::memory_store::MemoryStore;
    use uuid::Uuid;

    #[derive(Default)]
    struct Reported(Mutex<Vec<IncomingMessage>>);

    #[async_trait::async_trait]
    impl MessengerEvents for Reported {
        async fn event(&self, _: DeviceId, _: MessengerEvent) -> StoreResult<()> {
            Err(StoreError::Unavailable("no event is expected".into()))
        }

        async fn received(&self, _: DeviceId, messages: Vec<IncomingMessage>) -> StoreResult<()> {
            self.0.lock().extend(messages);
            Ok(())
        }

        async fn identified(&self, _: DeviceId, _: Vec<Identity>) -> StoreResult<()> {
            Err(StoreError::Unavailable("nobody is expected to be identified".into()))
        }

        async fn spelled(&self, _: DeviceId, _: Spelling) -> StoreResult<()> {
            Err(StoreError::Unavailable("no number is expected to be asked".into()))
        }

        async fn chats_known(&self, _: DeviceId, _: Vec<ChatId>) -> StoreResult<()> {
            Err(StoreError::Unavailable("no chat is expected to be known".into()))
        }
    }

    fn message(id: &str, lid: Option<&str>) -> IncomingMessage {
        IncomingMessage {
            whatsapp_id: WhatsappId::from_outside(id),
            chat: ChatId::from("120363@g.us".to_owned()),
            sender: Address {
                phone: lid.is_none().then(|| PhoneNumber::from_digits("628222")),
                lid: lid.map(Lid::from_user),
            },
            origin: ReceivedOrigin::Incoming,
            content: Content::unreadable(),
            context: Context::default(),
            at: Timestamp::from_second(1_700_000_000).unwrap(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_from_two_at_once_has_come_once() {
        let slow = FlakyStore::before(Arc::new(MemoryStore::for_protocol()));
        slow.writes_take(Duration::from_millis(5));
        let sessions: Arc<dyn ProtocolStore> = Arc::new(slow);
        let store = AwaitedStore { store: &sessions, device: DeviceId(Uuid::from_u128(1)) };
        let awaited = Awaited::default();
        awaited.add(&store, message("M1", None), false).await.unwrap();
        let came = [Envelope::of(&message("M1", None))];
        let (one, two) = tokio::join!(awaited.came(&store, &came), awaited.came(&store, &came));
        assert_eq!(one.unwrap() + two.unwrap(), 1);
    }

    #[tokio::test]
    async fn the_phone_is_not_asked_for_everything_at_once() {
        let sessions: Arc<dyn ProtocolStore> = Arc::new(MemoryStore::for_protocol());
        let store = AwaitedStore { store: &sessions, device: DeviceId(Uuid::from_u128(1)) };
        let awaited = Awaited::default();
        for n in 0..REQUESTS_MAX + 3 {
            awaited.add(&store, message(&format!("M{n}"), None), false).await.unwrap();
        }
        let asked = [(); 3].map(|()| awaited.take_requests().len());
        assert_eq!(asked, [REQUESTS_MAX, 3, 0]);
    }

    #[tokio::test]
    async fn what_was_missed_is_asked_for_and_never_reported() {
        let sessions: Arc<dyn ProtocolStore> = Arc::new(MemoryStore::for_protocol());
        let store = AwaitedStore { store: &sessions, device: DeviceId(Uuid::from_u128(1)) };
        let (awaited, reported) = (Awaited::default(), Reported::default());
        for _ in 0..2 {
            awaited.add_missed(&store, message("M1", None)).await.unwrap();
        }
        awaited.add_missed(&store, message("M2", None)).await.unwrap();
        let again = Awaited::default();
        again.load(&store).await.unwrap();
        for missed in [&awaited, &again] {
            assert_eq!(missed.take_requests().len(), 2, "over each new client");
            assert!(missed.take_requests().is_empty());
        }
        let id = WhatsappId::from_outside("M1");
        assert_eq!(again.find(&id, ReceivedOrigin::Incoming), None, "the phone knows its time");
        let came = [Envelope::of(&message("M1", None))];
        assert_eq!(again.came(&store, &came).await.unwrap(), 0, "it was never unreadable");
        again.report(&store, &reported, true).await.unwrap();
        assert!(reported.0.lock().is_empty());
        awaited.load(&store).await.unwrap();
        assert!(awaited.0.lock().is_empty());
    }

    #[tokio::test]
    async fn what_does_not_come_is_reported_once_and_a_restart_forgets_nothing() {
        let sessions: Arc<dyn ProtocolStore> = Arc::new(MemoryStore::for_protocol());
        let store = AwaitedStore { store: &sessions, device: DeviceId(Uuid::from_u128(1)) };
        let (awaited, reported) = (Awaited::default(), Reported::default());
        assert!(awaited.add(&store, message("M1", None), false).await.unwrap());
        assert!(!awaited.add(&store, message("M1", None), false).await.unwrap());
        awaited.add(&store, message("M2", Some("77")), false).await.unwrap();
        assert!(!awaited.is_due());
        // Who resends a message gives it another time.
        let second = |s| Timestamp::from_second(s).unwrap();
        let resent = IncomingMessage { at: second(1_700_000_007), ..message("M1", None) };
        assert_eq!(awaited.with_first_time(resent).at, second(1_700_000_000));
        let other = IncomingMessage { at: second(1_700_000_007), ..message("M9", None) };
        assert_eq!(awaited.with_first_time(other).at, second(1_700_000_007));
        awaited.report(&store, &reported, false).await.unwrap();
        awaited.add(&store, message("M3", None), true).await.unwrap();
        let requested: Vec<_> = awaited.take_requests().into_iter().map(|info| info.id).collect();
        assert_eq!(requested, ["M1", "M2"], "no device has M3");
        assert!(awaited.take_requests().is_empty());
        assert!(awaited.is_due(), "no device has it any more");
        let again = Awaited::default();
        again.load(&store).await.unwrap();
        assert_eq!(again.0.lock().len(), 3);
        let incoming = ReceivedOrigin::Incoming;
        let other =
            IncomingMessage { sender: message("", Some("78")).sender, ..message("M1", None) };
        assert_eq!(again.came(&store, &[Envelope::of(&other)]).await.unwrap(), 0);
        let came = [Envelope::of(&message("M1", None))];
        assert_eq!(again.came(&store, &came).await.unwrap(), 1);
        assert_eq!(again.came(&store, &came).await.unwrap(), 0);
        let found = again.find(&WhatsappId::from_outside("M2"), incoming);
        assert_eq!(found, Some(message("M2", Some("77"))));
        for _ in 0..2 {
            again.report(&store, &reported, false).await.unwrap();
        }
        assert_eq!(*reported.0.lock(), [message("M3", None)], "it was lost from the beginning");
        // What comes after its report has come after all, once, and the phone is asked for it over each new client.
        let third = Awaited::default();
        third.load(&store).await.unwrap();
        let mut requested: Vec<_> = third.take_requests().into_iter().map(|info| info.id).collect();
        requested.sort_unstable();
        assert_eq!(requested, ["M2", "M3"]);
        let late = [Envelope::of(&message("M3", None)), Envelope::of(&message("M4", None))];
        assert_eq!(third.came(&store, &late).await.unwrap(), 1);
        assert_eq!(third.came(&store, &late).await.unwrap(), 0);
        for _ in 0..2 {
            third.report(&store, &reported, true).await.unwrap();
        }
        let expected = [message("M3", None), message("M2", Some("77"))];
        assert_eq!(*reported.0.lock(), expected);
        awaited.load(&store).await.unwrap();
        assert!(awaited.0.lock().is_empty());
    }
}
