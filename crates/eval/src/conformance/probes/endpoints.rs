//! Other endpoints.

use serde_json::{Value, json};
use wire::capability::Capability as Can;
use wire::record::Endpoint;

use crate::conformance::Row;
use crate::conformance::ask::{Ask, Line};
use crate::conformance::case::{case, degraded, fine, missing, unknown};

pub(super) async fn rows(line: &Line<'_>) -> Vec<Row> {
    let model = &line.model;
    let models = case(line, Can::Models, async |case| {
        let answer = case.ask(Ask::get("/models")).await?;
        let json = answer.success()?;
        let ids: Vec<&str> =
            json["data"].as_array().into_iter().flatten().filter_map(|model| model["id"].as_str()).collect();
        if json["object"] != "list" {
            degraded("object is not list")
        } else if ids.is_empty() {
            missing("the list is empty")
        } else if !ids.contains(&model.as_str()) {
            degraded("the model that answers is not in the list")
        } else {
            fine()
        }
    })
    .await;
    let completions = case(line, Can::Completions, async |case| {
        let request = json!({"model": model, "prompt": "Once upon a time", "max_tokens": 4, "temperature": 0});
        let answer = case.ask(Ask::of(Endpoint::Completions, &request)).await?;
        let choice = &answer.success()?["choices"][0];
        if choice["text"].is_string() && choice["finish_reason"].is_string() {
            fine()
        } else {
            degraded("no text or no finish reason")
        }
    })
    .await;
    let responses = case(line, Can::Responses, async |case| {
        let request = json!({"model": model, "input": "Say hello.", "max_output_tokens": 16, "store": false});
        let answer = case.ask(Ask::of(Endpoint::Responses, &request)).await?;
        let json = answer.success()?;
        let is_message = |item: &Value| item["type"] == "message" && item["content"].is_array();
        let message = json["output"].as_array().is_some_and(|output| output.iter().any(is_message));
        let nothing_said = json["output"].as_array().is_some_and(Vec::is_empty);
        match (json["object"] == "response" && json["status"].is_string(), message) {
            (true, true) => fine(),
            (true, false) if nothing_said => unknown("the model said nothing"),
            _ => degraded("object, status or output message is not as it should be"),
        }
    })
    .await;
    let messages = case(line, Can::Messages, async |case| {
        let request = json!({"model": model, "max_tokens": 8, "messages": [{"role": "user", "content": "Say hello."}]});
        let answer = case.ask(Ask::of(Endpoint::Messages, &request)).await?;
        let json = answer.success()?;
        let whole = json["type"] == "message" && json["content"].is_array() && json["stop_reason"].is_string();
        if whole { fine() } else { degraded("type, content or stop reason is not as it should be") }
    })
    .await;
    let tokenize = case(line, Can::Tokenize, async |case| {
        let words = json!([{"role": "user", "content": "Say hello."}]);
        let counted = Ask::of(Endpoint::CountTokens, &json!({"model": model, "messages": words}));
        let input = Ask::of(Endpoint::InputTokens, &json!({"model": model, "input": "Say hello."}));
        let words = json!({"model": model, "prompt": "Say hello.", "content": "Say hello."});
        let tokens = Ask::of(Endpoint::Completions, &words).below("/tokenize");
        let mut last = None;
        for (ask, path) in [(counted, "messages/count_tokens"), (input, "responses/input_tokens"), (tokens, "tokenize")]
        {
            let answer = case.ask(ask).await?;
            let counts = answer.json.as_ref().filter(|_| answer.status == 200);
            let found = counts.is_some_and(|json| {
                json["input_tokens"].is_u64() || json["tokens"].is_array() || json["count"].is_u64()
            });
            if found {
                return Ok(format!("by {path}"));
            }
            last = Some(answer.said());
        }
        missing(last.unwrap_or_default())
    })
    .await;
    vec![models, completions, responses, messages, tokenize]
}
