//! Control transactions, the append-only tables, and reading beside a writer.

use super::{
    Beside, CommitError, CountedRow, Database, DatabaseError, EvidenceRow, ExchangeFilter, InputsRow, RolloutRow,
    SeenUnit, TransitionRow,
};

fn rollout(state: &str) -> RolloutRow {
    RolloutRow { name: "r".into(), generation: 0, state_json: state.into(), policy_json: "{}".into() }
}

fn transition(to: &str, to_share: f64) -> TransitionRow {
    TransitionRow {
        rollout: "r".into(),
        generation: 0,
        at_us: 1,
        from: "shadow".into(),
        to: to.into(),
        from_share: 0.0,
        to_share,
        epoch: 2,
        actor: "ana".into(),
        event: "promote".into(),
        reason: "every gate passed".into(),
        evidence_json: "{}".into(),
        policy_hash: "abc".into(),
    }
}

fn evidence(json: &str) -> EvidenceRow {
    EvidenceRow { rollout: "r".into(), epoch: 2, updated_at_us: 5, json: json.into(), lately: vec![1, 2] }
}

fn counted(json: &str, first: u64, units: &[SeenUnit]) -> CountedRow {
    let part = InputsRow { first, n: 2, at_us: 5, looked_json: json.into(), lines: format!("{json}\n{json}\n").into() };
    CountedRow { evidence: evidence(json), units: units.to_vec(), inputs: vec![part, InputsRow::default()] }
}

#[test]
fn a_transition_is_state_audit_and_evidence_together() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path().join("c.db")).unwrap();
    assert_eq!(
        database.commit_transition(0, &rollout("a"), &transition("shadow", 0.0), &Beside::default()).unwrap(),
        1
    );
    let saved = evidence("{\"n\":1}");
    assert_eq!(
        database
            .commit_transition(
                1,
                &rollout("b"),
                &transition("canary", 0.05),
                &Beside { begun: Some(&saved), ..Beside::default() }
            )
            .unwrap(),
        2
    );
    assert_eq!(database.load_rollouts().unwrap(), [RolloutRow { generation: 2, ..rollout("b") }]);
    assert_eq!(database.load_rollout("r").unwrap().unwrap().generation, 2);
    assert_eq!(database.load_evidence("r", 2).unwrap(), Some(saved));
    let audit = database.transitions(Some("r")).unwrap();
    assert_eq!(
        audit.iter().map(|row| (row.generation, row.to.as_str())).collect::<Vec<_>>(),
        [(1, "shadow"), (2, "canary")]
    );
    assert_eq!(database.transitions(None).unwrap(), audit);
    assert_eq!(database.transitions(Some("other")).unwrap(), []);
    database.probe().unwrap();
}

#[test]
fn a_stale_generation_is_refused_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path().join("c.db")).unwrap();
    database.commit_transition(0, &rollout("a"), &transition("shadow", 0.0), &Beside::default()).unwrap();
    for stale in [0, 2, 7] {
        match database.commit_transition(
            stale,
            &rollout("z"),
            &transition("full", 1.0),
            &Beside { begun: Some(&evidence("z")), ..Beside::default() },
        ) {
            Err(CommitError::Conflict { expected, found: 1, .. }) => assert_eq!(expected, stale),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(database.load_rollouts().unwrap()[0].state_json, "a");
    assert_eq!(database.transitions(None).unwrap().len(), 1);
    assert_eq!(database.load_evidence("r", 2).unwrap(), None);
}

#[test]
fn evidence_is_replaced_and_seen_units_only_grow() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path().join("c.db")).unwrap();
    let unit = |unit, flags| SeenUnit { unit, flags };
    assert!(database.save_evidence(0, &counted("1", 0, &[unit(7, 1), unit(u64::MAX, 1)])).unwrap());
    assert!(database.save_evidence(0, &counted("2", 2, &[unit(7, 4)])).unwrap());
    assert_eq!(database.load_evidence("r", 2).unwrap().unwrap().json, "2");
    let mut seen = database.seen_units("r", 2).unwrap();
    seen.sort();
    assert_eq!(seen, [unit(7, 5), unit(u64::MAX, 1)]);
    assert_eq!(database.seen_units("r", 3).unwrap(), []);
}

