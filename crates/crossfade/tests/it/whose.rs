//! Whose gateway answers: a verb asks the one of its own config, or says that another's is there.

use crate::parts::{CONFIG, Gateway, House, WIDE_GATES, until, with_policy};

/// [`CONFIG`] with its admin listener at the address of another gateway.
fn at(admin: std::net::SocketAddr) -> String {
    CONFIG.replace("admin: { listen: 127.0.0.1:0 }", &format!("admin: {{ listen: \"{admin}\" }}"))
}

#[test]
fn a_verb_does_not_act_on_the_gateway_of_another_config() {
    let theirs = House::new(CONFIG);
    let gateway = theirs.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    let ours = House::new(&at(gateway.admin));
    for verb in [
        &["keys", "create", "app"][..],
        &["keys", "list"],
        &["rollout", "abort", "to-qwen"],
        &["rollout", "status", "to-qwen"],
        &["rollout", "start", "to-qwen"],
        &["reload"],
        &["exchanges", "list"],
        &["alerts", "test"],
    ] {
        let refused = ours.run(verb).exits(2).stderr;
        let (their_store, our_store) = (theirs.path().join("crossfade.db"), ours.path().join("crossfade.db"));
        for words in [
            format!("the gateway at http://{} serves the store {}", gateway.admin, their_store.display()),
            format!("this config has the store {}", our_store.display()),
            format!("hint: `--config {}`", theirs.path().join("crossfade.yaml").display()),
        ] {
            assert!(refused.contains(&words), "{verb:?}: {words} not in\n{refused}");
        }
    }
    assert!(!ours.path().join("crossfade.db").exists(), "nothing was written");
    assert_eq!(gateway.status()["status"], "active", "nothing was aborted");
    assert!(!gateway.run(&["keys", "list"]).exits(0).stdout.contains("app"));
    // Named, it is meant.
    let named = gateway.admin.to_string();
    ours.run(&["rollout", "abort", "to-qwen", "--admin", &named]).exits(0);
    assert_eq!(gateway.status()["status"], "aborted");
}

#[test]
fn a_config_of_the_same_store_is_heard_and_told_which_config_a_reload_reads() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    std::fs::create_dir(house.path().join("copies")).unwrap();
    let copy = at(gateway.admin) + "store: sqlite:./copies/../crossfade.db\n";
    std::fs::write(house.path().join("copy.yaml"), copy).unwrap();
    house.run(&["--config", "copy.yaml", "keys", "create", "app"]).exits(0);
    assert!(gateway.run(&["keys", "list"]).exits(0).stdout.contains("app"));
    let said = house.run(&["--config", "copy.yaml", "reload"]).exits(0).stderr;
    let theirs = house.path().join("crossfade.yaml");
    assert!(said.contains(&format!("the gateway reads {}", theirs.display())), "{said}");
}

#[test]
fn an_empty_token_is_a_mistake_and_not_none() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    for empty in ["", "  "] {
        let refused = gateway.run_as(empty, &["keys", "list"]).exits(2).stderr;
        assert!(refused.contains("CROSSFADE_ADMIN_TOKEN is set and empty"), "{refused}");
        assert!(refused.contains("hint: set it to a key with a role"), "{refused}");
    }
}

