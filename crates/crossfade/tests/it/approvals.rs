//! People who must agree: how many, who may not, what their consent is bound to, and what makes it void.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::parts::{Gateway, House, WIDE_GATES, post, until, with_policy};

fn chats(gateway: &Gateway<'_>, n: usize) {
    (0..n).for_each(|idx| assert_eq!(gateway.chat("gpt-4o", &format!("question {idx}")).status, 200));
}

#[track_caller]
fn wait_for(gateway: &Gateway<'_>, status: &str) -> Value {
    until(|| Some(gateway.status()).filter(|facts| facts["status"] == status))
}

fn approve(gateway: &Gateway<'_>, actor: &str) -> crate::parts::Done {
    gateway.run(&["rollout", "approve", "to-qwen", "--actor", actor, "--format", "json"])
}

fn events(gateway: &Gateway<'_>) -> Vec<String> {
    let history = gateway.run(&["rollout", "history", "to-qwen", "--format", "json"]).exits(0).json();
    history.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn two_people_agree_neither_of_them_the_author_and_what_they_agreed_to_is_on_record() {
    let stages = "shadow: { sample: 1.0, min_pairs: 10, min_duration: 0, approvals: 2 }, \
                  canary: { shares: [0.5], min_units: 100000 }, majority: { shares: [0.9] }";
    let house = House::new(&with_policy(stages, WIDE_GATES));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let early = approve(&gateway, "ana").exits(1).stderr;
    assert!(early.contains("it waits for") && early.contains("2 needed"), "{early}");
    assert!(early.contains("of 10 pairs") && early.contains("Nothing is lost"), "{early}");
    let page = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(page.contains("when its gates pass it waits for 2 approvals"), "{page}");
    chats(&gateway, 40);
    let waiting = wait_for(&gateway, "awaiting_approval");
    assert_eq!((&waiting["share"], &waiting["explanation"]["approvals_needed"]), (&json!(0.0), &json!(2)));

    let own = approve(&gateway, "tester").exits(1).stderr;
    assert!(own.contains("`tester` started this rollout and may not approve it"), "{own}");
    let next_step = "hint: somebody else has to: `crossfade rollout approve to-qwen --actor NAME`";
    assert!(own.contains(next_step), "{own}");
    let said = gateway.run(&["rollout", "approve", "to-qwen", "--actor", "ana"]).exits(0).stdout;
    assert_eq!(said, "to-qwen: approved by ana (1 of 2)\n");
    let again = approve(&gateway, "ana").exits(1).stderr;
    assert!(again.contains("`ana` has approved this step already") && again.contains(next_step), "{again}");
    // Gates can be overruled, people cannot.
    let forced = gateway.run(&["rollout", "promote", "to-qwen", "--reason", "in a hurry"]).exits(1).stderr;
    assert!(forced.contains("the step needs 2 approvals and has 1"), "{forced}");

    let facts = gateway.status();
    let approval = &facts["explanation"]["approvals"][0];
    assert_eq!(
        (&approval["rollout"], &approval["actor"], &approval["role"], &approval["epoch"], &approval["step_idx"]),
        (&json!("to-qwen"), &json!("ana"), &json!("approver"), &json!(1), &json!(0))
    );
    let lasts_us = approval["expires_at"].as_u64().unwrap() - approval["at"].as_u64().unwrap();
    assert_eq!(lasts_us, 7 * 86_400 * 1_000_000, "the template's approvals hold for a week");
    let history = gateway.run(&["rollout", "history", "to-qwen", "--format", "json"]).exits(0).json();
    let row = history.as_array().unwrap().iter().find(|row| row["event"] == "approve").unwrap();
    let digest = Sha256::digest(row["evidence_json"].as_str().unwrap());
    let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(approval["evidence_hash"], hash, "bound to the evidence that the row shows");

    approve(&gateway, "bob").exits(0);
    until(|| (gateway.status()["share"] == 0.5).then_some(()));
    assert_eq!(events(&gateway), ["start", "await_approval", "approve", "approve", "promote"]);
    assert_eq!(gateway.status()["explanation"]["approvals"], json!([]), "the next step asks anew");
    // Who is used to other systems promotes what was approved, and would skip the step that it is on by now.
    let skips = gateway.run(&["rollout", "promote", "to-qwen", "--reason", "approved"]).exits(1).stderr;
    assert!(skips.contains("it went on by itself to canary 50 %"), "{skips}");
    assert_eq!(gateway.status()["share"], 0.5);
    let shown = gateway.run(&["rollout", "history", "to-qwen"]).exits(0).stdout;
    assert!(shown.contains("shadow 0 % (awaiting_approval), share 0, epoch 1\n  approve by ana: "), "{shown}");
    gateway.run(&["rollout", "replay", "to-qwen"]).exits(0);
}

#[test]
fn a_pause_makes_void_what_was_approved_before_it() {
    let stages = "shadow: { sample: 1.0, min_pairs: 10, min_duration: 0, approvals: 2 }, \
                  canary: { shares: [0.5] }, majority: { shares: [0.9] }";
    let house = House::new(&with_policy(stages, WIDE_GATES));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    chats(&gateway, 40);
    wait_for(&gateway, "awaiting_approval");
    approve(&gateway, "ana").exits(0);
    gateway.run(&["rollout", "pause", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "resume", "to-qwen"]).exits(0);
    let waiting = wait_for(&gateway, "awaiting_approval");
    assert_eq!(waiting["explanation"]["approvals"], json!([]));
    approve(&gateway, "bob").exits(0);
    assert_eq!(gateway.status()["explanation"]["approvals"].as_array().unwrap().len(), 1);
    // Of another process, with another idea of who is the author: the state is the store's.
    assert_eq!(gateway.stop(), 0);
    let gateway = house.serve();
    wait_for(&gateway, "awaiting_approval");
    assert_eq!(gateway.status()["explanation"]["approvals"][0]["actor"], "bob", "a restart forgets nobody's consent");
}

/// One chat and what a user says of it; the target that answered.
fn said(gateway: &Gateway<'_>, thumb: impl Fn(&str) -> &'static str) -> String {
    let answer = gateway.chat("gpt-4o", "hello");
    let id = answer.header("x-crossfade-exchange-id").unwrap();
    let target = answer.header("x-crossfade-target").unwrap().to_owned();
    let body = json!({ "exchange_id": id, "kind": "thumb", "value": thumb(&target) });
    let answer = post(gateway.data, "/v1/feedback", &body.to_string());
    assert!(answer.status == 200 && answer.body.contains("\"counted\":true"), "{}", answer.body);
    target
}

#[test]
fn evidence_that_ceases_to_pass_takes_back_the_question_and_the_consent() {
    let stages = "shadow: { sample: 1.0 }, canary: { shares: [0.5], min_units: 10, min_duration: 0, approvals: 2 }, \
                  majority: { shares: [0.9], min_units: 100000 }";
    let policy = "gates: { error: false, format: false, tool_call: false, feedback: { margin: 0.3 } }, guards: { feedback: false }";
    let house = House::new(&with_policy(stages, policy));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    let liked_until_asked = || {
        until(|| {
            (0..10).for_each(|_| drop(said(&gateway, |_| "up")));
            (gateway.status()["status"] == "awaiting_approval").then_some(())
        });
    };
    liked_until_asked();
    approve(&gateway, "ana").exits(0);
    until(|| {
        said(&gateway, |target| if target == "qwen" { "down" } else { "up" });
        (gateway.status()["status"] == "active").then_some(())
    });
    let facts = gateway.status();
    assert_eq!(
        (&facts["share"], &facts["explanation"]["approvals"]),
        (&json!(0.5), &json!([])),
        "nothing but consent is lost"
    );
    let why = facts["explanation"]["missing"].to_string();
    assert!(why.contains("negative feedback rate not proven within its margin"), "{why}");
    liked_until_asked();
    approve(&gateway, "bob").exits(0);
    assert_eq!(gateway.status()["status"], "awaiting_approval", "what ana said was of other evidence");
    approve(&gateway, "ana").exits(0);
    until(|| (gateway.status()["share"] == 0.9).then_some(()));
    let expected = [
        "start",
        "force_promote",
        "await_approval",
        "approve",
        "withdraw",
        "await_approval",
        "approve",
        "approve",
        "promote",
    ];
    assert_eq!(events(&gateway), expected);
    gateway.run(&["rollout", "replay", "to-qwen"]).exits(0);
}

#[test]
fn an_approval_that_nobody_gives_in_time_holds_the_rollout_and_never_promotes_it() {
    let stages = "shadow: { sample: 1.0, min_pairs: 10, min_duration: 0, approvals: 1 }, \
                  canary: { shares: [0.5], min_units: 100000 }, majority: { shares: [0.9] }";
    let house = House::new(&with_policy(stages, &format!("approval_expiry: 3s, {WIDE_GATES}")));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    chats(&gateway, 40);
    let held = wait_for(&gateway, "held");
    assert!(held["explanation"]["reason"].as_str().unwrap().contains("nobody approved within 3 s"), "{held}");
    assert_eq!(held["share"], 0.0);
    let accept = ["rollout", "accept", "to-qwen", "--reason", "looked at by hand"];
    let refused = gateway.run(&accept).exits(1).stderr;
    assert!(refused.contains("the step needs 1 approvals and has 0"), "{refused}");
    // What ana says holds for three seconds too: on a slow machine she says it again.
    until(|| {
        approve(&gateway, "ana");
        (gateway.run(&accept).code == 0).then_some(())
    });
    assert_eq!(gateway.status()["share"], 0.5);
}
