-- contracts: a release that does not know it would send again what has been sent with one of these keys.
-- Idempotency keys in the order in which they came, by the id of the first message of each. A new key changes the
-- last page of this table, where one of `idempotency` changes a page anywhere.
CREATE TABLE recent_keys (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    message_ids TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
