//! Files that came in. A row is made with its message, and goes with it.

use std::collections::{BTreeMap, HashMap};

use domain::content::Content;
use domain::ids::{AccountId, DeviceId, MessageId};
use domain::incoming_file::{
    self, EXPIRED, FileOutcome, FileReference, FileState, IncomingFile, MediaDownload, OVER_LIMIT,
};
use domain::message::Message;
use jiff::Timestamp;

use crate::messages::ids_json;
use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, params, to_json};

/// Files ended in one transaction.
const EXPIRED_ROWS_MAX: i64 = 500;

macro_rules! select_files {
    ($rest:literal) => {
        concat!(
            "SELECT message_id, account_id, device_id, state, reason, reference, attempts",
            $rest
        )
    };
}

fn file_from(row: &mut Row) -> SqlResult<IncomingFile> {
    Ok(IncomingFile {
        message: MessageId(row.int()?),
        account: AccountId(row.int()?),
        device: row.parsed(|text| text.parse().ok())?,
        state: row.parsed(FileState::from_name)?,
        reason: row.opt_text()?,
        reference: row.opt_blob()?.map(|bytes| FileReference(bytes.into())),
        attempts: row.small()?,
    })
}

/// The file of a message that is about to be stored: what fetches it is not kept with the message.
pub(crate) struct NewFile {
    reference: Option<FileReference>,
    state: FileState,
    reason: Option<String>,
}

impl NewFile {
    /// Takes it out of a message's content; its device decides whether it is fetched.
    pub(crate) fn take(content: &mut Content, setting: MediaDownload) -> Option<Self> {
        let Content::File(file) = content else { return None };
        let (state, reference) = incoming_file::begin(&mut file.media, setting)?;
        Some(Self { reference, state, reason: file.media.reason.clone() })
    }
}

const FILES: InsertRows = InsertRows {
    table: "incoming_files",
    columns: &[
        ("message_id", Type::Int),
        ("account_id", Type::Int),
        ("device_id", Type::Text),
        ("state", Type::Text),
        ("reason", Type::Text),
        ("reference", Type::Blob),
        ("due_at", Type::Int),
        ("created_at", Type::Int),
    ],
    then: "ON CONFLICT DO NOTHING",
};

/// Stores the files of new messages.
pub(crate) async fn insert(tx: &mut Tx, files: &[(&Message, &NewFile)]) -> SqlResult<()> {
    let devices: Vec<String> =
        files.iter().map(|(message, _)| message.device_id.to_text()).collect();
    let mut rows = Vec::with_capacity(files.len());
    for ((message, file), device) in files.iter().zip(&devices) {
        rows.push(vec![
            Param::from(message.id.0),
            Param::from(message.account_id.0),
            Param::from(device),
            Param::from(file.state.as_str()),
            Param::from(file.reason.as_deref()),
            Param::from(file.reference.as_ref().map(|reference| &*reference.0)),
            Param::from(message.created_at),
            Param::from(message.created_at),
        ]);
    }
    tx.insert(&FILES, &rows).await.map(drop)
}

/// Puts what has become of their files into messages.
pub(crate) async fn overlay(tx: &mut Tx, messages: &mut [Message]) -> SqlResult<()> {
    const SELECT: &str = "SELECT message_id, state, reason, size FROM incoming_files
        WHERE message_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    let state = |message: &Message| message.media().and_then(|media| media.state);
    let ids: Vec<i64> =
        messages.iter().filter(|message| state(message).is_some()).map(|m| m.id.0).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let rows = tx.query(SELECT, params![&ids_json(ids.into_iter())?]).await?;
    let found = tx.readable("incoming_files", rows, |row| {
        let id = MessageId(row.int()?);
        let state = row.parsed(FileState::from_name)?;
        Ok((id, (state, row.opt_text()?, row.opt_int()?)))
    });
    let mut found: HashMap<_, _> = found.into_iter().collect();
    for message in messages {
        let Content::File(file) = &mut message.content else { continue };
        if file.media.state.is_none() {
            continue;
        }
        let (state, reason, size) =
            found.remove(&message.id).unwrap_or((FileState::Gone, None, None));
        file.media.state = Some(state);
        file.media.reason = reason;
        file.media.size = size.and_then(|size| u64::try_from(size).ok()).or(file.media.size);
    }
    Ok(())
}

