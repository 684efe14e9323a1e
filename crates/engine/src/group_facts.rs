//! What chats show of groups: their names, and whether the device's number may write there.
//!
//! A group is asked when a message has come in or left of which that is not known yet, and when what the number
//! may do has changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::chat::{ChatFacts, ChatId, GroupId};
use domain::group::{GroupAnswer, GroupRequest};
use domain::ids::DeviceId;
use domain::message::Failure;
use domain::ports::{Recorded, SendError, StoreResult};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::context::EngineContext;

/// Most groups that are asked at a time.
const ASKS_MAX: usize = 8;
/// Most groups that are remembered as asked; then all are forgotten.
const ASKED_MAX: usize = 50_000;
/// How long one that did not answer is not asked again: WhatsApp counts the questions.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(120);

/// The groups that were asked since the start.
pub(crate) struct GroupFacts {
    /// Each with when it may be asked again, where it did not answer.
    asked: Mutex<HashMap<(DeviceId, GroupId), Option<Instant>>>,
    permits: Semaphore,
}

impl Default for GroupFacts {
    fn default() -> Self {
        Self { asked: Mutex::default(), permits: Semaphore::new(ASKS_MAX) }
    }
}

impl GroupFacts {
    /// Whether it is to be asked now; it counts as asked then.
    fn is_due(&self, device: DeviceId, group: &GroupId) -> bool {
        let mut asked = self.asked.lock();
        if asked.len() >= ASKED_MAX {
            asked.clear();
        }
        let known = (device, group.clone());
        let is_due = asked
            .get(&known)
            .is_none_or(|again_at| again_at.is_some_and(|again_at| again_at <= Instant::now()));
        if is_due {
            asked.insert(known, None);
        }
        is_due
    }

    fn failed(&self, device: DeviceId, group: &GroupId) {
        let again_at = Instant::now() + ASKED_AGAIN_AFTER;
        self.asked.lock().insert((device, group.clone()), Some(again_at));
    }
}

/// Asks the groups of messages that have come in or left, where nothing is known of them. It is not waited for.
pub(crate) fn learn(context: &Arc<EngineContext>, device: DeviceId, new: &[Recorded]) {
    for recorded in new {
        let ChatId::Group(group) = &recorded.message.chat else { continue };
        if !context.group_facts().is_due(device, group) {
            continue;
        }
        let (context, group) = (context.clone(), group.clone());
        tokio::spawn(async move {
            let chat = ChatId::Group(group.clone());
            match context.store().is_described(device, &chat).await {
                Ok(Some(false)) => ask(&context, device, group).await,
                Ok(Some(true)) => {}
                Ok(None) | Err(_) => context.group_facts().failed(device, &group),
            }
        });
    }
}

/// Asks a group again: what the number may do there has changed. It is not waited for.
pub(crate) fn learn_again(context: &Arc<EngineContext>, device: DeviceId, group: GroupId) {
    let context = context.clone();
    tokio::spawn(async move { ask(&context, device, group).await });
}

async fn ask(context: &EngineContext, device: DeviceId, group: GroupId) {
    let Ok(_permit) = context.group_facts().permits.acquire().await else { return };
    let facts = match context.messenger().group(device, GroupRequest::Show(group.clone())).await {
        Ok(answer) => return described(context, device, &answer).await,
        Err(SendError::Permanent(failure)) if failure.code == Failure::GROUP_NOT_AVAILABLE => {
            ChatFacts { can_send: Some(false), ..ChatFacts::default() }
        }
        Err(error) => {
            tracing::debug!(%device, %error, "a group does not say what it is called");
            context.group_facts().failed(device, &group);
            return;
        }
    };
    keep(context, device, group, facts).await;
}

/// Keeps what a group has said of itself for its chat.
pub(crate) async fn described(context: &EngineContext, device: DeviceId, answer: &GroupAnswer) {
    let GroupAnswer::Details(details) = answer else { return };
    let own = match own_address(context, device).await {
        Ok(Some(own)) => own,
        Ok(None) | Err(_) => return,
    };
    keep(context, device, details.group.id.clone(), details.facts(&own)).await;
}

async fn own_address(
    context: &EngineContext,
    device: DeviceId,
) -> StoreResult<Option<domain::message::Address>> {
    let device = context.store().device_by_id(device).await?;
    Ok(device.map(|device| device.address()))
}

async fn keep(context: &EngineContext, device: DeviceId, group: GroupId, facts: ChatFacts) {
    let kept = context.store().describe_chat(device, &ChatId::Group(group), &facts).await;
    if let Err(error) = kept {
        tracing::debug!(%device, %error, "what is known of a group is not stored");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_group_that_does_not_answer_is_asked_again_after_a_while() {
        let (facts, device) = (GroupFacts::default(), DeviceId(uuid::Uuid::nil()));
        let group = GroupId::from_user("120363000000000001");
        assert!(facts.is_due(device, &group));
        assert!(!facts.is_due(device, &group));
        facts.failed(device, &group);
        assert!(!facts.is_due(device, &group));
        tokio::time::advance(ASKED_AGAIN_AFTER).await;
        assert!(facts.is_due(device, &group));
        assert!(!facts.is_due(device, &group));
    }
}
