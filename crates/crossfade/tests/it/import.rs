//! `import`: the examples that LiteLLM ships become configs that `check` accepts, and requests arrive where LiteLLM's own
//! router sent them.

mod routing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::parts::{CONFIG, Done, House};

fn fixtures(directory: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(directory)
}

fn examples() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(fixtures("litellm")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let is_example = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "yaml")
            && !path.file_name().unwrap().to_string_lossy().starts_with("own_")
    };
    files.retain(is_example);
    files.sort();
    files
}

/// Imports a text in the house's directory and gives the report back.
fn import(house: &House, text: &str, code: Option<i32>) -> Value {
    std::fs::write(house.path().join("source.yaml"), text).unwrap();
    let done = house.run(&["import", "source.yaml", "--output", "crossfade.yaml", "--force", "--format", "json"]);
    let report = done.json();
    let is_whole = report["counts"]["unsupported"] == 0;
    assert_eq!(done.code, code.unwrap_or(i32::from(!is_whole)), "{done:?}");
    report
}

/// Every variable of a report with a value of its kind.
fn environment(report: &Value) -> BTreeMap<String, String> {
    let variables = report["environment"].as_array().unwrap().iter();
    let value = |variable: &Value| {
        let name = variable["name"].as_str().unwrap().to_owned();
        let value = if variable["kind"] == "url" { "http://127.0.0.1:9/v1".to_owned() } else { format!("k-{name}") };
        (name, value)
    };
    variables.map(value).collect()
}

fn run(house: &House, arguments: &[&str], environment: &BTreeMap<String, String>) -> Done {
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    house.run_with(arguments, &environment)
}

#[test]
fn all_23_examples_of_the_litellm_wheel_import_and_pass_the_check() {
    let house = House::new(CONFIG);
    let examples = examples();
    assert_eq!(examples.len(), 23);
    for path in examples {
        let text = std::fs::read_to_string(&path).unwrap();
        let report = import(&house, &text, None);
        let keys = report["keys"].as_array().unwrap();
        assert!(!keys.is_empty(), "{}", path.display());
        let n_lines = text.lines().count() as u64;
        assert!(keys.iter().all(|key| (1..=n_lines).contains(&key["line"].as_u64().unwrap())), "{}", path.display());
        let counts = &report["counts"];
        let n_counted: u64 =
            ["mapped", "harmless", "unsupported"].iter().map(|word| counts[word].as_u64().unwrap()).sum();
        assert_eq!(n_counted, keys.len() as u64);
        run(&house, &["check"], &environment(&report)).exits(0);
    }
}

#[test]
fn configs_of_the_other_gateways_import_and_pass_the_check() {
    let house = House::new(CONFIG);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inventory/src/import/tests");
    for (name, mapped) in [("tensorzero.toml", 30), ("portkey.json", 20), ("litellm.yaml", 30)] {
        let file = directory.join(name).display().to_string();
        let done = house.run(&["import", &file, "--output", "crossfade.yaml", "--force", "--format", "json"]).exits(1);
        let report = done.json();
        assert!(report["counts"]["mapped"].as_u64().unwrap() >= mapped, "{}", report["counts"]);
        run(&house, &["check"], &environment(&report)).exits(0);
    }
}

#[test]
fn a_config_goes_to_stdout_and_the_report_to_stderr_unless_a_file_is_named() {
    let house = House::new(CONFIG);
    let source = "model_list:\n  - model_name: a\n    litellm_params: { model: openai/a, api_key: os.environ/K }\n";
    std::fs::write(house.path().join("config.yaml"), source).unwrap();
    let done = house.run(&["import", "config.yaml"]).exits(0);
    assert!(done.stdout.starts_with("# Imported from config.yaml"), "{}", done.stdout);
    assert!(
        done.stderr.contains("model_list[0].litellm_params.api_key  mapped   providers.openai.api_key"),
        "{}",
        done.stderr
    );
    assert!(
        done.stderr.ends_with("3 mapped, 0 harmless, 0 unsupported of the values in LiteLLM's config\n"),
        "{}",
        done.stderr
    );

    let refused = house.run(&["import", "config.yaml", "--output", "crossfade.yaml"]).exits(2);
    assert!(refused.stderr.contains("crossfade.yaml exists and is left as it is"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(house.path().join("crossfade.yaml")).unwrap(), CONFIG);
    let written = house.run(&["import", "config.yaml", "--output", "crossfade.yaml", "--force"]).exits(0);
    assert!(written.stdout.contains("line  key"), "{}", written.stdout);
    house.run_with(&["check"], &[("K", "k")]).exits(0);
}

#[test]
fn a_partial_import_ends_as_a_failure_and_strict_writes_nothing() {
    let house = House::new(CONFIG);
    let source = "model_list: []\nlitellm_settings: { callbacks: [langfuse] }\n";
    std::fs::write(house.path().join("config.yaml"), source).unwrap();
    let strict = house.run(&["import", "config.yaml", "--output", "new.yaml", "--strict"]).exits(1);
    assert!(strict.stderr.contains("nothing is written"), "{}", strict.stderr);
    assert!(!house.path().join("new.yaml").exists());
    assert!(strict.stdout.contains("   2  litellm_settings.callbacks[0]  unsupported"), "{}", strict.stdout);
    house.run(&["import", "config.yaml", "--output", "new.yaml"]).exits(1);
    assert!(
        std::fs::read_to_string(house.path().join("new.yaml"))
            .unwrap()
            .contains("litellm_settings.callbacks[0]: Crossfade calls no logging")
    );
}

#[test]
fn what_cannot_be_read_is_usage() {
    let house = House::new(CONFIG);
    house.run(&["import", "none.yaml"]).exits(2);
    std::fs::write(house.path().join("config.yaml"), "a: [").unwrap();
    let done = house.run(&["import", "config.yaml"]).exits(2);
    assert!(done.stderr.contains("config.yaml: line 2, column 1: not YAML"), "{}", done.stderr);
    std::fs::write(house.path().join("config.ini"), "").unwrap();
    let done = house.run(&["import", "config.ini"]).exits(2);
    assert!(done.stderr.contains("hint: say whose it is"), "{}", done.stderr);
}

#[test]
fn a_file_that_is_something_else_is_no_partial_import() {
    let house = House::new("");
    std::fs::write(house.path().join("compose.yaml"), "services:\n  web: { image: nginx, ports: ['80:80'] }\n")
        .unwrap();
    std::fs::write(house.path().join("Cargo.toml"), "[package]\nname = 'x'\n").unwrap();
    std::fs::write(house.path().join("package.json"), r#"{"scripts":{"build":"tsc"}}"#).unwrap();
    for file in ["compose.yaml", "Cargo.toml", "package.json"] {
        let done = house.run(&["import", file, "--output", "new.yaml"]).exits(2);
        assert!(done.stderr.contains("none of the keys") && done.stderr.contains("--from"), "{}", done.stderr);
        assert!(!house.path().join("new.yaml").exists());
    }
}
