//! Runs the task of a device to its end, and replaces one that has crashed.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::watch;

use domain::ids::DeviceId;

use crate::context::EngineContext;
use crate::device::{CLOSE_WAIT, DeviceTask, Exit, Stop};
use crate::registry::Registry;
use crate::timing::{pause, within};

/// The pause after a task has crashed.
pub(crate) const CRASH_PAUSE: Duration = Duration::from_secs(10);

/// Runs a task until it may go. The registry is not kept alive by its tasks: when it is gone, they
/// end.
pub(crate) async fn supervise(
    registry: Weak<Registry>,
    context: Arc<EngineContext>,
    mut task: DeviceTask,
    stop: watch::Receiver<Stop>,
) {
    let id = task.id();
    loop {
        // As after a crash of the whole process: nothing of the task is used any more.
        let Ok(exit) = AssertUnwindSafe(task.run()).catch_unwind().await else {
            drop(task);
            tracing::error!("the task of a device has crashed; it starts again");
            return restart(&registry, &context, id, stop).await;
        };
        let has_ended = match (exit, registry.upgrade()) {
            (Exit::Idle, Some(registry)) => registry.retire(&task),
            _ => true,
        };
        if has_ended {
            task.close(exit).await;
            if let (Exit::Removed, Some(registry)) = (exit, registry.upgrade()) {
                registry.forget(id);
            }
            return;
        }
    }
}

async fn restart(
    registry: &Weak<Registry>,
    context: &EngineContext,
    id: DeviceId,
    mut stop: watch::Receiver<Stop>,
) {
    let restart = async {
        loop {
            pause(CRASH_PAUSE).await;
            // What it has reported meanwhile is lost: the next connection begins from the start.
            within(CLOSE_WAIT, context.messenger().disconnect(id)).await;
            let Some(registry) = registry.upgrade() else { return };
            match registry.restart(id).await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "cannot start the task again yet"),
            }
        }
    };
    tokio::select! {
        () = restart => {}
        _ = stop.wait_for(|stop| *stop != Stop::No) => {}
    }
}
