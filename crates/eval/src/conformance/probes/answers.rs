//! Whole answers.

use serde_json::{Value, json};
use wire::capability::Capability as Can;

use crate::conformance::Row;
use crate::conformance::ask::{Answer, Line};
use crate::conformance::case::{Fault, Outcome, case, degraded, fine, missing, text_of, unknown};

const WORDS: &str = "Say hello in a few words.";

pub(super) async fn rows(line: &Line<'_>) -> Vec<Row> {
    let mut first: Option<Answer> = None;
    let chat = case(line, Can::Chat, async |case| {
        let answer = case.chat(WORDS, &json!({})).await?;
        first = Some(answer.clone());
        plain(answer.success()?)
    })
    .await;
    let first = first.as_ref();
    let with_first = async |capability: Can, judge: &dyn Fn(&Value) -> Outcome| {
        case(line, capability, async |case| {
            let Some(answer) = first else { return unknown("there is no answer to look at") };
            case.rests_on(answer);
            match answer.success() {
                Ok(json) => judge(json),
                Err(_) => unknown("there is no answer to look at"),
            }
        })
        .await
    };
    let usage = with_first(Can::ChatUsage, &usage).await;
    let details = with_first(Can::UsageDetails, &details).await;
    let members = with_first(Can::AnswerMembers, &members).await;
    let fingerprint = with_first(Can::SystemFingerprint, &|json| match &json["system_fingerprint"] {
        Value::String(_) => fine(),
        Value::Null => missing("not in the answer"),
        _ => degraded("not a text"),
    })
    .await;
    let reasoning = with_first(Can::ReasoningContent, &reasoning).await;
    let greedy = case(line, Can::Greedy, async |case| {
        let Some(first) = first else { return unknown("there is no answer to compare with") };
        case.rests_on(first);
        let again = case.chat(WORDS, &json!({})).await?;
        let (one, other) = (text_of(first.success()?, 0), text_of(again.success()?, 0));
        if one == other { fine() } else { degraded("two answers at temperature 0 differ") }
    })
    .await;
    vec![chat, usage, details, members, fingerprint, reasoning, greedy]
}

fn plain(json: &Value) -> Outcome {
    let choice = &json["choices"][0];
    let mut wrong: Vec<&str> = Vec::new();
    let mut must = |holds: bool, what: &'static str| {
        if !holds {
            wrong.push(what);
        }
    };
    must(json["id"].is_string(), "id is no text");
    must(json["object"] == "chat.completion", "object is not chat.completion");
    must(json["created"].is_u64(), "created is no whole number");
    must(json["model"].is_string(), "model is no text");
    must(choice["index"] == 0, "the choice's index is not 0");
    must(choice["message"]["role"] == "assistant", "the role is not assistant");
    must(
        matches!(choice["finish_reason"].as_str(), Some("stop" | "length")),
        "the finish reason is neither stop nor length",
    );
    if !choice["message"]["content"].is_string() {
        return missing("there is no text in the answer");
    }
    if wrong.is_empty() { fine() } else { degraded(wrong.join(", ")) }
}

fn usage(json: &Value) -> Outcome {
    let usage = &json["usage"];
    if usage.is_null() {
        return missing("not in the answer");
    }
    let count = |name: &str| usage[name].as_u64();
    match (count("prompt_tokens"), count("completion_tokens"), count("total_tokens")) {
        (Some(prompt), Some(completion), Some(total)) => {
            if total != prompt + completion {
                degraded(format!("{prompt} and {completion} are not {total}"))
            } else if prompt == 0 || completion == 0 {
                degraded("a count is 0")
            } else {
                fine()
            }
        }
        _ => degraded("a count is missing"),
    }
}

fn details(json: &Value) -> Outcome {
    let missing: Vec<&str> = ["prompt_tokens_details", "completion_tokens_details"]
        .into_iter()
        .filter(|name| !json["usage"][*name].is_object())
        .collect();
    match missing.as_slice() {
        [] => fine(),
        [one] => degraded(format!("no {one}")),
        _ => crate::conformance::case::missing("neither is in the usage"),
    }
}

fn members(json: &Value) -> Outcome {
    let choice = &json["choices"][0];
    let mut lacks = Vec::new();
    if choice["message"].get("refusal").is_none() {
        lacks.push("message.refusal");
    }
    if choice.get("logprobs").is_none() {
        lacks.push("logprobs");
    }
    if lacks.is_empty() { fine() } else { degraded(format!("missing: {}", lacks.join(", "))) }
}

fn reasoning(json: &Value) -> Outcome {
    let message = &json["choices"][0]["message"];
    if ["<think>", "</think>", "<|channel|>analysis"].iter().any(|tag| text_of(json, 0).contains(tag)) {
        return degraded("the model's thoughts are in the text");
    }
    match ["reasoning_content", "reasoning"].iter().find(|name| message[**name].is_string()) {
        Some(name) => Ok(format!("under {name}")),
        None => Err(Fault::Unknown("the model did not reason".to_owned())),
    }
}
