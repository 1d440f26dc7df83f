//! A collection whose vectors are made anew, against a server on a socket that makes them, refuses some, and counts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use scripted::{Script, Upstream};
use serde_json::{Value, json};

use crate::parts::{Done, House, until};

/// How many numbers a vector has.
const DIMS: usize = 8;
/// The most texts in a call of these tests.
const BATCH: usize = 10;
/// Calls under way at once.
const IN_FLIGHT: usize = 3;

/// The vector that a model makes of a text.
fn vector(model: u64, text: &str) -> Vec<f32> {
    let mut state = text
        .bytes()
        .fold(model * 1_000_003 + 17, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let mut number = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f32::from(u16::try_from(state >> 48).unwrap()) / 32_768.0 - 1.0
    };
    (0..DIMS).map(|_| number()).collect()
}

fn texts(request: &scripted::Received) -> Vec<String> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    serde_json::from_value(body["input"].clone()).unwrap()
}

fn answer(model: u64, texts: &[String], dims: usize) -> Script {
    let vector = |(index, text): (usize, &String)| json!({ "index": index, "embedding": &vector(model, text)[..dims] });
    // Backwards: the index says whose a vector is.
    let data: Vec<Value> = texts.iter().enumerate().rev().map(vector).collect();
    let n_tokens = texts.iter().map(String::len).sum::<usize>() / 4;
    Script::json(json!({ "data": data, "usage": { "prompt_tokens": n_tokens, "total_tokens": n_tokens } }).to_string())
}

/// A server of one model.
fn server() -> Upstream {
    Upstream::with(|request| answer(1, &texts(request), DIMS))
}

/// How often each text was asked for, without those that tell a space.
fn asked(upstream: &Upstream) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for text in upstream.requests().iter().flat_map(texts).filter(|text| text.contains("of the base")) {
        *asked.entry(text).or_default() += 1;
    }
    asked
}

fn text(n: usize) -> String {
    format!("text {n} of the base")
}

/// Rows of the old space, each text in `n_alike` of them.
fn rows(n_rows: usize, n_alike: usize) -> String {
    let row = |n: usize| {
        let namespace = ["", "t"][n % 2];
        let sparse = json!({ "words": { "indices": [1, n + 2], "values": [0.5, -0.0] } });
        let row = json!({
            "id": format!("chunk-{n}"), "namespace": namespace, "vector": [1.0, 2.0, 3.0], "text": text(n / n_alike),
            "metadata": { "chunk": n, "of": "doc" }, "sparse": sparse, "space": "old",
        });
        row.to_string() + "\n"
    };
    (0..n_rows).map(row).collect()
}

/// The command, with the server's URL.
fn command<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = [
        "vectors",
        "reembed",
        "jsonl:kb.jsonl",
        "sqlite-vec:kb.db#docs",
        "--url",
        url,
        "--model",
        "maker",
        "--batch",
        "10",
        "--in-flight",
        "3",
        "--run",
        "run",
        "--format",
        "json",
    ];
    [&usual[..], more].concat()
}

fn reembed(house: &House, upstream: &Upstream, more: &[&str]) -> Done {
    let url = format!("{}/v1", upstream.url());
    house.run(&command(&url, more))
}

/// The vectors of the target by id.
fn vectors(house: &House) -> BTreeMap<String, Vec<f32>> {
    house.run(&["vectors", "copy", "sqlite-vec:kb.db#docs", "jsonl:out"]).exits(0);
    let mut vectors = BTreeMap::new();
    let files = std::fs::read_dir(house.path().join("out/data")).unwrap().map(|file| file.unwrap().path());
    for file in files.filter(|file| file.extension().is_some_and(|ending| ending == "jsonl")) {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let row: Value = serde_json::from_str(line).unwrap();
            let vector = serde_json::from_value(row["vectors"]["dense"].clone()).unwrap();
            vectors.insert(row["id"].as_str().unwrap().to_owned(), vector);
        }
    }
    vectors
}

