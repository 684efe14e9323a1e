//! Storing messages that come in.

use std::collections::{BTreeSet, HashSet};

use domain::ids::{DeviceId, MessageId};
use domain::message::{IncomingMessage, Message};
use domain::ports::Recorded;
use jiff::Timestamp;

use super::counts::CountChanges;
use super::insert_history;
use super::record::{enqueue_events, recorded_since};
use crate::devices;
use crate::sql::{SqlError, SqlResult, Tx};

/// Messages that have come in to a device.
pub(crate) struct Arrival {
    pub(crate) device: DeviceId,
    pub(crate) messages: Vec<IncomingMessage>,
    pub(crate) now: Timestamp,
}

/// Stores the messages that are new, for many callers at once. Stores nothing for a device that has
/// been erased meanwhile, and fails for one that cannot be read, so that WhatsApp keeps its
/// messages.
pub(crate) async fn receive_group(
    tx: &mut Tx,
    group: &[Arrival],
) -> SqlResult<Vec<SqlResult<Vec<Recorded>>>> {
    let wanted: BTreeSet<DeviceId> = group.iter().map(|arrival| arrival.device).collect();
    let devices = devices::by_ids(tx, &wanted).await?;
    let unread = wanted.into_iter().filter(|id| !devices.contains_key(id)).collect();
    let unreadable = devices::existing(tx, &unread).await?;
    let mut faults = Vec::with_capacity(group.len());
    let count = group.iter().map(|arrival| arrival.messages.len()).sum();
    let mut ids = tx.next_message_ids(count).await?.map(MessageId);
    let mut arrived: Vec<Vec<Message>> = Vec::with_capacity(group.len());
    for Arrival { device, messages, now } in group {
        let fault = || SqlError::Unreadable("the device cannot be read".into());
        faults.push(unreadable.contains(device).then(fault));
        let owner = devices.get(device).map(|device| device.account_id);
        let received = owner.into_iter().flat_map(|owner| {
            let new = messages.iter().cloned().zip(&mut ids);
            new.map(|(new, id)| new.received(id, owner, *device, *now)).collect::<Vec<_>>()
        });
        arrived.push(received.collect());
    }
    let rows: Vec<&Message> = arrived.iter().flatten().collect();
    let new: HashSet<MessageId> = insert_history(tx, &rows).await?.into_iter().collect();
    let mut counts = CountChanges::default();
    rows.iter().filter(|row| new.contains(&row.id)).for_each(|row| counts.add(row, 1));
    counts.write(tx).await?;
    let recorded = |message| recorded_since(message, &devices, 0);
    let answer = |messages: Vec<Message>| {
        messages.into_iter().filter(|message| new.contains(&message.id)).map(recorded).collect()
    };
    let answers: Vec<Vec<Recorded>> = arrived.into_iter().map(answer).collect();
    enqueue_events(tx, &answers).await?;
    let outcomes = answers.into_iter().zip(faults);
    Ok(outcomes.map(|(answer, fault)| fault.map_or(Ok(answer), Err)).collect())
}
