//! Decisions made again from the record: all of them equal, and a record that was touched is found out.

use rusqlite::Connection;
use serde_json::Value;

use crate::parts::{CONFIG, Done, Gateway, House, until};

fn replayed(house: &House) -> Done {
    house.run(&["rollout", "replay", "to-qwen", "--format", "json"])
}

#[track_caller]
fn check_equal(house: &House, events: &[&str]) -> Value {
    let report = replayed(house).exits(0).json();
    let transitions = report["transitions"].as_array().unwrap();
    let found: Vec<&str> = transitions.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(found, events);
    assert!(transitions.iter().all(|line| line["equal"] == true), "{report:#}");
    assert_eq!((&report["verdict"], &report["n_differences"]), (&"equal".into(), &0.into()), "{report:#}");
    report
}

fn chat(gateway: &Gateway<'_>, n: usize) {
    (0..n).for_each(|idx| drop(gateway.chat("gpt-4o", &format!("question {idx}"))));
}

fn verb(gateway: &Gateway<'_>, verb: &str) {
    gateway.run(&["rollout", verb, "to-qwen", "--reason", "test"]).exits(0);
}

#[test]
fn a_rollout_that_was_paused_killed_promoted_and_aborted_comes_out_the_same_every_time() {
    let house = House::new(&CONFIG.replace("risk: medium", "risk: low"));
    let gateway = house.serve();
    verb(&gateway, "start");
    chat(&gateway, 20);
    verb(&gateway, "pause");
    chat(&gateway, 5);
    verb(&gateway, "resume");
    verb(&gateway, "promote");
    chat(&gateway, 40);
    gateway.kill();

    let gateway = house.serve();
    until(|| (gateway.status()["explanation"]["units"]["have"] == 40).then_some(()));
    chat(&gateway, 10);
    verb(&gateway, "promote");
    chat(&gateway, 30);
    // While it runs, too.
    check_equal(&house, &["start", "pause", "resume", "force_promote", "force_promote"]);
    assert_eq!(gateway.stop(), 0);
    house.run(&["rollout", "abort", "to-qwen", "--reason", "enough"]).exits(0);

    let gateway = house.serve();
    verb(&gateway, "resume");
    chat(&gateway, 10);
    assert_eq!(gateway.stop(), 0);
    let all = ["start", "pause", "resume", "force_promote", "force_promote", "abort", "resume"];
    let report = check_equal(&house, &all);
    assert!(report["inputs"].as_u64() > Some(200), "outcomes, pairs, offers and key sources: {report:#}");
    assert!(report["outcomes_checked"].as_u64() >= Some(80), "{report:#}");
    assert!(report["looks_equal"].as_u64() >= Some(5), "{report:#}");
}

/// A bad candidate, rolled back by evidence.
fn rolled_back() -> House {
    let house = House::new(&CONFIG.replace("seed: 2,", "seed: 2, error_rate: 0.5,"));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    until(|| {
        chat(&gateway, 1);
        (gateway.status()["status"] == "rolled_back").then_some(())
    });
    assert_eq!(gateway.stop(), 0);
    house
}

/// Changes one row behind the back of the triggers that forbid it.
fn touch(house: &House, table: &str, sql: &str) {
    let connection = Connection::open(house.path().join("crossfade.db")).unwrap();
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?1")
        .unwrap()
        .query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, _) in &triggers {
        connection.execute(&format!("DROP TRIGGER {name}"), []).unwrap();
    }
    assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
    for (_, sql) in &triggers {
        connection.execute(sql, []).unwrap();
    }
}

/// The statement that makes the first bad outcome of the last part a good one.
fn one_outcome_turned_good(house: &House) -> String {
    let connection = Connection::open(house.path().join("crossfade.db")).unwrap();
    let select = "SELECT first, bytes, data FROM inputs WHERE epoch = 2 ORDER BY first DESC LIMIT 1";
    let part = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, Vec<u8>>(2)?));
    let (first, bytes, data) = connection.query_row(select, [], part).unwrap();
    let lines = zstd::bulk::decompress(&data, usize::try_from(bytes).unwrap()).unwrap();
    let lines = String::from_utf8(lines).unwrap();
    let mut touched: Vec<String> = lines.lines().map(str::to_owned).collect();
    let bad =
        touched.iter_mut().find(|line| line.starts_with("{\"of\":\"outcome\"") && !line.contains("\"bad\":0")).unwrap();
    let from = bad.find("\"bad\":").unwrap();
    let to = from + bad[from..].find(',').unwrap();
    bad.replace_range(from..to, "\"bad\":0");
    let touched = touched.join("\n") + "\n";
    let hex: String =
        zstd::bulk::compress(touched.as_bytes(), 3).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("UPDATE inputs SET data = x'{hex}', bytes = {} WHERE epoch = 2 AND first = {first}", touched.len())
}

#[track_caller]
fn check_found_out(house: &House, row: &str) {
    let report = replayed(house).exits(3).json();
    let rows: Vec<&str> =
        report["differences"].as_array().unwrap().iter().map(|it| it["row"].as_str().unwrap()).collect();
    assert!(rows.iter().any(|found| found.starts_with(row)), "{row} is not among {rows:?}");
}

