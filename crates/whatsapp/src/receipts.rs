//! Receipts are stored before they are acknowledged.
//!
//! The library acknowledges a receipt as soon as it has emitted the event, and does not wait for us.
//! So the connection waits: nothing leaves it before every receipt that came in earlier is stored.
//! When one could not be stored, the connection sends nothing more; WhatsApp sends the receipt again
//! over the next connection.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use domain::ports::StoreResult;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::watch;

use crate::limits::{RECEIPTS_MAX, RECEIPTS_WAITING_MAX};

/// Delays or fails what a connection is about to send.
#[derive(Debug)]
pub(crate) struct SendBarrier {
    received: AtomicU64,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// How many receipts the engine has stored or failed to store.
    answered: u64,
    mode: BarrierMode,
}

/// What happens to what is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BarrierMode {
    /// It waits for the receipts received before it.
    Waits,
    /// It fails where it would have to wait: receipts are no longer stored.
    FailsFast,
    /// It fails: a receipt could not be stored.
    Fails,
}

impl SendBarrier {
    pub(crate) fn new() -> Self {
        let state = State { answered: 0, mode: BarrierMode::Waits };
        Self { received: AtomicU64::new(0), state: watch::Sender::new(state) }
    }

    /// A new connection begins: what an earlier one lost comes again.
    pub(crate) fn begin(&self) {
        self.state.send_modify(|state| state.mode = BarrierMode::Waits);
    }

    /// Counts a receipt that has come in. Must be called before the library can acknowledge it.
    pub(crate) fn receive(&self) {
        self.received.fetch_add(1, Ordering::SeqCst);
    }

    /// Reports whether the oldest receipt without an answer is stored.
    pub(crate) fn answer(&self, is_stored: bool) {
        self.state.send_modify(|state| {
            state.answered += 1;
            if !is_stored {
                state.mode = BarrierMode::Fails;
            }
        });
    }

    /// Fails the connection: something else was lost that WhatsApp sends again.
    pub(crate) fn fail(&self) {
        self.state.send_modify(|state| state.mode = BarrierMode::Fails);
    }

    /// Waits until something is lost, after which this connection must be replaced.
    pub(crate) async fn lost(&self) {
        let _ = self.state.subscribe().wait_for(|state| state.mode == BarrierMode::Fails).await;
    }

    /// Waits until fewer than [`RECEIPTS_WAITING_MAX`] receipts are without an answer.
    pub(crate) async fn room(&self) {
        let has_room = |state: &State| {
            let received = self.received.load(Ordering::SeqCst);
            let waiting = received.saturating_sub(state.answered);
            state.mode != BarrierMode::Waits || waiting < RECEIPTS_WAITING_MAX
        };
        let _ = self.state.subscribe().wait_for(has_room).await;
    }

    /// Ends the waiting: no receipt is answered after this.
    pub(crate) fn end(&self) {
        self.state.send_if_modified(|state| {
            let is_waiting = state.mode == BarrierMode::Waits;
            if is_waiting {
                state.mode = BarrierMode::FailsFast;
            }
            is_waiting
        });
    }

    /// Waits until everything that was received before is stored.
    ///
    /// # Errors
    /// When a receipt could not be stored, or will not be.
    pub(crate) async fn pass(&self) -> anyhow::Result<()> {
        let received = self.received.load(Ordering::SeqCst);
        let is_decided =
            |state: &State| state.mode != BarrierMode::Waits || state.answered >= received;
        let state = *self.state.subscribe().wait_for(is_decided).await?;
        match state.mode {
            BarrierMode::Waits => Ok(()),
            BarrierMode::FailsFast if state.answered >= received => Ok(()),
            BarrierMode::FailsFast | BarrierMode::Fails => bail!("a receipt is not stored"),
        }
    }
}

