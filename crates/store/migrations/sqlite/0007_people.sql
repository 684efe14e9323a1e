-- The people of the dashboard. Operators belong to no account and have no role.
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id INTEGER,
    role TEXT,
    email TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX users_of_account ON users (account_id, id);

-- Who has signed in, by the hash of the cookie.
CREATE TABLE logins (
    hash BLOB PRIMARY KEY,
    user_id INTEGER NOT NULL,
    entered INTEGER,
    created_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;

-- One-time links by their hash: they make a person (account and role; neither for an operator), or
-- sign one in.
CREATE TABLE links (
    hash BLOB PRIMARY KEY,
    user_id INTEGER,
    account_id INTEGER,
    role TEXT,
    expires_at INTEGER NOT NULL
) WITHOUT ROWID;
