//! A gateway killed without warning.

use crate::parts::{CONFIG, House, until};

#[test]
fn after_sigkill_the_rollout_stands_where_it_stood_and_nothing_acknowledged_is_lost() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    let before = gateway.status();
    assert_eq!(before["share"], 0.5);
    let ids: Vec<String> = (0..40)
        .map(|n| gateway.chat("gpt-4o", &format!("question {n}")).header("x-crossfade-exchange-id").unwrap().to_owned())
        .collect();
    gateway.kill();

    let gateway = house.serve();
    let after = gateway.status();
    assert!(after["share"].as_f64() <= before["share"].as_f64());
    for fact in ["status", "share", "generation", "policy_hash"] {
        assert_eq!(after[fact], before[fact], "{fact}");
    }
    assert_eq!(after["explanation"]["epoch"], before["explanation"]["epoch"]);
    // The page is what the store has of the evidence, and the restored evidence gets there within half a second.
    until(|| (gateway.status()["explanation"]["units"]["have"] == 40).then_some(()));
    let rows = gateway.run(&["exchanges", "list", "--limit", "1000", "--format", "json"]).exits(0).json();
    let recorded: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(recorded.len(), 40);
    assert!(ids.iter().all(|id| recorded.contains(&id.as_str())));
    assert_eq!(gateway.stop(), 0);
}
