-- Datasets for evaluation. A version is the SHA-256 of its cases, so a row is never changed: the same name with other cases is another version.
CREATE TABLE datasets (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    at_us INTEGER NOT NULL,
    n_cases INTEGER NOT NULL,
    origin_json TEXT NOT NULL,
    PRIMARY KEY (name, version)
) WITHOUT ROWID;
CREATE TRIGGER datasets_fixed BEFORE UPDATE ON datasets
BEGIN SELECT RAISE(ABORT, 'a version of a dataset is never changed'); END;
CREATE TABLE dataset_cases (
    version TEXT NOT NULL,
    idx INTEGER NOT NULL,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (version, idx)
) WITHOUT ROWID;
CREATE TRIGGER dataset_cases_fixed BEFORE UPDATE ON dataset_cases
BEGIN SELECT RAISE(ABORT, 'a case of a version is never changed'); END;

-- Evaluation runs. Everything a run is to do is in its plan and decided before its first call: item i of n is a case, a target and a repeat.
CREATE TABLE eval_runs (
    run TEXT PRIMARY KEY,
    at_us INTEGER NOT NULL,
    n_items INTEGER NOT NULL,
    plan_json TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER eval_runs_fixed BEFORE UPDATE ON eval_runs
BEGIN SELECT RAISE(ABORT, 'the plan of a run is never changed'); END;

-- Who works on which items, in blocks. A claim holds until its time is up, and no longer; what is done needs none.
CREATE TABLE eval_claims (
    run TEXT NOT NULL,
    block INTEGER NOT NULL,
    worker TEXT NOT NULL,
    until_us INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (run, block)
) WITHOUT ROWID;

-- One row per item, written once. `key` says everything the answer depends on: another item with the same key has the same answer.
CREATE TABLE eval_answers (
    run TEXT NOT NULL,
    item INTEGER NOT NULL,
    at_us INTEGER NOT NULL,
    worker TEXT NOT NULL,
    key BLOB NOT NULL,
    reused INTEGER NOT NULL,
    failure TEXT,
    spent_nanos INTEGER NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (run, item)
) WITHOUT ROWID;
CREATE TRIGGER eval_answers_fixed BEFORE UPDATE ON eval_answers
BEGIN SELECT RAISE(ABORT, 'an answer of a run is never changed'); END;
CREATE INDEX eval_answers_by_key ON eval_answers (key) WHERE reused = 0 AND failure IS NULL;

-- What answers are worth, by the definition of the metric that says so.
CREATE TABLE eval_scores (
    run TEXT NOT NULL,
    item INTEGER NOT NULL,
    metric TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (run, item, metric)
) WITHOUT ROWID;
CREATE TRIGGER eval_scores_fixed BEFORE UPDATE ON eval_scores
BEGIN SELECT RAISE(ABORT, 'a score is never changed'); END;
