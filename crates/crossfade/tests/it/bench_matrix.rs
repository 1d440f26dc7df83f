//! `crossfade bench matrix` over real processes: gateways with a simulated provider, started with one setting after another.

use std::process::Command;

use scripted::{Received, Script, Upstream, chat_stream};

use crate::parts::{CONFIG, House, until};

/// What is started. Its port and its pace come from the environment.
const SERVER: &str = "\
listen: 127.0.0.1:${PORT}
admin: { listen: 127.0.0.1:0 }
providers:
  fake: { dialect: simulated, simulated: { time_to_first_token: { median: ${PACE} }, output_tokens: { median: 4 } } }
targets: { m: { provider: fake, model: m } }
routes: { m: { target: m } }
";

/// A house with a matrix of two paces; each server writes that it began.
fn house(load: &str) -> House {
    let house = House::new(CONFIG);
    let program = env!("CARGO_BIN_EXE_crossfade");
    let start = format!(
        "cd {{pace}} && echo begun >> ../begun.txt && PORT={{port}} PACE={{pace}} exec {program} serve --config server.yaml"
    );
    house.write_file(
        "paces.yaml",
        &format!("start: {start:?}\nurl: http://127.0.0.1:{{port}}/v1\nmodel: m\nsettings: {{ pace: [1, 20] }}\nmeta: {{ gpu: none }}\nready_within: 60s\nload: {load}\n"),
    );
    for pace in ["1", "20"] {
        std::fs::create_dir(house.path().join(pace)).unwrap();
        house.write_file(&format!("{pace}/server.yaml"), SERVER);
    }
    house
}

const LOAD: &str =
    "{ concurrency: 2, duration: 1s, warm_up: 0s, output_tokens: 4, input_tokens: 8, slo: { e2e: 60s } }";

fn n_begun(house: &House) -> usize {
    std::fs::read_to_string(house.path().join("begun.txt")).unwrap_or_default().lines().count()
}

/// What a client that lagged may make of it: then it is no evidence, and the cell is measured again.
fn is_told(code: i32) -> bool {
    [0, 4].contains(&code)
}

