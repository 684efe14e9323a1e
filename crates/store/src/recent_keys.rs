//! The idempotency keys of the last day on SQLite: appended to a table, and found by an index in memory.
//!
//! The table `idempotency` is in the order of its keys, which is no order of time: each new one would change a page
//! of its own, which goes into the log and from there into the database. Appended, many share a page. This process,
//! the only one on its file, knows which row each of them has. What has no room in the index is written into
//! `idempotency`, as every key is on PostgreSQL, where other nodes accept for the same account.
//!
//! Invariants: the index leads to every row of `recent_keys` that holds, and a key that holds is in one of the two
//! tables alone. After a rollback, or with a deleted account, an entry may lead nowhere until the next start, or to the
//! row of another key: its key is written into `idempotency` when it comes again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use domain::ids::{AccountId, MessageId};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::messages::clean::{BATCH_ROWS_MAX, CleanupBatch};
use crate::messages::idempotency::forgotten_before;
use crate::rows::RowId;
use crate::sql::{ConnectionRole, Row, SqlResult, Tx, params};

/// Most keys in the index, which takes 9 MB then.
const KEYS_MAX: usize = 400_000;
/// Rows read at a time when the index is made.
const CHUNK_ROWS: i64 = 10_000;

/// Which rows the recent keys have: the ids of their first messages.
pub(crate) struct RecentKeys {
    /// Of two keys with the same hash the second has no row here.
    rows: HashMap<NameHash, MessageId>,
    keys_max: usize,
    /// Whether `idempotency` may hold keys, too. It holds none where a day's have room here.
    may_have_others: bool,
}

impl Default for RecentKeys {
    fn default() -> Self {
        Self::with_room_for(KEYS_MAX)
    }
}

impl RecentKeys {
    fn with_room_for(keys_max: usize) -> Self {
        Self { rows: HashMap::new(), keys_max, may_have_others: true }
    }

    /// The row that a key has, if it is in `recent_keys`.
    pub(crate) fn row(&self, name: NameHash) -> Option<MessageId> {
        self.rows.get(&name).copied()
    }

    /// Whether the row of a key is to be written into `recent_keys`: it is in the index from now on.
    pub(crate) fn takes(&mut self, name: NameHash, first: MessageId) -> bool {
        let has_room = self.rows.len() < self.keys_max;
        match self.rows.entry(name) {
            Entry::Vacant(free) if has_room => {
                free.insert(first);
                true
            }
            Entry::Vacant(_) | Entry::Occupied(_) => {
                self.may_have_others = true;
                false
            }
        }
    }

    /// Whether keys are to be sought in `idempotency`, too.
    pub(crate) fn may_have_others(&self) -> bool {
        self.may_have_others
    }

    /// A transaction was rolled back, which may have deleted those of the other table.
    pub(crate) fn expect_others(&mut self) {
        self.may_have_others = true;
    }

    /// The row of a key is deleted.
    fn forget(&mut self, StoredKey { row, account, name }: &StoredKey) {
        if let Entry::Occupied(entry) = self.rows.entry(NameHash::of(*account, name))
            && entry.get() == row
        {
            entry.remove();
        }
    }
}

/// A hash of the account and the name of a key: the same at every start, so that no two rows of `recent_keys` ever
/// share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct NameHash(u64);

impl NameHash {
    pub(crate) fn of(account: AccountId, name: &str) -> Self {
        let hash = Sha256::new().chain_update(account.0.to_be_bytes()).chain_update(name);
        let digest: [u8; 32] = hash.finalize().into();
        Self(digest.first_chunk().map_or(0, |first| u64::from_be_bytes(*first)))
    }
}

/// What the index needs of a row of `recent_keys`.
struct StoredKey {
    row: MessageId,
    account: AccountId,
    name: String,
}

fn key_from(row: &mut Row) -> SqlResult<StoredKey> {
    Ok(StoredKey { row: MessageId(row.int()?), account: AccountId(row.int()?), name: row.text()? })
}

impl Tx {
    /// The index, on the connection that has it: SQLite's that writes.
    pub(crate) fn recent_keys(&mut self) -> Option<&mut RecentKeys> {
        match &mut self.link {
            ConnectionRole::Sqlite(link) => link.recent_keys.as_mut(),
            ConnectionRole::Postgres(_) => None,
        }
    }
}

