use serde_json::{Map, Value, json};

use super::trial::{Check, Outcome, Said, Sorted, judge, sort, tally};
use super::*;
use crate::metric;

fn variables(text: &str) -> BTreeMap<String, Variable> {
    let declared = |pair: &str| {
        let (name, of) = pair.split_once(':').unwrap();
        let fields = BTreeMap::from([("id".to_owned(), Field::Integer), ("text".to_owned(), Field::String)]);
        let (of, optional) = of.strip_suffix('?').map_or((of, false), |of| (of, true));
        let of = match of {
            "string" => Type::String,
            "number" => Type::Number,
            "integer" => Type::Integer,
            "boolean" => Type::Boolean,
            "texts" => Type::List { fields: BTreeMap::new() },
            "objects" => Type::List { fields },
            "object" => Type::Object { fields },
            "tone" => Type::Enum { values: vec!["calm".to_owned(), "warm".to_owned()] },
            other => panic!("{other}"),
        };
        (name.to_owned(), Variable { of, default: None, optional, delimited: name == "question" })
    };
    text.split_whitespace().map(declared).collect()
}

fn values(json: Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

/// What a template becomes with values, or every error in a line of its own.
#[track_caller]
fn check(template: &str, declared: &str, given: Value, expected: &str) {
    let declared = variables(declared);
    let shown = |_: &str, value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let found = match Template::parse(template, &declared) {
        Ok(template) => template.fill(&values(given), &shown),
        Err(errors) => errors
            .iter()
            .map(|error| {
                format!("{} at {}: {} ({})\n", error.tag, error.at, error, error.hint.as_deref().unwrap_or(""))
            })
            .collect(),
    };
    assert_eq!(found, expected);
}

#[test]
fn values_sections_and_items_are_filled_in() {
    check("Hello {{ name }}!", "name:string", json!({ "name": "Ana" }), "Hello Ana!");
    let list = "Sources:\n{{#docs}}\n[{{id}}] {{text}}\n{{/docs}}\n{{^docs}}\nnone\n{{/docs}}\nEnd";
    let docs = json!({ "docs": [{ "id": 1, "text": "a" }, { "id": 2, "text": "b" }] });
    check(list, "docs:objects", docs, "Sources:\n[1] a\n[2] b\nEnd");
    check(list, "docs:objects", json!({ "docs": [] }), "Sources:\nnone\nEnd");
    check("{{#words}}{{.}} {{/words}}", "words:texts", json!({ "words": ["x", "y"] }), "x y ");
    check("{{#on}}yes{{/on}}{{^on}}no{{/on}}", "on:boolean", json!({ "on": false }), "no");
    check("{{o.text}}{{#o}} {{id}}{{/o}}", "o:object", json!({ "o": { "id": 7, "text": "t" } }), "t 7");
    check("a{{! a note }}b \\{{x}}", "", json!({}), "ab {{x}}");
}

#[test]
fn a_value_that_looks_like_a_tag_is_not_read_as_one() {
    check("{{a}}", "a:string b:string", json!({ "a": "{{b}}", "b": "secret" }), "{{b}}");
}

#[test]
fn every_name_that_is_not_declared_is_told_with_the_nearest() {
    check(
        "{{qestion}} {{#docs}}{{txt}}{{/docs}} {{docs}}",
        "question:string docs:objects",
        json!({}),
        "{{qestion}} at 0: there is no variable `qestion` (did you mean `question`?)\n\
         {{txt}} at 21: there is no variable `txt` (did you mean `text`?)\n\
         {{docs}} at 38: `docs` is a list of objects (write `{{#docs}}…{{/docs}}`, or name a field of it)\n",
    );
}

#[test]
fn what_no_template_can_hold_is_an_error_with_its_tag() {
    check(
        "{{>x}}{{{y}}}",
        "y:string",
        json!({}),
        "{{>x}} at 0: templates include no others (put its text here)\n{{{y}} at 6: nothing is escaped here, so there is one way to fill in (write `{{y}}`)\n",
    );
    check("{{#a}}x", "a:boolean", json!({}), "{{#a}} at 0: this section has no end ()\n");
    check("{{#a}}{{/b}}", "a:boolean", json!({}), "{{/b}} at 6: the section `a` is open here (write `{{/a}}`)\n");
    check(
        "{{#n}}x{{/n}}",
        "n:number",
        json!({}),
        "{{#n}} at 0: `n` is always there: the section decides nothing (declare it `optional: true`, or take the section away)\n",
    );
    check("{{o.txt}}", "o:object", json!({}), "{{o.txt}} at 0: `o` has no field `txt` (did you mean `o.text`?)\n");
    check(
        "a {{b",
        "",
        json!({}),
        "{{b at 2: this tag has no end (end the tag with `}}`, or write `\\{{` for two braces)\n",
    );
    check(
        "{{ a b }}",
        "",
        json!({}),
        "{{ a b }} at 0: this is no name of a variable (a tag holds the name of a variable, such as `{{question}}`; write `\\{{` for two braces)\n",
    );
}

fn prompt() -> Prompt {
    let variables = variables("question:string tone:tone? n:integer?");
    let message = |role, text: &str| Message { role, text: Template::parse(text, &variables).unwrap() };
    let form = Form {
        messages: vec![
            message(Role::System, "Be {{tone}}{{#n}}, in {{n}} words{{/n}}.\n"),
            message(Role::User, "{{question}}"),
        ],
        few_shots: vec![Shot { user: "Hi".to_owned(), assistant: "Hello".to_owned() }],
        parameters: values(json!({ "temperature": 0, "seed": 1 })),
        system: Placement::System,
        delimiters: Delimiters::None,
        instruction: None,
    };
    let variant = Variant {
        targets: vec!["qwen".to_owned()],
        parameters: values(json!({ "temperature": 0.2, "seed": null })),
        system: Some(Placement::User),
        delimiters: Some(Delimiters::Xml),
        instruction: Some("Be brief.".to_owned()),
        ..Variant::default()
    };
    let variants = BTreeMap::from([("open".to_owned(), variant)]);
    Prompt { name: "support".to_owned(), task: None, variables, form, variants, tests: Vec::new() }
}

#[test]
fn a_variant_says_otherwise_and_the_rest_stays() {
    let prompt = prompt();
    let given = values(json!({ "question": "Why?\n", "tone": "warm" }));
    let base = prompt.request(None, &given).unwrap();
    assert_eq!(
        Value::Object(base),
        json!({ "seed": 1, "temperature": 0, "messages": [
            { "role": "system", "content": "Be warm.\n" },
            { "role": "user", "content": "Hi" }, { "role": "assistant", "content": "Hello" },
            { "role": "user", "content": "Why?" },
        ] })
    );
    assert_eq!(prompt.variant_for("qwen"), Some("open"));
    let variant = prompt.request(Some("open"), &given).unwrap();
    assert_eq!(
        Value::Object(variant),
        json!({ "temperature": 0.2, "messages": [
            { "role": "user", "content": "Be warm.\n\nBe brief.\n\nHi" }, { "role": "assistant", "content": "Hello" },
            { "role": "user", "content": "<question>\nWhy?\n</question>" },
        ] })
    );
    assert_eq!(prompt.request(Some("none"), &given), Err(RenderError::Variant("none".to_owned())));
}

#[test]
fn every_value_that_is_missing_unknown_or_of_another_type_is_told() {
    let told = prompt().request(None, &values(json!({ "tone": "loud", "n": 1.5, "qestion": "x" }))).unwrap_err();
    let RenderError::Values(errors) = told else { panic!("{told}") };
    let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        words,
        [
            "the variable `n` takes a whole number, and the number 1.5 was given",
            "the variable `question` has no value",
            "the variable `tone` takes one of calm, warm, and the text `loud` was given",
            "there is no variable `qestion`; did you mean `question`?",
        ]
    );
    let docs = variables("docs:objects");
    let of = &docs["docs"].of;
    let wrong = of.check("docs", &json!([{ "id": 1, "text": "a" }, { "id": 2 }])).unwrap_err();
    assert_eq!((wrong.to_string(), wrong.variable()), ("the variable `docs[1].text` has no value".to_owned(), "docs"));
    let unknown = of.check("docs", &json!([{ "id": 1, "text": "a", "txt": "b" }])).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no variable `docs[0].txt`; did you mean `docs[0].text`?");
}

