-- The tries of a delivery, the newest first: one JSON object a line.
ALTER TABLE deliveries ADD COLUMN tries TEXT NOT NULL DEFAULT '';
