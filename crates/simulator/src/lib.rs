//! A simulated WhatsApp: a server that speaks WhatsApp's own multi-device protocol to real
//! clients, with virtual phones behind every number, and a control API to operate them.
//!
//! The map:
//!
//! - `wire`: bytes. Frames, Noise, certificates, sockets.
//! - `switchboard`: the one thread that owns the database and all state; jobs, group commit.
//! - `stanza`: what each stanza of a client means.
//! - `phone`: the virtual phones: Signal, inbox, receipts, sending, pairing.
//! - `control`: the HTTP API over all that, described in README.md; `page`: the phones' web pages.
//!
//! Invariants: nothing is acknowledged before it is durable; sockets are the only state that a
//! restart loses; no stanza of a client ends the process.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests may"))]

mod address;
mod clock;
mod control;
mod db;
mod error;
mod keys;
mod limits;
mod media;
mod page;
mod phone;
mod socket;
mod stanza;
mod switchboard;
#[cfg(test)]
mod tests;
mod wire;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{broadcast, oneshot};

pub use error::SimulatorError;

use control::origin::AllowedHosts;
use error::Result;
use keys::Seed;
use limits::PAGE_EVENTS_MAX;
use media::MediaStore;
use switchboard::{PhoneChanged, SwitchboardHandle, SwitchboardStart};
use wire::certificates::ServerIdentity;

/// The settings of a simulator.
#[derive(Clone, Debug)]
pub struct SimulatorConfig {
    /// The directory of `simulator.sqlite` and the media. Created when missing.
    pub data_dir: PathBuf,
    /// The time between delivery and read receipt.
    pub read_delay: Duration,
    /// Names under which it may be reached, besides addresses and `localhost`.
    pub hosts: Vec<String>,
}

impl SimulatorConfig {
    /// The defaults, with data in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let read_delay = Duration::from_millis(800);
        SimulatorConfig { data_dir: data_dir.into(), read_delay, hosts: Vec::new() }
    }
}

/// A running simulator; clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    switchboard: SwitchboardHandle,
    server: Arc<ServerIdentity>,
    reader: Mutex<Connection>,
    media: MediaStore,
    hosts: AllowedHosts,
    /// Held while a phone checks its files, so that no file is checked twice.
    checking: tokio::sync::Mutex<()>,
    changed: broadcast::Sender<PhoneChanged>,
    ended: Mutex<Option<oneshot::Receiver<()>>>,
}

impl Simulator {
    /// Opens the simulator's data and starts it. Phones send the receipts they still owe.
    ///
    /// # Errors
    ///
    /// When the files in the data directory cannot be opened.
    pub async fn open(config: SimulatorConfig) -> Result<Simulator, SimulatorError> {
        std::fs::create_dir_all(&config.data_dir)?;
        let file = config.data_dir.join("simulator.sqlite");
        let db = db::open(&file)?;
        let seed = db::seed(&db)?;
        let reader = db::open_reader(&file)?;
        let server = Arc::new(ServerIdentity::new(&Seed::new(seed))?);
        let media = MediaStore::open(config.data_dir.join("media"))?;
        let (changed, _) = broadcast::channel(PAGE_EVENTS_MAX);
        let (switchboard, ended) = SwitchboardHandle::start(SwitchboardStart {
            db,
            seed: Seed::new(seed),
            media: media.clone(),
            read_delay: config.read_delay,
            changed: changed.clone(),
        })?;
        switchboard
            .run(|sb| {
                sb.load_companions()?;
                sb.load_recycled()?;
                sb.resume_receipts()
            })
            .await?;
        Ok(Simulator {
            inner: Arc::new(Inner {
                switchboard,
                server,
                reader: Mutex::new(reader),
                media,
                hosts: config.hosts.into(),
                checking: tokio::sync::Mutex::new(()),
                changed,
                ended: Mutex::new(Some(ended)),
            }),
        })
    }

    /// The control API, the phones' pages, `/ws/chat` and the media: all paths relative, for
    /// the root or for nesting. When nested, also mount [`Simulator::media_router`] at the root.
    pub fn router(&self) -> Router {
        control::router(self.clone())
    }

    /// Only `/mms/…` and `/product/…`: clients call media at the root of the host.
    pub fn media_router(&self) -> Router {
        control::media_router(self.clone())
    }

    /// Fixes the host (`HOST:PORT`, or an address with a scheme) in media addresses. Without
    /// it each client gets the host that it connected to.
    pub async fn set_base_url(&self, base: &str) -> Result<(), SimulatorError> {
        let host = base.split_once("://").map_or(base, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default().to_owned();
        let set = self.inner.switchboard.run(move |sb| {
            sb.base_host = Some(host);
            Ok(())
        });
        set.await
    }

    /// The public key that a client must trust to accept the simulator's certificates.
    pub fn root_public_key(&self) -> [u8; 32] {
        self.inner.server.root_public
    }

    /// Ends all connections and the switchboard, with everything on disk.
    pub async fn shutdown(&self) {
        let ended = self.inner.ended.lock().take();
        let stop = self.inner.switchboard.run(|sb| {
            sb.stop();
            Ok(())
        });
        let _ = stop.await;
        if let Some(ended) = ended {
            let _ = ended.await;
        }
    }

    pub(crate) fn switchboard(&self) -> &SwitchboardHandle {
        &self.inner.switchboard
    }

    pub(crate) fn server_identity(&self) -> Arc<ServerIdentity> {
        self.inner.server.clone()
    }

    pub(crate) fn allowed_hosts(&self) -> AllowedHosts {
        self.inner.hosts.clone()
    }

    pub(crate) fn media(&self) -> &MediaStore {
        &self.inner.media
    }

    pub(crate) async fn check_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.inner.checking.lock().await
    }

    pub(crate) fn changes(&self) -> broadcast::Receiver<PhoneChanged> {
        self.inner.changed.subscribe()
    }

    pub(crate) async fn base_host(&self) -> Result<Option<String>> {
        self.inner.switchboard.run(|sb| Ok(sb.base_host.clone())).await
    }

    /// Reads committed state without disturbing the switchboard.
    pub(crate) async fn read<R: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<R> + Send + 'static,
    ) -> Result<R> {
        let inner = self.inner.clone();
        let read = tokio::task::spawn_blocking(move || {
            let reader = inner.reader.lock();
            query(&reader)
        });
        read.await.map_err(|error| SimulatorError::Internal(error.to_string()))?
    }
}
