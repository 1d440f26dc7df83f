//! Streamed chat completions.

use serde_json::{Value, json};

use super::chat::Choice;
use super::{MODEL, Quirk, Vendor};
use crate::Script;

impl Vendor {
    pub(super) fn stream(&self, body: &Value, choices: &[Choice], usage: &Value) -> Script {
        let asked = body["stream_options"]["include_usage"] == true;
        let told = asked && !self.has(Quirk::NoStreamUsage) && !self.has(Quirk::UsageOnFinish);
        let mut events = Vec::new();
        let mut push = |choices: Value, usage: Option<&Value>| {
            let mut chunk = json!({
                "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": MODEL,
                "choices": choices,
            });
            if told {
                chunk["usage"] = Value::Null;
            }
            if let Some(usage) = usage {
                chunk["usage"] = usage.clone();
            }
            events.push(format!("data: {chunk}\n\n"));
        };
        for (index, choice) in choices.iter().enumerate() {
            let delta = |delta: Value| json!([{"index": index, "delta": delta, "finish_reason": null}]);
            let blank = if self.has(Quirk::StreamDiffers) { "  - " } else { "" };
            push(delta(json!({"role": "assistant", "content": blank})), None);
            for word in &choice.words {
                push(delta(json!({"content": word})), None);
            }
            for part in self.call_parts(choice) {
                push(delta(json!({"tool_calls": [part]})), None);
            }
            let finish = if self.has(Quirk::NoStreamFinish) { Value::Null } else { choice.finish.into() };
            let on_finish = self.has(Quirk::UsageOnFinish).then_some(usage);
            push(json!([{"index": index, "delta": {}, "finish_reason": finish}]), on_finish);
        }
        if told {
            push(json!([]), Some(usage));
        }
        if !self.has(Quirk::NoDone) {
            events.push("data: [DONE]\n\n".to_owned());
        }
        self.after_stream(Script::stream(events))
    }

    /// Tool calls in parts: the head, then the arguments in two.
    fn call_parts(&self, choice: &Choice) -> Vec<Value> {
        let mut parts = Vec::new();
        for (index, call) in
            choice.message.get("tool_calls").and_then(Value::as_array).into_iter().flatten().enumerate()
        {
            let (name, arguments) =
                (&call["function"]["name"], call["function"]["arguments"].as_str().unwrap_or_default());
            let (first, second) = arguments.split_at(arguments.len() / 2);
            let head = json!({"index": index, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}});
            let mut of_this = vec![head];
            for piece in [first, second] {
                let mut part = json!({"index": index, "function": {"arguments": piece}});
                if self.has(Quirk::ToolPartsRepeat) {
                    part["id"] = call["id"].clone();
                    part["function"]["name"] = name.clone();
                }
                of_this.push(part);
            }
            if self.has(Quirk::ToolPartsWithoutIndex) {
                of_this.iter_mut().filter_map(Value::as_object_mut).for_each(|part| drop(part.remove("index")));
            }
            parts.extend(of_this);
        }
        parts
    }
}
