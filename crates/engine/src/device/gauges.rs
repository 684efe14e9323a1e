//! What a task shows of itself in the engine's figures. Each part corrects them when it is dropped,
//! also by a crash.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use domain::ids::MessageId;

use crate::context::EngineContext;

/// The task's messages that are shown as being sent.
pub(super) struct SendingMarks {
    context: Arc<EngineContext>,
    ids: HashSet<MessageId>,
}

impl SendingMarks {
    pub(super) fn new(context: Arc<EngineContext>) -> Self {
        Self { context, ids: HashSet::new() }
    }

    pub(super) fn show(&mut self, id: MessageId) {
        if self.ids.insert(id) && self.context.sending().insert(id) {
            self.context.stats().sending.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn hide(&mut self, id: MessageId) {
        if self.ids.remove(&id) {
            self.unmark(id);
        }
    }

    fn unmark(&self, id: MessageId) {
        if self.context.sending().remove(id) {
            self.context.stats().sending.fetch_sub(1, Relaxed);
        }
    }
}

impl Drop for SendingMarks {
    fn drop(&mut self) {
        for id in std::mem::take(&mut self.ids) {
            self.unmark(id);
        }
    }
}

/// The task's part of the messages that wait.
pub(super) struct QueueGauge {
    context: Arc<EngineContext>,
    counted: i64,
}

impl QueueGauge {
    pub(super) fn new(context: Arc<EngineContext>) -> Self {
        Self { context, counted: 0 }
    }

    pub(super) fn set(&mut self, waiting: usize) {
        let waiting = i64::try_from(waiting).unwrap_or(i64::MAX);
        let change = waiting - std::mem::replace(&mut self.counted, waiting);
        if change != 0 {
            self.context.stats().queued.fetch_add(change, Relaxed);
        }
    }
}

impl Drop for QueueGauge {
    fn drop(&mut self) {
        self.set(0);
    }
}
