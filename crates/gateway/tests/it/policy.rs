//! The policy of a route: what it stops, what it takes out, what it refers to a person, and what is on record of it.

use std::sync::Arc;
use std::time::Duration;

use gateway::snapshot::Route;
use govern::policy::{BlockedAs, Check, Kind, Moderation, Patterns, Policy, Streams, When};
use scripted::{Received, Script, Upstream, chat_completion, chat_stream};
use store::CheckRow;
use wire::record::Verdict;

use crate::client::{Connection, post};
use crate::endpoints::change;
use crate::harness::{Gateway, PLAIN, STREAMED, Setup, rollout, rollout_to, until};

fn deny(name: &str, pattern: &str, when: When, then: Verdict) -> Check {
    let patterns = Patterns::new(vec![Patterns::compile(pattern).unwrap()]);
    Check { name: name.to_owned(), when, kind: Kind::Deny(patterns), then }
}

fn moderation(timeout_ms: u64, on_error: Verdict, when: When, then: Verdict) -> Check {
    let moderation = Moderation { target: "c".to_owned(), timeout: Duration::from_millis(timeout_ms), on_error };
    Check { name: "flagged".to_owned(), when, kind: Kind::Moderation(moderation), then }
}

fn policy(checks: Vec<Check>) -> Policy {
    Policy { checks, blocked_as: BlockedAs::Error, streams: Streams::Hold }
}

fn with(gateway: &Gateway, policy: Policy) {
    change(gateway, |snapshot| {
        let route = Route { policy: Some(Arc::new(policy)), ..Route::clone(&snapshot.routes["gpt-4o"]) };
        snapshot.routes.insert("gpt-4o".to_owned(), Arc::new(route));
    });
}

/// An upstream that says these words, streamed in pieces or not.
fn saying(words: &'static [&'static str]) -> Upstream {
    Upstream::with(move |received: &Received| {
        if received.text().contains("\"stream\":true") {
            Script::stream(chat_stream(words, true))
        } else {
            Script::json(chat_completion(&words.concat()))
        }
    })
}

fn checks(gateway: &Gateway, n: usize) -> Vec<CheckRow> {
    let exchange = gateway.exchanges(n).remove(0).exchange;
    gateway.database.checks(exchange.id).unwrap()
}

#[track_caller]
fn verdicts(checks: &[CheckRow]) -> Vec<(&str, &str, &str)> {
    checks.iter().map(|check| (check.name.as_str(), check.phase.as_str(), check.verdict.as_str())).collect()
}

#[test]
fn a_request_is_stopped_before_any_call_and_its_verdict_is_on_record() {
    let upstream = saying(&["x"]);
    let gateway = Setup::to(&[&upstream]).start();
    with(
        &gateway,
        policy(vec![
            deny("counted", "hi", When::Before, Verdict::Allow),
            deny("secret", "(?i)geheim", When::Before, Verdict::Block),
            deny("never", ".", When::Before, Verdict::Block),
        ]),
    );
    let refused = post(gateway.addr, &PLAIN.replace("\"hi\"", "\"hi, \\u0047EHEIM\""));
    assert_eq!((refused.status, refused.error()["code"].as_str()), (400, Some("content_filter")));
    assert_eq!(upstream.n_connections(), 0);
    let detail = gateway.exchange();
    assert_eq!((detail.exchange.outcome.as_str(), detail.exchange.failure.as_deref()), ("refused", Some("policy")));
    let checks = checks(&gateway, 1);
    assert_eq!(verdicts(&checks), [("counted", "before", "allow"), ("secret", "before", "block")]);
    assert_eq!(checks[1].detail.as_deref(), Some("pattern 1"));
}

