//! The record is sacred: what a caller was given is on record first, and secrets never are.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use scripted::{Script, Upstream, chat_completion, chat_stream};
use store::files::simulated::SimulatedFiles;

use crate::client::{Connection, post};
use crate::harness::{PLAIN, PROVIDER_KEY, STREAMED, Setup};

const CALLER_KEY: &str = "sk-canary-caller-77c1";

#[test]
fn secrets_turn_up_nowhere() {
    let upstream = Upstream::with(|request| {
        if request.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&["x"], false))
        } else {
            Script::json(chat_completion("x"))
        }
    });
    let gateway = Setup::to(&[&upstream]).start();
    let mut answers = Vec::new();
    for request in [PLAIN, STREAMED, "{", r#"{"model":"nope","messages":[]}"#] {
        for header in ["authorization", "api-key", "x-api-key", "cookie", "openai-organization"] {
            let mut connection = Connection::open(gateway.addr);
            let value = format!("Bearer {CALLER_KEY}");
            connection.send("POST", "/v1/chat/completions", &[(header, &value)], request.as_bytes());
            answers.push(format!("{:?}", connection.answer().unwrap()));
        }
    }
    for request in upstream.requests() {
        assert!(request.headers.iter().all(|(_, value)| !value.contains(CALLER_KEY)), "the caller's key went upstream");
        assert_eq!(request.header("authorization"), Some(format!("Bearer {PROVIDER_KEY}").as_str()));
    }
    gateway.exchanges(10);
    let mut files = vec![gateway.dir.path().to_owned()];
    let mut n_files = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            n_files += 1;
            answers.push(String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned());
        }
    }
    assert!(n_files >= 2);
    for text in answers {
        assert!(!text.contains("canary"), "a secret got out");
    }
}

#[test]
fn what_is_not_on_record_is_not_served() {
    let upstream = Upstream::with(|request| {
        if request.text().contains("\"stream\":true") {
            Script::stream(chat_stream(&["x"], false))
        } else {
            Script::json(chat_completion("x"))
        }
    });
    let gateway = Setup::to(&[&upstream]).start();
    gateway.journal.shutdown();
    for request in [PLAIN, STREAMED] {
        let answer = post(gateway.addr, request);
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.error()["code"], "record_unavailable");
        assert_eq!(answer.header("x-crossfade-origin"), Some("crossfade"));
    }
    assert_eq!(upstream.requests().len(), 0);
}

#[test]
fn the_last_byte_waits_for_the_record_of_the_answer() {
    let events = chat_stream(&["one"], false);
    let script = Script::stream(events.clone()).pace(Duration::from_millis(50));
    let upstream = Upstream::start(vec![script]);
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    connection.post(STREAMED);
    connection.head().unwrap();
    connection.chunk().unwrap();
    // The request is on record, the answer cannot be: the stream must not end well.
    gateway.journal.shutdown();
    let mut rest = Vec::new();
    while let Some(chunk) = connection.chunk() {
        assert!(!chunk.is_empty(), "a clean end without a record");
        rest.extend(chunk);
    }
    let rest = String::from_utf8(rest).unwrap();
    assert!(!rest.contains("[DONE]"), "{rest}");
    assert!(rest.contains("record_unavailable"), "{rest}");
}

#[test]
fn a_disk_that_is_full_refuses_and_recovers_without_a_restart() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("x"))]);
    let mut setup = Setup::to(&[&upstream]);
    let files = SimulatedFiles::new(1);
    setup.journal.files = Some(Arc::new(files.clone()));
    let gateway = setup.start();
    assert_eq!(post(gateway.addr, PLAIN).status, 200);
    files.set(|faults| faults.write_error = Some(io::ErrorKind::StorageFull));
    assert_eq!(post(gateway.addr, PLAIN).status, 503);
    files.set(|faults| faults.write_error = None);
    crate::harness::until("served again", || post(gateway.addr, PLAIN).status == 200);
}
