//! `conformance`: a report as text, facts or a page, a comparison, and what decides the exit code.

use scripted::vendor::{MODEL, Quirk, vendor};

use crate::parts::{CONFIG, House};

#[test]
fn a_report_says_what_is_wrong_and_what_to_write_in_the_config() {
    let house = House::new(CONFIG);
    let server = vendor(&Quirk::LLAMA_CPP_PYTHON);
    let url = format!("{}/v1", server.url());
    let done = house.run(&["conformance", &url, "--budget", "150s", "--write-config", "lines.yaml"]).exits(0);
    for words in ["drop-in score 0.", "max_completion_tokens", "leaked as text in the words of hermes", "rename"] {
        assert!(done.stdout.contains(words), "{words} is not in\n{}", done.stdout);
    }
    assert!(done.stderr.contains("requests in"), "{}", done.stderr);
    let lines = std::fs::read_to_string(house.path().join("lines.yaml")).unwrap();
    assert!(lines.contains("      json_schema: refuse"), "{lines}");
    // What is advised is what the config takes.
    let key = "    kind: generic";
    let lines = lines.replace(key, &format!("    base_url: {url}\n{key}")).replace("probed", "gpu");
    house.write(&lines);
    house.run(&["check"]).exits(0);
}

#[test]
fn facts_and_pages_are_written_to_files_and_a_score_decides_the_exit_code() {
    let house = House::new(CONFIG);
    let (good, bad) = (vendor(&[]), vendor(&[Quirk::JsonSchemaIgnored]));
    let (good, bad) = (good.url(), bad.url());
    let budget = ["--budget", "150s"];
    let facts = house.run(&[&["conformance", &bad, "--against", &good, "--format", "json"], &budget[..]].concat());
    let facts = facts.exits(0).json();
    assert_eq!((facts["comparison"]["worse"].as_u64(), facts["report"]["model"].as_str()), (Some(1), Some(MODEL)));
    assert_eq!(facts["comparison"]["rows"]["json_schema"], "worse");
    let n_evidence = facts["report"]["evidence"].as_array().unwrap().len();
    assert!(n_evidence > 40, "{n_evidence}");
    house.run(&[&["conformance", &bad, "--output", "report.html"], &budget[..]].concat()).exits(0);
    let page = std::fs::read_to_string(house.path().join("report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("json_schema"));
    house.run(&[&["conformance", &bad, "--fail-under", "1"], &budget[..]].concat()).exits(3);
    house.run(&[&["conformance", &good, "--fail-under", "1"], &budget[..]].concat()).exits(0);
    house.run(&[&["conformance", &bad, "--against", &good, "--fail-on-worse"], &budget[..]].concat()).exits(3);
}

#[test]
fn a_simulated_target_is_said_to_be_one_and_what_is_not_there_has_a_hint() {
    let house = House::new(CONFIG);
    let done = house.run(&["conformance", "qwen", "--budget", "150s"]).exits(0);
    assert!(done.stdout.contains("simulated: the answers were made up"), "{}", done.stdout);
    let done = house.run(&["conformance", "qewn"]).exits(2);
    assert!(done.stderr.contains("hint: defined: "), "{}", done.stderr);
    let done = house.run(&["conformance", "http://127.0.0.1:1/v1"]).exits(1);
    assert!(done.stderr.contains("hint: is the server up"), "{}", done.stderr);
    house.run(&["check", "--format", "html"]).exits(2);
}
