//! Figures for `/metrics`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use tokio::sync::watch;

use domain::content::ContentKind;
use domain::device::DeviceStatus;
use domain::message::MessageEvent;
use domain::ports::{MessengerEvent, Recorded};

/// What the engine counts since it started. Reading is cheap and never exact to the instant.
#[derive(Debug, Default)]
pub struct EngineStats {
    /// Gauge: messages in the queues of this process, unacknowledged ones included.
    pub queued: AtomicI64,
    /// Gauge: messages submitted to WhatsApp whose outcome is not durable yet.
    pub sending: AtomicI64,
    /// Counter: messages that WhatsApp acknowledged.
    pub sent: AtomicU64,
    /// Counter: messages that failed for good.
    pub failed: AtomicU64,
    /// Counter: messages that expired.
    pub expired: AtomicU64,
    /// Counter: messages withdrawn before they were sent.
    pub cancelled: AtomicU64,
    /// Counter: attempts that failed and are repeated.
    pub attempts_failed: AtomicU64,
    /// Counter: files prepared to be sent.
    pub media_prepared: AtomicU64,
    /// Counter: files that could not be fetched, or cannot be sent.
    pub media_failed: AtomicU64,
    /// Counter: events that webhooks acknowledged.
    pub webhooks_delivered: AtomicU64,
    /// Counter: posts to webhooks that failed and are repeated.
    pub webhooks_failed: AtomicU64,
    /// Counter: events that became dead letters.
    pub webhooks_dead: AtomicU64,
    /// Gauge: events that wait for webhooks, as far as they have been read.
    pub webhooks_waiting: AtomicI64,
    /// Counter: incoming messages made durable.
    pub received: AtomicU64,
    /// Counter: incoming messages that could not be decrypted when they came.
    pub undecryptable: AtomicU64,
    /// Counter: of those, the ones that came after all.
    pub recovered: AtomicU64,
    /// Counter: of those, the ones stored as unreadable.
    pub unreadable: AtomicU64,
    /// Counter: calls of the store that failed and were, or will be, repeated.
    pub store_errors: AtomicU64,
    /// Gauge: devices that this node owns.
    pub owned_devices: AtomicI64,
    /// Counter: renewals of this node's registration.
    pub renewals: AtomicU64,
    /// Counter: devices taken over, those of a start included.
    pub takeovers: AtomicU64,
    released: watch::Sender<u64>,
    /// Counter: devices lost to other nodes, or closed because the database did not answer in time.
    pub devices_lost: AtomicU64,
    devices: [AtomicI64; STATUSES.len()],
}

const STATUSES: [DeviceStatus; 6] = [
    DeviceStatus::Unpaired,
    DeviceStatus::Pairing,
    DeviceStatus::Connecting,
    DeviceStatus::Connected,
    DeviceStatus::Disconnected,
    DeviceStatus::LoggedOut,
];

impl EngineStats {
    /// Gauge: devices in each state, of those this process drives. A device that is not paired and
    /// has nothing waiting is not driven.
    pub fn devices(&self) -> [(DeviceStatus, i64); 6] {
        STATUSES.map(|status| (status, self.gauge(status).load(Ordering::Relaxed)))
    }

    /// Counter: devices released to other nodes.
    pub fn released(&self) -> watch::Receiver<u64> {
        self.released.subscribe()
    }

    pub(crate) fn add_released(&self, count: u64) {
        self.released.send_modify(|released| *released += count);
    }

    fn gauge(&self, status: DeviceStatus) -> &AtomicI64 {
        let at = STATUSES.iter().position(|s| *s == status).unwrap_or_default();
        &self.devices[at]
    }

    pub(crate) fn device_moves(&self, from: Option<DeviceStatus>, to: Option<DeviceStatus>) {
        if let Some(from) = from {
            self.gauge(from).fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(to) = to {
            self.gauge(to).fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts an event that is there to be counted; whether it was one.
    pub(crate) fn reception_event(&self, event: &MessengerEvent) -> bool {
        match event {
            MessengerEvent::Undecryptable => self.undecryptable.fetch_add(1, Ordering::Relaxed),
            MessengerEvent::Recovered(count) => self.recovered.fetch_add(*count, Ordering::Relaxed),
            _ => return false,
        };
        true
    }

    /// Counts messages that have come in, each once: what others change of them, and unreadable ones that
    /// come after all, are no more messages.
    pub(crate) fn add_received(&self, stored: &[Recorded]) {
        let (mut received, mut unreadable) = (0, 0);
        for new in stored.iter().filter(|one| one.is_new) {
            received += 1;
            unreadable += u64::from(new.message.kind() == ContentKind::Unreadable);
        }
        self.received.fetch_add(received, Ordering::Relaxed);
        self.unreadable.fetch_add(unreadable, Ordering::Relaxed);
    }

    pub(crate) fn message_event(&self, event: MessageEvent) {
        let counter = match event {
            MessageEvent::Acknowledged => &self.sent,
            MessageEvent::Failed => &self.failed,
            MessageEvent::Expired => &self.expired,
            MessageEvent::Withdrawn => &self.cancelled,
            MessageEvent::AttemptFailed => &self.attempts_failed,
            MessageEvent::Due
            | MessageEvent::Submitted
            | MessageEvent::Delivered
            | MessageEvent::Read
            | MessageEvent::Played => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
