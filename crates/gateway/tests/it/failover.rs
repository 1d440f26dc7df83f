//! Who takes over, and when nobody may.

use std::time::Duration;

use scripted::{Cut, Script, Upstream, chat_completion, chat_stream};

use crate::client::post;
use crate::harness::{PLAIN, STREAMED, Setup};

fn healthy() -> Upstream {
    Upstream::with(|request| {
        if request.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&["from b"], false))
        } else {
            Script::json(chat_completion("from b"))
        }
    })
}

#[test]
fn every_failure_before_content_goes_to_the_fallback() {
    let role = chat_stream(&[], false)[0].clone();
    let failures = [
        Script::error(500, "server_error", "boom"),
        Script::error(429, "rate_limit_error", "rate_limit_exceeded"),
        Script::error(401, "invalid_request_error", "invalid_api_key"),
        Script::json(r#"{"error":{"message":"no","type":"server_error"}}"#),
        Script::json("<html>"),
        Script::status(200).cut_after(0, Cut::Rst),
        Script::stream([role.clone()]).cut_after(role.len(), Cut::Fin),
        Script::stream([role, "data: {\"error\":{\"message\":\"no\"}}\n\n".to_owned()]),
        Script::silent(),
    ];
    for failure in failures {
        for request in [PLAIN, STREAMED] {
            let (bad, good) = (Upstream::start(vec![failure.clone()]), healthy());
            let gateway = Setup::to(&[&bad, &good])
                .falling_back_to(&["b"])
                .timeouts(|timeouts| {
                    timeouts.first_token = Duration::from_millis(200);
                    timeouts.total = Duration::from_millis(200);
                })
                .start();
            let answer = post(gateway.addr, request);
            assert_eq!(answer.status, 200, "{failure:?}: {}", answer.text());
            assert!(answer.text().contains("from b"));
            assert_eq!(answer.header("x-crossfade-target"), Some("b"));
            let exchange = gateway.exchange();
            assert_eq!(exchange.attempts.len(), 2);
            assert!(exchange.attempts[0].measured.failure.is_some());
            assert_eq!(exchange.attempts[1].role, "failover");
            assert_eq!(exchange.exchange.served_by.as_deref(), Some("b"));
        }
    }
}

#[test]
fn a_refused_connection_goes_to_the_fallback() {
    let good = healthy();
    let gateway = Setup::to_urls(&["http://127.0.0.1:1", &good.url()]).falling_back_to(&["b"]).start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    assert_eq!(gateway.exchange().attempts[0].measured.failure.as_deref(), Some("connect"));
}

#[test]
fn nobody_takes_over_after_content() {
    let events = chat_stream(&["one", "two"], false);
    let cut = events[..2].concat().len();
    let bad = Upstream::start(vec![Script::stream([events.concat()]).cut_after(cut, Cut::Rst)]);
    let good = healthy();
    let gateway = Setup::to(&[&bad, &good]).falling_back_to(&["b"]).start();
    let answer = post(gateway.addr, STREAMED);
    assert!(!answer.whole && answer.text().contains("\"error\""));
    assert_eq!(good.requests().len(), 0);
}

#[test]
fn a_plain_answer_that_was_cut_is_not_sent_in_part() {
    let body = chat_completion("hello");
    let bad = Upstream::start(vec![Script::json(body.clone()).cut_after(body.len() - 1, Cut::Fin)]);
    let gateway = Setup::to(&[&bad]).start();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.header("x-crossfade-origin")), (502, Some("provider")));
    assert_eq!(answer.error()["code"], "upstream_disconnected");
    assert_eq!(gateway.exchange().exchange.outcome, "failed");
}

#[test]
fn a_callers_mistake_is_passed_through_byte_for_byte_and_tried_nowhere_else() {
    let body = r#"{"error":{"message":"too long","type":"invalid_request_error","param":"messages","code":"bad"}}"#;
    let refusing = Script::status(422).header("content-type", "application/json").piece(body);
    let (bad, good) = (Upstream::start(vec![refusing]), healthy());
    let gateway = Setup::to(&[&bad, &good]).falling_back_to(&["b"]).start();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.text().as_str()), (422, body));
    assert_eq!(answer.header("x-crossfade-origin"), Some("caller"));
    assert_eq!(good.requests().len(), 0);
}

#[test]
fn a_rate_limit_reaches_the_caller_with_its_wait() {
    let upstream =
        Upstream::start(vec![Script::error(429, "rate_limit_error", "rate_limit_exceeded").header("retry-after", "7")]);
    let gateway = Setup::to(&[&upstream]).start();
    let answer = post(gateway.addr, PLAIN);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("7")));
    assert_eq!(answer.error()["code"], "rate_limit_exceeded");
}

#[test]
fn a_provider_that_keeps_failing_is_left_alone() {
    let (bad, good) = (Upstream::start(vec![Script::status(500)]), healthy());
    let gateway = Setup::to(&[&bad, &good]).falling_back_to(&["b"]).start();
    for _ in 0..8 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    assert_eq!(bad.requests().len(), 5, "five failures open the breaker");
    let last = &gateway.exchanges(8)[0];
    assert_eq!(last.attempts[0].measured.failure.as_deref(), Some("breaker_open"));
}

#[test]
fn a_stale_connection_is_no_failure() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("x")).after(scripted::After::CloseSilently)]);
    let gateway = Setup::to(&[&upstream]).start();
    for _ in 0..10 {
        assert_eq!(post(gateway.addr, PLAIN).status, 200);
    }
    assert!(gateway.exchanges(10).iter().all(|one| one.attempts.len() == 1 && one.exchange.outcome == "complete"));
}
