use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::Instant;
use wire::failure::{Failure, FailureKind};
use wire::record::Endpoint;
use wire::splice::Pieces;

use super::{Distribution, Knobs, SimulatedConfig, questions};
use crate::{Call, Client, Provider, ProviderConfig, Reply, Shared, Timeouts};

/// Constant latency, right answers.
fn steady() -> Knobs {
    Knobs {
        time_to_first_token: Distribution { median: 100.0, sigma: 0.0 },
        time_per_output_token: Distribution { median: 10.0, sigma: 0.0 },
        output_tokens: Distribution { median: 20.0, sigma: 0.0 },
        quality: 1.0,
        ..Knobs::default()
    }
}

fn provider(seed: u64, knobs: Knobs) -> Arc<Provider> {
    let config = ProviderConfig::simulated("sim", SimulatedConfig { seed, knobs });
    Shared::new().provider(Arc::new(config)).unwrap()
}

fn call(body: String, streamed: bool) -> Call {
    Call {
        endpoint: Endpoint::ChatCompletions,
        body: Pieces::of(Bytes::from(body), &[]),
        streamed,
        request_id: None,
        hops: 0,
        timeouts: Timeouts::default(),
        sent: None,
        pause: Duration::ZERO,
        special: None,
    }
}

fn prompt(text: &str, more: &str) -> String {
    format!(
        r#"{{"model":"m","messages":[{{"role":"system","content":"be kind"}},{{"role":"user","content":"{text}"}}]{more}}}"#
    )
}

async fn ask(provider: &Provider, text: &str, more: &str) -> Result<Reply, Failure> {
    Client::new().call(provider, call(prompt(text, more), more.contains("\"stream\":true"))).await
}

async fn json(provider: &Provider, text: &str, more: &str) -> Value {
    let reply = ask(provider, text, more).await.unwrap();
    serde_json::from_slice(&reply.body.collect(1 << 20).await.unwrap()).unwrap()
}

fn content(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

/// The events of a stream, and how it ended.
async fn events(reply: Reply) -> (Vec<String>, Option<FailureKind>) {
    let mut body = reply.body;
    let mut text = String::new();
    let mut end = None;
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => text.push_str(std::str::from_utf8(&piece).unwrap()),
            Err(failure) => end = Some(failure.kind),
        }
    }
    let events = text.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").unwrap().to_owned()).collect();
    (events, end)
}

