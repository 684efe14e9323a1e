-- How many bytes the files that came in take up in the media store, by account.
CREATE TABLE stored_bytes (
    account_id BIGINT PRIMARY KEY,
    bytes BIGINT NOT NULL
);
INSERT INTO stored_bytes (account_id, bytes)
    SELECT account_id, CAST(sum(size) AS BIGINT) FROM incoming_files
    WHERE state = 'stored' AND size IS NOT NULL GROUP BY account_id;
-- Those that an account has had longest.
CREATE INDEX incoming_files_stored ON incoming_files (account_id, due_at, message_id)
    WHERE state = 'stored';
