//! The device itself: connecting, losing the connection, unpairing.
//!
//! Invariants:
//! - A change of state is durable before watchers are notified of it.
//! - Only a paired device connects, sends or loses its connection: events that come late, from
//!   before an unpairing, change nothing.
//! - Messages outlive a logout. Pairing another number than before withdraws them.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use domain::chat::ChatId;
use domain::client::{ClientSettings, Route};
use domain::contact::Identity;
use domain::device::{
    Device, DeviceNotice, DeviceStatus, DisconnectReason, LinkedNumber, Reconnect, StatusChange,
};
use domain::error::{Error, Result};
use domain::ids::AccountId;
use domain::message::Address;
use domain::phone::PhoneNumber;
use domain::ports::{MessengerEvent, MovedDevice};
use domain::proxy::Proxy;

use super::jobs::Done;
use super::journal::Write;
use super::{DeviceTask, Ending};
use crate::context::EngineContext;
use crate::reply::{Reply, answer};
use crate::timing::{pause, within};

/// How long unpairing may take.
pub(super) const UNPAIR_WAIT: Duration = Duration::from_secs(15);
/// How long a device may take to connect before the next one's turn comes.
const CONNECT_TURN: Duration = Duration::from_secs(15);
/// The pause after the messenger would not even begin to connect.
const CONNECT_PAUSE: Duration = Duration::from_secs(60);
/// The code of a logout, in the numbering of the field's libraries.
const LOGGED_OUT_CODE: u16 = 401;

/// The code of a connection that was closed from this side, in the same numbering.
pub(crate) const CLOSED_HERE_CODE: u16 = 428;

/// What is known of the device and its connection.
pub(super) struct Connection {
    context: Arc<EngineContext>,
    account: Option<AccountId>,
    /// The device as it was last read or written.
    device: Option<Device>,
    /// Its state as it is, durable or not yet.
    status: Option<DeviceStatus>,
    reason: Option<String>,
    /// The turn to connect, and when it ends at the latest.
    turn: Option<(OwnedSemaphorePermit, Instant)>,
    /// The number is banned until then: the messenger connects it when that is over, and this task where
    /// the messenger does not know of it.
    banned_until: Option<Timestamp>,
}

impl Connection {
    pub(super) fn new(context: Arc<EngineContext>, account: Option<AccountId>) -> Self {
        Self {
            context,
            account,
            device: None,
            status: None,
            reason: None,
            turn: None,
            banned_until: None,
        }
    }

    pub(super) fn account(&self) -> Option<AccountId> {
        self.account
    }

    /// `None` until the device was read.
    pub(super) fn status(&self) -> Option<DeviceStatus> {
        self.status
    }

    pub(super) fn is_paired(&self) -> bool {
        self.status.is_some_and(DeviceStatus::is_paired)
    }

    pub(super) fn is_connected(&self) -> bool {
        self.status == Some(DeviceStatus::Connected)
    }

    /// How the messenger connects it.
    pub(super) fn client_settings(&self) -> ClientSettings {
        let Some(device) = &self.device else { return ClientSettings::default() };
        let route = match &device.proxy {
            None => Route::Direct,
            Some(sealed) => {
                let text = self.context.cipher().open(device.proxy_row(), sealed);
                let proxy = text.and_then(|text| Proxy::parse(&text).ok());
                proxy.map_or(Route::Unreadable, Route::Proxy)
            }
        };
        ClientSettings { shown_as: device.shown_as.clone(), route }
    }

    /// Whether it has to connect anew, to be as in `device`.
    pub(super) fn is_changed_by(&self, device: &Device) -> bool {
        self.device.as_ref().is_some_and(|known| {
            known.proxy != device.proxy || known.shown_as.language != device.shown_as.language
        })
    }

    /// The number it is paired with, or was.
    pub(super) fn phone(&self) -> Option<&PhoneNumber> {
        self.device.as_ref()?.phone.as_ref()
    }

    /// Whether it rejects calls.
    pub(super) fn rejects_calls(&self) -> bool {
        self.device.as_ref().is_some_and(|device| device.incoming.rejects_calls)
    }

    /// What callers are sent whose calls are rejected, and whose device it is.
    pub(super) fn call_reply(&self) -> Option<(AccountId, String)> {
        let device = self.device.as_ref()?;
        Some((device.account_id, device.incoming.reject_text.clone()?))
    }

    /// The names of its number.
    pub(super) fn own_address(&self) -> Option<Address> {
        self.device.as_ref().map(|device| device.address())
    }

    /// Until when it may write to no strangers, as last written.
    pub(super) fn restricted_until(&self) -> Option<Timestamp> {
        self.device.as_ref()?.restricted_until
    }

    /// The state of a device that is not paired: never, or not any more.
    pub(super) fn unpaired_status(&self) -> DeviceStatus {
        match self.device.as_ref().and_then(|device| device.paired_at) {
            Some(_) => DeviceStatus::LoggedOut,
            None => DeviceStatus::Unpaired,
        }
    }

