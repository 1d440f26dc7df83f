//! Exit drills on the running gateway: traffic goes to the alternative and back, is measured, and is back whatever happens.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::parts::{CONFIG, Gateway, House, get, post, until};

/// The quickstart's own stack. Its made-up errors are taken out: what fails here is the switch's fault.
pub fn quickstart() -> String {
    let config = include_str!("../../src/verbs/quickstart/crossfade.yaml").replace("{seed}", "7");
    config.replace("error_rate: 0.005", "error_rate: 0")
}

/// Two callers, one of streams, that send one request after the other while `work` runs; how many answers were whole, and how many not.
pub fn with_callers<T>(gateway: &Gateway<'_>, route: &str, work: impl FnOnce() -> T) -> (T, usize, usize) {
    let (over, whole, broken) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let call = |streamed: bool| {
        let messages = json!([{ "role": "user", "content": "hello" }]);
        let body = json!({ "model": route, "stream": streamed, "messages": messages }).to_string();
        while !over.load(Ordering::Acquire) {
            let answer = post(gateway.data, "/v1/chat/completions", &body);
            let is_whole = answer.status == 200 && (!streamed || answer.body.contains("[DONE]"));
            if is_whole { &whole } else { &broken }.fetch_add(1, Ordering::AcqRel);
        }
    };
    let done = std::thread::scope(|scope| {
        scope.spawn(|| call(false));
        scope.spawn(|| call(true));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Release);
        done
    });
    let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    (done, whole.into_inner(), broken.into_inner())
}

const QUICK: [&str; 8] = ["--before", "500ms", "--hold", "500ms", "--actor", "dora", "--format", "json"];

fn drill(gateway: &Gateway<'_>, route: &str, more: &[&str]) -> crate::parts::Done {
    let mut arguments = vec!["exit", "drill", route];
    arguments.extend(QUICK);
    arguments.extend(more);
    gateway.run(&arguments)
}

fn served_by(gateway: &Gateway<'_>, route: &str) -> Option<String> {
    gateway.chat(route, "hello").header("x-crossfade-target").map(str::to_owned)
}

/// The report of a route's drill as the audit keeps it, once it is there.
fn filed(house: &House, route: &str) -> (String, Value) {
    until(|| {
        let database = store::Database::open_read_only(house.path().join("crossfade.db")).ok()?;
        let rows = database.audit(Some(&format!("route:{route}"))).unwrap();
        let over = rows.into_iter().rfind(|row| row.action == "exit.drill_over")?;
        Some((over.actor, serde_json::from_str(&over.detail_json).unwrap()))
    })
}

#[test]
fn the_quickstarts_route_is_switched_within_five_seconds_and_nobodys_request_fails() {
    let house = House::new(&quickstart());
    let gateway = house.serve();
    let (done, whole, broken) =
        with_callers(&gateway, "support", || drill(&gateway, "support", &["--reason", "tuesday"]));
    let report = done.exits(0).json();
    assert_eq!((&report["verdict"], &report["way_back"]), (&"pass".into(), &"asked".into()), "{report:#}");
    assert_eq!(
        (&report["from"], &report["to"], &report["simulated"]),
        (&"vendor".into(), &"open".into(), &true.into())
    );
    for way in ["there", "home"] {
        let ms = report[way]["time_to_switch_ms"].as_f64().unwrap();
        assert!(ms <= 5_000.0, "{way}: {ms} ms");
    }
    let away = &report["away"];
    assert_eq!((broken, &away["failed"], &away["fell_back"], &away["own"]), (0, &0.into(), &0.into(), &0.into()));
    let n = |part: &str, key: &str| report[part][key].as_u64().unwrap();
    assert!(n("away", "by_alternative") > 5 && n("before", "by_others") > 5 && whole > 15, "{report:#}");
    assert_eq!((n("away", "by_others"), n("back", "by_alternative")), (0, 0), "{report:#}");
    assert!(report["probes"]["capabilities_there"].as_u64().unwrap() > 0, "{report:#}");
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["holds"] == true), "{report:#}");

    // Traffic is back, and all of it is in the audit.
    assert_eq!(served_by(&gateway, "support").as_deref(), Some("vendor"));
    let (actor, kept) = filed(&house, "support");
    assert_eq!((&*actor, &kept["there"], &kept["reason"]), ("dora", &report["there"], &"tuesday".into()));
    // Who answered, and why, is on record of every exchange.
    let rows = gateway.run(&["exchanges", "list", "--limit", "500", "--format", "json"]).exits(0).json();
    let moved = rows.as_array().unwrap().iter().find(|row| row["served_by"] == "open").expect("one that was moved");
    let shown = gateway.run(&["exchanges", "show", moved["id"].as_str().unwrap(), "--format", "json"]).exits(0);
    assert!(shown.stdout.contains("an exit drill of route support is on"), "{}", shown.stdout);
}

