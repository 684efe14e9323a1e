-- What the waiting messages of an account hold in bytes: their texts, and the files that came with
-- them.
ALTER TABLE usage ADD COLUMN text_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN file_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE usage SET text_bytes = held.bytes
    FROM (SELECT account_id, sum(octet_length(text)) AS bytes FROM outbox GROUP BY account_id) AS held
    WHERE held.account_id = usage.account_id;
UPDATE usage SET file_bytes = held.bytes
    FROM (SELECT account_id, sum(octet_length(bytes)) AS bytes
          FROM inline_media JOIN outbox ON outbox.id = inline_media.message_id GROUP BY account_id) AS held
    WHERE held.account_id = usage.account_id;

-- How many messages there are; the state of those in the outbox is 'waiting'.
CREATE TABLE message_counts (
    account_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (account_id, device_id, direction, state)
) WITHOUT ROWID;
INSERT INTO message_counts (account_id, device_id, direction, state, count)
    SELECT account_id, device_id, 'out', 'waiting', count(*) FROM outbox
    GROUP BY account_id, device_id;
INSERT INTO message_counts (account_id, device_id, direction, state, count)
    SELECT account_id, device_id, direction, state, count(*) FROM messages
    GROUP BY account_id, device_id, direction, state;

-- Events that go to several webhooks, once each; their deliveries name them in `event_id`.
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER NOT NULL,
    event TEXT NOT NULL
);
ALTER TABLE deliveries ADD COLUMN event_id INTEGER;
CREATE INDEX deliveries_of_event ON deliveries (event_id) WHERE event_id IS NOT NULL;
