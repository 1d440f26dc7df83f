use serde_json::{Value, json};

use super::*;
use crate::metric::Call;

fn spec(written: Value) -> Spec {
    let Value::Object(mut settings) = written else { panic!("a check is a map") };
    let mut take = |key: &str| settings.remove(key).unwrap_or_default();
    Spec {
        metric: take("metric").as_str().unwrap_or_default().to_owned(),
        value: take("value"),
        against_baseline: take("against") == "baseline",
        threshold: take("threshold").as_f64(),
        not: take("not") == true,
        settings,
    }
}

fn says(text: &str) -> Answer {
    Answer { text: text.to_owned(), ..Answer::default() }
}

fn calls(name: &str, arguments: &str) -> Answer {
    let call = Call { name: name.to_owned(), arguments: arguments.to_owned() };
    Answer { calls: vec![call], ..Answer::default() }
}

fn check(written: Value, request: &Value, baseline: Option<&Answer>, answer: Answer) -> Result<bool, &'static str> {
    let checks = Checks::of(&[spec(written)]).unwrap();
    let worth = checks.score(request.to_string().as_bytes(), baseline, &[answer]);
    worth.map(|worth| !worth[0].bad)
}

#[track_caller]
fn check_wrong(written: Value, expected: &str) {
    let (place, wrong) = Checks::of(&[spec(written)]).unwrap_err();
    assert_eq!((place, wrong.to_string().as_str()), (0, expected));
}

