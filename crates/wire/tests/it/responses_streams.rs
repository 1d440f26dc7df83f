//! Random chat streams, cut at random places, say the same as the whole answers they are streams of.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::failure::Failure;
use wire::openai::Refusal;
use wire::sse::Decoder;
use wire::translate::responses::{self, Stream};
use wire::translate::{Context, Policy};

const CONTEXT: Context<'static> = Context {
    id: "0123",
    created_s: 1_700_000_000,
    request: br#"{"model":"gpt-4o","input":"Hi","stream":true,"tools":[{"type":"function","name":"f"}]}"#,
};

/// The same for a caller who looks for reasoning in the summary.
const SUMMARY: Context<'static> =
    Context { request: br#"{"model":"gpt-4o","reasoning":{"summary":"auto"}}"#, ..CONTEXT };

/// What a model says, in the pieces in which it says it.
#[derive(Debug, Clone)]
struct Said {
    reasoning: Vec<String>,
    text: Vec<String>,
    refusal: Vec<String>,
    /// Name and pieces of the arguments of each call.
    calls: Vec<(String, Vec<String>)>,
    finish: &'static str,
    usage: bool,
    done: bool,
}

/// How it comes over the wire.
#[derive(Debug, Clone)]
struct Manner {
    line_end: &'static str,
    comments: bool,
    /// Pieces of arguments alternate between calls.
    alternating: bool,
    cuts: Vec<prop::sample::Index>,
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![4 => "\\PC{1,8}", 1 => "[\"\\\\\n\r\t/\u{2028}\u{1f600}é{}\\[\\]:,]{1,5}"]
}

fn pieces(n: std::ops::Range<usize>) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(piece(), n)
}

/// A JSON object in pieces; sometimes nothing at all.
fn arguments() -> impl Strategy<Value = Vec<String>> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    prop_oneof![1 => Just(Vec::new()), 9 => (piece(), cuts).prop_map(|(text, cuts)| {
        let mut rest: Vec<char> = json!({ "text": text, "n": [1, {}] }).to_string().chars().collect();
        let mut pieces: Vec<String> = Vec::new();
        for cut in cuts {
            let after = rest.split_off(cut.index(rest.len() + 1));
            pieces.push(std::mem::replace(&mut rest, after).into_iter().collect());
        }
        pieces.push(rest.into_iter().collect());
        pieces
    })]
}

fn said() -> impl Strategy<Value = Said> {
    let calls = prop::collection::vec(("[a-z_]{1,8}", arguments()), 0..4);
    let finish = prop::sample::select(vec!["stop", "tool_calls", "length", "content_filter"]);
    (pieces(0..4), pieces(0..5), pieces(0..3), calls, finish, any::<bool>(), any::<bool>()).prop_map(
        |(reasoning, text, refusal, calls, finish, usage, done)| Said {
            reasoning,
            text,
            refusal,
            calls,
            finish,
            usage,
            done: done || usage,
        },
    )
}

fn manner() -> impl Strategy<Value = Manner> {
    let line_end = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (line_end, any::<bool>(), any::<bool>(), prop::collection::vec(any::<prop::sample::Index>(), 0..12))
        .prop_map(|(line_end, comments, alternating, cuts)| Manner { line_end, comments, alternating, cuts })
}

const USAGE: &str =
    r#"{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,"prompt_tokens_details":{"cached_tokens":2}}"#;

impl Said {
    fn whole(&self) -> Vec<u8> {
        let text = |pieces: &[String]| Some(pieces.concat()).filter(|text| !text.is_empty());
        let calls: Vec<Value> = self
            .calls
            .iter()
            .enumerate()
            .map(|(idx, (name, pieces))| {
                json!({"id": format!("call_{idx}"), "type": "function", "function": {"name": name, "arguments": pieces.concat()}})
            })
            .collect();
        let message = json!({"role": "assistant", "reasoning_content": text(&self.reasoning), "content": text(&self.text),
            "refusal": text(&self.refusal), "tool_calls": calls});
        let mut answer =
            json!({"model": "qwen", "choices": [{"index": 0, "message": message, "finish_reason": self.finish}]});
        if self.usage {
            answer["usage"] = serde_json::from_str(USAGE).unwrap();
        }
        answer.to_string().into_bytes()
    }

