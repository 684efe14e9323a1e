//! A messenger that behaves as a test sets, and records its calls.
//!
//! Events reach the engine through one queue per messenger, in order, from a task of their own: as
//! with the real driver, nothing that calls the messenger waits for the engine.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::chat::ChatId;
use domain::client::{ClientSettings, ConnectedAs};
use domain::device::{DisconnectReason, Group, LinkedNumber, PairMethod, PairOffer};
use domain::error::{Error, Result};
use domain::group::{GroupAnswer, GroupRequest};
use domain::ids::{DeviceId, WhatsappId};
use domain::message::{Message, Receipt};
use domain::passkey::{Assertion, PasskeyRefusal};
use domain::phone::PhoneNumber;
use domain::ports::{Messenger, MessengerEvent, MessengerEvents, OutgoingMessage, SendError};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, watch};

/// What happens to a message that is submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is acknowledged at once.
    Acknowledge,
    /// It is acknowledged after a while.
    AcknowledgeAfter(Duration),
    /// It is submitted, but never acknowledged.
    LoseAck,
    /// It is refused, with this code.
    Refuse(u16),
    /// Submitting it fails.
    Fail(SendError),
    /// The messenger panics.
    Panic,
    /// Submitting it takes a while; then it is acknowledged.
    TakeAfter(Duration),
}

/// A recorded call, without sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `connect`.
    Connect(DeviceId),
    /// `connect_now`.
    ConnectNow(DeviceId),
    /// `pair`.
    Pair(DeviceId, PairMethod),
    /// `give_passkey`.
    Passkey(DeviceId),
    /// `confirm_passkey`.
    ConfirmPasskey(DeviceId),
    /// `logout`.
    Logout(DeviceId),
    /// `disconnect`.
    Disconnect(DeviceId),
    /// To show or hide "typing…".
    Typing(DeviceId, ChatId, bool),
    /// To look a number up.
    Lookup(DeviceId, PhoneNumber),
    /// `mark_read`, with the messages' WhatsApp ids.
    MarkRead(DeviceId, Vec<WhatsappId>),
    /// `reject_call`, with the call's id.
    RejectCall(DeviceId, String),
    /// To ask until when the number may write to no strangers.
    Restriction(DeviceId),
    /// What a group is asked.
    Group(DeviceId, GroupRequest),
}

struct State {
    connected: HashSet<DeviceId>,
    answers: VecDeque<Answer>,
    answer: Answer,
    connects: bool,
    offer: Option<PairOffer>,
    rejects_passkeys: bool,
    settings: HashMap<DeviceId, ClientSettings>,
    links: HashMap<DeviceId, VecDeque<Result<Option<LinkedNumber>>>>,
    logout_takes: Duration,
    on_whatsapp: HashMap<PhoneNumber, bool>,
    groups: Vec<Group>,
    group_answer: Result<GroupAnswer, SendError>,
    restriction: Result<Option<Timestamp>, SendError>,
    sent: Vec<(DeviceId, OutgoingMessage)>,
    calls: Vec<Call>,
    alive_at: Option<Timestamp>,
}

/// The messenger.
pub struct ScriptedMessenger {
    state: Mutex<State>,
    events: mpsc::UnboundedSender<(DeviceId, MessengerEvent)>,
    inbox: Mutex<Option<mpsc::UnboundedReceiver<(DeviceId, MessengerEvent)>>>,
    changes: watch::Sender<u64>,
}

