-- contracts: a release that does not know it would send again what has been sent with one of these keys.
-- Only SQLite has rows here: several nodes accept into this database, and find each other's keys in `idempotency`.
CREATE TABLE recent_keys (
    id BIGINT PRIMARY KEY,
    account_id BIGINT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    request_hash BYTEA NOT NULL,
    message_ids TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
