-- How many rows there are, kept as they come and go, so that nobody counts the record to say it. The shipper adds what it inserts, `exchange:OUTCOME`, `attempt` and `shadow`.
CREATE TABLE tallies (
    what TEXT PRIMARY KEY,
    n INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO tallies SELECT 'exchange:' || outcome, count(*) FROM exchanges GROUP BY outcome;
INSERT INTO tallies SELECT iif(shadow = 0, 'attempt', 'shadow'), count(*) FROM attempts WHERE shadow IN (0, 1) GROUP BY shadow;
CREATE TRIGGER exchanges_gone AFTER DELETE ON exchanges
BEGIN UPDATE tallies SET n = n - 1 WHERE what = 'exchange:' || OLD.outcome; END;
CREATE TRIGGER attempts_gone AFTER DELETE ON attempts WHEN OLD.shadow IN (0, 1)
BEGIN UPDATE tallies SET n = n - 1 WHERE what = iif(OLD.shadow = 0, 'attempt', 'shadow'); END;

-- What the answers of a run come to.
CREATE TABLE eval_sums (
    run TEXT PRIMARY KEY,
    n_answered INTEGER NOT NULL,
    n_failed INTEGER NOT NULL,
    n_reused INTEGER NOT NULL,
    spent_nanos INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO eval_sums SELECT run, count(*), count(failure), sum(reused), sum(spent_nanos) FROM eval_answers GROUP BY run;
CREATE TRIGGER eval_answers_summed AFTER INSERT ON eval_answers
BEGIN
    INSERT INTO eval_sums VALUES (NEW.run, 1, NEW.failure IS NOT NULL, NEW.reused, NEW.spent_nanos)
    ON CONFLICT DO UPDATE SET n_answered = n_answered + 1, n_failed = n_failed + excluded.n_failed,
        n_reused = n_reused + excluded.n_reused, spent_nanos = spent_nanos + excluded.spent_nanos;
END;
CREATE INDEX eval_runs_by_time ON eval_runs (at_us DESC, run);
CREATE INDEX bench_results_by_time ON bench_results (at_us DESC, name);

-- How many deliveries of each webhook wait, were made and were given up.
CREATE TABLE delivery_sums (
    webhook TEXT NOT NULL,
    state TEXT NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (webhook, state)
) WITHOUT ROWID;
INSERT INTO delivery_sums SELECT webhook, state, count(*) FROM deliveries GROUP BY webhook, state;
CREATE TRIGGER deliveries_come AFTER INSERT ON deliveries
BEGIN INSERT INTO delivery_sums VALUES (NEW.webhook, NEW.state, 1) ON CONFLICT DO UPDATE SET n = n + 1; END;
CREATE TRIGGER deliveries_turn AFTER UPDATE OF state ON deliveries
BEGIN
    UPDATE delivery_sums SET n = n - 1 WHERE webhook = OLD.webhook AND state = OLD.state;
    INSERT INTO delivery_sums VALUES (NEW.webhook, NEW.state, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER deliveries_gone AFTER DELETE ON deliveries
BEGIN UPDATE delivery_sums SET n = n - 1 WHERE webhook = OLD.webhook AND state = OLD.state; END;
CREATE INDEX alerts_about ON alerts (subject, kind, at_us);
