//! What a page of the console asks costs the same however long the record is: SQLite counts the steps of its machine.

use std::cell::Cell;

use rusqlite::trace::{TraceEvent, TraceEventCodes};
use rusqlite::types::Value;
use rusqlite::{Connection, StatementStatus};
use wire::ids::ExchangeId;

use super::{Database, DatabaseError, ExchangeFilter};

thread_local! { static STEPS: Cell<i64> = const { Cell::new(0) }; }

fn note(event: TraceEvent<'_>) {
    if let TraceEvent::Profile(statement, _) = event {
        STEPS.set(STEPS.get() + i64::from(statement.get_status(StatementStatus::VmStep)));
    }
}

fn id(n: u64) -> ExchangeId {
    ExchangeId::new(1_000 + n, [0; 10])
}

/// A record of `n` exchanges with all that hangs on them.
fn filled(path: &std::path::Path, n: u64) -> Database {
    let database = Database::open(path).unwrap();
    let connection = Connection::open(path).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF; BEGIN").unwrap();
    let statements = [
        "INSERT INTO exchanges (id, received_at_us, endpoint, route, rollout, epoch, arm, status, outcome, served_by)
         VALUES (?1, ?2 * 1000, 'e', 'support', 'move', 1, 'baseline', 200, 'complete', 'old')",
        "INSERT INTO attempts (exchange_id, shadow, idx, role, arm, target, started_us, simulated, truncated, answer_bytes)
         VALUES (?1, 0, 0, 'live', 'baseline', 'old', ?2, 1, 0, 9)",
        "INSERT INTO attempts (exchange_id, shadow, idx, role, rollout, epoch, target, started_us, simulated, truncated, answer_bytes)
         VALUES (?1, 1, 0, 'shadow', 'move', 1, 'new', ?2, 1, 0, 9)",
        "INSERT INTO bodies VALUES (?1, 0, 2, x'7b7d')",
        "INSERT INTO copy_bodies VALUES (?1, 'move', 0, 2, x'7b7d')",
        "INSERT INTO pairs (exchange_id, rollout, epoch, at_us, probability, size, streamed, deferred, altered, teacher_forced, comparisons)
         VALUES (?1, 'move', 1, ?2, 1.0, 's', 0, 0, 0, 0, '[]')",
        "INSERT INTO feedback (exchange_id, kind, source, at_us, value) VALUES (?1, 'score', 'app', ?2, 0.5)",
        "INSERT INTO connections VALUES (?2, 'l', 'r', ?2, 'live', 'old', NULL, 'vendor', 'h', NULL, 1, 1)",
        "INSERT INTO audit (at_us, actor, action, subject, reason, detail_json) SELECT ?2, 'ana', 'a', 'rollout:move', '', '{}' WHERE ?1 IS NOT NULL",
        "INSERT INTO transitions (rollout, generation, at_us, from_stage, to_stage, from_share, to_share, epoch, actor, event, reason, evidence_json, policy_hash)
         SELECT 'move', ?2, ?2, 'a', 'b', 0, 0, 1, 'ana', 'e', '', '{}', 'h' WHERE ?1 IS NOT NULL",
        "INSERT INTO alerts SELECT 'a' || ?2, ?2, 'k', 'move', 'w', '{}' WHERE ?1 IS NOT NULL",
        "INSERT INTO deliveries SELECT 'a' || ?2, 'hook', 'delivered', 1, ?2, ?2, ?2, NULL WHERE ?1 IS NOT NULL",
        "INSERT INTO eval_answers SELECT 'long', ?2, ?2, 'w', x'00', 0, NULL, 5, '{}' WHERE ?1 IS NOT NULL",
    ];
    connection.execute("INSERT INTO eval_runs VALUES ('long', 1, 9, '{}')", []).unwrap();
    connection.execute("INSERT INTO bench_results VALUES ('b', 1, 'ana', 'steps', 'valid', '{}')", []).unwrap();
    for sql in statements {
        let mut insert = connection.prepare(sql).unwrap();
        for at in 0..n {
            let values = [Value::Blob(id(at).to_bytes().to_vec()), Value::Integer(super::signed(at))];
            let n_values = insert.parameter_count();
            insert.execute(rusqlite::params_from_iter(values.into_iter().take(n_values))).unwrap();
        }
    }
    connection.execute_batch("COMMIT").unwrap();
    database.reading().trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note)).unwrap();
    database
}

