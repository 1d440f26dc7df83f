-- What was decided about which target should answer, and why, as JSON.
ALTER TABLE exchanges ADD COLUMN decisions TEXT;
