-- Results that were found elsewhere and filed for a rollout: what a gate may ask for. The latest of a kind and name counts.
CREATE TABLE filed (
    number INTEGER PRIMARY KEY,
    rollout TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    passed INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    digest TEXT NOT NULL,
    n INTEGER NOT NULL,
    filed_at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL
);
CREATE INDEX filed_by_rollout ON filed (rollout, at_us);
CREATE TRIGGER filed_fixed BEFORE UPDATE ON filed
BEGIN SELECT RAISE(ABORT, 'a filed result is never changed'); END;
CREATE TRIGGER filed_kept BEFORE DELETE ON filed
BEGIN SELECT RAISE(ABORT, 'a filed result is never deleted'); END;
