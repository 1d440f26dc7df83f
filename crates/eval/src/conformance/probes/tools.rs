//! Tool calls.

use serde_json::{Value, json};
use wire::capability::Capability as Can;
use wire::leak;

use super::streams::Told;
use crate::conformance::Row;
use crate::conformance::ask::Line;
use crate::conformance::case::{
    Case, Outcome, case, completion_tokens, degraded, fine, finish_of, missing, text_of, unknown,
};

const TOOL: &str = "get_weather";

/// Questions that the tool is made for.
const QUESTIONS: [&str; 2] =
    ["What is the weather in Paris right now? Use the tool get_weather.", "Call get_weather for Paris."];

fn tools() -> Value {
    json!([{"type": "function", "function": {
        "name": TOOL, "description": "The weather in a city right now.",
        "parameters": {
            "type": "object", "properties": {"city": {"type": "string", "description": "The city's name"}},
            "required": ["city"], "additionalProperties": false,
        },
    }}])
}

/// What an answer did with the tools.
enum Did {
    /// It called the tool, as it should.
    Called { n_calls: usize, finish: String },
    /// It called, and something is wrong with it.
    Wrong(String),
    /// It called in words.
    Leaked(leak::Family, String),
    /// It said something else.
    Spoke,
}

fn did(answer: &Value) -> Did {
    let message = &answer["choices"][0]["message"];
    let finish = finish_of(answer, 0).to_owned();
    let calls = message["tool_calls"].as_array().cloned().unwrap_or_default();
    if calls.is_empty() {
        return match leak::find(text_of(answer, 0), &[TOOL]) {
            Some(leak) => Did::Leaked(leak.family, finish),
            None => Did::Spoke,
        };
    }
    for call in &calls {
        if call["function"]["name"] != TOOL {
            return Did::Wrong("the call names another tool".to_owned());
        }
        if !call["id"].is_string() || call["type"] != "function" {
            return Did::Wrong("the call lacks id or type".to_owned());
        }
        let arguments =
            call["function"]["arguments"].as_str().and_then(|text| serde_json::from_str::<Value>(text).ok());
        if arguments.is_none_or(|arguments| !arguments["city"].is_string()) {
            return Did::Wrong("the arguments are not the JSON object of the tool's schema".to_owned());
        }
    }
    Did::Called { n_calls: calls.len(), finish }
}

/// Calls that the model decides on.
pub(super) async fn calls(line: &Line<'_>) -> Vec<Row> {
    let mut finish: Option<String> = None;
    let auto = case(line, Can::ToolsAuto, async |case| {
        for question in QUESTIONS {
            let answer = case.chat(question, &json!({"tools": tools(), "max_tokens": 128})).await?;
            match did(answer.success()?) {
                Did::Called { finish: reason, .. } => {
                    finish = Some(reason);
                    return fine();
                }
                Did::Leaked(family, reason) => {
                    return missing(format!(
                        "leaked as text in the words of {}, finish reason {reason}",
                        family.as_str()
                    ));
                }
                Did::Wrong(how) => return degraded(how),
                Did::Spoke => {}
            }
        }
        unknown("the model called no tool")
    })
    .await;
    let mut reason = case(line, Can::ToolsFinishReason, async |_| match finish.as_deref() {
        None => unknown("there is no tool call to look at"),
        Some("tool_calls") => fine(),
        Some(other) => degraded(format!("`{other}` in place of tool_calls")),
    })
    .await;
    reason.evidence.clone_from(&auto.evidence);
    let streamed = case(line, Can::ToolsStream, streamed).await;
    vec![auto, reason, streamed]
}

