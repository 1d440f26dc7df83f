use std::path::{Path, PathBuf};

use super::{Family, Growing, find};

const TOOLS: [&str; 2] = ["get_weather", "find_order"];

/// One call of `get_weather` for Paris in each form, and whether prose may stand before it.
const LEAKS: [(Family, &str, bool); 30] = [
    (
        Family::Hermes,
        "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>",
        true,
    ),
    (
        Family::Hermes,
        "<tool_call>{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Paris\"}}</tool_call><|im_end|>",
        true,
    ),
    (Family::Hermes, "<tool_call>\n{\"arguments\": \"{\\\"city\\\":\\\"Paris\\\"}\", \"name\": \"get_weather\"}", true),
    (
        Family::Hermes,
        "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
        true,
    ),
    (
        Family::Hermes,
        "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Paris</arg_value>\n</tool_call>",
        true,
    ),
    (Family::Llama, "{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}", false),
    (
        Family::Llama,
        "{\"type\": \"function\", \"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}<|eom_id|>",
        false,
    ),
    (
        Family::Llama,
        "{\"type\":\"function\",\"function\":{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Paris\"}}}",
        false,
    ),
    (Family::Llama, "<|python_tag|>{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}", true),
    (Family::Llama, "<|python_tag|>get_weather(city=\"Paris\")<|eom_id|>", true),
    (Family::Llama, "<function=get_weather>{\"city\": \"Paris\"}</function>", true),
    (Family::Llama, "[get_weather(city=\"Paris\")]", false),
    (Family::Llama, "[get_weather(city='Paris')]<|eot_id|>", false),
    (Family::Llama, "```json\n{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\"}}\n```", false),
    (
        Family::Llama,
        "<think>The user wants weather.</think>\n\n{\"name\":\"get_weather\",\"parameters\":{\"city\":\"Paris\"}}",
        false,
    ),
    (Family::Mistral, "[TOOL_CALLS][{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}]", true),
    (
        Family::Mistral,
        "[TOOL_CALLS] [{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}, \"id\": \"a1b2c3d4e\"}]</s>",
        true,
    ),
    (Family::Mistral, "[TOOL_CALLS]get_weather[ARGS]{\"city\": \"Paris\"}", true),
    (Family::Mistral, "[TOOL_CALLS]get_weather[CALL_ID]a1b2c3d4e[ARGS]{\"city\": \"Paris\"}", true),
    (
        Family::Deepseek,
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n{\"city\": \"Paris\"}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜><｜end▁of▁sentence｜>",
        true,
    ),
    (
        Family::Deepseek,
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\": \"Paris\"}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        true,
    ),
    (
        Family::Harmony,
        "<|channel|>commentary to=functions.get_weather <|constrain|>json<|message|>{\"city\":\"Paris\"}<|call|>",
        true,
    ),
    (
        Family::Harmony,
        "<|start|>assistant to=functions.get_weather<|channel|>commentary json<|message|>{\"city\":\"Paris\"}<|call|>",
        true,
    ),
    (
        Family::Harmony,
        "analysisNeed the weather.assistantcommentary to=functions.get_weather json{\"city\":\"Paris\"}",
        false,
    ),
    (Family::Gemma, "```tool_code\nget_weather(city=\"Paris\")\n```", true),
    (Family::Gemma, "```tool_code\nprint(get_weather(city='Paris'))\n```<end_of_turn>", true),
    (Family::Gemma, "<start_function_call>call:get_weather{city:<escape>Paris<escape>}<end_function_call>", true),
    (Family::Granite, "<|tool_call|>[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}]", true),
    (Family::Granite, "functools[{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}]", true),
    (
        Family::Kimi,
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{\"city\": \"Paris\"}<|tool_call_end|><|tool_calls_section_end|>",
        true,
    ),
];

#[track_caller]
fn check(text: &str, family: Family, at: usize) {
    let leak = find(text, &TOOLS).unwrap_or_else(|| panic!("not found in {text}"));
    assert_eq!((leak.family, leak.at), (family, at), "{text}");
    assert_eq!(leak.calls.len(), 1, "{text}");
    assert_eq!(leak.calls[0].name, "get_weather");
    let arguments: serde_json::Value = serde_json::from_str(&leak.calls[0].arguments).unwrap();
    assert_eq!(arguments, serde_json::json!({"city": "Paris"}), "{text}");
}

#[test]
fn a_call_is_found_in_the_words_of_every_family() {
    for (family, text, may_follow_prose) in LEAKS {
        // Thoughts before the call are for the reader.
        let thought = ["<think>The user wants weather.</think>\n\n", "analysisNeed the weather."];
        let at = thought.iter().find(|thought| text.starts_with(**thought)).map_or(0, |thought| thought.len());
        check(text, family, at);
        if may_follow_prose {
            let before = "Let me look that up for you.\n\n";
            check(&format!("{before}{text}"), family, before.len());
        }
    }
    for family in Family::ALL {
        assert!(LEAKS.iter().any(|(known, ..)| *known == family), "no fixture for {}", family.as_str());
    }
}

#[test]
fn several_calls_are_all_found() {
    for text in [
        "<tool_call>\n{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Paris\"}}\n</tool_call>\n<tool_call>\n{\"name\":\"find_order\",\"arguments\":{\"id\":7}}\n</tool_call>",
        "[TOOL_CALLS][{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Paris\"}},{\"name\":\"find_order\",\"arguments\":{\"id\":7}}]",
        "[TOOL_CALLS]get_weather[ARGS]{\"city\":\"Paris\"}[TOOL_CALLS]find_order[ARGS]{\"id\":7}",
        "{\"name\":\"get_weather\",\"parameters\":{\"city\":\"Paris\"}}; {\"name\":\"find_order\",\"parameters\":{\"id\":7}}",
        "[get_weather(city=\"Paris\"), find_order(id=7)]",
        "```tool_code\nget_weather(city=\"Paris\")\nfind_order(id=7)\n```",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>get_weather<｜tool▁sep｜>{\"city\":\"Paris\"}<｜tool▁call▁end｜><｜tool▁call▁begin｜>find_order<｜tool▁sep｜>{\"id\":7}<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<|channel|>commentary to=functions.get_weather <|message|>{\"city\":\"Paris\"}<|call|><|start|>assistant<|channel|>commentary to=functions.find_order <|message|>{\"id\":7}<|call|>",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.get_weather:0<|tool_call_argument_begin|>{\"city\":\"Paris\"}<|tool_call_end|><|tool_call_begin|>functions.find_order:1<|tool_call_argument_begin|>{\"id\":7}<|tool_call_end|><|tool_calls_section_end|>",
    ] {
        let leak = find(text, &TOOLS).unwrap_or_else(|| panic!("not found in {text}"));
        let calls: Vec<_> = leak.calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect();
        assert_eq!(calls, [("get_weather", "{\"city\":\"Paris\"}"), ("find_order", "{\"id\":7}")], "{text}");
    }
}

#[test]
fn python_literals_become_json() {
    let text = "[find_order(id=-7.5, open=True, note=None, tags=['a\\'b', \"c\"], at=(1, 2), where={'x': 1e3})]";
    let leak = find(text, &TOOLS).unwrap();
    let arguments: serde_json::Value = serde_json::from_str(&leak.calls[0].arguments).unwrap();
    let expected = serde_json::json!({"id": -7.5, "open": true, "note": null, "tags": ["a'b", "c"], "at": [1, 2], "where": {"x": 1000.0}});
    assert_eq!(arguments, expected);
}

#[test]
fn a_text_that_is_no_whole_call_of_a_known_tool_is_left_alone() {
    for (_, text, _) in LEAKS {
        assert_eq!(find(text, &["another_tool"]), None, "{text}");
        assert_eq!(find::<&str>(text, &[]), None);
        assert_eq!(find(&format!("{text} This is how one calls it."), &TOOLS), None, "{text}");
        assert_eq!(find(&format!("`{text}`"), &TOOLS), None, "{text}");
        let cut = text.char_indices().nth(text.chars().count() / 2).unwrap().0;
        assert_eq!(find(&text[..cut], &TOOLS), None, "half of {text}");
    }
    for (_, text, _) in LEAKS.iter().filter(|(.., may_follow_prose)| !may_follow_prose) {
        let leak = find(&format!("Here: {text}"), &TOOLS);
        assert!(leak.is_none_or(|leak| leak.family == Family::Harmony), "{text}");
    }
}

/// Names that occur in prose and code.
const WORDS: [&str; 16] = [
    "get_weather",
    "search",
    "find",
    "list",
    "run",
    "open",
    "call",
    "check",
    "print",
    "name",
    "table",
    "text",
    "read",
    "write",
    "main",
    "test",
];

#[test]
fn no_plain_text_is_taken_for_a_call() {
    let mut n_texts = 0;
    let mut check = |text: &str| {
        n_texts += 1;
        assert_eq!(find(text, &WORDS), None, "a plain text was taken for a call:\n{text}");
    };
    // What people wrote: every paragraph of this repository's pages, code and configs, all but this module's own.
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()).for_each(&mut check);
    }
    // What models write near tools without calling one.
    for tool in WORDS {
        for text in near_misses(tool) {
            check(&text);
        }
    }
    assert!(n_texts >= 3000, "only {n_texts} texts");
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let skipped =
                name.starts_with('.') || ["target", "node_modules", "leak", "leak.rs"].contains(&name.as_str());
            if skipped {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if [".md", ".rs", ".py", ".yaml", ".toml", ".sse", ".txt", ".cjs"]
                .iter()
                .any(|end| name.ends_with(end))
            {
                found.push(path);
            }
        }
    }
    found
}

fn near_misses(tool: &str) -> Vec<String> {
    let call = format!("{{\"name\": \"{tool}\", \"arguments\": {{\"city\": \"Paris\"}}}}");
    [
        "I would call `{t}` with the city Paris, but I have no access to it.",
        "`{t}(city=\"Paris\")` returns the weather.",
        "{t}(city=\"Paris\")",
        "[{t}](https://example.com/docs)",
        "[{t}](tool) and [other](tool)",
        "[{t}, other]",
        "[\"{t}\", \"other\"]",
        "[1, 2, 3]",
        "{\"name\": \"{t}\"}",
        "{\"name\": \"{t}\", \"score\": 3}",
        "{\"name\": \"{t}\", \"arguments\": [\"Paris\"]}",
        "{\"{t}\": {\"city\": \"Paris\"}}",
        "{\"tools\": [{\"name\": \"{t}\", \"parameters\": {\"type\": \"object\"}}]}",
        "{\"result\": {c}}",
        "Here is the call:\n{c}",
        "{c}\nThis is what I would send.",
        "```json\n{c}\n```\nSend this to the endpoint.",
        "In Hermes templates a call looks like `<tool_call>{c}</tool_call>`.",
        "Write <tool_call>{c}</tool_call> and wait for the answer.",
        "The tags <tool_call> and </tool_call> surround the call of {t}.",
        "<tool_call>",
        "<tool_call></tool_call>",
        "<tool_call>{t}",
        "<tool_response>{\"name\": \"{t}\", \"content\": \"sunny\"}</tool_response>",
        "Mistral writes [TOOL_CALLS] before the list of calls, {t} among them.",
        "[TOOL_CALLS]",
        "[TOOL_CALLS] {t}",
        "Llama 3 says <|python_tag|> and then {t}.",
        "```python\n{t}(city=\"Paris\")\n```",
        "```tool_code\n# call {t} here\n```",
        "```tool_output\nsunny\n```",
        "The recipient is to=functions.{t} and the body {\"city\": \"Paris\"}",
        "A commentary to the functions: {t} is slow.",
        "from functools import {t}",
        "functools.{t}([1, 2])",
        "<function={t}>",
        "The function {t} = f(x) {\"a\": 1}",
        "{t}: {\"city\": \"Paris\"}",
        "call:{t}{city:Paris}",
        "- {t}\n- other\n- third",
        "1. Run `{t}`.\n2. Read {\"city\": \"Paris\"}.",
        "<{t}>{\"city\": \"Paris\"}</{t}>",
        "<think>I could use {c} here.</think>\nIt is sunny.",
        "[{t}(city)]",
        "[{t}()] is an empty call, [{t}(x=1)] is not",
        "{t}",
        "",
        "   \n",
    ]
    .iter()
    .map(|text| text.replace("{t}", tool).replace("{c}", &call))
    .collect()
}

#[test]
fn what_is_shown_of_a_growing_text_never_has_a_leak_in_it() {
    for (_, leak, may_follow_prose) in LEAKS {
        let before = if may_follow_prose { "Let me look. " } else { "" };
        let text = format!("{before}{leak}");
        let at = find(&text, &TOOLS).unwrap().at;
        let mut growing = Growing::default();
        for (end, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let shown = growing.safe_len(&text[..end]);
            assert!(shown <= at && text.is_char_boundary(shown), "{shown} bytes of {:?} are shown", &text[..end]);
        }
    }
    for plain in [
        "Hello there, how are you?",
        "a < b and b > c",
        "1. [x] done\n2. [ ] open",
        "use `functools.partial`",
        "🎚️ é",
        "{\"answer\": 3, \"why\": \"because it is so and not otherwise, as everybody knows\"}",
        "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]",
    ] {
        let mut growing = Growing::default();
        for (end, _) in plain.char_indices().chain([(plain.len(), ' ')]) {
            let held = end - growing.safe_len(&plain[..end]);
            assert!(held <= 28, "{held} bytes of {:?} are held", &plain[..end]);
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in ".{0,200}", cut in 0_usize..400) {
        let (_, leak, _) = LEAKS[cut % LEAKS.len()];
        let half: String = leak.chars().take(cut % leak.chars().count()).collect();
        for text in [text.clone(), format!("{half}{text}"), format!("{text}{half}")] {
            find(&text, &TOOLS);
            let mut growing = Growing::default();
            for (end, _) in text.char_indices() {
                let shown = growing.safe_len(&text[..end]);
                proptest::prop_assert!(shown <= end && text.is_char_boundary(shown));
            }
        }
    }
}
