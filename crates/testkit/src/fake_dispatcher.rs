//! A dispatcher that sends nothing: it records its calls, and answers as the test set.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::chat::GroupId;
use domain::client::ConnectedAs;
use domain::device::{DeviceNotice, DeviceStatus, Group, PairMethod, PairOffer, StatusChange};
use domain::error::{Error, Result};
use domain::fair_semaphore::{FairSemaphore, Permit};
use domain::group::{GroupAnswer, GroupDetails, GroupRequest, MemberOutcome};
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::media::MediaSource;
use domain::message::{Failure, Message, MessageEvent, Waiting};
use domain::passkey::{Assertion, PasskeyRefusal, PasskeyStep};
use domain::phone::PhoneNumber;
use domain::ports::{Cancellation, Clock, Dispatcher, OutboxEntry, Progress, Store};
use domain::webhook::Event;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Barrier, broadcast};

/// A recorded call of [`FakeDispatcher`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DispatcherCall {
    /// `accepted`, with the messages' ids.
    Accepted(Vec<MessageId>),
    /// `cancel`.
    Cancel(DeviceId, MessageId),
    /// `pair`.
    Pair(DeviceId, PairMethod),
    /// `give_passkey`.
    Passkey(DeviceId, Assertion),
    /// `confirm_passkey`.
    ConfirmPasskey(DeviceId),
    /// `logout`.
    Logout(DeviceId),
    /// `connect`.
    Connect(DeviceId),
    /// `remove`.
    Remove(DeviceId),
    /// `group`.
    Group(DeviceId, GroupRequest),
    /// `mark_read`, with the messages' ids.
    MarkRead(DeviceId, Vec<MessageId>),
    /// `ask_history`: before which message, and how many.
    History(DeviceId, WhatsappId, u32),
    /// `reload`.
    Reload(DeviceId),
    /// A lookup of a number.
    LookUp(DeviceId, PhoneNumber),
    /// A wait for a message's outcome.
    Wait(MessageId),
    /// `webhooks_changed`.
    WebhooksChanged(AccountId),
    /// [`Dispatcher::account_erased`].
    AccountErased(AccountId),
}

/// A dispatcher that sends nothing. It cancels, unpairs and deletes in the store, as the engine does.
pub struct FakeDispatcher {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// `None` when the device is gone.
    notices: broadcast::Sender<(DeviceId, Option<DeviceNotice>)>,
    events: broadcast::Sender<Event>,
    webhook_permits: Arc<FairSemaphore>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: Vec<DispatcherCall>,
    watched: Vec<DeviceId>,
    sending: HashSet<MessageId>,
    elsewhere: HashSet<DeviceId>,
    off_whatsapp: HashSet<PhoneNumber>,
    spellings: HashMap<PhoneNumber, PhoneNumber>,
    offer: Option<PairOffer>,
    refuses_pairing: bool,
    groups: Vec<Group>,
    groups_together: Option<Arc<Barrier>>,
    group_answers: VecDeque<GroupAnswer>,
    ending: Ending,
    alive_at: Option<Timestamp>,
    connected_as: Option<ConnectedAs>,
    waiting: Option<Waiting>,
    history: Option<u64>,
}

/// The outcome of a wait for a message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ending {
    /// WhatsApp acknowledges it.
    #[default]
    Sent,
    /// It still waits when the wait ends.
    Pending,
    /// It fails for this reason.
    Failed(Failure),
    /// Its device does not connect: it is withdrawn.
    Unconnected,
}

/// The code that phone and gateway show once a passkey was given.
pub const PASSKEY_CODE: &str = "ABCD-1234";
/// Posts to webhooks at a time.
pub const WEBHOOK_POSTS_MAX: usize = 4;
/// Notices kept for a slow watcher.
const NOTICES_MAX: usize = 64;

