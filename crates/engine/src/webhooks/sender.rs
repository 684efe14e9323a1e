//! The sender of one webhook: reads what waits, posts it, writes down what became of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use domain::error::StoreError;
use domain::ids::{AccountId, DeliveryId, WebhookId};
use domain::ports::{Page, PageRequest, StoreResult, WebhookAnswer};
use domain::webhook::{Delivery, DeliveryOutcome, DeliveryState, Event, Webhook, WebhookPatch};

use super::lanes::{JudgedPost, Lanes, Step};
use crate::context::EngineContext;
use crate::timing::{STORE_PAUSE, pause, until, within};

/// How often a sender looks for what waits without being nudged.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Most deliveries that are read at a time.
const READ_MAX: u32 = 256;
/// Most events of one webhook that are kept in memory until they are posted; others are read again.
const EVENTS_KEPT_MAX: usize = 32;
/// Most outcomes in one batch.
const OUTCOMES_MAX: usize = 256;
/// How long a post may take at the most; the outbound client's own limit is shorter.
const POST_WAIT: Duration = Duration::from_secs(60);
/// How long a stop waits for posts that run.
pub(crate) const STOP_WAIT: Duration = Duration::from_secs(5);
/// Why a webhook was switched off that answered 410.
const GONE: &str = "its receiver answered 410 (gone)";

/// What a job came to.
enum Done {
    Read(StoreResult<Page<Delivery>>),
    Posted(DeliveryId, Option<WebhookAnswer>),
    /// The event of a delivery could not be read.
    Unread(DeliveryId, StoreResult<()>),
    Written(Vec<DeliveryOutcome>, StoreResult<()>),
}

/// The sender of one webhook.
pub(super) struct Sender {
    id: WebhookId,
    account: AccountId,
    context: Arc<EngineContext>,
    webhook: watch::Receiver<Option<Webhook>>,
    nudge: Arc<Notify>,
    lanes: Lanes,
    /// The events of some of the deliveries that wait.
    events: HashMap<DeliveryId, Event>,
    /// What is still to be written down.
    outcomes: Vec<DeliveryOutcome>,
    /// The receiver wants no more: to be written down too.
    is_gone: bool,
    is_writing: bool,
    is_reading: bool,
    must_read: bool,
    jobs: FuturesUnordered<BoxFuture<'static, Done>>,
    counted: i64,
}

impl Sender {
    pub(super) fn new(
        context: Arc<EngineContext>,
        account: AccountId,
        id: WebhookId,
        webhook: watch::Receiver<Option<Webhook>>,
        nudge: Arc<Notify>,
    ) -> Self {
        Self {
            id,
            account,
            context,
            webhook,
            nudge,
            lanes: Lanes::default(),
            events: HashMap::new(),
            outcomes: Vec::new(),
            is_gone: false,
            is_writing: false,
            is_reading: false,
            must_read: true,
            jobs: FuturesUnordered::new(),
            counted: 0,
        }
    }

    pub(super) fn context(&self) -> Arc<EngineContext> {
        self.context.clone()
    }

    pub(super) fn account(&self) -> AccountId {
        self.account
    }

    pub(super) fn id(&self) -> WebhookId {
        self.id
    }

    /// Runs until the webhook is erased or switched off, or the gateway stops.
    pub(super) async fn run(mut self) {
        let mut stop = self.context.stopping();
        let nudge = self.nudge.clone();
        let mut stop_by = None;
        let mut look_at = Instant::now() + LOOK_EVERY;
        loop {
            if *stop.borrow_and_update() && stop_by.is_none() {
                stop_by = Some(Instant::now() + STOP_WAIT);
            }
            let now = self.context.now();
            let is_on = stop_by.is_none() && self.webhook.borrow_and_update().is_some();
            let next_wake = if is_on { self.advance(now) } else { None };
            self.write();
            self.count();
            if let Some(by) = stop_by {
                if by <= Instant::now() || !self.has_work() {
                    return;
                }
            } else if !is_on && !self.has_work() && self.retire() {
                return;
            }
            let wake_at = next_wake.map(|wake| Instant::now() + until(now, wake));
            let wake_at = wake_at.into_iter().chain(stop_by).fold(look_at, Instant::min);
            tokio::select! {
                Some(done) = self.jobs.next() => self.finished(done),
                () = nudge.notified() => self.must_read = true,
                Ok(()) = self.webhook.changed() => self.must_read = true,
                Ok(()) = stop.changed() => {}
                () = tokio::time::sleep_until(wake_at) => {
                    if look_at <= Instant::now() {
                        look_at = Instant::now() + LOOK_EVERY;
                        self.must_read = true;
                    }
                }
            }
        }
    }

