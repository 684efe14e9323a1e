//! One device's link to WhatsApp: connects, keeps connected, and tells the engine, in order.
//!
//! Invariants:
//! - one task per device decides and reports, so that its events are in order;
//! - at most one client of a device exists at a time, and it is closed before the next is built;
//! - the library never reconnects by itself: after each connection [`disconnect::pause`] decides;
//! - when the link is gone (logout, failed pairing), the stored session is erased before that is
//!   reported.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::device::{DisconnectReason, PairMethod};
use domain::error::StoreError;
use domain::ids::DeviceId;
use domain::ports::{MessengerEvent, StoreResult};
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use whatsapp_rust::pair_code::PairCodeOptions;

use crate::client::{ClientContext, Session};
use crate::connection::{Connection, Deadline, Online, What, be_away, end_connection};
use crate::disconnect::{self, Ending};
use crate::events::Signal;
use crate::limits::{
    CLOSE_MAX, LINK_AFTER_RESTART_MAX, LOGIN_TURN_MAX, PAIRING_CODE_GRACE, PAIRING_MAX,
    PAIRING_SOCKET_MAX, RECONNECT_MAX, REDELIVERY_FIRST, STABLE,
};
use crate::receipts::Reports;

/// What a link is started for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// To connect a linked number.
    Connect,
    /// To link one.
    Pair(PairMethod),
}

