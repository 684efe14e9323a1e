-- Numbers that WhatsApp knows by another spelling, as a device has learnt: that one has the chat.
CREATE TABLE spellings (
    device_id TEXT NOT NULL,
    spelling TEXT NOT NULL,
    phone TEXT NOT NULL,
    PRIMARY KEY (device_id, spelling)
) WITHOUT ROWID;