impl FakeDispatcher {
    /// Over the same store and clock as the use cases.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        let (notices, _) = broadcast::channel(NOTICES_MAX);
        let (events, _) = broadcast::channel(NOTICES_MAX);
        let webhook_permits = FairSemaphore::new(WEBHOOK_POSTS_MAX, WEBHOOK_POSTS_MAX);
        Self { store, clock, notices, events, webhook_permits, state: Mutex::default() }
    }

    /// Takes the calls recorded so far.
    pub fn take_calls(&self) -> Vec<DispatcherCall> {
        std::mem::take(&mut self.state().calls)
    }

    /// The message is with WhatsApp from now on, unacknowledged.
    pub fn set_sending(&self, id: MessageId) {
        self.state().sending.insert(id);
    }

    /// Whether another node runs a device.
    pub fn set_elsewhere(&self, device: DeviceId, is_elsewhere: bool) {
        let mut state = self.state();
        match is_elsewhere {
            true => state.elsewhere.insert(device),
            false => state.elsewhere.remove(&device),
        };
    }

    fn ensure_runs(&self, device: DeviceId) -> Result<()> {
        if self.runs(device) { Ok(()) } else { Err(Error::RunsElsewhere(device)) }
    }

    /// The number is a second spelling of the other one.
    pub fn set_known_as(&self, phone: PhoneNumber, known_as: PhoneNumber) {
        self.state().spellings.insert(phone, known_as);
    }

    /// The number is not on WhatsApp.
    pub fn set_off_whatsapp(&self, phone: PhoneNumber) {
        self.state().off_whatsapp.insert(phone);
    }

    /// What the next calls of `pair` answer, in place of a QR or a code; it is on offer.
    pub fn set_offer(&self, offer: PairOffer) {
        self.state().offer = Some(offer);
    }

    /// Nothing is on offer any more.
    pub fn end_offer(&self) {
        self.state().offer = None;
    }

    /// WhatsApp makes no offer from now on.
    pub fn refuse_pairing(&self) {
        self.state().refuses_pairing = true;
    }

    /// The groups every device is in from now on.
    pub fn set_groups(&self, groups: Vec<Group>) {
        self.state().groups = groups;
    }

    /// Questions for the groups of devices are answered once `count` of them wait.
    pub fn answer_groups_together(&self, count: usize) {
        self.state().groups_together = Some(Arc::new(Barrier::new(count)));
    }

    /// What the next question about a group is answered; after the last, everything succeeds.
    pub fn answer_about_group(&self, answer: GroupAnswer) {
        self.state().group_answers.push_back(answer);
    }

    /// When every connected device was last alive.
    pub fn set_alive_at(&self, at: Timestamp) {
        self.state().alive_at = Some(at);
    }

    /// What every device is to WhatsApp.
    pub fn set_connected_as(&self, connected_as: ConnectedAs) {
        self.state().connected_as = Some(connected_as);
    }

    /// What every message that waits waits for.
    pub fn set_waiting(&self, waiting: Waiting) {
        self.state().waiting = Some(waiting);
    }

    /// How many messages a phone gives that is asked for older ones; `None` when it does not answer.
    pub fn set_history(&self, count: Option<u64>) {
        self.state().history = count;
    }

    /// The outcome of waits from now on.
    pub fn set_ending(&self, ending: Ending) {
        self.state().ending = ending;
    }

    /// Sends an event to the account's watchers.
    pub fn emit(&self, event: Event) {
        // An error means that there is no watcher.
        let _ = self.events.send(event);
    }

    /// Sends a notice to the device's watchers.
    pub fn notify(&self, device: DeviceId, notice: DeviceNotice) {
        // An error means that there is no watcher.
        let _ = self.notices.send((device, Some(notice)));
    }

    /// The devices that were watched.
    pub fn watched(&self) -> Vec<DeviceId> {
        self.state().watched.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    fn note(&self, call: DispatcherCall) {
        self.state().calls.push(call);
    }
}

#[async_trait]
impl Dispatcher for FakeDispatcher {
    fn accepted(&self, entries: Vec<OutboxEntry>) {
        self.note(DispatcherCall::Accepted(entries.iter().map(|entry| entry.id).collect()));
    }

    fn runs(&self, device: DeviceId) -> bool {
        !self.state().elsewhere.contains(&device)
    }

    async fn cancel(&self, device: DeviceId, id: MessageId) -> Result<Cancellation> {
        self.note(DispatcherCall::Cancel(device, id));
        if self.is_sending(device, id) {
            return Ok(Cancellation::TooLate);
        }
        let steps = vec![(MessageEvent::Withdrawn, self.clock.now())];
        let progress = Progress { id, steps, failure: None, next_attempt_at: None, file: None };
        let message = self.store.record(vec![progress]).await?.pop();
        Ok(message.map_or(Cancellation::TooLate, |m| Cancellation::Cancelled(Box::new(m.message))))
    }

    async fn waiting(&self, _: DeviceId, ids: Vec<MessageId>) -> Vec<(MessageId, Waiting)> {
        let waiting = self.state().waiting;
        ids.into_iter().filter_map(|id| Some((id, waiting?))).collect()
    }

