//! Several candidates of one route, as an operator meets them: who leads, who is proven, who is out by the route's requirements.

use serde_json::Value;

use crate::parts::{Gateway, House, post, until};

/// A vendor, two candidates that the route takes, and three that it does not.
const CONFIG: &str = "\
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
shadow: { overload: false }
providers:
  old:  { dialect: simulated, simulated: { seed: 1, time_to_first_token: { median: 1 }, output_tokens: { median: 4 } } }
  good: { dialect: simulated, simulated: { seed: 2, time_to_first_token: { median: 1 }, output_tokens: { median: 4 } } }
  bad:  { dialect: simulated, simulated: { seed: 3, error_rate: 0.12, time_to_first_token: { median: 1 }, output_tokens: { median: 4 } } }
targets:
  gpt:      { provider: old, model: gpt-4o }
  good:     { provider: good, model: good, labels: { context: 131072, gpu: h100, licence: apache-2.0 } }
  bad:      { provider: bad, model: bad, labels: { context: 65536, gpu: l40s, licence: mit } }
  short:    { provider: good, model: short, labels: { context: 8192, gpu: h100, licence: mit } }
  unsaid:   { provider: good, model: unsaid, labels: { context: 131072, gpu: h100 } }
  elsewhere: { provider: good, model: elsewhere, labels: { context: 131072, gpu: tpu, licence: mit } }
routes:
  gpt-4o: { target: gpt, workload: tags, requires: { context: 32000, gpu: [l40s, h100], licence: [apache-2.0, mit] } }
workloads:
  tags: { risk: low }
rollouts:
  to-good:  { route: gpt-4o, baseline: gpt, candidate: good, unit: request, stages: { shadow: { sample: 1.0 }, canary: { shares: [0.5] }, majority: { shares: [0.9] } }, policy: { warm_up: 0 } }
  to-bad:   { route: gpt-4o, baseline: gpt, candidate: bad, unit: request, stages: { shadow: { sample: 1.0 }, canary: { shares: [0.5] }, majority: { shares: [0.9] } }, policy: { warm_up: 0, shadow_guards: false } }
  to-short: { route: gpt-4o, baseline: gpt, candidate: short, unit: request, stages: { shadow: { sample: 0.2 }, canary: { shares: [0.5] }, majority: { shares: [0.9] } }, policy: { warm_up: 0 } }
  to-unsaid: { route: gpt-4o, baseline: gpt, candidate: unsaid, unit: request, stages: { shadow: { sample: 0.2 }, canary: { shares: [0.5] }, majority: { shares: [0.9] } }, policy: { warm_up: 0 } }
  to-elsewhere: { route: gpt-4o, baseline: gpt, candidate: elsewhere, unit: request, stages: { shadow: { sample: 0.2 }, canary: { shares: [0.5] }, majority: { shares: [0.9] } }, policy: { warm_up: 0 } }
";

const ALL: [&str; 5] = ["to-bad", "to-elsewhere", "to-good", "to-short", "to-unsaid"];

fn start_all(gateway: &Gateway<'_>) {
    ALL.iter().for_each(|rollout| drop(gateway.run(&["rollout", "start", rollout]).exits(0)));
}

fn compared(gateway: &Gateway<'_>) -> Value {
    gateway.run(&["rollout", "compare", "gpt-4o", "--format", "json"]).json()
}

fn of<'v>(contest: &'v Value, rollout: &str) -> &'v Value {
    contest["contenders"].as_array().unwrap().iter().find(|contender| contender["rollout"] == rollout).unwrap()
}

fn chat(gateway: &Gateway<'_>, n: usize) {
    (0..n).for_each(|idx| assert_eq!(gateway.chat("gpt-4o", &format!("question {idx}")).status, 200));
}

