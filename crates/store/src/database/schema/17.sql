-- Results of benchmarks of serving stacks, each a document that says its own format.
CREATE TABLE bench_results (
    name TEXT PRIMARY KEY,
    at_us INTEGER NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    verdict TEXT NOT NULL,
    result TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER bench_results_fixed BEFORE UPDATE ON bench_results
BEGIN SELECT RAISE(ABORT, 'a result of a benchmark is never changed'); END;
