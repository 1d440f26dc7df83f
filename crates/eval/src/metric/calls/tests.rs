use serde_json::json;

use super::super::named as metric_named;
use super::*;

fn weather() -> Case {
    Case {
        tools: vec![
            Tool {
                name: "get_weather".into(),
                parameters: json!({
                    "type": "object",
                    "properties": { "city": { "type": "string" }, "days": { "type": "integer" }, "unit": { "type": "string" } },
                    "required": ["city"],
                }),
            },
            Tool { name: "get_time".into(), parameters: json!({ "type": "object", "properties": {} }) },
        ],
        calls: vec![vec![
            json!({ "get_weather": { "city": ["Paris", "Paris, France"], "days": [3, ""], "unit": [""] } }),
        ]],
        ..Case::default()
    }
}

fn called(calls: &[(&str, &str)]) -> Answer {
    let calls = calls.iter().map(|(name, arguments)| Call { name: (*name).into(), arguments: (*arguments).into() });
    Answer { calls: calls.collect(), ..Answer::default() }
}

fn said(text: &str) -> Answer {
    Answer { text: text.to_owned(), ..Answer::default() }
}

fn check(case: &Case, answer: &Answer, value: f64, outcome: &str) {
    let score = metric_named("tool_calls", &Value::Null).unwrap().score(case, answer);
    assert_eq!((score.as_value(), score.outcome.as_deref()), (Some(value), Some(outcome)), "{answer:?}");
}

