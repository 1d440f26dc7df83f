//! From the journal into the database and back through the questions.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use wire::failure::FailureKind;
use wire::ids::ExchangeId;
use wire::private::Private;
use wire::record::{
    Adaptation, AdaptationAction, AnswerRecord, Arm, AttemptRecord, AttemptRole, Charge, ConnectionRecord, DecidedBy,
    Decision, Endpoint, ExchangeOutcome, GapRecord, Lane, OutcomeRecord, Record, RequestRecord, RolloutRef, ShadowDrop,
    ShadowRecord, UnitSource,
};
use wire::usage::Usage;

use crate::database::{ArmCost, BodyKind, Database, ExchangeFilter};
use crate::journal::{Config, Journal};
use crate::shipper::insert::decode;
use crate::shipper::{Shipper, ShipperConfig};

const LONG: Duration = Duration::from_secs(60);

fn id(number: u64) -> ExchangeId {
    ExchangeId::new(number, [3; 10])
}

fn body(text: &str) -> Private<Bytes> {
    Private::new(Bytes::copy_from_slice(text.as_bytes()))
}

fn request(number: u64) -> Record {
    Record::Request(RequestRecord {
        id: id(number),
        received_at_us: number * 1000,
        endpoint: Endpoint::ChatCompletions,
        route: if number.is_multiple_of(2) { "even" } else { "odd" }.into(),
        principal: Some("p".into()),
        streamed: true,
        rollout: Some(RolloutRef {
            name: "r".into(),
            epoch: 3,
            share: 0.25,
            unit: u64::MAX - number,
            unit_source: UnitSource::Header,
            arm: Arm::Baseline,
            forced: false,
        }),
        body: body(&format!("{{\"messages\":\"{}\"}}", "hello ".repeat(40))),
        client_retry: 0,
        asked: Some(format!("GET /files/{number}")),
    })
}

fn attempt(idx: u16, role: AttemptRole) -> AttemptRecord {
    AttemptRecord {
        idx,
        target: if role == AttemptRole::Shadow { "qwen" } else { "gpt" }.into(),
        provider: "p".into(),
        model: "m".into(),
        arm: Some(Arm::Baseline),
        role,
        started_us: 5,
        status: Some(200),
        failure: None,
        time_to_first_token_us: Some(10),
        duration_us: 20,
        usage: Some(Usage {
            input_tokens: 1,
            output_tokens: 2,
            cached_tokens: 3,
            reasoning_tokens: 4,
            ..Usage::default()
        }),
        finish_reason: Some("stop".into()),
        format_valid: Some(true),
        simulated: false,
        truncated: false,
        answer_bytes: 9,
        cost: None,
        validity: Default::default(),
        request_bytes: 50,
    }
}

fn answer(number: u64) -> Record {
    let failed = Some(FailureKind::Connect);
    let failed = AttemptRecord { failure: failed, status: None, request_bytes: 0, ..attempt(0, AttemptRole::Live) };
    Record::Answer(AnswerRecord {
        id: id(number),
        finished_at_us: number * 1000 + 500,
        status: 200,
        outcome: ExchangeOutcome::Complete,
        failure: None,
        served_by: Some("gpt".into()),
        time_to_first_token_us: Some(100),
        duration_us: 500,
        usage: Some(Usage {
            input_tokens: 11,
            output_tokens: 7,
            cached_tokens: 5,
            reasoning_tokens: 0,
            ..Usage::default()
        }),
        decisions: vec![Decision {
            by: DecidedBy::Rule,
            choice: "route long".into(),
            because: "prompt has 9 bytes, over 8".into(),
        }],
        adaptations: vec![Adaptation {
            field: "model".into(),
            action: AdaptationAction::Replaced,
            target: "gpt".into(),
        }],
        attempts: vec![failed, attempt(1, AttemptRole::Failover)],
        body: body("tiny"),
        cost: None,
        declined: vec![(1, true)],
    })
}

fn shadow(number: u64, drop: Option<ShadowDrop>) -> Record {
    Record::Shadow(ShadowRecord {
        id: id(number),
        rollout: "r".into(),
        epoch: 3,
        attempt: drop.is_none().then(|| attempt(0, AttemptRole::Shadow)),
        drop,
        body: body(if drop.is_none() { "the candidate's answer" } else { "" }),
        declined: drop.is_none().then_some(false),
    })
}

fn open(dir: &Path) -> (Journal, Database) {
    let (journal, _) = Journal::open(dir.join("journal"), Config { segment_bytes: 4000, ..Config::default() }).unwrap();
    (journal, Database::open(dir.join("c.db")).unwrap())
}

