//! What is asked, and how the word is read.

use serde_json::{Map, Value, json};

use super::{Entailer, Kind};
use crate::case::{Answer, Document};
use crate::judge::prompt::{common, marked, object, request, system};
use crate::judge::{NoVerdict, whole};
use crate::metric::citations::Claim;

const ENTAILMENT: &str = "You say whether documents support a statement, as a strict and careful reader would. Say yes where everything that the \
    statement says follows from the documents alone, all of them taken together. Say no where a part of it is not said there, is contradicted there, or \
    follows only with knowledge from elsewhere. Whether the statement is true is no matter.";
const CLAIMS: &str = "You list every claim that an answer makes, and say of each whether documents support it, as a strict and careful reader would. A claim is \
    the smallest statement that can be true or false by itself, in words that are understood without the rest of the answer. Leave citations out, and \
    what claims nothing: greetings, offers, that something is not known. Say yes of a claim where all of it follows from the documents alone, and no where a part of \
    it is not said there, is contradicted there, or follows only with knowledge from elsewhere. An answer that claims nothing has an empty list.";
const ABSTENTION: &str = "You say whether an answer abstains, in whatever language it is. Say yes where it gives no answer and says, in whatever words, that what was asked \
    is not known, does not stand in the documents, or cannot or may not be answered; excuses and offers of other help change nothing. Say no where it \
    answers, also in part, with doubts, or wrongly.";
const YES_OR_NO: &str = "{\"reason\": one or two sentences, \"verdict\": \"yes\" or \"no\"}";
const LIST: &str = "{\"claims\": [{\"claim\": the claim, \"supported\": \"yes\" or \"no\"}, ...]}";

/// The wording of every question, for the id.
pub(super) fn wording() -> String {
    [ENTAILMENT, CLAIMS, ABSTENTION, YES_OR_NO, LIST].concat() + &common()
}

/// One question.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question<'q> {
    pub(super) kind: Kind,
    /// A statement, or a whole answer.
    pub(super) text: &'q str,
    /// The documents that it is held against; none where it is asked whether an answer abstains.
    pub(super) documents: Vec<&'q Document>,
}

/// What was said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Word {
    /// Yes or no.
    Is(bool),
    /// The claims of an answer.
    Claims(Vec<Claim>),
}

impl Word {
    /// As people say it: of claims, whether all are supported; an answer without any has none that is not.
    pub(super) fn is(&self) -> bool {
        match self {
            Word::Is(is) => *is,
            Word::Claims(claims) => claims.iter().all(|claim| claim.supported),
        }
    }
}

impl Entailer {
    /// The question as a chat request without a model.
    pub(super) fn request(&self, question: &Question<'_>) -> Map<String, Value> {
        let of_document = |document: &&Document| (format!("document {}", document.id), document.text.clone());
        let mut sections: Vec<(String, String)> = question.documents.iter().map(of_document).collect();
        let yes_or_no = || json!({ "type": "string", "enum": ["no", "yes"] });
        let text = || json!({ "type": "string" });
        let (name, task, shape, schema) = match question.kind {
            Kind::Claims => {
                let claim = object(json!({ "claim": text(), "supported": yes_or_no() }), &["claim", "supported"]);
                let schema = object(json!({ "claims": { "type": "array", "items": claim } }), &["claims"]);
                ("answer", CLAIMS, LIST, schema)
            }
            Kind::Entailment | Kind::Abstention => {
                let schema = object(json!({ "reason": text(), "verdict": yes_or_no() }), &["reason", "verdict"]);
                let is_statement = question.kind == Kind::Entailment;
                let (name, task) = if is_statement { ("statement", ENTAILMENT) } else { ("answer", ABSTENTION) };
                (name, task, YES_OR_NO, schema)
            }
        };
        sections.push((name.to_owned(), question.text.to_owned()));
        let (mark, material) = marked(&sections);
        request([&system(task, &mark, shape), &material], schema, (Some(self.seed), self.temperature))
    }
}

/// The word that an answer is.
///
/// # Errors
/// When it is none, all of it.
pub(super) fn read(kind: Kind, said: &Answer) -> Result<Word, NoVerdict> {
    match kind {
        Kind::Entailment | Kind::Abstention => {
            Ok(Word::Is(is_yes(&whole(said, "verdict")?["verdict"]).ok_or(NoVerdict::OutOfScale)?))
        }
        Kind::Claims => {
            let members = whole(said, "claims")?;
            let claims = members["claims"].as_array().ok_or(NoVerdict::NoVerdict)?;
            claims.iter().map(claim).collect::<Result<_, _>>().map(Word::Claims)
        }
    }
}

fn claim(said: &Value) -> Result<Claim, NoVerdict> {
    let text = said["claim"].as_str().filter(|text| !text.trim().is_empty()).ok_or(NoVerdict::NoVerdict)?;
    let supported = said.get("supported").ok_or(NoVerdict::NoVerdict)?;
    Ok(Claim { text: text.to_owned(), supported: is_yes(supported).ok_or(NoVerdict::OutOfScale)? })
}

fn is_yes(said: &Value) -> Option<bool> {
    match said.as_str()? {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}
