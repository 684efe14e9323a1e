-- Files that came in: what each is fetched by, and where it is. The bytes are in the media store.
CREATE TABLE incoming_files (
    message_id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    reference BLOB,
    size INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX incoming_files_pending ON incoming_files (account_id, due_at) WHERE state = 'pending';
CREATE INDEX incoming_files_of_account ON incoming_files (account_id);
CREATE INDEX incoming_files_of_device ON incoming_files (device_id);
CREATE INDEX incoming_files_kept ON incoming_files (created_at)
    WHERE state IN ('pending', 'stored', 'on_demand');
