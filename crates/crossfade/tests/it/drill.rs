//! Rehearsed failures: seen, switched, verified, and filed for the gates that ask for them.

use serde_json::Value;

use crate::parts::{CONFIG, House};

#[track_caller]
fn check(house: &House, arguments: &[&str], code: i32) -> Value {
    let mut all = vec!["rollout", "drill", "to-qwen", "--verify", "500ms", "--format", "json"];
    all.extend(arguments);
    house.run(&all).exits(code).json()
}

#[track_caller]
fn check_of<'a>(report: &'a Value, what: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["what"] == what).unwrap_or_else(|| panic!("no `{what}` in {report:#}"))
}

#[test]
fn an_outage_in_shadow_is_seen_and_no_caller_notices() {
    let house = House::new(CONFIG);
    let report = check(&house, &["--kind", "error", "--shadow-only"], 0);
    assert_eq!(
        (&report["verdict"], &report["stage"], &report["simulated"]),
        (&"pass".into(), &"shadow".into(), &true.into())
    );
    assert_eq!(check_of(&report, "answers to callers that failed")["measured"], "0");
    assert_eq!(check_of(&report, "attempts and copies begun after the switch")["measured"], "0");
    assert!(report["detected_after_s"].as_f64().unwrap() < 60.0);
    assert_eq!(report["digest"].as_str().unwrap().len(), 64);
}

#[test]
fn a_candidate_that_hangs_in_canary_is_thrown_back_and_the_result_is_filed() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let arguments = ["rollout", "drill", "to-qwen", "--kind", "hang", "--verify", "500ms", "--format", "json"];
    let done = gateway.run(&arguments).exits(0);
    let report = done.json();
    assert_eq!(report["verdict"], "pass", "{report:#}");
    let filed = gateway.run(&["rollout", "filed", "to-qwen", "--format", "json"]).exits(0).json();
    let row = &filed.as_array().unwrap()[0];
    assert_eq!((&row["kind"], &row["name"], &row["passed"]), (&"drill".into(), &"hang".into(), &true.into()));
    assert_eq!(row["digest"], report["digest"]);
    // The rollout itself was not touched.
    let status = gateway.status();
    assert_eq!((&status["status"], &status["share"]), (&"active".into(), &0.0.into()));
    assert_eq!(status["explanation"]["pairs"]["have"], 0);
}

#[test]
fn without_its_leader_or_its_store_a_canary_goes_back_to_the_baseline() {
    let house = House::new(CONFIG);
    for kind in ["leader-loss", "store-down"] {
        let report = check(&house, &["--kind", kind], 0);
        assert_eq!(check_of(&report, "shadow and canary go back to the baseline")["holds"], true, "{report:#}");
        assert_eq!(check_of(&report, "answers to callers that failed")["measured"], "0");
    }
}

#[test]
fn without_its_leader_a_majority_stays_with_its_guards_armed() {
    let house = House::new(CONFIG);
    let report = check(&house, &["--kind", "leader-loss", "--share", "0.9"], 0);
    assert_eq!(check_of(&report, "the share stays where it is")["measured"], "yes");
    assert_eq!(check_of(&report, "guards are armed: a broken candidate is thrown back")["holds"], true);
    assert_eq!(check_of(&report, "a promotion is refused")["measured"], "yes");
}

#[test]
fn a_fault_that_the_policy_cannot_see_is_no_verdict() {
    let house = House::new(CONFIG);
    let report = check(&house, &["--kind", "latency"], 4);
    assert_eq!(report["verdict"], "undecided");
    assert!(report["undecided"].as_str().unwrap().contains("no latency objective"), "{report:#}");
    house.run(&["rollout", "drill", "to-nobody", "--kind", "error"]).exits(2);
    house.run(&["rollout", "drill", "to-qwen", "--kind", "error", "--share", "0.99"]).exits(2);
}
