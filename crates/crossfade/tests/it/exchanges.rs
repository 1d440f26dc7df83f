//! The record read back, from the running gateway and from its store.

use crate::parts::{CONFIG, House, until};

#[test]
fn what_was_answered_can_be_listed_and_shown_while_it_runs_and_after() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let ids: Vec<String> = (0..3)
        .map(|n| gateway.chat("gpt-4o", &format!("question {n}")).header("x-crossfade-exchange-id").unwrap().to_owned())
        .collect();
    until(|| {
        let rows = gateway.run(&["exchanges", "list", "--format", "json"]).exits(0).json();
        (rows.as_array().unwrap().len() == 3).then_some(())
    });
    let shown = gateway.run(&["exchanges", "show", &ids[1]]).exits(0).stdout;
    for words in ["question 1", "simulated", "complete", "gpt-4o"] {
        assert!(shown.contains(words), "{words} not in\n{shown}");
    }
    gateway.run(&["exchanges", "show", "none"]).exits(2);
    gateway.run(&["exchanges", "show", "00000000-0000-7000-8000-000000000000"]).exits(2);
    assert_eq!(gateway.stop(), 0);

    let rows = house.run(&["exchanges", "list", "--format", "json", "--outcome", "complete"]).exits(0).json();
    let stored: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
    let newest_first: Vec<&str> = ids.iter().rev().map(String::as_str).collect();
    assert_eq!(stored, newest_first);
    let none = house.run(&["exchanges", "list", "--format", "json", "--route", "other"]).exits(0).json();
    assert_eq!(none, serde_json::json!([]));
}

#[test]
fn pairs_hold_both_answers() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    for n in 0..5 {
        gateway.chat("gpt-4o", &format!("question {n}"));
    }
    let rows = until(|| {
        let rows = gateway.run(&["exchanges", "pairs", "--rollout", "to-qwen", "--format", "json"]).exits(0).json();
        let complete = rows.as_array().unwrap().iter().filter(|row| !row["shadow"].is_null()).count();
        (complete == 5).then_some(rows)
    });
    assert_eq!((&rows[0]["live_target"], &rows[0]["shadow_target"]), (&"gpt".into(), &"qwen".into()));
    assert_eq!(rows[0]["simulated"], true);
}
