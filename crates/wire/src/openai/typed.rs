//! Streams whose events name their own type: responses, images, transcriptions and speech. What one event tells, in one pass
//! without a document model.

use std::ops::Range;

use bytes::Bytes;
use serde::Serialize;

use super::chunk::{ChunkFacts, not_empty, truthy};
use super::{ErrorBody, json};
use crate::refusal::Says;
use crate::scan::cursor::{Object, begins_with};
use crate::scan::{Kind, ScanError};
use crate::usage::{Tier, Usage};

/// Events after which nothing of the answer comes. One that a stream of several answers may send more than once only
/// finishes one of them; the end of such a stream is the end of its body, or `[DONE]`.
const FINISHES: [&str; 4] =
    ["transcript.text.done", "speech.audio.done", "image_generation.completed", "image_edit.completed"];

/// Reads the data of one event. Never fails: what cannot be read is not `valid`.
pub fn inspect(data: &[u8]) -> ChunkFacts {
    if data.trim_ascii() == b"[DONE]" {
        return ChunkFacts { valid: true, done: true, ..ChunkFacts::default() };
    }
    read(data).unwrap_or_default()
}

/// The event that tells a caller of such a stream that it failed. Besides the members that an `error` event of the dialect
/// has, it holds the object that makes official SDKs raise: they know no other sign.
pub fn error_event(error: &ErrorBody) -> Bytes {
    #[derive(Serialize)]
    struct Data<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        code: Option<&'a str>,
        message: &'a str,
        param: Option<&'a str>,
        error: &'a ErrorBody,
    }
    let (code, param) = (error.code.as_deref(), error.param.as_deref());
    let data = json(&Data { kind: "error", code, message: &error.message, param, error });
    Bytes::from([b"event: error\ndata: ", data.as_ref(), b"\n\n"].concat())
}

fn read(data: &[u8]) -> Result<ChunkFacts, ScanError> {
    let mut facts = ChunkFacts { valid: true, ..ChunkFacts::default() };
    let (mut kind, mut delta): (Option<Range<usize>>, Option<Range<usize>>) = (None, None);
    let mut has_delta = false;
    let mut top = Object::open_top(data)?;
    while let Some(key) = top.next_key()? {
        if key.name.as_ref() == b"response" && begins_with(data, top.at(), b'{') {
            let end = response(data, top.at(), &mut facts)?;
            top.resume(end);
            continue;
        }
        let (value_kind, value) = top.skip()?;
        match key.name.as_ref() {
            b"type" if value_kind == Kind::String => kind = Some(value),
            b"delta" | b"b64_json" | b"audio" => {
                has_delta |= not_empty(data, value_kind, &value);
                delta = Some(value).filter(|_| value_kind == Kind::String);
            }
            b"usage" => facts.usage = Usage::read(data, value),
            b"error" => facts.error |= truthy(data, value_kind, &value),
            _ => {}
        }
    }
    top.close_top()?;
    let name = kind.clone().and_then(|kind| std::str::from_utf8(&data[kind.start + 1..kind.end - 1]).ok());
    match name.unwrap_or_default() {
        "error" | "response.failed" => facts.error = true,
        // Its `response` has said why it ended.
        "response.completed" | "response.incomplete" => facts.done = true,
        name if FINISHES.contains(&name) => {
            facts.has_content |= has_delta;
            facts.finish_reason = kind;
            facts.says.otherwise = true;
        }
        name => {
            facts.finish_reason = None;
            facts.usage = facts.usage.filter(|_| !name.starts_with("response."));
            facts.has_content = has_delta && (name.ends_with(".delta") || name.ends_with(".partial_image"));
            if facts.has_content {
                says(name, delta, &mut facts.says);
            }
        }
    }
    Ok(facts)
}

/// Notes what an event of content says.
fn says(name: &str, delta: Option<Range<usize>>, says: &mut Says) {
    match name {
        "response.output_text.delta" => says.text = delta,
        "response.refusal.delta" => says.refused = true,
        _ if name.starts_with("response.reasoning") => {}
        _ => says.otherwise = true,
    }
}

