//! `eval` of rerankers: documents are ranked by two targets, query by query, and held against labels.

use std::sync::atomic::{AtomicUsize, Ordering};

use scripted::{Script, Upstream};
use serde_json::{Value, json};

use crate::parts::{Done, House};

/// Two targets at one upstream.
fn house(upstream: &Upstream) -> House {
    House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ dialect: openai, base_url: {}/v1, retries: {{ max_attempts: 1 }} }}\n\
         targets:\n  old: {{ provider: p, model: rank-old }}\n  new: {{ provider: p, model: rank-new }}\nroutes:\n  m: {{ target: old }}\n",
        upstream.url()
    ))
}

/// Queries over four documents, of which one is relevant and one a little.
fn write_cases(house: &House, n: usize) {
    let lines = (0..n).map(|idx| {
        let documents: Vec<Value> = (0..4).map(|of| json!({ "id": format!("d{of}"), "text": format!("Passage {of} of {idx}.") })).collect();
        let (best, next) = (format!("d{}", idx % 4), format!("d{}", (idx + 1) % 4));
        let case = json!({ "id": format!("q{idx}"), "query": format!("Query {idx}"), "documents": documents, "relevance": { best: 3, next: 1 },
            "slices": { "part": if idx % 2 == 0 { "even" } else { "odd" } } });
        format!("{case}\n")
    });
    std::fs::write(house.path().join("queries.jsonl"), lines.collect::<String>()).unwrap();
}

/// An answer with these documents in order, the scores of which decide, not their places.
fn results(order: [usize; 4]) -> Script {
    let scored =
        order.iter().enumerate().map(|(rank, idx)| json!({ "index": idx, "relevance_score": 5.0 - rank as f64 }));
    let mut scored: Vec<Value> = scored.collect();
    scored.sort_by_key(|result| result["index"].as_u64());
    Script::json(json!({ "model": "m", "results": scored, "usage": { "total_tokens": 30 } }).to_string())
}

/// A server whose `rank-new` puts the relevant document second in so many of the first queries, and is right elsewhere.
fn server(n_wrong: usize) -> Upstream {
    Upstream::with(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(request.path, "/v1/rerank");
        let names: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(names, ["documents", "model", "query"], "nothing else is asked");
        let idx: usize = body["query"].as_str().unwrap().trim_start_matches("Query ").parse().unwrap();
        assert_eq!(body["documents"][2], format!("Passage 2 of {idx}."));
        let [a, b, c, d] = [0, 1, 2, 3].map(|of| (idx + of) % 4);
        let is_wrong = body["model"] == "rank-new" && idx < n_wrong;
        results(if is_wrong { [c, a, b, d] } else { [a, b, c, d] })
    })
}

fn run(house: &House, run: &str, more: &[&str]) -> Done {
    let arguments = ["eval", "run", "--file", "queries.jsonl", "--target", "old", "--target", "new", "--run", run];
    house.run(&[&arguments[..], more].concat())
}

#[test]
fn a_reranker_as_good_passes_and_one_that_ranks_worse_fails_with_the_loss_that_was_planted() {
    let good = server(4);
    let house_of_good = house(&good);
    write_cases(&house_of_good, 200);
    let report = run(&house_of_good, "r", &["--format", "json"]).exits(0).json();
    assert_eq!(
        (report["primary"].as_str(), report["candidates"][0]["primary"]["verdict"].as_str()),
        (Some("ndcg_at_k"), Some("pass"))
    );
    let bad = server(60);
    let house = house(&bad);
    write_cases(&house, 200);
    let report = run(&house, "r", &["--format", "json", "--margin", "0.05"]).exits(3).json();
    let candidate = &report["candidates"][0];
    // The relevant one second and the other third: what is left of the best gain.
    let log3 = 3.0_f64.log2();
    let loss = 1.0 - (3.0 / log3 + 1.0 / 2.0) / (3.0 + 1.0 / log3);
    let found = candidate["primary"]["difference"].as_f64().unwrap();
    assert!((found + 0.3 * loss).abs() < 1e-9, "{found} for a loss of {loss} in 60 of 200");
    let (low, high) =
        (candidate["primary"]["interval"]["low"].as_f64(), candidate["primary"]["interval"]["high"].as_f64());
    assert!(low.unwrap() < found && found < high.unwrap() && high.unwrap() < -0.05, "{candidate}");
    // The first relevant one is second in these, and all of them are within ten.
    assert!((candidate["others"]["mrr"]["difference"].as_f64().unwrap() + 0.15).abs() < 1e-9, "{candidate}");
    assert_eq!(candidate["others"]["recall_at_k"]["difference"].as_f64(), Some(0.0));
    assert_eq!(candidate["slices"].as_array().unwrap().len(), 2);
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    let texts: Vec<&str> = report["cases"].as_array().unwrap().iter().find(|case| case["id"] == "q1").unwrap()["sides"]
        .as_array()
        .unwrap()
        .iter()
        .map(|side| side["text"].as_str().unwrap())
        .collect();
    assert_eq!(texts, ["d1\nd2\nd3\nd0", "d3\nd1\nd2\nd0"]);
    assert_eq!(bad.requests().len(), 400);
}

