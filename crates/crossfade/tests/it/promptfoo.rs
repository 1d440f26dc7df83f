//! `import promptfoo`: every key accounted for, and what is written is what `check` and `eval run` take.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::parts::{CONFIG, Done, House};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/promptfoo").join(name)
}

fn import(house: &House, name: &str) -> Done {
    let path = fixture(name);
    house.run(&["import", "promptfoo", path.to_str().unwrap(), "--write", "out", "--format", "json"])
}

fn cases(house: &House) -> Vec<Value> {
    let text = std::fs::read_to_string(house.path().join("out/cases.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What became of the value at this path.
#[track_caller]
fn outcome<'r>(report: &'r Value, key: &str) -> &'r Value {
    let keys = report["keys"].as_array().unwrap();
    keys.iter().find(|entry| entry["key"] == key).unwrap_or_else(|| panic!("no `{key}` in {keys:#?}"))
}

#[test]
fn every_assertion_becomes_a_check_or_is_named_with_its_reason() {
    let house = House::new(CONFIG);
    let report = import(&house, "assertions.yaml").exits(1).json();
    let cases = cases(&house);
    assert_eq!(cases.len(), 1);
    // The test's threshold makes one set of them all.
    let set = &cases[0]["checks"][0];
    assert_eq!((set["metric"].as_str(), set["threshold"].as_f64()), (Some("checks"), Some(0.5)));
    let metrics: Vec<&str> =
        set["value"].as_array().unwrap().iter().map(|check| check["metric"].as_str().unwrap()).collect();
    let expected = [
        "latency_ms",
        "cost_dollars",
        "exact_match",
        "json_path",
        "contains",
        "icontains",
        "contains_all",
        "icontains",
        "starts_with",
        "regex",
        "json_valid",
        "json_schema",
        "contains_json",
        "edit_distance",
        "rouge_1",
        "bleu",
        "checks",
        "finish_reason",
        "refusal",
        "embedding_cosine",
        "checks",
    ];
    assert_eq!(metrics, expected);
    let check = |idx: usize| &set["value"][idx];
    assert_eq!((check(2)["weight"].as_f64(), check(7)["not"].as_bool()), (Some(2.0), Some(true)));
    assert_eq!((check(5)["value"][1].as_str(), check(15)["threshold"].as_f64()), (Some("days"), Some(40.0)));
    assert_eq!(cases[0]["slices"]["topic"], "refunds");
    for (idx, why) in
        [(8, "linear time"), (19, "not run"), (20, "not run"), (22, "judge"), (23, "parser"), (24, "contians")]
    {
        let found = outcome(&report, &format!("tests[0].assert[{idx}].type"));
        assert_eq!(found["outcome"], "unsupported", "{found}");
        assert!(found["why"].as_str().unwrap().contains(why), "{found}");
    }
    for key in ["colour", "providers[2]", "providers[1].config.passthrough.a", "evaluateOptions.timeoutMs"] {
        assert_eq!(outcome(&report, key)["outcome"], "unsupported", "{key}");
    }
    for key in ["outputPath", "sharing", "evaluateOptions.maxConcurrency", "tests[0].metadata.ids[0]"] {
        assert_eq!(outcome(&report, key)["outcome"], "harmless", "{key}");
    }
    assert_eq!(outcome(&report, "evaluateOptions.repeat")["outcome"], "mapped");
    // A rubric leaves no check behind, and says with which judge it would count.
    let rubric = outcome(&report, "tests[0].assert[22].value")["hint"].as_str().unwrap().to_owned();
    assert!(rubric.contains("kind: rubric, scale: pass_fail, criteria: \"names the time\""), "{rubric}");
    assert_eq!(outcome(&report, "defaultTest.assert[2].type")["outcome"], "unsupported");
    let similar = outcome(&report, "tests[0].assert[18].type");
    assert!(similar["outcome"] == "mapped" && similar["note"].as_str().unwrap().contains("encoder"), "{similar}");
    let suite = std::fs::read_to_string(house.path().join("out/suite.yaml")).unwrap();
    assert!(suite.contains("targets: [gpt-4o, small]") && suite.contains("repeats: 2"), "{suite}");
    assert!(suite.contains("criteria: \"is polite\"") && suite.contains("criteria: \"names the time\""), "{suite}");
    let all = report.to_string() + &suite + &std::fs::read_to_string(house.path().join("out/crossfade.yaml")).unwrap();
    assert!(!all.contains("sk-not-a-real-key"));
}

#[test]
fn what_is_similar_by_meaning_asks_for_an_encoder_before_anything_is_asked() {
    let house = House::new(CONFIG);
    let source = "prompts: ['{{q}}']\nproviders: [openai:gpt-4o, openai:gpt-4o-mini]\ntests:\n  - vars: { q: How long? }\n    assert:\n\
                  \x20     - { type: similar, value: [three days, 72 hours] }\n\
                  \x20     - { type: not-similar, value: never, threshold: 0.6, provider: 'openai:embedding:text-embedding-3-small' }\n\
                  \x20     - { type: not-similar, value: [a, b] }\n      - { type: 'similar:dot', value: x }\n";
    std::fs::write(house.path().join("p.yaml"), source).unwrap();
    let report = house.run(&["import", "promptfoo", "p.yaml", "--write", "out", "--format", "json"]).exits(1).json();
    let checks = cases(&house)[0]["checks"].clone();
    assert_eq!(checks.as_array().unwrap().len(), 2, "{checks}");
    assert_eq!((&checks[0]["metric"], &checks[0]["threshold"]), (&"embedding_cosine".into(), &0.75.into()));
    assert_eq!((&checks[1]["not"], &checks[1]["threshold"]), (&true.into(), &0.6.into()));
    for (key, why) in
        [("[1].provider", "no encoder of its own"), ("[2].type", "one of several"), ("[3].type", "cosine alone")]
    {
        let found = outcome(&report, &format!("tests[0].assert{key}"));
        assert!(found["outcome"] == "unsupported" && found["why"].as_str().unwrap().contains(why), "{found}");
    }
    let suite = std::fs::read_to_string(house.path().join("out/suite.yaml")).unwrap();
    assert!(suite.contains("# encoder: NAME"), "{suite}");
    let run = ["--config", "out/crossfade.yaml", "eval", "run", "out/suite.yaml", "--run", "r"];
    let refused = house.run_with(&run, &[("OPENAI_API_KEY", "k")]).exits(2);
    assert!(
        refused.stderr.contains("needs vectors") && refused.stderr.contains("`encoder` of the suite"),
        "{}",
        refused.stderr
    );
}

#[test]
fn what_is_written_is_what_check_prompts_and_dataset_take() {
    for (name, n_cases) in [("assertions.yaml", 1), ("chat.yaml", 9), ("scenarios.yaml", 4)] {
        let house = House::new(CONFIG);
        let report = import(&house, name).json();
        assert_eq!(report["n_cases"], n_cases, "{name}: {report:#}");
        let keys = [("OPENAI_API_KEY", "k"), ("ANTHROPIC_API_KEY", "k")];
        house.run_with(&["--config", "out/crossfade.yaml", "check"], &keys).exits(0);
        let checked = house.run(&["dataset", "check", "out/cases.jsonl", "--format", "json"]).exits(0).json();
        assert_eq!(checked["n_cases"], n_cases, "{name}");
        if house.path().join("out/prompts").exists() {
            house.run(&["prompts", "--dir", "out/prompts", "list"]).exits(0);
        }
    }
}

#[test]
fn prompts_and_tests_in_files_are_read_and_programs_are_not() {
    let house = House::new(CONFIG);
    let report = import(&house, "chat.yaml").exits(1).json();
    let cases = cases(&house);
    let text = |idx: usize| cases[idx]["request"]["messages"].as_array().unwrap().last().unwrap()["content"].clone();
    assert_eq!((text(0), text(1), text(2)), ("Why?".into(), "One: Why?".into(), "Two: Why?".into()));
    // A quotation mark within a chat written as JSON stays one.
    assert_eq!(text(4), "How \"so\"?");
    let last = &cases[8];
    assert_eq!(last["request"]["messages"][0]["content"], "[test] Q: Say \"hi\"\nplease\nA:");
    assert_eq!((last["request"]["temperature"].as_i64(), last["checks"].as_array().unwrap().len()), (Some(0), 1));
    assert_eq!(last["checks"][0]["value"], "Say \"hi\"\nplease");
    for key in ["prompts[3]", "prompts[4]", "tests[2].vars.user", "tests[3].vars", "targets[2]"] {
        assert_eq!(outcome(&report, key)["outcome"], "unsupported", "{key}");
    }
    assert_eq!(outcome(&report, "env.OPENAI_API_KEY")["outcome"], "harmless");
}

#[test]
fn what_cannot_be_read_is_named_by_file_line_and_key_and_nothing_is_written() {
    let house = House::new(CONFIG);
    let check = |text: &str, code: i32, arguments: &[&str], said: &str| {
        std::fs::write(house.path().join("p.yaml"), text).unwrap();
        let done = house.run(&[&["import", "promptfoo", "p.yaml", "--write", "out"], arguments].concat()).exits(code);
        assert!(done.stderr.contains(said), "{}", done.stderr);
        assert!(!house.path().join("out").exists());
    };
    let good = "prompts: 'Q {{q}}'\nproviders: openai:gpt-4o\ntests:\n  - vars: { q: a }\n";
    check("prompts: [", 2, &[], "p.yaml:1: not YAML at column 11");
    check("prompts: a\ntests: {\n", 2, &[], "p.yaml:2: not YAML");
    check("- a\n", 2, &[], "p.yaml:1: expected a map");
    check(&format!("{good}    assert: {{ type: equals }}\n"), 2, &[], "p.yaml:5:tests[0].assert: expected a list");
    check(&good.replace("q: a", "other: a"), 2, &[], "p.yaml:1:prompts: there is no variable `q`");
    check(&format!("{good}    assert: [{{ type: is-sql }}]\n"), 1, &["--strict"], "nothing is written");
    std::fs::write(house.path().join("p.yaml"), good).unwrap();
    house.run(&["import", "promptfoo", "p.yaml", "--write", "out"]).exits(0);
    house.run(&["import", "promptfoo", "p.yaml", "--write", "out"]).exits(2);
    house.run(&["import", "promptfoo", "p.yaml", "--write", "out", "--force"]).exits(0);
}

#[test]
fn tests_in_a_table_merge_keys_and_dotted_variables_are_read_and_accounted_for() {
    let house = House::new(CONFIG);
    let report = import(&house, "table.yaml").exits(1).json();
    let cases = cases(&house);
    let asked = |idx: usize| cases[idx]["request"]["messages"][0]["content"].as_str().unwrap();
    assert_eq!(
        (0..6).map(asked).collect::<Vec<_>>(),
        [
            "Tell Ann of moons.",
            "moons?",
            "Tell Ann of stars, all. Please.",
            "stars, all? Please.",
            "Tell Bo of tides.",
            "tides?"
        ]
    );
    let set = &cases[0]["checks"][0];
    assert_eq!((&set["threshold"], &cases[0]["slices"]["level"]), (&0.5.into(), &"easy".into()));
    let checks = &set["value"];
    assert_eq!((&checks[0]["metric"], &checks[0]["value"]), (&"contains".into(), &"moon".into()));
    assert_eq!((&checks[1]["metric"], &checks[1]["threshold"]), (&"edit_distance".into(), &3.0.into()));
    assert_eq!((&cases[2]["checks"][0]["not"], &cases[2]["checks"][0]["value"]), (&true.into(), &"sun".into()));
    // What `<<` brings in is there, and variables are filled in within a value that is no text.
    let equal = &cases[4]["checks"][0];
    assert_eq!((&equal["weight"], &equal["threshold"]), (&2.0.into(), &Value::Null), "{equal}");
    assert_eq!(equal["settings"]["equals"], serde_json::json!({ "about": "tides", "who": ["Bo"] }));
    assert_eq!(outcome(&report, "tests[1].assert[0].threshold")["outcome"], "harmless");
    assert_eq!(outcome(&report, "table.csv[1].colour")["outcome"], "unsupported");
    assert_eq!(outcome(&report, "table.csv[0].assert[1].threshold")["outcome"], "mapped");
    let renamed = outcome(&report, "prompts[0]");
    assert!(renamed["note"].as_str().unwrap().contains("`user.name` is `user_name`"), "{renamed}");
    let prompt = std::fs::read_to_string(house.path().join("out/prompts/prompt-1.yaml")).unwrap();
    assert!(prompt.contains("Tell {{user_name}} of {{topic}}."), "{prompt}");
    house.run(&["prompts", "--dir", "out/prompts", "list"]).exits(0);
    let wrong = house.path().join("wrong");
    std::fs::create_dir(&wrong).unwrap();
    std::fs::write(wrong.join("p.yaml"), "prompts: 'Q {{q}}'\nproviders: openai:gpt-4o\ntests: t.csv\n").unwrap();
    std::fs::write(wrong.join("t.csv"), "q,__expected\na\n").unwrap();
    let said = house.run(&["import", "promptfoo", "wrong/p.yaml"]).exits(2).stderr;
    assert!(said.contains("wrong/p.yaml:3:tests: t.csv:2: 1 columns, where the headings are 2"), "{said}");
}
