//! `crossfade bench` with what the config and the store know: datasets, objectives and peaks of routes, tokens counted by the server's tokenizer, and
//! results beside each other.

use std::time::Duration;

use scripted::{Received, Script, Upstream, chat_stream};
use serde_json::{Value, json};

use crate::parts::{CONFIG, House};

/// How long a request is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

const SHORT: [&str; 8] = ["--rate", "40", "--duration", "1s", "--warm-up", "0s", "--format", "json"];

/// Whole answers came, whether or not this machine kept up.
fn measured(house: &House, arguments: &[&str]) -> Value {
    let done = house.run(&[&["bench", "run"], arguments, &SHORT].concat());
    assert!([0, 3, 4].contains(&done.code), "{}", done.stderr);
    let result = done.json();
    assert!(result["levels"][0]["n_good"].as_u64().is_some_and(|n| n > 0), "{}", done.stderr);
    result
}

#[test]
fn requests_come_from_a_dataset_of_the_store() {
    let house = House::new(CONFIG);
    house.write_file(
        "cases.jsonl",
        "{\"id\":\"a\",\"input\":\"What is dataset-word one?\"}\n{\"id\":\"b\",\"input\":\"And dataset-word two?\"}\n",
    );
    house.run(&["dataset", "import", "cases.jsonl"]).exits(0);
    let server = Upstream::with(|request: &Received| match request.method.as_str() {
        "GET" => Script::status(404),
        _ => Script::stream(chat_stream(&["a"], true)),
    });
    let url = format!("{}/v1", server.url());
    let result = measured(&house, &["--url", &url, "--dataset", "cases"]);
    assert!(result["plan"]["dataset"].as_str().is_some_and(|name| name.starts_with("cases@")), "{}", result["plan"]);
    let chats: Vec<Received> =
        server.requests().into_iter().filter(|request| request.path.ends_with("/chat/completions")).collect();
    assert!(chats.len() > 1 && chats.iter().all(|chat| String::from_utf8_lossy(&chat.body).contains("dataset-word")));
    let none = house.run(&["bench", "run", "--url", &url, "--rate", "1", "--dataset", "cases2"]).exits(2);
    assert!(none.stderr.contains("there are: cases"), "{}", none.stderr);
}

#[test]
fn a_workload_says_the_objective_and_the_peak() {
    let house = House::new(
        &CONFIG.replace("policy: { warm_up: 0 }", "policy: { warm_up: 0, objectives: { first_token: 30s } }"),
    );
    let result = measured(&house, &["--target", "qwen", "--workload", "support"]);
    assert_eq!((&result["slo"]["ttft_ms"], &result["slo"]["e2e_ms"]), (&json!(30_000.0), &Value::Null));
    assert_eq!(result["plan"]["judged_by"]["objective"], "rollouts.to-qwen.policy.objectives");
    // What is typed goes before it.
    let typed = measured(&house, &["--target", "qwen", "--for-route", "gpt-4o", "--slo", "e2e=9s"]);
    assert_eq!((&typed["slo"]["e2e_ms"], &typed["plan"]["judged_by"]["objective"]), (&json!(9000.0), &Value::Null));
    // Without objectives it is what reports demand.
    let house = House::new(CONFIG);
    let usual = measured(&house, &["--target", "qwen", "--for-route", "gpt-4o"]);
    assert_eq!(
        (&usual["slo"]["e2e_ms"], &usual["plan"]["judged_by"]["objective"]),
        (&json!(2500.0), &json!("report.scorecard.latency"))
    );
    let wrong = house.run(&["bench", "run", "--target", "qwen", "--rate", "1", "--workload", "suport"]).exits(2);
    assert!(wrong.stderr.contains("workloads: support"), "{}", wrong.stderr);
}

/// A server that counts no tokens in its answers, sends several words a chunk, and has a tokenizer: a token for each word.
fn server(counts: bool) -> Upstream {
    Upstream::with(move |request: &Received| match (request.method.as_str(), request.path.as_str()) {
        ("POST", "/tokenize") => {
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            let words: Vec<&str> = asked["content"].as_str().unwrap().split_whitespace().collect();
            Script::json(json!({ "tokens": words }).to_string())
        }
        ("POST", _) => Script::stream(chat_stream(&["one two three ", "four five six seven"], counts)),
        _ => Script::status(404),
    })
}

