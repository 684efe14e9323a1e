-- The chats of devices, as lists show them.
CREATE TABLE chats (
    device_id TEXT NOT NULL,
    chat TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    name TEXT,
    last_message_id INTEGER NOT NULL,
    unread INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, chat)
) WITHOUT ROWID;
CREATE INDEX chats_of_account ON chats (account_id, last_message_id);
INSERT INTO chats (device_id, chat, account_id, last_message_id)
    SELECT messages.device_id, messages.chat, MAX(messages.account_id), MAX(messages.id)
    FROM messages INNER JOIN devices ON devices.id = messages.device_id
    GROUP BY messages.device_id, messages.chat;

-- What a device does with what comes in (JSON).
ALTER TABLE devices ADD COLUMN incoming TEXT;
