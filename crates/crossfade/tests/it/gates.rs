//! What a step must prove beside the gates on rates: certificates, kinds of requests that are covered, results that somebody filed.

use serde_json::{Value, json};

use crate::parts::{Done, Gateway, House, WIDE_GATES, until, with_policy};

fn chats(gateway: &Gateway<'_>, n: usize) {
    (0..n).for_each(|idx| assert_eq!(gateway.chat("gpt-4o", &format!("question {idx}")).status, 200));
}

fn missing(facts: &Value) -> Vec<&str> {
    facts["explanation"]["missing"].as_array().unwrap().iter().map(|words| words.as_str().unwrap()).collect()
}

/// Waits until nothing is missing but what begins with these words, and share and status are where they were.
#[track_caller]
fn only_missing(gateway: &Gateway<'_>, words: &str) -> Value {
    let facts = until(|| {
        let facts = gateway.status();
        matches!(missing(&facts)[..], [only] if only.starts_with(words)).then_some(facts)
    });
    assert_eq!((&facts["status"], &facts["share"]), (&json!("active"), &json!(0.0)));
    facts
}

#[track_caller]
fn wait_for_canary(gateway: &Gateway<'_>) {
    until(|| (gateway.status()["share"] == 0.5).then_some(()));
}

const STAGES: &str = "shadow: { sample: 1.0, min_pairs: 10, min_duration: 0 }, \
                      canary: { shares: [0.5], min_units: 100000 }, majority: { shares: [0.9] }";

#[test]
fn an_objective_that_is_kept_is_certified_and_lets_the_step_be_left() {
    let policy = format!("{WIDE_GATES}, objectives: {{ total: 5s }}, certificates: {{ slow: {{ limit: 0.05 }} }}");
    let house = House::new(&with_policy(STAGES, &policy));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    chats(&gateway, 40);
    let facts = only_missing(&gateway, "slow answer rate not proven to be below 5 %");
    let certificate = &facts["explanation"]["certificates"][0];
    assert_eq!((&certificate["metric"], &certificate["verdict"]), (&json!("slow"), &json!("undecided")));
    chats(&gateway, 200);
    wait_for_canary(&gateway);
    gateway.run(&["rollout", "replay", "to-qwen"]).exits(0);
}

#[test]
fn a_candidate_slower_than_its_objective_is_never_certified_however_good_its_answers_are() {
    // No guard looks at it: what keeps it is the certificate alone.
    let policy = format!(
        "{WIDE_GATES}, objectives: {{ total: 100ms }}, certificates: {{ slow: {{ limit: 0.2 }} }}, guards: {{ slow: false }}"
    );
    let slow = with_policy(STAGES, &policy)
        .replace("seed: 2, time_to_first_token: { median: 1 }", "seed: 2, time_to_first_token: { median: 500 }");
    let house = House::new(&slow);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    chats(&gateway, 40);
    let facts = until(|| {
        let facts = gateway.status();
        (facts["explanation"]["pairs"]["have"] == 40).then_some(facts)
    });
    assert_eq!(missing(&facts).len(), 1, "{facts}");
    let certificate = &facts["explanation"]["certificates"][0];
    assert_eq!((&certificate["n"], &certificate["bad"]), (&json!(40), &json!(40)), "{certificate}");
    only_missing(&gateway, "slow answer rate not proven to be below 20 %");
    let page = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(page.contains("also asked for") && page.contains("slow"), "{page}");
}

#[test]
fn a_kind_of_requests_that_the_shadow_loses_keeps_the_step_although_most_requests_are_covered() {
    let small = "shadow: { sample: 1.0, min_pairs: 10, min_duration: 0, budget: { max_bytes: 40KiB } }, \
                 canary: { shares: [0.5], min_units: 100000 }, majority: { shares: [0.9] }";
    // A copy holds its request and twice the longest answer.
    let config = with_policy(small, WIDE_GATES).replace("overload: false", "overload: false, max_answer: 4KiB");
    let house = House::new(&config);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    // The first is a long one, so that nothing can be left before it was seen.
    let long = "x".repeat(80 << 10);
    assert_eq!(gateway.chat("gpt-4o", &long).status, 200);
    until(|| (gateway.status()["explanation"]["coverage"]["dropped"]["memory_full"] == 1).then_some(()));
    for _ in 0..40 {
        // One at a time: copies that wait for each other would be lost for another reason.
        let before = gateway.status()["explanation"]["pairs"]["have"].as_u64().unwrap();
        chats(&gateway, 1);
        until(|| (gateway.status()["explanation"]["pairs"]["have"].as_u64() > Some(before)).then_some(()));
    }
    let facts = only_missing(&gateway, "1 of 2 kinds of requests are covered by pairs, 90 % needed, worst is 64k/");
    assert!(facts["explanation"]["coverage_fraction"].as_f64() > Some(0.9), "{facts}");
    assert_eq!(facts["explanation"]["coverage"]["strata"]["64k/-/whole"]["dropped"]["memory_full"], 1);
}

