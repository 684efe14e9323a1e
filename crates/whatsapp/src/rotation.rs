//! Ends the library's rotation of QRs once a phone has scanned one and a passkey is asked for.
//!
//! The library shows one QR after the other and closes the connection behind the last one, after 160
//! seconds, unless the number is linked by then. WhatsApp waits ten minutes for a passkey. The rotation
//! can be stopped only where it runs: each task that the library starts knows a signal that ends it, and
//! the one that shows a QR leaves its signal here.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use wacore::runtime::{AbortHandle, Runtime};
use whatsapp_rust::TokioRuntime;

type Task = Pin<Box<dyn Future<Output = ()> + Send + 'static>>;

tokio::task_local! {
    /// Ends the task it is read in.
    static STOP: Arc<Notify>;
}

/// The library's runtime, whose tasks can be ended from inside.
pub(crate) struct StoppableRuntime;

/// The task that shows QRs.
#[derive(Default)]
pub(crate) struct Rotation(Mutex<Option<Arc<Notify>>>);

impl Rotation {
    /// To be called where a QR is shown.
    pub(crate) fn note(&self) {
        *self.0.lock() = STOP.try_with(Arc::clone).ok();
    }

    /// Shows no further QR, and leaves the connection open.
    pub(crate) fn stop(&self) {
        if let Some(stop) = self.0.lock().take() {
            stop.notify_one();
        }
    }
}

fn stoppable(task: Task) -> Task {
    let stop = Arc::new(Notify::new());
    Box::pin(STOP.scope(stop.clone(), async move {
        tokio::select! {
            () = task => {}
            () = stop.notified() => {}
        }
    }))
}

#[async_trait]
impl Runtime for StoppableRuntime {
    fn spawn(&self, task: Task) -> AbortHandle {
        TokioRuntime.spawn(stoppable(task))
    }

    fn spawn_detached(&self, task: Task) {
        TokioRuntime.spawn_detached(stoppable(task));
    }

    fn sleep(&self, duration: Duration) -> Task {
        TokioRuntime.sleep(duration)
    }

    fn spawn_blocking(&self, f: Box<dyn FnOnce() + Send + 'static>) -> Task {
        TokioRuntime.spawn_blocking(f)
    }

    fn yield_now(&self) -> Option<Task> {
        TokioRuntime.yield_now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rotation_that_is_stopped_does_nothing_more() {
        let (shown, is_over) = (Arc::new(Rotation::default()), Arc::new(Notify::new()));
        let (rotation, over) = (shown.clone(), is_over.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        StoppableRuntime
            .spawn(Box::pin(async move {
                rotation.note();
                let _ = sender.send(());
                tokio::time::sleep(Duration::from_secs(160)).await;
                over.notify_one();
            }))
            .detach();
        receiver.await.unwrap();
        shown.stop();
        let waited = tokio::time::timeout(Duration::from_secs(600), is_over.notified()).await;
        assert!(waited.is_err(), "the connection would have been closed");
    }
}
