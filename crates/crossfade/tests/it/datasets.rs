//! `dataset`: files of cases that are right and wrong, versions, and cases of recorded traffic.

use crate::parts::{CONFIG, House, post};

#[test]
fn a_file_is_kept_as_a_version_of_its_content_and_comes_back_as_it_was() {
    let house = House::new(CONFIG);
    let path = house.path().join("cases.jsonl");
    std::fs::write(&path, "{\"id\":\"a\",\"input\":\"A?\",\"expected\":\"yes\"}\n{\"id\":\"b\",\"input\":\"B?\"}\n")
        .unwrap();
    let kept = house.run(&["dataset", "import", "cases.jsonl", "--format", "json"]).exits(0).json();
    assert_eq!((kept["name"].as_str(), kept["n_cases"].as_u64()), (Some("cases"), Some(2)));
    let again = house.run(&["dataset", "import", "cases.jsonl", "--format", "json"]).exits(0).json();
    assert_eq!(kept, again);
    std::fs::write(&path, "{\"id\":\"a\",\"input\":\"A?\",\"expected\":\"no\"}\n").unwrap();
    house.run(&["dataset", "import", "cases.jsonl"]).exits(0);
    let list = house.run(&["dataset", "list", "--format", "json"]).exits(0).json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    let first = format!("cases@{}", &kept["version"].as_str().unwrap()[..10]);
    let exported = house.run(&["dataset", "export", &first]).exits(0);
    std::fs::write(house.path().join("again.jsonl"), &exported.stdout).unwrap();
    let checked = house.run(&["dataset", "check", "again.jsonl", "--format", "json"]).exits(0).json();
    assert_eq!(checked["version"], kept["version"]);
    let shown = house.run(&["dataset", "show", &first]).exits(0);
    assert!(shown.stdout.contains("a: A?\n  -> yes"), "{}", shown.stdout);
    let unknown = house.run(&["dataset", "show", "case"]).exits(2);
    assert!(unknown.stderr.contains("hint: there are: cases"), "{}", unknown.stderr);
}

#[test]
fn a_bad_file_is_refused_whole_with_every_problem_by_line_and_field() {
    let house = House::new(CONFIG);
    std::fs::write(house.path().join("bad.jsonl"), "{\"input\":\"A?\"}\n{\"inptu\":\"B?\"}\n").unwrap();
    let refused = house.run(&["dataset", "import", "bad.jsonl"]).exits(2);
    assert!(refused.stderr.contains("bad.jsonl:2:inptu: unknown member; did you mean `input`?"), "{}", refused.stderr);
    std::fs::write(
        house.path().join("bad.jsonl"),
        "{\"input\":\"A?\",\"checks\":[{\"metric\":\"regx\"}]}\n{\"input\":\"\"}\n",
    )
    .unwrap();
    for verb in [&["dataset", "check", "bad.jsonl"][..], &["eval", "run", "--file", "bad.jsonl", "--target", "gpt"]] {
        let refused = house.run(verb).exits(2);
        let all = refused.stderr.contains("bad.jsonl:1:checks[0]: there is no metric `regx`; the nearest is `regex`")
            && refused.stderr.contains("bad.jsonl:2:input: empty");
        assert!(all, "{}", refused.stderr);
    }
    house.run(&["dataset", "list"]).exits(1);
    let yaml = "prompts: [\"Q: {{q}}\"]\ntests:\n  - vars: { q: A }\n    assert:\n      - type: javascript\n        value: 1\n";
    std::fs::write(house.path().join("p.yaml"), yaml).unwrap();
    let refused = house.run(&["dataset", "check", "p.yaml"]).exits(2);
    assert!(
        refused.stderr.contains("p.yaml:5:tests[0].assert[0].type: code that comes with cases is not run"),
        "{}",
        refused.stderr
    );
    std::fs::write(house.path().join("p.yaml"), yaml.replace("javascript", "contains")).unwrap();
    house.run(&["dataset", "import", "p.yaml", "--name", "p"]).exits(0);
}

