//! Metrics that run code: the shipped tasks, answers that try something, and what is left when a run is killed.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use scripted::{Received, Script, Upstream, chat_completion};
use serde_json::Value;

use crate::parts::{Done, House, until};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/code-tasks");

fn asked(request: &Received) -> (String, String) {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let question = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    (body["model"].as_str().unwrap().to_owned(), question)
}

/// Shipped cases by what they ask: id and right answer.
fn right(file: &str) -> HashMap<String, (String, String)> {
    let text = std::fs::read_to_string(Path::new(EXAMPLE).join(file)).unwrap();
    let cases = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let part = |value: &Value| value.as_str().unwrap().to_owned();
    cases.map(|case| (part(&case["input"]), (part(&case["id"]), part(&case["expected"][0])))).collect()
}

/// A house with the example's files, whose targets are at the upstream.
fn house(upstream: &Upstream) -> House {
    let config = std::fs::read_to_string(Path::new(EXAMPLE).join("crossfade.yaml")).unwrap();
    let at = |port: u16| format!("http://127.0.0.1:{port}/v1");
    let here = format!("{}/v1", upstream.url());
    let house = House::new(&config.replace(&at(8000), &here).replace(&at(8001), &here));
    for name in ["cases.jsonl", "suite.yaml", "patches.jsonl", "patches.yaml"] {
        std::fs::copy(Path::new(EXAMPLE).join(name), house.path().join(name)).unwrap();
    }
    house
}

/// Whether code is run here; said where it is not.
fn is_possible(done: &Done) -> bool {
    let is_skipped = done.stderr.contains("code cannot be run");
    if is_skipped {
        std::io::stderr().write_all(format!("skipped: {}\n", done.stderr).as_bytes()).unwrap();
        assert_eq!(done.code, 1);
    }
    !is_skipped && Path::new("/usr/bin/python3").exists()
}

