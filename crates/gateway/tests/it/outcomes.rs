//! What other systems count of units, from the request to the record and the evidence.

use std::collections::BTreeSet;
use std::sync::Arc;

use gateway::control::RolloutSettings;
use gateway::live::{Identity, LiveRollout, View};
use rollout::{Arm, Carry, Evidence, Metric, Policy, Risk, Timestamp, Unit};
use scripted::{Script, Upstream, chat_completion};
use serde_json::{Value, json};

use crate::client::{Answer, Connection};
use crate::harness::{Gateway, Setup, rollout as by_request, until};

const KEY: &str = "Bearer sk-canary-caller";

/// A gateway whose rollout counts `tickets` and `escalations`.
fn start(live: &Arc<LiveRollout>) -> (Gateway, [Upstream; 2]) {
    let upstreams = [(); 2].map(|()| Upstream::with(|_| Script::json(chat_completion("hello"))));
    let gateway = Setup::to(&[&upstreams[0], &upstreams[1]]).with(live).start();
    let settings = RolloutSettings {
        name: live.identity.name.clone(),
        route: "gpt-4o".into(),
        baseline: "a".into(),
        candidate: "b".into(),
        fingerprint: String::new(),
        policy: Policy::template(Risk::Medium),
        probe_every: None,
        revalidate: None,
        outcomes: BTreeSet::from(["tickets".to_owned(), "escalations".to_owned()]),
        shadow: Default::default(),
        facts: Default::default(),
        retry_on_rollback: false,
    };
    let mut snapshot = (*gateway.snapshot.load_full()).clone();
    snapshot.rollouts.insert(settings.name.clone(), Arc::new(settings));
    gateway.snapshot.store(Arc::new(snapshot));
    (gateway, upstreams)
}

/// The harness's rollout, with everybody on the candidate and units of this kind.
fn rollout_of(unit: Unit) -> Arc<LiveRollout> {
    let identity = Identity { unit, ..by_request(1.0, 0.0).identity.clone() };
    let view = View {
        epoch: 1,
        generation: 1,
        share: 1.0,
        holdback: 0.0,
        shadow_sample: 0.0,
        watching: true,
        completed: false,
    };
    let policy = Policy { unit, ..Policy::template(Risk::Medium) };
    let evidence = Evidence::new(&policy, 1, 1, &Carry::none(), Timestamp(0));
    let (wake, _) = std::sync::mpsc::sync_channel(1);
    Arc::new(LiveRollout::new(identity, view, evidence, wake))
}

fn send(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    let mut all = vec![("authorization", KEY), ("content-type", "application/json")];
    all.extend_from_slice(headers);
    connection.send("POST", path, &all, body.as_bytes());
    connection.answer().expect("an answer")
}

fn chat(gateway: &Gateway, conversation: &str) -> String {
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
    let answer = send(gateway, "/v1/chat/completions", &[("x-crossfade-conversation-id", conversation)], body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-crossfade-exchange-id").expect("an id").to_owned()
}

fn post(gateway: &Gateway, body: &Value) -> (u16, Value) {
    let answer = send(gateway, "/v1/outcomes", &[], &body.to_string());
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

fn now_s() -> f64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64()
}

#[test]
fn an_outcome_counts_for_the_arm_of_its_unit_once_by_exchange_and_by_key() {
    let live = rollout_of(Unit::Conversation);
    let (gateway, _upstreams) = start(&live);
    let id = chat(&gateway, "c-1");
    let at = now_s();
    let ticket = json!({ "exchange_id": id, "metric": "tickets", "bad": true, "at": at });
    let (status, body) = post(&gateway, &ticket);
    assert_eq!(
        (status, &body["recorded"], &body["counted"], &body["arm"]),
        (200, &json!(true), &json!(true), &json!("candidate")),
        "{body}"
    );
    let (_, again) = post(&gateway, &ticket);
    assert_eq!((&again["recorded"], &again["counted"]), (&json!(false), &json!(false)));
    // The same unit, by the key that its requests came with.
    let (status, by_key) = post(&gateway, &json!({ "unit": "c-1", "metric": "escalations", "bad": true, "at": at }));
    assert_eq!((status, &by_key["recorded"], &by_key["counted"]), (200, &json!(true), &json!(false)), "{by_key}");
    assert_eq!(by_key["because"], "its unit has counted already");
    let (_, other) = post(&gateway, &json!({ "unit": "c-2", "metric": "escalations", "bad": false, "at": at }));
    assert_eq!(other["counted"], json!(true));
    let tally = live.evidence().arm(Arm::Candidate).tally(Metric::External);
    assert_eq!((tally.n, tally.bad), (2, 1));
    let unit = rollout::assign::position(&live.identity.salt, rollout::assign::ASSIGN, b"c-1");
    let rows = || gateway.database.unit_outcomes("to-b", 1, unit).unwrap();
    until("both outcomes of the unit are in the database", || rows().len() == 2);
    let signals = gateway.database.epoch_signals("to-b", 1, 0).unwrap();
    assert_eq!(
        signals.iter().filter(|signal| signal.unit == unit).count(),
        1,
        "what a restart counts again: {signals:?}"
    );
}

#[test]
fn an_outcome_that_nobody_counts_or_of_no_unit_is_refused_with_the_field_at_fault() {
    let live = rollout_of(Unit::Request);
    let (gateway, _upstreams) = start(&live);
    let id = chat(&gateway, "c-1");
    let check = |body: Value, status: u16, param: &str| {
        let (answered, body) = post(&gateway, &body);
        assert_eq!((answered, body["error"]["param"].as_str()), (status, Some(param)), "{body}");
    };
    check(json!({ "exchange_id": id, "metric": "laughs", "bad": true, "at": 1 }), 400, "metric");
    check(json!({ "unit": "c-1", "metric": "tickets", "bad": true, "at": 1 }), 400, "unit");
    check(json!({ "unit": "c-1", "metric": "laughs", "bad": true, "at": 1 }), 404, "rollout");
    check(json!({ "exchange_id": id, "metric": "tickets", "bad": true }), 400, "at");
    let never = "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f";
    check(json!({ "exchange_id": never, "metric": "tickets", "bad": true, "at": 1 }), 404, "exchange_id");
}
