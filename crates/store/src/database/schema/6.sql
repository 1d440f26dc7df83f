-- What users say of answers; of one exchange, kind and source the first stands. `bad` is NULL where it says neither.
CREATE TABLE feedback (
    exchange_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    source TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    value REAL,
    label TEXT,
    comment TEXT,
    bad INTEGER,
    PRIMARY KEY (exchange_id, kind, source)
) WITHOUT ROWID;

-- What other systems count of units.
CREATE TABLE unit_outcomes (
    rollout TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    metric TEXT NOT NULL,
    source TEXT NOT NULL,
    happened_us INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    arm TEXT NOT NULL,
    bad INTEGER NOT NULL,
    exchange_id BLOB,
    PRIMARY KEY (rollout, epoch, unit, metric, source, happened_us)
) WITHOUT ROWID;

-- What people are to be told of: one row for each event, and one for each webhook that is to hear of it. A delivery waits until it is
-- delivered or given up; `next_at_us` is when it is tried next.
CREATE TABLE alerts (
    id TEXT PRIMARY KEY,
    at_us INTEGER NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    words TEXT NOT NULL,
    data TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX alerts_by_time ON alerts (at_us);
CREATE TABLE deliveries (
    alert TEXT NOT NULL,
    webhook TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    since_us INTEGER NOT NULL,
    next_at_us INTEGER NOT NULL,
    done_at_us INTEGER,
    problem TEXT,
    PRIMARY KEY (alert, webhook)
) WITHOUT ROWID;
CREATE INDEX deliveries_waiting ON deliveries (webhook, next_at_us) WHERE state = 'waiting';

-- The last transition of each rollout that people were told of. Those of before are not told of.
CREATE TABLE alert_cursors (
    rollout TEXT PRIMARY KEY,
    generation INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO alert_cursors SELECT rollout, max(generation) FROM transitions GROUP BY rollout;

-- Whether the baseline could take all traffic back: the last readings of each rollout.
CREATE TABLE baseline_probes (
    rollout TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    ok INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (rollout, at_us)
) WITHOUT ROWID;

CREATE TRIGGER feedback_fixed BEFORE UPDATE ON feedback
BEGIN SELECT RAISE(ABORT, 'feedback is never changed'); END;
CREATE TRIGGER unit_outcomes_fixed BEFORE UPDATE ON unit_outcomes
BEGIN SELECT RAISE(ABORT, 'an outcome is never changed'); END;
CREATE TRIGGER alerts_fixed BEFORE UPDATE ON alerts
BEGIN SELECT RAISE(ABORT, 'an alert is never changed'); END;
