-- number: the telephone number as an integer; device 0 is the phone, 1.. its linked devices.
-- *_ms: milliseconds since 1970.

CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- Phones whose settings were changed; every other number has the defaults.
CREATE TABLE IF NOT EXISTS phones (
    number        INTEGER PRIMARY KEY,
    registered    INTEGER NOT NULL DEFAULT 1,
    online        INTEGER NOT NULL DEFAULT 1,
    auto_receipts INTEGER NOT NULL DEFAULT 2,  -- 0 none, 1 delivered, 2 read
    passkey       INTEGER NOT NULL DEFAULT 0,
    passkey_key   TEXT NOT NULL DEFAULT '',    -- the account's passkey (JSON); empty when any counts
    by_lid        INTEGER NOT NULL DEFAULT 0,  -- others see its LID first
    answers_as    INTEGER NOT NULL DEFAULT 0,  -- another spelling of the account, or 0
    generation    INTEGER NOT NULL DEFAULT 0,  -- how often it was reinstalled
    recycled      INTEGER NOT NULL DEFAULT 0,  -- how many owners the number had before
    migrated      INTEGER NOT NULL DEFAULT 0,  -- the account addresses people by LID
    hidden        INTEGER NOT NULL DEFAULT 0,  -- others do not see its number
    ephemeral_s   INTEGER NOT NULL DEFAULT 0,  -- the timer of chats without one of their own
    bundle        INTEGER NOT NULL DEFAULT 0,  -- 0 normal, 1 no one-time key, 2 none, 3 refused
    next_device   INTEGER NOT NULL DEFAULT 1,
    seen_ms       INTEGER NOT NULL DEFAULT 0
);

