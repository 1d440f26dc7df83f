//! Runs measured by meaning: a target makes vectors of every text, in calls that are on record, charged, taken over and counted like those for answers.

use std::collections::BTreeMap;

use scripted::{Script, Upstream, chat_completion};
use serde_json::{Value, json};

use crate::parts::House;

/// `t` and `u` answer, `e` makes vectors; a dollar per million tokens each.
fn house(upstream: &Upstream) -> House {
    let price = "price: { rates: { input: 1, output: 1 }, source: a test, checked: 2026-11-20 }";
    let house = House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ dialect: openai, base_url: {}/v1 }}\n\
         targets:\n  t: {{ provider: p, model: same, {price} }}\n  u: {{ provider: p, model: near, {price} }}\n  e: {{ provider: p, model: maker, {price} }}\n\
         routes:\n  m: {{ target: t }}\n",
        upstream.url()
    ));
    let lines: String = (0..4)
        .map(|idx| format!("{{\"id\":\"c{idx}\",\"input\":\"Question {idx}?\",\"expected\":\"yes {idx}\"}}\n"))
        .collect();
    std::fs::write(house.path().join("cases.jsonl"), lines).unwrap();
    let suite = "file: cases.jsonl\ntargets: [t, u]\nmetrics: [embedding_cosine, { name: embedding_cosine, as: near, threshold: 0.9 }]\nmargin: 0.2\nencoder: e\n";
    std::fs::write(house.path().join("s.yaml"), suite).unwrap();
    house
}

/// The vector of a text: a right answer's and a near one's have the cosine 0.6.
fn vector(text: &str) -> [f64; 2] {
    if text.starts_with("near") { [0.6, 0.8] } else { [2.0, 0.0] }
}

/// `same` says what is right, `near` something near it; vectors of the third case are refused.
fn upstream() -> Upstream {
    Upstream::with(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if request.path.ends_with("/embeddings") {
            let texts: Vec<&str> =
                body["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
            if texts[0] == "Question 2?" {
                return Script::error(400, "invalid_request_error", "too long");
            }
            // Backwards: the index says whose a vector is.
            let data: Vec<Value> = (0..texts.len())
                .rev()
                .map(|idx| json!({ "object": "embedding", "index": idx, "embedding": vector(texts[idx]) }))
                .collect();
            let usage = json!({ "prompt_tokens": 1000, "total_tokens": 1000 });
            return Script::json(
                json!({ "object": "list", "data": data, "model": "maker", "usage": usage }).to_string(),
            );
        }
        let question = body["messages"][0]["content"].as_str().unwrap();
        let idx = question.trim_start_matches("Question ").trim_end_matches('?');
        let said = if body["model"] == "same" { "yes" } else { "near" };
        Script::json(chat_completion(&format!("{said} {idx}")))
    })
}

fn asked(upstream: &Upstream) -> BTreeMap<String, Vec<String>> {
    let requests = upstream.requests().into_iter().filter(|request| request.path.ends_with("/embeddings"));
    let texts = requests.map(|request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["model"], "maker");
        let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
        (texts[0].clone(), texts)
    });
    texts.collect()
}

#[test]
fn every_text_of_a_case_is_made_into_a_vector_by_one_call_and_answers_are_measured_by_them() {
    let upstream = upstream();
    let house = house(&upstream);
    let said = house.run(&["eval", "run", "s.yaml", "--run", "r"]);
    assert!(said.stdout.contains("encoder maker-") && said.stdout.contains("1 without vectors"), "{}", said.stdout);
    let asked = asked(&upstream);
    assert_eq!(asked.len(), 4);
    assert_eq!(asked["Question 0?"], ["Question 0?", "yes 0", "near 0"], "what is right was said: it is asked once");
    let report = house.run(&["eval", "report", "r", "--as", "json"]).json();
    let id = report["definitions"]["embedding_cosine"]["id"].as_str().unwrap();
    assert!(id.starts_with("embedding_cosine@crossfade-1:encoder=maker-"), "{id}");
    let mean = |target: usize, metric: &str| report["targets"][target]["means"][metric].as_f64().unwrap();
    assert!((mean(0, "embedding_cosine") - 1.0).abs() < 1e-6 && (mean(1, "embedding_cosine") - 0.6).abs() < 1e-6);
    assert_eq!((mean(0, "near"), mean(1, "near")), (1.0, 0.0));
    // What the encoder refused is unscored and counted, and its answers are there all the same.
    assert_eq!(report["targets"][1]["unscored"]["embedding_cosine"], json!({ "no_judgement": 1 }), "{report}");
    let encoder = &report["encoder"];
    assert_eq!((&encoder["n_items"], &encoder["n_asked"], &encoder["n_failed"]), (&4.into(), &4.into(), &1.into()));
    assert_eq!((&encoder["whole"], &encoder["failures"]["http_client_error"]), (&true.into(), &1.into()), "{encoder}");
    // A thousand tokens a call, and a refused one costs nothing.
    assert_eq!(encoder["cost"].as_f64(), Some(0.003), "{encoder}");
    house.run(&["eval", "report", "r~encoder"]).exits(2);
    let page = house.run(&["eval", "report", "r", "--as", "markdown"]);
    assert!(page.stdout.contains("encoder maker-"), "{}", page.stdout);
}

