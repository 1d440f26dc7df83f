//! An answer as it came over the wire, read for what it says.

use bytes::Bytes;
use serde_json::{Value, json};
use wire::openai::answer::{AnswerFacts, inspect};
use wire::openai::content::{Accumulator, ChoiceText};
use wire::scan::unescape_lossy;
use wire::sse::{Decoder, Event};

use crate::case::{Answer, Document, ToolCall};

impl Answer {
    /// The answer as what a right answer would be: its text, or the tools it called.
    #[must_use]
    pub fn as_expected(&self) -> Value {
        if self.tool_calls.is_empty() {
            return Value::String(self.text.clone());
        }
        let call = |call: &ToolCall| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "type": "function", "function": function })
        };
        json!({ "tool_calls": self.tool_calls.iter().map(call).collect::<Vec<_>>() })
    }
}

/// Reads the first choice of a chat completion, whole or as the events of a stream. `None` when it is neither.
#[must_use]
pub fn read(body: &[u8]) -> Option<Answer> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        let facts = inspect(body);
        return facts.has_answer.then(|| whole(body, &facts)).flatten();
    }
    let (mut decoder, mut events): (Decoder, Vec<Event>) = (Decoder::new(), Vec::new());
    decoder.push(Bytes::copy_from_slice(body), &mut events).ok()?;
    events.extend(decoder.finish().event);
    let mut gathered = Accumulator::new();
    let mut finish_reason = None;
    for event in &events {
        gathered.push(&event.data);
        let facts = wire::openai::chunk::inspect(&event.data);
        finish_reason = facts.finish_reason_in(&event.data).map(str::to_owned).or(finish_reason);
    }
    let first = gathered.choices()?.first()?;
    Some(Answer { finish_reason, ..of_choice(first) })
}

/// Reads an answer that ranks so many documents: `{"results": [{"index", "relevance_score"}]}` as Cohere, Jina, vLLM and llama.cpp have it, or
/// `data` in place of `results` as Voyage has it. Where each has a score the highest is first, whatever their order is, and equal ones stay in it.
/// `None` when it is none, or names a document there is not.
#[must_use]
pub fn ranked(body: &[u8], n_documents: usize) -> Option<Vec<usize>> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let results = answer.get("results").or_else(|| answer.get("data"))?.as_array()?;
    let one = |result: &Value| {
        let idx = usize::try_from(result["index"].as_u64()?).ok().filter(|idx| *idx < n_documents)?;
        Some((idx, result["relevance_score"].as_f64().or_else(|| result["score"].as_f64())))
    };
    let mut ranking: Vec<(usize, Option<f64>)> = results.iter().map(one).collect::<Option<_>>()?;
    if ranking.iter().all(|(_, score)| score.is_some()) {
        let score = |one: &(usize, Option<f64>)| one.1.unwrap_or(f64::NEG_INFINITY);
        ranking.sort_by(|one, other| score(other).total_cmp(&score(one)));
    }
    Some(ranking.into_iter().map(|(idx, _)| idx).collect())
}

