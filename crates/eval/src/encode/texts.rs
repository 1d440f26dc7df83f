//! What is encoded of a case.

use serde_json::{Map, Value};

use crate::case::{Case, Check};
use crate::metric::vectors::is_by_meaning;
use crate::results::Results;
use crate::run::CHECKS;

/// The texts of a case and of the answers to it, each once. A text of blanks is none: it has no vector, and servers refuse it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// The texts, in the order in which they are asked.
    pub all: Vec<String>,
    /// Places of what answers are held against.
    pub references: Vec<usize>,
    /// Places of the answers.
    pub answers: Vec<usize>,
}

impl Texts {
    fn add(&mut self, text: &str) -> Option<usize> {
        if text.trim().is_empty() {
            return None;
        }
        let known = self.all.iter().position(|known| known == text);
        Some(known.unwrap_or_else(|| {
            self.all.push(text.to_owned());
            self.all.len() - 1
        }))
    }
}

/// The texts of a case: its question, what is right, what its checks hold answers against, and every answer there is.
#[must_use]
pub fn texts(results: &Results, case_idx: usize) -> Texts {
    let mut texts = Texts::default();
    let case = &results.cases[case_idx];
    // Two runs of one dataset can be held against each other by what is asked, so that the question is encoded though no answer is held against it.
    texts.add(&case.question());
    let mut references: Vec<String> = case.expected_texts().map(str::to_owned).collect();
    case.checks.iter().for_each(|check| named_by(check, &mut references));
    for reference in references {
        let place = texts.add(&reference);
        push_new(&mut texts.references, place);
    }
    for target_idx in 0..results.plan.targets.len() {
        for answer in results.of(case_idx, target_idx).filter_map(|record| record.answered.answer.as_ref()) {
            let place = texts.add(&answer.text);
            push_new(&mut texts.answers, place);
        }
    }
    texts
}

fn push_new(places: &mut Vec<usize>, place: Option<usize>) {
    places.extend(place.filter(|place| !places.contains(place)));
}

/// What a check by meaning holds answers against, the checks that it is made of included.
fn named_by(check: &Check, references: &mut Vec<String>) {
    if check.metric == CHECKS {
        let inner: Vec<Check> = serde_json::from_value(check.value.clone()).unwrap_or_default();
        inner.iter().for_each(|check| named_by(check, references));
    } else if is_by_meaning(&check.metric) {
        let values = check.value.as_array().map_or(std::slice::from_ref(&check.value), Vec::as_slice);
        references.extend(values.iter().filter_map(Value::as_str).map(str::to_owned));
    }
}

/// Whether a case has a check by meaning.
pub(crate) fn is_checked(checks: &[Check]) -> bool {
    checks.iter().any(|check| {
        let inner = || serde_json::from_value::<Vec<Check>>(check.value.clone()).unwrap_or_default();
        is_by_meaning(&check.metric) || (check.metric == CHECKS && is_checked(&inner()))
    })
}

/// What an encoder is asked, one item for each case that has a text: a request for embeddings without a model, as a case.
#[must_use]
pub fn cases(results: &Results) -> Vec<Case> {
    let one = |(case_idx, case): (usize, &Case)| {
        let texts = texts(results, case_idx);
        if texts.all.is_empty() {
            return None;
        }
        let mut asked = Case::asking(case.id.clone(), "", []);
        asked.request = Map::from_iter([("input".to_owned(), Value::from(texts.all))]);
        // An encoder may be told no more than its target may see of the case.
        asked.source.clone_from(&case.source);
        Some(asked)
    };
    results.cases.iter().enumerate().filter_map(one).collect()
}