#[test]
fn vectors_are_taken_over_where_the_texts_are_the_same_and_kept_under_the_cap_of_the_run() {
    let upstream = upstream();
    let house = house(&upstream);
    let n_encoded = |upstream: &Upstream| asked_calls(upstream);
    // Eight answers are free of cost here but for their own usage; the vectors come to more than is left.
    let capped =
        house.run(&["eval", "run", "s.yaml", "--run", "a", "--max-cost", "0.0015", "--concurrency", "1"]).exits(4);
    assert!(capped.stderr.contains("stopped before it costs more"), "{}", capped.stderr);
    let before = n_encoded(&upstream);
    assert!((1..4).contains(&before), "{before}");
    house.run(&["eval", "run", "s.yaml", "--run", "a", "--max-cost", "1"]);
    assert_eq!(n_encoded(&upstream), 4);
    house.run(&["eval", "run", "s.yaml", "--run", "b"]);
    // The one that failed is asked again.
    assert_eq!(n_encoded(&upstream), 5);
    let drift = house.run(&["eval", "drift", "a", "b", "--format", "json"]).exits(0).json();
    let row = |what: &str| drift.as_array().unwrap().iter().find(|row| row["what"] == what).cloned().unwrap();
    assert_eq!(row("vectors of the input")["before"][0], 3, "{drift}");
    assert_eq!(row("vectors of the answer")["before"][0], 3, "{drift}");
}

fn asked_calls(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|request| request.path.ends_with("/embeddings")).count()
}

#[test]
fn checks_by_meaning_are_measured_once_there_are_vectors() {
    let upstream = upstream();
    let house = house(&upstream);
    let check = |idx: usize| json!({ "metric": "embedding_cosine", "value": format!("yes, of course {idx}"), "threshold": 0.9 });
    let lines: String = (0..2)
        .map(|idx| {
            json!({ "id": format!("c{idx}"), "input": format!("Question {idx}?"), "checks": [check(idx)] }).to_string()
                + "\n"
        })
        .collect();
    std::fs::write(house.path().join("checked.jsonl"), lines).unwrap();
    let of = ["eval", "run", "--file", "checked.jsonl", "--target", "t", "--target", "u", "--run", "r"];
    let refused = house.run(&of).exits(2);
    assert!(
        refused.stderr.contains("needs vectors") && refused.stderr.contains("--encoder TARGET"),
        "{}",
        refused.stderr
    );
    house.run(&[&of[..], &["--encoder", "e"]].concat());
    assert_eq!(asked(&upstream)["Question 0?"], ["Question 0?", "yes, of course 0", "yes 0", "near 0"]);
    let report = house.run(&["eval", "report", "r", "--as", "json"]).json();
    let mean = |target: usize| report["targets"][target]["means"]["checks"].as_f64();
    assert_eq!((mean(0), mean(1)), (Some(1.0), Some(0.0)), "{report}");
}

