-- Who is to judge which pairs of a run, said before the first is shown: what comes of exactly these pairs is evidence.
CREATE TABLE blind_plans (
    run TEXT NOT NULL,
    candidate TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    plan TEXT NOT NULL,
    PRIMARY KEY (run, candidate)
) WITHOUT ROWID;
CREATE TRIGGER blind_plans_fixed BEFORE UPDATE ON blind_plans
BEGIN SELECT RAISE(ABORT, 'who judges which pairs is never changed'); END;
CREATE TABLE blind_assigned (
    run TEXT NOT NULL,
    candidate TEXT NOT NULL,
    place INTEGER NOT NULL,
    case_idx INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (run, candidate, place),
    UNIQUE (run, candidate, case_idx, reviewer)
) WITHOUT ROWID;
CREATE TRIGGER blind_assigned_fixed BEFORE UPDATE ON blind_assigned
BEGIN SELECT RAISE(ABORT, 'who judges which pairs is never changed'); END;