#[test]
fn vectors_are_made_of_the_prefixed_texts_and_everything_else_stays_as_it_was() {
    let (house, upstream) = (House::new(""), server());
    house.write_file("kb.jsonl", &rows(200, 4));
    let done =
        reembed(&house, &upstream, &["--prefix", "passage: ", "--verify", "--metric", "dense=cosine"]).exits(0).json();
    assert_eq!(
        (&done["n_rows"], &done["n_aside"], &done["comparison"]["n_buckets"]),
        (&json!(200), &json!(0), &json!(0))
    );
    let space = done["space"].as_str().unwrap();
    assert!(space.contains("/maker@-#8#-#any#passage:%20#-#f32~"), "{space}");
    let asked = asked(&upstream);
    assert_eq!((asked.len(), asked.values().max()), (50, Some(&1)), "each text once");
    assert!(asked.keys().all(|text| text.starts_with("passage: ")));
    // Fifty texts by ten and the sixteen that tell the space.
    assert_eq!((&done["spent"]["n_calls"], &done["spent"]["n_texts"]), (&json!(6), &json!(66)), "{done}");
    let vectors = vectors(&house);
    assert_eq!(vectors.len(), 200);
    for n in 0..200 {
        assert_eq!(vectors[&format!("chunk-{n}")], vector(1, &format!("passage: {}", text(n / 4))), "chunk {n}");
    }
    let database = Connection::open(house.path().join("kb.db")).unwrap();
    let spaces: i64 =
        database.query_row("SELECT count(*) FROM docs WHERE space = ?1", [space], |row| row.get(0)).unwrap();
    assert_eq!(spaces, 200);
    let record: Value =
        serde_json::from_str(&std::fs::read_to_string(house.path().join("run/encoder.json")).unwrap()).unwrap();
    assert_eq!((&record["space"], &record["recipe"]["prefix"]), (&json!(space), &json!("passage: ")));
    // What is through is not done again, and nobody is asked.
    let n_calls = upstream.requests().len();
    reembed(&house, &upstream, &["--prefix", "passage: "]).exits(0);
    assert_eq!(upstream.requests().len(), n_calls);
}

