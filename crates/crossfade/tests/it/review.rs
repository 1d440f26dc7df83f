//! What a policy refers to a person, from the queue to the decision.

use crate::parts::{CONFIG, House, until};

#[test]
fn what_is_referred_is_listed_shown_and_decided_once() {
    let policy = "workload: support, policy: { checks: { medicine: { deny: [\"(?i)overdose\"], then: escalate } } } }";
    let house = House::new(&CONFIG.replace("workload: support }", policy));
    assert_eq!(
        house.run(&["check", "--format", "json"]).exits(0).json()["routes"]["gpt-4o"]["policy"]["checks"][0]["then"],
        "escalate"
    );
    let gateway = house.serve();
    assert_eq!(gateway.chat("gpt-4o", "hello").status, 200);
    let referred = gateway.chat("gpt-4o", "what is an overdose of it?");
    assert_eq!(referred.status, 403);
    let id = referred.header("x-crossfade-exchange-id").unwrap().to_owned();
    let list = ["review", "list", "--format", "json"];
    until(|| (gateway.run(&list).exits(0).json().as_array().unwrap().len() == 1).then_some(()));
    let shown = gateway.run(&["review", "show", &id]).exits(0).stdout;
    for words in ["overdose of it", "medicine", "escalate", "pattern 1"] {
        assert!(shown.contains(words), "{words} not in\n{shown}");
    }
    let resolve = ["review", "resolve", &id, "--decision", "approve", "--reason", "a nurse asked", "--actor", "ana"];
    gateway.run(&resolve).exits(0);
    let again = gateway.run(&resolve).exits(1);
    assert!(again.stderr.contains("has decided"), "{}", again.stderr);
    gateway.run(&["review", "resolve", "none", "--decision", "reject", "--reason", "x"]).exits(2);
    let metrics = crate::parts::get(gateway.admin, "/metrics").body;
    let sample = "crossfade_policy_verdicts_total{route=\"gpt-4o\",check=\"medicine\",phase=\"before\",arm=\"\",shadow=\"false\",verdict=\"escalate\"} 1";
    assert!(metrics.contains(sample), "{metrics}");
    assert_eq!(gateway.stop(), 0);

    assert_eq!(house.run(&list).exits(0).json(), serde_json::json!([]));
    let all = house.run(&["review", "list", "--all"]).exits(0).stdout;
    assert!(all.contains("approve") && all.contains("ana") && all.contains("a nurse asked"), "{all}");
    let verdicts = house.run(&["review", "verdicts", "--format", "json"]).exits(0).json();
    assert_eq!((&verdicts[0]["n"], &verdicts[0]["escalated"]), (&2.into(), &1.into()));
}
