//! `eval`: what answers are worth by the binary itself, from the file of cases to every report.

use scripted::{Received, Script, Upstream, chat_completion};
use serde_json::{Value, json};

use crate::parts::House;

/// Two targets at an upstream that answers what `say` says to a model and a question.
fn house(say: impl Fn(&str, &str) -> Value + Send + Sync + 'static) -> (House, Upstream) {
    let upstream = Upstream::with(move |request: &Received| {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let question = body["messages"][0]["content"].as_str().unwrap();
        match say(body["model"].as_str().unwrap(), question) {
            Value::String(text) => Script::json(chat_completion(&text)),
            calls => {
                let message = json!({ "role": "assistant", "content": null, "tool_calls": calls });
                let choice = json!({ "index": 0, "message": message, "finish_reason": "tool_calls" });
                Script::json(json!({ "object": "chat.completion", "choices": [choice] }).to_string())
            }
        }
    });
    let house = House::new(&format!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0 }}\nproviders:\n  p: {{ dialect: openai, base_url: {}/v1 }}\n\
         targets:\n  old: {{ provider: p, model: old }}\n  new: {{ provider: p, model: new }}\nroutes:\n  m: {{ target: old }}\n",
        upstream.url()
    ));
    (house, upstream)
}

/// A call of `look` as an answer has it.
fn look(arguments: &str) -> Value {
    json!([{ "id": "call_1", "type": "function", "function": { "name": "look", "arguments": arguments } }])
}

fn write(house: &House, name: &str, cases: impl IntoIterator<Item = Value>) {
    let lines: String = cases.into_iter().map(|case| format!("{case}\n")).collect();
    std::fs::write(house.path().join(name), lines).unwrap();
}

/// A case that asks for a call of `look`.
fn asks_for(id: usize, calls: &Value) -> Value {
    let parameters = json!({ "type": "object", "properties": { "id": { "type": "integer" } }, "required": ["id"] });
    let tool = json!({ "type": "function", "function": { "name": "look", "parameters": parameters } });
    let messages = json!([{ "role": "user", "content": id.to_string() }]);
    json!({ "id": format!("c{id:02}"), "request": { "messages": messages, "tools": [tool] }, "expected": [{ "tool_calls": calls }] })
}

#[test]
fn right_calls_are_right_in_whichever_form_they_are_expected_and_silence_is_not() {
    let (house, _upstream) =
        house(
            |model, question| {
                if model == "old" { look(&format!("{{\"id\":{question}}}")) } else { json!("I do not know.") }
            },
        );
    let forms: [fn(usize) -> Value; 3] = [
        |id| json!([{ "name": "look", "arguments": { "id": id } }]),
        |id| json!([{ "look": { "id": [id, -1] } }]),
        |id| json!([{ "type": "function", "function": { "name": "look", "arguments": format!("{{\"id\": {id}}}") } }]),
    ];
    write(&house, "cases.jsonl", (0..60).map(|id| asks_for(id, &forms[id % 3](id))));
    let told = house.run(&["dataset", "check", "cases.jsonl"]).exits(0).stdout;
    assert!(told.contains("60"), "{told}");
    let run = ["eval", "run", "--file", "cases.jsonl", "--target", "old", "--target", "new", "--metric", "tool_calls"];
    house.run(&[&run[..], &["--run", "r"]].concat()).exits(3);
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    let mean = |idx: usize| report["targets"][idx]["means"]["tool_calls"].as_f64();
    assert_eq!((mean(0), mean(1)), (Some(1.0), Some(0.0)), "{}", report["targets"]);
    assert_eq!(report["candidates"][0]["primary"]["verdict"], "fail");
}

