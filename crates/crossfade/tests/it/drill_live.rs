//! Drills on the running gateway: the fault is seen, callers are answered, and the rollout stands where it stood.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::parts::{CONFIG, Gateway, House, get, post, request, until};

/// Two callers that send this body one after the other while `work` runs; how many were answered, and how many were not.
fn with_callers<T>(gateway: &Gateway<'_>, body: &Value, work: impl FnOnce() -> T) -> (T, usize, usize) {
    let (over, answered, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let (address, body) = (gateway.data, body.to_string());
    let call = || {
        while !over.load(Ordering::Acquire) {
            let counter = if post(address, "/v1/chat/completions", &body).status == 200 { &answered } else { &failed };
            counter.fetch_add(1, Ordering::AcqRel);
        }
    };
    let done = std::thread::scope(|scope| {
        scope.spawn(call);
        scope.spawn(call);
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Release);
        done
    });
    let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    (done, answered.into_inner(), failed.into_inner())
}

fn chat() -> Value {
    json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "hello" }] })
}

fn start(gateway: &Gateway<'_>, name: &str, is_canary: bool) {
    gateway.run(&["rollout", "start", name]).exits(0);
    if is_canary {
        gateway.run(&["rollout", "promote", name, "--reason", "test"]).exits(0);
    }
}

const QUICK: [&str; 6] = ["--verify-requests", "5", "--actor", "dora", "--format", "json"];

/// A drill under traffic that passes, with no caller's answer failing; its report.
#[track_caller]
fn check(gateway: &Gateway<'_>, body: &Value, arguments: &[&str]) -> Value {
    let mut all = vec!["rollout", "drill", "to-qwen"];
    all.extend(arguments);
    all.extend(QUICK);
    let before = gateway.status();
    let (done, answered, failed) = with_callers(gateway, body, || gateway.run(&all));
    let report = done.exits(0).json();
    assert_eq!((&report["verdict"], &report["end"]), (&"pass".into(), &"verified".into()), "{report:#}");
    assert_eq!((failed, &report["callers_failed"], &report["after_by_candidate"]), (0, &0.into(), &0.into()));
    assert!(answered > 5 && report["faults"].as_u64().unwrap() > 0, "{report:#}");
    assert!(report["checks"].as_array().unwrap().iter().all(|check| check["holds"] == true), "{report:#}");
    assert!(report["time_to_switch_ms"].as_f64().unwrap() <= 10.0);
    // The rollout stands where it stood, and nothing of the drill is its evidence.
    let after = gateway.status();
    for key in ["status", "share", "generation"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    for arm in ["candidate", "baseline"] {
        assert_eq!(bad(&after, arm), 0, "{:#}", after["explanation"]["arms"]);
    }
    report
}

fn filed(gateway: &Gateway<'_>) -> Value {
    gateway.run(&["rollout", "filed", "to-qwen", "--format", "json"]).exits(0).json()
}

/// Bad events of an arm, on every metric.
fn bad(status: &Value, arm: &str) -> u64 {
    let guards = status["explanation"]["guards"].as_array().unwrap();
    guards.iter().map(|guard| guard[format!("bad_{arm}")].as_u64().unwrap_or(0)).sum()
}

#[test]
fn an_outage_in_canary_is_found_within_six_requests_and_no_caller_notices() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    start(&gateway, "to-qwen", true);
    // Medium risk asks for a drill before majority.
    let asked = |gateway: &Gateway<'_>| gateway.status()["explanation"]["filed"][0].clone();
    assert_eq!((&asked(&gateway)["kind"], &asked(&gateway)["missing"]), (&"drill".into(), &"nothing is filed".into()));
    let report = check(&gateway, &chat(), &["--kind", "error", "--live", "--reason", "thursday"]);
    assert_eq!((&report["stage"], &report["share"], &report["shadow"]), (&"canary".into(), &0.5.into(), &false.into()));
    // Goal G5: at most 6 candidate requests at shares of a half and more.
    assert!(report["breach"]["bad_candidate"].as_u64().unwrap() <= 6, "{report:#}");
    assert!(report["callers_answered"].as_u64().unwrap() >= report["breach"]["bad_candidate"].as_u64().unwrap());

    // It is filed for the gates, and in the history.
    let filed = until(|| filed(&gateway).as_array().unwrap().first().cloned());
    assert_eq!(
        (&filed["kind"], &filed["name"], &filed["passed"], &filed["actor"]),
        (&"drill".into(), &"error".into(), &true.into(), &"dora".into())
    );
    assert_eq!((&asked(&gateway)["verdict"], &asked(&gateway)["missing"]), (&"pass".into(), &"".into()));
    let history = gateway.run(&["rollout", "history", "to-qwen", "--format", "json"]).exits(0).json();
    let last = history.as_array().unwrap().last().unwrap();
    assert_eq!((&last["event"], &last["to"], &last["actor"]), (&"drill".into(), &"canary 50 %".into(), &"dora".into()));

    // On record it has an epoch of its own, and what met it says so.
    let epoch = report["epoch"].to_string();
    let of_drill = ["exchanges", "list", "--epoch", &epoch, "--arm", "candidate", "--limit", "100", "--format", "json"];
    let rows = until(|| {
        let rows = gateway.run(&of_drill).exits(0).json();
        (!rows.as_array().unwrap().is_empty()).then_some(rows)
    });
    let met = rows.as_array().unwrap().iter().find(|row| row["arm_failure"] == "http_server_error").unwrap();
    assert_eq!((&met["outcome"], &met["served_by"]), (&"complete".into(), &"gpt".into()));

    // The candidate answers as ever again.
    until(|| (gateway.chat("gpt-4o", "hello").header("x-crossfade-target") == Some("qwen")).then_some(()));
}

