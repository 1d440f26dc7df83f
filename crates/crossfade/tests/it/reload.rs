//! A reload takes a whole config or nothing.

use crate::parts::{CONFIG, House, until};

#[test]
fn a_reload_swaps_the_config_and_a_bad_one_changes_nothing_and_says_why() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    assert_eq!(gateway.chat("second", "hello").status, 404);

    house.write(&CONFIG.replace("routes:\n", "routes:\n  second: { target: qwen }\n"));
    let done = gateway.run(&["reload"]).exits(0);
    assert!(done.stdout.contains("is now in force"), "{}", done.stdout);
    assert_eq!(gateway.chat("second", "hello").status, 200);
    assert!(gateway.run(&["reload"]).exits(0).stdout.contains("was already in force"));

    house.write(&CONFIG.replace("target: gpt,", "target: gtp,").replace("risk: medium", "risk: midium"));
    let admin = gateway.admin.to_string();
    let json = [("content-type", "application/json")];
    let answer = crate::parts::request(gateway.admin, "POST", "/api/reload", &json, "{}");
    assert_eq!(answer.status, 400, "{admin} {answer:?}");
    for words in ["there is no target `gtp`", "did you mean `medium`?", "2 errors in the config"] {
        assert!(answer.body.contains(words), "{words} not in {}", answer.body);
    }
    assert_eq!(gateway.chat("second", "hello").status, 200, "the config in force stays");
    assert!(gateway.log().contains("the old one stays in force"), "{}", gateway.log());
}

#[test]
fn a_reload_names_what_waits_for_the_next_start() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    house.write(&format!("workers: 1\n{CONFIG}"));
    let done = gateway.run(&["reload"]).exits(0);
    assert!(done.stdout.contains("but the new workers: at the next start"), "{}", done.stdout);
}

#[test]
fn sighup_reloads_too() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    house.write(&CONFIG.replace("routes:\n", "routes:\n  second: { target: qwen }\n"));
    gateway.signal("-HUP");
    until(|| (gateway.chat("second", "hello").status == 200).then_some(()));
    house.write("routes: [");
    gateway.signal("-HUP");
    until(|| gateway.log().contains("config not reloaded").then_some(()));
    assert_eq!(gateway.chat("second", "hello").status, 200);
}

#[test]
fn a_reload_that_would_lock_everybody_out_is_refused_until_somebody_has_a_key() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    house.write(&format!("auth: {{ required: true }}\n{CONFIG}"));
    let refused = gateway.run(&["reload"]).exits(2);
    assert!(refused.stderr.contains("no key has the role admin"), "{}", refused.stderr);
    assert!(refused.stderr.contains("`crossfade keys create NAME --role admin` first"), "{}", refused.stderr);
    gateway.run(&["keys", "create", "app"]).exits(0);
    gateway.run(&["reload"]).exits(2);
    let root = gateway.run(&["keys", "create", "root", "--role", "admin"]).exits(0).stdout.trim().to_owned();
    gateway.run(&["reload"]).exits(0);
    gateway.run(&["reload"]).exits(1);
    gateway.run_as(&root, &["reload"]).exits(0);
}