    fn is_sending(&self, _: DeviceId, id: MessageId) -> bool {
        self.state().sending.contains(&id)
    }

    async fn pair(&self, device: DeviceId, method: PairMethod) -> Result<PairOffer> {
        self.ensure_runs(device)?;
        self.note(DispatcherCall::Pair(device, method.clone()));
        if self.state().refuses_pairing {
            return Err(Error::Whatsapp("WhatsApp made no offer in time".into()));
        }
        if let Some(offer) = self.state().offer.clone() {
            return Ok(offer);
        }
        Ok(match method {
            PairMethod::Qr => PairOffer::Qr { code: "2@qr-of-a-test".into(), expires_in_s: 60 },
            PairMethod::Code(_) => PairOffer::Code { code: "ABCD1234".into(), expires_in_s: 180 },
        })
    }

    async fn pairing(&self, _: DeviceId) -> Result<Option<PairOffer>> {
        Ok(self.state().offer.clone())
    }

    async fn give_passkey(&self, device: DeviceId, assertion: Assertion) -> Result<PairOffer> {
        self.note(DispatcherCall::Passkey(device, assertion));
        let mut state = self.state();
        let Some(PairOffer::Passkey { step, .. }) = &mut state.offer else {
            return Err(Error::Passkey(PasskeyRefusal::NotRequested));
        };
        if *step != PasskeyStep::Requested {
            return Err(Error::Passkey(PasskeyRefusal::AlreadyGiven));
        }
        *step = PasskeyStep::Confirm(PASSKEY_CODE.to_owned());
        Ok(state.offer.clone().expect("it was just changed"))
    }

    async fn confirm_passkey(&self, device: DeviceId) -> Result<()> {
        self.note(DispatcherCall::ConfirmPasskey(device));
        match self.state().offer.clone() {
            Some(PairOffer::Passkey { step: PasskeyStep::Confirm(_), .. }) => {}
            Some(PairOffer::Passkey { .. }) => return Err(Error::Passkey(PasskeyRefusal::NoCode)),
            _ => return Err(Error::Passkey(PasskeyRefusal::NotRequested)),
        }
        self.state().offer = None;
        let change = StatusChange::new(DeviceStatus::Connecting, self.clock.now());
        let device = self.store.set_device_status(device, &change).await?;
        device.map(drop).ok_or(Error::NotFound("device"))
    }

    async fn logout(&self, device: DeviceId) -> Result<()> {
        self.note(DispatcherCall::Logout(device));
        let change = StatusChange {
            reason: Some("logged out by request".into()),
            code: Some(401),
            ..StatusChange::new(DeviceStatus::LoggedOut, self.clock.now())
        };
        let device = self.store.set_device_status(device, &change).await?;
        device.map(drop).ok_or(Error::NotFound("device"))
    }

    fn alive_at(&self, _device: DeviceId) -> Option<Timestamp> {
        self.state().alive_at
    }

    fn connected_as(&self, _device: DeviceId) -> Option<ConnectedAs> {
        self.state().connected_as.clone()
    }

    async fn connect(&self, device: DeviceId) -> Result<()> {
        self.note(DispatcherCall::Connect(device));
        Ok(())
    }

    async fn remove(&self, account: AccountId, device: DeviceId) -> Result<()> {
        self.note(DispatcherCall::Remove(device));
        let cancelled = self.store.delete_device(account, device, self.clock.now()).await?;
        let cancelled = cancelled.ok_or(Error::NotFound("device"))?;
        cancelled.into_iter().flat_map(|recorded| recorded.events).for_each(|e| self.emit(e));
        // An error means that nobody watches.
        let _ = self.notices.send((device, None));
        Ok(())
    }

    async fn reload(&self, device: DeviceId) {
        self.note(DispatcherCall::Reload(device));
    }

    async fn find_number(
        &self,
        device: DeviceId,
        phone: &PhoneNumber,
    ) -> Result<Option<PhoneNumber>> {
        self.ensure_runs(device)?;
        self.note(DispatcherCall::LookUp(device, phone.clone()));
        let state = self.state();
        let is_found = !state.off_whatsapp.contains(phone);
        let other = state.spellings.get(phone);
        Ok(is_found.then(|| other.unwrap_or(phone).clone()))
    }