async fn streamed(case: &Case<'_, '_>) -> Outcome {
    for question in QUESTIONS {
        let answer = case.chat(question, &json!({"tools": tools(), "max_tokens": 128, "stream": true})).await?;
        if answer.status != 200 {
            return missing(answer.said());
        }
        let told = Told::of(&answer);
        let deltas: Vec<&Value> = told
            .chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array())
            .flatten()
            .collect();
        if deltas.is_empty() {
            if let Some(leak) = leak::find(&told.text(), &[TOOL]) {
                let reason = told.finishes().last().copied().unwrap_or("none").to_owned();
                let family = leak.family.as_str();
                return missing(format!("leaked as text in the words of {family}, finish reason {reason}"));
            }
            continue;
        }
        return adds_up(&deltas, told.finishes().last().copied());
    }
    unknown("the model called no tool")
}

/// What the official SDKs make of the parts: every text is joined, so what comes twice is there twice.
fn adds_up(deltas: &[&Value], finish: Option<&str>) -> Outcome {
    if deltas.iter().any(|delta| !delta["index"].is_u64()) {
        return degraded("a part has no index");
    }
    let of_first = deltas.iter().filter(|delta| delta["index"] == 0);
    let joined =
        |path: &dyn Fn(&Value) -> Option<String>| of_first.clone().filter_map(|delta| path(delta)).collect::<String>();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = joined(&|delta| text(&delta["function"]["name"]));
    if name != TOOL {
        return degraded(format!("the parts of the name join to `{name}`"));
    }
    let ids = of_first.clone().filter(|delta| delta["id"].as_str().is_some_and(|id| !id.is_empty())).count();
    if ids != 1 {
        return degraded(format!("the id comes {ids} times"));
    }
    let arguments = joined(&|delta| text(&delta["function"]["arguments"]));
    if serde_json::from_str::<Value>(&arguments).is_ok_and(|arguments| arguments["city"].is_string()) {
        match finish {
            // That a stream has none at all is a row of its own.
            Some("tool_calls") | None => fine(),
            Some(other) => degraded(format!("the finish reason is `{other}`")),
        }
    } else {
        degraded("the parts of the arguments join to no JSON object of the tool's schema")
    }
}

/// Calls that the caller decides on.
pub(super) async fn choices(line: &Line<'_>) -> Vec<Row> {
    let named = json!({"type": "function", "function": {"name": TOOL}});
    let named = case(line, Can::ToolChoiceNamed, async |case| forced(case, &named).await).await;
    let required = case(line, Can::ToolChoiceRequired, async |case| forced(case, &json!("required")).await).await;
    let none = case(line, Can::ToolChoiceNone, async |case| {
        let fields = json!({"tools": tools(), "tool_choice": "none", "max_tokens": 64});
        let answer = case.chat(QUESTIONS[0], &fields).await?;
        match did(answer.success()?) {
            Did::Spoke => fine(),
            Did::Called { .. } | Did::Wrong(_) => missing("the tool was called"),
            Did::Leaked(family, _) => missing(format!("the tool was called in the words of {}", family.as_str())),
        }
    })
    .await;
    vec![named, required, none]
}

/// Nobody would call the tool for these.
async fn forced(case: &Case<'_, '_>, choice: &Value) -> Outcome {
    let mut n_called = 0;
    let mut other_finish = None;
    const LIMIT: u64 = 96;
    // Some servers call a call finished that the limit has cut.
    let was_cut = |answer: &Value| {
        finish_of(answer, 0) == "length" || completion_tokens(answer).is_some_and(|n_tokens| n_tokens >= LIMIT)
    };
    const SAMPLES: [&str; 3] = ["Say hello.", "Tell me a joke about cats.", "What is two and two?"];
    for words in SAMPLES {
        let fields = json!({"tools": tools(), "tool_choice": choice, "max_tokens": LIMIT, "temperature": 1});
        let answer = case.chat(words, &fields).await?;
        match did(answer.success()?) {
            Did::Called { finish, .. } => {
                n_called += 1;
                // The vendor ends a call that was forced by name with stop, one that was required with tool_calls.
                if !matches!(finish.as_str(), "tool_calls" | "stop") {
                    other_finish = Some(finish);
                }
            }
            Did::Wrong(how) if was_cut(answer.success()?) => {
                return unknown(format!("cut by the limit: {how}"));
            }
            Did::Wrong(how) => return degraded(how),
            Did::Leaked(family, _) => return missing(format!("leaked as text in the words of {}", family.as_str())),
            Did::Spoke => {}
        }
    }
    match (n_called, other_finish) {
        (3, None) => fine(),
        (3, Some(finish)) => degraded(format!("the finish reason is `{finish}`")),
        (0, _) => missing("not forced: status 200 and free text"),
        (n, _) => degraded(format!("forced {n} times of 3")),
    }
}

