-- What is known of chats beside their messages: after how many seconds these disappear, and whether the device may
-- write there.
ALTER TABLE chats ADD COLUMN ephemeral_s INTEGER;
ALTER TABLE chats ADD COLUMN can_send INTEGER;

-- The people that devices have exchanged messages with or have met in groups; `chat` is the number or the LID.
CREATE TABLE people_known (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    chat TEXT NOT NULL,
    name TEXT,
    UNIQUE (device_id, chat)
);
CREATE INDEX people_known_of_account ON people_known (account_id, id);
INSERT INTO people_known (account_id, device_id, chat, name)
    SELECT account_id, device_id, chat, name FROM chats
    WHERE chat LIKE '%@s.whatsapp.net' OR chat LIKE '%@lid' ORDER BY last_message_id;
