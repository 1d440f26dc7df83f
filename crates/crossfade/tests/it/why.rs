//! Why a rollout stands where it stands: the events, the e-value, the exchanges, and what would change it.

use serde_json::Value;

use crate::parts::{CONFIG, House, until};

#[test]
fn a_rollback_names_its_events_its_e_value_and_exchanges_that_can_be_read() {
    let house = House::new(&CONFIG.replace("seed: 2,", "seed: 2, error_rate: 1.0,"));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    until(|| {
        gateway.chat("gpt-4o", "hello");
        (gateway.status()["status"] == "rolled_back").then_some(())
    });
    let history = gateway.run(&["rollout", "history", "to-qwen"]).exits(0).stdout;
    for words in ["rollback by ", "bad: error of the candidate: "] {
        assert!(history.contains(words), "{words} not in\n{history}");
    }
    // Whichever is first: the guard, or the circuit breaker after five failures in a row.
    assert!(
        history.contains("what failed: the guard on `error` ") || history.contains("circuit breaker opened"),
        "{history}"
    );
    let id = history.lines().rev().find_map(|line| line.trim().strip_prefix("bad: error of the candidate: ")).unwrap();
    let id = id.split(' ').next().unwrap().to_owned();
    let shown = until(|| {
        let shown = gateway.run(&["exchanges", "show", &id, "--format", "json"]);
        (shown.code == 0).then(|| shown.json())
    });
    assert_eq!((&shown["arm"], &shown["arm_failure"]), (&Value::from("candidate"), &Value::from("http_server_error")));
    let status = gateway.run(&["rollout", "status", "to-qwen"]).exits(3).stdout;
    assert!(
        status.contains("why, and what would change it") && status.contains("bad       error of the candidate: "),
        "{status}"
    );
    let json = gateway.run(&["rollout", "history", "to-qwen", "--format", "json"]).exits(0).json();
    let last = json.as_array().unwrap().iter().find(|row| row["event"] == "rollback").unwrap().clone();
    assert!(last["evidence_json"].as_str().unwrap().contains(&id));
}

#[test]
fn a_status_says_what_would_change_it_and_an_approval_that_nobody_waits_for_what_it_waits_for() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    for _ in 0..5 {
        assert_eq!(gateway.chat("gpt-4o", "hello").status, 200);
    }
    let facts = until(|| {
        let facts = gateway.status();
        facts["why"]["per_hour"].is_number().then_some(facts)
    });
    let waits = facts["why"]["waits"].as_array().unwrap();
    let pairs = waits.iter().find(|wait| wait["what"] == "pairs").unwrap();
    assert!(pairs["more"].as_u64() > Some(1000) && pairs["left_s"].is_u64(), "{pairs}");
    assert!(waits.iter().any(|wait| wait["what"] == "gate error"), "{waits:?}");
    let status = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    for words in ["needs     pairs: about ", "at the present rate", "guard     nearest: "] {
        assert!(status.contains(words), "{words} not in\n{status}");
    }
    let refused = gateway.run(&["rollout", "approve", "to-qwen", "--actor", "ana"]).exits(1).stderr;
    for words in ["it waits for ", " pairs", "hint: `crossfade rollout status to-qwen`"] {
        assert!(refused.contains(words), "{words} not in\n{refused}");
    }
}

#[test]
fn at_full_the_gates_are_read_anew_from_the_record_and_too_little_is_not_enough() {
    let house = House::new(&CONFIG.replace("risk: medium", "risk: low"));
    let gateway = house.serve();
    let read = ["rollout", "revalidate", "to-qwen", "--last", "1h", "--format", "json"];
    gateway.run(&read).exits(2);
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let refused = gateway.run(&read).exits(1).stderr;
    assert!(refused.contains("not at full with a holdback"), "{refused}");
    for _ in 0..3 {
        gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test", "--actor", "ana"]).exits(0);
    }
    for _ in 0..20 {
        assert_eq!(gateway.chat("gpt-4o", "hello").status, 200);
    }
    let found = until(|| {
        let found = gateway.run(&read).exits(4).json();
        (found["requests"] == 20).then_some(found)
    });
    let gates = found["gates"].as_array().unwrap();
    let units = |gate: &Value| gate["baseline"][0].as_u64().unwrap() + gate["candidate"][0].as_u64().unwrap();
    assert!(!gates.is_empty() && gates.iter().all(|gate| units(gate) == 20 && gate["is_proven"] == false), "{found}");
    assert_eq!(gateway.stop(), 0);
    let page = house.run(&["rollout", "revalidate", "to-qwen", "--last", "1h"]).exits(4).stdout;
    assert!(page.contains("could not be proven again") && page.contains("20 requests"), "{page}");
}
