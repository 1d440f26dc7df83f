-- For what a provider keeps (files, batches …), what was asked: the method, and the path and query below its base URL.
ALTER TABLE pending ADD COLUMN asked TEXT;
ALTER TABLE exchanges ADD COLUMN asked TEXT;
