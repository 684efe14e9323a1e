//! One device's pairing with WhatsApp: connects, reconnects, and reports to the engine, in order.
//!
//! Invariants:
//! - one task per device decides and reports, so that its events are in order;
//! - at most one client of a device exists at a time, and it is closed before the next is built;
//! - the library never reconnects by itself: after each connection [`crate::disconnect::pause`] decides;
//! - when the number is no longer linked (logout, failed pairing), the stored session is erased
//!   before that is reported.

mod challenge;
mod endings;
mod histories;
mod kept_pause;
mod own_phone;
mod pauses;
mod unreadable;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::client::ClientSettings;
use domain::device::{DisconnectReason, PairMethod, PairOffer};
use domain::error::StoreError;
use domain::ids::DeviceId;
use domain::ports::{MessengerEvent, StoreResult};
use domain::proxy::ProxyFault;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use whatsapp_rust::pair_code::PairCodeOptions;

use crate::calls;
use crate::client::{ClientContext, Session};
use crate::config::Version;
use crate::connection::{Connection, Deadline, DeadlineAction, Online, end_connection};
use crate::disconnect::Ending;
use crate::events::Signal;
use crate::limits::{
    CLOSE_MAX, LINK_AFTER_RESTART_MAX, LOGIN_TURN_MAX, PAIRING_CODE_GRACE, PAIRING_MAX,
    PAIRING_SOCKET_MAX, STABLE,
};
use crate::liveness::{self, Liveness};
use crate::outage::Outage;
use crate::receipts::Reports;
use own_phone::NewSessions;
use pauses::Hurry;

/// What a pairing is started for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// To connect a linked number.
    Connect,
    /// To link a number.
    Pair(PairMethod),
}

/// A running pairing. It ends when the engine stops it, when the number is unlinked, or when an
/// operator has to act.
pub(crate) struct Pairing {
    stop: watch::Sender<bool>,
    is_silent: Arc<AtomicBool>,
    is_unpairing: Arc<AtomicBool>,
    hurry: Arc<Hurry>,
    task: JoinHandle<()>,
}

impl Pairing {
    /// Starts the task, which publishes its client in `online` while it is ready to send.
    pub(crate) fn start(
        shared: Arc<ClientContext>,
        device: DeviceId,
        purpose: Purpose,
        settings: ClientSettings,
        online: Arc<Online>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let is_silent = Arc::new(AtomicBool::new(false));
        let is_unpairing = Arc::new(AtomicBool::new(false));
        let hurry = Arc::new(Hurry::default());
        let supervisor = Supervisor {
            shared,
            device,
            purpose,
            settings,
            online,
            stopped,
            is_silent: is_silent.clone(),
            is_unpairing: is_unpairing.clone(),
            hurry: hurry.clone(),
            failures: 0,
            redeliveries: 0,
            outage: Outage::default(),
            outages: 0,
            reported_loss: None,
            version: None,
            link_by: Instant::now() + PAIRING_MAX,
            new_sessions: NewSessions::default(),
        };
        Self { stop, is_silent, is_unpairing, hurry, task: tokio::spawn(supervisor.run()) }
    }

