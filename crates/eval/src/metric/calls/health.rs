//! Whether the calls of an answer could be made at all: what can be said without knowing which call is right.

use schema::{Compiled, Verdict};
use serde_json::Value;

use super::super::{Case, Metric, Score, Tool};
use super::{Parsed, silence};

/// `tool_call_health`.
pub(in super::super) fn metric() -> Metric {
    Metric::new(
        "tool_call_health@crossfade-1",
        "0 when a call leaked into the text, is malformed, names a tool that was not offered, has an argument its schema does not \
         know or lacks one it requires, or is not valid by it; 1 when there is none of this, abstention included",
        |case: &Case, answer| {
            if let Some(outcome) = silence(case, answer) {
                return Score::is(matches!(outcome, "abstained" | "empty")).with_outcome(outcome);
            }
            let worst = answer.calls.iter().map(|call| ill(&case.tools, Parsed::of(call))).find(|ill| *ill != "called");
            let outcome = worst.unwrap_or("called");
            // What cannot be validated is said to be so, and is not held against the answer.
            Score::is(matches!(outcome, "called" | "not_validated")).with_outcome(outcome)
        },
    )
}

/// What is wrong with a call, or `called`.
fn ill(tools: &[Tool], call: Option<Parsed>) -> &'static str {
    let Some(call) = call else { return "malformed" };
    let Some(tool) = tools.iter().find(|tool| tool.name == call.name) else { return "unknown_tool" };
    let required = tool.parameters["required"].as_array().map_or(&[][..], Vec::as_slice);
    if required.iter().filter_map(Value::as_str).any(|name| !call.arguments.contains_key(name)) {
        return "under_specified";
    }
    if let Some(properties) = tool.parameters["properties"].as_object()
        && !matches!(tool.parameters.get("additionalProperties"), Some(Value::Bool(true) | Value::Object(_)))
        && tool.parameters.get("patternProperties").is_none()
        && call.arguments.keys().any(|name| !properties.contains_key(name))
    {
        return "over_specified";
    }
    if tool.parameters.is_null() {
        return "called";
    }
    let checked = Compiled::new(tool.parameters.to_string().as_bytes())
        .map(|compiled| compiled.check(Value::Object(call.arguments).to_string().as_bytes()));
    match checked {
        Ok(Some(Verdict::Valid)) => "called",
        Ok(Some(Verdict::Invalid(_)) | None) => "schema_invalid",
        Ok(Some(Verdict::Unknown(_))) | Err(_) => "not_validated",
    }
}