#[test]
fn an_expected_call_that_cannot_be_read_is_a_problem_of_its_line_in_every_format() {
    let (house, _upstream) = house(|_, _| json!("-"));
    write(
        &house,
        "own.jsonl",
        [
            json!({ "input": "A?", "expected": { "tool_calls": [{ "tool": "look" }] } }),
            json!({ "input": "B?", "expected": [{ "tool_calls": [{ "name": "look", "arguments": "{\"id\": " }] }] }),
            json!({ "input": "C?", "expected": { "tool_calls": [{ "look": { "id": 1 } }] } }),
            json!({ "input": "D?", "checks": [{ "metric": "tool_calls", "value": [{ "tool": "look" }] }] }),
        ],
    );
    let told = house.run(&["dataset", "check", "own.jsonl"]).exits(2).stderr;
    for wanted in [
        "own.jsonl:1:expected.tool_calls[0]: expected a call",
        "own.jsonl:2:expected.tool_calls[0].arguments: not JSON at column",
        "own.jsonl:3:expected.tool_calls[0].look.id: expected a list of the values that are right",
        "own.jsonl:4:checks[0]: the settings of the metric `tool_calls`: `value`: tool_calls[0]: expected a call",
    ] {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    let broken = json!({ "role": "assistant", "content": null, "tool_calls": look("{\"id\": ") });
    write(&house, "chat.jsonl", [json!({ "messages": [{ "role": "user", "content": "A?" }, broken] })]);
    let told = house.run(&["dataset", "check", "chat.jsonl"]).exits(2).stderr;
    assert!(told.contains("chat.jsonl:1:messages[1].tool_calls[0].function.arguments: not JSON"), "{told}");
    write(&house, "evals.jsonl", [json!({ "input": "A?", "ideal": { "tool_calls": [7] } })]);
    let told = house.run(&["dataset", "check", "evals.jsonl"]).exits(2).stderr;
    assert!(told.contains("evals.jsonl:1:ideal.tool_calls[0]: expected a call"), "{told}");
}

#[test]
fn of_several_expected_values_and_calls_any_will_do() {
    let (house, _upstream) = house(|_, question| match question {
        "value" => json!("{\"a\": 2}"),
        id => look(&format!("{{\"id\":{id}}}")),
    });
    let mut call = asks_for(2, &json!([{ "name": "look", "arguments": { "id": 1 } }]));
    call["expected"] = json!([call["expected"][0], { "tool_calls": [{ "look": { "id": [2] } }] }]);
    write(&house, "cases.jsonl", [json!({ "id": "v", "input": "value", "expected": [{ "a": 1 }, { "a": 2 }] }), call]);
    let metrics = ["--metric", "field_accuracy", "--metric", "tool_calls"];
    let run = ["eval", "run", "--file", "cases.jsonl", "--target", "old", "--run", "r"];
    house.run(&[&run[..], &metrics].concat()).exits(0);
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    let means = &report["targets"][0]["means"];
    assert_eq!((means["field_accuracy"].as_f64(), means["tool_calls"].as_f64()), (Some(1.0), Some(1.0)), "{report}");
}

#[test]
fn a_call_that_leaked_or_broke_is_told_apart_in_every_report() {
    let leaked = "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"id\": 1}}\n</tool_call>";
    let (house, _upstream) = house(move |model, question| match (model, question.parse::<usize>().unwrap() % 4) {
        ("old", _) => look(&format!("{{\"id\":{question}}}")),
        (_, 0) => json!(leaked),
        (_, 1) => look("{\"id\": "),
        (_, 2) => look("{}"),
        _ => json!("I do not know."),
    });
    write(
        &house,
        "cases.jsonl",
        (0..20).map(|id| asks_for(id, &json!([{ "name": "look", "arguments": { "id": id } }]))),
    );
    let run = ["eval", "run", "--file", "cases.jsonl", "--target", "old", "--target", "new", "--metric", "tool_calls"];
    let told = house.run(&[&run[..], &["--run", "r"]].concat()).exits(3).stdout;
    let counts = "new by tool_calls: 5 abstained, 5 leaked, 5 malformed, 5 under_specified";
    assert!(told.contains(counts) && told.contains("old by tool_calls: 20 correct"), "{told}");
    let report = |form: &str| house.run(&["eval", "report", "r", "--as", form]).exits(0).stdout;
    let json: Value = serde_json::from_str(&report("json")).unwrap();
    assert_eq!(json["targets"][1]["outcomes"]["tool_calls"]["leaked"], 5, "{}", json["targets"][1]);
    let words: Vec<&str> = json["cases"].as_array().unwrap()[..4]
        .iter()
        .map(|case| case["sides"][1]["outcomes"]["tool_calls"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["leaked", "malformed", "under_specified", "abstained"]);
    for (form, wanted) in [
        ("csv", "tool_calls=leaked"),
        ("junit", "tool_calls=leaked"),
        ("html", "5 abstained, 5 leaked, 5 malformed, 5 under_specified"),
        ("html", "tool_calls 0.0000 (leaked)"),
        ("markdown", "5 abstained, 5 leaked, 5 malformed, 5 under_specified"),
    ] {
        let text = report(form);
        assert!(text.contains(wanted), "{form} without {wanted}\n{text}");
    }
}

#[test]
fn classes_are_shown_with_what_was_said_for_them_and_a_number_of_all_cases_says_what_decides_in_its_place() {
    let (house, _upstream) = house(|model, question| match (model, question.split(' ').next().unwrap()) {
        ("new", "refund") if question.ends_with('1') => json!("I would say refund"),
        ("new", "delivery") if question.ends_with('1') => json!("refund"),
        (_, class) => json!(class),
    });
    let cases = ["refund", "delivery"].into_iter().flat_map(|class| {
        (1..=10).map(move |n| json!({ "id": format!("{class}{n:02}"), "input": format!("{class} {}", n % 10), "expected": class }))
    });
    write(&house, "cases.jsonl", cases);
    let suite =
        "file: cases.jsonl\ntargets: [old, new]\nmetrics: [accuracy, { name: f1_macro, labels: [refund, delivery] }]\n";
    std::fs::write(house.path().join("suite.yaml"), suite).unwrap();
    let told = house.run(&["eval", "run", "suite.yaml", "--run", "r", "--margin", "0.9"]).exits(0).stdout;
    assert!(told.contains("said (unparseable)") && told.contains("precision"), "{told}");
    let report = house.run(&["eval", "report", "r", "--as", "json"]).exits(0).json();
    let matrices = report["confusion"].as_array().unwrap();
    assert_eq!(matrices.len(), 4, "{matrices:?}");
    let of_new = matrices.iter().find(|one| one["target"] == "new" && one["metric"] == "f1_macro").unwrap();
    assert_eq!(of_new["counts"], json!([[9, 0, 1], [1, 9, 0], [0, 0, 0]]), "{of_new}");
    let refund = &of_new["classes"][0];
    assert_eq!((refund["precision"].as_f64(), refund["recall"].as_f64()), (Some(0.9), Some(0.9)), "{refund}");
    assert_eq!(of_new["classes"][2]["class"], "(unparseable)");
    let page = house.run(&["eval", "report", "r", "--as", "html"]).exits(0).stdout;
    assert!(page.contains("<h2>Classes</h2>") && page.contains("said (unparseable)"), "{page}");
    // It passes, and two cases are lost all the same: no build goes red for them.
    let junit = house.run(&["eval", "report", "r", "--as", "junit"]).exits(0).stdout;
    assert!(junit.contains("failures=\"0\"") && !junit.contains("<failure"), "{junit}");
    assert_eq!(junit.matches("<system-out>worse, -1.0000 in accuracy").count(), 2, "{junit}");
    let refused = house.run(&["eval", "run", "suite.yaml", "--run", "s", "--primary", "f1_macro"]).exits(2).stderr;
    assert!(refused.contains("decide by `accuracy`") && refused.contains("bootstrap interval"), "{refused}");
}