#[test]
fn nothing_in_a_value_ends_its_delimiters() {
    assert_eq!(Delimiters::Xml.around("q", "a</q>b"), "<q>\na&lt;/q>b\n</q>");
    assert_eq!(Delimiters::Fence.around("q", "````\nx\n````"), "`````\n````\nx\n````\n`````");
    assert_eq!(Delimiters::Brackets.around("q", "[/q]"), "[q]\n[ /q]\n[/q]");
}

#[test]
fn the_version_is_of_what_is_said_and_of_nothing_else() {
    let (one, mut other) = (prompt(), prompt());
    assert_eq!(one.version(), other.version());
    assert_eq!(one.version().len(), 64);
    other.form.instruction = Some("x".to_owned());
    assert_ne!(one.version(), other.version());
    assert_eq!(prompt().unused(), Vec::<&str>::new());
}

fn golden(expect: &[(&str, Value)]) -> Golden {
    let expect = expect.iter().map(|(name, value)| Expectation::named(name, value.clone()).unwrap()).collect();
    Golden { name: "t".to_owned(), values: Map::new(), expect, language: None, refuses: false }
}

fn said(text: &str) -> Said {
    Said {
        answer: metric::Answer { text: text.to_owned(), ..metric::Answer::default() },
        finish_reason: Some("stop".into()),
    }
}

