-- Who is who, as a device has learnt: a LID is one person's for ever, a number its present owner's.
CREATE TABLE identities (
    device_id TEXT NOT NULL,
    lid TEXT NOT NULL,
    phone TEXT NOT NULL,
    PRIMARY KEY (device_id, lid)
) WITHOUT ROWID;
CREATE UNIQUE INDEX identities_by_phone ON identities (device_id, phone);

-- What is known by LID only: found again when its number is learnt.
CREATE INDEX messages_of_lid_chat ON messages (device_id, chat) WHERE chat LIKE '%@lid';
CREATE INDEX messages_of_lid_sender ON messages (device_id, sender_key) WHERE sender_key LIKE '%@lid';

-- Until when WhatsApp lets the number write to no strangers.
ALTER TABLE devices ADD COLUMN restricted_until INTEGER;
