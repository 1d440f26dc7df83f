//! `inventory`: a small tree of several languages as a table, JSON, CSV and SARIF, what it exits with, and what it keeps.

use std::path::Path;

use serde_json::Value;

use crate::parts::{CONFIG, House};

/// A repository with a client in one file, its call in another, configuration, a manifest and a key.
fn tree(house: &House) -> String {
    let root = house.path().join("shop");
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("app/llm.py", "from openai import OpenAI\nmodel_client = OpenAI()\n");
    write("app/use.py", "from app.llm import model_client as c\nc.responses.create(model='claude-2.1', stream=True)\n");
    write("web/a.ts", "import OpenAI from 'openai';\nnew OpenAI().chat.completions.create({ model: 'gpt-4o' });\n");
    write("web/package.json", "{ \"dependencies\": { \"openai\": \"^4.20.1\" } }\n");
    write("deploy/.env", "OPENAI_API_KEY=${KEY}\n");
    write("node_modules/openai/index.ts", "import OpenAI from 'openai';\nnew OpenAI();\n");
    write("CODEOWNERS", "/web/ @web\n");
    root.display().to_string()
}

fn scan(house: &House, more: &[&str]) -> (i32, String, String) {
    let root = tree(house);
    let cache = house.path().join("kept").display().to_string();
    let mut arguments = vec!["inventory", &root, "--cache", &cache];
    arguments.extend(more);
    let done = house.run(&arguments);
    (done.code, done.stdout, done.stderr)
}

#[test]
fn sites_of_several_files_and_languages_are_found_with_version_owner_and_end() {
    let house = House::new(CONFIG);
    let (code, stdout, stderr) = scan(&house, &["--format", "json"]);
    assert_eq!(code, 0, "{stderr}");
    let facts: Value = serde_json::from_str(&stdout).unwrap();
    let findings = facts["findings"].as_array().unwrap();
    let shown: Vec<String> = findings
        .iter()
        .map(|of| {
            let text = |name: &str| of[name].as_str().unwrap_or("-").to_owned();
            format!("{}:{} {} {} {}", text("path"), of["line"], text("kind"), text("operation"), text("version"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "app/llm.py:2 client client -",
            "app/use.py:2 call responses -",
            "deploy/.env:1 setting client -",
            "web/a.ts:2 call chat 4.20.1",
            "web/package.json:1 dependency client 4.20.1",
        ]
    );
    assert_eq!(findings[1]["sunsets"][0]["ends"], "2025-07-21");
    assert_eq!(findings[1]["flags"]["streaming"], true);
    assert_eq!(findings[3]["owners"][0], "@web");
}

#[test]
fn a_second_run_reads_from_what_was_kept_and_finds_the_same() {
    let house = House::new(CONFIG);
    let (_, first, _) = scan(&house, &["--format", "json"]);
    let (_, second, _) = scan(&house, &["--format", "json"]);
    let (first, second): (Value, Value) =
        (serde_json::from_str(&first).unwrap(), serde_json::from_str(&second).unwrap());
    assert_eq!(first["findings"], second["findings"]);
    assert_eq!(first["files"]["kept"], 0);
    assert_eq!(second["files"]["kept"], second["files"]["candidates"]);
}

#[test]
fn other_forms_say_the_same_and_fail_on_ends_with_3() {
    let house = House::new(CONFIG);
    let (code, csv, _) = scan(&house, &["--as", "csv", "--fail-on", "certain"]);
    assert_eq!((code, csv.lines().count()), (3, 6), "{csv}");
    let (_, sarif, _) = scan(&house, &["--as", "sarif", "--sites"]);
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 3);
    assert_eq!(sarif["runs"][0]["results"][1]["level"], "error");
    let (code, table, stderr) = scan(&house, &[]);
    assert_eq!(code, 0);
    assert!(table.contains("app/use.py:2") && table.contains("over"), "{table}");
    assert!(stderr.contains("3 call sites"), "{stderr}");
}

#[test]
fn what_is_no_directory_is_said_with_a_hint() {
    let house = House::new(CONFIG);
    let done = house.run(&["inventory", "nowhere"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("cannot read nowhere"), "{}", done.stderr);
    let done = house.run(&["inventory", "crossfade.yaml"]);
    assert_eq!(done.code, 2);
    assert!(done.stderr.contains("hint:"), "{}", done.stderr);
}
