//! Messages that the phone gives from before all others of their chats.
//!
//! Their ids are below zero and fall with each, so that they stand behind all others in lists that go from high
//! ids to low ones.

use std::collections::{HashMap, HashSet};

use domain::chat::ChatId;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::incoming_file::MediaDownload;
use domain::message::{IncomingMessage, Message, MessageEvent};
use jiff::Timestamp;

use super::counts::CountChanges;
use super::identities::name_by_number;
use super::{amend, history_columns, insert_history, message_from};
use crate::devices;
use crate::fence;
use crate::files::{self, NewFile};
use crate::sql::{FindRows, Param, SqlResult, Tx, Type, params};

/// See [`domain::ports::ChatStore::oldest_message`].
pub(crate) async fn oldest(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    chat: ChatId,
) -> SqlResult<Option<Message>> {
    const SELECT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE device_id = $1 AND account_id = $2 AND chat = $3
          AND state IN ('sent', 'delivered', 'read', 'played') ORDER BY id LIMIT 1"
    );
    let (device, chat) = (device.to_string(), chat.to_string());
    let row = tx.query_one(SELECT, params![&device, account.0, &chat]).await?;
    tx.single("messages", row, message_from)
}

/// See [`domain::ports::ChatStore::receive_history`].
pub(crate) async fn receive(
    tx: &mut Tx,
    device: DeviceId,
    messages: Vec<IncomingMessage>,
    now: Timestamp,
) -> SqlResult<u64> {
    fence::check(tx, [device]).await?;
    let devices = devices::by_ids(tx, &[device].into()).await?;
    let Some(owner) = devices.get(&device) else { return Ok(0) };
    let ids = tx.next_message_ids(messages.len(), MessageId(0)).await?;
    let of = |(id, new): (i64, IncomingMessage)| {
        let mut message = new.received(MessageId(-id), owner.account_id, device, now);
        // The owner has seen them long ago.
        message.apply(MessageEvent::Read, message.due_at, None);
        message
    };
    let is_shown = |new: &IncomingMessage| !new.content.is_change();
    let mut rows: Vec<Message> = ids.zip(messages.into_iter().filter(is_shown)).map(of).collect();
    name_by_number(tx, rows.iter_mut()).await?;
    let known = known(tx, device, &rows).await?;
    rows.retain(|message| !known.contains(message.whatsapp_id.as_str()));
    let setting = match owner.media_download {
        MediaDownload::Off => MediaDownload::Off,
        MediaDownload::Auto | MediaDownload::OnDemand => MediaDownload::OnDemand,
    };
    let mut files: HashMap<MessageId, NewFile> = HashMap::new();
    for message in &mut rows {
        let file = NewFile::take(&mut message.content, setting);
        files.extend(file.map(|file| (message.id, file)));
    }
    let all: Vec<&Message> = rows.iter().collect();
    let new: HashSet<MessageId> = insert_history(tx, &all).await?.into_iter().collect();
    let came: Vec<&Message> = all.into_iter().filter(|row| new.contains(&row.id)).collect();
    let mut counts = CountChanges::default();
    came.iter().for_each(|message| counts.add(message, 1));
    counts.write(tx).await?;
    let carriers: Vec<_> =
        came.iter().filter_map(|message| Some((*message, files.get(&message.id)?))).collect();
    files::insert(tx, &carriers).await?;
    let early = amend::take_early(tx, &came).await?;
    amend::apply(tx, &early, &devices).await?;
    Ok(u64::try_from(came.len()).unwrap_or(u64::MAX))
}

/// Which of them the device has, by whatever sender: a message that we have sent has none here.
async fn known(tx: &mut Tx, device: DeviceId, messages: &[Message]) -> SqlResult<HashSet<String>> {
    const FIND: FindRows = FindRows {
        select: "SELECT whatsapp_id FROM messages",
        key: &[("device_id", Type::Text), ("whatsapp_id", Type::Text)],
        then: "",
    };
    let device = device.to_string();
    let wanted: HashSet<&str> = messages.iter().map(|one| one.whatsapp_id.as_str()).collect();
    let keys: Vec<Vec<Param<'_>>> =
        wanted.into_iter().map(|id| vec![(&device).into(), id.into()]).collect();
    let rows = tx.find(&FIND, &keys).await?;
    rows.into_iter().map(|mut row| row.text()).collect()
}
