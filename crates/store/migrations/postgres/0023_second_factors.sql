-- What people sign in with beside the password: the sealed secret of an app, the step of the last code that was
-- used, and the hashes of the recovery codes that were not.
CREATE TABLE second_factors (
    user_id BIGINT PRIMARY KEY,
    secret BYTEA NOT NULL,
    last_step BIGINT NOT NULL,
    recovery BYTEA NOT NULL
);
