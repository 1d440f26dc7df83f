//! What is asked about a run: each question once, in the order in which it first comes up.

use std::collections::HashMap;

use super::prompt::Question;
use super::{Entailer, Kind};
use crate::case::{Case, Document, digest};
use crate::metric::citations::{self, statements};
use crate::results::Results;

/// Everything that is asked about a run.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The kind of each question.
    pub(super) kinds: Vec<Kind>,
    /// What is asked about answers.
    pub(super) subjects: Vec<Subject>,
    /// What is asked because people have said it.
    pub(super) labelled: Vec<(usize, bool)>,
}

/// What a question is asked for.
#[derive(Debug)]
pub(super) struct Subject {
    /// Its number.
    pub(super) question: usize,
    /// The record that it is about.
    pub(super) place: usize,
    /// Of a statement, which one, and by which documents.
    pub(super) statement: usize,
    pub(super) documents: Vec<u64>,
}

/// Where a question comes up.
enum At {
    Answer { place: usize, statement: usize, documents: Vec<u64> },
    Label { is: bool },
}

/// Everything that is asked about a run, as far as it has answers.
pub(super) fn asked(results: &Results) -> Asked {
    let mut asked = Asked::default();
    let mut known: HashMap<String, usize> = HashMap::new();
    each(results, |case, at, question| {
        let next = asked.kinds.len();
        let number = *known.entry(mark(case, question)).or_insert(next);
        if number == next {
            asked.kinds.push(question.kind);
        }
        match at {
            At::Answer { place, statement, documents } => {
                asked.subjects.push(Subject { question: number, place, statement, documents });
            }
            At::Label { is } => asked.labelled.push((number, is)),
        }
    });
    asked
}

/// The questions as cases.
#[must_use]
pub fn cases(results: &Results, entailer: &Entailer) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut known: HashMap<String, ()> = HashMap::new();
    each(results, |case, _, question| {
        if known.insert(mark(case, question), ()).is_none() {
            let mut asked = Case::asking(case.id.clone(), "", []);
            asked.request = entailer.request(question);
            // Nobody is told more than its target may see of the case.
            asked.source.clone_from(&case.source);
            cases.push(asked);
        }
    });
    cases
}

/// The same for the same question that may go the same ways.
fn mark(case: &Case, question: &Question<'_>) -> String {
    let route = case.source.as_ref().and_then(|source| source.route.as_deref()).unwrap_or_default();
    let mut parts = vec![question.kind.as_str(), route, question.text];
    parts.extend(question.documents.iter().flat_map(|document| [document.id.as_str(), document.text.as_str()]));
    let parts: Vec<&[u8]> = parts.into_iter().map(str::as_bytes).collect();
    digest(&parts)
}

/// Goes through all questions: those about answers in the order of the answers, then those that people have answered, as far as a question of their kind is asked.
fn each(results: &Results, mut take: impl FnMut(&Case, At, &Question<'_>)) {
    let whole = results.needs();
    for (place, record) in results.records.iter().enumerate() {
        let case = &results.cases[record.item.case_idx];
        let Some(answer) = &record.answered.answer else { continue };
        let needs = results.scorer.needs(case);
        let documents = crate::run::shown(case, answer);
        let mut of_answer = |kind: Kind, text: &str, documents: Vec<&Document>| {
            let at = At::Answer { place, statement: 0, documents: Vec::new() };
            take(case, at, &Question { kind, text, documents });
        };
        if needs.abstained
            && answer.tool_calls.is_empty()
            && let Some(text) = answer.refusal.iter().chain([&answer.text]).find(|text| !text.trim().is_empty())
        {
            of_answer(Kind::Abstention, text, Vec::new());
        }
        if needs.claims && !answer.text.trim().is_empty() && !documents.is_empty() {
            of_answer(Kind::Claims, &answer.text, documents.iter().collect());
        }
        if needs.entailed {
            let statements = statements(&answer.text);
            for asked in citations::questions(&answer.text, documents.len() as u64, needs.parts) {
                let cited = asked.documents.iter().filter_map(|number| {
                    // They are counted from 1.
                    documents.get(usize::try_from(number.checked_sub(1)?).ok()?)
                });
                let question = Question {
                    kind: Kind::Entailment,
                    text: &statements[asked.statement].text,
                    documents: cited.collect(),
                };
                let at = At::Answer { place, statement: asked.statement, documents: asked.documents };
                take(case, at, &question);
            }
        }
    }
    for case in &results.cases {
        for label in &case.verdicts {
            for (kind, is, text, documents) in label.questions(&case.documents) {
                if kind.is_of(whole) {
                    take(case, At::Label { is }, &Question { kind, text, documents });
                }
            }
        }
    }
}