/// A running link. Ends when it is told to, when the number is unlinked, or when somebody has to
/// look.
pub(crate) struct Pairing {
    stop: watch::Sender<bool>,
    is_silent: Arc<AtomicBool>,
    is_unlinking: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Pairing {
    /// Starts a link, which shows its client in `online` while it is ready to send.
    pub(crate) fn start(
        shared: Arc<ClientContext>,
        device: DeviceId,
        purpose: Purpose,
        online: Arc<Online>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let is_silent = Arc::new(AtomicBool::new(false));
        let is_unlinking = Arc::new(AtomicBool::new(false));
        let supervisor = Supervisor {
            shared,
            device,
            purpose,
            online,
            stopped,
            is_silent: is_silent.clone(),
            is_unlinking: is_unlinking.clone(),
            failures: 0,
            redeliveries: 0,
            told: None,
        };
        Self { stop, is_silent, is_unlinking, task: tokio::spawn(supervisor.run()) }
    }

    /// Has it report nothing any more; it is about to be ended.
    fn fall_silent(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }

    /// Has it let go of the number, which is about to be unlinked.
    pub(crate) fn let_go(&self) {
        self.is_unlinking.store(true, Ordering::SeqCst);
        self.fall_silent();
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it; returns when nothing of it writes any more.
    pub(crate) async fn end(mut self) {
        self.fall_silent();
        self.stop.send_replace(true);
        // Closing is bounded in itself; this is for a task that hangs in the store.
        if timeout(CLOSE_MAX * 2, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// How one connection ended.
enum Ended {
    /// As the engine wished.
    Stopped,
    /// The stored state and the client's no longer agree.
    Broken,
    /// By itself; it held for so long when it was ready at all.
    By(Ending, Option<Duration>),
}

struct Supervisor {
    shared: Arc<ClientContext>,
    device: DeviceId,
    purpose: Purpose,
    online: Arc<Online>,
    stopped: watch::Receiver<bool>,
    is_silent: Arc<AtomicBool>,
    is_unlinking: Arc<AtomicBool>,
    /// Attempts since a connection last held.
    failures: u32,
    /// Times in a row that mail had to be asked for again.
    redeliveries: u32,
    /// The loss the engine knows of, while it lasts.
    told: Option<DisconnectReason>,
}

impl Supervisor {
    async fn run(mut self) {
        loop {
            let shows_qr = !matches!(self.purpose, Purpose::Pair(PairMethod::Code(_)));
            let opened = Session::open(&self.shared, self.device, shows_qr).await;
            let stays = match opened {
                Ok(session) => self.keep(session).await,
                Err(error) => {
                    tracing::error!(device = %self.device, %error, "the session cannot be opened");
                    self.do_without().await
                }
            };
            if !stays {
                return;
            }
        }
    }

    /// Connects one client again and again; whether another is to take its place.
    async fn keep(&mut self, mut session: Session) -> bool {
        if matches!(self.purpose, Purpose::Connect) && !session.is_linked() {
            session.close().await;
            self.forget("no number is linked to this device; link it again").await;
            return false;
        }
        let goes_on = loop {
            let ended = self.connect_once(&mut session).await;
            self.online.set(None);
            let goes_on = match ended {
                Ended::Stopped => false,
                Ended::Broken => {
                    let pause = self.redelivery_pause();
                    break self.wait_and_retry(pause).await;
                }
                Ended::By(ending, held) => self.follow(&session, ending, held).await,
            };
            if !goes_on {
                break false;
            }
            // A client is told its version when it is built.
            if session.version != self.shared.versions.current().await {
                break true;
            }
        };
        session.close().await;
        goes_on
    }

    /// Does what follows when the store gives no session; whether to try again.
    async fn do_without(&mut self) -> bool {
        if matches!(self.purpose, Purpose::Pair(_)) {
            self.fail_pairing("the gateway's database cannot be reached".to_owned()).await;
            return false;
        }
        self.lose(DisconnectReason::ConnectionLost, None).await
    }

    /// Does what follows from an ending; whether to connect again.
    async fn follow(&mut self, session: &Session, ending: Ending, held: Option<Duration>) -> bool {
        match ending {
            Ending::Wanted => true,
            Ending::Paired => {
                self.failures = 0;
                true
            }
            Ending::LoggedOut(text) => {
                session.close().await;
                self.forget(&text).await;
                false
            }
            Ending::PairingFailed(text) => {
                session.close().await;
                self.fail_pairing(text).await;
                false
            }
            Ending::Lost(reason) if matches!(self.purpose, Purpose::Pair(_)) => {
                session.close().await;
                self.fail_pairing(reason.describe()).await;
                false
            }
            Ending::Lost(reason) => self.lose(reason, held).await,
        }
    }

    /// Reports a lost connection and waits as long as it takes; false when it is not to come back.
    async fn lose(&mut self, reason: DisconnectReason, held: Option<Duration>) -> bool {
        if self.told != Some(reason) {
            self.told = Some(reason);
            self.tell(MessengerEvent::Disconnected(reason)).await;
        }
        self.failures = disconnect::failures_after(self.failures, held);
        match disconnect::pause(reason, self.failures, self.device) {
            Some(pause) => self.wait_and_retry(pause).await,
            None => false,
        }
    }

    /// Waits; false when the engine has ended the link meanwhile.
    async fn wait_and_retry(&mut self, pause: Duration) -> bool {
        timeout(pause, raised(&mut self.stopped)).await.is_err()
    }

    /// How long to wait before mail that could not be stored is asked for again.
    fn redelivery_pause(&mut self) -> Duration {
        let pause = (REDELIVERY_FIRST * (1 << self.redeliveries.min(8))).min(RECONNECT_MAX);
        self.redeliveries = self.redeliveries.saturating_add(1);
        disconnect::spread(pause, self.redeliveries, self.device)
    }

    async fn forget(&self, text: &str) {
        self.erase().await;
        self.tell(MessengerEvent::LoggedOut(text.to_owned())).await;
    }

    async fn fail_pairing(&self, text: String) {
        self.erase().await;
        self.tell(MessengerEvent::PairingFailed(text)).await;
    }

    async fn erase(&self) {
        if let Err(error) = self.shared.sessions.protocol_clear(self.device).await {
            tracing::error!(device = %self.device, %error, "the session could not be erased");
        }
    }

    async fn tell(&self, event: MessengerEvent) {
        if let Err(error) = self.telling(event).await {
            tracing::debug!(device = %self.device, %error, "an event was not taken");
        }
    }

    /// Tells the engine, unless it does not want to hear any more.
    fn telling(&self, event: MessengerEvent) -> BoxFuture<'static, StoreResult<()>> {
        if self.is_silent.load(Ordering::SeqCst) {
            return ready(Err(StoreError::Unavailable("the link is ending".into()))).boxed();
        }
        let (events, device) = (self.shared.events.get().cloned(), self.device);
        async move {
            let nobody = || StoreError::Unavailable("nobody listens for events yet".into());
            events.ok_or_else(nobody)?.event(device, event).await
        }
        .boxed()
    }

    /// Lets the acknowledgement of a stored receipt leave.
    fn settle(&self, session: &Session, answer: StoreResult<()>) {
        // Nothing comes again to a number that is being unlinked.
        let is_unlinking = self.is_unlinking.load(Ordering::SeqCst);
        session.gate.answer(answer.is_ok() || is_unlinking);
    }

    /// Gives up the connection over which something came that is not stored.
    fn give_up(&self, session: &Session) {
        tracing::warn!(device = %self.device, "what came in is not stored; it will come again");
        session.sink.note(Ending::Lost(DisconnectReason::ConnectionLost));
        self.online.set(None);
        end_connection(session.client.clone());
    }

    /// One connection, from the first attempt to its end.
    async fn connect_once(&mut self, session: &mut Session) -> Ended {
        let Some(turn) = self.turn().await else { return Ended::Stopped };
        let (client, gate) = (session.client.clone(), session.gate.clone());
        gate.begin();
        let mut running = tokio::spawn(async move { client.run().await });
        let mut is_given_up = false;
        let mut watch = Connection {
            turn,
            ready_at: None,
            deadline: self.deadline(),
            reports: Reports::default(),
            code_request: self.request_code(session),
        };
        let ended = loop {
            tokio::select! {
                biased;
                Some(answer) = watch.reports.next() => self.settle(session, answer),
                () = gate.lost(), if !is_given_up => {
                    is_given_up = true;
                    self.give_up(session);
                }
                Some(signal) = session.signals.recv(), if watch.reports.has_room() => {
                    self.hear(session, &mut watch, signal).await;
                }
                Ok(node) = &mut session.stream_error => {
                    self.hear_stream_error(session, &mut watch, &node);
                }
                _ = &mut running => break None,
                () = raised(&mut self.stopped) => break Some(Ended::Stopped),
                () = raised(&mut session.broken) => break Some(Ended::Broken),
                () = sleep_until(watch.deadline.at) => self.act_on(session, &mut watch).await,
            }
        };
        watch.stop_asking();
        if watch.held().is_some_and(|held| held >= STABLE) {
            self.redeliveries = 0;
        }
        match ended {
            Some(ended) => {
                self.online.set(None);
                session.gate.end();
                session.close().await;
                if timeout(Duration::from_secs(1), &mut running).await.is_err() {
                    running.abort();
                }
                ended
            }
            None => self.conclude(session, &mut watch).await,
        }
    }

    /// Hears what is left to hear and says how the connection ended.
    async fn conclude(&mut self, session: &mut Session, watch: &mut Connection) -> Ended {
        self.online.set(None);
        while let Ok(signal) = session.signals.try_recv() {
            self.hear(session, watch, signal).await;
            self.online.set(None);
        }
        while let Some(answer) = watch.reports.next().await {
            self.settle(session, answer);
        }
        let held = watch.held();
        let mut ending = session
            .sink
            .take_ending()
            .unwrap_or_else(|| Ending::from_progress(session.attempt.progress(), held.is_some()));
        let wants_restart = ending == Ending::Lost(DisconnectReason::RestartRequired);
        if wants_restart && matches!(self.purpose, Purpose::Pair(_)) {
            // Wanted as soon as a phone has linked the device; the library may tell of that later.
            let link = timeout(LINK_AFTER_RESTART_MAX, self.hear_of_the_link(session, watch)).await;
            ending = link.map_or(ending, |()| Ending::Paired);
        }
        Ended::By(ending, held)
    }

    async fn hear_of_the_link(&mut self, session: &mut Session, watch: &mut Connection) {
        while matches!(self.purpose, Purpose::Pair(_)) {
            let Some(signal) = session.signals.recv().await else {
                return std::future::pending().await;
            };
            self.hear(session, watch, signal).await;
        }
    }

    /// Waits for this device's turn to log in; `None` when the engine ended the link.
    async fn turn(&mut self) -> Option<Option<OwnedSemaphorePermit>> {
        if matches!(self.purpose, Purpose::Pair(_)) {
            return Some(None);
        }
        tokio::select! {
            turn = self.shared.logins.clone().acquire_owned() => Some(turn.ok()),
            () = raised(&mut self.stopped) => None,
        }
    }

    fn deadline(&self) -> Deadline {
        match self.purpose {
            Purpose::Connect => Deadline::new(LOGIN_TURN_MAX, What::EndTurn),
            Purpose::Pair(_) => Deadline::new(PAIRING_MAX, What::GiveUpPairing),
        }
    }

    fn request_code(&self, session: &Session) -> Option<JoinHandle<()>> {
        let Purpose::Pair(PairMethod::Code(phone)) = &self.purpose else { return None };
        let options =
            PairCodeOptions { phone_number: phone.as_str().to_owned(), ..Default::default() };
        let client = session.client.clone();
        Some(tokio::spawn(async move {
            // A refusal comes as an event; without a connection the run ends and tells.
            if client.wait_for_socket(PAIRING_SOCKET_MAX).await.is_ok() {
                let _ = client.pair_with_code(options).await;
            }
        }))
    }

    async fn hear(&mut self, session: &Session, watch: &mut Connection, signal: Signal) {
        match signal {
            Signal::Event(event @ MessengerEvent::Receipt(..)) => {
                watch.reports.begin(self.telling(event));
            }
            Signal::Event(event) => {
                if let MessengerEvent::Offer(domain::device::PairOffer::Code {
                    expires_in_s, ..
                }) = &event
                {
                    let longest = Duration::from_secs(*expires_in_s) + PAIRING_CODE_GRACE;
                    watch.deadline = Deadline::new(longest, What::GiveUpPairing);
                }
                self.tell(event).await;
            }
            Signal::Paired(linked) => {
                // Told only once the link would survive a crash.
                if let Err(error) = session.client.persistence_manager().flush().await {
                    tracing::error!(device = %self.device, %error, "the new link is not stored yet");
                }
                self.purpose = Purpose::Connect;
                watch.deadline = Deadline::new(LOGIN_TURN_MAX, What::EndTurn);
                self.tell(MessengerEvent::Paired(linked)).await;
            }
            Signal::Connected => self.be_ready(session, watch).await,
            Signal::Announced => be_away(session.client.clone()),
            Signal::CodeSpent => watch.ask_anew(self.request_code(session)),
            Signal::Ending(ending) => {
                self.online.set(None);
                if matches!(ending, Ending::PairingFailed(_)) {
                    end_connection(session.client.clone());
                }
            }
            Signal::Redeliver => {
                watch.deadline = Deadline::new(self.redelivery_pause(), What::Reconnect);
            }
        }
    }

    async fn be_ready(&mut self, session: &Session, watch: &mut Connection) {
        session.sink.learn_names(&session.client);
        watch.turn = None;
        watch.ready_at = Some(Instant::now());
        self.told = None;
        self.online.set(Some(session.client.clone()));
        be_away(session.client.clone());
        self.tell(MessengerEvent::Connected).await;
    }

    /// The library acts on most of them itself; for the others it waits until the server closes,
    /// which we do not.
    fn hear_stream_error(
        &self,
        session: &mut Session,
        watch: &mut Connection,
        node: &whatsapp_rust::OwnedNodeRef,
    ) {
        let code = node.get().attrs().optional_string("code").map(|code| code.to_string());
        session.rearm();
        if let Some(ending) = code.as_deref().and_then(Ending::from_stream_error) {
            session.sink.note(ending);
            self.online.set(None);
            watch.deadline = Deadline::new(Duration::from_secs(1), What::Reconnect);
        }
    }

    async fn act_on(&mut self, session: &Session, watch: &mut Connection) {
        let what = std::mem::replace(&mut watch.deadline, Deadline::none()).what;
        match what {
            What::Nothing => {}
            What::EndTurn => watch.turn = None,
            What::GiveUpPairing => {
                let text = "nobody linked the device in time".to_owned();
                session.sink.note(Ending::PairingFailed(text));
                end_connection(session.client.clone());
            }
            What::Reconnect => {
                session.sink.note(Ending::Wanted);
                self.online.set(None);
                end_connection(session.client.clone());
            }
        }
    }
}

/// Waits until a flag is up, or nobody is left to raise it.
async fn raised(flag: &mut watch::Receiver<bool>) {
    let _ = flag.wait_for(|is_up| *is_up).await;
}
