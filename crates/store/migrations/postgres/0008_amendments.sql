-- Edits and deletions of messages that have not come yet.
CREATE TABLE amendments (
    device_id TEXT COLLATE "C" NOT NULL,
    whatsapp_id TEXT COLLATE "C" NOT NULL,
    author_key TEXT COLLATE "C" NOT NULL,
    change TEXT COLLATE "C" NOT NULL,
    chat TEXT COLLATE "C" NOT NULL,
    author TEXT COLLATE "C",
    text TEXT COLLATE "C",
    at BIGINT NOT NULL,
    PRIMARY KEY (device_id, whatsapp_id, author_key, change)
);