#[test]
fn an_outage_at_a_tenth_is_found_within_eight_requests() {
    let house = House::new(&CONFIG.replace("shares: [0.5]", "shares: [0.1]"));
    let gateway = house.serve();
    start(&gateway, "to-qwen", true);
    let report = check(&gateway, &chat(), &["--kind", "error", "--live"]);
    assert!(report["breach"]["bad_candidate"].as_u64().unwrap() <= 8, "{report:#}");
}

#[test]
fn a_candidate_that_hangs_keeps_callers_waiting_no_longer_than_the_drill_says() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    start(&gateway, "to-qwen", true);
    let report = check(&gateway, &chat(), &["--kind", "hang", "--live", "--patience", "50ms"]);
    assert!(report["breach"]["bad_candidate"].as_u64().unwrap() <= 6, "{report:#}");
    assert_eq!(report["patience_ms"], 50);
}

#[test]
fn answers_that_are_late_are_seen_at_the_objective_and_the_baseline_answers() {
    let house = House::new(&CONFIG.replace("warm_up: 0", "warm_up: 0, objectives: { total: 100ms }"));
    let gateway = house.serve();
    start(&gateway, "to-qwen", true);
    let report = check(&gateway, &chat(), &["--kind", "latency", "--live"]);
    assert_eq!(report["breach"]["metric"], "slow", "{report:#}");
}

#[test]
fn answers_that_should_be_json_and_refusals_reach_the_guards_and_no_caller() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    start(&gateway, "to-qwen", true);
    let mut json = chat();
    json["response_format"] = json!({ "type": "json_object" });
    let report = check(&gateway, &json, &["--kind", "malformed", "--live"]);
    assert_eq!(report["breach"]["metric"], "format", "{report:#}");
    let mut streamed = chat();
    streamed["stream"] = true.into();
    let report = check(&gateway, &streamed, &["--kind", "refusal", "--live"]);
    assert_eq!(report["breach"]["metric"], "refusal", "{report:#}");
}

#[test]
fn on_copies_alone_no_caller_meets_the_fault_at_all() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    start(&gateway, "to-qwen", false);
    for kind in ["error", "refusal"] {
        let report = check(&gateway, &chat(), &["--kind", kind, "--shadow"]);
        assert_eq!((&report["stage"], &report["callers_answered"]), (&"shadow".into(), &0.into()));
    }
}

#[test]
fn a_cohort_is_drilled_and_the_rest_is_left_alone() {
    let house = House::new(&CONFIG.replace(
        "    unit: request\n",
        "    unit: request\n    cohorts: [{ name: eu, when: { headers: { x-region: eu } } }]\n",
    ));
    let gateway = house.serve();
    start(&gateway, "to-qwen", true);
    start(&gateway, "to-qwen@eu", true);
    let over = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Acquire) {
                let headers = [("x-region", "eu"), ("content-type", "application/json")];
                let answer = request(gateway.data, "POST", "/v1/chat/completions", &headers, &chat().to_string());
                assert_eq!(answer.status, 200);
                gateway.chat("gpt-4o", "hello");
            }
        });
        let mut all = vec!["rollout", "drill", "to-qwen", "--cohort", "eu", "--kind", "error"];
        all.extend(QUICK);
        let done = gateway.run(&all);
        over.store(true, Ordering::Release);
        done.exits(0).json()
    });
    assert_eq!((&report["rollout"], &report["verdict"]), (&"to-qwen@eu".into(), &"pass".into()));
    let status = gateway.status();
    assert_eq!((&status["share"], &status["drill"]), (&0.5.into(), &Value::Null));
    assert_eq!(bad(&status, "candidate"), 0);
}

