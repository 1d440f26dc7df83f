//! Every field of a chat request and of its answer travels through untouched, streamed or not.

use scripted::{Received, Script, Upstream, chat_completion, chat_stream};

use crate::client::Connection;
use crate::harness::Setup;

/// Fields as applications send them. One name may come with several values.
const FIELDS: &[&str] = &[
    r#""n":3"#,
    r#""logprobs":true,"top_logprobs":5"#,
    r#""stop":"END""#,
    r#""stop":["\n", "EOT"]"#,
    r#""seed":9223372036854775807"#,
    r#""seed":-1"#,
    r#""temperature":0.30000000000000004,"top_p":1E-2"#,
    r#""presence_penalty":-2.0,"frequency_penalty":2"#,
    r#""logit_bias":{"50256":-100}"#,
    r#""max_tokens":1"#,
    r#""max_completion_tokens":4096"#,
    r#""tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}],"parallel_tool_calls":false"#,
    r#""tools":[{"type":"custom","custom":{"name":"g","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: \"x\""}}}}]"#,
    r#""tool_choice":"none""#,
    r#""tool_choice":"required""#,
    r#""tool_choice":{"type":"function","function":{"name":"f"}}"#,
    r#""tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}"#,
    r#""response_format":{"type":"text"}"#,
    r#""response_format":{"type":"json_object"}"#,
    r#""response_format":{"type":"json_schema","json_schema":{"name":"t","strict":true,"schema":{"type":"object","properties":{},"additionalProperties":false}}}"#,
    r#""functions":[{"name":"f","parameters":{}}],"function_call":{"name":"f"}"#,
    r#""function_call":"auto""#,
    r#""modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}"#,
    r#""prediction":{"type":"content","content":"x"}"#,
    r#""reasoning_effort":"low","verbosity":"high""#,
    r#""reasoning":{"effort":"low"},"chat_template_kwargs":{"enable_thinking":false}"#,
    r#""service_tier":"flex","prompt_cache_key":"k","prompt_cache_retention":"24h","safety_identifier":"s""#,
    r#""store":true,"metadata":{"ticket":"7","conversation_id":"c"}"#,
    r#""user":"u-\u00e9""#,
    r#""web_search_options":{"search_context_size":"low"}"#,
    r#""moderation":{"model":"omni-moderation-latest"}"#,
    r#""top_k":40,"min_p":0.05,"repetition_penalty":1.1,"ignore_eos":true,"guided_json":{"a":[1,2.50,null]}"#,
    r#""stop":null,"tools":null,"response_format":null,"n":null,"user":null"#,
];

/// Messages with everything that may be in them.
const MESSAGES: &[&str] = &[
    r#"[{"role":"user","content":"hi"}]"#,
    r#"[{"role":"developer","content":[{"type":"text","text":"be brief"}]},{"role":"user","name":"ann","content":[{"type":"text","text":"what is this?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo=","detail":"low"}},{"type":"input_audio","input_audio":{"data":"UklGRg==","format":"wav"}},{"type":"file","file":{"file_id":"file-1"}}]}]"#,
    r#"[{"role":"user","content":"hi"},{"role":"assistant","content":null,"refusal":null,"audio":{"id":"audio_1"},"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":\"\\u2028\"}"}},{"id":"call_2","type":"custom","custom":{"name":"g","input":"x"}}]},{"role":"tool","tool_call_id":"call_1","content":"[1, 2]"},{"role":"function","name":"f","content":"{}"}]"#,
    r#"[{"role":"assistant","content":[{"type":"refusal","refusal":"no"}],"reasoning_content":"hm"},{"role":"user","content":""}]"#,
];