#[test]
fn a_reload_lets_a_completed_rollout_go_where_its_route_serves_the_candidate() {
    let stages = "shadow: { sample: 1.0 }, canary: { shares: [0.5] }, majority: { shares: [0.7] }, full: { holdback: 0.2, soak: 0s }";
    let config = with_policy(stages, WIDE_GATES).replace("risk: medium", "risk: low");
    let (before, _) = config.split_once("rollouts:").unwrap();
    let without = before.replace("target: gpt,", "target: qwen,");
    let house = House::new(&config);
    let gateway = house.serve();
    gateway.run(&["rollout", "start", "to-qwen"]).exits(0);
    house.write(&without);
    let refused = gateway.run(&["reload"]).exits(2).stderr;
    assert!(refused.contains("rollout `to-qwen` is live") && refused.contains("abort to-qwen` first"), "{refused}");
    for _ in 0..3 {
        gateway.run(&["rollout", "promote", "to-qwen", "--reason", "test", "--actor", "ana"]).exits(0);
    }
    until(|| {
        (0..20).for_each(|n| assert_eq!(gateway.chat("gpt-4o", &format!("question {n}")).status, 200));
        (gateway.status()["status"] == "completed").then_some(())
    });

    house.write(before);
    let refused = gateway.run(&["reload"]).exits(2).stderr;
    assert!(refused.contains("with `qwen` as the target of route `gpt-4o` it may go"), "{refused}");
    house.write(&without.replace("model: qwen", "model: another"));
    let refused = gateway.run(&["reload"]).exits(2).stderr;
    assert!(refused.contains("completed with another target `qwen`"), "{refused}");
    house.write(&without);
    assert!(gateway.run(&["reload"]).exits(0).stdout.contains("is now in force"));
    let status = until(|| {
        let status = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
        status.contains("completed, and out of the config: the route `gpt-4o` asks its own target").then_some(status)
    });
    assert!(status.contains("it is done, splits nothing any more"), "{status}");
    let refused = gateway.run(&["rollout", "abort", "to-qwen", "--reason", "back"]);
    assert!(refused.stderr.contains("to go back, set `routes.gpt-4o.target: gpt` in the config"), "{refused:?}");
    let refused = gateway.run(&["rollout", "resume", "to-qwen", "--reason", "on"]);
    assert!(refused.code != 0 && refused.stderr.contains("nothing is split any more"), "{refused:?}");
    assert!(!status.contains("guards: proof of harm") && !status.contains("verdict"), "{status}");
    // Its server fails: that is the route's own trouble now, and a rollout that is out of the config takes nothing back and does not say so.
    house.write(&without.replace(
        "new: { dialect: simulated, simulated: { seed: 2,",
        "new: { dialect: simulated, simulated: { seed: 2, error_rate: 1.0,",
    ));
    gateway.run(&["reload"]).exits(0);
    until(|| {
        (0..20).for_each(|n| assert_ne!(gateway.chat("gpt-4o", &format!("question {n}")).status, 200));
        // Its breaker is open, which would take back what is on trial.
        gateway.status()["down"].is_object().then_some(())
    });
    house.write(&without);
    gateway.run(&["reload"]).exits(0);
    until(|| (gateway.chat("gpt-4o", "back?").status == 200).then_some(()));
    let history = gateway.run(&["rollout", "history", "to-qwen"]).exits(0).stdout;
    assert!(!history.contains("rolled_back"), "{history}");
    assert_eq!(gateway.status()["status"], "completed");
    let out = house.path().join("report");
    gateway.run(&["report", "-o", out.to_str().unwrap(), "--no-pdf"]);
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(page.contains("`qwen` is the route's target since the rollout `to-qwen` completed"), "{page}");

    // The way back that is said is one: nobody is split again by what was taken out.
    house.write(before);
    gateway.run(&["reload"]).exits(0);
    (0..20).for_each(|n| assert_eq!(gateway.chat("gpt-4o", &format!("once more {n}")).status, 200));
    let last = until(|| {
        let found = gateway.run(&["exchanges", "list", "--limit", "20", "--format", "json"]).exits(0).json();
        // All of this batch are recorded once none is of the route's former target.
        found.as_array().unwrap().iter().all(|exchange| exchange["served_by"] == "gpt").then_some(found)
    });
    assert!(last.as_array().unwrap().iter().all(|exchange| exchange["rollout"].is_null()), "{last}");
    splits_nothing_when_put_back(&house, &gateway, [&config, &without]);

    // Nobody is held back any more, and the route is free for the next one.
    let next = without + "rollouts:\n  onward: { route: gpt-4o, baseline: qwen, candidate: gpt, unit: request }\n";
    house.write(&next);
    gateway.run(&["reload"]).exits(0);
    until(|| (gateway.run(&["rollout", "start", "onward"]).code == 0).then_some(()));
    for n in 0..20 {
        assert_eq!(gateway.chat("gpt-4o", &format!("question {n}")).status, 200);
    }
    let exchanges = until(|| {
        let found = gateway.run(&["exchanges", "list", "--rollout", "onward", "--format", "json"]).exits(0).json();
        (found.as_array().unwrap().len() == 20).then_some(found)
    });
    for exchange in exchanges.as_array().unwrap() {
        assert_eq!(exchange["rollout"], "onward", "{exchange}");
        assert_eq!(exchange["served_by"], "qwen", "{exchange}");
    }
}

