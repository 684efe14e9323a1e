//! What every task of the engine uses: the ports, what all devices share, and who watches.

use std::sync::{Arc, OnceLock, Weak};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Semaphore, watch};

use domain::device::DeviceNotice;
use domain::ids::{AccountId, DeviceId};
use domain::leases::Leases;
use domain::node::NewNode;
use domain::policy::pacing::Pacing;
use domain::ports::{
    BlobStore, CallReplies, EventFormats, MediaCodec, MessageArchive, Messenger, Outbound,
    Recorded, SecretCipher, Store,
};
use domain::webhook::Event;

use crate::device::files::FileLimits;
use crate::engine::EngineParts;
use crate::group_facts::GroupFacts;
use crate::incoming_files::IncomingFiles;
use crate::sending_set::SendingSet;
use crate::stats::EngineStats;
use crate::watchers::Watchers;
use crate::webhooks::Webhooks;
use crate::{EngineConfig, IncomingFileLimits};

/// Most devices that are on their way to WhatsApp at the same time after a start.
const CONNECTS_MAX: usize = 48;

/// What the engine's tasks share. It knows none of them: that is the registry's.
pub(crate) struct EngineContext {
    config: EngineConfig,
    ports: EngineParts,
    stats: EngineStats,
    sending: SendingSet,
    device_watchers: Watchers<DeviceId, DeviceNotice>,
    account_watchers: Watchers<AccountId, Event>,
    webhooks: Webhooks,
    connect_turns: Arc<Semaphore>,
    files: FileLimits,
    incoming_files: IncomingFiles,
    group_facts: GroupFacts,
    call_replies: OnceLock<Weak<dyn CallReplies>>,
    stop: watch::Sender<bool>,
}

impl EngineContext {
    pub(crate) fn new(config: EngineConfig, ports: EngineParts) -> Arc<Self> {
        Arc::new(Self {
            config,
            ports,
            stats: EngineStats::default(),
            sending: SendingSet::default(),
            device_watchers: Watchers::default(),
            account_watchers: Watchers::default(),
            webhooks: Webhooks::default(),
            connect_turns: Arc::new(Semaphore::new(CONNECTS_MAX)),
            files: FileLimits::default(),
            incoming_files: IncomingFiles::default(),
            group_facts: GroupFacts::default(),
            call_replies: OnceLock::new(),
            stop: watch::Sender::new(false),
        })
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.ports.store
    }

    /// What this process owns.
    pub(crate) fn leases(&self) -> Arc<Leases> {
        self.ports.store.leases()
    }

    /// This process among those that share the database.
    pub(crate) fn node(&self) -> Option<&NewNode> {
        self.config.node.as_ref()
    }

    pub(crate) fn messenger(&self) -> &Arc<dyn Messenger> {
        &self.ports.messenger
    }

    pub(crate) fn outbound(&self) -> &dyn Outbound {
        self.ports.outbound.as_ref()
    }

    pub(crate) fn codec(&self) -> &dyn MediaCodec {
        self.ports.codec.as_ref()
    }

    pub(crate) fn blobs(&self) -> &dyn BlobStore {
        self.ports.blobs.as_ref()
    }

    pub(crate) fn archive(&self) -> Option<&Arc<dyn MessageArchive>> {
        self.ports.archive.as_ref()
    }

    /// How long messages are kept.
    pub(crate) fn messages_kept(&self) -> SignedDuration {
        self.config.messages_kept
    }

    pub(crate) fn incoming_files(&self) -> &IncomingFiles {
        &self.incoming_files
    }

    /// What is asked of groups for their chats.
    pub(crate) fn group_facts(&self) -> &GroupFacts {
        &self.group_facts
    }

    /// What accepts the answers to rejected calls, once that is set.
    pub(crate) fn call_replies(&self) -> Option<Arc<dyn CallReplies>> {
        self.call_replies.get().and_then(Weak::upgrade)
    }

    pub(crate) fn set_call_replies(&self, replies: Weak<dyn CallReplies>) {
        if self.call_replies.set(replies).is_err() {
            tracing::error!("what answers calls is set already");
        }
    }

    /// How long, and how many bytes of an account, files that came in are kept.
    pub(crate) fn file_limits(&self) -> &IncomingFileLimits {
        &self.config.incoming_files
    }

    pub(crate) fn cipher(&self) -> &dyn SecretCipher {
        self.ports.sealer.as_ref()
    }

    pub(crate) fn formats(&self) -> &dyn EventFormats {
        self.ports.formats.as_ref()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ports.clock.now()
    }

    pub(crate) fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.ports.entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// The pacing of devices that have none of their own.
    pub(crate) fn default_pacing(&self) -> &Pacing {
        &self.config.default_pacing
    }

    pub(crate) fn stats(&self) -> &EngineStats {
        &self.stats
    }

    /// Which messages are with WhatsApp now.
    pub(crate) fn sending(&self) -> &SendingSet {
        &self.sending
    }

    pub(crate) fn device_watchers(&self) -> &Watchers<DeviceId, DeviceNotice> {
        &self.device_watchers
    }

    pub(crate) fn account_watchers(&self) -> &Watchers<AccountId, Event> {
        &self.account_watchers
    }

    pub(crate) fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }

    /// Bounds how many devices connect at the same time.
    pub(crate) fn connect_turns(&self) -> &Arc<Semaphore> {
        &self.connect_turns
    }

    pub(crate) fn files(&self) -> &FileLimits {
        &self.files
    }

    /// Becomes true when the gateway stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    pub(crate) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Emits events that are durable: to live listeners and, through their rows, to webhooks.
    pub(crate) fn emit(&self, events: &[Event]) {
        for event in events {
            self.webhooks.nudge(event.account_id);
            self.account_watchers.notify(event.account_id, event.clone());
        }
    }

    /// As [`EngineContext::emit`], for messages.
    pub(crate) fn emit_recorded(&self, recorded: &[Recorded]) {
        for recorded in recorded {
            self.emit(&recorded.events);
        }
    }
}
