use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::*;

/// Judges each message of an answer to a request with these fields; one line each.
fn check(fields: &str, messages: &[&str], expected: Expect) {
    let request = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{fields}}}"#);
    let view = wire::request::parse(Endpoint::ChatCompletions, request.as_bytes()).unwrap();
    let mut validator = Validator::new();
    let mut out = String::new();
    for message in messages {
        let answer = format!(r#"{{"choices":[{{"index":0,"message":{message}}}]}}"#);
        let texts = wire::openai::answer::inspect(answer.as_bytes()).texts(answer.as_bytes());
        let judgement = judge(&mut validator, (&view, request.as_bytes()), Some(&texts));
        let Judgement { format_valid, schema_valid, tool_calls_valid, violation, not_validated } = judgement;
        let word = |valid: Option<bool>| valid.map_or("-", |valid| if valid { "yes" } else { "no" });
        write!(out, "{} {} {}", word(format_valid), word(schema_valid), word(tool_calls_valid)).unwrap();
        write!(out, " {}", violation.map_or("-".to_owned(), |violation| violation.to_string())).unwrap();
        writeln!(out, "{}", not_validated.map_or(String::new(), |why| format!(" ({})", why.as_str()))).unwrap();
    }
    expected.assert_eq(&out);
}

/// As OpenAI's SDKs write the schema of a class with `strict`.
const STRICT: &str = r##""response_format":{"type":"json_schema","json_schema":{"name":"math","strict":true,"schema":{
    "$defs":{"Step":{"properties":{"explanation":{"title":"Explanation","type":"string"},"output":{"type":["string","null"]}},
        "required":["explanation","output"],"title":"Step","type":"object","additionalProperties":false}},
    "properties":{"steps":{"items":{"$ref":"#/$defs/Step"},"title":"Steps","type":"array"},
        "final_answer":{"anyOf":[{"type":"number"},{"type":"string","enum":["none"]}]}},
    "required":["steps","final_answer"],"title":"Math","type":"object","additionalProperties":false}}}"##;

