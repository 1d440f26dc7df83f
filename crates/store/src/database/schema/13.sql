-- Whether an answer that ended well declines or says nothing; NULL when that is not known.
ALTER TABLE attempts ADD COLUMN declined INTEGER;

-- Which exchanges the evidence has counted lately: what is counted from the record after a crash has not been counted before.
ALTER TABLE evidence ADD COLUMN lately BLOB NOT NULL DEFAULT x'';
