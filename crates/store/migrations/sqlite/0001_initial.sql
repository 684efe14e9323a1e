-- Times are milliseconds since 1970. Ids of devices are UUIDs as text.

CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('message_id', 0);

CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE plans (
    name TEXT PRIMARY KEY,
    device_limit INTEGER,
    messages_per_day INTEGER,
    messages_per_month INTEGER,
    requests_per_minute INTEGER,
    features TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    email TEXT NOT NULL UNIQUE,
    plan TEXT NOT NULL,
    default_country TEXT NOT NULL,
    timezone TEXT NOT NULL,
    created_at INTEGER NOT NULL
);

-- One row for each account: what it has used up, how many of its messages are in the outbox, and
-- whether it may have grants and webhooks.
CREATE TABLE usage (
    account_id INTEGER PRIMARY KEY,
    day INTEGER NOT NULL,
    day_used INTEGER NOT NULL,
    month INTEGER NOT NULL,
    month_used INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    has_grants INTEGER NOT NULL DEFAULT 0,
    has_webhooks INTEGER NOT NULL DEFAULT 0
);

-- Messages beside the plan's own: one row for an account (no device), one for each device.
CREATE TABLE grants (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    device_id TEXT,
    total INTEGER NOT NULL,
    used INTEGER NOT NULL,
    expires_at INTEGER
);
CREATE INDEX grants_of_account ON grants (account_id, id);

-- Those that were not redeemed yet, by the hash of their code.
CREATE TABLE vouchers (
    code BLOB PRIMARY KEY,
    messages INTEGER NOT NULL,
    valid_days INTEGER,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE devices (
    number_id INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    phone TEXT,
    lid TEXT,
    pacing TEXT,
    paired_at INTEGER,
    connected_at INTEGER,
    last_seen_at INTEGER,
    created_at INTEGER NOT NULL
);
CREATE INDEX devices_of_account ON devices (account_id, number_id);
CREATE INDEX devices_by_phone ON devices (account_id, phone);

CREATE TABLE keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    device_id TEXT UNIQUE,
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    last_four TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX keys_of_account ON keys (account_id, id);

-- Waiting messages. No further index: it is on the path of every acceptance. `day` and `month`
-- are those the message was charged in, `grant_id` the grant it was charged to, when not the plan.
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    chat TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    media TEXT,
    whatsapp_id TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    typing INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    expires_at INTEGER,
    retry_interval_s INTEGER,
    quota_kind TEXT,
    quota_remaining INTEGER,
    created_at INTEGER NOT NULL,
    history TEXT NOT NULL,
    is_scheduled INTEGER NOT NULL,
    day INTEGER NOT NULL,
    month INTEGER NOT NULL,
    grant_id INTEGER
);

-- Files that came with waiting messages.
CREATE TABLE inline_media (message_id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);

-- Messages that have left the outbox, and those that came in. `sender_key` is '' for those of
-- ours, else the sender's number or LID.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    chat TEXT NOT NULL,
    sender TEXT,
    sender_key TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    media TEXT,
    whatsapp_id TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    typing INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    expires_at INTEGER,
    retry_interval_s INTEGER,
    quota_kind TEXT,
    quota_remaining INTEGER,
    created_at INTEGER NOT NULL,
    history TEXT NOT NULL,
    is_scheduled INTEGER NOT NULL
);
CREATE INDEX messages_of_account ON messages (account_id, id);
CREATE INDEX messages_of_device ON messages (device_id, id);
CREATE INDEX messages_scheduled ON messages (account_id, id) WHERE is_scheduled = 1;
CREATE UNIQUE INDEX messages_on_whatsapp ON messages (device_id, whatsapp_id, sender_key);

-- `name` is the route, a line feed and the caller's key.
CREATE TABLE idempotency (
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    message_ids TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID;
CREATE INDEX idempotency_by_age ON idempotency (created_at);

-- The chats a device has written to.
CREATE TABLE contacts (
    device_id TEXT NOT NULL,
    chat TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    PRIMARY KEY (device_id, chat)
) WITHOUT ROWID;

-- Protocol state, opaque here.
CREATE TABLE session (
    device_id TEXT NOT NULL,
    space TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (device_id, space, key)
) WITHOUT ROWID;

-- URLs that receive events. `secret` is encrypted.
CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    device_id TEXT,
    url TEXT NOT NULL,
    format TEXT NOT NULL,
    events TEXT NOT NULL,
    secret BLOB NOT NULL,
    disabled TEXT,
    created_at INTEGER NOT NULL
);
CREATE INDEX webhooks_of_account ON webhooks (account_id, id);

-- Events on their way to webhooks, written with what caused them. Of one webhook, ids grow in the
-- order of events.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id INTEGER NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    last_status INTEGER,
    last_error TEXT,
    created_at INTEGER NOT NULL,
    ended_at INTEGER
);
CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id);
CREATE INDEX deliveries_pending ON deliveries (webhook_id, id) WHERE state = 'pending';
CREATE INDEX deliveries_by_end ON deliveries (state, ended_at) WHERE ended_at IS NOT NULL;