/// What a page asks.
type Question = (&'static str, fn(&Database) -> Result<(), DatabaseError>);

fn filter(change: impl FnOnce(&mut ExchangeFilter)) -> ExchangeFilter {
    let mut filter = ExchangeFilter { limit: Some(20), ..ExchangeFilter::default() };
    change(&mut filter);
    filter
}

const QUESTIONS: &[Question] = &[
    ("exchanges", |database| database.list_within(&filter(|_| ()), 100).map(drop)),
    ("exchanges of no route", |database| {
        database.list_within(&filter(|filter| filter.route = Some("nobody".into())), 100).map(drop)
    }),
    ("exchanges that failed", |database| {
        database.list_within(&filter(|filter| filter.outcome = Some("failed".into())), 100).map(drop)
    }),
    ("the newest exchange", |database| database.list(&filter(|filter| filter.limit = Some(1))).map(drop)),
    ("an exchange", |database| database.show(id(3)).map(drop)),
    ("its copies", |database| database.copy_bodies(id(3)).map(drop)),
    ("its checks", |database| database.checks(id(3)).map(drop)),
    ("pairs", |database| database.pairs_within(&filter(|_| ()), 100).map(drop)),
    ("pairs of a rollout", |database| {
        database.pairs_within(&filter(|filter| filter.rollout = Some("move".into())), 100).map(drop)
    }),
    ("pairs of no rollout", |database| {
        database.pairs_within(&filter(|filter| filter.rollout = Some("nobody".into())), 100).map(drop)
    }),
    ("how many pairs", |database| database.pair_counts_of(&filter(|_| ()), 100).map(drop)),
    ("how many exchanges", |database| database.counts().map(drop)),
    ("runs of evaluations", |database| database.eval_runs_page(None, 50).map(drop)),
    ("a run", |database| database.eval_run("long").map(drop)),
    ("how many runs", |database| database.eval_counts().map(drop)),
    ("benchmarks", |database| database.benches_page(None, 50).map(drop)),
    ("how many benchmarks", |database| database.bench_counts().map(drop)),
    ("referrals", |database| database.referrals(false, 50).map(drop)),
    ("referrals with those decided", |database| database.referrals(true, 50).map(drop)),
    ("the audit log", |database| database.audit_page(None, None, 50).map(drop)),
    ("the audit log of one", |database| database.audit_page(Some("rollout:move"), None, 50).map(drop)),
    ("drills of leaving", |database| database.audit_of(("route", "exit.drill_over"), (None, 50)).map(drop)),
    ("drills", |database| database.filed_page("drill", (None, 50)).map(drop)),
    ("alerts", |database| database.alerts(20).map(drop)),
    ("webhooks", |database| database.webhook_states().map(drop)),
    ("the last alert", |database| database.last_alert(&["k"], "move").map(drop)),
    ("the oldest", |database| database.oldest().map(drop)),
    ("the size", |database| database.size().map(drop)),
    ("costs", |database| database.target_costs(0, 30).map(drop)),
    ("the cost of an arm", |database| database.arm_cost("move", 1, "baseline").map(drop)),
    ("copies that wait", |database| database.deferred_counts("move", 1).map(drop)),
    ("the last transitions", |database| database.last_transitions("move", 10).map(drop)),
    ("runs of vectors", |database| database.vector_runs(None, 25).map(drop)),
];

#[test]
fn what_a_page_asks_costs_the_same_however_long_the_record_is() {
    let dir = tempfile::tempdir().unwrap();
    let [short, long] = [400, 4_000].map(|n| filled(&dir.path().join(format!("{n}.db")), n));
    let steps = |database: &Database, ask: fn(&Database) -> Result<(), DatabaseError>| {
        STEPS.set(0);
        ask(database).unwrap();
        STEPS.get()
    };
    let grown: Vec<String> = QUESTIONS
        .iter()
        .map(|(name, ask)| (name, steps(&short, *ask), steps(&long, *ask)))
        .inspect(|(name, of_short, _)| assert!(*of_short > 0, "{name}: nothing was counted"))
        .filter(|(_, of_short, of_long)| *of_long > *of_short + *of_short / 4 + 200)
        .map(|(name, of_short, of_long)| format!("{name}: {of_short} steps with 400 exchanges, {of_long} with 4 000"))
        .collect();
    assert!(grown.is_empty(), "{}", grown.join("\n"));
}
