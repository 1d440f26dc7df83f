//! Cohorts of a rollout: each with a share, guards and epochs of its own; who is kept on the baseline; whom a tester may call.

use serde_json::{Value, json};

use crate::parts::{CONFIG, Gateway, House, request, until};

const COHORTS: &str = "    cohorts:
      - { name: banks, when: { tenant: \"bank-*\" }, arm: baseline }
      - { name: eu, when: { geography: eu }, stages: { canary: { shares: [0.8] } } }
";

const CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;

const JSON_CHAT: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"a JSON object"}],"response_format":{"type":"json_object"}}"#;

/// One chat with these headers; the target that answered.
fn chat(gateway: &Gateway<'_>, headers: &[(&str, &str)]) -> String {
    let answer = request(gateway.data, "POST", "/v1/chat/completions", headers, CHAT);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.header("x-crossfade-target").unwrap().to_owned()
}

fn status(gateway: &Gateway<'_>, name: &str) -> Value {
    gateway.run(&["rollout", "status", name, "--format", "json"]).json()
}

fn to_canary(gateway: &Gateway<'_>, name: &str) {
    gateway.run(&["rollout", "start", name]).exits(0);
    gateway.run(&["rollout", "promote", name, "--reason", "test"]).exits(0);
}

const EU: (&str, &str) = ("x-crossfade-geography", "eu");

#[test]
fn a_cohort_is_thrown_back_by_its_own_guards_and_the_others_stay_where_they_are() {
    // Answers in the wrong format, and no errors: those would open the candidate's circuit breaker, which is everybody's.
    let broken = CONFIG.replace("seed: 2,", "seed: 2, malformed_json_rate: 1.0,");
    let house = House::new(&format!("{broken}{COHORTS}"));
    let gateway = house.serve();
    to_canary(&gateway, "to-qwen@eu");
    to_canary(&gateway, "to-qwen");
    let shares = ["to-qwen@eu", "to-qwen"].map(|name| status(&gateway, name)["share"].clone());
    assert_eq!(shares, [json!(0.8), json!(0.5)]);
    until(|| {
        let answer = request(gateway.data, "POST", "/v1/chat/completions", &[EU], JSON_CHAT);
        assert_eq!(answer.status, 200, "{}", answer.body);
        (status(&gateway, "to-qwen@eu")["status"] == "rolled_back").then_some(())
    });
    gateway.run(&["rollout", "status", "to-qwen@eu"]).exits(3);
    let rest = status(&gateway, "to-qwen");
    assert_eq!((&rest["status"], &rest["share"]), (&json!("active"), &json!(0.5)));
    assert_eq!(rest["explanation"]["units"]["have"], 0, "its evidence knows nothing of the cohort's");
    (0..20).for_each(|_| assert_eq!(chat(&gateway, &[EU]), "gpt"));

    // The cohort begins again by itself, in an epoch of its own.
    gateway.run(&["rollout", "resume", "to-qwen@eu", "--reason", "fixed"]).exits(0);
    assert_eq!(status(&gateway, "to-qwen@eu")["explanation"]["epoch"], 3);
    assert_eq!(status(&gateway, "to-qwen")["explanation"]["epoch"], 2);
    let list = gateway.run(&["rollout", "status"]).exits(0).stdout;
    assert!(list.contains("to-qwen@eu") && !list.contains("banks"), "{list}");
}

#[test]
fn who_is_on_the_deny_list_stays_on_the_baseline_and_is_nobodys_evidence() {
    let house = House::new(&format!("{CONFIG}{COHORTS}"));
    let made = house.run(&["keys", "create", "bank", "--tenant", "bank-1"]).exits(0);
    let bank = format!("Bearer {}", made.stdout.trim());
    let gateway = house.serve();
    to_canary(&gateway, "to-qwen@eu");
    to_canary(&gateway, "to-qwen");
    (0..30).for_each(|_| {
        assert_eq!(
            chat(&gateway, &[("authorization", &bank), EU]),
            "gpt",
            "the first cohort that holds is the request's"
        )
    });
    let of_eu: Vec<String> = (0..40).map(|_| chat(&gateway, &[EU])).collect();
    let of_rest: Vec<String> = (0..40).map(|_| chat(&gateway, &[])).collect();
    for answered in [&of_eu, &of_rest] {
        assert!(answered.iter().any(|target| target == "qwen") && answered.iter().any(|target| target == "gpt"));
    }
    for name in ["to-qwen@eu", "to-qwen"] {
        until(|| (status(&gateway, name)["explanation"]["units"]["have"] == 40).then_some(()));
    }
    let rows = until(|| {
        let rows = gateway.run(&["exchanges", "list", "--limit", "200", "--format", "json"]).exits(0).json();
        (rows.as_array().unwrap().len() == 110).then_some(rows)
    });
    let in_none = rows.as_array().unwrap().iter().filter(|row| row["rollout"].is_null()).count();
    assert_eq!(in_none, 30);
    let of_cohort = ["exchanges", "list", "--rollout", "to-qwen@eu", "--limit", "200", "--format", "json"];
    assert_eq!(gateway.run(&of_cohort).exits(0).json().as_array().unwrap().len(), 40);
}

#[test]
fn a_forced_arm_answers_and_is_no_evidence_of_it() {
    let house = House::new(CONFIG);
    let made = house.run(&["keys", "create", "tester", "--force-arm"]).exits(0);
    let key = format!("Bearer {}", made.stdout.trim());
    let gateway = house.serve();
    to_canary(&gateway, "to-qwen");
    let forced = |arm: &str| chat(&gateway, &[("authorization", &key), ("x-crossfade-arm", arm)]);
    (0..10).for_each(|_| assert_eq!(forced("candidate"), "qwen"));
    (0..10).for_each(|_| assert_eq!(forced("baseline"), "gpt"));
    let others: Vec<String> = (0..30).map(|_| chat(&gateway, &[("x-crossfade-arm", "candidate")])).collect();
    assert!(others.iter().any(|target| target == "gpt"), "without such a key the header says nothing");
    let facts = until(|| {
        let facts = gateway.status();
        (facts["explanation"]["units"]["have"] == 30).then_some(facts)
    });
    let requests: u64 = facts["explanation"]["arms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arm| {
            let rates = arm["rates"].as_array().unwrap();
            rates.iter().find(|rate| rate["metric"] == "error").map_or(0, |rate| rate["n"].as_u64().unwrap())
        })
        .sum();
    assert_eq!(requests, 30);
    let rows = until(|| {
        let rows = gateway.run(&["exchanges", "list", "--limit", "100", "--format", "json"]).exits(0).json();
        (rows.as_array().unwrap().len() == 50).then_some(rows)
    });
    assert_eq!(rows.as_array().unwrap().iter().filter(|row| row["forced"] == true).count(), 20);
    // Nobody is sent to a candidate that was thrown back.
    gateway.run(&["rollout", "abort", "to-qwen", "--reason", "enough"]).exits(0);
    assert_eq!(forced("candidate"), "gpt");
}