#[test]
fn after_kills_no_text_is_asked_for_again_but_what_was_under_way() {
    const N_ROWS: usize = 3000;
    const N_KILLS: usize = 5;
    let (house, upstream) = (House::new(""), server());
    house.write_file("kb.jsonl", &rows(N_ROWS, 1));
    let url = format!("{}/v1", upstream.url());
    for n in 1..=N_KILLS {
        let mut child = house.spawn(&command(&url, &[]));
        let after = upstream.requests().len() + 10 * n;
        until(|| (upstream.requests().len() > after || child.try_wait().unwrap().is_some()).then_some(()));
        assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed {N_KILLS} times");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let done = reembed(&house, &upstream, &["--verify"]).exits(0).json();
    assert_eq!((&done["n_rows"], &done["comparison"]["n_buckets"]), (&json!(N_ROWS), &json!(0)));
    let asked = asked(&upstream);
    assert_eq!(asked.len(), N_ROWS);
    let n_again: usize = asked.values().map(|n| n - 1).sum();
    assert!(n_again <= N_KILLS * BATCH * IN_FLIGHT, "{n_again} texts were asked for again");
    let vectors = vectors(&house);
    assert!((0..N_ROWS).all(|n| vectors[&format!("chunk-{n}")] == vector(1, &text(n))));
}

#[test]
fn a_text_that_the_server_refuses_is_put_aside_and_kept_and_the_others_go_through() {
    let upstream = Upstream::with(|request| {
        let texts = texts(request);
        match texts.iter().any(|text| text == &self::text(33)) {
            true => Script::error(400, "invalid_request_error", "context_length_exceeded"),
            false => answer(1, &texts, DIMS),
        }
    });
    let house = House::new("");
    house.write_file("kb.jsonl", &(rows(60, 1) + r#"{"id":"silent","vector":[1.0,2.0,3.0]}"#));
    let done = reembed(&house, &upstream, &[]).exits(3).json();
    assert_eq!((&done["n_rows"], &done["n_aside"]), (&json!(59), &json!(2)));
    let why = |place: &str| {
        let asides = done["aside"].as_array().unwrap();
        let aside = asides.iter().find(|aside| aside["place"].as_str().unwrap().contains(place)).unwrap();
        assert!(aside["found"].as_str().unwrap().contains("[1.0,2.0,3.0]"), "the row is kept whole: {aside}");
        aside["why"].as_str().unwrap().to_owned()
    };
    assert!(why("chunk-33").starts_with("400, http_client_error"), "{}", why("chunk-33"));
    assert_eq!(why("silent"), "it has no text to make a vector of");
    assert_eq!(vectors(&house).len(), 59);
    // Of ten the halves, down to the one.
    assert!(upstream.requests().len() <= 1 + 6 + 8, "{}", upstream.requests().len());
}

#[test]
fn a_run_does_not_go_on_when_another_model_answers() {
    let model = Arc::new(AtomicU64::new(1));
    let upstream = Upstream::with({
        let model = Arc::clone(&model);
        move |request| answer(model.load(Ordering::SeqCst), &texts(request), DIMS)
    });
    let house = House::new("");
    house.write_file("kb.jsonl", &rows(400, 1));
    let stopped = reembed(&house, &upstream, &["--batch-rows", "50", "--max-tokens-total", "1000"]).exits(1);
    assert!(stopped.stderr.contains("may go beyond 1000 tokens"), "{}", stopped.stderr);
    model.store(2, Ordering::SeqCst);
    let refused = reembed(&house, &upstream, &[]).exits(3);
    assert!(
        refused.stderr.contains("was begun in the space") && refused.stderr.contains("two spaces are never mixed"),
        "{}",
        refused.stderr
    );
    model.store(1, Ordering::SeqCst);
    let done = reembed(&house, &upstream, &[]).exits(0).json();
    assert_eq!(done["n_rows"], 400);
    let vectors = vectors(&house);
    assert!((0..400).all(|n| vectors[&format!("chunk-{n}")] == vector(1, &text(n))));
    assert_eq!(asked(&upstream).values().max(), Some(&1), "what was paid for is not paid for again");
}

#[test]
fn a_server_that_is_busy_is_waited_for_and_one_that_errs_is_tried_again() {
    let n_calls = AtomicU64::new(0);
    let upstream = Upstream::with(move |request| match n_calls.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => Script::error(429, "rate_limit_exceeded", "rate_limit_exceeded").header("retry-after", "0"),
        1 => Script::error(503, "server_error", "overloaded").header("retry-after", "0"),
        _ => answer(1, &texts(request), DIMS),
    });
    let house = House::new("");
    house.write_file("kb.jsonl", &rows(30, 1));
    let done = reembed(&house, &upstream, &[]).json();
    assert_eq!(done["n_rows"], 30);
}

#[test]
fn what_it_may_cost_is_never_gone_beyond_and_a_plan_says_it_first() {
    let (house, upstream) = (House::new(""), server());
    house.write_file("kb.jsonl", &(rows(100, 1) + r#"{"id":"silent","vector":[1.0,2.0,3.0]}"#));
    let plan = reembed(&house, &upstream, &["--dry-run", "--price", "1", "--requests-per-minute", "5"]).exits(0).json();
    assert_eq!(
        (&plan["work"]["n_texts"], &plan["work"]["n_without_text"], &plan["n_calls"]),
        (&json!(100), &json!(1), &json!(10))
    );
    assert_eq!(plan["least_seconds"], 120);
    let about: f64 = plan["about_dollars"].as_str().unwrap().parse().unwrap();
    // 100 texts of about 20 bytes, four to a token, a dollar a million.
    assert!((0.000_4..0.000_6).contains(&about), "{about}");
    assert!(!house.path().join("run").exists() && !house.path().join("kb.db").exists(), "a plan writes nothing");
    let unknown = reembed(&house, &upstream, &["--max-spend", "1"]).exits(2);
    assert!(unknown.stderr.contains("what a call costs is not known"), "{}", unknown.stderr);
    let stopped = reembed(&house, &upstream, &["--price", "1", "--max-spend", "0.0005"]).exits(1);
    assert!(stopped.stderr.contains("may cost more than 0.0005 dollars"), "{}", stopped.stderr);
    let n_asked = asked(&upstream).len();
    assert!((10..100).contains(&n_asked), "{n_asked}");
    let done = reembed(&house, &upstream, &["--price", "1", "--max-spend", "1", "--keep-without-text"]).exits(0).json();
    assert_eq!((&done["n_rows"], asked(&upstream).values().max()), (&json!(101), Some(&1)));
}

#[test]
fn a_target_of_the_config_is_asked_with_its_key_and_charged_by_its_price() {
    let upstream = server();
    let price = "price: { rates: { input: 2 }, source: a test, checked: 2026-11-20 }";
    let house = House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ dialect: openai, base_url: {}/v1, api_key: not-a-real-key }}\n\
         targets:\n  e: {{ provider: p, model: maker, {price} }}\nroutes:\n  m: {{ target: e }}\n",
        upstream.url()
    ));
    house.write_file("kb.jsonl", &rows(20, 1));
    let run = [
        "vectors",
        "reembed",
        "jsonl:kb.jsonl",
        "parquet:kb",
        "--encoder",
        "e",
        "--dimensions",
        "8",
        "--format",
        "json",
    ];
    let done = house.run(&run).exits(0).json();
    assert!(done["space"].as_str().unwrap().starts_with("p/maker@-#8#"), "{done}");
    let n_tokens = done["spent"]["n_tokens"].as_u64().unwrap();
    let dollars: f64 = done["spent"]["dollars"].as_str().unwrap().parse().unwrap();
    assert!((dollars - n_tokens as f64 * 2e-6).abs() < 1e-9, "{done}");
    for request in upstream.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer not-a-real-key"));
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["model"], &body["dimensions"]), (&json!("maker"), &json!(8)));
    }
    let unknown = house.run(&["vectors", "reembed", "jsonl:kb.jsonl", "parquet:two", "--encoder", "f"]).exits(2);
    assert!(unknown.stderr.contains("there is no target `f`"), "{}", unknown.stderr);
    let nobody = house.run(&["vectors", "reembed", "jsonl:kb.jsonl", "parquet:two"]).exits(2);
    assert!(nobody.stderr.contains("nothing says what makes the vectors"), "{}", nobody.stderr);
}