#[test]
fn cells_are_measured_one_after_the_other_compared_and_not_measured_twice() {
    let house = house(LOAD);
    let done = house.run(&["bench", "matrix", "paces.yaml", "--output", "paces.html", "--format", "json"]);
    assert!(is_told(done.code), "{} {}", done.code, done.stderr);
    let result = done.json();
    let cells = result["cells"].as_array().unwrap();
    assert_eq!(cells.iter().map(|cell| cell["label"].as_str().unwrap()).collect::<Vec<_>>(), ["pace=1", "pace=20"]);
    for cell in cells {
        assert_eq!(cell["state"], "done", "{}", done.stderr);
        assert!(cell["ready_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    }
    let p50 = |idx: usize| result["levels"][idx]["latency"]["ttft.intended"]["p50"]["value"].as_f64().unwrap();
    assert!(p50(0) < p50(1), "{} {}", p50(0), p50(1));
    let page = std::fs::read_to_string(house.path().join("paces.html")).unwrap();
    assert!(page.contains("pace=20") && page.contains("<svg"));
    // Each cell is a result of its own, with its settings.
    let own = house.run(&["bench", "show", "paces/pace=20", "--format", "json"]).json();
    assert_eq!((&own["metadata"]["pace"], &own["metadata"]["gpu"]), (&"20".into(), &"none".into()));
    assert_eq!(n_begun(&house), 2);
    if cells.iter().all(|cell| cell["is_valid"] == true) {
        let again = house.run(&["bench", "matrix", "paces.yaml"]);
        assert!(again.stderr.contains("measured already, as paces/pace=1"), "{}", again.stderr);
        assert!(again.stdout.contains("vs first") && n_begun(&house) == 2, "{}", again.stdout);
        let anew =
            house.run(&["bench", "matrix", "paces.yaml", "--again", "--only", "pace=1", "--format", "json"]).json();
        assert_eq!((&anew["cells"][0]["result"], n_begun(&house)), (&"paces/pace=1~2".into(), 3));
    }
    // Nobody is left.
    assert_eq!(processes_of(&house), Vec::<String>::new());
}

/// Processes whose command line names this house.
fn processes_of(house: &House) -> Vec<String> {
    let mark = house.path().file_name().unwrap().to_str().unwrap().to_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let cwd = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if cwd.to_string_lossy().contains(&mark) {
            found.push(std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default().replace('\0', " "));
        }
    }
    found
}

#[test]
fn a_cell_that_fails_is_told_with_its_last_words_and_the_others_go_on() {
    let house = House::new(CONFIG);
    let server = Upstream::with(|request: &Received| match request.method.as_str() {
        "GET" => Script::json(r#"{"object":"list","data":[]}"#),
        _ => Script::stream(chat_stream(&["a", "b"], true)),
    });
    let text = format!(
        "url: {}/v{{n}}\nsettings: {{ n: [1, 2] }}\nload: {{ rate: 50, duration: 1s, warm_up: 0s }}\n",
        server.url()
    );
    house.write_file("there.yaml", &text);
    // Nothing is started: the server is there already.
    let there = house.run(&["bench", "matrix", "there.yaml", "--only", "n=1"]);
    assert!(is_told(there.code) && there.stdout.contains("n=1"), "{} {}", there.code, there.stderr);
    let text = "start: echo out of memory >&2; exit {code}\nurl: http://127.0.0.1:{port}/v1\nsettings: { code: [3, 4] }\nload: { rate: 1 }\n";
    house.write_file("ends.yaml", text);
    let done = house.run(&["bench", "matrix", "ends.yaml", "--format", "json"]).exits(1);
    let result = done.json();
    for (idx, code) in ["3", "4"].iter().enumerate() {
        let failure = result["cells"][idx]["failure"].as_str().unwrap();
        assert!(failure.contains(&format!("exit status: {code}")) && failure.contains("out of memory"), "{failure}");
    }
    // What stands at the address before the start would be measured in its place.
    let text = format!("start: sleep 100\nurl: {}/v1\nsettings: {{ n: 1 }}\nload: {{ rate: 1 }}\n", server.url());
    house.write_file("taken.yaml", &text);
    assert!(house.run(&["bench", "matrix", "taken.yaml"]).exits(1).stderr.contains("stop it first"));
}

#[test]
fn killed_in_the_middle_it_leaves_nobody_and_goes_on_with_the_cells_that_are_left() {
    let house = house(LOAD);
    let mut run = house.spawn(&["bench", "matrix", "paces.yaml"]);
    until(|| (n_begun(&house) == 2).then_some(()));
    run.kill().unwrap();
    run.wait().unwrap();
    // The server that ran is gone with it.
    until(|| processes_of(&house).is_empty().then_some(()));
    let list = house.run(&["bench", "matrix", "paces.yaml", "--list", "--format", "json"]).exits(0).json();
    let is_first_kept = list[0]["result"] == "paces/pace=1";
    assert!(list[1]["result"].is_null());
    let rest = house.run(&["bench", "matrix", "paces.yaml", "--format", "json"]);
    assert!(is_told(rest.code), "{}", rest.stderr);
    assert_eq!(rest.json()["cells"][1]["state"], "done");
    assert_eq!(n_begun(&house), if is_first_kept { 3 } else { 4 });
}

#[test]
fn a_run_that_is_asked_to_stop_stops_its_server_and_keeps_what_was_whole() {
    let house = house("{ concurrency: 1, duration: 1h, warm_up: 0s, output_tokens: 4 }");
    let mut run = house.spawn(&["bench", "matrix", "paces.yaml"]);
    until(|| (n_begun(&house) == 1).then_some(()));
    assert!(Command::new("kill").args(["-TERM", &run.id().to_string()]).status().unwrap().success());
    assert_eq!(run.wait().unwrap().code(), Some(4));
    until(|| processes_of(&house).is_empty().then_some(()));
    assert_eq!(n_begun(&house), 1);
}

fn check_refused(text: &str, words: &[&str]) {
    let house = House::new(CONFIG);
    house.write_file("m.yaml", text);
    let done = house.run(&["bench", "matrix", "m.yaml"]).exits(2);
    for word in words {
        assert!(done.stderr.contains(word), "{word}: {}", done.stderr);
    }
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line_before_anything_is_started() {
    check_refused("url: http://h/v1\nsettings: { a: 1 }\nload: { rate: fast }\n", &["m.yaml:3:", "load.rate", "fast"]);
    check_refused("url: http://h/v1\nsettings: { a: 1 }\nload: { rat: 1 }\n", &["m.yaml:3:", "did you mean `rate`?"]);
    check_refused(
        "url: http://h/v1\nstart: x {b}\nsettings: { a: 1 }\nload: { rate: 1 }\n",
        &["m.yaml:2:", "no setting is called `b`"],
    );
    check_refused(
        "url: http://h/v1\nsettings: { a: 1 }\nload: { rate: 1, concurrency: 2 }\n",
        &["m.yaml:3:", "cannot be used with"],
    );
    check_refused("url: http://h/v1\nsettings: { a: 1 }\nload: { duration: 1s }\n", &["no load is said"]);
    check_refused("- a\n", &["m.yaml:1:1"]);
    assert!(
        House::new(CONFIG).run(&["bench", "matrix", "none.yaml"]).exits(2).stderr.contains("cannot read none.yaml")
    );
}
