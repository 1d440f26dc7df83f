//! Translates between dialects for tests in other languages: one job per line on stdin, one result per line on stdout.
//!
//! A job is an object with `pair` (`responses` or `messages`: the caller speaks that, the target chat completions; `chat`: the
//! caller speaks chat completions, the target Messages), `do` (`request`, `answer`, `stream`, `error`, `prepend`, `resolve`), `body` (what is
//! translated, as a string), and as needed `request` (what the caller sent, as a string), `status` (of an error), `cuts` (byte
//! offsets at which the body of a stream is cut before it is decoded) and `kept`.
//!
//! A result is an object with `body`; with `changes`, as `action field`, after a request; with `refusal` in place of a body; with
//! `failure` when the target's answer failed. A failed stream ends with the events a gateway would send. Ids are made from
//! `0123`, and the time is 1 700 000 000.

use std::io::{self, BufRead, Write};

use bytes::Bytes;
use serde_json::{Value, json};
use wire::failure::Failure;
use wire::messages;
use wire::openai::{ErrorBody, Refusal};
use wire::sse::{Decoder, Event};
use wire::translate::messages::outbound::Claude;
use wire::translate::messages::{inbound, outbound};
use wire::translate::{Context, Policy, Translated, responses};

fn main() -> io::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let job: Value = serde_json::from_str(&line?)?;
        writeln!(out, "{}", run(&job))?;
        out.flush()?;
    }
    Ok(())
}

fn run(job: &Value) -> Value {
    let text = |key: &str| job[key].as_str().unwrap_or_default();
    let body = text("body").as_bytes();
    let context = Context { id: "0123", created_s: 1_700_000_000, request: text("request").as_bytes() };
    let status = job["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(400);
    match (text("pair"), text("do")) {
        ("responses", "request") => translated(responses::request(body, &Policy::default(), "target")),
        ("responses", "answer") => answered(responses::answer(body, &context)),
        ("responses", "stream") => {
            let mut stream = responses::Stream::new(&context);
            let mut result = streamed(body, &job["cuts"], &mut stream);
            result["output"] = stream.output().into();
            result
        }
        ("responses", "error") => json!({ "body": lossy(&responses::error(400, body)) }),
        ("responses", "prepend") => match responses::prepend(body, text("kept").as_bytes()) {
            Ok(body) => json!({ "body": lossy(&body) }),
            Err(refusal) => refused(&refusal),
        },
        ("responses", "resolve") => match responses::resolve(body, &[text("kept").as_bytes()]) {
            Ok(body) => json!({ "body": lossy(&body) }),
            Err(refusal) => refused(&refusal),
        },
        ("messages", "request") => match inbound::request(body, &Policy::default(), "target") {
            Ok(request) => translated(Ok(request)),
            Err(refusal) => {
                json!({ "refusal": lossy(&messages::error::body(&refusal, None)), "status": messages::error::status(&refusal) })
            }
        },
        ("messages", "answer") => answered(inbound::answer(body, &context)),
        ("messages", "stream") => streamed(body, &job["cuts"], &mut inbound::Stream::new(&context)),
        ("messages", "error") => {
            json!({ "body": lossy(&inbound::error(status, body)), "status": inbound::error_status(status, body) })
        }
        ("chat", "request") => translated(outbound::request(body, &Policy::default(), "target", &Claude::default())),
        ("chat", "answer") => answered(outbound::answer(body, &context)),
        ("chat", "stream") => streamed(body, &job["cuts"], &mut outbound::Stream::new(&context)),
        ("chat", "error") => {
            json!({ "body": lossy(&outbound::error(status, body)), "status": outbound::error_status(status) })
        }
        (pair, what) => json!({ "unknown": format!("{pair} {what}") }),
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn translated(translated: Result<Translated, Refusal>) -> Value {
    match translated {
        Ok(Translated { body, changes }) => {
            let changes: Vec<String> =
                changes.iter().map(|change| format!("{} {}", change.action.as_str(), change.field)).collect();
            json!({ "body": lossy(&body), "changes": changes })
        }
        Err(refusal) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Value {
    json!({ "refusal": lossy(&refusal.body.to_json()), "status": refusal.status })
}

fn answered(answered: Result<Vec<u8>, Failure>) -> Value {
    match answered {
        Ok(body) => json!({ "body": lossy(&body) }),
        Err(failure) => json!({ "failure": failure.kind.as_str() }),
    }
}

/// The translator of a stream, of whatever pair.
trait Stream {
    fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure>;
    fn end(&mut self) -> Result<Vec<u8>, Failure>;
    fn fail(&mut self, error: &ErrorBody) -> Vec<u8>;
}

macro_rules! streams {
    ($($stream:ty),+) => {$(
        impl Stream for $stream {
            fn event(&mut self, event: &Event) -> Result<Vec<u8>, Failure> {
                <$stream>::event(self, event)
            }
            fn end(&mut self) -> Result<Vec<u8>, Failure> {
                <$stream>::end(self)
            }
            fn fail(&mut self, error: &ErrorBody) -> Vec<u8> {
                <$stream>::fail(self, error)
            }
        }
    )+};
}
streams!(responses::Stream, inbound::Stream, outbound::Stream);

fn streamed(body: &[u8], cuts: &Value, stream: &mut impl Stream) -> Value {
    let mut out = Vec::new();
    let failure = relay(body, cuts, stream, &mut out).err();
    if let Some(failure) = &failure {
        out.extend(stream.fail(&Refusal::of(failure).body));
    }
    json!({ "body": lossy(&out), "failure": failure.map(|failure| failure.kind.as_str()) })
}

fn relay(body: &[u8], cuts: &Value, stream: &mut impl Stream, out: &mut Vec<u8>) -> Result<(), Failure> {
    let cuts = cuts.as_array().into_iter().flatten().filter_map(Value::as_u64);
    let ends = cuts.filter_map(|cut| usize::try_from(cut).ok()).chain([body.len()]);
    let mut decoder = Decoder::new();
    let mut start = 0;
    for end in ends {
        let mut events = Vec::new();
        let piece = Bytes::copy_from_slice(body.get(start..end).unwrap_or_default());
        start = end;
        if decoder.push(piece, &mut events).is_err() {
            return Err(Failure::new(wire::failure::FailureKind::Malformed, "an event without end"));
        }
        for event in &events {
            out.extend(stream.event(event)?);
        }
    }
    if let Some(event) = decoder.finish().event {
        out.extend(stream.event(&event)?);
    }
    out.extend(stream.end()?);
    Ok(())
}
