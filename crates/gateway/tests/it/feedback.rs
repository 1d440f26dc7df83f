//! What callers say of answers, from the request to the record.

use scripted::{Script, Upstream, chat_completion};
use serde_json::{Value, json};
use store::FeedbackRow;

use crate::client::{Answer, Connection};
use crate::harness::{Gateway, Setup, rollout, until};

const KEY: &str = "Bearer sk-canary-caller";

fn chat_server() -> Upstream {
    Upstream::with(|_| Script::json(chat_completion("hello")))
}

fn send(gateway: &Gateway, path: &str, body: &str, key: &str) -> Answer {
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", path, &[("authorization", key), ("content-type", "application/json")], body.as_bytes());
    connection.answer().expect("an answer")
}

/// One chat; the id of its exchange.
fn chat(gateway: &Gateway) -> String {
    let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]}"#;
    let answer = send(gateway, "/v1/chat/completions", body, KEY);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-crossfade-exchange-id").expect("an id").to_owned()
}

fn say(gateway: &Gateway, id: &str, kind: &str, value: Value) -> Answer {
    let body = json!({ "exchange_id": id, "kind": kind, "value": value });
    send(gateway, "/v1/feedback", &body.to_string(), KEY)
}

fn said(answer: &Answer) -> (bool, bool) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    (body["recorded"] == true, body["counted"] == true)
}

/// What is on record of an exchange, once there is as much of it.
fn rows(gateway: &Gateway, id: &str, n: usize) -> Vec<FeedbackRow> {
    let id = id.parse().unwrap();
    let on_record = || gateway.database.feedback(id).unwrap();
    until("the feedback is in the database", || on_record().len() >= n);
    on_record()
}

#[test]
fn a_signal_is_recorded_once_and_another_value_of_the_same_source_is_refused() {
    let upstream = chat_server();
    let gateway = Setup::to(&[&upstream]).start();
    let id = chat(&gateway);
    assert_eq!(said(&say(&gateway, &id, "thumb", json!("down"))), (true, false), "the exchange was in no rollout");
    assert_eq!(said(&say(&gateway, &id, "thumb", json!("down"))), (false, false));
    let other = say(&gateway, &id, "thumb", json!("up"));
    assert_eq!((other.status, other.error()["code"].as_str()), (409, Some("feedback_exists")));
    let comment = format!(r#"{{"exchange_id":"{id}","kind":"comment","value":"no good","source":"ana"}}"#);
    assert_eq!(said(&send(&gateway, "/feedback", &comment, KEY)), (true, false));
    let rows = rows(&gateway, &id, 2);
    let shown: Vec<_> = rows.iter().map(|row| (row.kind.as_str(), row.source.as_str(), row.value, row.bad)).collect();
    assert_eq!(shown, [("thumb", "user", Some(0.0), Some(true)), ("comment", "ana", None, None)]);
    assert_eq!(rows[1].comment.as_deref(), Some("no good"));
    // By now its row is in the database; the same again is the same again.
    assert_eq!(said(&say(&gateway, &id, "thumb", json!("down"))), (false, false));
}

#[test]
fn an_exchange_of_somebody_else_is_as_unknown_as_one_that_never_was() {
    let upstream = chat_server();
    let gateway = Setup::to(&[&upstream]).start();
    let id = chat(&gateway);
    let body = |id: &str| format!(r#"{{"exchange_id":"{id}","kind":"thumb","value":"up"}}"#);
    let foreign = send(&gateway, "/v1/feedback", &body(&id), "Bearer sk-canary-other");
    let never = send(&gateway, "/v1/feedback", &body("0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f"), KEY);
    for (answer, id) in [(&foreign, id.as_str()), (&never, "0192f0c1-7a2b-7c3d-8e4f-5a6b7c8d9e0f")] {
        assert_eq!(answer.status, 404);
        assert_eq!(answer.error()["message"], format!("No exchange `{id}` of yours is on record."));
        assert_eq!(
            (answer.error()["code"].as_str(), answer.error()["param"].as_str()),
            (Some("unknown_exchange"), Some("exchange_id"))
        );
    }
    assert!(gateway.database.feedback(id.parse().unwrap()).unwrap().is_empty());
}

#[test]
fn what_is_malformed_is_refused_before_anything_is_looked_up() {
    let upstream = chat_server();
    let gateway = Setup::to(&[&upstream]).start();
    let answer = send(&gateway, "/v1/feedback", r#"{"exchange_id":"x","kind":"thumb","value":"up"}"#, KEY);
    assert_eq!((answer.status, answer.error()["param"].as_str()), (400, Some("exchange_id")));
    let long = format!(r#"{{"comment":"{}"}}"#, "x".repeat(70_000));
    assert_eq!(send(&gateway, "/v1/feedback", &long, KEY).status, 413);
    assert_eq!(send(&gateway, "/v1/feedback", "", KEY).status, 400);
}

#[test]
fn feedback_of_an_epoch_that_has_ended_is_recorded_and_not_counted() {
    let (old, new) = (chat_server(), chat_server());
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&old, &new]).with(&live).start();
    let id = chat(&gateway);
    let judged = || gateway.database.judged(id.parse().unwrap()).unwrap();
    until("the exchange is in the database", || judged().is_some());
    let judged = judged().unwrap();
    let place = judged.place.expect("a place in the rollout");
    assert_eq!((place.rollout.as_str(), place.epoch, place.arm.as_str()), ("to-b", 1, "candidate"));
    assert_eq!(judged.no_evidence, None);
    let answer = say(&gateway, &id, "score", json!(0.2));
    assert_eq!(said(&answer), (true, true), "{}", answer.text());
    let tally = || live.evidence().arm(rollout::Arm::Candidate).tally(rollout::Metric::Feedback);
    assert_eq!((tally().n, tally().bad), (1, 1));
    assert_eq!(said(&say(&gateway, &id, "thumb", json!("down"))), (true, false), "it has counted as bad already");
    assert_eq!(
        live.evidence().examples().of(rollout::Metric::Feedback, rollout::Arm::Candidate).collect::<Vec<_>>(),
        [&id]
    );

    let ended = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&old, &new]).with(&ended).start();
    let id = chat(&gateway);
    // As if the exchange had been admitted in another epoch than the one that counts now.
    until("the exchange is in the database", || gateway.database.judged(id.parse().unwrap()).unwrap().is_some());
    ended.breaker_opened();
    let answer = say(&gateway, &id, "thumb", json!("down"));
    assert_eq!(said(&answer), (true, false));
    assert!(answer.text().contains("the epoch it was admitted in has ended"), "{}", answer.text());
    assert_eq!(rows(&gateway, &id, 1)[0].bad, Some(true));
}