#[test]
fn what_is_no_ranking_of_the_documents_is_a_failed_call_and_worth_nothing() {
    let n = AtomicUsize::new(0);
    let upstream = Upstream::with(move |_| match n.fetch_add(1, Ordering::Relaxed) {
        0 => Script::json(json!({ "results": [{ "index": 4, "relevance_score": 1.0 }] }).to_string()),
        1 => Script::json(json!({ "choices": [] }).to_string()),
        _ => results([0, 1, 2, 3]),
    });
    let house = house(&upstream);
    write_cases(&house, 4);
    house
        .run(&[
            "eval",
            "run",
            "--file",
            "queries.jsonl",
            "--target",
            "old",
            "--run",
            "r",
            "--concurrency",
            "1",
            "--stream",
            "--seed",
            "7",
        ])
        .exits(0);
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    assert_eq!(
        (report["targets"][0]["n_failed"].as_u64(), report["targets"][0]["failures"]["malformed"].as_u64()),
        (Some(2), Some(2)),
        "{report}"
    );
    let worth: Vec<f64> = report["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| case["sides"][0]["worth"]["ndcg_at_k"].as_f64().unwrap())
        .collect();
    assert!(worth[0] == 0.0 && worth[1] == 0.0 && worth[2] > 0.0, "{worth:?}");
    let body: Value = serde_json::from_slice(&upstream.requests()[0].body).unwrap();
    assert!(body["seed"].is_null() && body["stream"].is_null(), "{body}");
}

#[test]
fn labels_that_cannot_be_are_named_with_their_line() {
    let upstream = server(0);
    let house = house(&upstream);
    let lines = [
        json!({ "query": "Q" }),
        json!({ "query": 1, "documents": [{ "id": "a", "text": "A" }] }),
        json!({ "query": "Q", "documents": [{ "id": "a", "text": "A" }, { "id": "a", "text": "B" }], "relevance": { "a": -1 } }),
        json!({ "input": "Q", "documents": [{ "id": "a", "text": "A b  c" }], "evidence": [{ "document": "a", "text": "b c" }, { "document": "a", "text": "d" }, { "document": "z", "text": "d" }] }),
        json!({ "request": { "query": "Q", "documents": ["A"] }, "documents": [{ "id": "a", "text": "A" }] }),
    ];
    std::fs::write(house.path().join("queries.jsonl"), lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let said = house.run(&["dataset", "check", "queries.jsonl"]).exits(2).stderr;
    for expected in [
        "queries.jsonl:1:documents: there are none to be ranked",
        "queries.jsonl:2:query: expected a text",
        "queries.jsonl:3:relevance.a: `-1` is no relevance",
        "queries.jsonl:3:documents[1].id: `a` is there already",
        "queries.jsonl:4:evidence[1].text: these words do not stand in the document `a`",
        "queries.jsonl:5:request.documents: the documents that are ranked are those of the case",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert_eq!(said.matches("queries.jsonl:").count(), 6, "{said}");
}
