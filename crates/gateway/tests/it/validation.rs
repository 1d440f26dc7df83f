//! Answers that were to have a form: judged, counted and in the evidence.

use gateway::live::LiveRollout;
use gateway::snapshot::{OnInvalid, StreamValidation, Validation};
use rollout::{Arm, Metric};
use scripted::{Cut, Script, Upstream};
use store::{ExchangeDetail, Measured};

use crate::client::{Connection, post};
use crate::harness::{Gateway, Setup, rollout};
use crate::messages::at_anthropic;

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

const GOOD: &str = r#"{"a":1}"#;
const BAD: &str = r#"{"a":"one"}"#;

fn with(mut setup: Setup, on_invalid: OnInvalid) -> Setup {
    setup.validation = Validation { on_invalid, streams: StreamValidation::Hold };
    setup
}

/// The text an answer holds, streamed or not.
fn content(answer: &crate::client::Answer, streamed: bool) -> String {
    let text = answer.text();
    if !streamed {
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        return answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
    }
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let chunks = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
    let chunks = chunks.filter_map(|data| serde_json::from_str::<serde_json::Value>(data).ok());
    chunks.map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What the caller reads, and the role, target and validity of each attempt.
fn rescued(gateway: &Gateway, form: &str, streamed: bool) -> (String, Vec<String>) {
    let answer = post(gateway.addr, &asking(form, streamed));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let exchange = one(gateway);
    assert_eq!(exchange.exchange.outcome, "complete");
    let words = |attempt: &store::AttemptRow| {
        let measured = &attempt.measured;
        let valid = measured.schema_valid.or(measured.tool_calls_valid);
        let valid = valid.map_or("-", |valid| if valid { "valid" } else { "invalid" });
        let failure = measured.failure.as_deref().unwrap_or(valid);
        let tokens = measured.usage.map_or(0, |usage| usage.output_tokens);
        format!("{} {} {failure} {tokens}", attempt.role, attempt.target.as_deref().unwrap_or_default())
    };
    let attempts = exchange.attempts.iter().map(words).collect();
    assert_eq!(
        exchange.exchange.usage.map(|usage| usage.output_tokens),
        Some(2),
        "the tokens of the answer that was sent"
    );
    (content(&answer, streamed), attempts)
}

#[test]
fn an_invalid_answer_is_repaired_retried_or_left_to_the_next_target_streamed_or_not() {
    for streamed in [false, true] {
        for (policy, expected) in [
            (OnInvalid::Count, vec!["live a invalid 2"]),
            (OnInvalid::Repair, vec!["live a invalid 2", "repair a valid 2"]),
            (OnInvalid::Retry, vec!["live a invalid 2", "retry a valid 2"]),
            (OnInvalid::FailOver, vec!["live a invalid 2", "failover b valid 2"]),
        ] {
            let (a, b) = (saying(&[text(BAD), text(GOOD)]), saying(&[text(GOOD)]));
            let gateway = with(Setup::to(&[&a, &b]).falling_back_to(&["b"]), policy).start();
            let (content, attempts) = rescued(&gateway, SCHEMA, streamed);
            assert_eq!(attempts, expected, "{policy:?} {streamed}");
            assert_eq!(content, if policy == OnInvalid::Count { BAD } else { GOOD }, "{policy:?} {streamed}");
            let rescues = gateway.serving.totals().forms.rescues;
            let n = rescues.get(policy.as_str()).and_then(|results| results.get("valid")).copied().unwrap_or(0);
            assert_eq!(n, u64::from(policy != OnInvalid::Count));
        }
    }
}

#[test]
fn when_one_more_attempt_is_no_better_the_caller_gets_the_first_answer() {
    for streamed in [false, true] {
        let worse = r#"{"a":[]}"#;
        let (a, b) = (saying(&[text(BAD), text(worse)]), saying(&[text(worse)]));
        for (policy, second) in [
            (OnInvalid::Repair, "repair a invalid 2"),
            (OnInvalid::Retry, "retry a invalid 2"),
            (OnInvalid::FailOver, "failover b invalid 2"),
        ] {
            let a = saying(&[text(BAD), text(worse)]);
            let gateway = with(Setup::to(&[&a, &b]).falling_back_to(&["b"]), policy).start();
            let (content, attempts) = rescued(&gateway, SCHEMA, streamed);
            assert_eq!((content.as_str(), attempts[1].as_str()), (BAD, second), "{policy:?} {streamed}");
        }
        drop(a);
        // The second attempt fails, or there is nobody else.
        let dead = Upstream::with(|_| Script::error(500, "server_error", "down"));
        let first = saying(&[text(BAD)]);
        let gateway = with(Setup::to(&[&first, &dead]).falling_back_to(&["b"]), OnInvalid::FailOver).start();
        let (content, attempts) = rescued(&gateway, SCHEMA, streamed);
        assert_eq!(content, BAD);
        assert!(attempts[1].starts_with("failover b http_server_error"), "{attempts:?}");
        let alone = with(Setup::to(&[&first]), OnInvalid::FailOver).start();
        assert_eq!(rescued(&alone, SCHEMA, streamed), (BAD.to_owned(), vec!["live a invalid 2".to_owned()]));
    }
}

#[test]
fn a_repair_tells_the_model_what_it_said_and_what_is_wrong() {
    for streamed in [false, true] {
        let a = saying(&[text(BAD), text(GOOD)]);
        let gateway = with(Setup::to(&[&a]), OnInvalid::Repair).start();
        rescued(&gateway, SCHEMA, streamed);
        let sent: serde_json::Value = serde_json::from_slice(&a.requests()[1].body).unwrap();
        let messages = sent["messages"].as_array().unwrap();
        assert_eq!((messages.len(), sent["model"].as_str()), (3, Some("model-a")));
        assert_eq!(messages[1]["content"], BAD);
        assert!(messages[2]["content"].as_str().unwrap().contains("At /a: the value is not of type"), "{sent}");

        let a = saying(&[call("weather", r#"{"town":1}"#), call("weather", r#"{"city":"Bern"}"#)]);
        let gateway = with(Setup::to(&[&a]), OnInvalid::Repair).start();
        let (_, attempts) = rescued(&gateway, TOOLS, streamed);
        assert_eq!(attempts, ["live a invalid 2", "repair a valid 2"]);
        let sent: serde_json::Value = serde_json::from_slice(&a.requests()[1].body).unwrap();
        assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["arguments"], r#"{"town":1}"#);
        assert_eq!(sent["messages"][2]["tool_call_id"], sent["messages"][1]["tool_calls"][0]["id"]);
        assert!(sent["messages"][2]["content"].as_str().unwrap().contains("required"), "{sent}");
    }
}

/// One request of another dialect, and what came of it.
fn ask(gateway: &Gateway, path: &str, body: &str) -> (String, Vec<String>) {
    let mut connection = Connection::open(gateway.addr);
    connection.send("POST", path, &[], body.as_bytes());
    let answer = connection.answer().unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let attempts = one(gateway).attempts;
    let shown = attempts.iter().map(|one| {
        let (_, schema, calls, ..) = form(&one.measured);
        format!("{} {:?} {:?}", one.role, schema, calls)
    });
    (answer.text(), shown.collect())
}

#[test]
fn responses_and_messages_are_repaired_too() {
    let a = saying(&[text(BAD), text(GOOD)]);
    let gateway = with(Setup::to(&[&a]), OnInvalid::Repair).start();
    let schema = r#"{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}"#;
    let body = format!(
        r#"{{"model":"gpt-4o","input":"hi","text":{{"format":{{"type":"json_schema","name":"x","schema":{schema}}}}}}}"#
    );
    let (answer, attempts) = ask(&gateway, "/v1/responses", &body);
    assert_eq!(attempts, ["live Some(false) None", "repair Some(true) None"]);
    assert!(answer.contains(&serde_json::to_string(GOOD).unwrap()), "{answer}");
    let sent: serde_json::Value = serde_json::from_slice(&a.requests()[1].body).unwrap();
    assert_eq!((&sent["messages"][0]["content"], &sent["messages"][1]["content"]), (&"hi".into(), &BAD.into()));

    for streamed in [false, true] {
        // Anthropic's own answers are held against the schema and the tools as they are.
        let message = |block: &str, stop: &str| {
            let shown = if streamed { r#"{"type":"text","text":""}"# } else { block };
            let head = format!(
                r#"{{"id":"m","type":"message","role":"assistant","model":"c","content":[{}],"stop_reason":{},"stop_sequence":null,"usage":{{"input_tokens":1,"output_tokens":1}}}}"#,
                if streamed { "" } else { shown },
                if streamed { "null".to_owned() } else { format!("\"{stop}\"") }
            );
            if !streamed {
                return Script::json(head);
            }
            let events = [
                ("message_start", format!(r#""message":{head}"#)),
                ("content_block_start", format!(r#""index":0,"content_block":{block}"#)),
                ("content_block_stop", r#""index":0"#.to_owned()),
                (
                    "message_delta",
                    format!(r#""delta":{{"stop_reason":"{stop}","stop_sequence":null}},"usage":{{"output_tokens":1}}"#),
                ),
                ("message_stop", r#""x":0"#.to_owned()),
            ];
            Script::stream(
                events.map(|(kind, rest)| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{rest}}}\n\n")),
            )
        };
        let words = |words: &str| {
            message(&format!(r#"{{"type":"text","text":{}}}"#, serde_json::to_string(words).unwrap()), "end_turn")
        };
        let called = |input: &str| {
            message(&format!(r#"{{"type":"tool_use","id":"t","name":"weather","input":{input}}}"#), "tool_use")
        };
        let tools = r#""tools":[{"name":"weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}]"#;
        let format = format!(r#""output_config":{{"format":{{"type":"json_schema","schema":{schema}}}}}"#);
        let asked = |more: &str| {
            format!(
                r#"{{"model":"gpt-4o","max_tokens":9,"stream":{streamed},"messages":[{{"role":"user","content":"hi"}}],{more}}}"#
            )
        };
        for (scripts, more, expected) in [
            (vec![words(BAD), words(GOOD)], format.as_str(), ["live Some(false) None", "repair Some(true) None"]),
            (
                vec![called(r#"{"town":1}"#), called(r#"{"city":"Bern"}"#)],
                tools,
                ["live None Some(false)", "repair None Some(true)"],
            ),
        ] {
            let a = Upstream::start(scripts);
            let mut setup = with(Setup::to(&[&a]), OnInvalid::Repair);
            at_anthropic(&mut setup, 0, &a);
            let gateway = setup.start();
            let (_, attempts) = ask(&gateway, "/v1/messages", &asked(more));
            assert_eq!(attempts, expected, "{more} {streamed}");
            let sent: serde_json::Value = serde_json::from_slice(&a.requests()[1].body).unwrap();
            let turns = sent["messages"].as_array().unwrap();
            assert_eq!((turns.len(), &turns[1]["role"], &turns[2]["role"]), (3, &"assistant".into(), &"user".into()));
            assert!(turns[2].to_string().contains("not"), "{sent}");
        }
    }
}

#[test]
fn a_stream_that_is_not_held_is_only_counted() {
    let (a, b) = (saying(&[text(BAD), text(GOOD)]), saying(&[text(GOOD)]));
    let mut setup = Setup::to(&[&a, &b]).falling_back_to(&["b"]);
    setup.validation = Validation { on_invalid: OnInvalid::FailOver, streams: StreamValidation::Count };
    let gateway = setup.start();
    assert_eq!(rescued(&gateway, SCHEMA, true), (BAD.to_owned(), vec!["live a invalid 2".to_owned()]));
}

#[test]
fn the_guards_learn_of_the_first_attempt_whatever_the_rescue_did() {
    for streamed in [false, true] {
        for policy in [OnInvalid::Repair, OnInvalid::Retry, OnInvalid::FailOver] {
            let (a, b) = (saying(&[text(GOOD)]), saying(&[text(BAD), text(GOOD)]));
            let live = rollout(1.0, 0.0);
            let gateway = with(Setup::to(&[&a, &b]).with(&live), policy).start();
            let (content, attempts) = rescued(&gateway, SCHEMA, streamed);
            assert_eq!((content.as_str(), attempts[0].as_str()), (GOOD, "live b invalid 2"), "{policy:?}");
            assert_eq!((tally(&live, Metric::Format), tally(&live, Metric::Error)), ((1, 1), (1, 0)), "{policy:?}");
        }
    }
}

#[test]
fn a_held_stream_that_breaks_off_fails_over_as_if_nothing_had_come() {
    let cut = Upstream::with(|_| Script::stream([event(&text(r#"{"a":"#), "null")]).cut_after(60, Cut::Fin));
    let b = saying(&[text(GOOD)]);
    let gateway = with(Setup::to(&[&cut, &b]).falling_back_to(&["b"]), OnInvalid::FailOver).start();
    let (content, attempts) = rescued(&gateway, SCHEMA, true);
    assert_eq!((content.as_str(), attempts[1].as_str()), (GOOD, "failover b valid 2"));
}

#[test]
fn no_repair_is_made_beyond_the_budget() {
    let a = saying(&[text(BAD)]);
    let mut setup = with(Setup::to(&[&a]), OnInvalid::Retry);
    let mut provider = (*setup.targets[0].provider).clone();
    provider.retry_budget = providers::BudgetLimits { ratio: 0.0, floor: 0 };
    setup.targets[0].provider = std::sync::Arc::new(provider);
    let gateway = setup.start();
    assert_eq!(rescued(&gateway, SCHEMA, false), (BAD.to_owned(), vec!["live a invalid 2".to_owned()]));
    assert_eq!(a.requests().len(), 1);
}