/// Makes the index of what is stored, on the connection of SQLite that writes.
pub(crate) async fn load(tx: &mut Tx) -> SqlResult<()> {
    const SELECT: &str = "SELECT id, account_id, name FROM recent_keys
        WHERE id > $1 ORDER BY id LIMIT $2";
    let mut keys = RecentKeys::default();
    let mut last = i64::MIN;
    loop {
        let rows = tx.query(SELECT, params![last, CHUNK_ROWS]).await?;
        let Some(RowId::Int(number)) = rows.last().map(Row::id) else { break };
        last = number;
        for StoredKey { row, account, name } in tx.readable("idempotency", rows, key_from) {
            keys.rows.insert(NameHash::of(account, &name), row);
        }
    }
    if let ConnectionRole::Sqlite(link) = &mut tx.link {
        link.recent_keys = Some(keys);
    }
    look_for_others(tx).await
}

/// Deletes a batch of the keys that hold no longer. Those from the future, from when the clock was ahead, would be the
/// oldest ones until then, and keep all others: they are skipped.
pub(crate) async fn clean_up(tx: &mut Tx, now: Timestamp) -> SqlResult<CleanupBatch> {
    const DELETE: &str = "DELETE FROM recent_keys WHERE created_at <= $1
        AND id IN (SELECT id FROM recent_keys WHERE created_at <= $3 ORDER BY id LIMIT $2)
        RETURNING id, account_id, name";
    let rows = tx.query(DELETE, params![forgotten_before(now), BATCH_ROWS_MAX, now]).await?;
    let batch = CleanupBatch::of(u64::try_from(rows.len()).unwrap_or(u64::MAX));
    let deleted = tx.readable("idempotency", rows, key_from);
    if let Some(keys) = tx.recent_keys() {
        deleted.iter().for_each(|key| keys.forget(key));
    }
    Ok(batch)
}

/// Looks whether the other table holds keys.
pub(crate) async fn look_for_others(tx: &mut Tx) -> SqlResult<()> {
    const ANY: &str = "SELECT account_id FROM idempotency LIMIT 1";
    let has_others = tx.query_one(ANY, &[]).await?.is_some();
    if let Some(keys) = tx.recent_keys() {
        keys.may_have_others = has_others;
    }
    Ok(())
}