#[test]
fn tokens_that_the_server_does_not_count_are_counted_by_its_tokenizer() {
    let (house, server) = (House::new(CONFIG), server(false));
    let url = format!("{}/v1", server.url());
    let level = measured(&house, &["--url", &url])["levels"][0].clone();
    assert_eq!(level["mean_output_tokens"], 7.0);
    assert_eq!(level["tokens_from"].as_object().unwrap().keys().collect::<Vec<_>>(), ["tokenize"]);
}

#[test]
fn a_server_whose_own_count_is_not_its_tokenizers_is_flagged() {
    let (house, server) = (House::new(CONFIG), server(true));
    let url = format!("{}/v1", server.url());
    let result = measured(&house, &["--url", &url, "--output", "r.html", "--name", "r"]);
    let check = &result["levels"][0]["token_checks"][0];
    assert_eq!((&check["used"], &check["other"]), (&json!("usage"), &json!("tokenize")), "{result}");
    assert!(check["apart"].as_f64().unwrap() > 0.01, "{check}");
    assert!(result["why"].to_string().contains("% apart; one of them is wrong"), "{}", result["why"]);
    assert!(std::fs::read_to_string(house.path().join("r.html")).unwrap().contains("Tokens counted twice"));
}

#[test]
fn results_are_found_by_what_is_said_of_them_and_stand_beside_each_other() {
    let house = House::new(CONFIG);
    measured(&house, &["--target", "gpt", "--name", "old", "--meta", "gpu=a"]);
    measured(&house, &["--target", "qwen", "--name", "new", "--meta", "gpu=b"]);
    let names = |arguments: &[&str]| {
        let list = house.run(&[&["bench", "list", "--format", "json"], arguments].concat()).exits(0).json();
        list.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["new", "old"]);
    assert_eq!(names(&["--meta", "gpu=a"]), ["old"]);
    assert_eq!(names(&["ne"]), ["new"]);
    assert_eq!((names(&["--kind", "search"]).len(), names(&["--days", "1", "--kind", "load"]).len()), (0, 2));
    let beside = house.run(&["bench", "show", "old", "new"]);
    assert!(beside.stdout.contains("ttft.intended p95, ms") && beside.stdout.contains("change"), "{}", beside.stdout);
    let rows = house.run(&["bench", "show", "old", "new", "--format", "json"]).json();
    assert!(
        rows.as_array().unwrap().iter().any(|row| row["figure"] == "tokens/s" && row["change"].is_number()),
        "{rows}"
    );
}

#[test]
fn a_search_that_is_told_to_end_by_a_signal_keeps_what_there_was_with_the_peak_of_its_route() {
    for signal in ["-TERM", "-INT"] {
        let house = House::new(&format!("{CONFIG}report: {{ target_load: {{ gpt-4o: 2 }} }}\n"));
        let server = server(true);
        let url = format!("{}/v1", server.url());
        let search = ["--search", "rate", "--start", "20", "--duration", "1h", "--warm-up", "0s", "--name", "long"];
        let mut run = house.spawn(&[&["bench", "run", "--url", &url, "--for-route", "gpt-4o"], &search[..]].concat());
        // It would take hours; it listens before it sends.
        server.wait_until(PATIENCE, |requests| {
            requests.iter().any(|request| request.path.ends_with("/chat/completions"))
        });
        assert!(std::process::Command::new("kill").args([signal, &run.id().to_string()]).status().unwrap().success());
        assert_eq!(run.wait().unwrap().code(), Some(4));
        let kept = house.run(&["bench", "show", "long", "--format", "json"]).exits(4).json();
        assert_eq!(kept["partial"], true);
        assert_eq!((&kept["slo"]["e2e_ms"], &kept["found"][0]["peak"]), (&json!(2500.0), &json!(2.0)), "{kept}");
        assert_eq!(kept["plan"]["judged_by"]["peak"], "report.target_load");
    }
}
