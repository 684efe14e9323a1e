-- The messages of a chat are a page of their own.
CREATE INDEX messages_of_chat ON messages (account_id, chat, id);
-- With all that the change of a sender reads, or SQLite goes through the messages of the device instead.
DROP INDEX messages_of_lid_sender;
CREATE INDEX messages_of_lid_sender ON messages (device_id, sender_key, whatsapp_id)
    WHERE sender_key LIKE '%@lid';
-- What a large installation has, so that the indexes are chosen for it: rows, then how many of them share the
-- first column, the first two, ... Without, SQLite reads a device's messages in the order of their ids where one
-- is wanted by WhatsApp's.
PRAGMA analysis_limit = 10;
ANALYZE messages;
DELETE FROM sqlite_stat1 WHERE tbl = 'messages';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('messages', 'messages_of_account', '5000000 50000 1'),
    ('messages', 'messages_of_device', '5000000 5000 1'),
    ('messages', 'messages_of_chat', '5000000 50000 100 1'),
    ('messages', 'messages_on_whatsapp', '5000000 5000 1 1'),
    ('messages', 'messages_scheduled', '50000 500 1'),
    ('messages', 'messages_of_lid_chat', '50000 50 10'),
    ('messages', 'messages_of_lid_sender', '50000 50 10 1');
ANALYZE sqlite_schema;
