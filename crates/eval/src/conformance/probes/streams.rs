//! Streamed answers.

use serde_json::{Value, json};
use wire::capability::Capability as Can;

use crate::conformance::Row;
use crate::conformance::ask::{Answer, Line};
use crate::conformance::case::{Outcome, case, degraded, fine, missing, text_of, unknown};

const WORDS: &str = "Say hello in a few words.";

/// A stream as it was read.
pub(super) struct Told {
    /// The JSON of each event with data.
    pub(super) chunks: Vec<Value>,
    /// `[DONE]` came, and nothing after it.
    pub(super) done: bool,
    /// Events whose data is neither.
    pub(super) n_unreadable: usize,
}

impl Told {
    pub(super) fn of(answer: &Answer) -> Told {
        let mut told = Told { chunks: Vec::new(), done: false, n_unreadable: 0 };
        for event in answer.events() {
            told.done = event.data.trim_ascii() == b"[DONE]";
            match serde_json::from_slice(&event.data) {
                Ok(chunk) => told.chunks.push(chunk),
                Err(_) if told.done => {}
                Err(_) => told.n_unreadable += 1,
            }
        }
        told
    }

    /// The text of the first choice.
    pub(super) fn text(&self) -> String {
        let deltas = self.chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["content"]);
        deltas.filter_map(Value::as_str).collect()
    }

    /// The finish reasons of the first choice, in order.
    pub(super) fn finishes(&self) -> Vec<&str> {
        self.chunks.iter().filter_map(|chunk| chunk["choices"][0]["finish_reason"].as_str()).collect()
    }

    /// The error event, if there is one.
    pub(super) fn error(&self) -> Option<&Value> {
        self.chunks.iter().map(|chunk| &chunk["error"]).find(|error| !error.is_null())
    }
}

pub(super) async fn rows(line: &Line<'_>) -> Vec<Row> {
    let mut plain: Option<(Answer, Told)> = None;
    let stream = case(line, Can::Stream, async |case| {
        let answer = case.chat(WORDS, &json!({"stream": true})).await?;
        if answer.status != 200 {
            return missing(answer.said());
        }
        if !answer.is_event_stream() {
            return missing("the answer is no event stream");
        }
        let told = Told::of(&answer);
        let outcome = well_formed(&told);
        plain = Some((answer, told));
        outcome
    })
    .await;
    let plain = plain.as_ref();
    let with_plain = async |capability: Can, judge: &dyn Fn(&Told) -> Outcome| {
        case(line, capability, async |case| {
            let Some((answer, told)) = plain else { return unknown("there is no stream to look at") };
            case.rests_on(answer);
            judge(told)
        })
        .await
    };
    let done = with_plain(Can::StreamDone, &|told| if told.done { fine() } else { missing("never sent") }).await;
    let finish = with_plain(Can::StreamFinish, &|told| match told.finishes().as_slice() {
        [] => missing("no chunk says why it ended"),
        [_] => fine(),
        more => degraded(format!("{} chunks have a finish reason", more.len())),
    })
    .await;
    let parity = case(line, Can::StreamParity, async |case| {
        let Some((answer, told)) = plain else { return unknown("there is no stream to look at") };
        case.rests_on(answer);
        let whole = case.chat(WORDS, &json!({})).await?;
        let text = text_of(whole.success()?, 0);
        let streamed = told.text();
        if streamed == text {
            fine()
        } else if streamed.trim() == text.trim() {
            degraded("they differ in the white space around them")
        } else {
            degraded("the texts differ")
        }
    })
    .await;
    let mut rows = vec![stream, done, finish, parity];
    rows.extend(usage(line, plain.map(|(_, told)| told)).await);
    rows
}

fn well_formed(told: &Told) -> Outcome {
    if told.error().is_some() {
        return missing("the stream holds an error");
    }
    let Some(first) = told.chunks.first() else { return missing("there is no chunk in the stream") };
    let mut wrong: Vec<&str> = Vec::new();
    let mut must = |holds: bool, what: &'static str| {
        if !holds {
            wrong.push(what);
        }
    };
    must(told.n_unreadable == 0, "an event is no JSON");
    must(
        told.chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"),
        "object is not chat.completion.chunk",
    );
    must(first["id"].is_string() && told.chunks.iter().all(|chunk| chunk["id"] == first["id"]), "the id changes");
    must(told.chunks.iter().all(|chunk| chunk["choices"].is_array()), "a chunk has no choices");
    must(first["choices"][0]["delta"]["role"] == "assistant", "the first delta has no role");
    if told.text().is_empty() {
        return missing("there is no text in the stream");
    }
    if wrong.is_empty() { fine() } else { degraded(wrong.join(", ")) }
}

/// `stream_options` and what they ask for.
async fn usage(line: &Line<'_>, plain: Option<&Told>) -> [Row; 2] {
    let mut asked: Option<(Answer, Told)> = None;
    let options = case(line, Can::StreamOptions, async |case| {
        let fields = json!({"stream": true, "stream_options": {"include_usage": true}});
        let answer = case.chat(WORDS, &fields).await?;
        let told = Told::of(&answer);
        let taken = answer.status == 200 && told.error().is_none() && !told.chunks.is_empty();
        let said = answer.said();
        asked = Some((answer, told));
        if taken { fine() } else { missing(said) }
    })
    .await;
    let usage = case(line, Can::StreamUsage, async |case| {
        let Some((answer, told)) = &asked else { return unknown("there is no stream to look at") };
        case.rests_on(answer);
        if answer.status != 200 {
            return unknown("stream_options is not taken");
        }
        let unasked = plain.is_some_and(|told| told.chunks.iter().any(|chunk| chunk["usage"].is_object()));
        let Some(with) = told.chunks.iter().find(|chunk| chunk["usage"].is_object()) else {
            return missing("never sent");
        };
        let alone = with["choices"].as_array().is_some_and(Vec::is_empty);
        let last = told.chunks.last() == Some(with);
        match (alone && last, unasked) {
            _ if with["usage"]["total_tokens"].as_u64().is_none_or(|n| n == 0) => degraded("the total is 0 or missing"),
            (true, false) => fine(),
            (true, true) => degraded("sent without being asked for, too"),
            (false, false) => degraded("not on a last chunk of its own"),
            (false, true) => degraded("not on a last chunk of its own, and sent without being asked for"),
        }
    })
    .await;
    [options, usage]
}

/// Two requests after each other, then a stream and a request, on connections of their own.
pub(super) async fn keep_alive(line: &Line<'_>) -> Row {
    case(line, Can::KeepAlive, async |case| {
        let fields = json!({"max_tokens": 2});
        let n_connections = || line.provider.n_connections();
        let before = n_connections();
        let first = case.chat("Say hello.", &fields).await?;
        first.success()?;
        let opened = n_connections() - before;
        case.chat("Say hello.", &fields).await?;
        let reopened = n_connections() - before - opened;
        if reopened > 0 && !first.says_close() {
            return degraded("a connection is not kept after a plain answer either");
        }
        let streamed = case.chat("Say hello.", &json!({"max_tokens": 2, "stream": true})).await?;
        if streamed.status != 200 {
            return unknown("there is no stream");
        }
        let settled = n_connections();
        let after = case.chat("Say hello.", &fields).await;
        match after {
            Err(silence) => missing(format!("the request after a stream got no answer ({})", silence.words())),
            Ok(_) if n_connections() == settled => fine(),
            Ok(_) if streamed.says_close() => Ok("closed after a stream, as announced".to_owned()),
            Ok(_) => degraded("announced as kept, and closed after a stream"),
        }
    })
    .await
}
