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
    // The copies' own circuit breaker opens first, so that the guards see its probes alone.
    let report = check(&house, &["--kind", "error", "--shadow-only"], 0);
    assert_eq!(
        (&report["verdict"], &report["stage"], &report["simulated"]),
        (&"pass".into(), &"shadow".into(), &true.into())
    );
    assert_eq!(check_of(&report, "answers to callers that failed")["measured"], "0");
    assert_eq!(check_of(&report, "attempts and copies begun after the switch")["measured"], "0");
    assert!(
        report["detected_after_s"].as_f64().unwrap() < 30.0,
        "at production's pauses it would be half a minute or more"
    );
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
fn an_outage_after_a_good_past_is_found_within_a_few_bad_events_at_any_share() {
    let house = House::new(CONFIG);
    for share in ["0.1", "0.5", "0.9"] {
        let report = check(&house, &["--kind", "error", "--share", share], 0);
        // The circuit breaker of the candidate, which counts no units, may be there first. Eight, and two for good answers under way.
        if check_of(&report, "what saw it")["measured"] != "breaker_open" {
            let bad = check_of(&report, "bad events of the candidate until then");
            assert_eq!((&bad["target"], &bad["holds"]), (&"at most 10".into(), &true.into()), "{report:#}");
        }
    }
}

#[test]
fn answers_that_are_late_are_seen_and_nobody_is_left_without_one() {
    let house = House::new(&CONFIG.replace("warm_up: 0", "warm_up: 0, objectives: { first_token: 200ms, total: 2s }"));
    let report = check(&house, &["--kind", "latency"], 0);
    assert_eq!(report["verdict"], "pass", "{report:#}");
    assert_eq!(check_of(&report, "what saw it")["measured"], "relative");
    assert_eq!(check_of(&report, "answers to callers that failed")["measured"], "0");
    assert_eq!(check_of(&report, "attempts and copies begun after the switch")["measured"], "0");
}

#[test]
fn where_nearly_everybody_is_on_the_candidate_the_limit_on_late_answers_sees_them() {
    let policy = "warm_up: 0, objectives: { total: 300ms }, absolute: { slow: 0.5 }";
    let house = House::new(&CONFIG.replace("warm_up: 0", policy));
    let report = check(&house, &["--kind", "latency", "--share", "0.9"], 0);
    assert_eq!(report["verdict"], "pass", "{report:#}");
    assert_eq!(check_of(&report, "what saw it")["measured"], "absolute");
    assert_eq!(check_of(&report, "answers to callers that failed")["measured"], "0");
}

#[test]
fn answers_that_should_be_json_and_refusals_are_seen() {
    let house = House::new(CONFIG);
    for kind in ["malformed", "refusal"] {
        assert_eq!(check(&house, &["--kind", kind], 0)["verdict"], "pass");
    }
}

#[test]
fn without_its_store_a_canary_goes_back_to_the_baseline_and_nothing_is_lost() {
    let house = House::new(CONFIG);
    for fault in ["locked", "read-only"] {
        let report = check(&house, &["--kind", "store-down", "--store-fault", fault], 0);
        assert_eq!(report["store_fault"], fault);
        for what in ["shadow and canary go back to the baseline", "written down once the store is back"] {
            assert_eq!(check_of(&report, what)["holds"], true, "{report:#}");
        }
        assert_eq!(check_of(&report, "answers to callers that failed")["measured"], "0");
        assert_eq!(check_of(&report, "answers that are not on record")["measured"], "0");
    }
}

#[test]
fn without_its_store_a_majority_stays_with_its_guards_armed() {
    let house = House::new(CONFIG);
    let report = check(&house, &["--kind", "store-down", "--store-fault", "read-only", "--share", "0.9"], 0);
    assert_eq!(check_of(&report, "the share stays where it is")["measured"], "yes");
    assert_eq!(check_of(&report, "guards are armed: a broken candidate is thrown back")["holds"], true);
    assert_eq!(check_of(&report, "answers that are not on record")["measured"], "0");
}

#[test]
fn without_its_lead_a_canary_goes_back_while_another_engine_serves_what_was_committed() {
    let house = House::new(CONFIG);
    let report = check(&house, &["--kind", "leader-loss"], 0);
    for what in [
        "another gateway is refused the lease while this one runs",
        "another engine takes over, at the committed share",
        "shadow and canary go back to the baseline",
        "a promotion is refused",
        "the highest share of the one that lost",
        "the last row is the other leader's",
    ] {
        assert_eq!(check_of(&report, what)["holds"], true, "{report:#}");
    }
    assert_eq!(check_of(&report, "answers to callers that failed")["measured"], "0");
}

#[test]
fn without_its_lead_a_majority_stays_with_its_guards_armed() {
    let house = House::new(CONFIG);
    let report = check(&house, &["--kind", "leader-loss", "--share", "0.9"], 0);
    assert_eq!(check_of(&report, "the share stays where it is")["measured"], "yes");
    assert_eq!(check_of(&report, "guards are armed: a broken candidate is thrown back")["holds"], true);
    assert_eq!(check_of(&report, "a promotion is refused")["measured"], "yes");
    assert_eq!(check_of(&report, "the highest share of the one that lost")["target"], "0.9");
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
