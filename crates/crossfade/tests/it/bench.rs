//! `crossfade bench` over a simulated provider and a scripted server.

use std::time::{Duration, Instant};

use scripted::metronome::{Metronome, Tempo};
use scripted::{Received, Script, Upstream, chat_stream};

use crate::parts::{CONFIG, House, until};

/// It takes 20 ms to begin.
fn server() -> Upstream {
    Upstream::with(|request: &Received| match request.method.as_str() {
        "GET" => Script::status(404),
        _ => Script::stream(chat_stream(&["a", "b", "c"], true)).delay(Duration::from_millis(20)),
    })
}

/// A client that shares its processors may lag: then the run is invalid and says so.
fn is_told(code: i32, verdict: &serde_json::Value) -> bool {
    (code, verdict.as_str()) == (0, Some("valid")) || (code, verdict.as_str()) == (4, Some("invalid"))
}

#[test]
fn a_run_is_kept_shown_and_written_in_every_form() {
    let house = House::new(CONFIG);
    let run = house.run(&[
        "bench",
        "run",
        "--target",
        "gpt",
        "--target",
        "qwen",
        "--rate",
        "20,40",
        "--duration",
        "2s",
        "--warm-up",
        "0s",
        "--block",
        "100ms",
        "--output-tokens",
        "4",
        "--name",
        "night",
        "--meta",
        "gpu=none",
        "--location",
        "here",
        "--output",
        "night.html",
        "--format",
        "json",
    ]);
    let result = run.json();
    assert!(is_told(run.code, &result["verdict"]), "{} {}", run.code, run.stderr);
    assert_eq!((&result["simulated"], &result["format"]), (&true.into(), &"crossfade.bench/1".into()));
    assert_eq!(result["levels"].as_array().unwrap().len(), 4);
    assert!(result["deltas"].as_array().is_some_and(|deltas| !deltas.is_empty()));
    assert_eq!((&result["metadata"]["gpu"], &result["location"]), (&"none".into(), &"here".into()));
    let page = std::fs::read_to_string(house.path().join("night.html")).unwrap();
    assert!(page.contains("<svg") && page.contains("simulated provider"));
    let shown = house.run(&["bench", "show", "night"]);
    assert!(shown.stdout.contains("SIMULATED") && shown.stdout.contains("of the time"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("ttft.sent:"), "the glossary is for who asks for it: {}", shown.stdout);
    assert!(house.run(&["bench", "show", "night", "--explain"]).stdout.contains("ttft.sent:"));
    assert_eq!(house.run(&["bench", "show", "night", "--format", "json"]).json(), result);
    house.run(&["bench", "show", "night", "--output", "night.csv"]);
    assert_eq!(std::fs::read_to_string(house.path().join("night.csv")).unwrap().lines().count(), 5);
    assert!(house.run(&["bench", "list"]).exits(0).stdout.contains("night"));
    // What will have no interval is said before anything is sent.
    let few = ["--rate", "20", "--duration", "400ms", "--warm-up", "0s", "--block", "100ms", "--output-tokens", "4"];
    let few = house.run(&[&["bench", "run", "--target", "gpt", "--target", "qwen"][..], &few].concat());
    assert!(
        few.stderr.contains("rounds in which each of 2 targets has its turn of 100ms are planned"),
        "{}",
        few.stderr
    );
    // A name is used once: said before anything is sent.
    let again = house.run(&["bench", "run", "--target", "gpt", "--rate", "1", "--name", "night"]).exits(2);
    assert!(again.stderr.contains("there is a result `night` already"), "{}", again.stderr);
}

#[test]
fn a_server_at_a_url_is_measured_without_a_config_and_an_objective_decides() {
    let (house, server) = (House::new(CONFIG), server());
    std::fs::remove_file(house.path().join("crossfade.yaml")).unwrap();
    let url = format!("{}/v1", server.url());
    let of = |slo: &str| {
        let arguments = [
            "bench",
            "run",
            "--url",
            &url,
            "--model",
            "m",
            "--rate",
            "100",
            "--duration",
            "2s",
            "--warm-up",
            "0s",
            "--slo",
            slo,
        ];
        house.run(&[&arguments[..], &["--format", "json", "--output", "r.json"]].concat())
    };
    let met = of("ttft=20s");
    assert!(is_told(met.code, &met.json()["verdict"]), "{}", met.stderr);
    assert!(met.stderr.contains("kept in no store"), "{}", met.stderr);
    let missed = of("ttft=1ms");
    assert!(missed.code == 3 || missed.code == 4, "{} {}", missed.code, missed.stderr);
    assert_eq!(missed.json()["levels"][0]["verdict"], "fail");
    let shown = house.run(&["bench", "show", "r.json", "--format", "html"]);
    assert!(shown.stdout.starts_with("<!doctype html>") && shown.stdout.contains("fail"), "{}", shown.stdout);
}

fn check_refused(arguments: &[&str], words: &str) {
    let done = House::new(CONFIG).run(&[&["bench", "run"], arguments].concat()).exits(2);
    assert!(done.stderr.contains(words), "{arguments:?}: {}", done.stderr);
}

#[test]
fn what_cannot_be_run_is_said_before_anything_is_sent() {
    check_refused(&["--rate", "1"], "nobody is asked");
    check_refused(&["--target", "gtp", "--rate", "1"], "defined: gpt, qwen");
    check_refused(&["--target", "gpt"], "no load is said");
    check_refused(&["--target", "gpt", "--search", "rate"], "a search needs an objective");
    check_refused(&["--target", "gpt", "--rate", "1", "--no-stream", "--slo", "tpot=9ms"], "answers that come whole");
    check_refused(&["--target", "gpt", "--rate", "1", "--slo", "speed=1s"], "there are ttft, e2e, tpot and gap");
    check_refused(&["--target", "gpt", "--rate", "0"], "expected a number above 0");
    check_refused(&["--target", "gpt", "--trace", "nothing.csv"], "cannot read nothing.csv");
    check_refused(&["--target", "gpt", "--rate", "1", "--output", "r.xlsx"], ".json, .csv or .html");
    check_refused(&["--target", "gpt", "--target", "gpt", "--rate", "1"], "named twice");
    check_refused(&["--target", "gpt", "--rate", "1", "--output", "nowhere/r.json"], "nowhere is no directory");
}

#[test]
fn a_replay_has_the_load_of_what_is_sent_of_it_and_every_run_prompts_of_its_own() {
    let house = House::new(CONFIG);
    // A request a second for ten seconds, then one after an hour.
    let lines: String = (0..10).map(|second| format!("{second},20,4\n")).collect();
    std::fs::write(house.path().join("trace.csv"), format!("{lines}3600,20,4\n")).unwrap();
    let run = |name: &str| {
        let arguments = [
            "bench",
            "run",
            "--target",
            "gpt",
            "--trace",
            "trace.csv",
            "--requests",
            "10",
            "--speed",
            "20",
            "--warm-up",
            "0s",
        ];
        house.run(&[&arguments[..], &["--name", name, "--format", "json"]].concat()).json()
    };
    let (one, other) = (run("one"), run("other"));
    let per_s = one["levels"][0]["load"]["per_s"].as_f64().unwrap();
    assert!((per_s - 10.0 / 9.0 * 20.0).abs() < 1e-6, "{per_s}");
    assert_ne!(one["plan"]["seed"], other["plan"]["seed"]);
    assert_eq!(one["targets"][0]["fingerprint"], other["targets"][0]["fingerprint"]);
    assert!(one["targets"][0]["fingerprint"].is_string());
}

/// Runs a level of 3 s against a server of known pace, and stops the process for 300 ms in the middle of it.
fn check_stopped(load: &[&str]) {
    let mut tempo = Tempo::new(Duration::from_millis(30), Duration::from_millis(1));
    tempo.n_tokens = 4;
    let (house, server) = (House::new(CONFIG), Metronome::start(tempo));
    let url = format!("{}/v1", server.url());
    let common = [
        "bench",
        "run",
        "--url",
        &url,
        "--duration",
        "3s",
        "--warm-up",
        "0s",
        "--output",
        "r.json",
        "--samples",
        "each.jsonl",
    ];
    let mut child = house.spawn(&[&common[..], load].concat());
    let signal = |name: &str| {
        let sent = std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    };
    until(|| (server.answered().len() >= 20).then_some(()));
    signal("-STOP");
    let stopped = Instant::now();
    until(|| (stopped.elapsed() >= Duration::from_millis(300)).then_some(()));
    signal("-CONT");
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let read = |name: &str| std::fs::read_to_string(house.path().join(name)).unwrap();
    let result: serde_json::Value = serde_json::from_str(&read("r.json")).unwrap();
    let lag_ms = result["levels"][0]["client_lag"]["p99"]["value"].as_f64().unwrap();
    assert!(result["verdict"] == "invalid" && lag_ms > 30.0, "{lag_ms} {}", result["why"]);
    // Each request is in the file, by the name under which the server has it.
    let lines: Vec<serde_json::Value> =
        read("each.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len() as u64, result["levels"][0]["n_requests"].as_u64().unwrap());
    let known: std::collections::HashSet<String> = server.answered().into_iter().map(|answered| answered.id).collect();
    let mut good = lines.iter().filter(|line| line["outcome"] == "good");
    assert!(good.all(|line| known.contains(line["id"].as_str().unwrap()) && line["chunks"] == 4));
}

#[test]
fn a_process_that_was_stopped_for_a_while_has_no_evidence_of_an_open_loop() {
    check_stopped(&["--rate", "100", "--output-tokens", "4"]);
}

#[test]
fn a_process_that_was_stopped_for_a_while_has_no_evidence_of_a_closed_loop() {
    check_stopped(&["--concurrency", "4", "--output-tokens", "4"]);
}

#[test]
fn a_result_that_cannot_be_written_is_shown_and_a_search_of_a_dead_server_ends_at_once() {
    let house = House::new(CONFIG);
    std::fs::create_dir(house.path().join("taken.json")).unwrap();
    let run =
        ["bench", "run", "--target", "gpt", "--rate", "50", "--requests", "5", "--warm-up", "0s", "--format", "json"];
    let lost = house.run(&[&run[..], &["--output", "taken.json"]].concat()).exits(1);
    assert_eq!(lost.json()["levels"][0]["n_requests"], 5, "{}", lost.stderr);
    assert!(lost.stderr.contains("cannot write taken.json"), "{}", lost.stderr);
    // A server that is not there ends a search at its first probe.
    let dead = [
        "bench",
        "run",
        "--url",
        "http://127.0.0.1:9/v1",
        "--search",
        "rate",
        "--slo",
        "e2e=1s",
        "--start",
        "2000",
        "--duration",
        "1s",
    ];
    let dead = house.run(&[&dead[..], &["--warm-up", "0s", "--drain", "1s", "--format", "json"]].concat()).exits(4);
    assert_eq!(dead.json()["found"][0]["tried"].as_array().unwrap().len(), 1);
    assert!(
        dead.json()["why"].as_array().unwrap().contains(&"no request had a whole answer".into()),
        "{}",
        dead.stdout
    );
}

#[test]
fn a_run_that_was_killed_goes_on_with_the_levels_that_are_missing() {
    let (house, server) = (House::new(CONFIG), server());
    let url = format!("{}/v1", server.url());
    let of = |rates: &str, more: &[&str]| {
        let run =
            ["bench", "run", "--url", &url, "--warm-up", "0s", "--duration", "2s", "--name", "night", "--samples"];
        let all = [&run[..], &["each.jsonl", "--rate", rates], more].concat();
        all.iter().map(|word| (*word).to_owned()).collect::<Vec<String>>()
    };
    let words = |words: &Vec<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    let begin = of("20,21,22", &[]);
    let mut run = house.spawn(&begin.iter().map(String::as_str).collect::<Vec<_>>());
    let so_far = || {
        let shown = house.run(&["bench", "show", "night", "--format", "json"]);
        (shown.code == 4).then(|| shown.json()).filter(|shown| !shown["levels"].as_array().unwrap().is_empty())
    };
    until(so_far);
    run.kill().unwrap();
    run.wait().unwrap();
    let cut = so_far().unwrap();
    let n_kept = cut["levels"].as_array().unwrap().len();
    assert!((1..3).contains(&n_kept) && cut["partial"] == true, "{cut}");
    let ask = |words: &Vec<String>| house.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
    // Without the word, and with another load, nothing is begun.
    assert!(ask(&begin).exits(2).stderr.contains("`--resume` goes on with one that was killed"));
    let other = ask(&of("20,21,23", &["--resume"])).exits(2).stderr;
    assert!(other.contains("the run `night` was of another load: loads was"), "{other}");
    let n_asked = server.requests().len();
    let rest = of("20,21,22", &["--resume", "--format", "json"]);
    let done = ask(&rest);
    let result = done.json();
    assert!(is_told(done.code, &result["verdict"]), "{} {}", words(&rest), done.stderr);
    assert!(done.stderr.contains(&format!("goes on: {n_kept} of 3 levels are measured")), "{}", done.stderr);
    let rates: Vec<f64> =
        result["levels"].as_array().unwrap().iter().map(|level| level["load"]["per_s"].as_f64().unwrap()).collect();
    assert_eq!((rates, &result["partial"]), (vec![20.0, 21.0, 22.0], &false.into()));
    assert_eq!(result["levels"][0], cut["levels"][0], "what was measured stands");
    assert_eq!((&result["at_us"], &result["plan"]["seed"]), (&cut["at_us"], &cut["plan"]["seed"]));
    assert!(result["why"][0].as_str().unwrap().starts_with("it was cut off and went on at"), "{}", result["why"]);
    assert!(server.requests().len() > n_asked, "the rest is measured");
    // Each request that counts has its line, once.
    let text = std::fs::read_to_string(house.path().join("each.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for level in result["levels"].as_array().unwrap() {
        let load = format!("{}/s", level["load"]["per_s"]).replace(".0/s", "/s");
        let n = lines.iter().filter(|line| line["load"] == *load).count() as u64;
        assert_eq!(Some(n), level["n_requests"].as_u64(), "{load}");
    }
    let over = ask(&rest).exits(2).stderr;
    assert!(over.contains("the run `night` is over (valid)") || over.contains("over (invalid)"), "{over}");
    assert!(house.run(&["bench", "list"]).stdout.matches("night").count() == 1);
}

#[test]
fn a_search_that_was_killed_goes_on_with_the_probes_that_are_missing_and_says_each() {
    let (house, server) = (House::new(CONFIG), server());
    let url = format!("{}/v1", server.url());
    let search =
        ["bench", "run", "--url", &url, "--search", "concurrency", "--start", "1", "--most", "8", "--slo", "e2e=20s"];
    let begin = [&search[..], &["--share", "0.5", "--warm-up", "0s", "--duration", "2s", "--name", "most"]].concat();
    let mut run = house.spawn(&begin);
    let so_far = || {
        let shown = house.run(&["bench", "show", "most", "--format", "json"]);
        (shown.code == 4).then(|| shown.json()).filter(|shown| !shown["levels"].as_array().unwrap().is_empty())
    };
    until(so_far);
    run.kill().unwrap();
    run.wait().unwrap();
    let cut = so_far().unwrap();
    let n_kept = cut["levels"].as_array().unwrap().len();
    let n_asked = server.requests().len();
    let done = house.run(&[&begin[..], &["--resume", "--format", "json"]].concat());
    let result = done.json();
    assert!(done.stderr.contains(&format!("goes on: {n_kept} probes of the search are measured")), "{}", done.stderr);
    assert!(
        done.stderr.contains("probe 1 of at most 12: 1 at once, where the search begins; measured already"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("probe 1: "), "{}", done.stderr);
    assert_eq!(result["levels"][0], cut["levels"][0], "what was measured stands");
    let tried = result["found"][0]["tried"].as_array().unwrap();
    assert_eq!(tried.len(), result["levels"].as_array().unwrap().len(), "{}", done.stdout);
    assert!(tried.len() > n_kept && server.requests().len() > n_asked, "the rest is measured");
    assert_eq!((tried[0]["load"].as_f64(), &result["partial"]), (Some(1.0), &false.into()));
    assert!(house.run(&[&begin[..], &["--resume"]].concat()).exits(2).stderr.contains("the run `most` is over"));
}

#[test]
fn a_result_whose_name_is_taken_meanwhile_is_kept_under_another() {
    let (house, server) = (House::new(CONFIG), server());
    let url = format!("{}/v1", server.url());
    let run = |duration: &str| {
        let run = ["bench", "run", "--url", &url, "--rate", "5", "--warm-up", "0s", "--name", "twice", "--duration"];
        house.run(&[&run[..], &[duration]].concat())
    };
    // Both begin while the name is free.
    std::thread::scope(|scope| {
        let longer = scope.spawn(|| run("8s"));
        server.wait_for(1, Duration::from_secs(20));
        run("1s");
        longer.join().unwrap();
    });
    let listed = house.run(&["bench", "list"]).exits(0).stdout;
    assert!(listed.contains("twice ") && listed.contains("twice-2 "), "{listed}");
}
