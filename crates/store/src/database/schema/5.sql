-- What the policies of routes found, one row for each check. `shadow` is 1 for the candidate's answer to a copy. `failed` says that the
-- check could not be made; `asked_target` is the moderation target that was asked.
CREATE TABLE checks (
    exchange_id BLOB NOT NULL,
    shadow INTEGER NOT NULL,
    idx INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    route TEXT NOT NULL,
    name TEXT NOT NULL,
    phase TEXT NOT NULL,
    verdict TEXT NOT NULL,
    target TEXT,
    arm TEXT,
    latency_us INTEGER NOT NULL,
    detail TEXT,
    failed INTEGER NOT NULL,
    asked_target TEXT,
    asked_provider TEXT,
    request_bytes INTEGER NOT NULL,
    answer_bytes INTEGER NOT NULL,
    PRIMARY KEY (exchange_id, shadow, idx)
) WITHOUT ROWID;
CREATE INDEX checks_escalated ON checks (exchange_id) WHERE verdict = 'escalate' AND shadow = 0;

-- What people decided of exchanges that were referred to them, once each.
CREATE TABLE reviews (
    exchange_id BLOB PRIMARY KEY,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    decision TEXT NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER checks_fixed BEFORE UPDATE ON checks
BEGIN SELECT RAISE(ABORT, 'a check is never changed'); END;
CREATE TRIGGER reviews_keep BEFORE DELETE ON reviews
BEGIN SELECT RAISE(ABORT, 'reviews are append-only'); END;
CREATE TRIGGER reviews_fixed BEFORE UPDATE ON reviews
BEGIN SELECT RAISE(ABORT, 'reviews are append-only'); END;
