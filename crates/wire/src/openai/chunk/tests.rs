use std::fmt::Write;

use expect_test::expect;

use super::*;

fn show(data: &str) -> String {
    let facts = inspect(data.as_bytes());
    let mut words = Vec::new();
    for (word, said) in [
        ("broken", !facts.valid),
        ("done", facts.done),
        ("error", facts.error),
        ("content", facts.has_content),
        ("usage_only", facts.usage_only),
    ] {
        if said {
            words.push(word.to_owned());
        }
    }
    words.extend(facts.finish_reason_in(data.as_bytes()).map(|reason| format!("finish={reason}")));
    words.extend(facts.usage.map(|usage| format!("usage={}+{}", usage.input_tokens, usage.output_tokens)));
    if let Disposition::Cut(range) = facts.disposition(true) {
        let left = format!("{}{}", &data[..range.start], &data[range.end..]);
        assert!(serde_json::from_str::<serde_json::Value>(&left).unwrap().get("usage").is_none());
        words.push(format!("left={left}"));
    }
    words.join(" ")
}

#[test]
fn a_chunk_tells_whether_it_holds_anything_the_caller_waits_for() {
    let mut out = String::new();
    for delta in [
        r#"{"role":"assistant"}"#,
        r#"{"role":"assistant","content":""}"#,
        r#"{"role":"assistant","content":null,"tool_calls":[]}"#,
        r#"{"content":"x"}"#,
        r#"{"cont\u0065nt":"x"}"#,
        r#"{"reasoning_content":"hm"}"#,
        r#"{"reasoning":"hm"}"#,
        r#"{"refusal":"no"}"#,
        r#"{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":""}}]}"#,
        r#"{"function_call":{"arguments":"{"}}"#,
        r#"{"content":"","note":"\"content\":\"x\""}"#,
        "{}",
    ] {
        let data = format!(
            r#"{{"object":"chat.completion.chunk","choices":[{{"index":0,"delta":{delta},"finish_reason":null}}]}}"#
        );
        writeln!(out, "{delta}: {}", show(&data)).unwrap();
    }
    expect![[r#"
        {"role":"assistant"}: 
        {"role":"assistant","content":""}: 
        {"role":"assistant","content":null,"tool_calls":[]}: 
        {"content":"x"}: content
        {"cont\u0065nt":"x"}: content
        {"reasoning_content":"hm"}: content
        {"reasoning":"hm"}: content
        {"refusal":"no"}: content
        {"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":""}}]}: content
        {"function_call":{"arguments":"{"}}: content
        {"content":"","note":"\"content\":\"x\""}: 
        {}: 
    "#]]
    .assert_eq(&out);
}

#[test]
fn ends_errors_and_usage_are_told() {
    let mut out = String::new();
    for data in [
        "[DONE]",
        " [DONE] ",
        r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#,
        r#"{"choices":[{"index":0,"text":"abc","finish_reason":null}]}"#,
        r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
        r#"{"choices":[],"prompt_filter_results":[]}"#,
        r#"{"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#,
        r#"{"error":{"message":"overloaded"}}"#,
        r#"{"error":null,"choices":[]}"#,
        r#"{"error":{},"choices":[]}"#,
        r#"{"error":"x"}"#,
        r#"{"error":0}"#,
        r#"{"error":500}"#,
        r#"{"object":"error","message":"x"}"#,
        r#"{"choices":"no"}"#,
        "{\"choices\":[{\"delta\":{\"content\":\"x\"}]}",
        "{\"choices\":[]}x",
        "hello",
        "",
        "[]",
    ] {
        writeln!(out, "{data}: {}", show(data)).unwrap();
    }
    expect![[r#"
        [DONE]: done
         [DONE] : done
        {"choices":[{"delta":{},"finish_reason":"stop"}]}: finish=stop
        {"choices":[{"index":0,"text":"abc","finish_reason":null}]}: content
        {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}: usage_only usage=3+4
        {"choices":[],"prompt_filter_results":[]}: 
        {"choices":[{"delta":{"content":"x"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}: content usage=3+1
        {"error":{"message":"overloaded"}}: error
        {"error":null,"choices":[]}: 
        {"error":{},"choices":[]}: 
        {"error":"x"}: error
        {"error":0}: 
        {"error":500}: error
        {"object":"error","message":"x"}: error
        {"choices":"no"}: 
        {"choices":[{"delta":{"content":"x"}]}: broken
        {"choices":[]}x: broken
        hello: broken
        : broken
        []: broken
    "#]]
    .assert_eq(&out);
}

#[test]
fn a_null_usage_can_be_cut_wherever_it_stands() {
    let mut out = String::new();
    for data in [
        r#"{"usage":null}"#,
        r#"{"usage":null, "choices":[]}"#,
        r#"{ "choices":[] , "usage" : null }"#,
        r#"{"choices":[],"usage":null,"x":1}"#,
    ] {
        writeln!(out, "{}", show(data)).unwrap();
    }
    expect![[r#"
        left={}
        left={"choices":[]}
        left={ "choices":[] }
        left={"choices":[],"x":1}
    "#]]
    .assert_eq(&out);
}

#[test]
fn what_only_crossfade_asked_for_does_not_reach_the_caller() {
    let last = inspect(br#"{"choices":[],"usage":{"prompt_tokens":3}}"#);
    assert_eq!(last.disposition(true), Disposition::Drop);
    assert_eq!(last.disposition(false), Disposition::Pass);
    let null = inspect(br#"{"choices":[],"usage":null}"#);
    assert_eq!(null.disposition(false), Disposition::Pass);
    let plain = inspect(br#"{"choices":[{"delta":{"content":"x"}}]}"#);
    assert_eq!(plain.disposition(true), Disposition::Pass);
}