fn requests() -> Vec<String> {
    let with_fields = FIELDS.iter().map(|field| (MESSAGES[0], *field));
    let with_messages = MESSAGES.iter().map(|messages| (*messages, r#""unknown":[{ }]"#));
    with_fields
        .chain(with_messages)
        .map(|(messages, field)| format!(r#"{{"model" : "gpt-4o", {field} ,"messages":{messages}}}"#))
        .collect()
}

#[test]
fn every_field_of_a_plain_request_arrives_byte_for_byte() {
    let upstream = Upstream::start(vec![Script::json(chat_completion("x"))]);
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    for (idx, request) in requests().iter().enumerate() {
        connection.post(request);
        assert_eq!(connection.answer().unwrap().status, 200, "{request}");
        assert_eq!(upstream.requests()[idx].text(), request.replace("gpt-4o", "model-a"));
    }
}

#[test]
fn every_field_of_a_streamed_request_arrives_byte_for_byte_with_the_usage_asked_for() {
    let upstream = Upstream::with(|received: &Received| {
        let n = if received.text().contains(r#""n":3"#) { 3 } else { 1 };
        let mut events = chat_stream(&["x"], true);
        let finish = events[2].clone();
        (1..n).for_each(|choice| events.insert(3, finish.replace(r#""index":0"#, &format!(r#""index":{choice}"#))));
        Script::stream(events)
    });
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    for (idx, request) in requests().iter().enumerate() {
        let streamed = request.replacen('{', r#"{"stream":true,"#, 1);
        connection.post(&streamed);
        let answer = connection.answer().unwrap();
        assert!(answer.whole && answer.text().ends_with("data: [DONE]\n\n"), "{request}: {}", answer.text());
        let expected = streamed.replace("gpt-4o", "model-a");
        let expected = format!(r#"{},"stream_options":{{"include_usage":true}}}}"#, &expected[..expected.len() - 1]);
        assert_eq!(upstream.requests()[idx].text(), expected);
    }
}

#[test]
fn other_stream_options_stay_when_the_usage_is_asked_for() {
    let upstream = Upstream::start(vec![Script::stream(chat_stream(&["x"], true))]);
    let gateway = Setup::to(&[&upstream]).start();
    let mut connection = Connection::open(gateway.addr);
    connection.post(r#"{"model":"gpt-4o","stream":true,"stream_options":{"include_obfuscation":false},"messages":[]}"#);
    assert_eq!(connection.answer().unwrap().text(), chat_stream(&["x"], false).concat());
    let sent = upstream.requests()[0].text();
    assert!(sent.contains(r#""stream_options":{"include_usage":true,"include_obfuscation":false}"#), "{sent}");
}

/// Everything that may be in an answer.
const ANSWERS: &[&str] = &[
    r#""message":{"role":"assistant","content":"a","refusal":null,"annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":1,"title":"t","url":"u"}}]},"logprobs":{"content":[{"token":"a","logprob":-0.30000001,"bytes":[97],"top_logprobs":[]}],"refusal":null},"finish_reason":"stop""#,
    r#""message":{"role":"assistant","content":null,"refusal":"no","reasoning_content":"hm","reasoning":"hm"},"finish_reason":"content_filter""#,
    r#""message":{"role":"assistant","content":null,"audio":{"id":"audio_1","expires_at":1,"data":"UklGRg==","transcript":"a"}},"finish_reason":"stop""#,
    r#""message":{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},"finish_reason":"function_call""#,
    r#""message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},{"id":"call_2","type":"custom","custom":{"name":"g","input":"x"}}]},"finish_reason":"tool_calls""#,
];

#[test]
fn every_field_of_an_answer_arrives_byte_for_byte_streamed_or_not() {
    for answer in ANSWERS {
        let whole = format!(
            r#"{{"id":"1","object":"chat.completion","created":1,"model":"m-0","system_fingerprint":"fp","service_tier":"default","choices":[{{"index":0, {answer}}},{{"index":1, {answer}}}],"usage":{{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"completion_tokens_details":{{"accepted_prediction_tokens":0,"audio_tokens":0,"reasoning_tokens":0,"rejected_prediction_tokens":0}}}},"later":{{}}}}"#
        );
        let chunk = answer.replacen(r#""message""#, r#""delta""#, 1);
        let stream = format!(
            "event: x\nid: 7\ndata: {{\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"obfuscation\":\"xxxx\",\"choices\":[{{\"index\":0, {chunk}}}]}}\n\n: note\n\ndata: [DONE]\n\n"
        );
        let upstream = Upstream::start(vec![Script::json(whole.clone()), Script::stream([stream.clone()])]);
        let gateway = Setup::to(&[&upstream]).start();
        let mut connection = Connection::open(gateway.addr);
        connection.post(r#"{"model":"gpt-4o","n":2,"messages":[]}"#);
        assert_eq!(connection.answer().unwrap().text(), whole);
        connection.post(r#"{"model":"gpt-4o","stream":true,"messages":[]}"#);
        assert_eq!(connection.answer().unwrap().text(), stream);
    }
}
