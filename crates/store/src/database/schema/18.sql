-- Of which targets a filed result is: the hash of both targets of its rollout when it was filed.
ALTER TABLE filed ADD COLUMN fingerprint TEXT;