#[test]
fn recorded_traffic_becomes_cases_without_duplicates_and_without_addresses() {
    let house = House::new(CONFIG);
    let gateway = house.serve();
    let ask = |text: &str| {
        let body = format!(r#"{{"model":"gpt-4o","user":"u1","messages":[{{"role":"user","content":"{text}"}}]}}"#);
        assert_eq!(post(gateway.data, "/v1/chat/completions", &body).status, 200);
    };
    for text in ["How long is the warranty?", "how long is  the warranty?", "I am ann@mail.example.org, who are you?"] {
        ask(text);
    }
    gateway.stop();
    let made = house.run(&["dataset", "record", "live", "--by", "route", "--format", "json"]).exits(0).json();
    let tally = &made["tally"];
    assert_eq!(
        (tally["matched"].as_u64(), tally["duplicates"].as_u64(), tally["redactions"].as_u64()),
        (Some(3), Some(1), Some(1)),
        "{made}"
    );
    let exported = house.run(&["dataset", "export", "live"]).exits(0).stdout;
    assert!(!exported.contains("mail.example.org") && exported.contains("I am [email]"), "{exported}");
    let cases: Vec<serde_json::Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), 2);
    for case in &cases {
        assert_eq!(
            (case["slices"]["route"].as_str(), case["id"].as_str()),
            (Some("gpt-4o"), case["source"]["exchange"].as_str())
        );
        assert!(case["expected"][0].is_string() && case["request"]["user"].is_null(), "{case}");
        house.run(&["exchanges", "show", case["source"]["exchange"].as_str().unwrap()]).exits(0);
    }
    assert!(cases.iter().any(|case| case["source"]["duplicates"] == 1));
    // The right answers are the baseline's: so the one who records is told, and so is whoever reads an evaluation by them.
    assert_eq!(tally["answered_by"]["gpt"], 2, "{made}");
    let told = house.run(&["dataset", "record", "live", "--by", "route"]).exits(0).stdout;
    assert!(
        told.contains("recorded answers (2 of `gpt`)") && told.contains("agreement with what was answered"),
        "{told}"
    );
    let run = ["eval", "run", "--dataset", "live", "--target", "gpt", "--target", "qwen", "--run", "r"];
    let evaluated = house.run(&[&run[..], &["--metric", "squad_f1"]].concat()).stdout;
    let expected =
        "Agreement, not correctness: of 2 cases the right answers are recorded answers, 2 of `gpt`, the baseline.";
    assert!(evaluated.contains(expected), "{evaluated}");
    for name in ["r.md", "r.html"] {
        house.run(&["eval", "report", "r", "-o", name]);
        assert!(
            std::fs::read_to_string(house.path().join(name)).unwrap().contains("Agreement, not correctness"),
            "{name}"
        );
    }
    // Without a right answer there is nothing to agree with.
    let none = house.run(&["dataset", "record", "bare", "--expected", "none"]).exits(0).stdout;
    assert!(!none.contains("agreement"), "{none}");
}

#[test]
fn data_to_fine_tune_on_share_no_cluster_and_say_where_each_case_went() {
    let house = House::new(crate::parts::CONFIG);
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/support-qa/cases.jsonl");
    house.run(&["dataset", "import", cases, "--name", "qa"]).exits(0);
    let tune = ["dataset", "export", "qa", "--tune", "tuning", "--validation", "0.2"];
    let told = house.run(&tune).exits(0).stdout;
    assert_eq!(told, "160 to train, 40 to validate, 0 without a right answer left out\n");
    let read = |name: &str| std::fs::read_to_string(house.path().join("tuning").join(name)).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&read("manifest.json")).unwrap();
    assert_eq!(manifest["files"][1]["n"], 40, "{manifest}");
    for line in read("train.jsonl").lines().chain(read("validation.jsonl").lines()) {
        let chat: serde_json::Value = serde_json::from_str(line).unwrap();
        let last = chat["messages"].as_array().unwrap().last().unwrap();
        assert_eq!(last["role"], "assistant", "{line}");
    }
    house.run(&["dataset", "export", "qa", "--seed", "3"]).exits(2);
}

#[test]
fn yaml_that_has_no_cases_is_one_line_and_the_next_step() {
    let house = House::new(CONFIG);
    house.write_file(
        "tco.yaml",
        "worksheet: crossfade-tco/1\nname: costs\nbaseline: { name: a }\ncandidate: { name: b }\n",
    );
    house.write_file("suite.yaml", "targets: [gpt, qwen]\nmetrics: [exact_match]\n");
    house.write_file("other.yaml", "services: { web: {} }\n");
    for (file, hint) in [
        ("tco.yaml", "crossfade tco run tco.yaml"),
        ("suite.yaml", "crossfade eval run suite.yaml"),
        ("other.yaml", "JSONL or CSV"),
    ] {
        let told = house.run(&["eval", "run", "--file", file, "--target", "gpt", "--target", "qwen"]).exits(2).stderr;
        assert!(told.contains("has no cases") && told.contains(hint) && told.lines().count() == 2, "{told}");
    }
}