#[test]
fn a_rollback_by_evidence_comes_out_the_same_and_whatever_was_touched_is_named() {
    let house = rolled_back();
    let report = check_equal(&house, &["start", "force_promote", "rollback"]);
    assert_eq!(report["transitions"][2]["actor"], "crossfade");
    house.run(&["rollout", "replay", "to-nobody"]).exits(2);
    let text = house.run(&["rollout", "replay", "to-qwen"]).exits(0).stdout;
    assert!(text.contains("every decision came out as it is recorded"), "{text}");

    // Each change is undone before the next.
    let before = std::fs::read(house.path().join("crossfade.db")).unwrap();
    let restore = || {
        for name in ["crossfade.db-wal", "crossfade.db-shm"] {
            drop(std::fs::remove_file(house.path().join(name)));
        }
        std::fs::write(house.path().join("crossfade.db"), &before).unwrap();
    };
    let failed = "arm = 'candidate' AND role = 'live' AND shadow = 0 AND failure IS NOT NULL";
    let changes = [
        (
            "attempts",
            format!(
                "UPDATE attempts SET failure = NULL WHERE {failed}
                 AND exchange_id = (SELECT max(exchange_id) FROM attempts WHERE {failed})"
            ),
            "exchanges",
        ),
        (
            "evidence",
            "UPDATE evidence SET json = replace(json, '\"n_pairs\":0', '\"n_pairs\":1') WHERE epoch = 2".to_owned(),
            "evidence epoch 2",
        ),
        ("transitions", "UPDATE transitions SET actor = 'eve' WHERE event = 'rollback'".to_owned(), "transitions 3"),
        (
            "transitions",
            "UPDATE transitions SET evidence_json = replace(evidence_json, '\"share\":0.5', '\"share\":0.6') WHERE event = 'rollback'"
                .to_owned(),
            "transitions 3",
        ),
        ("rollouts", "UPDATE rollouts SET generation = generation + 1".to_owned(), "rollouts to-qwen"),
        (
            "decisions",
            "UPDATE decisions SET json = replace(json, '\"alpha_harm\":0.01', '\"alpha_harm\":0.02') WHERE generation = 3".to_owned(),
            "decisions 3",
        ),
    ];
    for (table, sql, row) in changes {
        touch(&house, table, &sql);
        check_found_out(&house, row);
        restore();
        check_equal(&house, &["start", "force_promote", "rollback"]);
    }
    let bad_one = one_outcome_turned_good(&house);
    touch(&house, "inputs", &bad_one);
    check_found_out(&house, "inputs epoch 2");
    restore();
    // What is missing is no difference, and no proof either.
    touch(&house, "decisions", "DELETE FROM decisions WHERE generation = 1");
    let report = replayed(&house).exits(4).json();
    assert_eq!(report["verdict"], "incomplete");
}

#[test]
fn what_was_counted_is_deleted_when_its_time_is_over_and_what_is_kept_is_decided_again() {
    let house = House::new(&CONFIG.replace("risk: medium", "risk: low"));
    let gateway = house.serve();
    verb(&gateway, "start");
    chat(&gateway, 20);
    verb(&gateway, "promote");
    chat(&gateway, 20);
    assert_eq!(gateway.stop(), 0);
    let entries = |epoch: u32| -> i64 {
        let connection = Connection::open(house.path().join("crossfade.db")).unwrap();
        let select = "SELECT coalesce(sum(n), 0) FROM inputs WHERE epoch = ?1";
        connection.query_row(select, [epoch], |row| row.get(0)).unwrap()
    };
    let of_canary = entries(2);
    assert!(entries(1) > 0 && of_canary > 0);

    // The same store under a config that keeps nothing of what is over.
    house.write(&format!("record: {{ replay: 0s }}\n{}", CONFIG.replace("risk: medium", "risk: low")));
    let gateway = house.serve();
    until(|| (entries(1) == 0).then_some(()));
    assert_eq!(entries(2), of_canary, "of an epoch under way nothing is deleted");
    chat(&gateway, 10);
    verb(&gateway, "promote");
    let report = replayed(&house).exits(0).json();
    assert_eq!((&report["verdict"], &report["missing"]), (&"equal".into(), &serde_json::json!([])), "{report:#}");
    assert!(report["pruned"][0].as_str().unwrap().contains("of epoch 1 were deleted"), "{report:#}");
    let equal: Vec<&Value> = report["transitions"].as_array().unwrap().iter().map(|line| &line["equal"]).collect();
    assert_eq!(equal, [&Value::from(true), &Value::from(true), &Value::from(true)], "{report:#}");
    assert!(
        report["looks_equal"].as_u64() > Some(0),
        "the second epoch is decided again, saving by saving: {report:#}"
    );
    let page = house.run(&["rollout", "replay", "to-qwen"]).exits(0).stdout;
    assert!(page.contains("every decision that is kept came out as it is recorded"), "{page}");
    // What is gone without a word in the audit is missing, whoever deleted it.
    assert_eq!(gateway.stop(), 0);
    let connection = Connection::open(house.path().join("crossfade.db")).unwrap();
    assert!(connection.execute("DELETE FROM inputs WHERE epoch = 2", []).unwrap() > 0);
    assert_eq!(replayed(&house).exits(4).json()["verdict"], "incomplete");
}