#[test]
fn what_cannot_be_encoded_is_said_before_anything_is_asked() {
    let upstream = upstream();
    let house = house(&upstream);
    let told = |suite: &str| {
        std::fs::write(house.path().join("other.yaml"), format!("file: cases.jsonl\ntargets: [t]\n{suite}")).unwrap();
        house.run(&["eval", "run", "other.yaml"]).exits(2).stderr
    };
    assert!(told("metrics: [embedding_cosine]\n").contains("`embedding_cosine` needs vectors, and nothing makes them"));
    assert!(told("metrics: [bertscore]\nencoder: e\n").contains("vectors of tokens, which no embeddings target gives"));
    assert!(told("metrics: [embedding_cosine]\nencoder: nobody\n").contains("there is no target `nobody`"));
    assert!(told("metrics: [embedding_cosine]\nencoder: { directory: x }\n").contains("`encoder.model`"));
    #[cfg(not(feature = "encoder"))]
    {
        let without = told("metrics: [bertscore]\nencoder: { model: tiny }\n");
        assert!(without.contains("--features encoder") && without.contains("encoder: TARGET"), "{without}");
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn an_encoder_that_no_metric_needs_is_said_to_make_its_calls_for_drift_alone() {
    let upstream = upstream();
    let house = house(&upstream);
    let suite = |metric: &str| format!("file: cases.jsonl\ntargets: [t]\nmetrics: [{metric}]\nencoder: e\n");
    std::fs::write(house.path().join("idle.yaml"), suite("contains")).unwrap();
    let said = house.run(&["eval", "run", "idle.yaml"]).exits(0);
    assert!(said.stderr.contains("no metric and no check is measured by meaning"), "{}", said.stderr);
    std::fs::write(house.path().join("needed.yaml"), suite("embedding_cosine")).unwrap();
    let said = house.run(&["eval", "run", "needed.yaml"]).exits(0);
    assert!(!said.stderr.contains("measured by meaning"), "{}", said.stderr);
}

/// The model that the room `encoder` keeps for its tests, with the numbers that bert-score gives for it.
#[cfg(feature = "encoder")]
#[test]
fn answers_are_measured_by_bertscore_where_the_binary_has_a_model() {
    let reference = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../encoder/tests/reference");
    let known = std::fs::read_to_string(reference.join("cases.jsonl")).unwrap();
    let known: Vec<Value> = known.lines().take(60).map(|line| serde_json::from_str(line).unwrap()).collect();
    let answers: Vec<String> = known.iter().map(|case| case["answer"].as_str().unwrap().to_owned()).collect();
    let upstream = Upstream::with(move |request| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let idx: usize = body["messages"][0]["content"].as_str().unwrap().parse().unwrap();
        let message = json!({ "role": "assistant", "content": answers[idx] });
        let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
        Script::json(
            json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice] })
                .to_string(),
        )
    });
    let house = house(&upstream);
    let lines: String = known
        .iter()
        .enumerate()
        .map(|(idx, case)| {
            json!({ "id": format!("c{idx}"), "input": idx.to_string(), "expected": case["references"] }).to_string()
                + "\n"
        })
        .collect();
    std::fs::write(house.path().join("known.jsonl"), lines).unwrap();
    let model = reference.join("tiny-bert").canonicalize().unwrap();
    let suite = format!(
        "file: known.jsonl\ntargets: [t]\nmetrics: [bertscore, {{ name: bertscore, as: precision, figure: precision }}, embedding_cosine]\n\
         encoder: {{ model: {}, layer: 2 }}\n",
        model.display()
    );
    std::fs::write(house.path().join("bert.yaml"), suite).unwrap();
    house.run(&["eval", "run", "bert.yaml", "--run", "r"]).exits(0);
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    let id = report["definitions"]["bertscore"]["id"].as_str().unwrap();
    assert!(id.starts_with("bertscore@bert-score-0.3.13:encoder=tiny-bert-") && id.ends_with("_L2_no-idf"), "{id}");
    for (case, known) in report["cases"].as_array().unwrap().iter().zip(&known) {
        let worth = &case["sides"][0]["worth"];
        for (name, place) in [("precision", 0), ("bertscore", 2)] {
            let (ours, theirs) = (worth[name].as_f64().unwrap(), known["expected"][place].as_f64().unwrap());
            assert!((ours - theirs).abs() <= 1e-4, "{name} {ours} {theirs}: {known}");
        }
    }
    let encoder = &report["encoder"];
    assert_eq!((&encoder["n_failed"], &encoder["n_calls"], &encoder["whole"]), (&0.into(), &0.into(), &true.into()));
    // What was encoded before is taken over.
    house.run(&["eval", "run", "bert.yaml", "--run", "again"]).exits(0);
    let again = house.run(&["eval", "report", "again", "--as", "json"]).exits(0).json();
    assert_eq!(again["encoder"]["n_reused"], 60, "{}", again["encoder"]);
    assert_eq!(again["targets"][0]["means"], report["targets"][0]["means"]);
}