fn quick() -> ShipperConfig {
    ShipperConfig { batch_records: 7, every: Duration::from_millis(1), ..ShipperConfig::default() }
}

fn put(journal: &Journal, record: &Record) {
    journal.submit(record).unwrap().wait_blocking().unwrap();
}

#[test]
fn an_exchange_is_shipped_whole_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    put(&journal, &request(1));
    assert!(shipper.flush(LONG), "the request goes alone, its answer comes later");
    assert_eq!(database.counts().unwrap().pending, 1);
    assert_eq!(database.show(id(1)).unwrap(), None);
    put(&journal, &answer(1));
    put(&journal, &shadow(1, None));
    let outcome = OutcomeRecord { id: id(1), at_us: 9, name: "score".into(), value: 0.5, source: "judge".into() };
    put(&journal, &Record::Outcome(outcome));
    put(&journal, &Record::Gap(GapRecord { from_us: 1, to_us: 2, n: 3, reason: "queue_full".into() }));
    assert!(shipper.flush(LONG));
    let detail = database.show(id(1)).unwrap().unwrap();
    let exchange = &detail.exchange;
    assert_eq!((exchange.received_at_us, exchange.finished_at_us), (Some(1000), Some(1500)));
    assert_eq!(
        (exchange.route.as_deref(), exchange.rollout.as_deref(), exchange.epoch),
        (Some("odd"), Some("r"), Some(3))
    );
    assert_eq!((exchange.unit, exchange.arm.as_deref()), (Some(u64::MAX - 1), Some("baseline")));
    assert_eq!(exchange.asked.as_deref(), Some("GET /files/1"));
    assert_eq!(
        (exchange.outcome.as_str(), exchange.status, exchange.served_by.as_deref()),
        ("complete", Some(200), Some("gpt"))
    );
    assert_eq!(exchange.usage.map(|usage| usage.input_tokens), Some(11));
    assert_eq!(exchange.adaptations[0]["action"], "replaced");
    assert_eq!(
        (&exchange.decisions[0]["by"], &exchange.decisions[0]["choice"]),
        (&"rule".into(), &"route long".into())
    );
    let roles: Vec<_> = detail.attempts.iter().map(|attempt| attempt.role.as_str()).collect();
    assert_eq!(roles, ["live", "failover", "shadow"]);
    assert_eq!(detail.attempts[0].measured.failure.as_deref(), Some("connect"));
    assert_eq!(detail.outcomes[0].value, 0.5);
    assert_eq!(detail.bodies.len(), 3);
    assert!(detail.bodies[0].stored_bytes < detail.bodies[0].bytes, "the long one is compressed");
    let text = |kind| String::from_utf8(database.body(id(1), kind).unwrap().unwrap().into_exposed()).unwrap();
    assert!(text(BodyKind::Request).starts_with("{\"messages\":\"hello hello"));
    assert_eq!((text(BodyKind::Answer).as_str(), text(BodyKind::Shadow).as_str()), ("tiny", "the candidate's answer"));
    let counts = database.counts().unwrap();
    assert_eq!((counts.pending, counts.attempts, counts.shadows, counts.missing), (0, 2, 1, 3));
    assert_eq!(database.gaps(10).unwrap()[0].n, 3);
    serde_json::to_string(&detail).unwrap();
}

#[test]
fn a_request_of_before_requests_said_what_was_asked_is_read_from_a_journal() {
    let Record::Request(mut old) = request(1) else { unreachable!() };
    old.asked = None;
    let payload = postcard::to_stdvec(&Record::Request(old.clone())).unwrap();
    let before = &payload[..payload.len() - 1];
    assert_eq!(decode(before).unwrap(), Record::Request(old));
    assert!(decode(&payload[..payload.len() - 2]).is_err());
    let Record::Answer(mut old) = answer(1) else { unreachable!() };
    (old.decisions, old.declined) = (Vec::new(), Vec::new());
    let payload = postcard::to_stdvec(&Record::Answer(old.clone())).unwrap();
    for n_later in 1..=2 {
        assert_eq!(decode(&payload[..payload.len() - n_later]).unwrap(), Record::Answer(old.clone()));
    }
    let Record::Shadow(mut old) = shadow(1, None) else { unreachable!() };
    old.declined = None;
    let payload = postcard::to_stdvec(&Record::Shadow(old.clone())).unwrap();
    assert_eq!(decode(&payload[..payload.len() - 1]).unwrap(), Record::Shadow(old));
    assert_eq!(decode(&postcard::to_stdvec(&request(2)).unwrap()).unwrap(), request(2));
}

