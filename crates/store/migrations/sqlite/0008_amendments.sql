-- Edits and deletions of messages that have not come yet.
CREATE TABLE amendments (
    device_id TEXT NOT NULL,
    whatsapp_id TEXT NOT NULL,
    author_key TEXT NOT NULL,
    change TEXT NOT NULL,
    chat TEXT NOT NULL,
    author TEXT,
    text TEXT,
    at INTEGER NOT NULL,
    PRIMARY KEY (device_id, whatsapp_id, author_key, change)
) WITHOUT ROWID;