/// Moves all keys into the table that PostgreSQL has them in.
pub(crate) async fn merge(tx: &mut Tx) -> SqlResult<()> {
    const MERGE: &str = "BEGIN;
        INSERT INTO idempotency (account_id, name, request_hash, message_ids, created_at)
            SELECT account_id, name, request_hash, message_ids, created_at FROM recent_keys
            WHERE TRUE ORDER BY id
            ON CONFLICT (account_id, name) DO UPDATE SET
                request_hash = excluded.request_hash, message_ids = excluded.message_ids,
                created_at = excluded.created_at
                WHERE excluded.created_at > idempotency.created_at;
        DELETE FROM recent_keys;
        COMMIT;";
    tx.script(MERGE).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::migrate;
    use crate::sqlite::{MIGRATIONS, block_on, memory};

    const ONE: AccountId = AccountId(1);
    const TWO: AccountId = AccountId(2);
    const TIMES: [&str; 3] =
        ["2026-01-01T00:00:00Z", "2026-01-01T06:00:00Z", "2026-01-02T00:00:00Z"];

    fn row(id: i64, account: AccountId, name: &str) -> StoredKey {
        StoredKey { row: MessageId(id), account, name: name.to_owned() }
    }

    #[test]
    fn a_key_has_one_row_and_what_has_no_room_is_written_elsewhere() {
        let mut keys = RecentKeys::with_room_for(2);
        let [one_a, two_a, one_b] =
            [(ONE, "a"), (TWO, "a"), (ONE, "b")].map(|(account, name)| NameHash::of(account, name));
        assert!(keys.takes(one_a, MessageId(1)));
        assert!(!keys.takes(one_a, MessageId(2)), "it may be another key with the same hash");
        assert!(keys.takes(two_a, MessageId(3)));
        assert!(!keys.takes(one_b, MessageId(4)), "no room");
        assert_eq!(keys.row(one_a), Some(MessageId(1)));
        assert_eq!(keys.row(two_a), Some(MessageId(3)));
        assert_eq!(keys.row(one_b), None);
        // The row of another key, to which an entry led after a rollback.
        keys.forget(&row(9, ONE, "a"));
        assert_eq!(keys.row(one_a), Some(MessageId(1)));
        keys.forget(&row(1, ONE, "a"));
        assert!(keys.takes(one_b, MessageId(5)));
        assert_eq!((keys.row(one_a), keys.row(one_b)), (None, Some(MessageId(5))));
    }

    /// A database with the keys `k1` to `k3` of one account, used at these times.
    fn database() -> Tx {
        let mut tx = memory();
        block_on(migrate(&mut tx, MIGRATIONS)).unwrap();
        let insert = "INSERT INTO recent_keys
            (id, account_id, name, request_hash, message_ids, created_at)
            VALUES ($1, 1, $2, x'', '[]', $3)";
        for (id, at) in (1_i64..).zip(TIMES) {
            let (name, at) = (format!("k{id}"), at.parse::<Timestamp>().unwrap());
            block_on(tx.execute(insert, params![id, &name, at])).unwrap();
        }
        block_on(load(&mut tx)).unwrap();
        tx
    }

    fn rows(tx: &mut Tx) -> [Option<MessageId>; 3] {
        let keys = tx.recent_keys().unwrap();
        ["k1", "k2", "k3"].map(|name| keys.row(NameHash::of(ONE, name)))
    }

    #[test]
    fn the_other_table_is_searched_when_it_may_hold_keys() {
        let mut tx = database();
        let may_have_others =
            |tx: &mut Tx| tx.recent_keys().map(|keys| keys.may_have_others()).unwrap();
        assert!(!may_have_others(&mut tx), "it is empty");
        let again = NameHash::of(ONE, "k1");
        assert!(!tx.recent_keys().unwrap().takes(again, MessageId(9)));
        assert!(may_have_others(&mut tx), "it goes there");
        block_on(look_for_others(&mut tx)).unwrap();
        assert!(!may_have_others(&mut tx), "it did not");
        tx.recent_keys().unwrap().expect_others();
        assert!(may_have_others(&mut tx));
        let insert = "INSERT INTO idempotency
            (account_id, name, request_hash, message_ids, created_at) VALUES (1, 'a', x'', '[]', 0)";
        block_on(tx.execute(insert, &[])).unwrap();
        block_on(look_for_others(&mut tx)).unwrap();
        assert!(may_have_others(&mut tx));
    }

    #[test]
    fn the_index_follows_the_table() {
        let mut tx = database();
        assert_eq!(rows(&mut tx), [Some(MessageId(1)), Some(MessageId(2)), Some(MessageId(3))]);
        let batch = block_on(clean_up(&mut tx, "2026-01-02T03:00:00Z".parse().unwrap())).unwrap();
        assert_eq!((batch.rows, batch.has_more), (1, false));
        assert_eq!(rows(&mut tx), [None, Some(MessageId(2)), Some(MessageId(3))]);
        block_on(load(&mut tx)).unwrap();
        assert_eq!(rows(&mut tx), [None, Some(MessageId(2)), Some(MessageId(3))]);
    }

    #[test]
    fn keys_from_the_future_keep_no_others() {
        let mut tx = database();
        // A whole batch of them is in front.
        let insert = "INSERT INTO recent_keys
            (id, account_id, name, request_hash, message_ids, created_at)
            WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
            SELECT -i, 1, 'f' || i, x'', '[]', 4000000000000 FROM n";
        block_on(tx.execute(insert, &[])).unwrap();
        let batch = block_on(clean_up(&mut tx, "2026-01-02T03:00:00Z".parse().unwrap())).unwrap();
        assert_eq!((batch.rows, batch.has_more), (1, false));
        assert_eq!(rows(&mut tx), [None, Some(MessageId(2)), Some(MessageId(3))]);
    }

    #[test]
    fn merged_keys_replace_older_ones_only() {
        let mut tx = database();
        let insert = "INSERT INTO idempotency
            (account_id, name, request_hash, message_ids, created_at)
            VALUES (1, $1, x'', '[9]', $2)";
        for (name, at) in [("k1", "2026-01-01T01:00:00Z"), ("k2", "2025-12-01T00:00:00Z")] {
            let at: Timestamp = at.parse().unwrap();
            block_on(tx.execute(insert, params![name, at])).unwrap();
        }
        block_on(merge(&mut tx)).unwrap();
        let select = "SELECT name, message_ids FROM idempotency ORDER BY name";
        let found = block_on(tx.query(select, &[])).unwrap();
        let found: Vec<(String, String)> =
            found.into_iter().map(|mut row| (row.text().unwrap(), row.text().unwrap())).collect();
        let expected = [("k1", "[9]"), ("k2", "[]"), ("k3", "[]")];
        assert_eq!(found, expected.map(|(name, ids)| (name.to_owned(), ids.to_owned())));
        let left = block_on(tx.query("SELECT id FROM recent_keys", &[])).unwrap();
        assert!(left.is_empty());
    }
}
