-- How many messages of each hour there are, by what became of them; those that wait are not counted yet. `hour` counts
-- from 1970. Rows stay when their messages are deleted one by one, and go when they are as old.
CREATE TABLE message_hours (
    account_id INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    direction TEXT NOT NULL,
    state TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (account_id, hour, device_id, direction, state)
) WITHOUT ROWID;
CREATE INDEX message_hours_by_age ON message_hours (hour);
INSERT INTO message_hours (account_id, hour, device_id, direction, state, count)
    SELECT account_id, created_at / 3600000, device_id, direction, state, count(*) FROM messages
    GROUP BY account_id, created_at / 3600000, device_id, direction, state;