#[test]
fn what_cannot_be_rehearsed_here_is_refused_before_anything_is_broken() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let drill = |arguments: &[&str]| {
        let mut all = vec!["rollout", "drill", "to-qwen"];
        all.extend(arguments);
        gateway.run(&all)
    };
    assert!(drill(&["--kind", "error", "--live"]).exits(2).stderr.contains("has not been started"));
    start(&gateway, "to-qwen", true);
    assert!(drill(&["--kind", "error", "--shadow"]).exits(1).stderr.contains("copies are made in shadow alone"));
    assert!(drill(&["--kind", "latency", "--live"]).exits(1).stderr.contains("no latency objective"));
    assert!(drill(&["--kind", "error", "--live", "--requests", "0"]).exits(1).stderr.contains("may meet the fault"));
    assert!(drill(&["--kind", "hang", "--live", "--patience", "2m"]).exits(1).stderr.contains("lets no caller wait"));
    drill(&["--kind", "store-down", "--live"]).exits(2);
    drill(&["--kind", "error", "--live", "--shadow"]).exits(2);
    assert!(drill(&["--end"]).exits(1).stderr.contains("no drill is on"));
    assert_eq!(filed(&gateway), json!([]));
}

/// Begins a drill that nobody meets, through the admin listener alone.
fn begin(gateway: &Gateway<'_>) {
    let order = json!({ "actor": "dora", "plan": { "kind": "error", "at_most_ms": 60_000 } }).to_string();
    let json = [("content-type", "application/json")];
    let post = || request(gateway.admin, "POST", "/api/rollouts/to-qwen/drill", &json, &order);
    let answer = post();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let status = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(status.contains("a drill is on: `error` on what callers are served"), "{status}");
    let again = post();
    assert!(again.body.contains("a drill is on for `to-qwen` already"), "{}", again.body);
}

#[test]
fn a_drill_ends_by_hand_by_a_reload_by_a_move_and_by_a_kill() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    start(&gateway, "to-qwen", true);
    let ended = |gateway: &Gateway<'_>, end: &str| {
        until(|| {
            let report = get(gateway.admin, "/api/rollouts/to-qwen/drill").body;
            let report: Value = serde_json::from_str(&report).unwrap();
            (report["end"] == end).then(|| assert_eq!(report["verdict"], "undecided"))
        });
        assert_eq!(gateway.status()["drill"], Value::Null);
    };
    begin(&gateway);
    gateway.run(&["rollout", "drill", "to-qwen", "--end"]).exits(0);
    ended(&gateway, "ended");

    begin(&gateway);
    house.write(&format!("{CONFIG}# changed\n"));
    gateway.signal("-HUP");
    ended(&gateway, "reloaded");

    begin(&gateway);
    gateway.run(&["rollout", "pause", "to-qwen", "--reason", "lunch"]).exits(0);
    ended(&gateway, "moved");

    gateway.run(&["rollout", "resume", "to-qwen", "--reason", "back"]).exits(0);
    begin(&gateway);
    for _ in 0..8 {
        assert_eq!(gateway.chat("gpt-4o", "hello").status, 200);
    }
    gateway.kill();
    let gateway = house.serve();
    assert_eq!(get(gateway.admin, "/api/rollouts/to-qwen/drill").status, 404);
    let status = until(|| Some(gateway.status()).filter(|status| status["share"] == 0.5));
    assert_eq!((&status["drill"], bad(&status, "candidate")), (&Value::Null, 0));
    assert_eq!(filed(&gateway), json!([]), "no verdict, nothing filed");
}

#[test]
fn a_drill_whose_command_line_is_killed_ends_by_itself() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    start(&gateway, "to-qwen", true);
    let admin = gateway.admin.to_string();
    let mut watcher = house.spawn(&["--admin", &admin, "rollout", "drill", "to-qwen", "--kind", "error", "--live"]);
    // Asked by status alone, which does not keep it going.
    until(|| gateway.status()["drill"]["phase"].as_str().map(|phase| assert_eq!(phase, "faulty")));
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    until(|| gateway.status()["drill"].is_null().then_some(()));
    let report: Value = serde_json::from_str(&get(gateway.admin, "/api/rollouts/to-qwen/drill").body).unwrap();
    assert_eq!(
        (&report["end"], &report["verdict"], &report["faults"]),
        (&"unwatched".into(), &"undecided".into(), &0.into())
    );
    assert_eq!(filed(&gateway), json!([]));
}