/// Reads the `response` of an event: why it ended, and its usage.
fn response(data: &[u8], at: usize, facts: &mut ChunkFacts) -> Result<usize, ScanError> {
    let mut walk = Object::open(data, at)?;
    let mut reason = None;
    let mut tier = Tier::default();
    while let Some(key) = walk.next_key()? {
        if key.name.as_ref() == b"incomplete_details" && begins_with(data, walk.at(), b'{') {
            let mut details = Object::open(data, walk.at())?;
            while let Some(key) = details.next_key()? {
                let (kind, value) = details.skip()?;
                if key.name.as_ref() == b"reason" && kind == Kind::String {
                    reason = Some(value);
                }
            }
            walk.resume(details.at());
            continue;
        }
        let (kind, value) = walk.skip()?;
        match (key.name.as_ref(), kind) {
            (b"status", Kind::String) => facts.finish_reason = Some(value),
            (b"usage", Kind::Object) => facts.usage = Usage::read(data, value),
            (b"service_tier", _) => tier = Tier::read(&data[value]),
            _ => {}
        }
    }
    if reason.is_some() {
        facts.finish_reason = reason;
    }
    facts.usage = facts.usage.map(|usage| Usage { tier, ..usage });
    Ok(walk.at())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(data: &str, expected: &Expect) {
        let facts = inspect(data.as_bytes());
        let mut words = Vec::new();
        for (is, word) in
            [(!facts.valid, "invalid"), (facts.done, "done"), (facts.error, "error"), (facts.has_content, "content")]
        {
            if is {
                words.push(word.to_owned());
            }
        }
        if let Some(reason) = facts.finish_reason_in(data.as_bytes()) {
            words.push(format!("finish={reason}"));
        }
        if let Some(usage) = facts.usage {
            words.push(format!("usage={}+{}", usage.input_tokens, usage.output_tokens));
        }
        expected.assert_eq(&words.join(" "));
    }

    #[test]
    fn a_response_begins_speaks_and_ends() {
        check(
            r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress","usage":null},"sequence_number":0}"#,
            &expect![""],
        );
        check(
            r#"{"type":"response.output_item.added","item":{"type":"message","content":[]},"output_index":0}"#,
            &expect![""],
        );
        check(
            r#"{"type":"response.output_text.delta","delta":"Hi","item_id":"msg_1","sequence_number":4}"#,
            &expect!["content"],
        );
        check(r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#, &expect!["content"]);
        check(r#"{"type":"response.output_text.delta","delta":""}"#, &expect![""]);
        check(r#"{"type":"response.output_text.done","text":"Hi"}"#, &expect![""]);
        check(
            r#"{"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":3,"output_tokens":2}}}"#,
            &expect!["done finish=completed usage=3+2"],
        );
        check(
            r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#,
            &expect!["done finish=max_output_tokens"],
        );
    }

    #[test]
    fn a_failure_is_an_error_in_each_of_its_forms() {
        check(r#"{"type":"error","code":"server_error","message":"x","param":null}"#, &expect!["error"]);
        check(
            r#"{"type":"response.failed","response":{"status":"failed","error":{"code":"server_error"}}}"#,
            &expect!["error finish=failed"],
        );
        check(r#"{"error":{"message":"x"}}"#, &expect!["error"]);
        check("nonsense", &expect!["invalid"]);
    }

    #[test]
    fn sound_and_pictures_finish_without_being_the_end() {
        check(r#"{"type":"transcript.text.delta","delta":"I see"}"#, &expect!["content"]);
        check(
            r#"{"type":"transcript.text.done","text":"I see","usage":{"type":"tokens","input_tokens":14,"output_tokens":5}}"#,
            &expect!["finish=transcript.text.done usage=14+5"],
        );
        check(
            r#"{"type":"speech.audio.done","usage":{"input_tokens":14,"output_tokens":101}}"#,
            &expect!["finish=speech.audio.done usage=14+101"],
        );
        check(r#"{"type":"speech.audio.delta","audio":"AAAA"}"#, &expect!["content"]);
        check(
            r#"{"type":"image_generation.partial_image","b64_json":"AA","partial_image_index":0}"#,
            &expect!["content"],
        );
        check(
            r#"{"type":"image_generation.completed","b64_json":"AA","usage":{"input_tokens":1,"output_tokens":9}}"#,
            &expect!["content finish=image_generation.completed usage=1+9"],
        );
        check("[DONE]", &expect!["done"]);
    }
}
