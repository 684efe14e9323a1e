-- expands
-- Whom an edit mentions; NULL for those that an earlier release keeps.
ALTER TABLE amendments ADD COLUMN mentions TEXT;