#[test]
fn what_was_counted_comes_back_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path().join("c.db")).unwrap();
    assert_eq!(database.next_input("r", 2).unwrap(), 0);
    assert!(database.save_evidence(0, &counted("1", 0, &[])).unwrap());
    assert!(database.save_evidence(0, &counted("2", 2, &[])).unwrap());
    let mut seen = Vec::new();
    while let Some(part) = database.next_inputs("r", 2, seen.len() as u64 * 2).unwrap() {
        seen.push((part.first, part.n, String::from_utf8(part.lines).unwrap(), part.looked_json));
    }
    let part = |first, json: &str| (first, 2, format!("{json}\n{json}\n"), json.to_owned());
    assert_eq!(seen, [part(0, "1"), part(2, "2")], "a part without entries is not kept");
    assert_eq!((database.next_input("r", 2).unwrap(), database.next_input("r", 3).unwrap()), (4, 0));
    let beside = Beside { decided_json: Some("{}"), ..Beside::default() };
    database.commit_transition(0, &rollout("a"), &transition("shadow", 0.0), &beside).unwrap();
    assert_eq!(database.decisions("r").unwrap(), [(1, "{}".to_owned())]);
}

/// The numbers and texts of what was counted, as a replay goes through them.
fn read_back(database: &Database) -> Vec<(u64, u64, String)> {
    let mut seen = Vec::new();
    let mut from = 0;
    while let Some(part) = database.next_inputs("r", 2, from).unwrap() {
        from = part.first + part.n;
        seen.push((part.first, part.n, part.looked_json));
    }
    seen
}

#[test]
fn of_two_that_count_the_same_epoch_the_one_that_moves_the_rollout_is_believed_and_the_other_writes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.db");
    let (leader, usurper) = (Database::open(&path).unwrap(), Database::open(&path).unwrap());
    leader.commit_transition(0, &rollout("a"), &transition("shadow", 0.0), &Beside::default()).unwrap();
    assert!(leader.save_evidence(1, &counted("common", 0, &[])).unwrap());
    // The other one reads how far the store is, and then the leader saves once more, under that number.
    let first = usurper.next_input("r", 2).unwrap();
    assert!(leader.save_evidence(1, &counted("leader", first, &[])).unwrap());
    let taken = counted("usurper", first, &[]);
    let beside = Beside { counted: Some(&taken), ..Beside::default() };
    assert_eq!(usurper.commit_transition(1, &rollout("b"), &transition("paused", 0.0), &beside).unwrap(), 2);
    let expected = [(0, 2, "common".to_owned()), (2, 2, "usurper".to_owned())];
    assert_eq!(read_back(&usurper), expected);
    // What the leader counted meanwhile is no evidence any more: it is told so, and nothing is changed.
    assert!(!leader.save_evidence(1, &counted("late", 4, &[])).unwrap());
    assert_eq!(
        (read_back(&leader), leader.load_evidence("r", 2).unwrap().unwrap().json),
        (expected.into(), "usurper".to_owned())
    );
}

#[test]
fn a_part_that_is_saved_again_stands_once() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path().join("c.db")).unwrap();
    for _ in 0..2 {
        assert!(database.save_evidence(0, &counted("1", 0, &[])).unwrap());
    }
    assert_eq!(read_back(&database), [(0, 2, "1".to_owned())]);
}

#[test]
fn the_audit_can_be_neither_changed_nor_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path().join("c.db")).unwrap();
    database.commit_transition(0, &rollout("a"), &transition("shadow", 0.0), &Beside::default()).unwrap();
    let connection = database.controlling().unwrap();
    for sql in [
        "UPDATE transitions SET actor = 'eve'",
        "DELETE FROM transitions",
        "INSERT OR REPLACE INTO transitions SELECT * FROM transitions",
    ] {
        let error = connection.execute(sql, []).unwrap_err();
        assert!(error.to_string().contains("append-only"), "{sql}: {error}");
    }
    connection
        .execute("INSERT INTO exchanges (id, outcome) VALUES (x'00112233445566778899aabbccddeeff', 'complete')", [])
        .unwrap();
    let error = connection.execute("UPDATE exchanges SET outcome = 'failed'", []).unwrap_err();
    assert!(error.to_string().contains("never changed"), "{error}");
}