    /// Until when the number is banned, while that lasts.
    pub(super) fn banned_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.banned_until.filter(|until| *until > now)
    }

    /// When its last ban ends.
    pub(super) fn ban_ends(&self) -> Option<Timestamp> {
        self.banned_until
    }

    /// The device as it is in the store.
    pub(super) fn set_device(&mut self, device: Device) {
        self.banned_until = self.banned_until.or(device.banned_until);
        if self.account.replace(device.account_id).is_none() {
            tracing::Span::current().record("account", device.account_id.0);
        }
        self.device = Some(device);
    }

    pub(super) fn set_status(&mut self, status: DeviceStatus, reason: Option<String>) {
        self.context.stats().device_moves(self.status, Some(status));
        self.status = Some(status);
        self.reason = reason;
    }

    /// Back to what it was before pairing, for the same reason as then.
    pub(super) fn pairing_not_begun(&mut self) {
        let (status, reason) = (self.unpaired_status(), self.reason.take());
        self.set_status(status, reason);
    }

    pub(super) fn next_change(
        &self,
        status: DeviceStatus,
        reason: Option<String>,
        linked: Option<LinkedNumber>,
    ) -> StatusChange {
        let code = (status == DeviceStatus::LoggedOut).then_some(LOGGED_OUT_CODE);
        StatusChange { reason, code, linked, ..StatusChange::new(status, self.context.now()) }
    }

    fn says(&self, change: &StatusChange) -> bool {
        (self.status, &self.reason) == (Some(change.status), &change.reason)
    }

    pub(super) fn end_turn(&mut self) {
        self.turn = None;
    }

    pub(super) fn end_overdue_turn(&mut self, now: Instant) {
        self.turn.take_if(|(_, until)| *until <= now);
    }

    pub(super) fn turn_ends(&self) -> Option<Instant> {
        self.turn.as_ref().map(|(_, until)| *until)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.context.stats().device_moves(self.status.take(), None);
    }
}

impl DeviceTask {
    /// The messenger reports something.
    pub(super) fn event(&mut self, event: MessengerEvent) {
        match event {
            MessengerEvent::Offer(offer) => self.offered(offer),
            MessengerEvent::PairingFailed(reason) => self.pairing_failed(&reason),
            MessengerEvent::Paired(linked) => self.paired(linked),
            MessengerEvent::Connected => self.connected(),
            MessengerEvent::Disconnected(reason) => self.disconnected(reason),
            MessengerEvent::LoggedOut(reason) => self.logged_out(reason),
            MessengerEvent::Acknowledged(id) => self.acknowledged(&id),
            MessengerEvent::Refused(id, code) => self.refused(&id, code),
            MessengerEvent::Restricted(until) => self.restricted(until),
            MessengerEvent::Call(call) => self.called(call),
            MessengerEvent::GroupChanged(report) => self.group_changed(report),
            // It comes as an input of its own.
            MessengerEvent::Receipt(..)
            | MessengerEvent::Undecryptable
            | MessengerEvent::Recovered(_) => {}
        }
    }

    /// Numbers and LIDs are one person's each.
    pub(super) fn identified(&mut self, identities: &[Identity]) {
        let now = self.now();
        for identity in identities {
            let by_lid = ChatId::Lid(identity.lid.clone());
            self.outbox.queue_mut().identify(&by_lid, &identity.chat(), now);
        }
    }

    /// The task has just begun: the device goes on where it was.
    pub(super) fn resume(&mut self) {
        match self.connection.status() {
            Some(DeviceStatus::Pairing) => self.read_link(),
            Some(status)
                if status.is_paired() && self.connection.banned_at(self.now()).is_some() =>
            {
                self.wait_for_ban();
            }
            Some(status) if status.is_paired() => {
                if status != DeviceStatus::Connecting {
                    self.change(DeviceStatus::Connecting, None, None);
                }
                self.ask_to_connect(Duration::ZERO);
            }
            _ => {}
        }
    }

    /// Waits for a turn to connect, after a pause.
    pub(super) fn ask_to_connect(&self, after: Duration) {
        let turns = self.context.connect_turns().clone();
        self.begin(async move {
            if !after.is_zero() {
                pause(after).await;
            }
            turns.acquire_owned().await.map_or(Done::Nothing, Done::ConnectTurn)
        });
    }

    /// It is this device's turn to connect, if it still wants to.
    pub(super) fn connect(&mut self, turn: OwnedSemaphorePermit) {
        let is_requested = self.requests.take();
        if self.connection.status() != Some(DeviceStatus::Connecting) || self.ending.is_some() {
            return;
        }
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        messenger.configure(device, self.connection.client_settings());
        self.begin(async move {
            Done::ConnectAsked(match is_requested {
                true => messenger.connect_now(device).await,
                false => messenger.connect(device).await,
            })
        });
        self.connection.turn = Some((turn, Instant::now() + CONNECT_TURN));
    }

    /// The messenger was asked to connect.
    pub(super) fn connect_asked(&mut self, result: Result<()>) {
        if let Err(error) = result {
            tracing::warn!(%error, "cannot begin to connect; trying again later");
            self.connection.end_turn();
            self.ask_to_connect(CONNECT_PAUSE);
        }
    }

