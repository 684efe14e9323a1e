-- The processes that share this database: at most one here.
CREATE TABLE nodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    url TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- How many devices a second it hands over; 0 while it is not drained.
    draining INTEGER NOT NULL DEFAULT 0,
    capacity INTEGER NOT NULL,
    version TEXT NOT NULL
);

-- Which node runs a device or posts to a webhook; every claim raises the epoch, every change of settings
-- the revision.
ALTER TABLE devices ADD COLUMN owner_node INTEGER;
ALTER TABLE devices ADD COLUMN owner_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE INDEX devices_of_node ON devices (owner_node);
ALTER TABLE webhooks ADD COLUMN owner_node INTEGER;
ALTER TABLE webhooks ADD COLUMN owner_epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
CREATE INDEX webhooks_of_node ON webhooks (owner_node) WHERE disabled IS NULL;

-- The newest message that the account has accepted: its ids grow in the order of commits.
ALTER TABLE usage ADD COLUMN last_id INTEGER NOT NULL DEFAULT 0;
