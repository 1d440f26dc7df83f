//! The life of a rollout by its verbs and exit codes.

use crate::parts::{CONFIG, Gateway, House, WIDE_GATES, get, until, with_policy};

fn word(gateway: &Gateway<'_>) -> String {
    gateway.status()["status"].as_str().unwrap().to_owned()
}

#[test]
fn an_operator_starts_pauses_resumes_promotes_and_aborts() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "status", "to-qwen"]).exits(2);
    gateway.run(&["rollout", "start", "to-nobody"]).exits(2);
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "start", "to-qwen"]).exits(1);
    assert!(gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout.contains("[shadow]"));
    gateway.run(&["rollout", "pause", "to-qwen", "--reason", "lunch"]).exits(0);
    assert_eq!(word(&gateway), "paused");
    let again = gateway.run(&["rollout", "pause", "to-qwen"]).exits(0);
    assert_eq!(again.stdout, "to-qwen: paused already, nothing changed\n");
    gateway.run(&["rollout", "resume", "to-qwen", "--reason", "back"]).exits(0);
    let refused = gateway.run(&["rollout", "promote", "to-qwen"]).exits(2);
    assert!(refused.stderr.contains("hint: give `--reason TEXT`"), "{}", refused.stderr);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    assert_eq!(gateway.status()["share"], 0.5);
    gateway.run(&["rollout", "abort", "to-qwen", "--reason", "enough"]).exits(0);
    let again = gateway.run(&["rollout", "abort", "to-qwen", "--format", "json"]).exits(0).json();
    assert_eq!(again["already"], "aborted");
    gateway.run(&["rollout", "pause", "to-qwen"]).exits(1);
    let status = gateway.status();
    assert_eq!((&status["status"], &status["share"]), (&"aborted".into(), &0.0.into()));
    let history = gateway.run(&["rollout", "history", "to-qwen", "--format", "json"]).exits(0).json();
    let events: Vec<&str> = history.as_array().unwrap().iter().map(|row| row["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["start", "pause", "resume", "force_promote", "abort"]);
    assert!(history.as_array().unwrap().iter().all(|row| row["actor"] == "tester"));
    let list = gateway.run(&["rollout", "status"]).exits(0).stdout;
    assert!(list.contains("to-qwen  gpt-4o  aborted      0  gpt -> qwen"), "{list}");
}

#[test]
fn a_bad_candidate_is_rolled_back_and_status_exits_3() {
    let house = House::new(&CONFIG.replace("seed: 2,", "seed: 2, error_rate: 1.0,"));
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    // Promoted before shadow has said what it thinks: now users are at stake.
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    let mut n_errors = 0;
    until(|| {
        n_errors += usize::from(gateway.chat("gpt-4o", "hello").status != 200);
        (word(&gateway) == "rolled_back").then_some(())
    });
    assert_eq!(n_errors, 0, "failover to the baseline hides the candidate's errors");
    let done = gateway.run(&["rollout", "status", "to-qwen"]).exits(3);
    assert!(done.stdout.contains("everybody is on the baseline"), "{}", done.stdout);
    assert!(done.stdout.contains("time_to_switch"), "{}", done.stdout);
    let history = gateway.run(&["rollout", "history", "to-qwen"]).exits(0).stdout;
    assert!(history.contains("  what failed: the "), "{history}");
    assert!(history.contains(" requests of the candidate and "), "{history}");
    // The command that it names finds what failed.
    let named = history.lines().find_map(|line| line.trim().strip_prefix("all of them: crossfade ")).unwrap();
    let words = named.split("   ").next().unwrap().split(' ');
    let named: Vec<&str> = words.chain(["--limit", "1000", "--format", "json"]).collect();
    assert!(named.starts_with(&["exchanges", "list"]) && named.contains(&"--epoch"), "{named:?}");
    gateway.run(&["rollout", "abort", "to-qwen"]).exits(0);
    let of_candidate = named.as_slice();
    let rows = until(|| {
        let rows = gateway.run(of_candidate).exits(0).json();
        (!rows.as_array().unwrap().is_empty()).then_some(rows)
    });
    let failed = |row: &serde_json::Value| (row["outcome"] == "complete") && row["arm_failure"] == "http_server_error";
    assert!(rows.as_array().unwrap().iter().any(failed), "{rows}");
}

#[test]
fn a_rollout_can_be_aborted_without_a_gateway_and_stays_aborted() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test"]).exits(0);
    // With a gateway on the store that this address does not reach, nobody else writes.
    let done = house.run(&["--admin", "127.0.0.1:1", "rollout", "abort", "to-qwen"]).exits(1);
    assert!(done.stderr.contains("another gateway uses this store"), "{}", done.stderr);
    assert_eq!(gateway.stop(), 0);
    // Nor does a mistake elsewhere in the config keep anybody from it.
    house.write(&CONFIG.replace("provider: new", "provider: ${NOBODY_SET_THIS}, modle: x"));
    house.run(&["check"]).exits(2);
    house.run(&["rollout", "abort", "to-qwen", "--reason", "night"]).exits(0);
    house.run(&["rollout", "abort", "to-qwen"]).exits(0);
    house.run(&["rollout", "status", "to-qwen"]).exits(0);
    house.write(CONFIG);
    let gateway = house.serve();
    assert_eq!(word(&gateway), "aborted");
    assert_eq!(gateway.chat("gpt-4o", "hello").header("x-crossfade-target"), Some("gpt"));
}

#[test]
fn a_candidate_that_was_mended_and_resumed_is_judged_by_its_copies_and_thrown_back_when_it_fails_anew() {
    let stages = "shadow: { sample: 1.0, min_pairs: 10, min_duration: 0 }, \
                  canary: { shares: [0.5], min_units: 100000 }, majority: { shares: [0.9] }";
    let well = with_policy(stages, WIDE_GATES);
    let broken = well.replace("seed: 2,", "seed: 2, error_rate: 1.0,");
    let house = House::new(&well);
    let gateway = house.serve();
    let chats = |n: usize| (0..n).for_each(|idx| assert_eq!(gateway.chat("gpt-4o", &format!("{idx}?")).status, 200));
    let is_open = |lane: &str| {
        let metrics = get(gateway.admin, "/metrics").body;
        metrics.contains(&format!("crossfade_{lane}_state{{target=\"qwen\",replica=\"new\",state=\"open\"}} 1"))
    };
    let to_canary = || {
        until(|| {
            chats(10);
            (gateway.status()["share"] == 0.5).then_some(())
        });
    };
    let thrown_back = || {
        house.write(&broken);
        gateway.run(&["reload"]).exits(0);
        until(|| {
            chats(5);
            (word(&gateway) == "rolled_back").then_some(())
        });
        let reason = gateway.status()["explanation"]["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("circuit breaker opened"), "{reason}");
    };
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    to_canary();
    thrown_back();
    assert!(is_open("breaker"));
    // Nobody but copies calls it now, so that nothing but what they prove can be known of it.
    house.write(&well);
    gateway.run(&["reload"]).exits(0);
    gateway.run(&["rollout", "resume", "to-qwen", "--reason", "mended"]).exits(0);
    to_canary();
    assert!(!is_open("breaker") && !is_open("shadow_breaker"));
    chats(100);
    assert_eq!(word(&gateway), "active", "{}", gateway.status()["explanation"]["reason"]);
    thrown_back();
    gateway.run(&["rollout", "replay", "to-qwen"]).exits(0);
}
