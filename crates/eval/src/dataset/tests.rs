//! Files of every format, right and wrong.

use super::*;
use crate::case::Case;

fn cases(path: &str, text: &str) -> Vec<Case> {
    read("d", path, text.as_bytes(), (None, &Columns::default())).unwrap().dataset.cases
}

#[track_caller]
fn check_problems(path: &str, text: &str, expected: &[&str]) {
    let problems = read("d", path, text.as_bytes(), (None, &Columns::default())).unwrap_err();
    let shown: Vec<String> = problems.shown.iter().map(ToString::to_string).collect();
    assert_eq!(shown, expected);
}

#[test]
fn a_version_is_the_cases_and_not_their_order() {
    let case = |id: &str, text: &str| Case::asking(id, text, ["yes".into()]);
    let dataset = |cases: Vec<Case>| Dataset { name: "d".to_owned(), cases }.version();
    let one = dataset(vec![case("a", "A?"), case("b", "B?")]);
    assert_eq!(one, dataset(vec![case("b", "B?"), case("a", "A?")]));
    assert_ne!(one, dataset(vec![case("a", "A?"), case("b", "C?")]));
    assert_ne!(one, dataset(vec![case("a", "A?")]));
    assert_eq!(one.len(), 64);
}

#[test]
fn our_own_lines_come_back_as_they_were_written() {
    let text = concat!(
        r#"{"id":"a","input":"Q?","system":"Be short.","expected":["x","y"],"slices":{"topic":"billing","level":2},"cluster":"c1"}"#,
        "\n\n",
        r#"{"messages":[{"role":"user","content":"Q2?"}],"expected":{"total":3},"checks":[{"metric":"contains","value":"3","not":true}]}"#,
    );
    let cases = cases("d.jsonl", text);
    assert_eq!(
        (cases[0].request["messages"][0]["content"].as_str(), cases[0].question().as_str()),
        (Some("Be short."), "Q?")
    );
    assert_eq!((cases[0].slices["level"].as_str(), cases[0].expected.len()), ("2", 2));
    assert!(cases[1].id.len() == 12 && cases[1].checks[0].not, "{:?}", cases[1]);
    let dataset = Dataset { name: "d".to_owned(), cases };
    let again = read("d", "again.jsonl", dataset.to_jsonl().as_bytes(), (None, &Columns::default())).unwrap();
    assert_eq!(again.dataset, dataset);
    assert_eq!(again.dataset.version(), dataset.version());
}

#[test]
fn every_bad_line_is_named_by_file_line_and_field() {
    let text = concat!(
        "{\"id\":\"a\",\"input\":\"Q?\"}\n",
        "{\"id\":\"a\",\"input\":\"Q2?\"}\n",
        "{\"id\":\"b\",\"inputs\":\"Q?\"}\n",
        "{\"id\":\"c\",\"messages\":[{\"role\":\"usr\",\"content\":1}]}\n",
        "{\"id\":\"d\",\n",
        "[]\n",
        "{\"id\":\"e\",\"request\":{\"model\":\"gpt-4o\",\"messages\":[{\"role\":\"user\",\"content\":\"Q\"}]}}\n",
    );
    check_problems(
        "cases.jsonl",
        text,
        &[
            "cases.jsonl:3:inputs: unknown member; did you mean `input`?",
            "cases.jsonl:3: one of `request`, `messages`, `input` and `query` is missing",
            "cases.jsonl:4:messages[0].role: `usr` is none of system, developer, user, assistant, tool",
            "cases.jsonl:4:messages[0].content: expected a text or a list of parts",
            "cases.jsonl:5: not JSON at column 10: EOF while parsing a value",
            "cases.jsonl:6: expected an object",
            "cases.jsonl:7:request.model: a case names no model: the targets of a run do",
            "cases.jsonl:2:id: `a` is the id of the case at line 1 too",
        ],
    );
    check_problems("empty.jsonl", "\n", &["empty.jsonl:1: there is no case in it"]);
    let problems = read("d", "latin.jsonl", b"{\"id\":\"a\"}\n{\"id\":\"\xe9\"}\n", (None, &Columns::default()));
    assert_eq!(problems.unwrap_err().to_string(), "latin.jsonl:2: not UTF-8");
}

