//! The task that starts and ends the senders of webhooks.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use domain::ids::{AccountId, WebhookId};
use domain::ports::PageRequest;
use domain::webhook::{WEBHOOKS_MAX, Webhook};

use super::registry::Handle;
use super::sender::{STOP_WAIT, Sender};
use crate::context::EngineContext;
use crate::supervisor::CRASH_PAUSE;
use crate::timing::{STORE_PAUSE, pause, within};

/// Starts a sender for every webhook that works, and ends those that do not any more, until the
/// gateway stops.
pub(crate) async fn manage(context: Arc<EngineContext>) {
    let mut stop = context.stopping();
    let mut senders = JoinSet::new();
    let work = async {
        start_all(&context, &mut senders).await;
        loop {
            tokio::select! {
                () = context.webhooks().has_changed() => {
                    for account in context.webhooks().take_changed() {
                        reload(&context, &mut senders, account).await;
                    }
                }
                Some(_) = senders.join_next() => {}
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|is_stopping| *is_stopping) => {}
    }
    // They see the stop themselves.
    within(STOP_WAIT * 2, async { while senders.join_next().await.is_some() {} }).await;
}

async fn start_all(context: &Arc<EngineContext>, senders: &mut JoinSet<()>) {
    let webhooks = loop {
        match context.store().active_webhooks().await {
            Ok(webhooks) => break webhooks,
            Err(error) => {
                tracing::warn!(%error, "cannot read the webhooks yet");
                pause(STORE_PAUSE).await;
            }
        }
    };
    let is_ours = |webhook: &Webhook| context.leases().posts_to(webhook.id);
    let ours = webhooks.into_iter().filter(is_ours);
    for webhook in ours.filter(|webhook| has_known_format(context, webhook)) {
        set(context, senders, webhook);
    }
}

/// Whether its events can be encoded. They wait for a release that knows the format otherwise: to such
/// a webhook nothing is posted, as if its row could not be read.
fn has_known_format(context: &EngineContext, webhook: &Webhook) -> bool {
    let is_known = context.formats().rules(&webhook.format).is_some();
    if !is_known {
        let (id, format) = (webhook.id, &webhook.format.0);
        tracing::error!(webhook = %id, format, "the format of a webhook is unknown; its events wait");
    }
    is_known
}

/// Reads the webhooks of an account again.
async fn reload(context: &Arc<EngineContext>, senders: &mut JoinSet<()>, account: AccountId) {
    let limit = u32::try_from(WEBHOOKS_MAX).unwrap_or(u32::MAX);
    let webhooks =
        match context.store().webhooks(account, None, PageRequest { before: None, limit }).await {
            Ok(page) => page.items,
            Err(error) => {
                tracing::warn!(%error, "cannot read the webhooks of an account yet");
                pause(STORE_PAUSE).await;
                context.webhooks().changed(account);
                return;
            }
        };
    let leases = context.leases();
    let can_post =
        |w: &Webhook| w.disabled.is_none() && leases.posts_to(w.id) && has_known_format(context, w);
    let active = webhooks.into_iter().filter(can_post).map(|webhook| (webhook.id, webhook));
    let active: HashMap<WebhookId, Webhook> = active.collect();
    if let Some(one) = context.webhooks().accounts().get(&account) {
        for (id, sender) in one {
            if !active.contains_key(id) {
                sender.webhook.send_replace(None);
            }
        }
    }
    active.into_values().for_each(|webhook| set(context, senders, webhook));
}

/// Gives the sender of a webhook its settings; starts it when there is none.
fn set(context: &Arc<EngineContext>, senders: &mut JoinSet<()>, webhook: Webhook) {
    let mut accounts = context.webhooks().accounts();
    let one = accounts.entry(webhook.account_id).or_default();
    if let Some(sender) = one.get(&webhook.id) {
        sender.webhook.send_replace(Some(webhook));
        sender.nudge.notify_one();
        return;
    }
    let (id, account) = (webhook.id, webhook.account_id);
    let (settings, webhook) = watch::channel(Some(webhook));
    let nudge = Arc::new(Notify::new());
    one.insert(id, Handle { webhook: settings, nudge: nudge.clone() });
    let sender = Sender::new(context.clone(), account, id, webhook, nudge);
    senders.spawn(drive(sender));
}

/// Runs the sender of a webhook; where it crashes, a new one starts with what the store says.
async fn drive(sender: Sender) {
    let (context, account, id) = (sender.context(), sender.account(), sender.id());
    if AssertUnwindSafe(sender.run()).catch_unwind().await.is_ok() {
        return;
    }
    tracing::error!(webhook = %id, "the sender of a webhook has crashed; it starts again");
    pause(CRASH_PAUSE).await;
    context.webhooks().forget(account, id);
    context.webhooks().changed(account);
}
