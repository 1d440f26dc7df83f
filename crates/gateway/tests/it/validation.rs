//! Answers that were to have a form: judged, counted and in the evidence.

use gateway::live::LiveRollout;
use rollout::{Arm, Metric};
use scripted::{Script, Upstream};
use store::{ExchangeDetail, Measured};

use crate::client::post;
use crate::harness::{Gateway, Setup, rollout};

const SCHEMA: &str = r#""response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object",
    "properties":{"a":{"type":"integer"}},"required":["a"],"additionalProperties":false}}}"#;
const TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object",
    "properties":{"city":{"type":"string"}},"required":["city"]}}}]"#;

fn asking(form: &str, streamed: bool) -> String {
    format!(r#"{{"model":"gpt-4o","messages":[{{"role":"user","content":"x"}}],{form},"stream":{streamed}}}"#)
}

/// The data of one event.
fn event(delta: &str, finish: &str) -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{delta},\"finish_reason\":{finish}}}]}}\n\n")
}

/// What answers with this message, which holds no object but in `tool_calls`, streamed if so asked.
fn script(message: &str, streamed: bool) -> Script {
    if streamed {
        let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
        let end = event("{}", "\"stop\"");
        return Script::stream([format!("{}{end}data: {usage}\n\ndata: [DONE]\n\n", event(message, "null"))]);
    }
    let usage = r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#;
    Script::json(format!(r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}],"usage":{usage}}}"#))
}

fn text(content: &str) -> String {
    format!(r#"{{"role":"assistant","content":{}}}"#, serde_json::Value::from(content))
}

fn call(name: &str, arguments: &str) -> String {
    let arguments = serde_json::Value::from(arguments);
    format!(
        r#"{{"role":"assistant","tool_calls":[{{"index":0,"id":"c1","type":"function","function":{{"name":"{name}","arguments":{arguments}}}}}]}}"#
    )
}

/// An upstream that answers with these messages in turn, then with the last one again.
fn saying(messages: &[String]) -> Upstream {
    let messages = messages.to_vec();
    let n = std::sync::atomic::AtomicUsize::new(0);
    Upstream::with(move |request| {
        let n = n.fetch_add(1, std::sync::atomic::Ordering::Relaxed).min(messages.len() - 1);
        script(&messages[n], request.text().contains("\"stream\":true"))
    })
}

fn one(gateway: &Gateway) -> ExchangeDetail {
    gateway.exchanges(1).remove(0)
}

/// Format, schema, tool calls, violation, not validated.
type Form<'a> = (Option<bool>, Option<bool>, Option<bool>, Option<&'a str>, Option<&'a str>);

fn form(measured: &Measured) -> Form<'_> {
    let Measured { format_valid, schema_valid, tool_calls_valid, violation, not_validated, .. } = measured;
    (*format_valid, *schema_valid, *tool_calls_valid, violation.as_deref(), not_validated.as_deref())
}

fn tally(live: &LiveRollout, metric: Metric) -> (u64, u64) {
    let tally = live.evidence().arm(Arm::Candidate).tally(metric);
    (tally.n, tally.bad)
}

