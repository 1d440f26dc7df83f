-- Panels: people see pairs of answers and are not told whose is whose. `secret` decides order and sides and leaves the server never.
CREATE TABLE panels (
    name TEXT PRIMARY KEY,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    secret BLOB NOT NULL,
    plan_json TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER panels_fixed BEFORE UPDATE ON panels
BEGIN SELECT RAISE(ABORT, 'the plan of a panel is never changed'); END;
-- What is shown of each pair, names and marks taken out already.
CREATE TABLE panel_pairs (
    panel TEXT NOT NULL,
    pair INTEGER NOT NULL,
    source TEXT NOT NULL,
    stratum TEXT NOT NULL,
    why TEXT NOT NULL,
    question TEXT NOT NULL,
    baseline TEXT NOT NULL,
    candidate TEXT NOT NULL,
    PRIMARY KEY (panel, pair)
) WITHOUT ROWID;
CREATE TABLE panel_items (
    panel TEXT NOT NULL,
    item TEXT NOT NULL,
    pair INTEGER NOT NULL,
    reviewer TEXT NOT NULL,
    candidate_is_a INTEGER NOT NULL,
    PRIMARY KEY (panel, item)
) WITHOUT ROWID;
-- When an item was shown first, and what was found: each once.
CREATE TABLE panel_shown (
    panel TEXT NOT NULL,
    item TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    PRIMARY KEY (panel, item)
) WITHOUT ROWID;
CREATE TABLE panel_verdicts (
    panel TEXT NOT NULL,
    item TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    took_us INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (panel, item)
) WITHOUT ROWID;
CREATE TRIGGER panel_verdicts_fixed BEFORE UPDATE ON panel_verdicts
BEGIN SELECT RAISE(ABORT, 'a verdict is never changed'); END;