pub(crate) async fn file(
    tx: &mut Tx,
    account: AccountId,
    message: MessageId,
) -> SqlResult<Option<IncomingFile>> {
    const SELECT: &str =
        select_files!(" FROM incoming_files WHERE message_id = $1 AND account_id = $2");
    let row = tx.query_one(SELECT, params![message.0, account.0]).await?;
    tx.single("incoming_files", row, file_from)
}

/// The node whose devices' files are fetched here; those of all devices where there are no nodes.
fn owner_of(tx: &Tx) -> Option<i64> {
    tx.leases.node().map(|node| node.0)
}

pub(crate) async fn due(
    tx: &mut Tx,
    now: Timestamp,
    per_account: u32,
    except: Vec<MessageId>,
) -> SqlResult<Vec<IncomingFile>> {
    const SELECT: &str = select_files!(
        " FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY due_at, message_id)
             AS place FROM incoming_files WHERE state = 'pending' AND due_at <= $1
             AND message_id NOT IN (SELECT CAST(value AS BIGINT) FROM json_rows($2))
             AND (CAST($4 AS BIGINT) IS NULL
                  OR device_id IN (SELECT id FROM devices WHERE owner_node = $4))) AS waiting
         WHERE place <= $3 ORDER BY due_at, message_id"
    );
    let except = ids_json(except.iter().map(|id| id.0))?;
    let rows =
        tx.query(SELECT, params![now, &except, i64::from(per_account), owner_of(tx)]).await?;
    Ok(tx.readable("incoming_files", rows, file_from))
}

pub(crate) async fn next_due(tx: &mut Tx, now: Timestamp) -> SqlResult<Option<Timestamp>> {
    const SELECT: &str =
        "SELECT min(due_at) FROM incoming_files WHERE state = 'pending' AND due_at > $1
         AND (CAST($2 AS BIGINT) IS NULL
              OR device_id IN (SELECT id FROM devices WHERE owner_node = $2))";
    let row = tx.query_one(SELECT, params![now, owner_of(tx)]).await?;
    row.map_or(Ok(None), |mut row| row.opt_time())
}

pub(crate) async fn request(
    tx: &mut Tx,
    account: AccountId,
    message: MessageId,
    now: Timestamp,
) -> SqlResult<()> {
    const UPDATE: &str = "UPDATE incoming_files SET state = 'pending', due_at = $3
        WHERE message_id = $1 AND account_id = $2 AND state IN ('pending', 'on_demand')
        AND reference IS NOT NULL";
    tx.execute(UPDATE, params![message.0, account.0, now]).await.map(drop)
}

pub(crate) async fn hasten(tx: &mut Tx, device: DeviceId, now: Timestamp) -> SqlResult<bool> {
    const UPDATE: &str = "UPDATE incoming_files SET due_at = $2
        WHERE device_id = $1 AND state = 'pending' AND due_at > $2";
    let device = device.to_text();
    Ok(tx.execute(UPDATE, params![&device, now]).await? > 0)
}

pub(crate) async fn record(
    tx: &mut Tx,
    message: MessageId,
    outcome: FileOutcome,
    account_max: u64,
    now: Timestamp,
) -> SqlResult<Option<Vec<IncomingFile>>> {
    // What a file is fetched by is of no use once it is here, and none once it cannot be fetched.
    const AGAIN: &str =
        "UPDATE incoming_files SET due_at = $2, attempts = attempts + $3, reason = $4
        WHERE message_id = $1 AND state = 'pending'";
    const ENDED: &str = "UPDATE incoming_files SET state = $2, reason = $3, reference = NULL
        WHERE message_id = $1 AND state = 'pending'";
    let id = message.0;
    let rows = match outcome {
        FileOutcome::Stored(size) => return keep(tx, message, size, account_max, now).await,
        FileOutcome::Again { at, counts, reason } => {
            tx.execute(AGAIN, params![id, at, i64::from(counts), &reason]).await?
        }
        FileOutcome::Ended(state, reason) => {
            tx.execute(ENDED, params![id, state.as_str(), &reason]).await?
        }
    };
    Ok((rows > 0).then(Vec::new))
}