#[test]
fn a_call_is_right_in_every_form_that_is_accepted() {
    check(&weather(), &called(&[("get_weather", r#"{"city":"PARIS"}"#)]), 1.0, "correct");
    check(&weather(), &called(&[("get_weather", r#"{"city":"paris france","days":3}"#)]), 1.0, "correct");
}

#[test]
fn every_way_to_be_wrong_has_a_word_of_its_own() {
    let case = weather();
    check(&case, &called(&[("get_weather", r#"{"city":"Rome"}"#)]), 0.0, "wrong_value");
    check(&case, &called(&[("get_weather", r#"{"city":7}"#)]), 0.0, "wrong_type");
    check(&case, &called(&[("get_weather", r#"{"days":3}"#)]), 0.0, "under_specified");
    check(&case, &called(&[("get_weather", r#"{"city":"Paris","zip":1}"#)]), 0.0, "over_specified");
    check(&case, &called(&[("get_time", "{}")]), 0.0, "wrong_tool");
    check(&case, &called(&[("get_wether", r#"{"city":"Paris"}"#)]), 0.0, "unknown_tool");
    check(&case, &called(&[("get_weather", r#"{"city":"Paris""#)]), 0.0, "malformed");
    check(&case, &called(&[("get_weather", r#"{"city":"Paris"}"#), ("get_time", "")]), 0.0, "wrong_count");
}

#[test]
fn a_call_that_leaked_or_broke_is_never_an_abstention() {
    let case = weather();
    let quiet = Case { calls: vec![Vec::new()], ..weather() };
    let leaked = said("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>");
    let broken = said("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Par");
    for case in [&case, &quiet] {
        check(case, &leaked, 0.0, "leaked");
        check(case, &broken, 0.0, "malformed");
    }
    check(&case, &said("Which city?"), 0.0, "abstained");
    check(&quiet, &said("I can only tell the weather."), 1.0, "abstained");
    check(&quiet, &called(&[("get_time", "{}")]), 0.0, "unwanted");
}

#[test]
fn a_pairing_is_found_where_the_first_fit_takes_the_wrong_call() {
    let mut case = weather();
    case.calls =
        vec![vec![json!({ "get_weather": { "city": ["a", "b"] } }), json!({ "get_weather": { "city": ["a"] } })]];
    let answer = called(&[("get_weather", r#"{"city":"a"}"#), ("get_weather", r#"{"city":"b"}"#)]);
    check(&case, &answer, 0.0, "wrong_value");
    let maximum = metric_named("tool_calls", &json!({ "matching": "maximum" })).unwrap();
    assert_eq!(maximum.score(&case, &answer).as_value(), Some(1.0));
}

#[test]
fn health_needs_no_right_answer() {
    let metric = metric_named("tool_call_health", &Value::Null).unwrap();
    let outcome = |answer: &Answer| metric.score(&weather(), answer).outcome.unwrap().into_owned();
    assert_eq!(outcome(&called(&[("get_weather", r#"{"city":"Rome"}"#)])), "called");
    assert_eq!(outcome(&called(&[("get_weather", r#"{"city":["Rome"]}"#)])), "schema_invalid");
    assert_eq!(outcome(&called(&[("get_weather", "[]")])), "malformed");
    assert_eq!(outcome(&called(&[("get_time", r#"{"zone":1}"#)])), "over_specified");
    assert_eq!(outcome(&said("")), "empty");
}

#[test]
fn an_expectation_that_cannot_be_read_is_unscored() {
    let mut case = weather();
    let metric = metric_named("tool_calls", &Value::Null).unwrap();
    let unread = [
        json!({ "get_weather": { "city": "Paris" } }),
        json!({ "name": "get_weather", "arguments": "{\"city\": " }),
        json!({ "tool": "get_weather" }),
        json!({ "somewhere_else": { "city": ["Paris"] } }),
    ];
    for unread in unread {
        case.calls = vec![vec![unread]];
        let score = metric.score(&case, &called(&[("get_weather", r#"{"city":"Paris"}"#)]));
        assert_eq!(score.measured, super::super::Measured::Unscored(Unscored::MalformedCase), "{:?}", case.calls);
        assert!(score.detail.is_some());
    }
}

#[test]
fn of_several_expected_answers_any_is_right_and_the_nearest_says_what_is_wrong() {
    let paris = json!({ "name": "get_weather", "arguments": { "city": "Paris" } });
    let time = json!({ "function": { "name": "get_time", "arguments": "{}" } });
    let case = Case { calls: vec![vec![time], vec![paris]], ..weather() };
    check(&case, &called(&[("get_weather", r#"{"city":"Paris"}"#)]), 1.0, "correct");
    check(&case, &called(&[("get_time", "")]), 1.0, "correct");
    check(&case, &called(&[("get_weather", r#"{"city":"Rome"}"#)]), 0.0, "wrong_value");
    check(&case, &said("Which city?"), 0.0, "abstained");
    let or_none = Case { calls: vec![case.calls[1].clone(), Vec::new()], ..weather() };
    check(&or_none, &said("Which city?"), 1.0, "abstained");
    check(&or_none, &called(&[("get_weather", r#"{"city":"Paris"}"#)]), 1.0, "correct");
}

#[test]
fn objects_within_arguments_are_right_when_they_are_the_same() {
    let parameters = json!({ "type": "object", "properties": {
        "at": { "type": "object" }, "stops": { "type": "array", "items": { "type": "object" } }, "tags": { "type": "array" } } });
    let arguments = json!({ "at": { "lat": 1.5, "city": "Rome" }, "stops": [{ "n": 1 }, { "n": 2 }], "tags": ["a"] });
    let case = Case {
        tools: vec![Tool { name: "go".into(), parameters }],
        calls: vec![vec![json!({ "name": "go", "arguments": arguments })]],
        ..Case::default()
    };
    check(&case, &called(&[("go", &arguments.to_string())]), 1.0, "correct");
    let other = arguments.to_string().replace("1.5", "2.5");
    check(&case, &called(&[("go", &other)]), 0.0, "wrong_value");
    check(&case, &called(&[("go", &arguments.to_string().replace("\"n\":2", "\"n\":3"))]), 0.0, "wrong_value");
}

#[test]
fn only_what_is_looked_at_has_to_be_readable() {
    let mut case = weather();
    let unread = json!({ "get_time": { "zone": [""] } });
    case.calls = vec![vec![json!({ "get_weather": { "city": ["a"] } }), unread]];
    case.tools[1].parameters = json!({ "type": "object", "properties": { "zone": { "type": "string" } } });
    // The first pair fits at once; the second call is of another name, so that its values are never read.
    check(&case, &called(&[("get_weather", r#"{"city":"a"}"#), ("get_weather", r#"{"city":"b"}"#)]), 0.0, "wrong_tool");
}