#[test]
fn a_text_is_held_against_its_schema_streamed_or_not() {
    for streamed in [false, true] {
        for (content, schema_valid, violation) in [
            (r#"{"a":1}"#, true, None),
            (r#"{"a":"one"}"#, false, Some("content /a: type")),
            (r#"{"a":1,"b":2}"#, false, Some("content: additionalProperties")),
        ] {
            let a = saying(&[text(content)]);
            let gateway = Setup::to(&[&a]).start();
            let answer = post(gateway.addr, &asking(SCHEMA, streamed));
            assert_eq!(answer.status, 200, "counted only: the caller gets what was said");
            let exchange = one(&gateway);
            let expected = (Some(true), Some(schema_valid), None, violation, None);
            assert_eq!(form(&exchange.attempts[0].measured), expected, "{content} {streamed}");
            let totals = gateway.serving.totals().forms;
            let judged = totals.judged["a"]["schema"];
            assert_eq!((judged.valid, judged.invalid), (u64::from(schema_valid), u64::from(!schema_valid)));
        }
    }
}

#[test]
fn a_tool_call_is_held_against_what_was_offered_streamed_or_not() {
    for streamed in [false, true] {
        for (message, format_valid, violation) in [
            (call("weather", r#"{"city":"Bern"}"#), true, None),
            (call("weather", r#"{"town":"Bern"}"#), true, Some("tool_calls/0: required")),
            (call("whether", r#"{"city":"Bern"}"#), true, Some("tool_calls/0: name")),
            (call("weather", r#"{"city":"#), false, Some("tool_calls/0: json")),
        ] {
            let a = saying(std::slice::from_ref(&message));
            let gateway = Setup::to(&[&a]).start();
            assert_eq!(post(gateway.addr, &asking(TOOLS, streamed)).status, 200);
            let expected = (Some(format_valid), None, Some(violation.is_none()), violation, None);
            assert_eq!(form(&one(&gateway).attempts[0].measured), expected, "{message} {streamed}");
        }
    }
}

#[test]
fn what_has_no_form_is_not_looked_at_and_what_cannot_be_checked_is_said_to_be_so() {
    let a = saying(&[text("{}")]);
    let gateway = Setup::to(&[&a]).start();
    post(gateway.addr, &asking(r#""n":1"#, false));
    assert_eq!(form(&one(&gateway).attempts[0].measured), (None, None, None, None, None));
    let a = saying(&[text("{}")]);
    let gateway = Setup::to(&[&a]).start();
    let far = r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"$ref":"http://127.0.0.1:1/schema"}}}"#;
    assert_eq!(post(gateway.addr, &asking(far, false)).status, 200);
    assert_eq!(form(&one(&gateway).attempts[0].measured), (Some(true), None, None, None, Some("reference")));
    assert_eq!(gateway.serving.totals().forms.not_validated["a"]["reference"], 1);
}

#[test]
fn both_arms_and_the_copies_are_judged_alike() {
    for streamed in [false, true] {
        let (a, b) = (saying(&[text(r#"{"a":1}"#)]), saying(&[text(r#"{"a":"1"}"#)]));
        let live = rollout(1.0, 0.0);
        let gateway = Setup::to(&[&a, &b]).with(&live).start();
        assert_eq!(post(gateway.addr, &asking(SCHEMA, streamed)).status, 200);
        assert_eq!((tally(&live, Metric::Format), tally(&live, Metric::ToolCall)), ((1, 1), (1, 0)));

        let (a, b) = (saying(&[call("weather", r#"{"city":"Bern"}"#)]), saying(&[call("weather", "{}")]));
        let live = rollout(0.0, 1.0);
        let gateway = Setup::to(&[&a, &b]).with(&live).start();
        assert_eq!(post(gateway.addr, &asking(TOOLS, streamed)).status, 200);
        crate::harness::until("the pair is complete", || live.evidence().n_pairs() == 1);
        assert_eq!((tally(&live, Metric::Format), tally(&live, Metric::ToolCall)), ((1, 0), (1, 1)));
        crate::harness::until("both on record", || one(&gateway).attempts.len() == 2);
        let copy = one(&gateway).attempts.into_iter().find(|attempt| attempt.role == "shadow").unwrap();
        assert_eq!(copy.measured.violation.as_deref(), Some("tool_calls/0: required"));
    }
}

#[test]
fn what_could_not_be_checked_is_no_evidence_of_its_form() {
    let (a, b) = (saying(&[text("{}")]), saying(&[text("{}")]));
    let live = rollout(1.0, 0.0);
    let gateway = Setup::to(&[&a, &b]).with(&live).start();
    let far = r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"$ref":"http://127.0.0.1:1/schema"}}}"#;
    assert_eq!(post(gateway.addr, &asking(far, false)).status, 200);
    assert_eq!((tally(&live, Metric::Error), tally(&live, Metric::Format)), ((1, 0), (0, 0)));
}