/// Writes that a file is stored; those that have to go for it.
async fn keep(
    tx: &mut Tx,
    message: MessageId,
    size: u64,
    account_max: u64,
    now: Timestamp,
) -> SqlResult<Option<Vec<IncomingFile>>> {
    const STORED: &str = "UPDATE incoming_files SET state = 'stored', reason = NULL,
        reference = NULL, size = $2, due_at = $3 WHERE message_id = $1 AND state = 'pending'
        RETURNING account_id";
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let row = tx.query_one(STORED, params![message.0, size, now]).await?;
    let Some(mut row) = row else { return Ok(None) };
    let account = AccountId(row.int()?);
    StoredBytes::from_iter([(account, size)]).write(tx).await?;
    make_room(tx, account, account_max).await.map(Some)
}

pub(crate) async fn stored(tx: &mut Tx, messages: Vec<MessageId>) -> SqlResult<Vec<MessageId>> {
    const SELECT: &str = "SELECT message_id FROM incoming_files WHERE state = 'stored'
        AND message_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    let ids = ids_json(messages.iter().map(|id| id.0))?;
    let rows = tx.query(SELECT, params![&ids]).await?;
    rows.into_iter().map(|mut row| row.int().map(MessageId)).collect()
}

/// Which of these names are those of files that came with messages which wait.
pub(crate) async fn waiting(tx: &mut Tx, keys: Vec<String>) -> SqlResult<Vec<String>> {
    const SELECT: &str = "SELECT blob_key FROM inline_media
        WHERE blob_key IN (SELECT value FROM json_rows($1))";
    let rows = tx.query(SELECT, params![&to_json(&keys)?]).await?;
    rows.into_iter().map(|mut row| row.text()).collect()
}

/// Ends old files, and what accounts have had longest that have more bytes than they may.
pub(crate) async fn expire(
    tx: &mut Tx,
    before: Timestamp,
    account_max: u64,
) -> SqlResult<Vec<IncomingFile>> {
    const OLD: &str = select_files!(
        ", size FROM incoming_files WHERE state IN ('pending', 'stored', 'on_demand')
         AND created_at < $1 ORDER BY created_at LIMIT $2"
    );
    const BEYOND: &str = "SELECT account_id FROM stored_bytes WHERE bytes > $1 LIMIT 1";
    let rows = tx.query(OLD, params![before, EXPIRED_ROWS_MAX]).await?;
    let old = tx.readable("incoming_files", rows, sized_from);
    if !old.is_empty() {
        return end(tx, old, EXPIRED).await;
    }
    let max = i64::try_from(account_max).unwrap_or(i64::MAX);
    match tx.query_one(BEYOND, params![max]).await? {
        Some(mut row) => make_room(tx, AccountId(row.int()?), account_max).await,
        None => Ok(Vec::new()),
    }
}

/// Ends what an account has had longest until it has no more bytes than it may.
async fn make_room(
    tx: &mut Tx,
    account: AccountId,
    account_max: u64,
) -> SqlResult<Vec<IncomingFile>> {
    const HELD: &str = "SELECT bytes FROM stored_bytes WHERE account_id = $1";
    const LONGEST: &str = select_files!(
        ", size FROM incoming_files WHERE account_id = $1 AND state = 'stored'
         ORDER BY due_at, message_id LIMIT $2"
    );
    let max = i64::try_from(account_max).unwrap_or(i64::MAX);
    let row = tx.query_one(HELD, params![account.0]).await?;
    let mut excess = row.map_or(Ok(0), |mut row| row.int())? - max;
    if excess <= 0 {
        return Ok(Vec::new());
    }
    let rows = tx.query(LONGEST, params![account.0, EXPIRED_ROWS_MAX]).await?;
    let mut longest = tx.readable("incoming_files", rows, sized_from);
    longest.retain(|(_, size)| {
        let goes = excess > 0;
        excess -= size;
        goes
    });
    end(tx, longest, OVER_LIMIT).await
}

