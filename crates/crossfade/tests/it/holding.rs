//! Steps whose time is up, or for which time will not help: held for a person, who gives more time, takes them as they are, or not.

use serde_json::{Value, json};

use crate::parts::{CONFIG, Gateway, House, WIDE_GATES, until, with_policy};

#[track_caller]
fn wait_for(gateway: &Gateway<'_>, status: &str) -> Value {
    until(|| Some(gateway.status()).filter(|facts| facts["status"] == status))
}

fn verb(gateway: &Gateway<'_>, verb: &str, reason: &str) -> crate::parts::Done {
    match reason {
        "" => gateway.run(&["rollout", verb, "to-qwen"]),
        reason => gateway.run(&["rollout", verb, "to-qwen", "--reason", reason]),
    }
}

/// Shadow ends after a second, and nothing can be proven in it.
const SHORT_SHADOW: &str = "shadow: { sample: 1.0, min_pairs: 100000, min_duration: 0, max_duration: 1s }, \
                            canary: { shares: [0.5], min_units: 100000 }, majority: { shares: [0.9] }";

#[test]
fn an_undecided_step_is_held_extended_held_again_and_accepted_with_a_reason_each_time() {
    let house = House::new(&with_policy(SHORT_SHADOW, ""));
    let gateway = house.serve();
    verb(&gateway, "start", "").exits(0);
    gateway.chat("gpt-4o", "hello");
    let held = wait_for(&gateway, "held");
    let reason = held["explanation"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("held for a person: "), "{reason}");
    let page = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(page.contains("rollout extend to-qwen") && page.contains("rollout accept to-qwen"), "{page}");
    // Copies go on, and so does the counting: what is held is the share.
    gateway.chat("gpt-4o", "hello");

    for verb_of in ["extend", "accept"] {
        let refused = verb(&gateway, verb_of, "").exits(2).stderr;
        assert!(refused.contains("hint: give `--reason TEXT`"), "{refused}");
    }
    verb(&gateway, "promote", "not held for nothing").exits(1);
    verb(&gateway, "extend", "the weekend").exits(0);
    let held = wait_for(&gateway, "held");
    assert_eq!(held["explanation"]["epoch"], 1, "more time is no new evidence");
    let accepted = verb(&gateway, "accept", "few users, all of them asked").exits(0).stdout;
    assert!(accepted.contains("overrules: "), "{accepted}");
    let facts = gateway.status();
    assert_eq!(
        (&facts["status"], &facts["share"], &facts["explanation"]["epoch"]),
        (&json!("active"), &json!(0.5), &json!(2))
    );
    let history = gateway.run(&["rollout", "history", "to-qwen", "--format", "json"]).exits(0).json();
    let rows: Vec<(&str, &str)> = history
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["event"].as_str().unwrap(), row["actor"].as_str().unwrap()))
        .collect();
    let by = |event, actor| (event, actor);
    assert_eq!(
        rows,
        [
            by("start", "tester"),
            by("hold", "crossfade"),
            by("extend", "tester"),
            by("hold", "crossfade"),
            by("accept", "tester")
        ]
    );
    verb(&gateway, "extend", "too late").exits(1);
    gateway.run(&["rollout", "replay", "to-qwen"]).exits(0);
}

#[test]
fn where_the_policy_forbids_it_nobody_accepts_what_was_not_proven() {
    let house = House::new(&with_policy(SHORT_SHADOW, "forced_promotion: false"));
    let gateway = house.serve();
    verb(&gateway, "start", "").exits(0);
    wait_for(&gateway, "held");
    let refused = verb(&gateway, "accept", "because I say so").exits(1).stderr;
    assert!(refused.contains("does not allow a promotion before the gates have passed"), "{refused}");
    assert_eq!(gateway.status()["share"], 0.0);
    verb(&gateway, "abort", "no").exits(0);
}

#[test]
fn a_rollout_that_learns_nothing_any_more_is_held_as_stale() {
    let stages = "shadow: { sample: 1.0, min_pairs: 100000, min_duration: 0 }, canary: { shares: [0.5] }, majority: { shares: [0.9] }";
    let house = House::new(&with_policy(stages, "stale_after: 1s"));
    let gateway = house.serve();
    verb(&gateway, "start", "").exits(0);
    gateway.chat("gpt-4o", "hello");
    let held = wait_for(&gateway, "held");
    assert!(held["explanation"]["reason"].as_str().unwrap().contains("nothing was counted for 1 s"), "{held}");
}

#[test]
fn guards_stay_armed_while_a_step_is_held() {
    let broken = "seed: 2, error_rate: 1.0,";
    let stages = "shadow: { sample: 1.0 }, canary: { shares: [0.5], min_units: 100000, min_duration: 0, max_duration: 1s }, \
                  majority: { shares: [0.9] }";
    let house = House::new(&with_policy(stages, WIDE_GATES).replace("seed: 2,", broken));
    let gateway = house.serve();
    verb(&gateway, "start", "").exits(0);
    verb(&gateway, "promote", "test").exits(0);
    let held = wait_for(&gateway, "held");
    assert_eq!(held["share"], 0.5, "held keeps the share");
    until(|| {
        assert_eq!(gateway.chat("gpt-4o", "hello").status, 200, "failover hides the candidate's errors");
        (gateway.status()["status"] == "rolled_back").then_some(())
    });
    assert_eq!(gateway.status()["share"], 0.0);
    verb(&gateway, "accept", "never").exits(1);
}

#[test]
fn an_author_is_not_held_to_a_step_that_has_time() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    verb(&gateway, "start", "").exits(0);
    for verb_of in ["extend", "accept"] {
        let refused = verb(&gateway, verb_of, "early").exits(1).stderr;
        assert!(refused.contains(&format!("`{verb_of}` is not possible while the rollout is active")), "{refused}");
    }
}