/// What comes with tools.
pub(super) async fn others(line: &Line<'_>) -> Vec<Row> {
    let parallel = case(line, Can::ParallelToolCalls, async |case| {
        let fields = json!({"tools": tools(), "parallel_tool_calls": false, "max_tokens": 192});
        let answer = case.chat("What is the weather in Paris and in Rome? Use the tool for both.", &fields).await?;
        match did(answer.success()?) {
            Did::Called { n_calls: 1, .. } => fine(),
            Did::Called { n_calls, .. } => degraded(format!("taken, and {n_calls} calls made")),
            Did::Wrong(how) => degraded(how),
            Did::Spoke | Did::Leaked(..) => {
                unknown("taken; the model called no tool, so it is not known whether it is kept")
            }
        }
    })
    .await;
    let strict = case(line, Can::ToolStrict, async |case| {
        let mut tools = tools();
        tools[0]["function"]["strict"] = true.into();
        let answer = case.chat("Say hello.", &json!({"tools": tools, "max_tokens": 8})).await?;
        answer.success().map(|_| String::new())
    })
    .await;
    let messages = case(line, Can::ToolMessages, async |case| {
        let call = json!({"id": "call_1", "type": "function", "function": {"name": TOOL, "arguments": "{\"city\":\"Paris\"}"}});
        let messages = json!([
            {"role": "user", "content": "What is the weather in Paris?"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "{\"sky\":\"clear\",\"celsius\":21}"},
        ]);
        let answer = case.chat("", &json!({"messages": messages, "tools": tools()})).await?;
        let json = answer.success()?;
        if json["choices"][0]["message"].is_object() { fine() } else { missing("there is no answer to the tool's result") }
    })
    .await;
    let functions = case(line, Can::Functions, async |case| {
        let function = tools()[0]["function"].clone();
        let fields = json!({"functions": [function], "function_call": {"name": TOOL}, "max_tokens": 64});
        let answer = case.chat("What is the weather in Paris?", &fields).await?;
        let json = answer.success()?;
        match json["choices"][0]["message"]["function_call"]["name"].as_str() {
            Some(TOOL) => fine(),
            Some(_) => degraded("another function is called"),
            None => missing("ignored: status 200 without function_call"),
        }
    })
    .await;
    vec![parallel, strict, messages, functions]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_judged_as_the_sdks_join_them() {
        let part = |json: Value| json;
        let first =
            part(json!({"index": 0, "id": "c1", "type": "function", "function": {"name": TOOL, "arguments": ""}}));
        let more = part(json!({"index": 0, "function": {"arguments": "{\"city\":\"Paris\"}"}}));
        assert!(adds_up(&[&first, &more], Some("tool_calls")).is_ok());
        assert!(adds_up(&[&first, &more], Some("stop")).is_err());
        assert!(
            adds_up(&[&first, &first, &more], Some("tool_calls")).is_err(),
            "a name that comes twice is there twice"
        );
        assert!(adds_up(&[&first], Some("tool_calls")).is_err());
        let without = part(json!({"function": {"name": TOOL, "arguments": "{}"}}));
        assert!(adds_up(&[&without], Some("tool_calls")).is_err());
    }
}