    /// Whether something was begun that has to be written down.
    fn has_work(&self) -> bool {
        self.lanes.is_busy() || self.is_gone
    }

    fn retire(&self) -> bool {
        self.context.webhooks().retire(self.account, self.id)
    }

    /// Reads and posts what is due; when to look again.
    fn advance(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.is_gone {
            return None;
        }
        self.read();
        let Step { posts, next_wake } = self.lanes.step(now);
        posts.into_iter().for_each(|id| self.post(id));
        next_wake
    }

    fn read(&mut self) {
        // Not for a few at a time: what is known has to be left out each time.
        if !self.must_read || self.is_reading || self.lanes.room() < READ_MAX as usize {
            return;
        }
        (self.must_read, self.is_reading) = (false, true);
        let (context, id, known) = (self.context.clone(), self.id, self.lanes.ids());
        self.jobs.push(Box::pin(async move {
            let _turn = context.webhooks().look().await;
            Done::Read(context.store().pending_deliveries(id, &known, READ_MAX).await)
        }));
    }

    fn post(&mut self, id: DeliveryId) {
        let (context, settings) = (self.context.clone(), self.webhook.clone());
        let (account, event) = (self.account, self.events.remove(&id));
        self.jobs.push(Box::pin(async move {
            let _turn = context.webhooks().post(account).await;
            // Switched off or erased while this waited: it is read again should it be switched on.
            let Some(webhook) = settings.borrow().clone() else { return Done::Unread(id, Ok(())) };
            // Another node may post it by now.
            if !context.leases().may_post(webhook.id, Instant::now().into_std()) {
                return Done::Unread(id, Ok(()));
            }
            let event = match event {
                Some(event) => event,
                None => match read_event(&context, &webhook, id).await {
                    Ok(Some(event)) => event,
                    Ok(None) => return Done::Unread(id, Ok(())),
                    Err(error) => return Done::Unread(id, Err(error)),
                },
            };
            Done::Posted(id, post(&context, &webhook, &event).await)
        }));
    }

    /// Writes down what became of tries, unless that is being done.
    fn write(&mut self) {
        if self.is_writing || (self.outcomes.is_empty() && !self.is_gone) {
            return;
        }
        self.is_writing = true;
        let n = self.outcomes.len().min(OUTCOMES_MAX);
        let batch: Vec<_> = self.outcomes.drain(..n).collect();
        let is_gone = self.is_gone && self.outcomes.is_empty();
        let (context, account, id) = (self.context.clone(), self.account, self.id);
        self.jobs.push(Box::pin(async move {
            let written = async {
                context.store().record_deliveries(batch.clone()).await?;
                if is_gone {
                    let patch = WebhookPatch {
                        disabled: Some(Some(GONE.to_owned())),
                        ..Default::default()
                    };
                    context.store().update_webhook(account, id, patch).await?;
                }
                Ok(())
            };
            let written = written.await;
            if written.is_err() {
                pause(STORE_PAUSE).await;
            }
            Done::Written(batch, written)
        }));
    }

    fn finished(&mut self, done: Done) {
        let now = self.context.now();
        match done {
            Done::Read(found) => self.found(found),
            Done::Posted(id, answer) => {
                let random = self.context.random();
                if let Some(outcome) = self.lanes.answered(id, answer, now, random) {
                    self.count_outcome(&outcome);
                    self.is_gone |= outcome.is_gone;
                    self.outcomes.push(outcome.delivery);
                }
            }
            Done::Unread(id, Ok(())) => self.lanes.vanished(id),
            Done::Unread(id, Err(error)) => {
                tracing::warn!(webhook = %self.id, %error, "cannot read an event yet");
                self.context.stats().store_errors.fetch_add(1, Relaxed);
                self.lanes.put_off(id, later(now, STORE_PAUSE));
            }
            Done::Written(batch, written) => self.written(batch, written),
        }
    }