#[test]
fn a_check_that_cannot_be_measured_and_a_question_without_words_are_problems_like_any_other() {
    let text = concat!(
        "{\"id\":\"a\",\"input\":\"Q?\",\"checks\":[{\"metric\":\"contains\",\"value\":\"x\"},{\"metric\":\"regx\",\"value\":\"x\"},{\"metric\":\"latency_ms\"}]}\n",
        "{\"id\":\"b\",\"input\":\" \"}\n",
        "{\"id\":\"c\",\"query\":\"\",\"documents\":[{\"id\":\"d\",\"text\":\"t\"}]}\n",
    );
    check_problems(
        "c.jsonl",
        text,
        &[
            "c.jsonl:1:checks[1]: there is no metric `regx`; the nearest is `regex`",
            "c.jsonl:1:checks[2]: the settings of the metric `latency_ms`: a check by it needs a `threshold`",
            "c.jsonl:2:input: empty",
            "c.jsonl:3:query: empty",
        ],
    );
}

#[test]
fn evals_of_openai_are_read_in_both_forms() {
    let lines = concat!(
        r#"{"input":[{"role":"system","content":"Be short."},{"role":"user","content":"Q?"}],"ideal":["a","b"]}"#,
        "\n",
        r#"{"input":"Q2?","ideal":"c","note":"x"}"#,
    );
    let read_one = read("d", "e.jsonl", lines.as_bytes(), (None, &Columns::default())).unwrap();
    assert_eq!(read_one.dataset.cases[0].expected.len(), 2);
    assert_eq!((read_one.dataset.cases[1].question().as_str(), read_one.left_out["note"]), ("Q2?", 1));
    let items = r#"{"item":{"question":"Q?","correct_label":"yes","topic":"t"},"sample":{"output_text":"no"}}"#;
    let columns = Columns { slices: vec!["topic".to_owned()], ..Columns::default() };
    let items = read("d", "i.jsonl", items.as_bytes(), (None, &columns)).unwrap();
    let case = &items.dataset.cases[0];
    assert_eq!(
        (case.question().as_str(), case.expected_texts().next(), case.slices["topic"].as_str()),
        ("Q?", Some("yes"), "t")
    );
    assert_eq!(items.left_out["sample"], 1);
    check_problems("e.jsonl", r#"{"item":{"topic":"t"}}"#, &["e.jsonl:1:item.input: missing"]);
}

#[test]
fn the_last_message_of_a_chat_is_its_answer() {
    let chat = r#"{"messages":[{"role":"user","content":"Q?"},{"role":"assistant","content":"A."}],"tools":[{"type":"function","function":{"name":"f"}}]}"#;
    let case = &cases("c.jsonl", chat)[0];
    assert_eq!((case.question().as_str(), case.expected_texts().next()), ("Q?", Some("A.")));
    assert!(case.request["tools"].is_array() && case.request["messages"].as_array().unwrap().len() == 1);
    let turns = r#"{"conversations":[{"from":"human","value":"Q?"},{"from":"gpt","value":"A."}]}"#;
    assert_eq!(cases("c.jsonl", turns)[0].expected_texts().next(), Some("A."));
    let chats = Dataset { name: "d".to_owned(), cases: cases("c.jsonl", chat) }.to_chats();
    assert_eq!(cases("again.jsonl", &chats.0)[0].request, cases("c.jsonl", chat)[0].request);
    assert_eq!(chats.1, 0);
    check_problems(
        "c.jsonl",
        r#"{"conversations":[{"from":"human","value":"Q?"}]}"#,
        &["c.jsonl:1:conversations: expected a question and, last, the answer to it"],
    );
}

#[test]
fn csv_has_quotations_lines_within_cells_and_columns_by_name() {
    let text = "id,question,answer,slice.topic,notes\r\n1,\"Say \"\"hi\"\", please\nand go\",hi,greeting,x\r\n2,Bye?,bye,,\r\n";
    let imported = read("d", "c.csv", text.as_bytes(), (None, &Columns::default())).unwrap();
    let cases = imported.dataset.cases;
    assert_eq!(cases[0].question(), "Say \"hi\", please\nand go");
    assert_eq!((cases[0].slices["topic"].as_str(), cases[1].slices.len()), ("greeting", 0));
    assert_eq!(imported.left_out["notes"], 1);
    check_problems(
        "c.csv",
        "id,question\n1,\n2,a,b\n3,\"x\"y\n4,\"open\n",
        &[
            "c.csv:4: text after a closing quotation mark",
            "c.csv:5: a quotation that does not end",
            "c.csv:2:input: empty",
            "c.csv:3: 3 columns, where the headings are 2",
        ],
    );
    check_problems(
        "c.csv",
        "a,b\n1,2\n",
        &[
            "c.csv:1:input: there is no such column; `--input COLUMN` names the one with the question",
            "c.csv:2:input: empty",
        ],
    );
}

fn scalar(line: usize, value: impl Into<serde_json::Value>) -> Located {
    Located { line, column: 1, kind: LocatedKind::Scalar(value.into()) }
}

fn map(line: usize, members: Vec<(&str, Located)>) -> Located {
    let members = members.into_iter().map(|(name, node)| (name.to_owned(), node)).collect();
    Located { line, column: 1, kind: LocatedKind::Map(members) }
}

fn list(line: usize, items: Vec<Located>) -> Located {
    Located { line, column: 1, kind: LocatedKind::List(items) }
}

#[test]
fn a_promptfoo_configuration_is_prompts_times_variables_with_what_is_asserted() {
    let variables = map(3, vec![("q", list(3, vec![scalar(3, "A?"), scalar(3, "B?")])), ("n", scalar(4, 3))]);
    let check = map(5, vec![("type", scalar(5, "not-contains")), ("value", scalar(5, "{{ n }} days"))]);
    let test = map(2, vec![("vars", variables), ("assert", list(5, vec![check]))]);
    let prompts = list(1, vec![scalar(1, "Short: {{q}}"), scalar(1, r#"[{"role":"user","content":"{{q}}"}]"#)]);
    let root = map(1, vec![("prompts", prompts), ("providers", scalar(1, "x")), ("tests", list(2, vec![test]))]);
    let imported = from_promptfoo("d", "p.yaml", (b"", &root)).unwrap();
    let cases = imported.dataset.cases;
    let questions: Vec<String> = cases.iter().map(Case::question).collect();
    assert_eq!(questions, ["Short: A?", "A?", "Short: B?", "B?"]);
    assert_eq!((cases[0].checks[0].metric.as_str(), cases[0].checks[0].not), ("contains", true));
    assert_eq!((&cases[0].checks[0].value, cases[1].slices["prompt"].as_str()), (&"3 days".into(), "prompt 2"));
    assert_eq!(imported.left_out["providers"], 1);
}

#[test]
fn variables_of_promptfoo_may_name_others_and_no_circle_is_followed() {
    let imported = |country: &str, question: &str| {
        let question = scalar(3, question);
        let countries = list(4, vec![scalar(4, country), scalar(4, "Spain")]);
        let test = map(2, vec![("vars", map(3, vec![("question", question), ("country", countries)]))]);
        let prompts = list(1, vec![scalar(1, "{{question}}")]);
        let root = map(1, vec![("prompts", prompts), ("providers", scalar(1, "x")), ("tests", list(2, vec![test]))]);
        from_promptfoo("d", "p.yaml", (b"", &root))
    };
    let cases = imported("France", "What is the capital of {{ country }}?").unwrap().dataset.cases;
    let questions: Vec<String> = cases.iter().map(Case::question).collect();
    assert_eq!(questions, ["What is the capital of France?", "What is the capital of Spain?"]);
    let problems = imported("{{question}}", "Where is {{country}}?").unwrap_err();
    assert_eq!(problems.shown[0].to_string(), "p.yaml:1:vars: variables name each other in a circle");
}

#[test]
fn what_would_mean_something_else_is_not_imported() {
    let check = map(5, vec![("type", scalar(5, "javascript")), ("value", scalar(5, "x"))]);
    let test = map(2, vec![("assert", list(5, vec![check])), ("vars", map(3, vec![("q", scalar(3, "file://q.txt"))]))]);
    let prompts = list(1, vec![scalar(1, "{% if x %}")]);
    let root = map(1, vec![("prompts", prompts), ("test", scalar(9, 1)), ("tests", list(2, vec![test]))]);
    let problems = from_promptfoo("d", "p.yaml", (b"", &root)).unwrap_err();
    let shown: Vec<String> = problems.shown.iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "p.yaml:1:prompts[0]: a template with logic, filters or the conversation; write it as texts and {{variables}}, one prompt \
             for each way it can turn out",
            "p.yaml:3:tests[0].vars.q: the file cannot be read here; write what is in it in its place",
            "p.yaml:5:tests[0].assert[0].type: code that comes with cases is not run; say it with `regex`, `json_path` or \
             `contains_json`, or run the code on what `crossfade eval report -o FILE.csv` writes",
            "p.yaml:9:test: not a key of promptfoo's that is known here; look up what it does, and whether it is still wanted",
        ]
    );
}
