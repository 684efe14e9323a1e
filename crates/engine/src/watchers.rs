//! Live listeners of a device, or of an account.

use std::collections::HashMap;
use std::hash::Hash;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Notices kept for a watcher that is slow; it misses older ones.
pub(crate) const NOTICES_KEPT_MAX: usize = 32;

/// Channels to watchers, made for the first of them.
#[derive(Debug)]
pub(crate) struct Watchers<K, T>(Mutex<HashMap<K, broadcast::Sender<T>>>);

impl<K, T> Default for Watchers<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, T: Clone + Send + 'static> Watchers<K, T> {
    pub(crate) fn watch(&self, key: K) -> BoxStream<'static, T> {
        let receiver = self
            .lock()
            .entry(key)
            .or_insert_with(|| broadcast::channel(NOTICES_KEPT_MAX).0)
            .subscribe();
        stream::unfold(receiver, |mut receiver| async move {
            loop {
                match receiver.recv().await {
                    Ok(notice) => return Some((notice, receiver)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    pub(crate) fn notify(&self, key: K, notice: T) {
        let mut channels = self.lock();
        // An error means that no watcher is left.
        if channels.get(&key).is_some_and(|channel| channel.send(notice).is_err()) {
            channels.remove(&key);
        }
    }

    /// Ends the streams of one.
    pub(crate) fn close(&self, key: K) {
        self.lock().remove(&key);
    }

    /// Ends all streams.
    pub(crate) fn close_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, broadcast::Sender<T>>> {
        self.0.lock()
    }
}
