-- What a key may do (a list of names; NULL: everything), the only device it is for where it is no device's token,
-- until when it is valid, and when it was last used.
ALTER TABLE keys ADD COLUMN scopes TEXT;
ALTER TABLE keys ADD COLUMN bound_to TEXT;
ALTER TABLE keys ADD COLUMN expires_at INTEGER;
ALTER TABLE keys ADD COLUMN last_used_at INTEGER;
