-- The chats of devices, as lists show them.
CREATE TABLE chats (
    device_id TEXT COLLATE "C" NOT NULL,
    chat TEXT COLLATE "C" NOT NULL,
    account_id BIGINT NOT NULL,
    name TEXT,
    last_message_id BIGINT NOT NULL,
    unread BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, chat)
);
CREATE INDEX chats_of_account ON chats (account_id, last_message_id);
INSERT INTO chats (device_id, chat, account_id, last_message_id)
    SELECT messages.device_id, messages.chat, MAX(messages.account_id), MAX(messages.id)
    FROM messages INNER JOIN devices ON devices.id = messages.device_id
    GROUP BY messages.device_id, messages.chat;

-- What a device does with what comes in (JSON).
ALTER TABLE devices ADD COLUMN incoming TEXT;
