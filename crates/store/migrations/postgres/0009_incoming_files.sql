-- Files that came in: what each is fetched by, and where it is. The bytes are in the media store.
CREATE TABLE incoming_files (
    message_id BIGINT PRIMARY KEY,
    account_id BIGINT NOT NULL,
    device_id TEXT COLLATE "C" NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    reason TEXT,
    reference BYTEA,
    size BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    due_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX incoming_files_pending ON incoming_files (account_id, due_at) WHERE state = 'pending';
CREATE INDEX incoming_files_of_account ON incoming_files (account_id);
CREATE INDEX incoming_files_of_device ON incoming_files (device_id);
CREATE INDEX incoming_files_kept ON incoming_files (created_at)
    WHERE state IN ('pending', 'stored', 'on_demand');
