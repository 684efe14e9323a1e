//! Messages that come in.

use std::collections::HashSet;

use domain::ids::{AccountId, DeviceId, MessageId};
use domain::message::{Direction, IncomingMessage, Message, MessageState, StateChange};
use jiff::Timestamp;

use super::insert_history;
use crate::devices;
use crate::sql::{SqlResult, Tx, stored};

/// Stores what is new of it. Nothing when the device has been erased meanwhile.
pub(crate) async fn receive(
    tx: &mut Tx,
    device: DeviceId,
    incoming: Vec<IncomingMessage>,
    now: Timestamp,
) -> SqlResult<Vec<Message>> {
    let Some(owner) = devices::device(tx, device).await? else { return Ok(Vec::new()) };
    let ids = tx.next_message_ids(incoming.len()).await?;
    let mut messages: Vec<Message> = ids
        .into_iter()
        .zip(incoming)
        .map(|(id, new)| message(MessageId(id), owner.account_id, device, new, stored(now)))
        .collect();
    let rows: Vec<&Message> = messages.iter().collect();
    let new: HashSet<MessageId> = insert_history(tx, &rows).await?.into_iter().collect();
    messages.retain(|message| new.contains(&message.id));
    Ok(messages)
}

/// What the device's own number wrote elsewhere counts as sent by it.
fn message(
    id: MessageId,
    account_id: AccountId,
    device_id: DeviceId,
    new: IncomingMessage,
    now: Timestamp,
) -> Message {
    let at = stored(new.at);
    let (direction, state) = if new.is_own {
        (Direction::Out, MessageState::Sent)
    } else {
        (Direction::In, MessageState::Delivered)
    };
    Message {
        id,
        account_id,
        device_id,
        direction,
        chat: new.chat,
        sender: Some(new.sender),
        kind: new.kind,
        text: new.text,
        whatsapp_id: new.whatsapp_id,
        state,
        failure: None,
        typing: false,
        priority: 0,
        attempts: 0,
        due_at: at,
        expires_at: None,
        retry_interval_s: None,
        quota: None,
        created_at: now,
        history: vec![StateChange { state, at, reason: None }],
    }
}
