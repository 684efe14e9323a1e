-- How a phone lists a device (JSON), and the proxy through which it reaches WhatsApp (encrypted).
ALTER TABLE devices ADD COLUMN shown_as TEXT;
ALTER TABLE devices ADD COLUMN proxy BYTEA;