/// Put back under its name it splits nothing by what it proved then, whoever reads the config: it is begun again, with copies.
fn splits_nothing_when_put_back(house: &House, gateway: &Gateway<'_>, [with, without]: [&str; 2]) {
    house.write(with);
    gateway.run(&["reload"]).exits(0);
    until(|| (gateway.status()["status"] == "aborted").then_some(()));
    let history = gateway.run(&["rollout", "history", "to-qwen"]).exits(0).stdout;
    assert!(history.contains("it completed and was taken out of the config"), "{history}");
    (0..20).for_each(|n| assert_eq!(gateway.chat("gpt-4o", &format!("and back {n}")).status, 200));
    until(|| {
        let found = gateway.run(&["exchanges", "list", "--limit", "60", "--format", "json"]).exits(0).json();
        let of_these = |exchange: &&serde_json::Value| exchange["served_by"] == "gpt" && exchange["rollout"].is_null();
        (found.as_array().unwrap().iter().filter(of_these).count() >= 40).then_some(())
    });
    gateway.run(&["rollout", "resume", "to-qwen", "--reason", "again"]).exits(0);
    let status = gateway.status();
    assert!(status["label"].as_str().unwrap().starts_with("shadow") && status["status"] == "active", "{status}");
    gateway.run(&["rollout", "abort", "to-qwen", "--reason", "test"]).exits(0);
    house.write(without);
    gateway.run(&["reload"]).exits(0);
    // Who makes the candidate the target all the same is told who answers, and the way back.
    let status = gateway.run(&["rollout", "status", "to-qwen"]).exits(0).stdout;
    assert!(status.contains("asks `qwen` itself: everybody is on it"), "{status}");
    assert!(!status.contains("everybody is on the baseline"), "{status}");
    let list = gateway.run(&["rollout", "status"]).exits(0).stdout;
    assert!(list.contains("  0, but the route asks it itself  gpt -> qwen"), "{list}");
    let overview = crate::parts::get(gateway.admin, "/").body;
    assert!(overview.contains("0 %, but the route asks it itself"), "{overview}");
    let refused = gateway.run(&["rollout", "resume", "to-qwen", "--reason", "on"]);
    assert!(refused.code != 0 && refused.stderr.contains("it is out of the config"), "{refused:?}");
    let out = house.path().join("report");
    gateway.run(&["report", "-o", out.to_str().unwrap(), "--no-pdf"]);
    let page = std::fs::read_to_string(out.join("report.md")).unwrap();
    assert!(
        page.contains("the config made `qwen` the route's target though its rollout `to-qwen` did not complete"),
        "{page}"
    );
}

#[test]
fn a_name_that_no_rollout_has_is_answered_with_the_nearest_and_all_there_are() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    for verb in [
        &["rollout", "status", "to-qwem"][..],
        &["rollout", "history", "to-qwem"],
        &["rollout", "abort", "to-qwem"],
        &["rollout", "start", "to-qwem"],
        &["rollout", "replay", "to-qwem"],
        &["rollout", "plan", "to-qwem"],
        &["rollout", "filed", "to-qwem"],
    ] {
        let refused = gateway.run(verb).exits(2).stderr;
        assert!(refused.contains("did you mean `to-qwen`? there are: to-qwen"), "{verb:?}\n{refused}");
    }
    let refused = gateway.run(&["rollout", "status", "nope"]).exits(2).stderr;
    assert!(refused.contains("hint: there are: to-qwen") && !refused.contains("did you mean"), "{refused}");
    let refused = gateway.run(&["rollout", "status", "to-qwen"]).exits(2).stderr;
    assert!(refused.contains("`crossfade rollout start to-qwen` starts it"), "{refused}");
}
