//! Messages found by their ids.

use domain::context::MessageName;
use domain::ids::{AccountId, DeviceId, MessageId, WhatsappId};
use domain::message::Message;

use super::{history_columns, ids_json, message_from, waiting_columns};
use crate::files;
use crate::rows::RowId;
use crate::sql::{Gathered, Row, SqlResult, Tx, params};

pub(crate) async fn message(
    tx: &mut Tx,
    account: AccountId,
    id: MessageId,
) -> SqlResult<Option<Message>> {
    // Another account's is no fault of this one, also where it cannot be read.
    let is_owned = |(_, row): &(_, Row)| row.id_in(1) == RowId::Int(account.0);
    let found = rows_by_ids(tx, WHOLE, &[id], usize::MAX).await?.0.pop().filter(is_owned);
    let found = found.map(|(table, row)| tx.single(table, Some(row), message_from)).transpose()?;
    with_file(tx, found.flatten()).await
}

/// One message of a device, by either of its ids; by WhatsApp's only once it has left the outbox.
pub(crate) async fn message_named(
    tx: &mut Tx,
    account: AccountId,
    device: DeviceId,
    name: MessageName,
) -> SqlResult<Option<Message>> {
    const SELECT: &str = concat!(
        "SELECT ",
        history_columns!(),
        " FROM messages WHERE +account_id = $1 AND device_id = $2 AND whatsapp_id = $3
          ORDER BY id DESC LIMIT 1"
    );
    match name {
        MessageName::Id(id) => {
            let found = message(tx, account, id).await?;
            Ok(found.filter(|message| message.device_id == device))
        }
        MessageName::Whatsapp(id) => {
            let device = device.to_text();
            let row = tx.query_one(SELECT, params![account.0, &device, id.as_str()]).await?;
            let found = tx.single("messages", row, message_from)?;
            with_file(tx, found).await
        }
    }
}

pub(crate) async fn has_message(tx: &mut Tx, device: DeviceId, id: WhatsappId) -> SqlResult<bool> {
    const SELECT: &str =
        "SELECT id FROM messages WHERE device_id = $1 AND whatsapp_id = $2 LIMIT 1";
    let device = device.to_text();
    Ok(tx.query_one(SELECT, params![&device, id.as_str()]).await?.is_some())
}

async fn with_file(tx: &mut Tx, mut found: Option<Message>) -> SqlResult<Option<Message>> {
    files::overlay(tx, found.as_mut_slice()).await?;
    Ok(found)
}

/// Selects rows of a table by their ids, the newest first.
macro_rules! select_by_ids {
    ($columns:expr, $table:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM ",
            $table,
            " WHERE id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1)) ORDER BY id DESC"
        )
    };
}

/// From the outbox and from the history.
pub(super) type ByIds = [&'static str; 2];
pub(super) const WHOLE: ByIds =
    [select_by_ids!(waiting_columns!(), "outbox"), select_by_ids!(history_columns!(), "messages")];
pub(super) const WITHOUT_TEXT: ByIds = [
    select_by_ids!(waiting_columns!(brief_names), "outbox"),
    select_by_ids!(history_columns!(brief_names), "messages"),
];

/// The rows of messages with their tables, as many of each table as fit into `bytes_max`; also the
/// lowest id down to which all were read. Where a message has just moved, the history's row comes last.
pub(super) async fn rows_by_ids(
    tx: &mut Tx,
    select: ByIds,
    ids: &[MessageId],
    bytes_max: usize,
) -> SqlResult<(Vec<(&'static str, Row)>, Option<MessageId>)> {
    let json = ids_json(ids.iter().map(|id| id.0))?;
    let (mut found, mut lowest) = (Vec::new(), None);
    for (table, sql) in ["outbox", "messages"].into_iter().zip(select) {
        let Gathered { rows, is_cut, .. } = tx.query_within(sql, params![&json], bytes_max).await?;
        if let (true, Some(RowId::Int(id))) = (is_cut, rows.last().map(Row::id)) {
            lowest = lowest.max(Some(MessageId(id)));
        }
        found.extend(rows.into_iter().map(|row| (table, row)));
    }
    Ok((found, lowest))
}