/// What a case came to at a target: the value by a metric, and what is noted.
fn came_to(report: &Value, id: &str, side: usize, metric: &str) -> (Option<f64>, String) {
    let cases = report["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["id"] == id).unwrap_or_else(|| panic!("no case {id}"));
    let side = &case["sides"][side];
    (side["worth"][metric].as_f64(), side["notes"][metric].as_str().unwrap_or_default().to_owned())
}

#[track_caller]
fn check(report: &Value, id: &str, metric: &str, (value, note): (f64, &str)) {
    let (found, noted) = came_to(report, id, 1, metric);
    assert_eq!(found, Some(value), "{id} by {metric}: {noted}");
    assert!(noted.contains(note), "{id} by {metric}: {noted}");
}

#[test]
fn programs_of_the_shipped_tasks_are_built_run_and_compared() {
    let right = right("cases.jsonl");
    let upstream = Upstream::with(move |request| {
        let (model, question) = asked(request);
        let (id, answer) = &right[&question];
        let fenced = |code: &str| format!("```python\n{code}\n```");
        let answer = match (model.as_str(), id.as_str()) {
            ("vendor-large", _) => answer.clone(),
            (_, "sum-lines") => fenced("print(sum(int(line) for line in open(0))"),
            (_, "reverse-words") => fenced("while True: pass"),
            (_, "brackets") => "I would keep a stack of open brackets.".to_owned(),
            // Right for numbers below ten alone.
            (_, "roman") => fenced(
                "import sys\nfor line in sys.stdin:\n    n = int(line)\n    print(['I', 'II', 'III', 'IV', 'V', 'VI', 'VII', 'VIII', 'IX'][n - 1])",
            ),
            (_, "primes") => fenced("held = []\nwhile True: held.append(bytearray(b'x' * (1 << 20)))"),
            _ => answer.clone(),
        };
        Script::json(chat_completion(&answer))
    });
    let house = house(&upstream);
    let done = house.run(&["eval", "run", "suite.yaml", "--run", "r"]);
    if !is_possible(&done) {
        return;
    }
    assert!([3, 4].contains(&done.code), "{}\n{}", done.stdout, done.stderr);
    let outcomes = "open by code_tests: 1 failed, 1 no_code, 1 not_compiled, 1 out_of_memory, 3 passed, 1 timed_out";
    assert!(done.stdout.contains(outcomes), "{}", done.stdout);
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    let means = |side: usize, metric: &str| report["targets"][side]["means"][metric].as_f64().unwrap();
    assert_eq!((means(0, "code_tests"), means(0, "code_compiles")), (1.0, 1.0), "{report}");
    assert_eq!(means(1, "code_compiles"), 6.0 / 8.0);
    assert!((means(1, "code_tests") - (3.0 + 1.0 / 3.0) / 8.0).abs() < 1e-9, "{}", means(1, "code_tests"));
    check(&report, "sum-lines", "code_compiles", (0.0, "SyntaxError"));
    check(&report, "sum-lines", "code_tests", (0.0, "not_compiled"));
    check(&report, "reverse-words", "code_tests", (0.0, "timed_out"));
    check(&report, "brackets", "code_tests", (0.0, "no_code"));
    check(&report, "roman", "code_tests", (1.0 / 3.0, "IndexError"));
    check(&report, "primes", "code_tests", (0.0, "out_of_memory"));
    let id = report["definitions"]["code_tests"]["id"].as_str().unwrap();
    assert!(id.starts_with("code_tests@crossfade-1:"), "{id}");
    let junit = house.run(&["eval", "report", "r", "--as", "junit"]).exits(0).stdout;
    assert!(junit.contains("SyntaxError") && junit.contains("IndexError"), "{junit}");
    let page = house.run(&["eval", "report", "r", "--as", "html"]).exits(0).stdout;
    assert!(page.contains("IndexError"), "the page shows what failed");
    // Nothing is run again for answers that are there.
    let again = house.run(&["eval", "compare", "r"]);
    assert_eq!(again.code, done.code);
}

#[test]
fn patches_of_the_shipped_tasks_are_applied_tested_and_held_against_the_reference() {
    let right = right("patches.jsonl");
    let upstream = Upstream::with(move |request| {
        let (model, question) = asked(request);
        let (id, answer) = &right[&question];
        let diff = |text: &str| format!("Here you are.\n```diff\n{text}```\n");
        let answer = match (model.as_str(), id.as_str()) {
            ("vendor-large", _) => answer.clone(),
            // Another way that does as well, with a line number that is wrong.
            (_, "off-by-one") => diff(
                "--- a/window.py\n+++ b/window.py\n@@ -7,1 +7,2 @@\n-    return [items[at:at + size] for at in range(len(items) - size)]\n+    last = len(items) - size\n+    return [items[at:at + size] for at in range(last + 1)]\n",
            ),
            (_, "shared-default") => {
                diff("--- a/test_it.py\n+++ b/test_it.py\n@@ -1 +1 @@\n-from basket import Basket\n+pass\n")
            }
            _ => diff(
                "--- a/price.py\n+++ b/price.py\n@@ -1,2 +1,2 @@\n def euros(price):\n-    return 1\n+    return 2\n",
            ),
        };
        Script::json(chat_completion(&answer))
    });
    let house = house(&upstream);
    let done = house.run(&["eval", "run", "patches.yaml", "--run", "p"]);
    if !is_possible(&done) {
        return;
    }
    let report = house.run(&["eval", "report", "p", "--as", "json"]).exits(0).json();
    for metric in ["code_tests", "diff_applies", "diff_quality"] {
        assert_eq!(report["targets"][0]["means"][metric].as_f64(), Some(1.0), "{metric}: {report}");
    }
    check(&report, "off-by-one", "code_tests", (1.0, "passed"));
    // One line of three that the two patches take or put is the same on both sides: d is 3, of 2 + 3 lines.
    check(&report, "off-by-one", "diff_quality", (1.0 - 3.0 / 5.0, "+2 -1 lines; the reference +1 -1"));
    check(&report, "shared-default", "code_tests", (0.0, "forbidden"));
    check(&report, "rounding", "diff_applies", (0.0, "does_not_apply"));
}

/// A suite of one case whose answer is this code, run as the metric's settings say.
fn attempt(code: &str, suite: &str, case: &str) -> (House, Done) {
    let answer = chat_completion(&format!("```python\n{code}\n```"));
    let upstream = Upstream::with(move |_| Script::json(answer.clone()));
    let house = house(&upstream);
    std::fs::write(house.path().join("cases.jsonl"), format!("{{\"id\":\"a\",\"input\":\"Q\",\"code\":{case}}}\n"))
        .unwrap();
    let head = "file: cases.jsonl\ntargets: [open]\nmetrics: [code_tests]\n";
    std::fs::write(house.path().join("suite.yaml"), format!("{head}{suite}")).unwrap();
    let done = house.run(&["eval", "run", "suite.yaml", "--run", "r"]);
    (house, done)
}

#[test]
fn an_answer_finds_neither_the_store_nor_a_result_to_forge() {
    let harness = r#"{"tests": {"t.py": "import sys\ntry:\n    import solution\n    good = solution.f(2) == 4\nexcept BaseException:\n    good = False\nopen('r.xml', 'w').write('<testsuite><testcase name=\"f\">' + ('' if good else '<failure message=\"wrong\"/>') + '</testcase></testsuite>')\n"}, "n_tests": 1}"#;
    let suite = "code: { file: solution.py, run: [python3, t.py], results: junit, results_file: r.xml }\n";
    // Printed results are no results, a file of the name is put in place by the test, and a file too many tests came from is not believed.
    let forged = "<testsuite><testcase name=\"f\"/></testsuite>";
    for code in [
        format!("print('{forged}')\ndef f(x): return 5"),
        format!("open('r.xml', 'w').write('{forged}')\ndef f(x): return 5"),
        format!(
            "import os\nopen('r.xml', 'w').write('{forged}'.replace('/>', '/><testcase name=\"g\"/>'))\nos._exit(0)"
        ),
        "import os\nos._exit(0)".to_owned(),
        "import os\nos.symlink('/proc/self/environ', 'r.xml')\nos._exit(0)".to_owned(),
        "import os\nassert any('crossfade.db' in files for _, _, files in os.walk('/tmp')), 'no store'\ndef f(x): return 4".to_owned(),
    ] {
        let (house, done) = attempt(&code, suite, harness);
        if !is_possible(&done) {
            return;
        }
        let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
        assert_eq!(came_to(&report, "a", 0, "code_tests").0, Some(0.0), "{code}: {report}");
    }
    let (house, _) = attempt("def f(x): return x * x", suite, harness);
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    assert_eq!(came_to(&report, "a", 0, "code_tests").0, Some(1.0), "{report}");
}

#[test]
fn what_is_missing_is_no_number_and_no_command_comes_from_a_case() {
    let (house, done) = attempt("print(1)", "code: { file: s.py, run: [no-such-tool, s.py] }\n", "{}");
    if !is_possible(&done) {
        return;
    }
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    assert_eq!(report["targets"][0]["unscored"]["code_tests"]["no_tool"], 1, "{report}");
    let settings = r#"[{"metric":"code_tests","settings":{"file":"s.py","run":["sh","-c","id"]}}]"#;
    std::fs::write(
        house.path().join("cases.jsonl"),
        format!("{{\"id\":\"a\",\"input\":\"Q\",\"checks\":{settings}}}\n"),
    )
    .unwrap();
    let refused = house.run(&["eval", "run", "--file", "cases.jsonl", "--target", "open"]).exits(2);
    assert!(refused.stderr.contains("runs code, which only a suite's metrics do"), "{}", refused.stderr);
    let unknown = "code: { file: s.py, run: [python3, s.py], limits: { cpu: 1 } }\n";
    let (_, done) = attempt("print(1)", unknown, "{}");
    assert!(done.exits(2).stderr.contains("unknown field `cpu`"));
}

#[test]
fn without_a_sandbox_code_is_run_only_where_the_suite_says_so() {
    let code = "import os\nassert os.getcwd() != '/box', os.getcwd()";
    let suite = |sandbox: &str| format!("code: {{ file: s.py, run: [python3, s.py]{sandbox} }}\n");
    let (bare, done) = attempt(code, &suite(", sandbox: none"), "{}");
    assert!(done.stderr.contains("without a sandbox"), "{}", done.stderr);
    let report = bare.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    assert_eq!(came_to(&report, "a", 0, "code_tests").0, Some(1.0), "{report}");
    let (walled, done) = attempt(code, &suite(""), "{}");
    if is_possible(&done) {
        let report = walled.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
        assert_eq!(came_to(&report, "a", 0, "code_tests").0, Some(0.0), "{report}");
    }
}

#[test]
fn code_under_way_ends_with_a_run_that_is_killed() {
    let mark = format!("mark-killed-{}", std::process::id());
    let upstream = Upstream::with(|_| Script::json(chat_completion("```python\nimport time\ntime.sleep(3600)\n```")));
    let house = house(&upstream);
    std::fs::write(house.path().join("cases.jsonl"), "{\"id\":\"a\",\"input\":\"Q\"}\n").unwrap();
    let suite = format!(
        "file: cases.jsonl\ntargets: [open]\nmetrics: [code_tests]\ncode: {{ file: s.py, run: [python3, s.py, {mark}], limits: {{ wall_seconds: 600 }} }}\n"
    );
    std::fs::write(house.path().join("suite.yaml"), suite).unwrap();
    let is_there = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.map(|line| String::from_utf8_lossy(&line).into_owned()).any(|line| line.contains(&mark))
    };
    let mut child = house.spawn(&["eval", "run", "suite.yaml"]);
    until(|| (is_there() || child.try_wait().unwrap().is_some()).then_some(()));
    if let Some(status) = child.try_wait().unwrap() {
        eprintln!("skipped: no code is run here ({status})");
        return;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    until(|| (!is_there()).then_some(()));
}