#[test]
fn what_is_taken_out_reaches_neither_the_target_nor_the_copy_nor_the_record() {
    let (baseline, candidate) = (saying(&["sk-", "abcd is yours"]), saying(&["fine"]));
    let gateway = Setup::to(&[&baseline, &candidate]).with(&rollout(0.0, 1.0)).start();
    with(&gateway, policy(vec![deny("keys", "sk-[a-z]+", When::Both, Verdict::Redact)]));
    let answer = post(gateway.addr, &PLAIN.replace("\"hi\"", "\"use \\\"sk-canary\\\" now\""));
    assert_eq!(answer.status, 200);
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(said["choices"][0]["message"]["content"], "[redacted] is yours");
    until("the copy is answered", || gateway.serving.shadow_totals().answered == 1);
    for upstream in [&baseline, &candidate] {
        let text = upstream.requests()[0].text();
        assert!(text.contains(r#"use \"[redacted]\" now"#) && !text.contains("canary"), "{text}");
    }
    // The copy's record may come after the exchange's.
    let id = gateway.exchange().exchange.id;
    until("the copy's checks", || {
        gateway.exchanges(1);
        gateway.database.checks(id).unwrap().iter().any(|check| check.shadow)
    });
    let checks = checks(&gateway, 1);
    let told: Vec<_> = checks
        .iter()
        .map(|check| (check.phase.as_str(), check.verdict.as_str(), check.shadow, check.arm.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("before", "redact", false, None),
            ("after", "redact", false, Some("baseline")),
            ("after", "allow", true, Some("candidate")),
        ]
    );
    let request = gateway.database.body(gateway.exchange().exchange.id, store::BodyKind::Request).unwrap().unwrap();
    assert!(!String::from_utf8_lossy(request.expose()).contains("canary"));
}

#[test]
fn the_verdicts_on_the_copies_of_several_candidates_stand_side_by_side() {
    let (baseline, one, other) = (saying(&["fine"]), saying(&["fine"]), saying(&["sk-abcd"]));
    let (to_b, to_c) = (rollout_to("b", 0.0, 1.0), rollout_to("c", 0.0, 1.0));
    let gateway = Setup::to(&[&baseline, &one, &other]).with(&to_b).with(&to_c).start();
    let of = |name| deny(name, "sk-[a-z]+", When::After, Verdict::Block);
    with(&gateway, policy(vec![of("keys"), of("again")]));
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    let id = gateway.exchange().exchange.id;
    let copies = || {
        gateway.exchanges(1);
        gateway.database.checks(id).unwrap().into_iter().filter(|check| check.shadow).collect::<Vec<_>>()
    };
    until("all verdicts on both copies", || copies().len() == 4);
    let mut told: Vec<_> =
        copies().into_iter().map(|check| (check.target.unwrap(), check.name, check.verdict)).collect();
    told.sort();
    let expected = [("b", "again", "allow"), ("b", "keys", "allow"), ("c", "again", "block"), ("c", "keys", "block")];
    let expected = expected.map(|(target, name, verdict)| (target.to_owned(), name.to_owned(), verdict.to_owned()));
    assert_eq!(told, expected);
}

#[test]
fn a_held_stream_is_stopped_whole_and_a_cut_one_never_ends_cleanly() {
    let upstream = saying(&["all ", "is ge", "heim ", "here"]);
    let gateway = Setup::to(&[&upstream]).start();
    let secret = || vec![deny("secret", "geheim", When::After, Verdict::Block)];
    with(&gateway, policy(secret()));
    let held = post(gateway.addr, STREAMED);
    assert_eq!((held.status, held.error()["code"].as_str()), (400, Some("content_filter")));
    assert!(!held.text().contains("all "));
    with(&gateway, Policy { streams: Streams::Cut, ..policy(secret()) });
    let cut = post(gateway.addr, STREAMED);
    assert_eq!((cut.status, cut.whole), (200, false), "{}", cut.text());
    assert!(cut.text().contains("content_filter") && !cut.text().contains("[DONE]"), "{}", cut.text());
    with(&gateway, policy(vec![deny("secret", "not said", When::After, Verdict::Block)]));
    let passed = post(gateway.addr, STREAMED);
    assert!(passed.whole && passed.text().contains("[DONE]"));
    let details = gateway.exchanges(3);
    let told: Vec<_> = details
        .iter()
        .map(|detail| (detail.exchange.outcome.as_str(), detail.attempts[0].measured.failure.as_deref()))
        .collect();
    assert_eq!(told, [("complete", None), ("truncated", None), ("refused", None)], "the target did nothing wrong");
}

#[test]
fn what_is_taken_out_of_a_held_stream_may_lie_across_its_events() {
    let upstream = saying(&["all is ge", "hei", "m here, geheim", "er"]);
    let gateway = Setup::to(&[&upstream]).start();
    let redact = |name: &str, pattern: &str| deny(name, pattern, When::After, Verdict::Redact);
    with(&gateway, policy(vec![redact("secret", "geheim"), redact("here", "here")]));
    let answer = post(gateway.addr, STREAMED);
    let text = answer.text();
    let said: String = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()))
        .collect();
    assert_eq!(said, "all is [redacted] [redacted], [redacted]er");
    // The usage that only the gateway asked for is taken out of a changed event as out of any other.
    assert!(answer.whole && text.ends_with("data: [DONE]\n\n") && !text.contains("usage"), "{text}");
    let rows = checks(&gateway, 1);
    assert_eq!(verdicts(&rows), [("secret", "after", "redact"), ("here", "after", "redact")]);
    // A stream that is translated is translated without it.
    for (path, body, end) in [
        ("/v1/responses", r#"{"model":"gpt-4o","stream":true,"input":"hi"}"#, "response.completed"),
        (
            "/v1/messages",
            r#"{"model":"gpt-4o","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#,
            "message_stop",
        ),
    ] {
        let mut connection = Connection::open(gateway.addr);
        connection.send("POST", path, &[], body.as_bytes());
        let answer = connection.answer().unwrap();
        let text = answer.text();
        assert!(answer.whole && text.contains(end) && text.contains("[redacted]"), "{text}");
        assert!(!text.contains("geh") && !text.contains("hei"), "{text}");
    }
    // Of a stream that somebody has read already nothing can be taken out.
    with(&gateway, Policy { streams: Streams::Cut, ..policy(vec![redact("secret", "geheim")]) });
    assert!(!post(gateway.addr, STREAMED).whole);

    // Its tokens would spell it out beside the text.
    let tokens = r#"{"choices":[{"index":0,"message":{"role":"assistant","content":"geheim"},"finish_reason":"stop","logprobs":{"content":[{"token":"ge"},{"token":"heim"}]}}]}"#;
    let telling = Upstream::with(move |_| Script::json(tokens));
    let gateway = Setup::to(&[&telling]).start();
    with(&gateway, policy(vec![redact("secret", "geheim")]));
    assert_eq!(post(gateway.addr, PLAIN).status, 400);
}

#[test]
fn what_is_escalated_waits_for_a_person_with_the_answer_that_was_held_back() {
    let upstream = saying(&["take all of them"]);
    let gateway = Setup::to(&[&upstream]).start();
    with(&gateway, policy(vec![deny("medicine", "take all", When::After, Verdict::Escalate)]));
    let referred = post(gateway.addr, PLAIN);
    assert_eq!((referred.status, referred.error()["code"].as_str()), (403, Some("referred")));
    let id = gateway.exchange().exchange.id;
    let waiting = gateway.database.referrals(false, 10).unwrap();
    assert_eq!((waiting.len(), waiting[0].check.exchange, waiting[0].check.name.as_str()), (1, id, "medicine"));
    let answer = gateway.database.body(id, store::BodyKind::Answer).unwrap().unwrap();
    assert!(String::from_utf8_lossy(answer.expose()).contains("take all of them"));
}

#[test]
fn a_moderation_target_is_asked_within_its_time_and_a_silent_one_fails_as_declared() {
    let upstream = saying(&["x"]);
    let flagging = Upstream::with(|received: &Received| {
        assert_eq!(received.path, "/v1/moderations");
        let flagged = received.text().contains("violent");
        Script::json(format!(
            r#"{{"id":"m","model":"m","results":[{{"flagged":{flagged},"categories":{{"violence":{flagged}}}}}]}}"#
        ))
    });
    let gateway = Setup::to(&[&upstream, &upstream, &flagging]).start();
    with(&gateway, policy(vec![moderation(5_000, Verdict::Block, When::Both, Verdict::Block)]));
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    assert_eq!(flagging.requests().len(), 2, "the request and the answer");
    let refused = post(gateway.addr, &PLAIN.replace("\"hi\"", "\"something violent\""));
    assert_eq!(refused.status, 400);
    assert_eq!(upstream.requests().len(), 1);
    let rows = checks(&gateway, 2);
    assert_eq!(
        (rows[0].detail.as_deref(), rows[0].failed, rows[0].asked_target.as_deref()),
        (Some("violence"), false, Some("c"))
    );
    let moderated = gateway.database.egress_calls(0, u64::MAX).unwrap();
    let moderated = moderated.iter().find(|calls| calls.role == "moderation").unwrap();
    assert_eq!((moderated.target.as_str(), moderated.calls), ("c", 3));

    let silent = Upstream::start(vec![Script::silent()]);
    let gateway = Setup::to(&[&upstream, &upstream, &silent]).start();
    with(&gateway, policy(vec![moderation(50, Verdict::Allow, When::Before, Verdict::Block)]));
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    with(&gateway, policy(vec![moderation(50, Verdict::Block, When::Before, Verdict::Block)]));
    assert_eq!(post(gateway.addr, PLAIN).status, 400);
    let rows = checks(&gateway, 2);
    assert_eq!((rows[0].verdict.as_str(), rows[0].failed), ("block", true));
}

#[test]
fn sizes_tools_and_everything_are_held_to_their_lists_and_an_answer_may_end_for_content_filter() {
    let upstream = saying(&["x"]);
    let gateway = Setup::to(&[&upstream]).start();
    let check = |kind| Check { name: "check".to_owned(), when: When::Before, kind, then: Verdict::Block };
    let status = |kind, body: &str| {
        with(&gateway, policy(vec![check(kind)]));
        post(gateway.addr, body).status
    };
    assert_eq!(status(Kind::MaxBytes(PLAIN.len()), PLAIN), 200);
    assert_eq!(status(Kind::MaxBytes(PLAIN.len() - 1), PLAIN), 400);
    let tools = |names: &[&str]| Kind::Tools(names.iter().map(|name| (*name).to_owned()).collect());
    let offering = |tools: &str| PLAIN.replace("\"messages\"", &format!("\"tools\":[{tools}],\"messages\""));
    let search = r#"{"type":"function","function":{"name":"search","parameters":{}}}"#;
    assert_eq!(status(tools(&["sea*"]), &offering(search)), 200);
    assert_eq!(status(tools(&["find"]), &offering(search)), 400);
    assert_eq!(status(tools(&["search"]), &offering(&format!(r#"{search},{{"type":"web_search"}}"#))), 400);
    assert_eq!(status(tools(&[]), PLAIN), 200);
    assert_eq!(status(Kind::Always, PLAIN), 400);
    let always = policy(vec![check(Kind::Always)]);
    with(&gateway, Policy { blocked_as: BlockedAs::ContentFilter, ..always });
    let answer = post(gateway.addr, PLAIN);
    let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &said["choices"][0]["finish_reason"]), (200, &"content_filter".into()));
    let stream = post(gateway.addr, STREAMED);
    assert!(
        stream.text().contains("content_filter") && stream.text().ends_with("data: [DONE]\n\n"),
        "{}",
        stream.text()
    );
    let ask = |path: &str, body: &str| {
        let mut connection = Connection::open(gateway.addr);
        connection.send("POST", path, &[], body.as_bytes());
        connection.answer().unwrap()
    };
    let whole = |path: &str, body: &str| -> serde_json::Value {
        let answer = ask(path, body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        serde_json::from_slice(&answer.body).unwrap()
    };
    let response = whole("/v1/responses", r#"{"model":"gpt-4o","input":"hi"}"#);
    assert_eq!(
        (&response["status"], &response["incomplete_details"]["reason"]),
        (&"incomplete".into(), &"content_filter".into())
    );
    let message = r#"{"model":"gpt-4o","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(whole("/v1/messages", message)["stop_reason"], "refusal");
    let completion = r#"{"model":"gpt-4o","prompt":"hi"}"#;
    assert_eq!(whole("/v1/completions", completion)["choices"][0]["finish_reason"], "content_filter");
    let streamed = |path: &str, body: &str| ask(path, &body.replacen('{', "{\"stream\":true,", 1)).text();
    let events = streamed("/v1/responses", r#"{"model":"gpt-4o","input":"hi"}"#);
    assert!(events.contains("event: response.incomplete") && events.contains("\"sequence_number\":2"), "{events}");
    let events = streamed("/v1/messages", message);
    assert!(events.contains("\"stop_reason\":\"refusal\"") && events.contains("event: message_stop"), "{events}");
    assert!(streamed("/v1/completions", completion).ends_with("data: [DONE]\n\n"));
    // What is no text is refused all the same.
    assert_eq!(ask("/v1/embeddings", r#"{"model":"gpt-4o","input":"hi"}"#).status, 400);
    assert_eq!(upstream.requests().len(), 3);
}
