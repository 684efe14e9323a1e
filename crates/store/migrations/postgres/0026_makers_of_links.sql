-- The person who made a link: it goes when the person is removed.
ALTER TABLE links ADD COLUMN made_by BIGINT;