impl ScriptedMessenger {
    /// One that connects at once, offers a QR or a code, and acknowledges everything.
    pub fn new() -> Arc<Self> {
        let (events, inbox) = mpsc::unbounded_channel();
        let state = State {
            connected: HashSet::new(),
            answers: VecDeque::new(),
            answer: Answer::Acknowledge,
            connects: true,
            offer: None,
            rejects_passkeys: false,
            settings: HashMap::new(),
            links: HashMap::new(),
            logout_takes: Duration::ZERO,
            on_whatsapp: HashMap::new(),
            groups: Vec::new(),
            group_answer: Ok(GroupAnswer::Done),
            restriction: Err(SendError::Temporary("WhatsApp does not answer".into())),
            sent: Vec::new(),
            calls: Vec::new(),
            alive_at: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            events,
            inbox: Mutex::new(Some(inbox)),
            changes: watch::Sender::new(0),
        })
    }

    /// Delivers events to the engine from now on, those before included.
    ///
    /// # Panics
    /// When called twice.
    pub fn deliver_to(&self, engine: Arc<dyn MessengerEvents>) {
        let inbox = self.inbox.lock().take();
        let mut inbox = inbox.expect("events are delivered to one engine");
        tokio::spawn(async move {
            while let Some((device, event)) = inbox.recv().await {
                // A real messenger would not acknowledge what could not be stored.
                let _ = engine.event(device, event).await;
            }
        });
    }

    /// What happens to the next messages, one by one, before the rule of
    /// [`ScriptedMessenger::answer_all`] holds again.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state().answers.extend(answers);
    }

    /// What happens to every message.
    pub fn answer_all(&self, answer: Answer) {
        self.state().answer = answer;
    }

    /// Whether `connect` succeeds at once (the default) or never finishes.
    pub fn connects(&self, connects: bool) {
        self.state().connects = connects;
    }

    /// When something last came in over every connection.
    pub fn set_alive_at(&self, at: Timestamp) {
        self.state().alive_at = Some(at);
    }

    /// The groups every number is in.
    pub fn set_groups(&self, groups: Vec<Group>) {
        self.state().groups = groups;
    }

    /// What it answers to every question about a group.
    pub fn set_group_answer(&self, answer: Result<GroupAnswer, SendError>) {
        self.state().group_answer = answer;
    }

    /// What it answers when it is asked until when a number may write to no strangers (by default nothing).
    pub fn set_restriction(&self, answer: Result<Option<Timestamp>, SendError>) {
        self.state().restriction = answer;
    }

    /// What `pair` offers in place of a QR or a code.
    pub fn offers(&self, offer: PairOffer) {
        self.state().offer = Some(offer);
    }

    /// What a device's session says that it is linked to, each time that it is read (then nothing).
    pub fn set_linked<const N: usize>(
        &self,
        device: DeviceId,
        answers: [Result<Option<LinkedNumber>>; N],
    ) {
        self.state().links.insert(device, answers.into());
    }

    /// Whether WhatsApp accepts no passkey.
    pub fn rejects_passkeys(&self, rejects: bool) {
        self.state().rejects_passkeys = rejects;
    }

    /// The settings with which a device was configured last.
    pub fn settings(&self, device: DeviceId) -> Option<ClientSettings> {
        self.state().settings.get(&device).cloned()
    }

    /// How long unlinking takes.
    pub fn logout_takes(&self, duration: Duration) {
        self.state().logout_takes = duration;
    }

    /// Whether a number is on WhatsApp (by default every number is).
    pub fn on_whatsapp(&self, phone: &PhoneNumber, found: bool) {
        self.state().on_whatsapp.insert(phone.clone(), found);
    }

    /// Reports an event to the engine.
    pub fn emit(&self, device: DeviceId, event: MessengerEvent) {
        // An error means that the engine has stopped.
        let _ = self.events.send((device, event));
    }

    /// The phone links the device: the number, WhatsApp's wish for a new connection, connected.
    pub fn phone_links(&self, device: DeviceId, linked: LinkedNumber) {
        self.emit(device, MessengerEvent::Paired(linked));
        let restart = DisconnectReason::RestartRequired;
        self.emit(device, MessengerEvent::Disconnected(restart));
        self.go_online(device);
    }

    /// The connection is there.
    pub fn go_online(&self, device: DeviceId) {
        self.state().connected.insert(device);
        self.emit(device, MessengerEvent::Connected);
    }

    /// The connection is gone.
    pub fn go_offline(&self, device: DeviceId, reason: DisconnectReason) {
        self.state().connected.remove(&device);
        self.emit(device, MessengerEvent::Disconnected(reason));
    }

    /// The phone unlinks the device.
    pub fn phone_unlinks(&self, device: DeviceId) {
        self.state().connected.remove(&device);
        self.emit(device, MessengerEvent::LoggedOut("unlinked by the phone".into()));
    }

    /// WhatsApp acknowledges a message.
    pub fn acknowledge(&self, device: DeviceId, id: &WhatsappId) {
        self.emit(device, MessengerEvent::Acknowledged(id.clone()));
    }

    /// A recipient's phone reports a message.
    pub fn receipt(&self, device: DeviceId, id: &WhatsappId, receipt: Receipt, at: Timestamp) {
        self.emit(device, MessengerEvent::Receipt(vec![id.clone()], receipt, at));
    }

    /// The submitted messages, in order, with repeats, without failed attempts.
    pub fn sent(&self) -> Vec<(DeviceId, OutgoingMessage)> {
        self.state().sent.clone()
    }

    /// The recorded calls, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// Waits until `condition` holds; it is checked after every call.
    ///
    /// # Panics
    /// When it does not hold within an hour; with paused time that is no time at all.
    pub async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.changes.subscribe();
        let wait = async {
            while !condition(self) {
                changes.changed().await.expect("the messenger lives");
            }
        };
        let hour = Duration::from_secs(3_600);
        tokio::time::timeout(hour, wait).await.expect("the condition holds within an hour");
    }

    /// Waits until `n` messages were submitted, and returns them.
    ///
    /// # Panics
    /// As [`ScriptedMessenger::until`].
    pub async fn until_sent(&self, n: usize) -> Vec<(DeviceId, OutgoingMessage)> {
        self.until(|messenger| messenger.state().sent.len() >= n).await;
        self.sent()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn called(&self, call: Call) {
        self.state().calls.push(call);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|n| *n += 1);
    }

    fn write(&self, device: DeviceId, message: OutgoingMessage) -> Result<(), SendError> {
        let mut state = self.state();
        if !state.connected.contains(&device) {
            return Err(SendError::NotConnected);
        }
        state.sent.push((device, message));
        drop(state);
        self.changed();
        Ok(())
    }
}

