-- Until when a device's number is banned: no login is tried before.
ALTER TABLE devices ADD COLUMN banned_until BIGINT;