#[track_caller]
fn check_found(golden: &Golden, said: &Said, expected: &[Check]) {
    let request = values(json!({ "tools": [{ "type": "function", "function": { "name": "lookup" } }] }));
    let found = match judge(golden, &request, said, None) {
        Outcome::Passed => Vec::new(),
        Outcome::Failed { reasons } => reasons.iter().map(|reason| reason.check).collect(),
        Outcome::Unscored { why } => panic!("{why}"),
    };
    assert_eq!(found, expected);
}

#[test]
fn each_check_finds_its_own_fault_and_nothing_in_a_good_answer() {
    let plain = golden(&[("contains", json!("30 days")), ("not_contains", json!("guess"))]);
    check_found(&plain, &said("Within 30 days."), &[]);
    check_found(&plain, &said("I guess 30 days."), &[Check::Expectation]);
    check_found(&golden(&[]), &said(" "), &[Check::Empty]);
    check_found(
        &golden(&[]),
        &said("<tool_call>\n{\"name\": \"lookup\", \"arguments\": {}}\n</tool_call>"),
        &[Check::LeakedToolCall],
    );
    check_found(&golden(&[]), &said("<think>hm</think> Yes"), &[Check::ThoughtsInText]);
    check_found(&golden(&[]), &said("Yes<|im_end|>"), &[Check::TemplateInText]);
    check_found(&golden(&[]), &said("I'm sorry, but I can't do that."), &[Check::Refusal]);
    check_found(&golden(&[("max_length", json!(3))]), &said("long"), &[Check::TooLong]);
    let json = golden(&[("json", Value::Null)]);
    check_found(&json, &said("{\"a\": 1}"), &[]);
    check_found(&json, &said("```json\n{\"a\": 1}\n```"), &[Check::WrappedJson]);
    check_found(&json, &said("Here: {\"a\": 1}."), &[Check::WrappedJson]);
    check_found(&json, &said("{\"a\": "), &[Check::InvalidJson]);
    let cut = Said { finish_reason: Some("length".into()), ..said("Well") };
    check_found(&golden(&[]), &cut, &[Check::CutOff]);
    let call = |name: &str, arguments: &str| {
        let call = metric::Call { name: name.to_owned(), arguments: arguments.to_owned() };
        Said { answer: metric::Answer { calls: vec![call], ..metric::Answer::default() }, finish_reason: None }
    };
    check_found(&golden(&[("calls", json!("lookup"))]), &call("lookup", "{}"), &[]);
    check_found(&golden(&[]), &call("lookup", "{"), &[Check::BrokenToolCall]);
    check_found(&golden(&[]), &call("other", "{}"), &[Check::BrokenToolCall]);
    let refusing = Golden { refuses: true, ..golden(&[]) };
    check_found(&refusing, &said("Sure!"), &[Check::NoRefusal]);
    check_found(&refusing, &said("I cannot help with that."), &[]);
    let german = Golden { language: Some("de".to_owned()), ..golden(&[]) };
    let found = judge(&german, &Map::new(), &said("Yes"), Some("en"));
    assert!(matches!(found, Outcome::Failed { reasons } if reasons[0].check == Check::Language));
}

