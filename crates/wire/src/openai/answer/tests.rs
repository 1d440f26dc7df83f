use std::fmt::Write;

use expect_test::expect;

use super::*;

#[test]
fn an_answer_tells_its_usage_its_end_and_where_its_content_is() {
    let body = r#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"a \"b\"","refusal":null,
        "tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},"finish_reason":"stop"},
        {"index":1,"message":{"content":null,"refusal":"no"},"finish_reason":"length"}],
        "usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    let facts = inspect(body.as_bytes());
    let at = |range: &Option<Range<usize>>| range.clone().map(|range| &body[range]);
    assert!(facts.valid && facts.has_answer && !facts.is_error_object);
    assert_eq!(facts.usage.map(|usage| usage.output_tokens), Some(4));
    assert_eq!(facts.finish_reason.as_deref(), Some("stop"));
    assert_eq!(at(&facts.choices[0].content), Some(r#""a \"b\"""#));
    assert_eq!(at(&facts.choices[0].tool_calls[0].arguments), Some(r#""{}""#));
    assert_eq!(at(&facts.choices[0].tool_calls[0].name), Some(r#""f""#));
    assert_eq!(at(&facts.choices[1].content), None);
    assert_eq!(at(&facts.choices[1].refusal), Some(r#""no""#));
}

#[test]
fn errors_embeddings_and_garbage_are_told_apart() {
    let mut out = String::new();
    for body in [
        r#"{"error":{"message":"x"}}"#,
        r#"{"error":null,"choices":[]}"#,
        r#"{"object":"error","message":"x"}"#,
        r#"{"object":"list","data":[{"embedding":[0.1,-0.2]}],"usage":{"prompt_tokens":5,"total_tokens":5}}"#,
        r#"{"choices":[{"message":"#,
        "<html>",
        "",
        "{}",
    ] {
        let facts = inspect(body.as_bytes());
        let (valid, error, answer) = (facts.valid, facts.is_error_object, facts.has_answer);
        writeln!(out, "{body}: valid={valid} error={error} answer={answer} {:?}", facts.usage.map(|u| u.input_tokens))
            .unwrap();
    }
    expect![[r#"
        {"error":{"message":"x"}}: valid=true error=true answer=false None
        {"error":null,"choices":[]}: valid=true error=false answer=true None
        {"object":"error","message":"x"}: valid=true error=true answer=false None
        {"object":"list","data":[{"embedding":[0.1,-0.2]}],"usage":{"prompt_tokens":5,"total_tokens":5}}: valid=true error=false answer=true Some(5)
        {"choices":[{"message":: valid=false error=false answer=false None
        <html>: valid=false error=false answer=false None
        : valid=false error=false answer=false None
        {}: valid=true error=false answer=false None
    "#]].assert_eq(&out);
}

#[test]
fn the_format_of_an_answer_is_judged_over_all_choices_and_tool_calls() {
    let valid = |format, messages: &[&str]| {
        let choices: Vec<String> = messages.iter().map(|message| format!(r#"{{"message":{message}}}"#)).collect();
        let body = format!(r#"{{"choices":[{}]}}"#, choices.join(","));
        inspect(body.as_bytes()).format_valid(body.as_bytes(), format)
    };
    use ResponseFormat::{JsonObject, Text};
    assert_eq!(valid(Text, &[r#"{"content":"hi"}"#]), None);
    assert_eq!(valid(JsonObject, &[r#"{"content":"{\"a\":\"\\u00e9\\n\"}"}"#]), Some(true));
    assert_eq!(valid(JsonObject, &[r#"{"content":"{\"a\":"}"#]), Some(false));
    assert_eq!(valid(JsonObject, &[r#"{"content":"{}"}"#, r#"{"content":"no"}"#]), Some(false));
    assert_eq!(valid(JsonObject, &[r#"{"content":null}"#]), Some(false));
    assert_eq!(valid(JsonObject, &[r#"{"content":null,"refusal":"no"}"#]), None);
    let call = |arguments: &str| {
        format!(r#"{{"content":null,"tool_calls":[{{"function":{{"name":"f","arguments":{arguments}}}}}]}}"#)
    };
    assert_eq!(valid(Text, &[&call(r#""{\"x\":1}""#)]), Some(true));
    assert_eq!(valid(Text, &[&call(r#""{\"x\":""#)]), Some(false));
    assert_eq!(valid(JsonObject, &[&call(r#""{}""#)]), Some(true));
    assert_eq!(valid(Text, &[&call(r#""""#)]), Some(false));
}