#[test]
fn the_best_of_several_candidates_is_proven_and_those_that_lack_what_the_route_requires_are_out() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "compare", "gpt-4o"]).exits(2);
    start_all(&gateway);
    let open = gateway.run(&["rollout", "compare", "gpt-4o"]).exits(4);
    assert!(open.stdout.contains("route gpt-4o: 5 candidates; acceptable from an e-value of"), "{}", open.stdout);
    assert!(open.stdout.contains("leads, not proven to be the best"), "{}", open.stdout);

    let contest = until(|| {
        chat(&gateway, 100);
        let contest = compared(&gateway);
        (contest["winner"] == "to-good").then_some(contest)
    });
    let page = gateway.run(&["rollout", "compare", "gpt-4o"]).exits(0).stdout;
    assert!(page.contains("proven best: to-good"), "{page}");
    let names: Vec<&str> =
        contest["contenders"].as_array().unwrap().iter().map(|one| one["rollout"].as_str().unwrap()).collect();
    assert_eq!(names[..2], ["to-good", "to-bad"], "those that are out come last");
    for (rollout, why) in [
        ("to-short", "context 8192, 32000 required"),
        ("to-unsaid", "licence unknown, apache-2.0 or mit required"),
        ("to-elsewhere", "gpu tpu, l40s or h100 required"),
    ] {
        assert_eq!(of(&contest, rollout)["eliminated"], why);
        assert!(page.contains(&format!("out: {why}")), "{page}");
        let refused = gateway.run(&["rollout", "promote", rollout, "--reason", "test"]).exits(1);
        assert!(refused.stderr.contains(&format!("the candidate is out: {why}")), "{}", refused.stderr);
    }
    let (good, bad) = (of(&contest, "to-good"), of(&contest, "to-bad"));
    assert_eq!((&good["acceptable"], &bad["acceptable"]), (&true.into(), &false.into()));
    assert!(good["ranks"][1].as_u64() < bad["ranks"][1].as_u64(), "{good} {bad}");
    assert!(bad["ranks"][0].as_u64() > Some(1), "proven to be worse than another: {bad}");
    assert_eq!(good["labels"], serde_json::json!({ "context": "131072", "gpu": "h100", "licence": "apache-2.0" }));

    // What a candidate has to itself is corrected for how many there are.
    let status = gateway.run(&["rollout", "status", "to-good", "--format", "json"]).json();
    let gates = status["explanation"]["gates"].as_array().unwrap();
    let own = gates.iter().map(|gate| gate["e_value"].as_f64().unwrap()).fold(f64::INFINITY, f64::min);
    assert!(compared(&gateway).pointer("/contenders/0/e_value").unwrap().as_f64().unwrap() < own);

    // One goes on; the others go on to copy, and none of them goes beyond shadow while it serves.
    gateway.run(&["rollout", "promote", "to-good", "--reason", "test"]).exits(0);
    let refused = gateway.run(&["rollout", "promote", "to-bad", "--reason", "test"]).exits(1);
    assert!(refused.stderr.contains("route `gpt-4o` is served by rollout `to-good`"), "{}", refused.stderr);
    let page = gateway.run(&["rollout", "compare", "gpt-4o"]).stdout;
    assert!(page.contains("to-good serves: the others go on to copy"), "{page}");
    gateway.run(&["rollout", "abort", "to-good", "--reason", "test"]).exits(0);
    let page = gateway.run(&["rollout", "compare", "gpt-4o"]).exits(4).stdout;
    assert!(
        page.contains("out: aborted by tester: test") && page.contains("leads, not proven to be the best: to-bad"),
        "{page}"
    );
    gateway.run(&["rollout", "promote", "to-bad", "--reason", "test"]).exits(0);
    // The store alone says the same.
    assert_eq!(gateway.stop(), 0);
    let alone = house.run(&["rollout", "compare", "gpt-4o"]).exits(4);
    assert!(alone.stdout.contains("to-bad serves"), "{}", alone.stdout);
}

#[test]
fn a_requirement_that_is_reloaded_puts_a_candidate_out_and_back() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-good"]).exits(0);
    assert_eq!(of(&compared(&gateway), "to-good")["eliminated"], Value::Null);
    let epoch = || gateway.run(&["rollout", "status", "to-good", "--format", "json"]).json()["epoch"].clone();
    let before = epoch();
    house.write(&CONFIG.replace("context: 32000", "context: 200000"));
    gateway.run(&["reload"]).exits(0);
    until(|| (of(&compared(&gateway), "to-good")["eliminated"] == "context 131072, 200000 required").then_some(()));
    gateway.run(&["rollout", "promote", "to-good", "--reason", "test"]).exits(1);
    house.write(CONFIG);
    gateway.run(&["reload"]).exits(0);
    until(|| of(&compared(&gateway), "to-good")["eliminated"].is_null().then_some(()));
    assert_eq!(epoch(), before, "what is said of a candidate is no change of it");
    gateway.run(&["rollout", "promote", "to-good", "--reason", "test"]).exits(0);
}

#[test]
fn labels_and_requirements_that_are_not_known_are_mistakes_with_their_place() {
    for (right, wrong, says) in [
        ("licence: mit }", "license: mit }", "licence"),
        ("context: 8192", "context: eight", "context"),
        ("requires: { context: 32000", "requires: { contexts: 32000", "context"),
    ] {
        let house = House::new(&CONFIG.replacen(right, wrong, 1));
        let done = house.run(&["check"]).exits(2);
        assert!(done.stderr.contains(says) && done.stderr.contains("crossfade.yaml"), "{}", done.stderr);
    }
}

#[test]
fn what_is_teacher_forced_is_said_wherever_pairs_are_judged() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-good"]).exits(0);
    let step = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"add 1 and 2"},{"role":"assistant","tool_calls":[{"id":"c1","type":"function","function":{"name":"add","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c1","content":"3"}]}"#;
    assert_eq!(post(gateway.data, "/v1/chat/completions", step).status, 200);
    let status = until(|| {
        let page = gateway.run(&["rollout", "status", "to-good"]).exits(0).stdout;
        page.contains("teacher-forced").then_some(page)
    });
    for page in [&status, &gateway.run(&["rollout", "compare", "gpt-4o"]).exits(4).stdout] {
        assert!(page.contains("whole trajectories are judged in canary, by the outcomes of units"), "{page}");
    }
    let json = gateway.run(&["rollout", "status", "to-good", "--format", "json"]).json();
    assert_eq!(json["explanation"]["comparisons"]["teacher_forced"], 1);
    assert_eq!(of(&compared(&gateway), "to-good")["teacher_forced"], 1);
    until(|| {
        let listed = gateway.run(&["exchanges", "pairs", "--format", "json"]).exits(0).json();
        listed.to_string().contains("\"teacher_forced\":true").then_some(())
    });
}
