//! Bodies in OpenAI's shape, so that tests need not spell them out.

/// A whole chat answer.
pub fn chat_completion(content: &str) -> String {
    format!(
        r#"{{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"scripted","choices":[{{"index":0,"message":{{"role":"assistant","content":{},"refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}}}"#,
        quoted(content)
    )
}

/// A whole chat stream: role, one event per delta, finish, usage when asked, `[DONE]`.
pub fn chat_stream(deltas: &[&str], usage: bool) -> Vec<String> {
    let mut events = vec![chunk(r#"{"role":"assistant","content":"","refusal":null}"#, "null")];
    events.extend(deltas.iter().map(|delta| chunk(&format!(r#"{{"content":{}}}"#, quoted(delta)), "null")));
    events.push(chunk("{}", r#""stop""#));
    if usage {
        events.push(format!(
            "data: {{{HEAD},\"choices\":[],\"usage\":{{\"prompt_tokens\":9,\"completion_tokens\":{},\"total_tokens\":{}}}}}\n\n",
            deltas.len(),
            9 + deltas.len()
        ));
    }
    events.push("data: [DONE]\n\n".to_owned());
    events
}

const HEAD: &str = r#""id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"scripted""#;

fn chunk(delta: &str, finish_reason: &str) -> String {
    format!(
        "data: {{{HEAD},\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{finish_reason}}}]}}\n\n"
    )
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            control if control < ' ' => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}
