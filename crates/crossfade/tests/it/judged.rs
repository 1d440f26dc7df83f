//! Pairs of the shadow that are judged while they come: a candidate as good as the baseline passes the gate, one whose answers are well
//! formed and wrong is thrown back, and both come out the same from the record.

use serde_json::Value;

use crate::parts::{Gateway, House, get, until, with_policy};

const QUESTIONS: [&str; 4] = [
    "How long is a parcel kept in the locker?",
    "What is the largest parcel that fits?",
    "How do I add a new employee?",
    "How long is the warranty?",
];

/// Both targets know the answers; the candidate gives them as often as it is good. The candidate is held against the baseline, which is
/// asked twice.
fn house(quality: f64) -> House {
    let checks = "checks: [non_empty, { metric: squad_f1, against: baseline, threshold: 0.6 }]";
    let stages = format!(
        "shadow: {{ sample: 1.0, noise_duplicate: 1.0, min_pairs: 10, min_duration: 0, judged: {{ {checks}, sample: 0.9 }} }}, \
         canary: {{ shares: [0.5] }}, majority: {{ shares: [0.9] }}"
    );
    let gates = "gates: { error: false, format: false, tool_call: false, judged: { margin: 0.3 } }";
    let config = with_policy(&stages, gates);
    let config = config.replace("seed: 1,", "seed: 1, quality: 1.0,");
    House::new(&config.replace("seed: 2,", &format!("seed: 2, quality: {quality},")))
}

fn chat(gateway: &Gateway<'_>) {
    QUESTIONS.iter().for_each(|question| assert_eq!(gateway.chat("gpt-4o", question).status, 200));
}

fn judged_gate(status: &Value) -> Option<&Value> {
    let gates = status["explanation"]["gates"].as_array().unwrap();
    gates.iter().find(|gate| gate["metric"] == "judged")
}

fn replays_equal(house: &House, events: &[&str]) {
    let report = house.run(&["rollout", "replay", "to-qwen", "--format", "json"]).exits(0).json();
    let found: Vec<&Value> = report["transitions"].as_array().unwrap().iter().map(|line| &line["event"]).collect();
    assert_eq!(found, events, "{report:#}");
    assert_eq!((&report["verdict"], &report["n_differences"]), (&"equal".into(), &0.into()), "{report:#}");
}

#[test]
fn pairs_that_are_judged_move_the_gate_from_undecided_to_pass() {
    let house = house(1.0);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    chat(&gateway);
    let status = gateway.status();
    assert_eq!(judged_gate(&status).unwrap()["verdict"], "undecided", "{status:#}");
    until(|| {
        chat(&gateway);
        (gateway.status()["explanation"]["stage"] == "canary").then_some(())
    });
    let status = gateway.status();
    assert!(judged_gate(&status).is_none(), "once callers are served nobody judges, and nothing is asked of it");
    let metrics = get(gateway.admin, "/metrics").body;
    assert!(metrics.contains("crossfade_shadow_judged_total{rollout=\"to-qwen\",verdict=\"both_good\"}"), "{metrics}");
    // Every verdict is on record with its definition and its values, and no word of the answers is in the log.
    let pairs = until(|| {
        let pairs = gateway.run(&["exchanges", "pairs", "--format", "json"]).exits(0).stdout;
        pairs.contains("squad_f1@").then_some(pairs)
    });
    assert!(pairs.contains("checks@crossfade-live-1:") && pairs.contains("good / good"), "{pairs}");
    assert!(!gateway.log().contains("72 hours"));
    assert_eq!(gateway.stop(), 0);
    replays_equal(&house, &["start", "promote"]);
}

#[test]
fn answers_that_are_well_formed_and_wrong_throw_the_candidate_back() {
    let house = house(0.2);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let status = until(|| {
        chat(&gateway);
        let status = gateway.status();
        (status["status"] == "rolled_back").then_some(status)
    });
    assert_eq!(status["explanation"]["breach"]["metric"], "judged", "{status:#}");
    let page = gateway.run(&["rollout", "status", "to-qwen"]).exits(3).stdout;
    assert!(page.contains("judged"), "{page}");
    let comparisons = status["explanation"]["comparisons"]["distances"].as_array().unwrap();
    let judged = comparisons.iter().find(|row| row["kind"] == "judged").unwrap();
    assert_eq!(judged["noise"], 0.0, "the baseline agrees with itself: {judged:#}");
    assert!(judged["excess"].as_f64() > Some(0.3), "{judged:#}");
    assert_eq!(gateway.stop(), 0);
    replays_equal(&house, &["start", "rollback"]);
}

#[test]
fn another_threshold_is_other_evidence_and_begins_a_new_epoch() {
    let house = house(1.0);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let before = gateway.status()["explanation"]["epoch"].as_u64().unwrap();
    let config = std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap();
    house.write(&config.replace("threshold: 0.6", "threshold: 0.7"));
    gateway.run(&["reload"]).exits(0);
    until(|| (gateway.status()["explanation"]["epoch"].as_u64() == Some(before + 1)).then_some(()));
    // How many are judged is no other definition.
    house.write(&config.replace("threshold: 0.6", "threshold: 0.7").replace("sample: 0.9", "sample: 0.8"));
    gateway.run(&["reload"]).exits(0);
    assert_eq!(gateway.status()["explanation"]["epoch"].as_u64(), Some(before + 1));
}