#[test]
fn filters_and_pages_find_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    for number in 1..=20 {
        put(&journal, &request(number));
        put(&journal, &answer(number));
        if number.is_multiple_of(2) {
            put(&journal, &shadow(number, (number.is_multiple_of(4)).then_some(ShadowDrop::QueueFull)));
        }
    }
    assert!(shipper.flush(LONG));
    let list =
        |filter: ExchangeFilter| database.list(&filter).unwrap().iter().map(|row| row.id.unix_ms()).collect::<Vec<_>>();
    let all = ExchangeFilter::default;
    assert_eq!(list(ExchangeFilter { limit: Some(3), ..all() }), [20, 19, 18]);
    assert_eq!(list(ExchangeFilter { limit: Some(3), before: Some(id(18)), ..all() }), [17, 16, 15]);
    assert_eq!(list(ExchangeFilter { route: Some("even".into()), since_us: Some(15_000), ..all() }), [20, 18, 16]);
    assert_eq!(
        list(ExchangeFilter { until_us: Some(3000), epoch: Some(3), arm: Some("baseline".into()), ..all() }),
        [2, 1]
    );
    assert_eq!(list(ExchangeFilter { outcome: Some("failed".into()), ..all() }), [0; 0]);
    assert_eq!(list(ExchangeFilter { rollout: Some("' OR 1 --".into()), ..all() }), [0; 0]);
    let in_rollout = ExchangeFilter { rollout: Some("r".into()), limit: Some(2), ..all() };
    let pairs = database.pairs(&in_rollout).unwrap();
    assert_eq!(pairs.iter().map(|pair| pair.id.unix_ms()).collect::<Vec<_>>(), [20, 18]);
    assert_eq!((pairs[0].dropped.as_deref(), &pairs[0].shadow), (Some("queue_full"), &None));
    assert_eq!(pairs[1].live.duration_us, Some(500));
    assert_eq!(pairs[1].live.format_valid, Some(true));
    assert_eq!(pairs[1].shadow.as_ref().unwrap().duration_us, Some(20));
    assert_eq!((pairs[1].live_target.as_deref(), pairs[1].shadow_target.as_deref()), (Some("gpt"), Some("qwen")));
    let counts = database.pair_counts(&in_rollout).unwrap();
    assert_eq!((counts.complete, counts.dropped["queue_full"], counts.without_shadow), (5, 5, 10));
}

#[test]
fn a_locked_database_delays_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let blocker = rusqlite::Connection::open(dir.path().join("c.db")).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    for number in 1..=100 {
        put(&journal, &request(number));
        put(&journal, &answer(number));
    }
    while shipper.counts().failures == 0 {
        std::thread::yield_now();
    }
    assert_eq!(database.counts().unwrap().exchanges.len(), 0);
    blocker.execute_batch("ROLLBACK").unwrap();
    assert!(shipper.flush(LONG));
    assert_eq!(database.counts().unwrap().exchanges["complete"], 100);
    assert_eq!(shipper.counts().records, 200, "none twice");
}

#[test]
fn a_database_that_cannot_be_written_is_caught_up_with_later() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let hidden = rusqlite::Connection::open(dir.path().join("c.db")).unwrap();
    hidden.execute_batch("ALTER TABLE exchanges RENAME TO hidden").unwrap();
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    for number in 1..=30 {
        put(&journal, &request(number));
        put(&journal, &answer(number));
    }
    while shipper.counts().failures < 2 {
        std::thread::yield_now();
    }
    hidden.execute_batch("ALTER TABLE hidden RENAME TO exchanges").unwrap();
    assert!(shipper.flush(LONG));
    assert_eq!(database.counts().unwrap().exchanges["complete"], 30);
}

#[test]
fn shipped_segments_are_deleted_and_a_restart_ships_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    for life in 0..3 {
        let (journal, database) = open(dir.path());
        let shipper = Shipper::start(&journal, &database, quick()).unwrap();
        for number in life * 50..(life + 1) * 50 {
            put(&journal, &request(number));
            put(&journal, &answer(number));
        }
        assert!(shipper.flush(LONG));
        assert_eq!(database.counts().unwrap().exchanges["complete"], (life + 1) * 50);
        assert_eq!(shipper.counts().records, 100);
        // Two segments may stay: the one being written, and the newest that is in the directory for good.
        while shipper.counts().deleted_segments < 3 || journal.counts().spool_bytes > 12_000 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn requests_of_a_dead_process_become_truncated_exchanges() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    put(&journal, &request(1));
    put(&journal, &request(2));
    drop(journal);
    let (journal, _) = open(dir.path());
    // The new process is already at work when the old records are shipped.
    put(&journal, &request(3));
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    assert!(shipper.flush(LONG));
    let counts = database.counts().unwrap();
    assert_eq!((counts.exchanges["truncated"], counts.pending), (2, 1));
    let cut = database.show(id(1)).unwrap().unwrap().exchange;
    assert_eq!((cut.route.as_deref(), cut.asked.as_deref()), (Some("odd"), Some("GET /files/1")));
    put(&journal, &answer(3));
    assert!(shipper.flush(LONG));
    assert_eq!(database.counts().unwrap().exchanges["complete"], 1);
    assert_eq!(shipper.counts().truncated, 2);
}

