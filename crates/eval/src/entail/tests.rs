use serde_json::json;

use super::labels::PeopleSay;
use super::prompt::{Question, Word, read, wording};
use super::{Entailer, Kind, PROMPTS};
use crate::case::{Answer, Document};
use crate::judge::{Floor, NoVerdict};
use crate::metric::citations::Claim;
use crate::run::PlannedTarget;

fn entailer() -> Entailer {
    let target = PlannedTarget {
        name: "examiner".to_owned(),
        fingerprint: "f".to_owned(),
        provider: "p".to_owned(),
        model: "m".to_owned(),
        simulated: false,
    };
    Entailer { target, seed: 1, temperature: Some(0.0), floor: Floor::default() }
}

fn document(id: &str, text: &str) -> Document {
    Document { id: id.to_owned(), text: text.to_owned() }
}

fn asked(kind: Kind, text: &str, documents: &[Document]) -> (String, String, serde_json::Value) {
    let request = entailer().request(&Question { kind, text, documents: documents.iter().collect() });
    let of = |idx: usize| request["messages"][idx]["content"].as_str().unwrap().to_owned();
    (of(0), of(1), request["response_format"]["json_schema"]["schema"].clone())
}

#[test]
fn a_question_holds_the_statement_and_the_documents_that_are_cited_for_it_and_nothing_else() {
    let documents = [document("refunds", "Refunds take 72 hours."), document("tea", "Tea is free.")];
    let (system, material, schema) = asked(Kind::Entailment, "It takes 72 hours.", &documents[..1]);
    assert!(material.starts_with("[document refunds ") && material.contains("\n\n[statement "), "{material}");
    assert!(material.contains("It takes 72 hours.") && !material.contains("Tea"), "{material}");
    assert!(system.contains("support a statement"), "{system}");
    assert_eq!(schema["properties"]["verdict"]["enum"], json!(["no", "yes"]), "what is made up supports nothing");
    let (system, material, _) = asked(Kind::Abstention, "Das weiß ich nicht.", &[]);
    assert!(material.starts_with("[answer ") && system.contains("in whatever language"), "{system}\n{material}");
    let (_, material, schema) = asked(Kind::Claims, "It takes 72 hours.", &documents);
    assert!(material.contains("[document tea ") && schema["properties"]["claims"]["type"] == "array", "{material}");
}

#[track_caller]
fn check(kind: Kind, text: &str, expected: Result<Word, NoVerdict>) {
    let said = Answer { text: text.to_owned(), ..Answer::default() };
    assert_eq!(read(kind, &said), expected, "{text}");
}

#[test]
fn the_word_is_the_whole_answer_or_there_is_none() {
    for kind in [Kind::Entailment, Kind::Abstention] {
        check(kind, r#"{"reason":"r","verdict":"yes"}"#, Ok(Word::Is(true)));
        check(kind, " {\"verdict\":\"no\"}\n", Ok(Word::Is(false)));
        check(kind, r#"{"verdict":"maybe"}"#, Err(NoVerdict::OutOfScale));
        check(kind, r#"{"verdict":true}"#, Err(NoVerdict::OutOfScale));
        check(kind, r#"{"verdict":"yes","sure":1}"#, Err(NoVerdict::NoVerdict));
        check(kind, "```json\n{\"verdict\":\"yes\"}\n```", Err(NoVerdict::Leaked));
        check(kind, "Yes.", Err(NoVerdict::NoVerdict));
    }
}

#[test]
fn claims_are_read_all_or_none() {
    let claim = |text: &str, supported| Claim { text: text.to_owned(), supported };
    let both = r#"{"claims":[{"claim":"a","supported":"yes"},{"claim":"b","supported":"no"}]}"#;
    check(Kind::Claims, both, Ok(Word::Claims(vec![claim("a", true), claim("b", false)])));
    check(Kind::Claims, r#"{"claims":[]}"#, Ok(Word::Claims(Vec::new())));
    check(Kind::Claims, r#"{"claims":[{"claim":"a","supported":"partly"}]}"#, Err(NoVerdict::OutOfScale));
    check(Kind::Claims, r#"{"claims":[{"claim":"a"}]}"#, Err(NoVerdict::NoVerdict));
    check(Kind::Claims, r#"{"claims":[{"claim":" ","supported":"yes"}]}"#, Err(NoVerdict::NoVerdict));
    check(Kind::Claims, r#"{"claims":"none"}"#, Err(NoVerdict::NoVerdict));
    check(Kind::Claims, r#"{"verdict":"yes"}"#, Err(NoVerdict::NoVerdict));
    assert!(Word::Claims(Vec::new()).is() && !Word::Claims(vec![claim("a", false)]).is());
}

#[test]
fn another_model_seed_or_temperature_is_another_judge_and_another_floor_is_not() {
    let one = entailer();
    assert!(one.id().starts_with(&format!("entailment@{PROMPTS}:")), "{}", one.id());
    let mut others = [one.clone(), one.clone(), one.clone(), one.clone()];
    others[0].seed = 2;
    others[1].temperature = None;
    others[2].target.model = "n".to_owned();
    others[3].target.fingerprint = "g".to_owned();
    others.iter().for_each(|other| assert_ne!(other.id(), one.id()));
    assert_eq!(Entailer { floor: Floor { kappa: 0.9, ..Floor::default() }, ..one.clone() }.id(), one.id());
    assert!(!wording().is_empty());
}

#[test]
fn what_people_say_is_of_a_statement_or_of_an_answer() {
    let documents = [document("a", "x"), document("b", "y")];
    let told = |value: serde_json::Value| {
        let say: PeopleSay = serde_json::from_value(value).unwrap();
        say.problem(&documents).map(|(member, _)| member)
    };
    assert_eq!(told(json!({ "statement": "s", "documents": ["b"], "entailed": true })), None);
    assert_eq!(told(json!({ "statement": "s", "entailed": false })), None);
    assert_eq!(told(json!({ "answer": "s", "grounded": false, "abstains": true })), None);
    assert_eq!(told(json!({ "entailed": true })), Some(""));
    assert_eq!(told(json!({ "statement": "s", "answer": "s", "entailed": true })), Some("answer"));
    assert_eq!(told(json!({ "statement": " ", "entailed": true })), Some("statement"));
    assert_eq!(told(json!({ "statement": "s" })), Some("entailed"));
    assert_eq!(told(json!({ "statement": "s", "entailed": true, "abstains": true })), Some("abstains"));
    assert_eq!(told(json!({ "statement": "s", "entailed": true, "documents": ["c"] })), Some("documents"));
    assert_eq!(told(json!({ "answer": "s" })), Some("grounded"));
    assert_eq!(told(json!({ "answer": "s", "entailed": true })), Some("entailed"));
    assert_eq!(told(json!({ "answer": "s", "grounded": true, "documents": ["a"] })), Some("documents"));
    let say: PeopleSay = serde_json::from_value(json!({ "answer": "s", "grounded": true })).unwrap();
    assert!(say.problem(&[]).is_some(), "nothing to rest on");
    let say: PeopleSay = serde_json::from_value(json!({ "answer": "s", "abstains": true })).unwrap();
    assert!(say.problem(&[]).is_none());
}
