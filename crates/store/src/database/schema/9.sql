-- Several rollouts may copy the same request: of `attempts` with `shadow` 1 (copies) and 2 (second answers of the baseline), `idx` tells
-- them apart, made from the rollout's name. Their bodies are here; those of before are in `bodies` with kind 2.
CREATE TABLE copy_bodies (
    exchange_id BLOB NOT NULL,
    rollout TEXT NOT NULL,
    duplicate INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (exchange_id, rollout, duplicate)
) WITHOUT ROWID;
CREATE INDEX duplicates_of_rollout ON attempts (rollout, epoch, exchange_id) WHERE shadow = 2;

-- Pairs: how a request was drawn, and how far the answers are apart. `comparisons` is JSON: kind, distance, noise, detail.
CREATE TABLE pairs (
    exchange_id BLOB NOT NULL,
    rollout TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    probability REAL NOT NULL,
    size TEXT NOT NULL,
    task TEXT,
    streamed INTEGER NOT NULL,
    deferred INTEGER NOT NULL,
    altered INTEGER NOT NULL,
    teacher_forced INTEGER NOT NULL,
    comparisons TEXT NOT NULL,
    not_compared TEXT,
    PRIMARY KEY (exchange_id, rollout)
) WITHOUT ROWID;
CREATE TRIGGER pairs_fixed BEFORE UPDATE ON pairs
BEGIN SELECT RAISE(ABORT, 'a pair is never changed'); END;

-- Requests drawn to be copied later. `taken_at_us` is set, and committed, before the copy is made: one that is taken and has no
-- copy on record belongs to a process that died. A row goes when its copy is on record.
CREATE TABLE deferred (
    rollout TEXT NOT NULL,
    exchange_id BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    probability REAL NOT NULL,
    size TEXT NOT NULL,
    task TEXT,
    streamed INTEGER NOT NULL,
    unit INTEGER NOT NULL,
    duplicate INTEGER NOT NULL,
    internal INTEGER NOT NULL,
    taken_at_us INTEGER,
    PRIMARY KEY (rollout, exchange_id)
) WITHOUT ROWID;