#[test]
fn a_strict_schema_is_checked_down_to_its_definitions() {
    let said = |content: &str| format!(r#"{{"role":"assistant","content":{}}}"#, serde_json::Value::from(content));
    let messages = [
        r#"{"steps":[{"explanation":"a","output":null}],"final_answer":4}"#,
        r#"{"steps":[],"final_answer":"none"}"#,
        r#"{"steps":[{"explanation":"a","output":"b"},{"explanation":7,"output":"b"}],"final_answer":4}"#,
        r#"{"steps":[{"explanation":"a"}],"final_answer":4}"#,
        r#"{"steps":[{"explanation":"a","output":"b","my secret":1}],"final_answer":4}"#,
        r#"{"steps":[],"final_answer":"four"}"#,
        r#"{"steps":[]"#,
        "```json\n{\"steps\":[],\"final_answer\":1}\n```",
        "",
    ]
    .map(said);
    let mut messages: Vec<&str> = messages.iter().map(String::as_str).collect();
    messages.push(r#"{"role":"assistant","content":null,"refusal":"I will not."}"#);
    check(
        STRICT,
        &messages,
        expect![[r#"
        yes yes - -
        yes yes - -
        yes no - content /steps/1/explanation: type
        yes no - content /steps/0: required
        yes no - content /steps/0: additionalProperties
        yes no - content /final_answer: anyOf
        no no - content: json
        no no - content: json
        no no - content: json
        - - - -
    "#]],
    );
}

const TOOLS: &str = r##""tools":[
    {"type":"function","function":{"name":"weather","strict":true,"parameters":{"type":"object","properties":{
        "city":{"type":"string"},"unit":{"enum":["c","f"]}},"required":["city","unit"],"additionalProperties":false}}},
    {"type":"function","function":{"name":"now"}},
    {"type":"function","function":{"name":"far","parameters":{"$ref":"https://example.com/schema.json"}}},
    {"type":"custom","custom":{"name":"grep"}}]"##;

#[test]
fn a_call_names_what_was_offered_and_has_the_arguments_it_takes() {
    let call = |name: &str, arguments: &str| {
        let arguments = serde_json::Value::from(arguments);
        format!(
            r#"{{"content":null,"tool_calls":[{{"id":"1","type":"function","function":{{"name":"{name}","arguments":{arguments}}}}}]}}"#
        )
    };
    let messages = [
        call("weather", r#"{"city":"Bern","unit":"c"}"#),
        call("weather", r#"{"city":"Bern","unit":"k"}"#),
        call("weather", r#"{"city":"Bern"}"#),
        call("weather", r#"{"city":"Bern","unit":"#),
        call("weather", r#"{"city":"Bern","unit":"c","private":1}"#),
        call("whether", "{}"),
        call("now", "{}"),
        call("now", "now"),
        call("far", "{}"),
        r#"{"content":"It is warm."}"#.to_owned(),
    ];
    check(
        TOOLS,
        &messages.each_ref().map(String::as_str),
        expect![[r#"
        yes - yes -
        yes - no tool_calls/0 /unit: enum
        yes - no tool_calls/0: required
        no - no tool_calls/0: json
        yes - no tool_calls/0: additionalProperties
        yes - no tool_calls/0: name
        yes - yes -
        no - no tool_calls/0: json
        yes - - - (reference)
        - - - -
    "#]],
    );
}

#[test]
fn the_second_of_two_calls_is_found_and_the_text_beside_them_is_not_judged() {
    let call = |arguments: &str| format!(r#"{{"function":{{"name":"weather","arguments":"{arguments}"}}}}"#);
    let good = call(r#"{\"city\":\"Bern\",\"unit\":\"c\"}"#);
    let message = format!(r#"{{"content":"Let me see.","tool_calls":[{good},{}]}}"#, call("{}"));
    check(
        TOOLS,
        &[&message],
        expect![[r#"
        yes - no tool_calls/1: required
    "#]],
    );
}

#[test]
fn what_is_asked_for_without_a_schema_is_judged_as_json() {
    check(
        r#""response_format":{"type":"json_object"}"#,
        &[r#"{"content":"{}"}"#, r#"{"content":"[]"}"#, r#"{"content":"no"}"#],
        expect![[r#"
            yes - - -
            no - - content: json
            no - - content: json
        "#]],
    );
    check(
        r#""response_format":{"type":"json_schema"}"#,
        &[r#"{"content":"{}"}"#],
        expect![[r#"
        yes - - - (schema)
    "#]],
    );
    check(
        r#""response_format":{"type":"text"}"#,
        &[r#"{"content":"{"}"#],
        expect![[r#"
        - - - -
    "#]],
    );
}

#[test]
fn a_response_is_judged_by_its_own_fields() {
    let request = r#"{"model":"m","input":"x","text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object","required":["a"]}}},
        "tools":[{"type":"function","name":"f","parameters":{"type":"object","required":["b"]}},{"type":"web_search"}]}"#;
    let view = wire::request::parse(Endpoint::Responses, request.as_bytes()).unwrap();
    let judged = |output: &str| {
        let answer = format!(r#"{{"object":"response","status":"completed","output":[{output}]}}"#);
        let texts = wire::openai::response::inspect(answer.as_bytes()).texts(answer.as_bytes());
        let judgement = judge(&mut Validator::new(), (&view, request.as_bytes()), Some(&texts));
        let first = judgement.violation.as_ref().map(ToString::to_string);
        (judgement.schema_valid, judgement.tool_calls_valid, first)
    };
    let text = |text: &str| format!(r#"{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}"#);
    let call = |name: &str| format!(r#"{{"type":"function_call","name":"{name}","arguments":"{{\"b\":1}}"}}"#);
    assert_eq!(judged(&text(r#"{\"a\":1}"#)), (Some(true), None, None));
    assert_eq!(judged(&text("{}")), (Some(false), None, Some("content: required".to_owned())));
    assert_eq!(judged(&call("f")), (None, Some(true), None));
    assert_eq!(judged(&call("g")), (None, Some(false), Some("tool_calls/0: name".to_owned())));
}

#[test]
fn a_stream_is_judged_by_what_was_gathered_of_it() {
    let request = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{TOOLS}}}"#);
    let view = wire::request::parse(Endpoint::ChatCompletions, request.as_bytes()).unwrap();
    let mut gathered = wire::openai::content::Accumulator::new();
    for delta in [
        r#"{"tool_calls":[{"index":0,"id":"1","function":{"name":"weather","arguments":""}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\":\"Be"}}]}"#,
        r#"{"tool_calls":[{"index":0,"function":{"name":"weather","arguments":"rn\",\"unit\":\"c\"}"}}]}"#,
    ] {
        gathered.push(format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#).as_bytes());
    }
    let mut validator = Validator::new();
    let mut judged = |choices| judge(&mut validator, (&view, request.as_bytes()), choices);
    assert_eq!(judged(gathered.choices()).tool_calls_valid, Some(true));
    let unknown = judged(None);
    assert!(!unknown.is_invalid() && unknown.not_validated == Some(Unvalidated::AnswerTooLong));
}