#[test]
fn an_alternative_that_fails_ends_the_drill_with_three_and_no_caller_notices() {
    let broken = CONFIG.replace("simulated: { seed: 2,", "simulated: { seed: 2, error_rate: 1,");
    assert_ne!(broken, CONFIG);
    let house = House::new(&broken);
    let gateway = house.serve();
    let (done, whole, failed) = with_callers(&gateway, "gpt-4o", || drill(&gateway, "gpt-4o", &["--no-probes"]));
    let report = done.exits(3).json();
    assert_eq!((&report["verdict"], &report["way_back"]), (&"fail".into(), &"failing".into()), "{report:#}");
    assert_eq!((failed, &report["away"]["failed"]), (0, &0.into()), "{report:#}");
    assert!(report["away"]["fell_back"].as_u64().unwrap() >= 3 && whole > 3, "{report:#}");
    assert_eq!(served_by(&gateway, "gpt-4o").as_deref(), Some("gpt"));
    assert_eq!(filed(&house, "gpt-4o").1["verdict"], "fail");
}

#[test]
fn where_nobody_sends_requests_the_drill_sends_its_own_and_says_so() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let data = gateway.data.to_string();
    let done = drill(&gateway, "gpt-4o", &["--data", &data, "--own-rate", "50", "--no-probes"]).exits(0);
    assert!(done.stderr.contains("the drill sends its own, 50 a second"), "{}", done.stderr);
    let away = &done.json()["away"];
    assert!(away["own"].as_u64().unwrap() > 3 && away["own"] == away["requests"], "{away}");
    // Without any there is nothing to tell.
    let quiet = ["--own-rate", "0", "--no-probes", "--verify", "300ms"];
    assert_eq!(drill(&gateway, "gpt-4o", &quiet).exits(4).json()["verdict"], "undecided");
}

#[test]
fn a_drill_that_knows_nowhere_to_send_requests_says_what_it_waits_for() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let quiet = ["--no-probes", "--verify", "300ms"];
    let told = drill(&gateway, "gpt-4o", &quiet).exits(4).stderr;
    for words in ["has port 0", "it waits for requests of `gpt-4o`", "--data ADDRESS"] {
        assert!(told.contains(words), "{words} not in\n{told}");
    }
    // A listener that is not there is told as well.
    let nobody = [&quiet[..], &["--data", "127.0.0.1:1"]].concat();
    let told = drill(&gateway, "gpt-4o", &nobody).exits(4).stderr;
    assert!(told.contains("nobody takes requests at 127.0.0.1:1") && told.contains("--data ADDRESS"), "{told}");
    // And one of another gateway.
    let other = House::new(CONFIG);
    let other = other.serve();
    let elsewhere = other.data.to_string();
    let told = drill(&gateway, "gpt-4o", &[&quiet[..], &["--data", &elsewhere]].concat()).exits(4).stderr;
    assert!(told.contains(&format!("own requests go to {elsewhere} and do not come here")), "{told}");
}

#[test]
fn the_status_of_a_rollout_shows_the_exit_drill_of_its_route_under_way_and_the_last_one() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let status = |gateway: &Gateway<'_>| gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(!status(&gateway).contains("exit drill"), "{}", status(&gateway));
    let admin = gateway.admin.to_string();
    let hold = ["--before", "100ms", "--hold", "60s", "--no-probes", "--verify-requests", "1", "--actor", "dora"];
    let mut watcher = house.spawn(&[&["--admin", &admin, "exit", "drill", "gpt-4o"], &hold[..]].concat());
    until(|| (served_by(&gateway, "gpt-4o")? == "qwen").then_some(()));
    let page = status(&gateway);
    assert!(page.contains("an exit drill of route `gpt-4o` is under way since"), "{page}");
    assert!(page.contains("begun by dora: `qwen` answers in place of `gpt`"), "{page}");
    assert_eq!(gateway.status()["exit_drill"]["phase"], "away");
    gateway.run(&["exit", "drill", "gpt-4o", "--end"]).exits(0);
    until(|| (served_by(&gateway, "gpt-4o")? == "gpt").then_some(()));
    watcher.wait().unwrap();
    filed(&house, "gpt-4o");
    let page = status(&gateway);
    assert!(
        page.contains("last exit drill of the route") && page.contains("gpt -> qwen: undecided, begun by dora"),
        "{page}"
    );
    // Without a gateway it is what the audit keeps.
    drop(gateway);
    let page = house.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(page.contains("gpt -> qwen: undecided, begun by dora"), "{page}");
}

