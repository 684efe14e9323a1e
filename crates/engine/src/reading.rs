//! Read receipts for what comes in, where a device sends them unasked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::content::ContentKind;
use domain::ids::{DeviceId, MessageId};
use domain::message::{Message, MessageState};
use domain::ports::Recorded;

use crate::context::EngineContext;
use crate::timing::within;

/// Longest time a read receipt may take.
const READ_WAIT: Duration = Duration::from_secs(20);

/// Marks new messages as read, if the device is set to do so. It is not waited for.
pub(crate) async fn read_at_once(context: &Arc<EngineContext>, device: DeviceId, new: &[Recorded]) {
    let is_read = |message: &&Message| {
        message.state == MessageState::Delivered
            && !matches!(message.kind(), ContentKind::Reaction | ContentKind::PollVote)
    };
    let unread: Vec<Message> =
        new.iter().map(|one| &one.message).filter(is_read).cloned().collect();
    let Some(first) = unread.first() else { return };
    let known = context.store().device(first.account_id, device).await;
    if !known.is_ok_and(|known| known.is_some_and(|device| device.incoming.reads_at_once)) {
        return;
    }
    let context = context.clone();
    tokio::spawn(async move {
        if within(READ_WAIT, read(&context, device, unread)).await.is_none() {
            tracing::debug!(%device, "read receipts took too long");
        }
    });
}

async fn read(context: &EngineContext, device: DeviceId, unread: Vec<Message>) {
    let mut chats: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for message in unread {
        chats.entry(message.chat.to_string()).or_default().push(message);
    }
    for messages in chats.into_values() {
        if let Err(error) = context.messenger().mark_read(device, &messages).await {
            tracing::debug!(%device, %error, "messages could not be marked as read");
            continue;
        }
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let Some(account) = messages.first().map(|message| message.account_id) else { continue };
        if let Err(error) = context.store().mark_read(account, &ids, context.now()).await {
            tracing::warn!(%device, %error, "what was read is not recorded");
        }
    }
}
