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
    let none = house.run(&["exchanges", "list", "--format", "json", "--route", "gpt-4o", "--outcome", "failed"]);
    assert_eq!(none.exits(0).json(), serde_json::json!([]));
}

#[test]
fn a_route_that_nobody_knows_is_refused_and_one_that_was_removed_stays_readable() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    assert_eq!(gateway.chat("gpt-4o", "hello").status, 200);
    for verb in ["list", "pairs"] {
        let said = gateway.run(&["exchanges", verb, "--route", "gpt-4"]).exits(2).stderr;
        assert!(said.contains("there is no route `gpt-4`") && said.contains("did you mean `gpt-4o`?"), "{said}");
        let said = gateway.run(&["exchanges", verb, "--rollout", "to-qwem"]).exits(2).stderr;
        assert!(said.contains("there is no rollout `to-qwem`") && said.contains("did you mean `to-qwen`?"), "{said}");
        // One of the config that has not been started is no mistake.
        gateway.run(&["exchanges", verb, "--rollout", "to-qwen"]).exits(0);
    }
    assert_eq!(gateway.stop(), 0);

    let of_route = |route: &str| house.run(&["exchanges", "list", "--route", route, "--format", "json"]);
    house.write(&CONFIG.replace("gpt-4o: {", "chat: {").replace("route: gpt-4o", "route: chat"));
    assert_eq!(of_route("gpt-4o").exits(0).json().as_array().unwrap().len(), 1, "it is on record");
    house.run(&["exchanges", "list", "--route", "gpt-4o", "--outcome", "failed"]).exits(0);
    assert_eq!(of_route("chat").exits(0).json(), serde_json::json!([]), "it is in the config");
    of_route("nope").exits(2);
    // A provider's key that is not at hand hides no name.
    house.write(&CONFIG.replace(
        "providers:\n",
        "providers:\n  far: { dialect: openai, base_url: https://far.example/v1, api_key: \"${FAR_KEY}\" }\n",
    ));
    of_route("nope").exits(2);
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
