-- Pairs of answers that people judge without knowing whose they are. Which answer stands first is decided when a pair is shown, and kept here until
-- it is judged; a pair is shown to a person once and judged once.
CREATE TABLE blind_pairs (
    token TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    candidate TEXT NOT NULL,
    case_idx INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    shown_at_us INTEGER NOT NULL,
    candidate_first INTEGER NOT NULL,
    UNIQUE (run, candidate, case_idx, reviewer)
) WITHOUT ROWID;
CREATE TRIGGER blind_pairs_fixed BEFORE UPDATE ON blind_pairs
BEGIN SELECT RAISE(ABORT, 'a pair that was shown is never changed'); END;
CREATE TABLE blind_verdicts (
    token TEXT PRIMARY KEY,
    at_us INTEGER NOT NULL,
    choice TEXT NOT NULL,
    reason TEXT
) WITHOUT ROWID;
CREATE TRIGGER blind_verdicts_fixed BEFORE UPDATE ON blind_verdicts
BEGIN SELECT RAISE(ABORT, 'a verdict on a pair is never changed'); END;