-- Linked devices. `identity_proof` is the device's ADVSignedDeviceIdentity; `noise_key` is empty for
-- simulated companions, whose state is kept as a phone's under a number of their own.
CREATE TABLE IF NOT EXISTS devices (
    number         INTEGER NOT NULL,
    device         INTEGER NOT NULL,
    noise_key      BLOB NOT NULL,
    identity_key   BLOB NOT NULL,
    registration   INTEGER NOT NULL,
    skey_id        INTEGER NOT NULL,
    skey           BLOB NOT NULL,
    skey_signature BLOB NOT NULL,
    identity_proof BLOB NOT NULL,
    key_index      INTEGER NOT NULL,
    platform       TEXT NOT NULL,              -- the name that it gave itself
    client         TEXT NOT NULL DEFAULT '',   -- what kind of client it is, such as chrome
    language       TEXT NOT NULL DEFAULT '',   -- such as en-US
    push_name      TEXT NOT NULL DEFAULT '',
    keys_shared    INTEGER NOT NULL DEFAULT 0,
    dirty          INTEGER NOT NULL DEFAULT 0,  -- what it should ask for again: stanza::pings
    linked_ms      INTEGER NOT NULL,
    seen_ms        INTEGER NOT NULL,
    PRIMARY KEY (number, device)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS prekeys (
    number INTEGER NOT NULL,
    device INTEGER NOT NULL,
    id     INTEGER NOT NULL,
    key    BLOB NOT NULL,
    PRIMARY KEY (number, device, id)
) WITHOUT ROWID;

-- Signal sessions and sender keys of the phones (device 0 only; clients keep their own).
CREATE TABLE IF NOT EXISTS sessions (
    number      INTEGER NOT NULL,
    peer        INTEGER NOT NULL,
    peer_device INTEGER NOT NULL,
    record      BLOB NOT NULL,
    PRIMARY KEY (number, peer, peer_device)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS sender_keys (
    number      INTEGER NOT NULL,
    chat        TEXT NOT NULL,
    peer        INTEGER NOT NULL,
    peer_device INTEGER NOT NULL,
    record      BLOB NOT NULL,
    PRIMARY KEY (number, chat, peer, peer_device)
) WITHOUT ROWID;

-- Stanzas that their device has not acknowledged yet.
CREATE TABLE IF NOT EXISTS mail (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    number INTEGER NOT NULL,
    device INTEGER NOT NULL,
    class  TEXT NOT NULL,              -- message, receipt, notification
    id     TEXT NOT NULL,
    type   TEXT NOT NULL,
    stanza BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS mail_by_device ON mail (number, device, seq);
CREATE INDEX IF NOT EXISTS mail_by_id ON mail (number, device, id);

-- What phones have received: one row for each message id.
CREATE TABLE IF NOT EXISTS inbox (
    seq           INTEGER PRIMARY KEY AUTOINCREMENT,
    number        INTEGER NOT NULL,
    id            TEXT NOT NULL,
    sender        INTEGER NOT NULL,
    sender_device INTEGER NOT NULL,
    chat          TEXT NOT NULL,
    content       TEXT NOT NULL,       -- JSON of phone::content::Content
    at_ms         INTEGER NOT NULL,
    typing_ms     INTEGER NOT NULL,
    copies        INTEGER NOT NULL,
    state         INTEGER NOT NULL,    -- 1 arrived, 2 delivered (receipt sent), 3 read, 4 played
    message       BLOB,                -- encoded wa.Message, for linked devices that ask for it
    UNIQUE (number, id)
);
CREATE INDEX IF NOT EXISTS inbox_unread ON inbox (number, seq) WHERE state < 3;

-- What phones, or their linked devices, have sent.
CREATE TABLE IF NOT EXISTS sent (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    number  INTEGER NOT NULL,
    id      TEXT NOT NULL,
    device  INTEGER NOT NULL,          -- which device of the number sent it
    chat    TEXT NOT NULL,
    content TEXT NOT NULL,
    message BLOB,                      -- encoded wa.Message, for retries, when the phone sent it
    at_ms   INTEGER NOT NULL,
    state   INTEGER NOT NULL,          -- 1 sent, 2 delivered, 3 read, 4 played
    UNIQUE (number, id)
);

CREATE TABLE IF NOT EXISTS groups (
    id         TEXT PRIMARY KEY,       -- without @g.us
    subject    TEXT NOT NULL,
    creator    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    by_lid     INTEGER NOT NULL DEFAULT 0, -- members are known by their LIDs
    ephemeral_s INTEGER NOT NULL DEFAULT 0, -- the timer of its messages
    announcement INTEGER NOT NULL DEFAULT 0, -- only admins write
    community  INTEGER NOT NULL DEFAULT 0, -- it holds other groups, and no messages
    parent     TEXT,                   -- the community that it is a group of
    locked     INTEGER NOT NULL DEFAULT 0, -- only admins change its name and description
    description TEXT NOT NULL DEFAULT '',
    description_id TEXT NOT NULL DEFAULT '', -- a change names the one it replaces
    invite     TEXT NOT NULL DEFAULT '', -- the code of its link; none until somebody asks
    picture    BLOB                    -- its picture; none when it is empty
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS group_members (
    group_id TEXT NOT NULL,
    number   INTEGER NOT NULL,
    admin    INTEGER NOT NULL,
    PRIMARY KEY (group_id, number)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS groups_by_member ON group_members (number);

-- Who has given whom a token: the receiver may write to the giver also while strangers may not.
CREATE TABLE IF NOT EXISTS tokens (
    giver    INTEGER NOT NULL,
    receiver INTEGER NOT NULL,
    given_s  INTEGER NOT NULL,
    PRIMARY KEY (giver, receiver)
) WITHOUT ROWID;

-- The history that the next linked device of a phone gets: an encoded notification.
CREATE TABLE IF NOT EXISTS histories (
    number       INTEGER PRIMARY KEY,
    notification BLOB NOT NULL
);

-- The timers of chats between two numbers, as each of them knows it.
CREATE TABLE IF NOT EXISTS chat_timers (
    number      INTEGER NOT NULL,
    peer        INTEGER NOT NULL,
    ephemeral_s INTEGER NOT NULL,
    PRIMARY KEY (number, peer)
) WITHOUT ROWID;

-- App state: the collections of an account, their patches and their records.
CREATE TABLE IF NOT EXISTS app_state (
    number  INTEGER NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    hash    BLOB NOT NULL,
    PRIMARY KEY (number, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS app_state_patches (
    number  INTEGER NOT NULL,
    name    TEXT NOT NULL,
    version INTEGER NOT NULL,
    patch   BLOB NOT NULL,
    PRIMARY KEY (number, name, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS app_state_records (
    number    INTEGER NOT NULL,
    name      TEXT NOT NULL,
    index_mac BLOB NOT NULL,
    record    BLOB NOT NULL,
    PRIMARY KEY (number, name, index_mac)
) WITHOUT ROWID;