#[test]
fn what_is_counted_as_it_comes_is_what_is_there_also_after_some_of_it_went() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    for number in 0..4 {
        put(&journal, &request(number));
        put(&journal, &shadow(number, None));
        // Shipped twice, counted once.
        put(&journal, &answer(number));
        put(&journal, &answer(number));
    }
    assert!(shipper.flush(LONG));
    let there = rusqlite::Connection::open(dir.path().join("c.db")).unwrap();
    let check = || {
        let counts = database.counts().unwrap();
        let count = |sql: &str| there.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().cast_unsigned();
        assert_eq!(counts.exchanges.values().sum::<u64>(), count("SELECT count(*) FROM exchanges"));
        assert_eq!(counts.attempts, count("SELECT count(*) FROM attempts WHERE shadow = 0"));
        assert_eq!(counts.shadows, count("SELECT count(*) FROM attempts WHERE shadow = 1"));
        counts.exchanges["complete"]
    };
    assert_eq!(check(), 4);
    there.execute("DELETE FROM attempts WHERE exchange_id = ?1", [id(2).to_bytes()]).unwrap();
    there.execute("DELETE FROM exchanges WHERE id = ?1", [id(2).to_bytes()]).unwrap();
    assert_eq!(check(), 3);
}

#[test]
fn a_replaced_journal_or_database_is_read_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    for life in 0..2 {
        let (journal, database) = open(dir.path());
        let shipper = Shipper::start(&journal, &database, quick()).unwrap();
        for number in life * 10..(life + 1) * 10 {
            put(&journal, &request(number));
            put(&journal, &answer(number));
        }
        assert!(shipper.flush(LONG));
        assert_eq!(database.counts().unwrap().exchanges["complete"], (life + 1) * 10);
        drop((shipper, journal));
        std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    }
}

#[test]
fn costs_are_added_up_once_by_arm_and_target() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    let charged = |number: u64, retry: u16, cost: Option<Charge>| {
        let (Record::Request(request), Record::Answer(answer)) = (request(number), answer(number)) else { panic!() };
        let attempts = vec![AttemptRecord { cost: cost.clone(), ..attempt(0, AttemptRole::Live) }];
        [
            Record::Request(RequestRecord { client_retry: retry, ..request }),
            Record::Answer(AnswerRecord { attempts, cost, ..answer }),
        ]
    };
    let priced = |nanos| Some(Charge::Priced { nanos, row: "shipped:acme/one#01234567".into() });
    let unknown = Some(Charge::Unknown { why: "no_usage".into() });
    for (number, retry, cost) in [(1, 0, priced(70)), (2, 1, priced(50)), (3, 0, unknown), (4, 0, None)] {
        for record in charged(number, retry, cost) {
            put(&journal, &record);
            // An answer may be shipped long after its request.
            assert!(number.is_multiple_of(2) || shipper.flush(LONG));
        }
    }
    // What is in the journal twice is in the sums once.
    charged(1, 0, priced(70)).iter().for_each(|record| put(&journal, record));
    assert!(shipper.flush(LONG));
    let cost = database.arm_cost("r", 3, "baseline").unwrap();
    assert_eq!(cost, ArmCost { requests: 2, known: 2, unknown: 1, nanos: 120 });
    assert_eq!(cost.mean_nanos(), Some(60));
    assert_eq!(database.arm_cost("r", 3, "candidate").unwrap().mean_nanos(), None);
    let targets = database.target_costs(0, 1).unwrap();
    assert_eq!((targets.len(), targets[0].target.as_str(), &targets[0].sums), (1, "gpt", &cost));
    let shown = database.show(id(1)).unwrap().unwrap().exchange.cost.unwrap();
    assert_eq!((shown.nanos, shown.row.as_deref()), (Some(70), Some("shipped:acme/one#01234567")));
}

