-- What the evidence of an epoch counted, in the order it counted it, in parts as they were saved with the evidence. `data` is zstd of one
-- line of JSON (`rollout::Input`) for each of `n` entries; the epoch's first entry has the number 0. `looked_json` is what was decided of
-- the evidence at the end of the part.
CREATE TABLE inputs (
    rollout TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    first INTEGER NOT NULL,
    n INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    looked_json TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (rollout, epoch, first)
) WITHOUT ROWID;

-- What each transition was made of (`rollout::Decided`), so that it can be made again.
CREATE TABLE decisions (
    rollout TEXT NOT NULL,
    generation INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (rollout, generation)
) WITHOUT ROWID;

CREATE TRIGGER inputs_fixed BEFORE UPDATE ON inputs
BEGIN SELECT RAISE(ABORT, 'what was counted is never changed'); END;
CREATE TRIGGER decisions_keep BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
CREATE TRIGGER decisions_fixed BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
