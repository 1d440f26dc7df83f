//! Structured output.

use serde_json::{Value, json};
use wire::capability::Capability as Can;

use crate::conformance::Row;
use crate::conformance::ask::Line;
use crate::conformance::case::{Case, Outcome, case, degraded, fine, finish_of, missing, text_of, unknown};

/// Nobody would answer these in JSON.
const OFF_TOPIC: [&str; 3] = ["Tell me about cats.", "Say hello.", "Why is the sky blue?"];

pub(super) async fn rows(line: &Line<'_>) -> Vec<Row> {
    let schema = json!({"type": "json_schema", "json_schema": {"name": "verdict", "strict": true, "schema": {
        "type": "object",
        "properties": {"verdict": {"type": "string", "enum": ["maple", "cedar"]}, "certain": {"type": "boolean"}},
        "required": ["verdict", "certain"], "additionalProperties": false,
    }}});
    let schema = case(line, Can::JsonSchema, async |case| kept(case, &schema, &fits).await).await;
    let object = json!({"type": "json_object"});
    let object = case(line, Can::JsonObject, async |case| kept(case, &object, &Value::is_object).await).await;
    vec![schema, object]
}

/// By hand: the one schema that is asked for needs no library.
fn fits(value: &Value) -> bool {
    let Some(members) = value.as_object() else { return false };
    members.len() == 2 && matches!(value["verdict"].as_str(), Some("maple" | "cedar")) && value["certain"].is_boolean()
}

async fn kept(case: &Case<'_, '_>, format: &Value, fits: &dyn Fn(&Value) -> bool) -> Outcome {
    let (mut n_kept, mut n_cut, mut n_json) = (0, 0, 0);
    for words in OFF_TOPIC {
        // The vendor wants the word JSON in the conversation.
        let messages = json!([
            {"role": "system", "content": "If asked for a format, answer in JSON."}, {"role": "user", "content": words},
        ]);
        let fields = json!({"messages": messages, "response_format": format, "max_tokens": 200, "temperature": 1});
        let answer = case.chat(words, &fields).await?;
        let json = answer.success()?;
        let text = text_of(json, 0).trim();
        match serde_json::from_str::<Value>(text) {
            Ok(value) if fits(&value) => n_kept += 1,
            Ok(_) => n_json += 1,
            Err(error) if error.is_eof() && finish_of(json, 0) == "length" && text.starts_with('{') => n_cut += 1,
            Err(_) => {}
        }
    }
    match (n_kept, n_cut) {
        (3, _) => fine(),
        (0, 3) => unknown("every sample was cut by the limit"),
        (n, cut) if n + cut == 3 => Ok(format!("{n} of 3 samples; the others were cut by the limit")),
        (0, _) if n_json > 0 => degraded("JSON of another form than asked for"),
        (0, _) => missing("ignored: status 200 and free text"),
        (n, _) => degraded(format!("kept to in {n} of 3 samples")),
    }
}