    /// The data of each event.
    fn chunks(&self, alternating: bool) -> Vec<String> {
        let chunk = |delta: Value, finish: Option<&str>| {
            json!({"object": "chat.completion.chunk", "model": "qwen", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
                .to_string()
        };
        let mut chunks = vec![chunk(json!({"role": "assistant", "content": ""}), None)];
        for (name, pieces) in
            [("reasoning_content", &self.reasoning), ("content", &self.text), ("refusal", &self.refusal)]
        {
            chunks.extend(pieces.iter().map(|piece| chunk(json!({ name: piece }), None)));
        }
        let mut deltas: Vec<(usize, usize, Value)> = Vec::new();
        for (idx, (name, pieces)) in self.calls.iter().enumerate() {
            let first = json!({"index": idx, "id": format!("call_{idx}"), "type": "function", "function": {"name": name, "arguments": ""}});
            deltas.push((0, idx, first));
            let rest = pieces
                .iter()
                .filter(|piece| !piece.is_empty())
                .map(|piece| json!({"index": idx, "function": {"arguments": piece}}));
            deltas.extend(rest.zip(1..).map(|(delta, turn)| (turn, idx, delta)));
        }
        if alternating {
            deltas.sort_by_key(|(turn, idx, _)| (*turn, *idx));
        }
        chunks.extend(deltas.into_iter().map(|(_, _, delta)| chunk(json!({ "tool_calls": [delta] }), None)));
        chunks.push(chunk(json!({}), Some(self.finish)));
        if self.usage {
            chunks.push(format!(r#"{{"choices":[],"usage":{USAGE}}}"#));
        }
        if self.done {
            chunks.push("[DONE]".to_owned());
        }
        chunks
    }
}

impl Manner {
    fn bytes(&self, chunks: &[String]) -> Bytes {
        let end = self.line_end;
        let comment = if self.comments { format!(": still here{end}{end}") } else { String::new() };
        let events: Vec<String> = chunks.iter().map(|chunk| format!("{comment}data: {chunk}{end}{end}")).collect();
        Bytes::from(events.concat())
    }

    fn pieces(&self, bytes: &Bytes) -> Vec<Bytes> {
        let mut cuts: Vec<usize> = self.cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.push(bytes.len());
        cuts.sort_unstable();
        let starts = std::iter::once(0).chain(cuts.clone());
        starts.zip(cuts).map(|(start, end)| bytes.slice(start..end)).collect()
    }
}

/// The data of the events a caller gets, and whether the stream failed.
fn relayed(pieces: &[Bytes], context: &Context<'_>) -> (Vec<Value>, bool) {
    let mut stream = Stream::new(context);
    let mut decoder = Decoder::new();
    let mut out = Vec::new();
    let mut run = || -> Result<(), Failure> {
        let mut events = Vec::new();
        for piece in pieces {
            decoder.push(piece.clone(), &mut events).unwrap();
            for event in events.drain(..) {
                out.extend(stream.event(&event)?);
            }
        }
        if let Some(event) = std::mem::take(&mut decoder).finish().event {
            out.extend(stream.event(&event)?);
        }
        out.extend(stream.end()?);
        Ok(())
    };
    let failure = run().err();
    if let Some(failure) = &failure {
        out.extend(stream.fail(&Refusal::of(failure).body));
    }
    let text = String::from_utf8(out).unwrap();
    let events = text.split_terminator("\n\n").map(|event| {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    });
    (events.collect(), failure.is_some())
}

/// The output as somebody sees it who reads the deltas and nothing else.
fn accumulated(events: &[Value]) -> Vec<Value> {
    let mut items: Vec<Value> = Vec::new();
    let mut n_done = 0;
    for event in events {
        let kind = event["type"].as_str().unwrap();
        let idx = usize::try_from(event["output_index"].as_u64().unwrap_or_default()).unwrap();
        let part = usize::try_from(event["content_index"].as_u64().unwrap_or_default()).unwrap();
        let append =
            |to: &mut Value| *to = json!(format!("{}{}", to.as_str().unwrap(), event["delta"].as_str().unwrap()));
        match kind {
            "response.output_item.added" => {
                assert_eq!((idx, n_done), (items.len(), items.len()), "one item is open at a time");
                items.push(event["item"].clone());
            }
            "response.content_part.added" => {
                let parts = items[idx]["content"].as_array_mut().unwrap();
                assert_eq!(part, parts.len());
                parts.push(event["part"].clone());
            }
            "response.output_text.delta" | "response.reasoning_text.delta" => {
                append(&mut items[idx]["content"][part]["text"])
            }
            "response.reasoning_summary_part.added" => {
                items[idx]["summary"].as_array_mut().unwrap().push(event["part"].clone());
            }
            "response.reasoning_summary_text.delta" => append(&mut items[idx]["summary"][0]["text"]),
            "response.reasoning_summary_part.done" => assert_eq!(items[idx]["summary"][0], event["part"]),
            "response.refusal.delta" => append(&mut items[idx]["content"][part]["refusal"]),
            "response.function_call_arguments.delta" => append(&mut items[idx]["arguments"]),
            "response.content_part.done" => assert_eq!(items[idx]["content"][part], event["part"]),
            "response.output_item.done" => {
                n_done += 1;
                items[idx]["status"] = event["item"]["status"].clone();
                assert_eq!(items[idx], event["item"]);
            }
            _ => {}
        }
        if let Some(id) = event["item_id"].as_str() {
            assert_eq!((items[idx]["id"].as_str(), idx), (Some(id), items.len() - 1));
        }
    }
    items
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if std::env::var_os("CROSSFADE_SLOW_TESTS").is_some() { 10_000 } else { 300 }, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_says_what_the_whole_answer_says(said in said(), manner in manner(), summary in any::<bool>()) {
        let context = if summary { SUMMARY } else { CONTEXT };
        let bytes = manner.bytes(&said.chunks(manner.alternating));
        let (events, failed) = relayed(&manner.pieces(&bytes), &context);
        prop_assert!(!failed);
        for (idx, event) in events.iter().enumerate() {
            prop_assert_eq!(event["sequence_number"].as_u64(), Some(idx as u64));
        }
        let whole: Value = serde_json::from_slice(&responses::answer(&said.whole(), &context).unwrap()).unwrap();
        let last = events.last().unwrap();
        prop_assert_eq!(&last["response"], &whole);
        prop_assert_eq!(last["type"].as_str().unwrap(), format!("response.{}", whole["status"].as_str().unwrap()));
        prop_assert_eq!(&json!(accumulated(&events)), &whole["output"]);
    }

    #[test]
    fn a_cut_stream_never_looks_whole(said in said(), manner in manner(), at in any::<prop::sample::Index>()) {
        let manner = Manner { line_end: "\n", ..manner };
        let chunks = said.chunks(manner.alternating);
        let n_until_finish = chunks.iter().position(|chunk| chunk.contains(&format!(r#""finish_reason":"{}""#, said.finish)));
        let n_needed = manner.bytes(&chunks[..=n_until_finish.unwrap()]).len();
        let bytes = manner.bytes(&chunks);
        let cut = bytes.slice(..at.index(bytes.len() + 1));
        let (events, failed) = relayed(&manner.pieces(&cut), &CONTEXT);
        prop_assert_eq!(failed, cut.len() < n_needed);
        let ends_well = |event: &&Value| matches!(event["type"].as_str(), Some("response.completed" | "response.incomplete"));
        prop_assert_eq!(events.iter().filter(ends_well).count(), usize::from(!failed));
        if failed {
            prop_assert_eq!(events.last().unwrap()["type"].as_str(), Some("error"));
            prop_assert!(events.last().unwrap()["error"]["message"].is_string());
            let n_failed = events.iter().filter(|event| event["type"] == "response.failed").count();
            prop_assert_eq!(n_failed, usize::from(events.len() > 1));
        }
    }

    #[test]
    fn no_bytes_make_a_request_or_an_answer_panic(mut body in prop::collection::vec(any::<u8>(), 0..64), json in "[\\[\\]{}\":,a-z0-9 ]{0,64}") {
        for body in [std::mem::take(&mut body), json.into_bytes()] {
            drop(responses::request(&body, &Policy::default(), "qwen"));
            drop(responses::answer(&body, &CONTEXT));
            drop(responses::error(500, &body));
            drop(responses::prepend(&body, b"[]"));
            drop(responses::kept(&body, &body));
        }
    }
}
