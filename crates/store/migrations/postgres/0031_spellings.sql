-- Numbers that WhatsApp knows by another spelling, as a device has learnt: that one has the chat.
CREATE TABLE spellings (
    device_id TEXT COLLATE "C" NOT NULL,
    spelling TEXT COLLATE "C" NOT NULL,
    phone TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (device_id, spelling)
);
