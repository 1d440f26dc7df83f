use super::*;

const LABELLED: &str = include_str!("labelled.tsv");

/// Whether it is a refusal, its language, its text.
fn labelled() -> impl Iterator<Item = (bool, &'static str, String)> {
    LABELLED.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut parts = line.splitn(3, '\t');
        let (label, language, text) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        (label == "refused", language, text.replace("\\n", "\n"))
    })
}

fn found(text: &str) -> Option<&'static str> {
    language_of_refusal(text, text.len() as u64)
}

#[test]
fn what_is_found_is_a_refusal_and_most_refusals_are_found() {
    let (mut hits, mut false_alarms, mut missed) = (0_u32, Vec::new(), Vec::new());
    for (is_refusal, language, text) in labelled() {
        match (is_refusal, found(&text)) {
            (true, Some(as_language)) => {
                assert_eq!(as_language, language, "{text}");
                hits += 1;
            }
            (true, None) => missed.push(text),
            (false, Some(_)) => false_alarms.push(text),
            (false, None) => {}
        }
    }
    let n_found = f64::from(hits) + false_alarms.len() as f64;
    let (precision, recall) = (f64::from(hits) / n_found, f64::from(hits) / (f64::from(hits) + missed.len() as f64));
    println!("refusals in plain words: precision {precision:.3}, recall {recall:.3} of {} texts", labelled().count());
    println!("taken for a refusal: {false_alarms:#?}\noverlooked: {missed:#?}");
    assert!(precision >= 0.97, "{false_alarms:#?}");
    assert!(recall >= 0.87, "{missed:#?}");
}

#[test]
fn a_glance_passes_over_no_refusal() {
    for language in LANGUAGES {
        let starts = language.phrases.iter().filter(|phrase| !phrase.after_apology).flat_map(|phrase| phrase.starts);
        for word in language.apologies.iter().chain(starts) {
            let dressed = format!("\n> **{}**, and so on", word.to_uppercase().replace('\'', "’"));
            assert!(may_decline(word) && may_decline(&dressed), "{dressed}");
        }
    }
    assert!(!may_decline("The answer is 42.") && !may_decline("{\"answer\": 42}"));
}

#[test]
fn a_long_text_and_one_that_gives_something_are_answers() {
    let refusal = "I'm sorry, but I can't help with that. ";
    assert_eq!(found(refusal), Some("en"));
    assert_eq!(found(&refusal.repeat(40)), None, "it goes on");
    assert_eq!(found(&format!("{refusal}\n```\ncargo build\n```")), None);
    assert_eq!(found(&format!("“{refusal}”")), None, "somebody else's words");
    assert_eq!(found(""), None);
}

/// A stream whose texts come in these pieces, as JSON strings.
fn gathered(pieces: &[&str]) -> Beginning {
    let mut beginning = Beginning::default();
    for piece in pieces {
        let literal = serde_json::to_string(piece).unwrap();
        let says = Says { text: Some(0..literal.len()), ..Says::default() };
        beginning.push(literal.as_bytes(), &says);
    }
    beginning
}

#[test]
fn an_answer_is_gathered_piece_by_piece_and_only_its_beginning() {
    assert_eq!(
        gathered(&["I\u{2019}m sorry", ", but I can", "\u{2019}t help with", " that."]).manner(),
        Manner::Refused
    );
    assert_eq!(gathered(&["I'm sorry, but I can't help with that. ", &"x".repeat(1000)]).manner(), Manner::Answered);
    assert_eq!(gathered(&["Bern"]).manner(), Manner::Answered);
    assert_eq!(gathered(&[" ", "\n\n"]).manner(), Manner::Empty);
    assert_eq!(gathered(&[]).manner(), Manner::Empty);
    let long = gathered(&["word "; 1000]);
    assert!(long.text.len() <= LOOKED_AT + 8 && long.n_bytes == 5000, "{long:?}");
}

#[test]
fn what_calls_has_answered_and_what_says_it_refuses_has_refused() {
    let with = |says: &Says, pieces: &[&str]| {
        let mut beginning = gathered(pieces);
        beginning.push(b"", says);
        beginning.manner()
    };
    let (refused, otherwise) = (Says { refused: true, ..Says::default() }, Says { otherwise: true, ..Says::default() });
    assert_eq!(with(&refused, &[]), Manner::Refused);
    assert_eq!(with(&otherwise, &[]), Manner::Answered);
    assert_eq!(with(&otherwise, &["I can't help with that."]), Manner::Answered, "it calls all the same");
}

#[test]
fn the_text_of_events_of_all_dialects_is_seen() {
    let chat = |data: &str| crate::openai::chunk::inspect(data.as_bytes()).says;
    let typed = |data: &str| crate::openai::typed::inspect(data.as_bytes()).says;
    let messages = |data: &str| crate::messages::event::inspect(data.as_bytes()).says;
    let at = |data: &str, says: Says| says.text.map(|literal| data[literal].to_owned());
    let text = Some("\"no\"".to_owned());
    for (data, read) in [
        (r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"no"}}]}"#, chat as fn(&str) -> Says),
        (r#"{"type":"response.output_text.delta","delta":"no"}"#, typed),
        (r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"no"}}"#, messages),
    ] {
        assert_eq!(at(data, read(data)), text, "{data}");
    }
    assert!(chat(r#"{"choices":[{"delta":{"content":null,"refusal":"I can't"}}]}"#).refused);
    assert!(typed(r#"{"type":"response.refusal.delta","delta":"I can't"}"#).refused);
    for (data, read) in [
        (r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"name":"f"}}]}}]}"#, chat as fn(&str) -> Says),
        (r#"{"choices":[{"text":"once upon"}]}"#, chat),
        (r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#, typed),
        (r#"{"type":"transcript.text.delta","delta":"hello"}"#, typed),
        (r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","name":"f"}}"#, messages),
        (
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
            messages,
        ),
    ] {
        assert!(read(data).otherwise, "{data}");
    }
    for (data, read) in [
        (r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#, chat as fn(&str) -> Says),
        (r#"{"type":"response.reasoning_summary_text.delta","delta":"hm"}"#, typed),
        (r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"hm"}}"#, messages),
    ] {
        assert_eq!(read(data), Says::default(), "{data}: only thought");
    }
}
