//! What goes from the record by hand, and what stays.

use serde_json::Value;

use crate::parts::{CONFIG, Gateway, House, get, until};

fn listed(gateway: &Gateway<'_>) -> usize {
    let rows = gateway.run(&["exchanges", "list", "--limit", "1000", "--format", "json"]).exits(0).json();
    rows.as_array().unwrap().len()
}

fn facts(json: &Value) -> [u64; 3] {
    ["exchanges", "bodies", "kept"].map(|key| json[key].as_u64().unwrap())
}

#[test]
fn what_is_old_goes_by_hand_but_for_what_a_rollout_rests_on() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    for n in 0..4 {
        gateway.chat("gpt-4o", &format!("before {n}"));
    }
    until(|| (listed(&gateway) == 4).then_some(()));
    let dry = ["record", "prune", "--dry-run", "--bodies", "1ms", "--format", "json"];
    assert_eq!(facts(&gateway.run(&dry).exits(0).json()), [0, 8, 0]);
    assert_eq!(facts(&gateway.run(&dry).exits(0).json()), [0, 8, 0], "nothing went");

    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    for n in 0..3 {
        gateway.chat("gpt-4o", &format!("under way {n}"));
    }
    until(|| (listed(&gateway) == 7).then_some(()));
    let pruned =
        gateway.run(&["record", "prune", "--rows", "1ms", "--young", "--reason", "test", "--format", "json"]).exits(0);
    let pruned = pruned.json();
    assert_eq!(facts(&pruned), [4, 8, 3], "{pruned}");
    assert_eq!(pruned["kept_for"][0]["rollout"], "to-qwen");
    assert_eq!(listed(&gateway), 3);

    let refused = gateway.run(&["record", "prune", "--rows", "1ms", "--young", "--compact"]).exits(1);
    assert!(refused.stderr.contains("stop the gateway first"), "{}", refused.stderr);
    let show = gateway.run(&["record", "show", "--format", "json"]).exits(0).json();
    assert!(show["size"]["used"].as_u64() > Some(0) && show["oldest_exchange_us"].is_u64(), "{show}");
    // The size is from the retention's first look, a second after the start.
    let metrics = until(|| {
        let metrics = get(gateway.admin, "/metrics").body;
        (!metrics.contains("crossfade_store_bytes 0\n")).then_some(metrics)
    });
    assert!(metrics.contains("\ncrossfade_retention_exchanges_total 0\n"), "what went by hand is not the thread's");
    gateway.run(&["rollout", "abort", "to-qwen"]).exits(0);
    assert_eq!(gateway.stop(), 0);

    let pruned =
        house.run(&["record", "prune", "--rows", "1ms", "--young", "--compact", "--format", "json"]).exits(0).json();
    assert_eq!(facts(&pruned)[0], 3, "an aborted rollout lets go: {pruned}");
    assert_eq!(house.run(&["record", "show", "--format", "json"]).exits(0).json()["size"]["free"], 0);
}

#[test]
fn what_is_not_an_hour_old_is_not_pruned_and_exchanges_do_not_go_before_their_bodies() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    for (ages, said) in [
        (&["--rows", "6m"][..], "`--rows`: what is not an hour old does not go"),
        (&["--bodies", "0s"], "`--bodies`: what is not an hour old does not go"),
        (&["--bodies", "2h", "--rows", "1h"], "`--rows` is less than `--bodies`"),
    ] {
        let stderr = gateway.run(&[&["record", "prune"], ages].concat()).exits(2).stderr;
        assert!(stderr.contains(said), "{stderr}");
    }
}

#[test]
fn a_prune_that_is_told_no_age_says_where_to_write_one() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let stopped = gateway.run(&["record", "prune"]).exits(2);
    assert!(
        stopped.stderr.contains("record.retention") && stopped.stderr.contains("--bodies AGE"),
        "{}",
        stopped.stderr
    );
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn an_age_that_makes_no_sense_is_an_error_of_the_config() {
    let house = House::new(&CONFIG.replacen(
        "shadow:",
        "record: { retention: { bodies: 30d, rows: 7d, max_size: 1MiB } }\nshadow:",
        1,
    ));
    let stopped = house.run(&["check"]).exits(2);
    for words in ["exchanges go with their bodies", "less than 64MiB"] {
        assert!(stopped.stderr.contains(words), "{}", stopped.stderr);
    }
    let house = House::new(&CONFIG.replacen("shadow:", "record: { retention: { bodies: 30m, row: 7d } }\nshadow:", 1));
    let stopped = house.run(&["check"]).exits(2);
    for words in ["not an hour old", "record.retention.row`", "`rows`"] {
        assert!(stopped.stderr.contains(words), "{}", stopped.stderr);
    }
}

#[test]
fn an_exchange_says_that_its_answer_declined_and_that_its_bodies_were_pruned() {
    let sorry = scripted::chat_completion("I'm sorry, but I can't help with that.");
    let upstream = scripted::Upstream::start(vec![scripted::Script::json(sorry)]);
    let own = format!("  old: {{ dialect: openai, base_url: {}/v1 }}", upstream.url());
    let line = |line: &str| if line.starts_with("  old: ") { own.clone() } else { line.to_owned() };
    let house = House::new(&(CONFIG.lines().map(line).collect::<Vec<_>>().join("\n") + "\n"));
    let gateway = house.serve();
    gateway.chat("gpt-4o", "how are locks picked?");
    let id = until(|| {
        let rows = gateway.run(&["exchanges", "list", "--format", "json"]).exits(0).json();
        Some(rows[0]["id"].as_str()?.to_owned())
    });
    let page = gateway.run(&["exchanges", "show", &id]).exits(0).stdout;
    assert!(page.contains("declined") && page.contains("how are locks picked?"), "{page}");
    assert!(!page.contains("pruned"), "{page}");
    let facts = gateway.run(&["exchanges", "show", &id, "--format", "json"]).exits(0).json();
    assert_eq!((&facts["attempts"][0]["declined"], &facts["bodies_pruned"]), (&true.into(), &false.into()));
    gateway.run(&["record", "prune", "--bodies", "1ms", "--young", "--reason", "test"]).exits(0);
    let page = gateway.run(&["exchanges", "show", &id]).exits(0).stdout;
    assert!(page.contains("its bodies were pruned") && !page.contains("how are locks picked?"), "{page}");
}
