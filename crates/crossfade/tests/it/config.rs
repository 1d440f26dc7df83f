//! `init`, `check`, `completions`, `man`, and what the command line refuses.

use crate::parts::{CONFIG, House, with_policy};

#[test]
fn init_writes_a_config_that_check_accepts_and_never_over_another() {
    let house = House::new(CONFIG);
    house.run(&["init"]).exits(2);
    assert_eq!(std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap(), CONFIG);
    house.run(&["--config", "new.yaml", "init"]).exits(0);
    let missing = house.run(&["--config", "new.yaml", "check"]).exits(2);
    assert!(missing.stderr.contains("new.yaml:15:14: `providers.openai.api_key`"), "{}", missing.stderr);
    let key = [("OPENAI_API_KEY", "k")];
    let checked = house.run_with(&["--config", "new.yaml", "check"], &key).exits(0);
    assert!(checked.stdout.contains("rollout support-to-qwen: gpt -> qwen on route gpt-4o"), "{}", checked.stdout);
    assert!(checked.stdout.contains("not worse by error +1 pp"), "{}", checked.stdout);
}

#[test]
fn check_prints_the_same_facts_as_json() {
    let house = House::new(CONFIG);
    let facts = house.run(&["check", "--format", "json"]).exits(0).json();
    assert_eq!(facts["rollouts"]["to-qwen"]["policy"]["steps"][1]["share"], 0.5);
    assert_eq!(facts["targets"]["qwen"]["simulated"], true);
}

#[test]
fn check_says_who_is_told_and_what_feedback_counts_and_no_secret_of_either() {
    let house = House::new(CONFIG);
    let quiet = house.run(&["check"]).exits(0).stdout;
    assert!(quiet.contains("alerts    nobody is told"), "{quiet}");
    assert!(quiet.contains("feedback  a thumb down, a score below 0.5 and no label"), "{quiet}");
    let webhook = "{ name: pager, url: https://hooks.example/T01/hidden-path, secret: not-a-real-secret-1, on: [breaches, probe] }";
    house.write(&format!("{CONFIG}alerts: [{webhook}]\nfeedback: {{ bad_below: 0.3, bad_labels: [wrong] }}\n"));
    let told = house.run(&["check"]).exits(0).stdout;
    for words in ["pager", "https://hooks.example", "breaches, probe", "below 0.3 and the labels `wrong`"] {
        assert!(told.contains(words), "{words} not in\n{told}");
    }
    let facts = house.run(&["check", "--format", "json"]).exits(0);
    assert_eq!(facts.json()["alerts"]["webhooks"][0]["on"], serde_json::json!(["breaches", "probe"]));
    assert_eq!(facts.json()["feedback"]["bad_below"], 0.3);
    for secret in ["hidden-path", "not-a-real-secret"] {
        assert!(!told.contains(secret) && !facts.stdout.contains(secret));
    }
}

#[test]
fn check_says_everything_that_is_wrong_at_once() {
    let house = House::new(&CONFIG.replace("provider: new", "provider: nwe").replace("risk: medium", "risk: midium"));
    let done = house.run(&["check", "--format", "json"]).exits(2);
    let problems = done.json()["error"]["problems"].as_array().unwrap().clone();
    assert_eq!(problems.len(), 2);
    assert_eq!(problems[0]["hint"], "did you mean `new`?");
    assert!(done.stderr.ends_with("2 errors in crossfade.yaml\n"), "{}", done.stderr);
}

#[test]
fn a_line_of_the_file_is_shown_as_it_is_and_only_what_to_do_next_names_the_config() {
    let house = House::new(CONFIG);
    let wrong = "listen: 0.0.0.0:0   # before `crossfade rollout approve`";
    std::fs::write(house.path().join("bad.yaml"), CONFIG.replacen("listen: 127.0.0.1:0", wrong, 1)).unwrap();
    let said = house.run(&["-c", "bad.yaml", "check"]).exits(2).stderr;
    assert!(said.contains(&format!(" 1 | {wrong}\n   |         ^^^^^^^^^\n")), "{said}");
    assert!(said.contains("make keys with `crossfade -c bad.yaml keys create`"), "{said}");
    assert!(said.ends_with("1 error in bad.yaml\n"), "{said}");
    let facts = house.run(&["-c", "bad.yaml", "check", "--format", "json"]).exits(2).json();
    assert_eq!(facts["error"]["message"], "there are errors in bad.yaml");
}