#[test]
fn reading_works_beside_a_writer_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.db");
    let writer = Database::open(&path).unwrap();
    let reader = Database::open_read_only(&path).unwrap();
    let connection = writer.controlling().unwrap();
    connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
    assert_eq!(reader.list(&ExchangeFilter::default()).unwrap(), []);
    assert!(matches!(reader.probe(), Err(DatabaseError::ReadOnly)));
    connection.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn a_database_of_another_version_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.db");
    drop(Database::open(&path).unwrap());
    drop(Database::open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Database::open(&path), Err(DatabaseError::Version { found: 99, .. })));
    assert!(matches!(Database::open_read_only(&path), Err(DatabaseError::Version { found: 99, .. })));
    let empty = dir.path().join("empty.db");
    std::fs::write(&empty, b"").unwrap();
    assert!(matches!(Database::open_read_only(&empty), Err(DatabaseError::Version { found: 0, .. })));
    assert!(matches!(Database::open_read_only(dir.path().join("none.db")), Err(DatabaseError::Open { .. })));
}

#[test]
fn a_database_of_the_version_before_is_brought_up_to_date_and_keeps_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.db");
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("schema/1.sql")).unwrap();
    old.pragma_update(None, "user_version", 1).unwrap();
    old.execute("INSERT INTO exchanges (id, outcome) VALUES (x'00112233445566778899aabbccddeeff', 'complete')", [])
        .unwrap();
    let before = Database::open_read_only(&path).err().unwrap();
    assert!(
        before.to_string().contains("has schema version 1; this program knows ")
            && before.to_string().ends_with(" and brings it up to date when `crossfade serve` opens it"),
        "{before}"
    );
    let rows = Database::open(&path).unwrap().list(&ExchangeFilter::default()).unwrap();
    assert_eq!((rows.len(), rows[0].asked.as_deref()), (1, None));
}

#[test]
fn a_database_whose_tables_are_others_is_refused_and_an_index_of_somebody_elses_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.db");
    drop(Database::open(&path).unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE INDEX mine ON exchanges (route)").unwrap();
    drop(Database::open(&path).unwrap());
    other.execute_batch("ALTER TABLE attempts RENAME COLUMN provider TO vendor").unwrap();
    for error in [Database::open(&path).err().unwrap(), Database::open_read_only(&path).err().unwrap()] {
        assert!(error.to_string().contains("is not as this program makes it: `attempts` differs"), "{error}");
    }
}

#[test]
fn a_page_that_finds_little_looks_through_a_part_of_the_record_and_says_where_to_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(dir.path().join("c.db")).unwrap();
    let minute = 60_000_000_u64;
    for nth in 1..=40_u64 {
        let at_us = 1_000_000 * minute + nth * minute;
        let mut id = [0_u8; 16];
        id[..6].copy_from_slice(&(at_us / 1000).to_be_bytes()[2..]);
        let route = if nth == 3 { "rare" } else { "often" };
        let sql = "INSERT INTO exchanges (id, received_at_us, route, outcome) VALUES (?1, ?2, ?3, 'complete')";
        let values = rusqlite::params![id, i64::try_from(at_us).unwrap(), route];
        database.controlling().unwrap().execute(sql, values).unwrap();
    }
    let often = ExchangeFilter { route: Some("often".into()), limit: Some(5), ..ExchangeFilter::default() };
    let (rows, rest) = database.list_within(&often, 20).unwrap();
    assert_eq!((rows.len(), rest), (5, None), "a full page goes on behind its last row");
    let mut filter = ExchangeFilter { route: Some("rare".into()), limit: Some(5), ..ExchangeFilter::default() };
    let (mut found, mut pages) = (Vec::new(), 0);
    loop {
        let (rows, rest) = database.list_within(&filter, 15).unwrap();
        found.extend(rows.iter().map(|row| row.received_at_us.unwrap() / minute - 1_000_000));
        pages += 1;
        let Some(rest) = rest else { break };
        filter.before = Some(rest);
    }
    assert_eq!((found.as_slice(), pages), ([3].as_slice(), 3));
    // A moment is found by ids.
    let until = ExchangeFilter { until_us: Some(1_000_005 * minute), limit: Some(9), ..ExchangeFilter::default() };
    let (rows, rest) = database.list_within(&until, 10).unwrap();
    assert_eq!((rows.len(), rest), (4, None));
    let (pairs, rest) = database.pairs_within(&often, 20).unwrap();
    assert!(pairs.is_empty() && rest.is_some());
}
