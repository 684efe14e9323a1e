-- Links to the page of one device, by the hash of their secret.
CREATE TABLE portal_links (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hash BLOB NOT NULL UNIQUE,
    account_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    may TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
);
CREATE INDEX portal_links_of_device ON portal_links (device_id, id);
CREATE INDEX portal_links_of_account ON portal_links (account_id);

-- Who changed what; what concerns no account alone has none.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    subject TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX audit_of_account ON audit (account_id, id);
CREATE INDEX audit_by_time ON audit (at);