    async fn wait(
        &self,
        _: AccountId,
        _: DeviceId,
        id: MessageId,
        _: Duration,
    ) -> Result<Option<Message>> {
        self.note(DispatcherCall::Wait(id));
        let (step, failure) = match self.state().ending.clone() {
            Ending::Pending => return Ok(None),
            Ending::Sent => (MessageEvent::Acknowledged, None),
            Ending::Failed(failure) => (MessageEvent::Failed, Some(failure)),
            Ending::Unconnected => {
                let why = Failure::new(Failure::NOT_CONNECTED, "the device did not connect");
                (MessageEvent::Withdrawn, Some(why))
            }
        };
        let steps = vec![(step, self.clock.now())];
        let progress = Progress { id, steps, failure, next_attempt_at: None, file: None };
        Ok(self.store.record(vec![progress]).await?.pop().map(|recorded| recorded.message))
    }

    async fn mark_read(&self, device: DeviceId, messages: &[Message]) -> Result<()> {
        let ids = messages.iter().map(|message| message.id).collect();
        self.note(DispatcherCall::MarkRead(device, ids));
        Ok(())
    }

    async fn groups(&self, _: DeviceId) -> Result<Vec<Group>> {
        let together = self.state().groups_together.clone();
        if let Some(together) = together {
            together.wait().await;
        }
        Ok(self.state().groups.clone())
    }

    async fn group(&self, device: DeviceId, request: GroupRequest) -> Result<GroupAnswer> {
        let usual = usual_answer(&request);
        self.note(DispatcherCall::Group(device, request));
        Ok(self.state().group_answers.pop_front().unwrap_or(usual))
    }

    async fn ask_history(
        &self,
        device: DeviceId,
        before: &Message,
        count: u32,
    ) -> Result<Option<u64>> {
        self.note(DispatcherCall::History(device, before.whatsapp_id.clone(), count));
        Ok(self.state().history)
    }

    async fn make_picture(&self, _: AccountId, _: &MediaSource) -> Result<Vec<u8>> {
        Ok(b"a picture".to_vec())
    }

    fn watch(&self, device: DeviceId) -> BoxStream<'static, DeviceNotice> {
        self.state().watched.push(device);
        let own = stream_of(self.notices.subscribe())
            .filter_map(move |(id, notice)| async move { (id == device).then_some(notice) });
        own.take_while(|notice| std::future::ready(notice.is_some()))
            .filter_map(std::future::ready)
            .boxed()
    }

    fn watch_account(&self, account: AccountId) -> BoxStream<'static, Event> {
        let own = stream_of(self.events.subscribe())
            .filter(move |event: &Event| std::future::ready(event.account_id == account));
        own.boxed()
    }

    async fn webhook_permit(&self, account: AccountId) -> Permit {
        self.webhook_permits.acquire(account).await
    }

    fn webhooks_changed(&self, account: AccountId) {
        self.note(DispatcherCall::WebhooksChanged(account));
    }

    fn account_erased(&self, account: AccountId) {
        self.note(DispatcherCall::AccountErased(account));
    }
}

fn stream_of<T: Clone + Send + 'static>(
    receiver: broadcast::Receiver<T>,
) -> impl stream::Stream<Item = T> + Send {
    stream::unfold(receiver, |mut receiver| async {
        loop {
            match receiver.recv().await {
                Ok(item) => return Some((item, receiver)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
}

/// Everything that is asked of a group succeeds.
fn usual_answer(request: &GroupRequest) -> GroupAnswer {
    let details = |id: GroupId, name: &str| GroupDetails {
        group: Group { id, name: name.to_owned() },
        description: None,
        creator: None,
        created_at: None,
        is_announcement: false,
        is_locked: false,
        is_community: false,
        community: None,
        ephemeral_s: 0,
        participants: Vec::new(),
    };
    match request {
        GroupRequest::Show(id) => GroupAnswer::Details(Box::new(details(id.clone(), "Team"))),
        GroupRequest::Create(name, _) => {
            GroupAnswer::Details(Box::new(details(GroupId::from_user("120363041234567890"), name)))
        }
        GroupRequest::Change(_, _, people) => GroupAnswer::Members(
            people.iter().map(|who| MemberOutcome { who: who.clone(), refused: None }).collect(),
        ),
        GroupRequest::Invite(..) => GroupAnswer::Link("https://chat.whatsapp.com/AbCdEf".into()),
        GroupRequest::Set(..) | GroupRequest::Leave(_) => GroupAnswer::Done,
    }
}
