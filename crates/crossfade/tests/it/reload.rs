//! A reload takes a whole config or nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::parts::{CONFIG, House, post, request, until};

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
    for words in ["there is no target `gtp`", "did you mean `medium`?", "2 errors in crossfade.yaml"] {
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

/// Configs that are none, each in another way.
fn broken_config(nth: usize, config: &str) -> String {
    match nth % 6 {
        0 => format!("{config}routes: ["),
        1 => config.replace("target: gpt,", "target: gtp,"),
        2 => config.replace("risk: medium", "risk: midium"),
        3 => format!("{config}no_such_key: 1\n"),
        4 => config.replace("model: qwen", "model: qwen, replicas: [nobody]"),
        _ => config.replace(
            "providers:\n",
            "providers:\n  tls: { dialect: openai, base_url: \"https://tls.test/v1\", ca_file: ./nowhere.pem }\n",
        ),
    }
}

/// Asks for a route that every config has until told to stop; how many were asked, and what was not served.
fn load(data: std::net::SocketAddr, streamed: bool, is_over: &AtomicBool) -> (usize, Vec<String>) {
    let body = format!(
        r#"{{"model":"gpt-4o","stream":{streamed},"max_tokens":20,"messages":[{{"role":"user","content":"hi"}}]}}"#
    );
    let (mut n, mut failed) = (0, Vec::new());
    while !is_over.load(Ordering::Acquire) {
        let answer = post(data, "/v1/chat/completions", &body);
        let is_whole = !streamed || (answer.body.contains("data: [DONE]") && answer.body.ends_with("0\r\n\r\n"));
        n += 1;
        if answer.status != 200 || !is_whole {
            failed.push(format!("{} {}", answer.status, answer.body));
        }
    }
    (n, failed)
}

#[test]
fn a_storm_of_reloads_half_of_them_invalid_fails_no_request() {
    let n_reloads = if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 1_000 } else { 60 };
    let config = |nth: usize| {
        // Every part of a config that a reload may change, and a route that only this one has.
        let config = CONFIG.replace("routes:\n", &format!("routes:\n  of-{nth}: {{ target: qwen }}\n"));
        let config = config.replace("model: gpt-4o }", &format!("model: gpt-{nth} }}"));
        config.replace("seed: 2,", &format!("seed: {nth},"))
    };
    let house = House::new(&config(0));
    let gateway = house.serve();
    let (data, is_over) = (gateway.data, &AtomicBool::new(false));
    let (mut in_force, mut n_taken) = (0, 0);
    let loads = std::thread::scope(|scope| {
        let loads: Vec<_> =
            [false, true, true].map(|streamed| scope.spawn(move || load(data, streamed, is_over))).into();
        for nth in 1..=n_reloads {
            let is_good = nth % 2 == 1;
            house.write(&if is_good { config(nth) } else { broken_config(nth / 2, &config(nth)) });
            let json = [("content-type", "application/json")];
            let answer = request(gateway.admin, "POST", "/api/reload", &json, "{}");
            assert_eq!(answer.status, if is_good { 200 } else { 400 }, "reload {nth}: {}", answer.body);
            if is_good {
                (in_force, n_taken) = (nth, n_taken + 1);
            }
            if nth % 10 == 0 {
                assert_eq!(gateway.chat(&format!("of-{in_force}"), "hi").status, 200, "the last good one is in force");
                assert_eq!(gateway.chat(&format!("of-{nth}"), "hi").status, 404, "and nothing of the bad one");
            }
        }
        is_over.store(true, Ordering::Release);
        loads.into_iter().map(|load| load.join().unwrap()).collect::<Vec<_>>()
    });
    let n_asked: usize = loads.iter().map(|(n, _)| n).sum();
    let failed: Vec<&String> = loads.iter().flat_map(|(_, failed)| failed).collect();
    assert!(failed.is_empty(), "{} of {n_asked} requests failed: {:?}", failed.len(), &failed[..failed.len().min(3)]);
    assert!(loads.iter().all(|(n, _)| *n > 0) && n_taken == n_reloads / 2, "{n_taken}, {n_asked}");
    println!("{n_reloads} reloads, {n_taken} of them taken, {n_asked} requests, none failed");
}