#[async_trait]
impl Messenger for ScriptedMessenger {
    fn alive(&self) -> Vec<(DeviceId, Timestamp)> {
        let state = self.state();
        let alive_at = |id: &DeviceId| Some((*id, state.alive_at?));
        state.connected.iter().filter_map(alive_at).collect()
    }

    fn alive_at(&self, device: DeviceId) -> Option<Timestamp> {
        self.alive().into_iter().find(|(id, _)| *id == device).map(|(_, at)| at)
    }

    fn connected_as(&self, device: DeviceId) -> Option<ConnectedAs> {
        let as_always = || ConnectedAs {
            phone_name: Some("Shop".to_owned()),
            version: "2.3000.1035000000".to_owned(),
        };
        self.state().connected.contains(&device).then(as_always)
    }

    fn configure(&self, device: DeviceId, settings: ClientSettings) {
        self.state().settings.insert(device, settings);
    }

    async fn connect(&self, device: DeviceId) -> Result<()> {
        self.called(Call::Connect(device));
        if self.state().connects {
            self.go_online(device);
        }
        Ok(())
    }

    async fn connect_now(&self, device: DeviceId) -> Result<()> {
        self.called(Call::ConnectNow(device));
        if self.state().connects {
            self.go_online(device);
        }
        Ok(())
    }

    async fn pair(&self, device: DeviceId, method: PairMethod) -> Result<()> {
        self.called(Call::Pair(device, method.clone()));
        let offer = self.state().offer.clone().unwrap_or(match method {
            PairMethod::Qr => PairOffer::Qr { code: "2@scripted".into(), expires_in_s: 20 },
            PairMethod::Code(_) => PairOffer::Code { code: "ABCD1234".into(), expires_in_s: 160 },
        });
        self.emit(device, MessengerEvent::Offer(offer));
        Ok(())
    }

    async fn linked(&self, device: DeviceId) -> Result<Option<LinkedNumber>> {
        let answer = self.state().links.get_mut(&device).and_then(VecDeque::pop_front);
        answer.unwrap_or(Ok(None))
    }

