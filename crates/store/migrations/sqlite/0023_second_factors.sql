-- What people sign in with beside the password: the sealed secret of an app, the step of the last code that was
-- used, and the hashes of the recovery codes that were not.
CREATE TABLE second_factors (
    user_id INTEGER PRIMARY KEY,
    secret BLOB NOT NULL,
    last_step INTEGER NOT NULL,
    recovery BLOB NOT NULL
);
