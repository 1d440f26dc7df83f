//! What a request that is wrong is told.

use serde_json::{Value, json};
use wire::capability::Capability as Can;
use wire::record::Endpoint;

use super::streams::Told;
use crate::conformance::Row;
use crate::conformance::ask::{Answer, Ask, Line};
use crate::conformance::case::{Case, Outcome, case, degraded, fine, missing, unknown};

pub(super) async fn rows(line: &Line<'_>) -> Vec<Row> {
    let mut refusals: Vec<Answer> = Vec::new();
    let mut remember = |answer: &Answer| {
        if answer.status >= 400 {
            refusals.push(answer.clone());
        }
    };
    let unknown_model = case(line, Can::UnknownModel, async |case| {
        let answer = case.chat("Say hello.", &json!({"model": "crossfade-no-such-model", "max_tokens": 2})).await?;
        remember(&answer);
        let code = answer.json.as_ref().map(|json| json["error"]["code"].clone()).unwrap_or_default();
        match answer.status {
            404 if code == "model_not_found" => fine(),
            404 => degraded(format!("the code is {code}, not model_not_found")),
            200 => missing("served, whatever the name"),
            _ => degraded(answer.said()),
        }
    })
    .await;
    let messages = case(line, Can::MissingMessages, async |case| {
        let answer = case.ask(chat(&json!({"model": line.model, "max_tokens": 2}))).await?;
        remember(&answer);
        bad_request(&answer)
    })
    .await;
    let json = case(line, Can::BadJson, async |case| {
        let body = b"{\"model\":".to_vec();
        let answer = case.ask(Ask { body, ..chat(&json!({})) }).await?;
        remember(&answer);
        bad_request(&answer)
    })
    .await;
    let wrong_type = case(line, Can::WrongType, async |case| {
        let answer = case.chat("Say hello.", &json!({"temperature": "hot", "max_tokens": 2})).await?;
        remember(&answer);
        bad_request(&answer)
    })
    .await;
    let streamed = case(line, Can::StreamErrors, async |case| {
        let answer = case.ask(chat(&json!({"model": line.model, "stream": true, "max_tokens": 2}))).await?;
        remember(&answer);
        match answer.status {
            400..=499 if !answer.is_event_stream() => fine(),
            200 if Told::of(&answer).error().is_some() => degraded("an error event in a stream of status 200"),
            200 => missing("served without messages"),
            _ => degraded(answer.said()),
        }
    })
    .await;
    let too_long = case(line, Can::ContextLength, async |case| too_long(case, &mut remember).await).await;
    let envelope = case(line, Can::ErrorEnvelope, async |case| {
        refusals.iter().for_each(|answer| case.rests_on(answer));
        enveloped(&refusals)
    })
    .await;
    vec![unknown_model, messages, json, wrong_type, streamed, too_long, envelope]
}

/// A conversation that is longer than the server says it may be.
async fn too_long(case: &Case<'_, '_>, remember: &mut dyn FnMut(&Answer)) -> Outcome {
    let models = case.ask(Ask::get("/models")).await?;
    let said = models.json.as_ref().and_then(|json| context_of(json, &case.line.model));
    let Some(n_tokens) = case.line.context.or(said) else {
        return unknown("the server does not say how long a conversation may be; say it with --context");
    };
    if n_tokens > LONGEST_CONTEXT {
        return unknown(format!("{n_tokens} tokens are too many to send"));
    }
    // At least one token each.
    let words = " a".repeat(usize::try_from(n_tokens).unwrap_or(usize::MAX) + 64);
    let answer = case.chat(&words, &json!({"max_tokens": 2})).await?;
    remember(&answer);
    let code = answer.json.as_ref().map(|json| json["error"]["code"].clone()).unwrap_or_default();
    match answer.status {
        400 if code == "context_length_exceeded" => fine(),
        400 => degraded(format!("the code is {code}, not context_length_exceeded")),
        200 => missing("served: the conversation was cut in silence"),
        _ => degraded(answer.said()),
    }
}

/// Every refusal in the dialect's envelope.
fn enveloped(refusals: &[Answer]) -> Outcome {
    if refusals.is_empty() {
        return unknown("nothing was refused");
    }
    let mut wrong: Vec<String> = refusals.iter().filter_map(|answer| answer.envelope().err()).collect();
    let n_wrong = wrong.len();
    wrong.sort();
    wrong.dedup();
    match wrong.first() {
        None => fine(),
        // A client finds neither class nor message where they belong.
        Some(_)
            if n_wrong == refusals.len() && wrong.iter().all(|how| how.contains("error") || how.contains("JSON")) =>
        {
            missing(wrong.join("; "))
        }
        Some(_) => degraded(wrong.join("; ")),
    }
}

/// A longer context than this is not overflown: the request alone would take megabytes, and a server that took it, minutes.
const LONGEST_CONTEXT: u64 = 300_000;

/// How many tokens a conversation with `model` may have, by what servers add to the list of models: vLLM and SGLang
/// `max_model_len`, llama.cpp `meta.n_ctx`, others `context_length` or `context_window`.
fn context_of(models: &Value, model: &str) -> Option<u64> {
    let all = models["data"].as_array()?;
    let entry = all.iter().find(|entry| entry["id"] == model).or(all.first())?;
    let places = [&entry["max_model_len"], &entry["meta"]["n_ctx"], &entry["context_length"], &entry["context_window"]];
    places.into_iter().find_map(Value::as_u64)
}

fn chat(body: &serde_json::Value) -> Ask {
    Ask::of(Endpoint::ChatCompletions, body)
}

/// A 400; what form it has is a row of its own.
fn bad_request(answer: &Answer) -> Outcome {
    match answer.status {
        400 => fine(),
        200 => missing("served"),
        422 => degraded("status 422"),
        _ => degraded(answer.said()),
    }
}