    fn found(&mut self, found: StoreResult<Page<Delivery>>) {
        self.is_reading = false;
        let now = self.context.now();
        match found {
            Ok(Page { items, has_more, .. }) => {
                self.must_read |= has_more;
                for delivery in items {
                    let Delivery { id, event, attempts, due_at, .. } = delivery;
                    // Until it is tried this is when it happened, by the clock of the node that saw it.
                    let due_at = if attempts == 0 { due_at.min(now) } else { due_at };
                    let is_new = self.lanes.add(id, &event.lane(), attempts, due_at);
                    if is_new && self.events.len() < EVENTS_KEPT_MAX {
                        self.events.insert(id, event);
                    }
                }
            }
            Err(error) => {
                // The next look comes by itself.
                tracing::warn!(webhook = %self.id, %error, "cannot read the waiting events yet");
                self.context.stats().store_errors.fetch_add(1, Relaxed);
            }
        }
    }

    fn written(&mut self, batch: Vec<DeliveryOutcome>, written: StoreResult<()>) {
        self.is_writing = false;
        if matches!(written, Err(StoreError::NotOwner)) {
            // The other node has read them as they were, and writes what becomes of its own tries.
            batch.iter().for_each(|outcome| self.lanes.vanished(outcome.id));
            self.is_gone &= !self.outcomes.is_empty();
            return;
        }
        if let Err(error) = written {
            tracing::warn!(webhook = %self.id, %error, "cannot write what became of events yet");
            self.context.stats().store_errors.fetch_add(1, Relaxed);
            self.outcomes.splice(0..0, batch);
            return;
        }
        batch.iter().for_each(|outcome| self.lanes.written(outcome.id));
        if self.is_gone && self.outcomes.is_empty() {
            tracing::info!(webhook = %self.id, "switched off: {GONE}");
            self.is_gone = false;
            // Nothing is posted before the manager has read the webhook again.
            if let Some(one) = self.context.webhooks().accounts().get(&self.account)
                && let Some(handle) = one.get(&self.id)
            {
                handle.webhook.send_replace(None);
            }
            self.context.webhooks().changed(self.account);
        }
    }

    fn count_outcome(&self, outcome: &JudgedPost) {
        let stats = self.context.stats();
        let counter = match outcome.delivery.state {
            DeliveryState::Delivered => &stats.webhooks_delivered,
            DeliveryState::Pending => &stats.webhooks_failed,
            DeliveryState::Dead => &stats.webhooks_dead,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Brings the gauge of what waits up to date.
    fn count(&mut self) {
        let now = i64::try_from(self.lanes.len()).unwrap_or(i64::MAX);
        let change = now - std::mem::replace(&mut self.counted, now);
        self.context.stats().webhooks_waiting.fetch_add(change, Relaxed);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.context.stats().webhooks_waiting.fetch_sub(self.counted, Relaxed);
    }
}

/// The event of a delivery; `None` when it does not wait any more.
async fn read_event(
    context: &EngineContext,
    webhook: &Webhook,
    id: DeliveryId,
) -> StoreResult<Option<Event>> {
    let page = PageRequest { before: Some(id.0.saturating_add(1)), limit: 1 };
    let pending = Some(DeliveryState::Pending);
    let found = context.store().deliveries(webhook.account_id, webhook.id, pending, page).await?;
    Ok(found.items.into_iter().find(|delivery| delivery.id == id).map(|found| found.event))
}

/// Posts an event once; `None` when the webhook's format has no shape for it.
async fn post(context: &EngineContext, webhook: &Webhook, event: &Event) -> Option<WebhookAnswer> {
    let no_answer = |why: &str| WebhookAnswer {
        status: None,
        retry_after: None,
        error: Some(why.to_owned()),
        took: Duration::ZERO,
        body: Vec::new(),
    };
    let Some(secrets) = context.cipher().secrets(webhook) else {
        return Some(no_answer("the webhook's secret cannot be read; create the webhook again"));
    };
    let now = context.now();
    let (format, url) = (&webhook.format, &webhook.url);
    let request = context.formats().encode(format, url, event, secrets.at(now), now)?;
    let answer = within(POST_WAIT, context.outbound().post(request)).await;
    Some(answer.unwrap_or_else(|| no_answer("the receiver did not answer in time")))
}

fn later(now: Timestamp, pause: Duration) -> Timestamp {
    let pause = SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX);
    now.saturating_add(pause).unwrap_or(Timestamp::MAX)
}
