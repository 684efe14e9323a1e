//! Messages that come in.

use std::collections::HashSet;

use domain::ids::{DeviceId, MessageId};
use domain::message::{IncomingMessage, Message};
use jiff::Timestamp;

use super::insert_history;
use crate::devices;
use crate::sql::{SqlResult, Tx};

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
        .map(|(id, new)| new.received(MessageId(id), owner.account_id, device, now))
        .collect();
    let rows: Vec<&Message> = messages.iter().collect();
    let new: HashSet<MessageId> = insert_history(tx, &rows).await?.into_iter().collect();
    messages.retain(|message| new.contains(&message.id));
    Ok(messages)
}
