-- What several processes on one database let each other know; unused where there is one.

-- What was changed that caches hold.
CREATE TABLE cache_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    what TEXT NOT NULL,
    at INTEGER NOT NULL
);
CREATE INDEX cache_changes_by_time ON cache_changes (at);

-- The requests that keys, devices and accounts may make in a minute, as far as nodes have taken them (JSON).
CREATE TABLE rate_windows (
    subject TEXT PRIMARY KEY,
    taken TEXT NOT NULL,
    at INTEGER NOT NULL
) WITHOUT ROWID;