#[test]
fn an_answer_is_good_when_every_check_holds() {
    let nothing = json!({});
    let alone = |written: Value, text: &str| check(written, &nothing, None, says(text));
    assert_eq!(alone(json!({ "metric": "regex", "value": "^[0-9]+ h$" }), "72 h"), Ok(true));
    assert_eq!(alone(json!({ "metric": "regex", "value": "^[0-9]+ h$" }), "a day"), Ok(false));
    assert_eq!(alone(json!({ "metric": "icontains", "value": ["sorry", "apolog"], "not": true }), "Sorry."), Ok(false));
    assert_eq!(alone(json!({ "metric": "json_path", "path": "$.a", "equals": 1 }), r#"{"a":1}"#), Ok(true));
    assert_eq!(alone(json!({ "metric": "refusal", "not": true }), "I'm sorry, but I can't help with that."), Ok(false));
    let both = Checks::of(&[spec(json!({ "metric": "non_empty" })), spec(json!({ "metric": "json_valid" }))]).unwrap();
    let worth = both.score(b"", None, &[says("{}"), says("no")]).unwrap();
    assert_eq!(worth[0], Worth { bad: false, values: vec![1.0, 1.0] });
    assert_eq!(worth[1], Worth { bad: true, values: vec![1.0, 0.0] });
}

#[test]
fn the_schema_and_the_tools_are_those_of_the_request_whatever_its_dialect() {
    let schema = json!({ "type": "object", "required": ["a"] });
    for request in [
        json!({ "response_format": { "type": "json_schema", "json_schema": { "schema": schema } } }),
        json!({ "text": { "format": { "schema": schema } } }),
    ] {
        let of = |text| check(json!({ "metric": "json_schema" }), &request, None, says(text));
        assert_eq!((of(r#"{"a":1}"#), of("{}")), (Ok(true), Ok(false)));
    }
    let nothing = check(json!({ "metric": "json_schema" }), &json!({}), None, says("{}"));
    assert_eq!(nothing, Err("no_schema"), "what asks for no form is not judged by one");
    let parameters = json!({ "type": "object", "properties": { "x": { "type": "integer" } }, "required": ["x"] });
    for tool in [
        json!({ "type": "function", "function": { "name": "f", "parameters": parameters } }),
        json!({ "type": "function", "name": "f", "parameters": parameters }),
        json!({ "name": "f", "input_schema": parameters }),
    ] {
        let request = json!({ "tools": [tool] });
        let of = |answer: Answer| check(json!({ "metric": "tool_call_health" }), &request, None, answer);
        assert_eq!((of(calls("f", r#"{"x":1}"#)), of(calls("g", "{}"))), (Ok(true), Ok(false)));
        let like = |answer: Answer| {
            let baseline = calls("f", r#"{"x":1}"#);
            check(json!({ "metric": "tool_calls", "against": "baseline" }), &request, Some(&baseline), answer)
        };
        assert_eq!(like(calls("f", r#"{ "x": 1 }"#)), Ok(true));
        assert_eq!((like(calls("f", r#"{"x":2}"#)), like(says("It is 1."))), (Ok(false), Ok(false)));
    }
}

#[test]
fn agreement_with_the_baseline_has_a_threshold_and_needs_an_answer_of_it() {
    let like = |threshold: f64, text: &str| {
        let written = json!({ "metric": "squad_f1", "against": "baseline", "threshold": threshold });
        check(written, &json!({}), Some(&says("kept for 72 hours")), says(text))
    };
    assert_eq!((like(0.6, "It is kept 72 hours."), like(0.9, "It is kept 72 hours.")), (Ok(true), Ok(false)));
    assert_eq!(like(0.3, "Ask the courier."), Ok(false));
    let alone = check(json!({ "metric": "exact_match", "against": "baseline" }), &json!({}), None, says("a"));
    assert_eq!(alone, Err("no_reference"));
    let written = json!({ "metric": "field_accuracy", "against": "baseline", "threshold": 0.5 });
    let prose = check(written, &json!({}), Some(&says("prose")), says("{}"));
    assert!(prose.is_err(), "prose is no reference for fields: {prose:?}");
}

#[test]
fn another_threshold_is_another_definition() {
    let id = |threshold: f64| {
        let written = json!({ "metric": "squad_f1", "against": "baseline", "threshold": threshold });
        Checks::of(&[spec(written)]).unwrap().definition().to_owned()
    };
    assert_eq!(id(0.5), id(0.5));
    assert_ne!(id(0.5), id(0.6));
    assert!(id(0.5).starts_with("checks@crossfade-live-1:"));
}

#[test]
fn what_cannot_be_checked_live_is_a_mistake_that_says_what_can() {
    check_wrong(json!({ "metric": "squad-f1" }), "there is no metric `squad-f1`; the nearest is `squad_f1`");
    check_wrong(
        json!({ "metric": "squad_f1", "threshold": 0.5 }),
        "`squad_f1` is held against the baseline's answer: write `against: baseline`",
    );
    check_wrong(
        json!({ "metric": "squad_f1", "against": "baseline" }),
        "two good answers rarely agree in full: say with `threshold` from which value of `squad_f1` on they do",
    );
    check_wrong(json!({ "metric": "regex" }), "`regex` needs a `value` to be held against");
    check_wrong(json!({ "metric": "non_empty", "value": "x" }), "`non_empty` reads no `value`");
    check_wrong(
        json!({ "metric": "exact_match", "value": "x", "against": "baseline" }),
        "`exact_match` reads no `value` beside `against: baseline`",
    );
    let (_, wrong) = Checks::of(&[spec(json!({ "metric": "groundedness" }))]).unwrap_err();
    let told = "`groundedness` is not measured on live answers: it needs the documents an answer has to rest on, which only a case names; there are: contains,";
    assert!(wrong.to_string().starts_with(told), "{wrong}");
    check_wrong(
        json!({ "metric": "word_count" }),
        "`word_count` counts: say with `threshold` from which number on that is good (with `not: true`, from which on it is not)",
    );
}

#[test]
fn every_metric_of_evaluations_is_live_or_refused_with_a_reason() {
    for name in ALONE.into_iter().chain(AGAINST) {
        assert!(metric::NAMES.contains(&name), "{name}");
    }
    for name in metric::NAMES.into_iter().filter(|name| !ALONE.contains(name) && !AGAINST.contains(name)) {
        for against in ["baseline", ""] {
            let written = json!({ "metric": name, "against": against, "threshold": 0.5 });
            let (_, wrong) = Checks::of(&[spec(written)]).unwrap_err();
            let told = wrong.to_string();
            assert!(told.starts_with(&format!("`{name}` is not measured on live answers: ")), "{told}");
        }
    }
}

#[test]
fn how_long_an_answer_is_why_it_ended_and_what_stands_in_it_are_checked_alone() {
    let nothing = json!({});
    let alone = |written: Value, answer: Answer| check(written, &nothing, None, answer);
    let short = json!({ "metric": "word_count", "threshold": 4, "not": true });
    assert_eq!((alone(short.clone(), says("one two three")), alone(short, says("a b c d"))), (Ok(true), Ok(false)));
    let ended = json!({ "metric": "finish_reason", "value": ["stop", "tool_calls"] });
    let cut = |reason: &str| Answer { finish_reason: Some(reason.to_owned()), ..says("x") };
    assert_eq!((alone(ended.clone(), cut("stop")), alone(ended.clone(), cut("length"))), (Ok(true), Ok(false)));
    assert_eq!(alone(ended, says("x")), Err("not_known"));
    let object = json!({ "metric": "contains_json", "schema": { "type": "object", "required": ["a"] } });
    assert_eq!((alone(object.clone(), says("Here: {\"a\":1}.")), alone(object, says("{}"))), (Ok(true), Ok(false)));
    let all = json!({ "metric": "icontains_all", "value": ["alpha", "BETA"] });
    assert_eq!((alone(all.clone(), says("Beta, alpha")), alone(all, says("alpha"))), (Ok(true), Ok(false)));
}
