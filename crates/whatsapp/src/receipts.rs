//! Receipts are stored before they are acknowledged.
//!
//! The library acknowledges a receipt as soon as we have been told of it, and does not wait for us.
//! So the connection waits: nothing leaves it before every receipt that came in earlier is stored.
//! When one could not be stored nothing leaves any more; WhatsApp sends it again over the next
//! connection.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::bail;
use domain::ports::StoreResult;
use futures_util::future::{BoxFuture, FutureExt as _, ready};
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::watch;

use crate::limits::{RECEIPTS_MAX, RECEIPTS_WAITING_MAX};

/// Holds back what is to leave a connection.
#[derive(Debug)]
pub(crate) struct SendBarrier {
    heard: AtomicU64,
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// How many receipts the engine has answered for.
    answered: u64,
    manner: StanzaKind,
}

/// What becomes of what is to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StanzaKind {
    /// It waits for the receipts heard before it.
    Waits,
    /// It fails where it would have to wait: nobody stores receipts any more.
    Hurries,
    /// It fails: a receipt was lost.
    Fails,
}

impl SendBarrier {
    pub(crate) fn new() -> Self {
        let state = State { answered: 0, manner: StanzaKind::Waits };
        Self { heard: AtomicU64::new(0), state: watch::Sender::new(state) }
    }

    /// A connection is made.
    pub(crate) fn begin(&self) {
        self.state.send_modify(|state| state.manner = StanzaKind::Waits);
    }

    /// A receipt has come in. To be called before the library can acknowledge it.
    pub(crate) fn hear(&self) {
        self.heard.fetch_add(1, Ordering::SeqCst);
    }

    /// The oldest receipt without an answer is stored, or lost.
    pub(crate) fn answer(&self, is_stored: bool) {
        self.state.send_modify(|state| {
            state.answered += 1;
            if !is_stored {
                state.manner = StanzaKind::Fails;
            }
        });
    }

    /// Something else was lost that WhatsApp would tell again.
    pub(crate) fn fail(&self) {
        self.state.send_modify(|state| state.manner = StanzaKind::Fails);
    }

    /// Waits until something is lost: this connection is of no use any more.
    pub(crate) async fn lost(&self) {
        let _ = self.state.subscribe().wait_for(|state| state.manner == StanzaKind::Fails).await;
    }

    /// Waits until so few receipts are without an answer that more may come in.
    pub(crate) async fn room(&self) {
        let has_room = |state: &State| {
            let heard = self.heard.load(Ordering::SeqCst);
            let waiting = heard.saturating_sub(state.answered);
            state.manner != StanzaKind::Waits || waiting < RECEIPTS_WAITING_MAX
        };
        let _ = self.state.subscribe().wait_for(has_room).await;
    }

    /// Nobody answers for receipts any more.
    pub(crate) fn end(&self) {
        self.state.send_if_modified(|state| {
            let is_waiting = state.manner == StanzaKind::Waits;
            if is_waiting {
                state.manner = StanzaKind::Hurries;
            }
            is_waiting
        });
    }

    /// Waits until what is to leave may.
    pub(crate) async fn pass(&self) -> anyhow::Result<()> {
        let heard = self.heard.load(Ordering::SeqCst);
        let is_decided =
            |state: &State| state.manner != StanzaKind::Waits || state.answered >= heard;
        let state = *self.state.subscribe().wait_for(is_decided).await?;
        match state.manner {
            StanzaKind::Waits => Ok(()),
            StanzaKind::Hurries if state.answered >= heard => Ok(()),
            StanzaKind::Hurries | StanzaKind::Fails => bail!("a receipt is not stored"),
        }
    }
}

/// Receipts that the engine has been told of and has not answered for yet, in order.
#[derive(Default)]
pub(crate) struct Reports(FuturesOrdered<BoxFuture<'static, StoreResult<()>>>);

impl Reports {
    /// Begins to tell the engine; its answer is waited for later, so that many receipts can share
    /// one commit and what follows is told in order all the same.
    pub(crate) fn begin(&mut self, mut report: BoxFuture<'static, StoreResult<()>>) {
        let begun = (&mut report).now_or_never();
        self.0.push_back(begun.map_or(report, |answer| ready(answer).boxed()));
    }

    /// Whether another one may be told.
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

    /// What becomes of something that is to leave now: it has left, it failed, or it waits.
    fn outcome(gate: &SendBarrier) -> Option<bool> {
        gate.pass().now_or_never().map(|outcome| outcome.is_ok())
    }

    #[test]
    fn nothing_leaves_before_what_was_heard_is_stored() {
        let gate = SendBarrier::new();
        assert_eq!(outcome(&gate), Some(true));
        gate.hear();
        gate.hear();
        assert_eq!(outcome(&gate), None);
        gate.answer(true);
        assert_eq!(outcome(&gate), None);
        gate.answer(true);
        assert_eq!(outcome(&gate), Some(true));
    }

    #[tokio::test]
    async fn what_waits_does_not_wait_for_what_comes_later() {
        let gate = SendBarrier::new();
        gate.hear();
        let waiting = gate.pass();
        tokio::pin!(waiting);
        assert!((&mut waiting).now_or_never().is_none());
        gate.hear();
        gate.answer(true);
        waiting.await.unwrap();
        assert_eq!(outcome(&gate), None);
    }

    #[test]
    fn nothing_leaves_after_a_loss_until_the_next_connection() {
        let gate = SendBarrier::new();
        gate.hear();
        gate.hear();
        assert!(gate.lost().now_or_never().is_none());
        gate.answer(false);
        assert!(gate.lost().now_or_never().is_some());
        gate.answer(false);
        assert_eq!(outcome(&gate), Some(false));
        gate.end();
        assert_eq!(outcome(&gate), Some(false));
        gate.begin();
        assert_eq!(outcome(&gate), Some(true));
    }

    #[test]
    fn at_the_end_nothing_waits() {
        let gate = SendBarrier::new();
        gate.end();
        assert_eq!(outcome(&gate), Some(true));
        gate.hear();
        assert_eq!(outcome(&gate), Some(false));
        gate.answer(true);
        assert_eq!(outcome(&gate), Some(true));
    }

    #[test]
    fn no_more_come_in_than_may_wait() {
        let gate = SendBarrier::new();
        for _ in 0..RECEIPTS_WAITING_MAX {
            assert!(gate.room().now_or_never().is_some());
            gate.hear();
        }
        assert!(gate.room().now_or_never().is_none());
        gate.answer(true);
        assert!(gate.room().now_or_never().is_some());
        gate.hear();
        gate.fail();
        assert!(gate.room().now_or_never().is_some());
        assert!(gate.lost().now_or_never().is_some());
    }

    #[tokio::test]
    async fn answers_come_in_order() {
        let mut reports = Reports::default();
        let (late, answer) = oneshot::channel();
        reports.begin(async { answer.await.unwrap() }.boxed());
        reports.begin(ready(Ok(())).boxed());
        assert!(reports.next().now_or_never().is_none());
        late.send(Err(StoreError::Unavailable("x".to_owned()))).unwrap();
        assert!(reports.next().await.unwrap().is_err());
        assert!(reports.next().await.unwrap().is_ok());
        assert!(reports.next().await.is_none());
    }
}
