//! The protocol state of every device, opaque here.

use std::collections::BTreeMap;

use domain::ids::DeviceId;
use domain::ports::ProtocolWrite;

use crate::fence;
use crate::sql::{InsertRows, Param, Row, SqlResult, Tx, Type, params, to_json};

const PUT: InsertRows = InsertRows {
    table: "session",
    columns: &[
        ("device_id", Type::Text),
        ("space", Type::Text),
        ("key", Type::Text),
        ("value", Type::Blob),
    ],
    then: "ON CONFLICT (device_id, space, key) DO UPDATE SET value = excluded.value",
};

pub(crate) async fn get(
    tx: &mut Tx,
    device: DeviceId,
    space: &'static str,
    key: String,
) -> SqlResult<Option<Vec<u8>>> {
    const SELECT: &str =
        "SELECT value FROM session WHERE device_id = $1 AND space = $2 AND key = $3";
    let row = tx.query_one(SELECT, params![&device.to_string(), space, &key]).await?;
    row.map(|mut row| row.blob()).transpose()
}

pub(crate) async fn get_many(
    tx: &mut Tx,
    device: DeviceId,
    space: &'static str,
    keys: Vec<String>,
) -> SqlResult<Vec<(String, Vec<u8>)>> {
    const SELECT: &str = "SELECT key, value FROM session WHERE device_id = $1 AND space = $2
        AND key IN (SELECT value FROM json_rows($3)) ORDER BY key";
    let (device, keys) = (device.to_string(), to_json(&keys)?);
    pairs(tx.query(SELECT, params![&device, space, &keys]).await?)
}

/// A prefix is a range of keys; both databases compare them byte by byte. No key holds U+10FFFF.
pub(crate) async fn scan(
    tx: &mut Tx,
    device: DeviceId,
    space: &'static str,
    prefix: String,
) -> SqlResult<Vec<(String, Vec<u8>)>> {
    const SELECT: &str = "SELECT key, value FROM session WHERE device_id = $1 AND space = $2
        AND key >= $3 AND key < $4 ORDER BY key";
    let (device, end) = (device.to_string(), format!("{prefix}\u{10FFFF}"));
    pairs(tx.query(SELECT, params![&device, space, &prefix, &end]).await?)
}

fn pairs(rows: Vec<Row>) -> SqlResult<Vec<(String, Vec<u8>)>> {
    rows.into_iter().map(|mut row| Ok((row.text()?, row.blob()?))).collect()
}

/// Writes nothing for a device that has been erased meanwhile.
pub(crate) async fn write(
    tx: &mut Tx,
    device: DeviceId,
    writes: Vec<ProtocolWrite>,
) -> SqlResult<()> {
    const DELETE: &str = "DELETE FROM session WHERE device_id = $1 AND space = $2
        AND key IN (SELECT value FROM json_rows($3))";
    // Kept until the end: a device is erased together with what was written before.
    if !fence::lock(tx, device).await? {
        return Ok(());
    }
    let device = device.to_string();
    let mut last: BTreeMap<(&str, &str), Option<&[u8]>> = BTreeMap::new();
    for write in &writes {
        last.insert((write.space, &write.key), write.value.as_deref());
    }
    let mut puts = Vec::with_capacity(last.len());
    let mut removals: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for ((space, key), value) in last {
        match value {
            Some(value) => puts.push(vec![
                Param::from(&device),
                Param::from(space),
                Param::from(key),
                Param::from(value),
            ]),
            None => removals.entry(space).or_default().push(key),
        }
    }
    tx.insert(&PUT, &puts).await?;
    for (space, keys) in removals {
        tx.execute(DELETE, params![&device, space, &to_json(&keys)?]).await?;
    }
    Ok(())
}

pub(crate) async fn clear(tx: &mut Tx, device: DeviceId) -> SqlResult<()> {
    const DELETE: &str = "DELETE FROM session WHERE device_id = $1";
    fence::check(tx, [device]).await?;
    tx.execute(DELETE, params![&device.to_string()]).await.map(drop)
}