#[test]
fn a_usage_with_more_to_it_is_read_back_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    let Record::Answer(answer) = answer(1) else { panic!() };
    let usage = Some(Usage { input_tokens: 9, cache_write_tokens: 4, web_searches: 2, ..Usage::default() });
    put(&journal, &request(1));
    put(&journal, &Record::Answer(AnswerRecord { usage, ..answer }));
    assert!(shipper.flush(LONG));
    assert_eq!(database.show(id(1)).unwrap().unwrap().exchange.usage, usage);
}

fn connection(port: u16, closed: Option<(u64, u64)>) -> ConnectionRecord {
    ConnectionRecord {
        opened_at_us: 1_000,
        closed_at_us: closed.map(|(at, _)| at),
        lane: Lane::Live,
        provider: "p".into(),
        region: Some("eu".into()),
        class: "vendor".into(),
        host: "api.example".into(),
        sni: Some("api.example".into()),
        local: ([127, 0, 0, 1], port).into(),
        remote: ([192, 0, 2, 1], 443).into(),
        bytes_out: closed.map_or(0, |(_, bytes)| bytes),
        bytes_in: 0,
    }
}

#[test]
fn a_connection_has_one_row_that_is_completed_once_and_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    put(&journal, &Record::Connection(connection(1, None)));
    put(&journal, &Record::Connection(connection(2, None)));
    put(&journal, &Record::Connection(connection(1, Some((5_000, 70)))));
    // As if they were shipped again after a crash.
    put(&journal, &Record::Connection(connection(1, None)));
    put(&journal, &Record::Connection(connection(1, Some((9_000, 99)))));
    assert!(shipper.flush(LONG));
    let rows = database.connections(0, u64::MAX, 10).unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (row.local.port(), row.closed_at_us, row.bytes_out)).collect();
    assert_eq!(seen, [(1, Some(5_000), 70), (2, None, 0)]);
    assert_eq!((rows[0].remote.to_string().as_str(), rows[0].sni.as_deref()), ("192.0.2.1:443", Some("api.example")));
    // Of a window, whatever was open in it.
    let ports = |from, to| -> Vec<u16> {
        database.connections(from, to, 10).unwrap().iter().map(|row| row.local.port()).collect()
    };
    assert_eq!(ports(6_000, 7_000), [2]);
    assert_eq!(ports(2_000, 3_000), [1, 2]);
    assert!(ports(0, 1_000).is_empty());
    let sql = rusqlite::Connection::open(database.path()).unwrap();
    for change in ["DELETE FROM connections", "UPDATE connections SET bytes_out = 0 WHERE closed_at_us > 0"] {
        let error = sql.execute(change, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}

#[test]
fn calls_are_added_up_by_whom_and_why_and_those_never_made_are_not_among_them() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    for number in 1..=4 {
        put(&journal, &request(number));
        put(&journal, &answer(number));
        put(&journal, &shadow(number, None));
    }
    put(&journal, &shadow(9, Some(ShadowDrop::Residency)));
    assert!(shipper.flush(LONG));
    let sums = database.egress_calls(0, u64::MAX).unwrap();
    let seen: Vec<_> =
        sums.iter().map(|sum| (sum.target.as_str(), sum.role.as_str(), sum.route.as_deref(), sum.calls)).collect();
    assert_eq!(
        seen,
        [
            ("gpt", "failover", Some("even"), 2),
            ("gpt", "failover", Some("odd"), 2),
            ("qwen", "shadow", Some("even"), 2),
            ("qwen", "shadow", Some("odd"), 2),
        ]
    );
    assert_eq!((sums[0].bytes_out, sums[0].bytes_in), (100, 18));
    assert_eq!(database.egress_calls(2_000, 4_000).unwrap().iter().map(|sum| sum.calls).sum::<u64>(), 4);
}

#[test]
fn a_burst_over_the_turn_of_a_minute_is_one_peak() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = open(dir.path());
    let shipper = Shipper::start(&journal, &database, quick()).unwrap();
    // Six before the turn of a minute of the clock, four after it within 60 seconds of the first, one just outside.
    let seconds = [570, 571, 572, 580, 590, 599, 600, 601, 628, 629, 630];
    for (number, second) in (1..).zip(seconds) {
        let Record::Request(asked) = request(2 * number) else { unreachable!("it is a request") };
        put(&journal, &Record::Request(RequestRecord { received_at_us: second * 1_000_000, ..asked }));
        put(&journal, &answer(2 * number));
    }
    assert!(shipper.flush(LONG));
    assert_eq!(database.route_traffic("even", 0).unwrap().peak_per_minute, 10);
    assert_eq!(database.route_traffic("odd", 0).unwrap().peak_per_minute, 0);
}
