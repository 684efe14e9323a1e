//! Storing messages that come in.

use std::collections::{BTreeSet, HashMap, HashSet};

use domain::content::ContentKind;
use domain::ids::{DeviceId, MessageId};
use domain::message::{IncomingMessage, Message};
use domain::ports::Recorded;
use jiff::Timestamp;

use super::amend;
use super::counts::CountChanges;
use super::identities::name_by_number;
use super::insert_history;
use super::record::{enqueue_events, recorded_since};
use crate::devices;
use crate::fence;
use crate::files::{self, NewFile};
use crate::sql::{SqlError, SqlResult, Tx, params};
use crate::stored;

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
    fence::check(tx, wanted.iter().copied()).await?;
    let devices = devices::by_ids(tx, &wanted).await?;
    let unread = wanted.into_iter().filter(|id| !devices.contains_key(id)).collect();
    let unreadable = devices::existing(tx, &unread).await?;
    let mut faults = Vec::with_capacity(group.len());
    let count = group.iter().map(|arrival| arrival.messages.len()).sum();
    let mut ids = tx.next_message_ids(count, MessageId(0)).await?.map(MessageId);
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
    name_by_number(tx, arrived.iter_mut().flatten()).await?;
    amend::name_choices(tx, &mut arrived).await?;
    let changes = amend::taken_from(&mut arrived);
    let mut files: HashMap<MessageId, NewFile> = HashMap::new();
    for message in arrived.iter_mut().flatten() {
        let setting = devices.get(&message.device_id).map(|device| device.media_download);
        let file = NewFile::take(&mut message.content, setting.unwrap_or_default());
        files.extend(file.map(|file| (message.id, file)));
    }
    let rows: Vec<&Message> = arrived.iter().flatten().collect();
    let new: HashSet<MessageId> = insert_history(tx, &rows).await?.into_iter().collect();
    let mut counts = CountChanges::default();
    rows.iter().filter(|row| new.contains(&row.id)).for_each(|row| counts.add(row, 1));
    counts.write(tx).await?;
    let known: Vec<&Message> = rows.iter().filter(|row| !new.contains(&row.id)).copied().collect();
    let mut recovered = recover(tx, &known).await?;
    let fresh = rows.iter().filter(|row| new.contains(&row.id)).map(|row| (row.id, *row));
    let fresh: Vec<(MessageId, &Message)> =
        fresh.chain(recovered.iter().map(|(id, message)| (*id, message))).collect();
    let carriers: Vec<_> =
        fresh.iter().filter_map(|(id, message)| Some((*message, files.get(id)?))).collect();
    files::insert(tx, &carriers).await?;
    let came: Vec<&Message> = fresh.iter().map(|(_, message)| *message).collect();
    let mut early = amend::take_early(tx, &came).await?;
    amend::name_early_choices(tx, &early).await?;
    let mut stored = |message: Message| match new.contains(&message.id) {
        true => Some(message),
        false => recovered.remove(&message.id),
    };
    let mut answer = |messages: Vec<Message>| {
        let stored = messages.into_iter().filter_map(&mut stored);
        let recorded = |message: Message| Recorded {
            is_new: new.contains(&message.id),
            ..recorded_since(message, &devices, 0)
        };
        stored.map(recorded).collect()
    };
    let mut answers: Vec<Vec<Recorded>> = arrived.into_iter().map(&mut answer).collect();
    for (index, mut changes) in changes.into_iter().enumerate() {
        let device = group[index].device;
        let (now_due, later) = early.into_iter().partition(|(of, _)| *of == device);
        early = later;
        changes.splice(0..0, now_due);
        answers[index].extend(amend::apply(tx, &changes, &devices).await?);
    }
    enqueue_events(tx, &answers).await?;
    let outcomes = answers.into_iter().zip(faults);
    Ok(outcomes.map(|(answer, fault)| fault.map_or(Ok(answer), Err)).collect())
}

/// Turns rows of messages that could not be read into what has come of them after all: the messages
/// that are known already, by the ids that they would have had.
async fn recover(tx: &mut Tx, known: &[&Message]) -> SqlResult<HashMap<MessageId, Message>> {
    const UPDATE: &str = concat!(
        "UPDATE messages SET kind = $4, text = $5, media = $6
        WHERE device_id = $1 AND whatsapp_id = $2 AND sender_key = $3
            AND account_id = $7 AND kind = 'unreadable'
        RETURNING ",
        super::history_columns!()
    );
    let mut recovered = HashMap::new();
    for message in known.iter().filter(|message| message.kind() != ContentKind::Unreadable) {
        let (device, content) = (
            message.device_id.to_text(),
            stored::content::write(&message.content, &message.context)?,
        );
        let values = params![
            &device,
            message.whatsapp_id.as_str(),
            super::sender_key(message),
            message.kind().as_str(),
            message.text(),
            &content,
            message.account_id.0
        ];
        for mut row in tx.query(UPDATE, values).await? {
            recovered.insert(message.id, super::message_from(&mut row)?);
        }
    }
    Ok(recovered)
}