/// Ends files as gone, for this reason.
async fn end(
    tx: &mut Tx,
    files: Vec<(IncomingFile, i64)>,
    reason: &str,
) -> SqlResult<Vec<IncomingFile>> {
    const END: &str = "UPDATE incoming_files SET state = 'gone', reason = $2, reference = NULL
        WHERE message_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))";
    let ids = ids_json(files.iter().map(|(file, _)| file.message.0))?;
    tx.execute(END, params![&ids, reason]).await?;
    let is_stored = |(file, _): &&(IncomingFile, i64)| file.state == FileState::Stored;
    let removed = files.iter().filter(is_stored).map(|(file, size)| (file.account, -size));
    removed.collect::<StoredBytes>().write(tx).await?;
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

fn sized_from(row: &mut Row) -> SqlResult<(IncomingFile, i64)> {
    Ok((file_from(row)?, row.opt_int()?.unwrap_or_default()))
}

/// Erases the files of these messages, or of a device; their bytes are the sweep's.
pub(crate) async fn erase(tx: &mut Tx, whose: Erased<'_>) -> SqlResult<()> {
    const OF_MESSAGES: &str = "DELETE FROM incoming_files
        WHERE message_id IN (SELECT CAST(value AS BIGINT) FROM json_rows($1))
        RETURNING account_id, state, size";
    const OF_DEVICE: &str = "DELETE FROM incoming_files WHERE device_id = $1
        RETURNING account_id, state, size";
    let rows = match whose {
        Erased::Messages(ids) => tx.query(OF_MESSAGES, params![ids]).await?,
        Erased::Device(device) => tx.query(OF_DEVICE, params![&device.to_text()]).await?,
    };
    let mut removed = Vec::with_capacity(rows.len());
    for mut row in rows {
        let (account, state) = (AccountId(row.int()?), row.text()?);
        let size = row.opt_int()?.unwrap_or_default();
        if state == FileState::Stored.as_str() {
            removed.push((account, -size));
        }
    }
    removed.into_iter().collect::<StoredBytes>().write(tx).await
}

/// Whose files are erased.
pub(crate) enum Erased<'a> {
    /// Those of messages: their ids, as JSON.
    Messages(&'a str),
    Device(DeviceId),
}

/// Changes of how many bytes accounts have in the media store.
struct StoredBytes(BTreeMap<AccountId, i64>);

impl FromIterator<(AccountId, i64)> for StoredBytes {
    fn from_iter<I: IntoIterator<Item = (AccountId, i64)>>(changes: I) -> Self {
        let mut all = BTreeMap::new();
        for (account, change) in changes {
            *all.entry(account).or_default() += change;
        }
        Self(all)
    }
}

impl StoredBytes {
    /// In the order of accounts, so that no two transactions wait for each other.
    async fn write(self, tx: &mut Tx) -> SqlResult<()> {
        const PUT: InsertRows = InsertRows {
            table: "stored_bytes",
            columns: &[("account_id", Type::Int), ("bytes", Type::Int)],
            then: "ON CONFLICT (account_id)
                DO UPDATE SET bytes = stored_bytes.bytes + excluded.bytes",
        };
        let rows: Vec<Vec<Param<'_>>> = self
            .0
            .into_iter()
            .map(|(account, bytes)| vec![account.0.into(), bytes.into()])
            .collect();
        tx.insert(&PUT, &rows).await.map(drop)
    }
}