#[test]
fn queries_as_texts_are_asked_in_the_space_of_each_side() {
    let old = Upstream::with(|request| answer(2, &texts(request), DIMS));
    let (house, new) = (House::new(""), server());
    let url = |upstream: &Upstream| format!("{}/v1", upstream.url());
    house.write_file("texts.jsonl", &rows(40, 1).replace("\"t\"", "\"\""));
    let (old, new) = (url(&old), url(&new));
    for (url, target, run) in [(&old, "parquet:old", "a"), (&new, "sqlite-vec:new.db#docs", "b")] {
        let to = ["vectors", "reembed", "jsonl:texts.jsonl", target, "--url", url, "--model", "m", "--run", run];
        house.run(&[&to[..], &["--metric", "dense=cosine"]].concat()).exits(0);
    }
    let query = |n: usize| json!({ "id": format!("q{n}"), "text": text(n) }).to_string() + "\n";
    house.write_file("queries.jsonl", &(0..40).map(query).collect::<String>());
    house.write_file("qrels.tsv", &(0..40).map(|n| format!("q{n} 0 chunk-{n} 1\n")).collect::<String>());
    let asks = ["vectors", "eval", "parquet:old", "sqlite-vec:new.db#docs", "--queries", "jsonl:queries.jsonl"];
    let how = ["--qrels", "qrels.tsv", "--metric", "cosine", "--margin", "0.3", "--format", "json"];
    let with = |more: &[&str]| house.run(&[&asks[..], &how, more].concat());
    let asked = with(&["--encoder", "a/encoder.json", "--target-encoder", "b/encoder.json"]).json();
    // Each text finds its own row first, in either space.
    let metrics = asked["quality"].as_array().unwrap();
    let mrr = metrics.iter().find(|metric| metric["metric"].as_str().unwrap().starts_with("mrr")).unwrap();
    assert_eq!((&mrr["source"], &mrr["target"]), (&json!(1.0), &json!(1.0)), "{asked}");
    let mixed = with(&["--encoder", "a/encoder.json"]).exits(3);
    assert!(
        mixed.stderr.contains("lives in the space") && mixed.stderr.contains("--target-encoder"),
        "{}",
        mixed.stderr
    );
}

#[test]
fn a_space_is_told_by_what_the_model_says_and_not_by_what_it_is_called() {
    let (house, one) = (House::new(""), server());
    let other = Upstream::with(|request| answer(2, &texts(request), DIMS));
    let shorter = Upstream::with(|request| answer(1, &texts(request), 4));
    let space = |upstream: &Upstream, model: &str, more: &[&str]| {
        let url = format!("{}/v1", upstream.url());
        house.run(&[&["vectors", "space", "--url", &url, "--model", model, "--format", "json"], more].concat())
    };
    let name = space(&one, "maker", &[]).exits(0).json()["space"].as_str().unwrap().to_owned();
    space(&one, "org/maker-v1", &["--against", &name]).exits(0);
    let refused = space(&other, "maker", &["--against", &name]).exits(3);
    assert_eq!(refused.json()["is_same"], false);
    space(&shorter, "maker", &["--against", &name]).exits(3);
    let cut = space(&one, "maker", &["--cut-dimensions", "4"]).exits(0).json();
    assert!(cut["space"].as_str().unwrap().contains("#4#-#unit#"), "{cut}");
    let wrong = space(&shorter, "maker", &["--dimensions", "8"]).exits(1);
    assert!(wrong.stderr.contains("vectors of 8 numbers were asked for, and it has 4"), "{}", wrong.stderr);
}
