-- Forms of the dashboard that were acted on: hashes, and the node that has the answer. No account owns them.
CREATE TABLE sent_forms (
    form BYTEA PRIMARY KEY,
    node_id BIGINT,
    sent_at BIGINT NOT NULL
);
CREATE INDEX sent_forms_by_age ON sent_forms (sent_at);