/// The first choice of a whole answer whose facts are known.
pub(crate) fn whole(body: &[u8], facts: &AnswerFacts) -> Option<Answer> {
    let texts = facts.texts(body);
    let first = texts.first()?;
    let refusal = facts.choices.first().and_then(|choice| choice.refusal.clone()).map(|literal| {
        let mut text = Vec::with_capacity(literal.len());
        unescape_lossy(body, literal, &mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let refusal = refusal.filter(|text| !text.is_empty());
    let passages = if brings_passages(body) {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        passages(&answer["choices"][0]["message"])
    } else {
        Vec::new()
    };
    Some(Answer { refusal, finish_reason: facts.finish_reason.clone(), passages, ..of_choice(first) })
}

/// Whether it is worth looking for what an answer rests on.
pub(crate) fn brings_passages(body: &[u8]) -> bool {
    wire::scan::contains(body, b"\"citations\"")
}

/// What a message, or the beginning of a streamed one, says it rests on: `context.citations` as Azure OpenAI sends it for data of one's own. Of several names of
/// a passage the first counts: `id`, `url`, `filepath`, `title`.
pub(crate) fn passages(message: &Value) -> Vec<Document> {
    let citations = message["context"]["citations"].as_array().into_iter().flatten();
    let one = |(idx, citation): (usize, &Value)| {
        let named = ["id", "url", "filepath", "title"].into_iter().find_map(|name| citation[name].as_str());
        let id = named.filter(|id| !id.is_empty()).map_or_else(|| format!("passage {}", idx + 1), str::to_owned);
        Some(Document { id, text: citation["content"].as_str()?.to_owned() })
    };
    citations.enumerate().filter_map(one).collect()
}

pub(crate) fn of_choice(choice: &ChoiceText) -> Answer {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let calls = choice.tool_calls.iter();
    let tool_calls = calls.map(|call| ToolCall {
        name: text(&call.name),
        arguments: text(call.arguments.as_deref().unwrap_or_default()),
    });
    Answer { text: text(&choice.content), tool_calls: tool_calls.collect(), ..Answer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_answers_and_streams_are_read_alike() {
        let whole = read(br#"{"choices":[{"index":0,"message":{"role":"assistant","content":"72 h\u00f6urs"},"finish_reason":"stop"}]}"#);
        let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"72 h\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"öurs\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
        let expected =
            Answer { text: "72 höurs".to_owned(), finish_reason: Some("stop".to_owned()), ..Answer::default() };
        assert_eq!(whole, Some(expected.clone()));
        assert_eq!(read(stream.as_bytes()), Some(expected));
    }

    #[test]
    fn an_answer_may_bring_along_what_it_rests_on() {
        let body = br#"{"choices":[{"message":{"content":"72 hours [doc1].","context":{"citations":[{"content":"It takes 72 hours.","title":"Refunds","filepath":"refunds.md","chunk_id":"0"},{"content":"No name."},{"title":"no text"}]}},"finish_reason":"stop"}]}"#;
        let found: Vec<_> = read(body).unwrap().passages.into_iter().map(|one| (one.id, one.text)).collect();
        let expected = [("refunds.md", "It takes 72 hours."), ("passage 2", "No name.")];
        assert_eq!(found, expected.map(|(id, text)| (id.to_owned(), text.to_owned())));
        assert_eq!(crate::metric::citations::statements("72 hours [doc1][2].")[0].cited, [1, 2]);
    }

    #[test]
    fn rankings_are_read_by_their_scores_and_name_documents_there_are() {
        let check = |body: &str, expected: Option<&[usize]>| {
            assert_eq!(ranked(body.as_bytes(), 3).as_deref(), expected, "{body}")
        };
        check(r#"{"results":[{"index":2,"relevance_score":0.9},{"index":0,"relevance_score":0.1}]}"#, Some(&[2, 0]));
        check(r#"{"results":[{"index":0,"relevance_score":-3},{"index":1,"relevance_score":4.5}]}"#, Some(&[1, 0]));
        check(r#"{"results":[{"index":1,"relevance_score":0},{"index":0,"relevance_score":0}]}"#, Some(&[1, 0]));
        check(r#"{"data":[{"index":1},{"index":0,"relevance_score":2}]}"#, Some(&[1, 0]));
        check(r#"{"results":[]}"#, Some(&[]));
        check(r#"{"results":[{"index":3,"relevance_score":1}]}"#, None);
        check(r#"{"results":[{"index":-1,"relevance_score":1}]}"#, None);
        check(r#"{"choices":[]}"#, None);
    }

    #[test]
    fn tools_and_refusals_are_read_and_errors_are_no_answers() {
        let tools = read(br#"{"choices":[{"message":{"content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},"finish_reason":"tool_calls"}]}"#).unwrap();
        assert_eq!((tools.tool_calls[0].name.as_str(), tools.tool_calls[0].arguments.as_str()), ("f", r#"{"a":1}"#));
        let refusal = read(br#"{"choices":[{"message":{"content":null,"refusal":"No."}}]}"#).unwrap();
        assert_eq!(refusal.refusal.as_deref(), Some("No."));
        assert_eq!(read(br#"{"error":{"message":"no"}}"#), None);
        assert_eq!(read(b""), None);
    }
}