#[test]
fn copies_that_are_lost_count_against_coverage_by_reason() {
    let few = "shadow: { sample: 1.0, min_pairs: 1, min_duration: 0, budget: { per_second: 0.01 } }, \
               canary: { shares: [0.5], min_units: 100000 }, majority: { shares: [0.9] }";
    let house = House::new(&with_policy(few, "gates: { error: false, format: false, tool_call: false }"));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    // With one lost and none complete nothing can be left; with one complete of five neither.
    chats(&gateway, 5);
    let facts = until(|| {
        let facts = gateway.status();
        (facts["explanation"]["coverage"]["dropped"]["rate"] == 4 && facts["explanation"]["pairs"]["have"] == 1)
            .then_some(facts)
    });
    assert_eq!(facts["share"], 0.0, "{facts}");
    only_missing(&gateway, "20 % of sampled requests have a complete pair, 90 % needed, most lost to rate");
}

fn file(gateway: &Gateway<'_>, arguments: &[&str]) -> Done {
    gateway.run(&[&["rollout", "file", "to-qwen"], arguments].concat())
}

#[test]
fn a_result_must_be_filed_the_latest_a_pass_and_large_enough_before_the_stage_is_entered() {
    let requires = "requires: [{ kind: suite, name: support, max_age: 1d, before: canary, min_cases: 10 }]";
    let config = with_policy(STAGES, WIDE_GATES).replace("requires: []", requires);
    let house = House::new(&config);
    let gateway = house.serve();
    let pass = |cases: &str| {
        file(
            &gateway,
            &["--kind", "suite", "--name", "support", "--outcome", "pass", "--digest", "sha256:00ff", "--cases", cases],
        )
    };
    let unknown = pass("10").exits(2).stderr;
    assert!(unknown.contains("has not been started"), "{unknown}");
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    chats(&gateway, 40);
    only_missing(&gateway, "suite `support`: nothing is filed");
    let page = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(page.contains("rollout file"), "the page says how: {page}");

    file(&gateway, &["--kind", "suite", "--name", "other", "--outcome", "pass", "--digest", "d"]).exits(0);
    file(&gateway, &["--kind", "drill", "--name", "support", "--outcome", "pass", "--digest", "d"]).exits(0);
    only_missing(&gateway, "suite `support`: nothing is filed");
    pass("9").exits(0);
    only_missing(&gateway, "suite `support`: the latest covers 9 cases of 10");
    file(
        &gateway,
        &[
            "--kind",
            "suite",
            "--name",
            "support",
            "--outcome",
            "fail",
            "--digest",
            "d",
            "--cases",
            "10",
            "--actor",
            "ana",
        ],
    )
    .exits(0);
    only_missing(&gateway, "suite `support`: the latest is a failure");
    file(&gateway, &["--kind", "exam", "--name", "support", "--outcome", "pass", "--digest", "d"]).exits(2);
    file(&gateway, &["--kind", "suite", "--name", " ", "--outcome", "pass", "--digest", "d"]).exits(2);
    assert_eq!(gateway.status()["share"], 0.0);
    pass("10").exits(0);
    wait_for_canary(&gateway);

    let filed = gateway.run(&["rollout", "filed", "to-qwen", "--format", "json"]).exits(0).json();
    let rows: Vec<(&str, bool, u64)> = filed
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["name"].as_str().unwrap(), row["passed"].as_bool().unwrap(), row["n"].as_u64().unwrap()))
        .collect();
    let newest_first =
        [("support", true, 10), ("support", false, 10), ("support", true, 9), ("support", true, 0), ("other", true, 0)];
    assert_eq!(rows, newest_first);
    gateway.run(&["rollout", "replay", "to-qwen"]).exits(0);
}