    /// Stops its events; it is about to be ended.
    fn silence(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    /// Stops its events and lets receipts pass unstored: the number is about to be unlinked, and
    /// WhatsApp sends nothing to it again.
    pub(crate) fn begin_unpairing(&self) {
        self.is_unpairing.store(true, Ordering::SeqCst);
        self.silence();
    }

    /// Ends its pause before the next connection, if there is one that may be cut short.
    pub(crate) fn hurry(&self) {
        self.hurry.ask();
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it; it writes nothing after this returns.
    pub(crate) async fn end(mut self) {
        self.silence();
        self.stop.send_replace(true);
        // Closing has its own limit; this one is for a task that hangs in the store.
        if timeout(CLOSE_MAX * 2, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// How one connection ended.
enum ConnectionEnd {
    /// The engine stopped it.
    Stopped,
    /// The stored state and the client's no longer agree.
    Broken,
    /// By itself, and how long it was ready; `None` when it never was.
    By(Ending, Option<Duration>),
}

struct Supervisor {
    shared: Arc<ClientContext>,
    device: DeviceId,
    purpose: Purpose,
    settings: ClientSettings,
    online: Arc<Online>,
    stopped: watch::Receiver<bool>,
    is_silent: Arc<AtomicBool>,
    is_unpairing: Arc<AtomicBool>,
    hurry: Arc<Hurry>,
    /// Attempts since a connection last was stable.
    failures: u32,
    /// Times in a row that messages had to be requested again.
    redeliveries: u32,
    /// Whether the store was away since the connection began.
    outage: Outage,
    /// Losses for want of the store since a connection last was stable.
    outages: u32,
    /// The loss that was reported, while it lasts.
    reported_loss: Option<DisconnectReason>,
    /// The version that the last client announced.
    version: Option<Version>,
    /// When linking counts as failed.
    link_by: Instant,
    new_sessions: NewSessions,
}

impl Supervisor {
    async fn run(mut self) {
        loop {
            let shows_qr = !matches!(self.purpose, Purpose::Pair(PairMethod::Code(_)));
            self.outage.begin();
            let outage = self.outage.clone();
            let (device, settings, online) = (self.device, &self.settings, &self.online);
            let opened =
                Session::open(&self.shared, device, settings, shows_qr, outage, online).await;
            let stays = match opened {
                Ok(session) => self.run_session(session).await,
                Err(error) if error.is::<ProxyFault>() => {
                    let fault = error.downcast().unwrap_or(ProxyFault::Unreadable);
                    self.without_proxy(fault).await
                }
                Err(error) => {
                    tracing::error!(device = %self.device, %error, "the session cannot be opened");
                    self.without_session().await
                }
            };
            if !stays {
                return;
            }
        }
    }

    /// Connects one client again and again; whether another must replace it.
    async fn run_session(&mut self, mut session: Session) -> bool {
        if matches!(self.purpose, Purpose::Connect) && !session.is_linked() {
            session.close().await;
            self.forget("no number is linked to this device; link it again").await;
            return false;
        }
        let is_first = self.version.replace(session.version).is_none();
        if is_first && !self.wait_for_kept_pause().await {
            session.close().await;
            return false;
        }
        let goes_on = loop {
            let ended = self.connect_once(&mut session).await;
            self.online.set(None);
            let goes_on = match ended {
                ConnectionEnd::Stopped => false,
                ConnectionEnd::Broken if self.outage.was_noted() => {
                    break self.wait_for_store().await;
                }
                ConnectionEnd::Broken => {
                    let pause = self.redelivery_pause();
                    break self.wait_and_retry(pause).await;
                }
                ConnectionEnd::By(Ending::NewClient, _) => break true,
                ConnectionEnd::By(ending, held) => self.handle_ending(&session, ending, held).await,
            };
            if !goes_on {
                break false;
            }
            // A client gets its version when it is built.
            if session.version != self.shared.versions.current(&session.http).await {
                break true;
            }
        };
        session.close().await;
        goes_on
    }

    async fn emit(&self, event: MessengerEvent) {
        if let Err(error) = self.try_emit(event).await {
            tracing::debug!(device = %self.device, %error, "an event was not handled");
        }
    }

    /// Emits an event to the engine, unless the pairing is ending.
    fn try_emit(&self, event: MessengerEvent) -> BoxFuture<'static, StoreResult<()>> {
        if self.is_silent.load(Ordering::SeqCst) {
            return ready(Err(StoreError::Unavailable("the pairing is ending".into()))).boxed();
        }
        let (events, device) = (self.shared.events.get().cloned(), self.device);
        async move {
            let unset = || StoreError::Unavailable("no receiver for events is set yet".into());
            events.ok_or_else(unset)?.event(device, event).await
        }
        .boxed()
    }

    /// Lets the acknowledgement of a stored receipt out.
    fn answer_receipt(&self, session: &Session, answer: StoreResult<()>) {
        // WhatsApp sends nothing again to a number that is being unlinked.
        let is_unpairing = self.is_unpairing.load(Ordering::SeqCst);
        let answer = answer.inspect_err(|error| self.outage.note(error));
        session.barrier.answer(answer.is_ok() || is_unpairing);
    }

    /// Ends the connection over which something came that is not stored.
    fn drop_connection(&self, session: &Session) {
        tracing::warn!(device = %self.device, "what came in is not stored; WhatsApp sends it again");
        session.sink.note(Ending::Lost(DisconnectReason::ConnectionLost));
        self.online.set(None);
        end_connection(self.device, session.client.clone());
    }

    /// Ends the connection when it is dead; whether it was.
    fn drop_dead(&self, session: &Session) -> bool {
        let is_dead = liveness::look(&session.client) == Liveness::Dead;
        if is_dead {
            tracing::info!(device = %self.device, "nothing comes in any more; connecting again");
            session.sink.note(Ending::Lost(DisconnectReason::ConnectionLost));
            self.online.set(None);
            end_connection(self.device, session.client.clone());
        }
        is_dead
    }

    /// One connection, from the first attempt to its end.
    async fn connect_once(&mut self, session: &mut Session) -> ConnectionEnd {
        let Some(login_permit) = self.login_permit().await else { return ConnectionEnd::Stopped };
        let (client, barrier) = (session.client.clone(), session.barrier.clone());
        barrier.begin();
        self.online.stanzas.begin_connection();
        self.outage.begin();
        let mut running = tokio::spawn(async move { client.run().await });
        session.sink.learn_names(&session.client);
        let mut phone_retry = own_phone::retry(&session.client, &session.sink.me());
        let mut is_dropped = false;
        let mut watch = Connection {
            login_permit,
            ready_at: None,
            deadline: self.deadline(),
            reports: Reports::default(),
            looks: liveness::looks(),
            code_request: self.request_code(session),
        };
        let ended = loop {
            tokio::select! {
                biased;
                Some(answer) = watch.reports.next() => self.answer_receipt(session, answer),
                () = barrier.lost(), if !is_dropped => {
                    is_dropped = true;
                    self.drop_connection(session);
                }
                Some(signal) = session.signals.recv(), if watch.reports.has_room() => {
                    self.handle_signal(session, &mut watch, signal).await;
                }
                Ok(node) = &mut session.stream_error => {
                    self.handle_stream_error(session, &mut watch, &node);
                }
                retry = &mut phone_retry => {
                    phone_retry = own_phone::retry(&session.client, &session.sink.me());
                    self.phone_could_not_read(session, &retry);
                }
                _ = &mut running => break None,
                () = raised(&mut self.stopped) => break Some(ConnectionEnd::Stopped),
                () = raised(&mut session.broken) => break Some(ConnectionEnd::Broken),
                // The library is not ready before its app state is; a new client does not insist.
                () = raised(&mut session.unsettled), if watch.ready_at.is_none() && !is_dropped => {
                    is_dropped = true;
                    session.ensure_name().await;
                    session.sink.note(Ending::NewClient);
                    end_connection(self.device, session.client.clone());
                }
                _ = watch.looks.tick(), if watch.ready_at.is_some() && !is_dropped => {
                    self.look_after_awaited(session);
                    is_dropped = self.drop_dead(session);
                    self.look_after_phone(session);
                }
                () = sleep_until(watch.deadline.at) => self.on_deadline(session, &mut watch).await,
            }
        };
        watch.stop_code_request();
        self.online.set_challenge(None);
        if watch.ready_for().is_some_and(|held| held >= STABLE) {
            self.redeliveries = 0;
            self.outages = 0;
        }
        match ended {
            Some(ended) => {
                self.online.set(None);
                session.barrier.end();
                session.close().await;
                if timeout(Duration::from_secs(1), &mut running).await.is_err() {
                    running.abort();
                }
                ended
            }
            None => self.conclude(session, &mut watch).await,
        }
    }

    /// Handles the remaining signals and determines how the connection ended.
    async fn conclude(&mut self, session: &mut Session, watch: &mut Connection) -> ConnectionEnd {
        self.online.set(None);
        while let Ok(signal) = session.signals.try_recv() {
            self.handle_signal(session, watch, signal).await;
            self.online.set(None);
        }
        while let Some(answer) = watch.reports.next().await {
            self.answer_receipt(session, answer);
        }
        let held = watch.ready_for();
        let mut ending = session
            .sink
            .take_ending()
            .unwrap_or_else(|| Ending::from_progress(session.attempt.progress(), held.is_some()));
        let wants_restart = ending == Ending::Lost(DisconnectReason::RestartRequired);
        if wants_restart && matches!(self.purpose, Purpose::Pair(_)) {
            // WhatsApp asks for it once a phone has linked the device; that event may come later.
            let link = timeout(LINK_AFTER_RESTART_MAX, self.wait_for_pairing(session, watch)).await;
            ending = link.map_or(ending, |()| Ending::Paired);
        }
        ConnectionEnd::By(ending, held)
    }

    async fn wait_for_pairing(&mut self, session: &mut Session, watch: &mut Connection) {
        while matches!(self.purpose, Purpose::Pair(_)) {
            let Some(signal) = session.signals.recv().await else {
                return std::future::pending().await;
            };
            self.handle_signal(session, watch, signal).await;
        }
    }

    /// Waits for the permit to log in; `None` when the engine stopped the pairing. Linking a number
    /// needs no permit: a person waits for it.
    async fn login_permit(&mut self) -> Option<Option<OwnedSemaphorePermit>> {
        if matches!(self.purpose, Purpose::Pair(_)) {
            return Some(None);
        }
        tokio::select! {
            permit = self.shared.logins.clone().acquire_owned() => Some(permit.ok()),
            () = raised(&mut self.stopped) => None,
        }
    }

    fn deadline(&self) -> Deadline {
        match self.purpose {
            Purpose::Connect => Deadline::new(LOGIN_TURN_MAX, DeadlineAction::ReleaseLogin),
            Purpose::Pair(_) => Deadline { at: self.link_by, action: DeadlineAction::FailPairing },
        }
    }

    fn request_code(&self, session: &Session) -> Option<JoinHandle<()>> {
        let Purpose::Pair(PairMethod::Code(phone)) = &self.purpose else { return None };
        let options =
            PairCodeOptions { phone_number: phone.as_str().to_owned(), ..Default::default() };
        let client = session.client.clone();
        Some(tokio::spawn(async move {
            // A refusal comes as an event; without a connection the run ends and reports why.
            if client.wait_for_socket(PAIRING_SOCKET_MAX).await.is_ok() {
                let _ = client.pair_with_code(options).await;
            }
        }))
    }

    async fn handle_signal(&mut self, session: &Session, watch: &mut Connection, signal: Signal) {
        match signal {
            Signal::Event(event @ MessengerEvent::Receipt(..)) => {
                watch.reports.begin(self.try_emit(event));
            }
            Signal::Undecryptable(message) => {
                self.could_not_read(session, &message.info);
                watch.reports.begin(self.await_message(session, message));
            }
            Signal::Event(MessengerEvent::Call(mut call)) => {
                calls::identify(&session.client, &mut call).await;
                self.emit(MessengerEvent::Call(call)).await;
            }
            Signal::Event(event) => {
                if let MessengerEvent::Offer(PairOffer::Code { expires_in_s, .. }) = &event {
                    let longest = Duration::from_secs(*expires_in_s) + PAIRING_CODE_GRACE;
                    watch.deadline = Deadline::new(longest, DeadlineAction::FailPairing);
                }
                if let MessengerEvent::GroupChanged(report) = &event {
                    self.learn_timer(report).await;
                }
                self.emit(event).await;
            }
            Signal::PasskeyAsked(request) => self.passkey_asked(session, watch, request).await,
            Signal::PasskeyCode(code) => self.passkey_code(watch.deadline.at, code).await,
            Signal::Paired(linked) => {
                self.online.set_challenge(None);
                // Reported only once the link would survive a crash.
                if let Err(error) = session.client.persistence_manager().flush().await {
                    tracing::error!(device = %self.device, %error, "the new link is not stored yet");
                }
                self.purpose = Purpose::Connect;
                watch.deadline = Deadline::new(LOGIN_TURN_MAX, DeadlineAction::ReleaseLogin);
                self.emit(MessengerEvent::Paired(linked)).await;
            }
            Signal::Connected => self.become_ready(session, watch).await,
            Signal::Announced => {
                self.online.presence.withdraw_announcement(session.client.clone());
            }
            // The phone has taken the code already when it wants a passkey.
            Signal::CodeSpent if self.online.challenge().is_some() => {}
            Signal::CodeSpent => watch.replace_code_request(self.request_code(session)),
            Signal::History(history) => self.take_history(session, history),
            Signal::Ending(ending) => {
                self.online.set(None);
                if matches!(ending, Ending::PairingFailed(_)) {
                    end_connection(self.device, session.client.clone());
                }
            }
            Signal::Redeliver => {
                watch.deadline = Deadline::new(self.redelivery_pause(), DeadlineAction::Reconnect);
            }
        }
    }

    async fn become_ready(&mut self, session: &Session, watch: &mut Connection) {
        session.sink.learn_names(&session.client);
        watch.login_permit = None;
        watch.ready_at = Some(Instant::now());
        self.reported_loss = None;
        self.online.set_sink(session.sink.clone());
        self.online.set(Some(session.client.clone()));
        self.online.presence.begin_connection(session.client.clone());
        self.emit(MessengerEvent::Connected).await;
    }
}

/// Waits until a flag is up, or its sender is dropped.
async fn raised(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|is_up| *is_up).await;
}
