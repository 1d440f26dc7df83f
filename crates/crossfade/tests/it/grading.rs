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
