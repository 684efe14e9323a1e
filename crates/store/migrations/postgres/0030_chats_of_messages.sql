-- The messages of a chat are a page of their own.
CREATE INDEX messages_of_chat ON messages (account_id, chat, id);
-- With all that the change of a sender reads, or SQLite goes through the messages of the device instead.
DROP INDEX messages_of_lid_sender;
CREATE INDEX messages_of_lid_sender ON messages (device_id, sender_key, whatsapp_id)
    WHERE sender_key LIKE '%@lid';
