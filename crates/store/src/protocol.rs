//! The protocol state of every device, opaque here.

use std::collections::{BTreeMap, BTreeSet};

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

/// Changes of one device, to be applied all or none.
pub(crate) struct Changes {
    pub(crate) device: DeviceId,
    pub(crate) writes: Vec<ProtocolWrite>,
}

impl Changes {
    /// How many bytes they write.
    pub(crate) fn bytes(&self) -> usize {
        self.writes.iter().filter_map(|write| write.value.as_ref()).map(Vec::len).sum()
    }
}

pub(crate) async fn write(
    tx: &mut Tx,
    device: DeviceId,
    writes: Vec<ProtocolWrite>,
) -> SqlResult<()> {
    write_group(tx, &[Changes { device, writes }]).await.map(drop)
}

/// Applies changes of many devices in their order. Writes nothing for a device that has been erased meanwhile.
pub(crate) async fn write_group(tx: &mut Tx, group: &[Changes]) -> SqlResult<Vec<()>> {
    const DELETE: &str = "DELETE FROM session WHERE device_id = $1 AND space = $2
        AND key IN (SELECT value FROM json_rows($3))";
    let devices: BTreeSet<DeviceId> = group.iter().map(|changes| changes.device).collect();
    let mut names: BTreeMap<DeviceId, String> = BTreeMap::new();
    for device in devices {
        // Kept until the end: a device is erased together with what was written before.
        if fence::lock(tx, device).await? {
            names.insert(device, device.to_text());
        }
    }
    let mut last: BTreeMap<(&str, &str, &str), Option<&[u8]>> = BTreeMap::new();
    for Changes { device, writes } in group {
        let Some(device) = names.get(device) else { continue };
        for write in writes {
            last.insert((device, write.space, &write.key), write.value.as_deref());
        }
    }
    let mut puts = Vec::with_capacity(last.len());
    let mut removals: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for ((device, space, key), value) in last {
        match value {
            Some(value) => puts.push(vec![
                Param::from(device),
                Param::from(space),
                Param::from(key),
                Param::from(value),
            ]),
            None => removals.entry((device, space)).or_default().push(key),
        }
    }
    tx.insert(&PUT, &puts).await?;
    for ((device, space), keys) in removals {
        tx.execute(DELETE, params![device, space, &to_json(&keys)?]).await?;
    }
    Ok(vec![(); group.len()])
}

pub(crate) async fn clear(tx: &mut Tx, device: DeviceId) -> SqlResult<()> {
    const DELETE: &str = "DELETE FROM session WHERE device_id = $1";
    fence::check(tx, [device]).await?;
    tx.execute(DELETE, params![&device.to_string()]).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{block_on, memory};
    use uuid::Uuid;

    const TABLES: &str = "
        CREATE TABLE devices (id TEXT PRIMARY KEY, owner_epoch BIGINT NOT NULL);
        INSERT INTO devices VALUES ('00000000-0000-0000-0000-000000000001', 0);
        INSERT INTO devices VALUES ('00000000-0000-0000-0000-000000000002', 0);
        CREATE TABLE session (device_id TEXT, space TEXT, key TEXT, value BLOB NOT NULL,
            PRIMARY KEY (device_id, space, key))";

    #[test]
    fn of_changes_that_share_a_commit_the_last_one_counts() {
        let mut tx = memory();
        block_on(tx.script(TABLES)).unwrap();
        let [one, two, erased] = [1, 2, 3].map(|n| DeviceId(Uuid::from_u128(n)));
        let change = |device, key: &str, value: Option<&str>| Changes {
            device,
            writes: vec![ProtocolWrite {
                space: "s",
                key: key.to_owned(),
                value: value.map(|value| value.as_bytes().to_vec()),
            }],
        };
        let group = [
            change(one, "twice", Some("1")),
            change(two, "twice", Some("of another")),
            change(erased, "twice", Some("of none")),
            change(one, "gone", Some("1")),
            change(one, "back", None),
            change(one, "twice", Some("2")),
            change(one, "gone", None),
            change(one, "back", Some("3")),
        ];
        assert_eq!(group[1].bytes() + group[4].bytes(), "of another".len());
        let done = block_on(write_group(&mut tx, &group)).unwrap();
        assert_eq!(done.len(), group.len(), "each caller is answered");
        let mut kept = |device| block_on(scan(&mut tx, device, "s", String::new())).unwrap();
        let entry = |key: &str, value: &str| (key.to_owned(), value.as_bytes().to_vec());
        assert_eq!(kept(one), [entry("back", "3"), entry("twice", "2")]);
        assert_eq!(kept(two), [entry("twice", "of another")]);
        assert!(kept(erased).is_empty());
    }
}