    async fn give_passkey(&self, device: DeviceId, _: Assertion) -> Result<()> {
        self.called(Call::Passkey(device));
        match self.state().rejects_passkeys {
            true => Err(Error::Passkey(PasskeyRefusal::Rejected)),
            false => Ok(()),
        }
    }

    async fn confirm_passkey(&self, device: DeviceId) -> Result<()> {
        self.called(Call::ConfirmPasskey(device));
        Ok(())
    }

    async fn logout(&self, device: DeviceId) -> Result<()> {
        self.called(Call::Logout(device));
        let takes = self.state().logout_takes;
        if takes == Duration::MAX {
            return Err(Error::Whatsapp("unlinking failed".into()));
        }
        tokio::time::sleep(takes).await;
        self.state().connected.remove(&device);
        Ok(())
    }

    async fn disconnect(&self, device: DeviceId) {
        self.state().connected.remove(&device);
        self.called(Call::Disconnect(device));
    }

    async fn send(&self, device: DeviceId, message: OutgoingMessage) -> Result<(), SendError> {
        let answer = {
            let mut state = self.state();
            let rule = state.answer.clone();
            state.answers.pop_front().unwrap_or(rule)
        };
        let id = message.whatsapp_id.clone();
        match answer {
            Answer::Fail(error) => return Err(error),
            Answer::Panic => panic!("scripted"),
            Answer::TakeAfter(wait) => {
                tokio::time::sleep(wait).await;
                self.write(device, message)?;
                self.acknowledge(device, &id);
            }
            Answer::Acknowledge => {
                self.write(device, message)?;
                self.acknowledge(device, &id);
            }
            Answer::LoseAck => self.write(device, message)?,
            Answer::Refuse(code) => {
                self.write(device, message)?;
                self.emit(device, MessengerEvent::Refused(id, code));
            }
            Answer::AcknowledgeAfter(wait) => {
                self.write(device, message)?;
                let events = self.events.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(wait).await;
                    // An error means that the engine has stopped.
                    let _ = events.send((device, MessengerEvent::Acknowledged(id)));
                });
            }
        }
        Ok(())
    }

    async fn typing(&self, device: DeviceId, chat: &ChatId, is_typing: bool) {
        self.called(Call::Typing(device, chat.clone(), is_typing));
    }

    async fn find_number(
        &self,
        device: DeviceId,
        phone: &PhoneNumber,
    ) -> Result<Option<PhoneNumber>, SendError> {
        self.called(Call::Lookup(device, phone.clone()));
        let state = self.state();
        if !state.connected.contains(&device) {
            return Err(SendError::NotConnected);
        }
        let is_found = state.on_whatsapp.get(phone).copied().unwrap_or(true);
        Ok(is_found.then(|| phone.clone()))
    }

    async fn groups(&self, device: DeviceId) -> Result<Vec<Group>, SendError> {
        let state = self.state();
        if !state.connected.contains(&device) {
            return Err(SendError::NotConnected);
        }
        Ok(state.groups.clone())
    }

    async fn mark_read(&self, device: DeviceId, messages: &[Message]) -> Result<(), SendError> {
        let ids = messages.iter().map(|message| message.whatsapp_id.clone());
        self.called(Call::MarkRead(device, ids.collect()));
        let is_connected = self.state().connected.contains(&device);
        is_connected.then_some(()).ok_or(SendError::NotConnected)
    }

    async fn restriction(&self, device: DeviceId) -> Result<Option<Timestamp>, SendError> {
        self.called(Call::Restriction(device));
        self.state().restriction.clone()
    }

    async fn reject_call(
        &self,
        device: DeviceId,
        call: &domain::call::Call,
    ) -> Result<(), SendError> {
        self.called(Call::RejectCall(device, call.id.clone()));
        let is_connected = self.state().connected.contains(&device);
        is_connected.then_some(()).ok_or(SendError::NotConnected)
    }

    async fn group(
        &self,
        device: DeviceId,
        request: GroupRequest,
    ) -> Result<GroupAnswer, SendError> {
        self.called(Call::Group(device, request));
        let state = self.state();
        if !state.connected.contains(&device) {
            return Err(SendError::NotConnected);
        }
        state.group_answer.clone()
    }
}