/// Receipts reported to the engine that it has not answered yet, in order.
#[derive(Default)]
pub(crate) struct Reports(FuturesOrdered<BoxFuture<'static, StoreResult<()>>>);

impl Reports {
    /// Starts a report without waiting for its answer, so that many receipts share one commit.
    /// Its first poll is here, so that what follows is still reported in order.
    pub(crate) fn begin(&mut self, mut report: BoxFuture<'static, StoreResult<()>>) {
        let begun = (&mut report).now_or_never();
        self.0.push_back(begun.map_or(report, |answer| ready(answer).boxed()));
    }

    /// Whether another one may be reported.
    pub(crate) fn has_room(&self) -> bool {
        self.0.len() < RECEIPTS_MAX
    }

    /// The next answer; `None` when none is due.
    pub(crate) async fn next(&mut self) -> Option<StoreResult<()>> {
        self.0.next().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::error::StoreError;
    use tokio::sync::oneshot;

    /// Whether something sent now goes out; `None` while it waits.
    fn outcome(barrier: &SendBarrier) -> Option<bool> {
        barrier.pass().now_or_never().map(|outcome| outcome.is_ok())
    }

    #[test]
    fn nothing_leaves_before_what_was_received_is_stored() {
        let barrier = SendBarrier::new();
        assert_eq!(outcome(&barrier), Some(true));
        barrier.receive();
        barrier.receive();
        assert_eq!(outcome(&barrier), None);
        barrier.answer(true);
        assert_eq!(outcome(&barrier), None);
        barrier.answer(true);
        assert_eq!(outcome(&barrier), Some(true));
    }

    #[tokio::test]
    async fn what_waits_does_not_wait_for_what_comes_later() {
        let barrier = SendBarrier::new();
        barrier.receive();
        let waiting = barrier.pass();
        tokio::pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        barrier.receive();
        barrier.answer(true);
        waiting.await.unwrap();
        assert_eq!(outcome(&barrier), None);
    }

    #[test]
    fn nothing_leaves_after_a_loss_until_the_next_connection() {
        let barrier = SendBarrier::new();
        barrier.receive();
        barrier.receive();
        assert!(barrier.lost().now_or_never().is_none());
        barrier.answer(false);
        assert!(barrier.lost().now_or_never().is_some());
        barrier.answer(false);
        assert_eq!(outcome(&barrier), Some(false));
        barrier.end();
        assert_eq!(outcome(&barrier), Some(false));
        barrier.begin();
        assert_eq!(outcome(&barrier), Some(true));
    }

    #[test]
    fn at_the_end_nothing_waits() {
        let barrier = SendBarrier::new();
        barrier.end();
        assert_eq!(outcome(&barrier), Some(true));
        barrier.receive();
        assert_eq!(outcome(&barrier), Some(false));
        barrier.answer(true);
        assert_eq!(outcome(&barrier), Some(true));
    }

    #[test]
    fn no_more_come_in_than_may_wait() {
        let barrier = SendBarrier::new();
        for _ in 0..RECEIPTS_WAITING_MAX {
            assert!(barrier.room().now_or_never().is_some());
            barrier.receive();
        }
        assert!(barrier.room().now_or_never().is_none());
        barrier.answer(true);
        assert!(barrier.room().now_or_never().is_some());
        barrier.receive();
        barrier.fail();
        assert!(barrier.room().now_or_never().is_some());
        assert!(barrier.lost().now_or_never().is_some());
    }

    #[tokio::test]
    async fn answers_come_in_order() {
        let mut reports = Reports::default();
        let (late, answer) = oneshot::channel();
        reports.begin(async { answer.await.unwrap() }.boxed());
        reports.begin(ready(Ok(())).boxed());
        assert!(reports.next().now_or_never().is_none());
        late.send(Err(StoreError::Unavailable("x".to_owned()))).unwrap();
        let late = reports.next().await;
        assert!(matches!(late, Some(Err(StoreError::Unavailable(_)))), "{late:?}");
        let early = reports.next().await;
        assert!(matches!(early, Some(Ok(()))), "{early:?}");
        assert!(reports.next().await.is_none(), "no report is left");
    }
}