#[test]
fn prompts_are_sorted_by_what_helps() {
    let failed = |check| Outcome::Failed { reasons: vec![trial::Reason { check, seen: String::new() }] };
    let unscored = Outcome::Unscored { why: "no answer".to_owned() };
    assert_eq!(sort([&Outcome::Passed, &Outcome::Passed]), Sorted::Works);
    assert_eq!(sort([&Outcome::Passed, &failed(Check::WrappedJson)]), Sorted::MinorAdjustment);
    assert_eq!(sort([&failed(Check::WrappedJson), &failed(Check::Refusal)]), Sorted::Rework);
    assert_eq!(sort([&Outcome::Passed, &unscored]), Sorted::Undecided);
    assert_eq!(sort([]), Sorted::Undecided);
    assert_eq!(tally([&failed(Check::Empty), &failed(Check::Empty)]), BTreeMap::from([(Check::Empty, 2)]));
}

#[test]
fn what_is_expected_must_be_something_there_is() {
    let told = |name: &str, value: Value| Expectation::named(name, value).unwrap_err().to_string();
    assert_eq!(told("containz", json!("x")), "there is no metric `containz`; the nearest is `contains`");
    assert_eq!(told("max_length", json!("x")), "`max_length` takes a number of characters");
    assert_eq!(
        told("squad_f1", json!({ "at_least": "x" })),
        "`squad_f1` takes a value, or `{ value, at_least, settings }`, where `at_least` is a number"
    );
    assert!(told("regex", json!("(")).contains("`pattern`"));
    let lookup = golden(&[("tool_calls", json!([{ "lookup": { "x": [1, 2] } }]))]);
    let call = |x: u64| {
        let call = metric::Call { name: "lookup".to_owned(), arguments: json!({ "x": x }).to_string() };
        Said { answer: metric::Answer { calls: vec![call], ..metric::Answer::default() }, finish_reason: None }
    };
    let parameters = json!({ "type": "object", "properties": { "x": { "type": "integer" } }, "required": ["x"] });
    let request = values(
        json!({ "tools": [{ "type": "function", "function": { "name": "lookup", "parameters": parameters } }] }),
    );
    assert_eq!(judge(&lookup, &request, &call(2), None), Outcome::Passed);
    assert!(matches!(judge(&lookup, &request, &call(3), None), Outcome::Failed { .. }));
    let loose = golden(&[("squad_f1", json!({ "value": "a red fox", "at_least": 0.5 }))]);
    check_found(&loose, &said("the red dog"), &[]);
    check_found(&loose, &said("the blue dog"), &[Check::Expectation]);
}

#[test]
fn proposals_change_one_thing_each_and_only_what_may_help() {
    let prompt = prompt();
    let failed = BTreeMap::from([(Check::WrappedJson, 1)]);
    let names = |failed: &BTreeMap<Check, u64>| -> Vec<String> {
        propose::proposals(&prompt, &prompt.form, failed, &[]).into_iter().map(|proposal| proposal.name).collect()
    };
    assert_eq!(names(&failed), ["stricter_format", "parameters_temperature_0.3", "parameters_temperature_0.7"]);
    let failed = BTreeMap::from([(Check::Expectation, 1)]);
    assert_eq!(names(&failed), ["delimiters_xml", "delimiters_fence", "delimiters_brackets", "placement_user"]);
    assert!(names(&BTreeMap::new()).is_empty());
    let golden = Golden { values: values(json!({ "question": "Why?", "tone": "calm" })), ..golden(&[]) };
    let shown = propose::proposals(&prompt, &prompt.form, &failed, &[(&golden, "Because.".to_owned())]);
    let shots = shown.iter().find(|proposal| proposal.name == "few_shots").unwrap().variant.few_shots.clone().unwrap();
    assert_eq!(shots[1], Shot { user: "Why?".to_owned(), assistant: "Because.".to_owned() });
}

#[test]
fn a_difference_is_the_fewest_lines() {
    assert_eq!(diff::text("a\nb\nc\n", "a\nx\nc\n", 3), " a\n-b\n+x\n c\n");
    assert_eq!(diff::text("a\n", "a\n", 3), "");
    assert_eq!(diff::text("1\n2\n3\n4\n5\n6\n", "1\n2\n3\n4\n5\n7\n", 1), "…\n 5\n-6\n+7\n");
    assert_eq!(diff::text("", "a\n", 1), "+a\n");
}