    fn connected(&mut self) {
        if !self.connection.is_paired() {
            tracing::debug!("connected though not paired; ignored");
            return;
        }
        self.connection.end_turn();
        self.connection.banned_until = None;
        self.restriction.begin_connection();
        let now = self.now();
        self.outbox.queue_mut().connected(now);
        if !self.connection.is_connected() {
            self.change(DeviceStatus::Connected, None, None);
        }
        if !self.outbox.is_configured() {
            self.configure(false, Vec::new());
        }
        self.hasten_files();
    }

    /// Nothing can be sent; what was submitted and not acknowledged goes first when it can again.
    pub(super) fn stop_sending(&mut self) {
        let now = self.now();
        self.outbox.queue_mut().disconnected(now);
        self.connection.end_turn();
    }

    fn disconnected(&mut self, reason: DisconnectReason) {
        let now = self.now();
        self.outbox.queue_mut().disconnected(now);
        if !self.connection.is_paired() {
            return;
        }
        self.connection.end_turn();
        let status = match reason {
            DisconnectReason::RestartRequired => DeviceStatus::Connecting,
            _ => DeviceStatus::Disconnected,
        };
        let change = StatusChange {
            reason: Some(reason.describe_at(now)),
            code: Some(reason.code()),
            should_reconnect: reason.reconnect() != Reconnect::Never,
            banned_until: reason.banned_until(now),
            ..StatusChange::new(status, now)
        };
        self.connection.banned_until = change.banned_until;
        if !self.connection.says(&change) {
            self.record_change(change);
        }
    }

    fn logged_out(&mut self, reason: String) {
        if self.pairing.is_running() {
            self.fail_pairing(&reason);
            return;
        }
        self.stop_sending();
        if self.connection.is_paired() {
            self.change(DeviceStatus::LoggedOut, Some(reason), None);
        }
    }

    /// Connects the device again, because other settings hold for its connection.
    pub(super) fn connect_anew(&mut self) {
        if !self.connection.is_paired() || self.ending.is_some() {
            return;
        }
        self.stop_sending();
        if self.connection.banned_at(self.now()).is_some() {
            return self.end_attempts();
        }
        self.record_change(StatusChange {
            reason: Some("connecting with changed settings".into()),
            code: Some(CLOSED_HERE_CODE),
            should_reconnect: true,
            ..StatusChange::new(DeviceStatus::Connecting, self.now())
        });
        // What a pause was for may not hold with other settings.
        self.requests.open();
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        let turns = self.context.connect_turns().clone();
        self.begin(async move {
            messenger.disconnect(device).await;
            turns.acquire_owned().await.map_or(Done::Nothing, Done::ConnectTurn)
        });
    }

    /// Unpairs the device.
    pub(super) fn logout(&mut self, reply: Reply<()>) {
        self.fail_pairing("linking was stopped by request");
        self.stop_sending();
        let (messenger, device) = (self.context.messenger().clone(), self.id);
        self.begin(async move {
            let result = within(UNPAIR_WAIT, messenger.logout(device)).await;
            let late = || Err(Error::Whatsapp("unlinking took too long".into()));
            Done::Unpaired(result.unwrap_or_else(late), reply)
        });
    }

    /// The device was unpaired, or was not.
    pub(super) fn unpaired(&mut self, result: Result<()>, reply: Reply<()>) {
        if let Err(error) = result {
            if self.connection.is_connected() {
                let now = self.now();
                self.outbox.queue_mut().connected(now);
            }
            answer(reply, Err(error));
            return;
        }
        if self.connection.is_paired() {
            self.change(DeviceStatus::LoggedOut, Some("logged out by request".into()), None);
        }
        self.records.push(Write::Barrier(reply));
    }

    /// The store has no such device any more.
    pub(super) fn gone(&mut self) {
        self.pairing.end(|| Err(Error::NotFound("device")));
        self.ending = Some(Ending::Removed);
        self.pair_as_asked();
    }

    /// A change of state is durable.
    pub(super) fn status_written(
        &mut self,
        change: StatusChange,
        moved: Option<&MovedDevice>,
        is_pairing: bool,
    ) {
        let Some(MovedDevice { device, events }) = moved else {
            self.gone();
            return;
        };
        self.context.emit(events);
        self.connection.set_device(device.clone());
        self.context.device_watchers().notify(self.id, DeviceNotice::Status(change));
        if is_pairing {
            self.start_pairing(false);
        }
    }

    /// The device changes its state; written down, then shown.
    pub(super) fn change(
        &mut self,
        status: DeviceStatus,
        reason: Option<String>,
        linked: Option<LinkedNumber>,
    ) {
        let change = self.connection.next_change(status, reason, linked);
        self.record_change(change);
    }

    fn record_change(&mut self, change: StatusChange) {
        let (status, reason) = (change.status, change.reason.clone());
        tracing::info!(status = status.as_str(), reason, "device state changed");
        self.connection.set_status(status, reason);
        self.records.push(Write::Status(change));
    }
}