#[test]
fn traffic_is_back_when_the_command_line_or_the_gateway_is_killed() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let admin = gateway.admin.to_string();
    let start = || {
        house.spawn(&[
            "--admin",
            &admin,
            "exit",
            "drill",
            "gpt-4o",
            "--before",
            "100ms",
            "--hold",
            "60s",
            "--no-probes",
        ])
    };
    let mut watcher = start();
    until(|| (served_by(&gateway, "gpt-4o")? == "qwen").then_some(()));
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    until(|| (served_by(&gateway, "gpt-4o")? == "gpt").then_some(()));
    let report: Value = until(|| {
        let report: Value = serde_json::from_str(&get(gateway.admin, "/api/routes/gpt-4o/drill").body).unwrap();
        gateway.chat("gpt-4o", "hello");
        (report["phase"] == "over").then_some(report)
    });
    assert_eq!((&report["way_back"], &report["verdict"]), (&"unwatched".into(), &"undecided".into()));
    assert!(report["away_ms"].as_f64().unwrap() < 12_000.0, "{report:#}");

    let mut watcher = start();
    until(|| (served_by(&gateway, "gpt-4o")? == "qwen").then_some(()));
    gateway.kill();
    assert!(!watcher.wait().unwrap().success(), "a drill that was broken off is no success");
    let gateway = house.serve();
    assert_eq!(served_by(&gateway, "gpt-4o").as_deref(), Some("gpt"));
}

#[test]
fn what_cannot_be_rehearsed_is_refused_before_anything_moves() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    assert!(drill(&gateway, "gpt-4", &[]).exits(2).stderr.contains("did you mean `gpt-4o`?"));
    assert!(drill(&gateway, "gpt-4o", &["--to", "qwin"]).exits(2).stderr.contains("did you mean `qwen`?"));
    assert!(drill(&gateway, "gpt-4o", &["--to", "gpt"]).exits(1).stderr.contains("own target already"));
    drill(&gateway, "gpt-4o", &["--error-limit", "2"]).exits(2);
    drill(&gateway, "gpt-4o", &["--at-most", "400ms"]).exits(2);
    assert!(drill(&gateway, "gpt-4o", &["--end"]).exits(1).stderr.contains("no exit drill of route `gpt-4o` is on"));
    assert_eq!(get(gateway.admin, "/api/routes/gpt-4o/drill").status, 404);
}

#[test]
fn vectors_stay_where_they_are_made_and_an_order_by_hand_sends_traffic_back() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let admin = gateway.admin.to_string();
    let mut watcher = house.spawn(&[
        "--admin",
        &admin,
        "exit",
        "drill",
        "gpt-4o",
        "--before",
        "100ms",
        "--hold",
        "60s",
        "--no-probes",
        "--verify-requests",
        "1",
    ]);
    until(|| (served_by(&gateway, "gpt-4o")? == "qwen").then_some(()));
    let vectors = post(gateway.data, "/v1/embeddings", r#"{"model":"gpt-4o","input":"hello"}"#);
    assert_eq!((vectors.status, vectors.header("x-crossfade-target")), (200, Some("gpt")), "{}", vectors.body);
    let told = gateway.run(&["exit", "drill", "gpt-4o", "--end"]).exits(0).stdout;
    assert!(told.contains("traffic of gpt-4o is sent back from qwen to gpt"), "{told}");
    assert_eq!(served_by(&gateway, "gpt-4o").as_deref(), Some("gpt"));
    assert_eq!(watcher.wait().unwrap().code(), Some(4), "a drill that was broken off is no verdict");
    let (_, report) = filed(&house, "gpt-4o");
    assert_eq!((&report["away"]["stayed"], &report["verdict"]), (&1.into(), &"undecided".into()), "{report:#}");
    assert_eq!(report["way_back"], "broken_off");
}

#[test]
fn a_candidate_that_was_thrown_back_is_not_rehearsed_with_callers() {
    let house = House::new(&CONFIG.replace("simulated: { seed: 2,", "simulated: { seed: 2, error_rate: 1,"));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    until(|| {
        gateway.chat("gpt-4o", "hello");
        (gateway.status()["status"] == "rolled_back").then_some(())
    });
    let refused = drill(&gateway, "gpt-4o", &["--no-probes"]).exits(1).stderr;
    assert!(refused.contains("rollout `to-qwen` was rolled back from `qwen`"), "{refused}");
}

#[test]
fn a_rollout_under_way_hears_nothing_of_a_drill_and_has_its_verdict_filed() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    let (done, _, broken) = with_callers(&gateway, "gpt-4o", || drill(&gateway, "gpt-4o", &["--no-probes"]));
    let report = done.exits(0).json();
    assert_eq!((broken, &report["away"]["by_others"]), (0, &0.into()), "{report:#}");
    let status = gateway.status();
    assert_eq!((&status["status"], &status["share"]), (&"active".into(), &0.5.into()));
    // What was moved has no arm: in the epoch there is nothing of the time away.
    let (from, to) = (report["at_us"].as_u64().unwrap(), report["away"]["requests"].as_u64().unwrap());
    let rows = gateway.run(&["exchanges", "list", "--limit", "500", "--format", "json"]).exits(0).json();
    let moved = rows.as_array().unwrap().iter().filter(|row| row["arm"].is_null() && row["served_by"] == "qwen");
    assert!(moved.count() > 0 && from > 0 && to > 0);
    let filed = until(|| {
        let rows = gateway.run(&["rollout", "filed", "to-qwen", "--format", "json"]).exits(0).json();
        rows.as_array().unwrap().iter().find(|row| row["name"] == "exit").cloned()
    });
    assert_eq!((&filed["kind"], &filed["passed"]), (&"drill".into(), &true.into()));
}