#[tokio::test(start_paused = true)]
async fn a_known_question_is_answered_in_the_shape_of_the_dialect() {
    let provider = provider(1, steady());
    let question = questions()[13];
    let started = Instant::now();
    let reply = ask(&provider, question.text, "").await.unwrap();
    assert_eq!(started.elapsed(), Duration::from_millis(100 + 20 * 10));
    assert!(reply.simulated);
    assert_eq!(reply.headers["x-simulated"], "true");
    assert_eq!(reply.headers["content-type"], "application/json");
    let body = reply.body.collect(1 << 20).await.unwrap();
    assert_eq!(reply.headers["content-length"], body.len().to_string().as_str());
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert!(question.is_answered_by(content(&answer)), "{answer}");
    assert_eq!((answer["object"].as_str(), answer["model"].as_str()), (Some("chat.completion"), Some("m")));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    assert_eq!(answer["choices"][0]["message"]["refusal"], Value::Null);
    assert_eq!(answer["usage"]["completion_tokens"], 20);
    let sum = answer["usage"]["prompt_tokens"].as_u64().unwrap() + 20;
    assert_eq!(answer["usage"]["total_tokens"], sum);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_role_deltas_finish_usage_and_done_at_the_pace_of_its_tokens() {
    let provider = provider(1, Knobs { tokens_per_chunk: 5, ..steady() });
    let started = Instant::now();
    let more = r#","stream":true,"stream_options":{"include_usage":true}"#;
    let mut reply = ask(&provider, questions()[0].text, more).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO, "the head comes at once");
    let first = reply.body.next().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: {"));
    assert_eq!(started.elapsed(), Duration::from_millis(100));
    let (rest, end) = events(reply).await;
    assert_eq!(started.elapsed(), Duration::from_millis(100 + 3 * 50), "four chunks of five tokens");
    assert_eq!((end, rest.last().unwrap().as_str()), (None, "[DONE]"));

    let (all, _) = events(ask(&provider, questions()[0].text, more).await.unwrap()).await;
    let chunks: Vec<Value> = all[..all.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(questions()[0].is_answered_by(&said), "{said}");
    let (usage, before) = chunks.split_last().unwrap();
    assert_eq!(
        (usage["choices"].as_array().map(Vec::len), usage["usage"]["completion_tokens"].as_u64()),
        (Some(0), Some(20))
    );
    assert!(before.iter().all(|chunk| chunk["usage"].is_null() && chunk.get("usage").is_some()));
    assert_eq!(before.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"] && chunk["object"] == "chat.completion.chunk"));
}

#[tokio::test(start_paused = true)]
async fn without_include_usage_no_chunk_names_usage() {
    let reply = ask(&provider(1, steady()), "hello", r#","stream":true"#).await.unwrap();
    let (events, _) = events(reply).await;
    assert!(events.iter().all(|event| !event.contains("usage")));
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_answers_and_another_seed_others() {
    let knobs = || Knobs { quality: 0.5, error_rate: 0.2, ..steady() };
    let play = async |seed| {
        let provider = provider(seed, knobs());
        let mut answers = Vec::new();
        for round in 0..60 {
            let reply = ask(&provider, questions()[round % 40].text, "").await.unwrap();
            let status = reply.status.as_u16();
            let id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
            let body: Value = serde_json::from_slice(&reply.body.collect(1 << 20).await.unwrap()).unwrap();
            answers.push((status, id, body["choices"][0]["message"].to_string()));
        }
        answers
    };
    let first = play(1).await;
    assert_eq!(first, play(1).await);
    assert_ne!(first, play(2).await);
    assert_ne!(first[0].1, first[40].1, "the same request again is another draw");
}

#[tokio::test(start_paused = true)]
async fn rates_and_quality_are_what_the_knobs_say() {
    let knobs = Knobs { quality: 0.7, error_rate: 0.1, malformed_json_rate: 0.2, refusal_rate: 0.05, ..steady() };
    let provider = provider(3, knobs);
    let (mut n_errors, mut n_refused, mut n_right, mut n_malformed, mut n_json) = (0, 0, 0, 0, 0);
    for round in 0..2000 {
        let question = questions()[round % 40];
        let more = format!(r#","seed":{round},"response_format":{{"type":"json_object"}}"#);
        let reply = ask(&provider, question.text, &more).await.unwrap();
        if reply.status != 200 {
            assert_eq!(reply.status, 500);
            n_errors += 1;
            continue;
        }
        let answer: Value = serde_json::from_slice(&reply.body.collect(1 << 20).await.unwrap()).unwrap();
        let Some(content) = answer["choices"][0]["message"]["content"].as_str() else {
            assert!(answer["choices"][0]["message"]["refusal"].is_string());
            n_refused += 1;
            continue;
        };
        n_json += 1;
        n_right += usize::from(question.is_answered_by(content));
        n_malformed += usize::from(serde_json::from_str::<Value>(content).is_err());
    }
    // Each within four standard deviations.
    assert!((n_errors as f64 / 2000.0 - 0.1).abs() < 0.027, "{n_errors}");
    assert!((n_refused as f64 / 1800.0 - 0.05).abs() < 0.021, "{n_refused}");
    assert!((n_right as f64 / n_json as f64 - 0.7).abs() < 0.045, "{n_right} of {n_json}");
    assert!((n_malformed as f64 / n_json as f64 - 0.2).abs() < 0.04, "{n_malformed} of {n_json}");
}

#[tokio::test(start_paused = true)]
async fn knobs_turn_while_it_runs_and_one_does_not_change_what_another_does() {
    let failed = async |error_rate: f64, quality: f64| {
        let provider = provider(9, steady());
        let simulated = provider.simulated().unwrap();
        simulated.set_knobs(Knobs { error_rate, quality, ..steady() }).unwrap();
        let mut failed = Vec::new();
        for round in 0..100 {
            let reply = ask(&provider, "hi", &format!(r#","seed":{round}"#)).await.unwrap();
            failed.push(!reply.status.is_success());
        }
        failed
    };
    let (few, same, many) = (failed(0.1, 1.0).await, failed(0.1, 0.2).await, failed(0.5, 1.0).await);
    assert_eq!(few, same);
    assert!(few.iter().zip(&many).all(|(few, many)| !few || *many), "what fails at 10 % also fails at 50 %");
    assert!(few.iter().any(|failed| *failed) && !few.iter().all(|failed| *failed));
    let provider = provider(9, steady());
    let error = provider.simulated().unwrap().set_knobs(Knobs { quality: 2.0, ..steady() }).unwrap_err();
    assert_eq!(error.knob, "quality");
}

#[tokio::test(start_paused = true)]
async fn latency_grows_with_the_calls_in_flight() {
    let provider = provider(1, Knobs { capacity: 4.0, ..steady() });
    let client = Client::new();
    let elapsed = async |n: usize| {
        let started = Instant::now();
        let reply = client.call(&provider, call(prompt("hi", &format!(r#","seed":{n}"#)), false)).await.unwrap();
        reply.body.collect(1 << 20).await.unwrap();
        started.elapsed().as_millis()
    };
    let (a, b, c, d, e) = tokio::join!(elapsed(1), elapsed(2), elapsed(3), elapsed(4), elapsed(5));
    assert_eq!([a, b, c, d, e], [300, 375, 450, 525, 600]);
    assert_eq!(provider.simulated().unwrap().in_flight(), 0);
    assert_eq!(elapsed(6).await, 300);
}

#[tokio::test(start_paused = true)]
async fn a_hang_lasts_until_the_callers_timer_and_frees_its_place() {
    let provider = provider(1, Knobs { hang_rate: 1.0, ..steady() });
    let failure = ask(&provider, "hi", r#","stream":true"#).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimeoutFirstToken);
    assert_eq!((provider.in_flight(), provider.simulated().unwrap().in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_cut_ends_in_an_error_and_a_stall_in_silence() {
    let cut = provider(1, Knobs { cut_rate: 1.0, ..steady() });
    let (text, end) = events(ask(&cut, "hi", r#","stream":true"#).await.unwrap()).await;
    assert_eq!(end, Some(FailureKind::Disconnected));
    assert!(!text.iter().any(|event| event.contains("DONE") || event.contains("\"stop\"")));
    let whole = ask(&cut, "hi", "").await.unwrap().body.collect(1 << 20).await.unwrap_err();
    assert_eq!(whole.kind, FailureKind::Disconnected);

    let stall = provider(1, Knobs { stall_rate: 1.0, ..steady() });
    let mut reply = ask(&stall, "hi", r#","stream":true"#).await.unwrap();
    reply.body.next().await.unwrap().unwrap();
    let silence = async {
        while let Some(piece) = reply.body.next().await {
            assert!(!piece.unwrap().ends_with(b"[DONE]\n\n"));
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(3600), silence).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_carries_retry_after_and_the_envelope() {
    let reply = ask(&provider(1, Knobs { rate_limited_rate: 1.0, ..steady() }), "hi", "").await.unwrap();
    assert_eq!((reply.status.as_u16(), &reply.headers["retry-after"]), (429, &"1".parse().unwrap()));
    let failure = crate::classify(
        reply.status,
        &reply.headers,
        &reply.body.collect(1 << 16).await.unwrap(),
        std::time::SystemTime::now(),
    );
    assert_eq!(failure.kind, FailureKind::RateLimited);
}

#[tokio::test(start_paused = true)]
async fn json_is_given_when_asked_for_and_fits_a_schema() {
    let provider = provider(1, steady());
    let question = questions()[3];
    let answer = json(&provider, question.text, r#","response_format":{"type":"json_object"}"#).await;
    let object: Value = serde_json::from_str(content(&answer)).unwrap();
    assert!(question.is_answered_by(object["answer"].as_str().unwrap()));
    let schema = r#","response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object",
        "properties":{"text":{"type":"string"},"n":{"type":"integer"},"tags":{"type":"array","items":{"enum":["a","b"]}},"ok":{"type":"boolean"}},
        "required":["text","n","tags","ok"],"additionalProperties":false}}}"#;
    let answer = json(&provider, question.text, schema).await;
    let object: Value = serde_json::from_str(content(&answer)).unwrap();
    assert!(object["text"].is_string() && object["n"].is_i64() && object["tags"][0] == "a" && object["ok"] == true);
}

#[tokio::test(start_paused = true)]
async fn max_tokens_cuts_an_answer_with_finish_reason_length() {
    let answer = json(&provider(1, steady()), "hi", r#","max_tokens":3"#).await;
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 3);
    assert_eq!(content(&answer).split_whitespace().count(), 3);
}

#[tokio::test(start_paused = true)]
async fn embeddings_are_the_same_for_the_same_text_in_both_encodings() {
    let provider = provider(1, steady());
    let embed = async |more: &str| {
        let body = format!(r#"{{"model":"e","input":["one text","another"]{more}}}"#);
        let call = Call { endpoint: Endpoint::Embeddings, ..call(body, false) };
        let reply = Client::new().call(&provider, call).await.unwrap();
        serde_json::from_slice::<Value>(&reply.body.collect(1 << 20).await.unwrap()).unwrap()
    };
    let (first, second) = (embed(r#","dimensions":8"#).await, embed(r#","dimensions":8"#).await);
    assert_eq!(first["data"], second["data"]);
    let vector = first["data"][1]["embedding"].as_array().unwrap();
    assert_eq!((vector.len(), first["data"][1]["index"].as_u64()), (8, Some(1)));
    let length: f64 = vector.iter().map(|value| value.as_f64().unwrap().powi(2)).sum();
    assert!((length - 1.0).abs() < 1e-5);
    let coded = embed(r#","dimensions":8,"encoding_format":"base64""#).await;
    // 8 floats are 32 bytes, which are 44 characters.
    assert_eq!(coded["data"][0]["embedding"].as_str().map(str::len), Some(44));
    assert_eq!(embed("").await["data"][0]["embedding"].as_array().map(Vec::len), Some(256));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_no_chat_is_a_400() {
    let reply = Client::new().call(&provider(1, steady()), call("{\"model\":1}".to_owned(), false)).await.unwrap();
    assert_eq!(reply.status, 400);
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_turned_knobs_and_new_settings_replace_them() {
    let shared = Shared::new();
    let config = |seed| Arc::new(ProviderConfig::simulated("sim", SimulatedConfig { seed, knobs: steady() }));
    shared.provider(config(1)).unwrap();
    let turned = Knobs { error_rate: 0.5, ..steady() };
    shared.simulated("sim").unwrap().set_knobs(turned.clone()).unwrap();
    let shadow = shared.lane().provider(config(1)).unwrap();
    shared.provider(config(1)).unwrap();
    assert_eq!(*shared.simulated("sim").unwrap().knobs(), turned);
    assert_eq!(*shadow.simulated().unwrap().knobs(), turned, "both lanes call the same server");
    shared.provider(config(2)).unwrap();
    assert_eq!(*shared.simulated("sim").unwrap().knobs(), steady());
    assert!(shared.simulated("other").is_none());
}