#[test]
fn errors_of_another_file_than_the_config_are_counted_in_that_file() {
    let house = House::new(CONFIG);
    std::fs::write(house.path().join("suite.yaml"), "file: cases.jsonl\ntargts: [gpt]\n").unwrap();
    let said = house.run(&["eval", "run", "suite.yaml"]).exits(2).stderr;
    assert!(said.ends_with(" in suite.yaml\n") && !said.contains("in crossfade.yaml"), "{said}");
    std::fs::create_dir(house.path().join("prompts")).unwrap();
    for name in ["one", "two"] {
        std::fs::write(house.path().join(format!("prompts/{name}.yaml")), "nonsense: 1\n").unwrap();
    }
    let said = house.run(&["prompts", "list"]).exits(2).stderr;
    assert!(said.ends_with(" in 2 files\n"), "{said}");
}

#[test]
fn a_config_with_nothing_in_it_says_how_to_get_one() {
    let house = House::new("");
    let said = house.run(&["check"]).exits(0).stderr;
    assert!(
        said.contains("`crossfade init --print` shows a config") && said.contains("once this file is gone"),
        "{said}"
    );
    house.run(&["init"]).exits(2);
    assert!(house.run(&["init", "--print"]).exits(0).stdout.contains("rollouts:"));
}

#[test]
fn limits_are_printed_and_where_a_budget_cannot_be_kept_is_said() {
    let limited = CONFIG.replacen(
        "routes:\n",
        "tenants: { shop: { limits: { requests_per_minute: 60, budget: { usd: 100, per: month } } } }\nroutes:\n",
        1,
    );
    let house = House::new(&limited);
    let done = house.run(&["check"]).exits(0);
    let row = done.stdout.lines().find(|line| line.starts_with("tenant shop")).unwrap_or_default();
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["tenant", "shop", "60", "-", "-", "100.00", "USD", "per", "month"]
    );
    assert!(
        done.stderr.contains("no price is known for gpt-4o: keys and tenants with a budget are refused"),
        "{}",
        done.stderr
    );
    let facts = house.run(&["check", "--format", "json"]).exits(0).json();
    assert_eq!(facts["tenants"]["shop"]["requests_per_minute"], 60);
    assert_eq!(facts["unpriced_routes"], serde_json::json!(["gpt-4o"]));
    let free = House::new(CONFIG).run(&["check"]).exits(0);
    assert!(!free.stdout.contains("limits of") && !free.stderr.contains("no price"), "{free:?}");
}

#[test]
fn a_missing_config_names_the_next_step() {
    let house = House::new(CONFIG);
    let done = house.run(&["--config", "none.yaml", "serve"]).exits(2);
    assert!(done.stderr.contains("hint: `crossfade -c none.yaml init`"), "{}", done.stderr);
}

#[test]
fn what_cannot_be_typed_is_usage() {
    let house = House::new(CONFIG);
    house.run(&["chekc"]).exits(2);
    house.run(&["rollout", "start"]).exits(2);
    house.run(&["exchanges", "list", "--last", "5 parsecs"]).exits(2);
    house.run(&["--admin", "nowhere", "reload"]).exits(2);
}

#[test]
fn completions_and_manual_pages_are_generated() {
    let house = House::new(CONFIG);
    assert!(house.run(&["completions", "bash"]).exits(0).stdout.contains("quickstart"));
    assert!(house.run(&["man"]).exits(0).stdout.contains(".TH crossfade"));
    house.run(&["man", "--directory", "pages"]).exits(0);
    assert!(house.path().join("pages/crossfade-rollout-start.1").exists());
}

#[test]
fn verbs_that_need_a_gateway_say_that_there_is_none() {
    let house = House::new(CONFIG);
    let done = house.run(&["rollout", "start", "to-qwen"]).exits(1);
    assert!(done.stderr.contains("hint: start it with `crossfade serve`"), "{}", done.stderr);
    let done = house.run(&["rollout", "status", "to-qwen"]).exits(1);
    assert!(done.stderr.contains("there is no store"), "{}", done.stderr);
    house.run(&["reload"]).exits(1);
}

#[test]
fn a_limit_on_late_answers_is_shown_and_needs_an_objective() {
    const STAGES: &str = "shadow: { sample: 1.0 }, canary: { shares: [0.5] }, majority: { shares: [0.9] }";
    let late = |objectives: &str| with_policy(STAGES, &format!("{objectives} absolute: {{ slow: 0.5 }}"));
    let shown = House::new(&late("objectives: { total: 30s },")).run(&["check"]).exits(0).stdout;
    assert!(shown.contains("error above 5 % (alpha 0.0001), slow above 50 % (alpha 0.0001)"), "{shown}");
    let refused = House::new(&late("")).run(&["check"]).exits(2).stderr;
    assert!(refused.contains("nothing is late without an objective"), "{refused}");
}
