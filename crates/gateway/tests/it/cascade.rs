//! Cascades: the small model first, escalated when its answer is not good enough, with every step on record and paid for.

use std::sync::Arc;
use std::time::Duration;

use gateway::snapshot::{Cascade, CascadeStreams, Route, Snapshot};
use routing::cascade::Escalate;
use scripted::{Script, Upstream};
use serde_json::Value;
use store::ExchangeDetail;

use crate::client::{Answer, post};
use crate::cost::price;
use crate::harness::{Gateway, Setup, rollout, until};
use crate::messages::{at_anthropic, events};

const SHEET: &str = r#"{ "source": "a test", "checked": "2026-11-25", "models": [
  { "vendor": "acme", "id": "model-a", "prices": [{ "rates": { "input": 2, "output": 10 } }] },
  { "vendor": "acme", "id": "model-b", "prices": [{ "rates": { "input": 1, "output": 1 } }] } ] }"#;
const SCHEMA: &str = r#","response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object",
    "properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}}}"#;

/// Tokens of one answer: their log-probabilities, and nothing where there are none.
fn logprobs(of: &[f64]) -> String {
    let tokens: Vec<String> =
        of.iter().map(|n| format!(r#"{{"token":"x","logprob":{n},"bytes":null,"top_logprobs":[]}}"#)).collect();
    format!(r#"{{"content":[{}],"refusal":null}}"#, tokens.join(","))
}

/// What says this, with 1000 tokens in and 100 out.
fn saying(content: &str, finish: &str, logprobs: &str) -> Upstream {
    let (content, finish, logprobs) = (Value::from(content), finish.to_owned(), logprobs.to_owned());
    Upstream::with(move |request| {
        let usage = r#""usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}"#;
        // Log-probabilities come only to who asks.
        let logprobs = if request.text().contains(r#""logprobs":true"#) { logprobs.as_str() } else { "null" };
        if request.text().contains(r#""stream":true"#) {
            let delta = format!(r#"{{"role":"assistant","content":{content}}}"#);
            let event = |delta: &str, finish: &str, logprobs: &str| {
                format!(
                    "data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":{logprobs},\"finish_reason\":{finish}}}]}}\n\n"
                )
            };
            return Script::stream([
                event(&delta, "null", logprobs),
                event("{}", &format!("\"{finish}\""), "null"),
                format!("data: {{\"choices\":[],{usage}}}\n\n"),
                "data: [DONE]\n\n".to_owned(),
            ]);
        }
        let message = format!(r#"{{"role":"assistant","content":{content},"refusal":null}}"#);
        Script::json(format!(
            r#"{{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{message},"logprobs":{logprobs},"finish_reason":"{finish}"}}],{usage}}}"#
        ))
    })
}

/// `gpt-4o` is answered by `a`, after `b`.
fn gateway(small: &Upstream, large: &Upstream, cascade: Cascade) -> Gateway {
    let gateway = Setup::to(&[large, small]).start();
    price(&gateway, SHEET);
    set(&gateway, cascade);
    gateway
}

fn set(gateway: &Gateway, cascade: Cascade) {
    let mut snapshot: Snapshot = (*gateway.snapshot.load_full()).clone();
    let route = Route { cascade: Some(Arc::new(cascade)), ..(*snapshot.routes["gpt-4o"]).clone() };
    snapshot.routes.insert("gpt-4o".to_owned(), Arc::new(route));
    gateway.snapshot.store(Arc::new(snapshot));
}

fn first_b(escalate: Escalate) -> Cascade {
    Cascade { steps: vec!["b".to_owned()], escalate, ask_logprobs: true, ..Cascade::default() }
}

fn sure() -> Escalate {
    Escalate { mean_logprob: Some(-0.5), ..Escalate::default() }
}

fn asking(more: &str) -> String {
    format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"x"}}]{more}}}"#)
}

fn roles(exchange: &ExchangeDetail) -> Vec<(&str, Option<&str>)> {
    exchange.attempts.iter().map(|attempt| (attempt.role.as_str(), attempt.target.as_deref())).collect()
}

fn because(exchange: &ExchangeDetail) -> Vec<(&str, &str)> {
    let list = exchange.exchange.decisions.as_array().unwrap();
    list.iter().map(|one| (one["choice"].as_str().unwrap(), one["because"].as_str().unwrap())).collect()
}

fn content(answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_good_answer_of_the_small_model_is_the_answer() {
    let (small, large) = (saying("small", "stop", &logprobs(&[-0.1, -0.3])), saying("large", "stop", "null"));
    let gateway = gateway(&small, &large, first_b(sure()));
    let answer = post(gateway.addr, &asking(""));
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("b")));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["choices"][0]["logprobs"], Value::Null, "the caller did not ask for them");
    assert!(small.requests()[0].text().contains(r#""logprobs":true"#));
    let exchange = gateway.exchange();
    assert_eq!(roles(&exchange), [("live", Some("b"))]);
    assert_eq!(because(&exchange), [("target b", "b: its answer is good enough")]);
    assert_eq!(exchange.exchange.cost.as_ref().unwrap().nanos, Some(1_100_000));
    assert!(large.requests().is_empty());
    // Who asks gets them.
    let answer = post(gateway.addr, &asking(r#","logprobs":true"#));
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(body["choices"][0]["logprobs"]["content"][1]["logprob"], -0.3);
}

#[test]
fn what_is_not_good_enough_goes_on_to_the_large_model_and_both_are_paid_for() {
    let phrases = vec![routing::cascade::folded("I can't help")];
    let slow = Upstream::start(vec![Script::silent()]);
    let down = Upstream::start(vec![Script::status(400)]);
    let shy = "I can\u{2019}t help with that";
    for (small, cascade, more, result, why) in [
        (
            saying("x", "stop", &logprobs(&[-0.4, -0.8])),
            first_b(sure()),
            "",
            "low_confidence",
            "b: its mean logprob -0.600 is under -0.5",
        ),
        (
            saying("x", "stop", &logprobs(&[-0.1, -5.5])),
            first_b(Escalate { min_logprob: Some(-4.0), ..Escalate::default() }),
            "",
            "low_confidence",
            "b: its smallest logprob -5.500 is under -4",
        ),
        (saying("x", "stop", "null"), first_b(sure()), "", "no_logprobs", "b: its answer has no logprobs"),
        (saying("x", "content_filter", "null"), first_b(Escalate::default()), "", "refused", "b: it refused"),
        (
            saying("{}", "stop", "null"),
            first_b(Escalate::default()),
            SCHEMA,
            "invalid",
            "b: its answer has not the form asked for",
        ),
        (
            saying(shy, "stop", "null"),
            first_b(Escalate { phrases, ..Escalate::default() }),
            "",
            "phrase",
            "b: its answer begins with phrase 1",
        ),
        (
            slow,
            Cascade { within: Some(Duration::from_millis(20)), ..first_b(Escalate::default()) },
            "",
            "too_slow",
            "b: it failed: too_slow",
        ),
        (down, first_b(Escalate::default()), "", "failed", "b: it failed: http_client_error"),
    ] {
        let large = saying(r#"{"a":1}"#, "stop", "null");
        let gateway = gateway(&small, &large, cascade);
        let answer = post(gateway.addr, &asking(more));
        assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")), "{why}");
        assert_eq!(content(&answer), r#"{"a":1}"#);
        let exchange = gateway.exchange();
        assert_eq!(because(&exchange), [("target a", why)]);
        let judged = !matches!(result, "too_slow" | "failed");
        let role = if judged { "escalation" } else { "failover" };
        assert_eq!(roles(&exchange), [("live", Some("b")), (role, Some("a"))]);
        let costs: Vec<_> = exchange
            .attempts
            .iter()
            .map(|attempt| attempt.measured.cost.as_ref().and_then(|cost| cost.nanos))
            .collect();
        assert_eq!(costs, [judged.then_some(1_100_000), Some(3_000_000)], "{why}");
        if result != "too_slow" {
            let sum = costs.iter().flatten().sum();
            assert_eq!(exchange.exchange.cost.as_ref().and_then(|cost| cost.nanos), Some(sum));
        }
        let counted = &gateway.serving.totals().choices.cascades["gpt-4o"]["b"];
        assert_eq!(counted.iter().map(|(result, n)| (*result, *n)).collect::<Vec<_>>(), [(result, 1)]);
    }
}

#[test]
fn when_nothing_better_comes_the_answer_that_was_set_aside_is_the_answer() {
    for streamed in [false, true] {
        let small = saying("small", "stop", &logprobs(&[-3.0]));
        let large = Upstream::start(vec![Script::status(503)]);
        let cascade = Cascade { streams: CascadeStreams::Hold, ..first_b(sure()) };
        let gateway = gateway(&small, &large, cascade);
        let answer = post(gateway.addr, &asking(&format!(r#","stream":{streamed}"#)));
        assert_eq!((answer.status, answer.header("x-crossfade-target"), answer.whole), (200, Some("b"), true));
        assert!(answer.text().contains("small") && !answer.text().contains("logprob\""), "{}", answer.text());
        let exchange = gateway.exchange();
        let expected = [
            ("target a", "b: its mean logprob -3.000 is under -0.5"),
            ("target b", "b: nothing better came (http_server_error)"),
        ];
        assert_eq!(because(&exchange), expected);
        assert_eq!(exchange.exchange.served_by.as_deref(), Some("b"));
        assert_eq!(exchange.exchange.outcome, "complete");
    }
}

#[test]
fn a_stream_goes_to_the_routes_own_target_or_is_held_back_until_it_is_judged() {
    let (small, large) = (saying("small", "stop", &logprobs(&[-0.1])), saying("large", "stop", "null"));
    let gateway = gateway(&small, &large, first_b(sure()));
    let answer = post(gateway.addr, &asking(r#","stream":true"#));
    assert_eq!((answer.header("x-crossfade-target"), small.requests().len()), (Some("a"), 0));
    set(&gateway, Cascade { streams: CascadeStreams::Hold, ..first_b(sure()) });
    let answer = post(gateway.addr, &asking(r#","stream":true"#));
    assert_eq!((answer.header("x-crossfade-target"), answer.whole), (Some("b"), true));
    let text = answer.text();
    assert!(text.contains("small") && text.ends_with("data: [DONE]\n\n"), "{text}");
    assert!(text.contains(r#""logprobs":null"#) && !text.contains("\"logprob\""), "not asked for: {text}");
    assert!(!text.contains("usage"), "not asked for either: {text}");
    // What is on record is what the provider said.
    let exchange = gateway.exchanges(2).remove(0);
    let body = gateway.database.body(exchange.exchange.id, store::BodyKind::Answer).unwrap().unwrap();
    assert!(String::from_utf8_lossy(body.expose()).contains("\"logprob\":-0.1"));
    // A stream that is not good enough is never seen.
    set(
        &gateway,
        Cascade { streams: CascadeStreams::Hold, ..first_b(Escalate { mean_logprob: Some(-0.01), ..sure() }) },
    );
    let answer = post(gateway.addr, &asking(r#","stream":true"#));
    assert_eq!(answer.header("x-crossfade-target"), Some("a"));
    assert!(answer.text().contains("large") && !answer.text().contains("small"));
}

#[test]
fn a_held_stream_of_anthropics_is_judged_by_its_words() {
    let (small, large) = (Upstream::with(|_| Script::stream(events())), saying("yes", "stop", "null"));
    let mut setup = Setup::to(&[&large, &small]);
    at_anthropic(&mut setup, 1, &small);
    let gateway = setup.start();
    let phrases = vec![routing::cascade::folded("Hello")];
    set(&gateway, Cascade { streams: CascadeStreams::Hold, ..first_b(Escalate { phrases, ..Escalate::default() }) });
    let answer = post(gateway.addr, &asking(r#","stream":true"#));
    assert_eq!((answer.status, answer.header("x-crossfade-target")), (200, Some("a")), "{}", answer.text());
    assert_eq!(because(&gateway.exchange()), [("target a", "b: its answer begins with phrase 1")]);
}

#[test]
fn a_rollout_on_the_route_puts_the_cascade_out_of_force() {
    let (a, b, c) = (saying("a", "stop", "null"), saying("b", "stop", "null"), saying("c", "stop", "null"));
    let live = rollout(0.0, 0.0);
    let gateway = Setup::to(&[&a, &b, &c]).with(&live).start();
    set(&gateway, Cascade { steps: vec!["c".to_owned()], ..Cascade::default() });
    assert_eq!(post(gateway.addr, &asking("")).header("x-crossfade-target"), Some("a"));
    let exchange = gateway.exchange();
    assert_eq!((exchange.exchange.arm.as_deref(), roles(&exchange)), (Some("baseline"), vec![("live", Some("a"))]));
    assert!(c.requests().is_empty());
}

#[test]
fn vectors_are_never_from_another_model_and_a_slow_step_does_not_open_its_breaker() {
    let small = Upstream::start(vec![Script::silent()]);
    let large = saying("large", "stop", "null");
    // Long enough for a call to arrive there on a busy machine.
    let cascade = Cascade { within: Some(Duration::from_millis(150)), ..first_b(Escalate::default()) };
    let gateway = gateway(&small, &large, cascade);
    for _ in 0..8 {
        assert_eq!(post(gateway.addr, &asking("")).header("x-crossfade-target"), Some("a"));
    }
    assert_eq!(small.requests().len(), 8, "asked every time");
    until("every call to the slow one is given up", || {
        small.requests().iter().all(|request| request.disconnected.is_some())
    });
    let mut connection = crate::client::Connection::open(gateway.addr);
    let body = r#"{"model":"gpt-4o","input":"x"}"#;
    connection.send("POST", "/v1/embeddings", &[("content-type", "application/json")], body.as_bytes());
    connection.answer();
    assert_eq!((small.requests().len(), large.requests().len()), (8, 9));
}
