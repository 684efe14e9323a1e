-- contracts: a release that does not know it would send empty files.
-- Files that came with requests are in the media store under these names, and their rows hold no bytes. Those that an
-- earlier release has accepted have their bytes here, and no name.
ALTER TABLE inline_media ADD COLUMN blob_key TEXT COLLATE "C";
ALTER TABLE inline_media ADD COLUMN size BIGINT;
ALTER TABLE inline_media ADD COLUMN sha256 BYTEA;
CREATE INDEX inline_media_in_blobs ON inline_media (blob_key) WHERE blob_key IS NOT NULL;
