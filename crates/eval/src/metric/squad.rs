//! Exact match and F1 as SQuAD defines them (Rajpurkar et al. 2016, 2018; evaluation script of version 2.0).
//!
//! A text is normalised: lower case, ASCII punctuation removed, the words `a`, `an`, `the` removed, and split at white space. F1 is
//! that of the two multisets of words. Where one side has no words, it is 1 when neither has any, else 0. With several references
//! the best one counts; a reference that is nothing once normalised counts only where all are.

use std::collections::HashMap;

use super::citations::statements;
use super::python;
use super::{Answer, Case, Metric, Score, Unscored};

/// `squad_em`.
pub(super) fn exact_match() -> Metric {
    Metric::new(
        "squad_em@squad-2.0",
        "1 when answer and a reference are equal after SQuAD's normalisation, else 0; the best reference counts",
        |case, answer| best(case, answer, |words, reference| f64::from(u8::from(words == reference))),
    )
}

/// `squad_f1`.
pub(super) fn f1() -> Metric {
    Metric::new(
        "squad_f1@squad-2.0",
        "F1 of the multisets of words of answer and reference after SQuAD's normalisation; the best reference counts",
        |case, answer| best(case, answer, overlap),
    )
}

fn best(case: &Case, answer: &Answer, value: fn(&[String], &[String]) -> f64) -> Score {
    let words = normalised(&answer.text);
    let mut references: Vec<_> = case.references.iter().map(|reference| normalised(reference)).collect();
    if references.iter().any(|reference| !reference.is_empty()) {
        references.retain(|reference| !reference.is_empty());
    }
    let values = references.iter().map(|reference| value(&words, reference));
    values.max_by(f64::total_cmp).map_or(Score::unscored(Unscored::NoReference), Score::value)
}

/// `k_precision`: how much of an answer stands in what it was made of, word for word (K-Precision, Adlakha et al. 2023). It needs no judge; a true answer in
/// other words loses by it, and so does every word that is the answer's own.
pub(super) fn k_precision() -> Metric {
    Metric::new(
        "k_precision@adlakha-2023",
        "words of the answer, citations left out, that the documents together have as often, among all; SQuAD's normalisation",
        |case, answer| {
            if case.documents.is_empty() {
                return Score::unscored(Unscored::NoContext);
            }
            let said: Vec<String> = statements(&answer.text).iter().flat_map(|one| normalised(&one.text)).collect();
            if said.is_empty() {
                return Score::unscored(Unscored::NoClaims);
            }
            let known: Vec<String> = case.documents.iter().flat_map(|document| normalised(&document.text)).collect();
            Score::value(n_shared(&said, &known) as f64 / said.len() as f64)
        },
    )
}

/// F1 of two texts.
///
/// By hand: `the cat sat` and `a cat sat down` share `cat` and `sat`; 2 of 2 and 2 of 3, so 2·1·(2/3)/(1 + 2/3) = 0.8.
#[must_use]
pub fn f1_of(answer: &str, reference: &str) -> f64 {
    overlap(&normalised(answer), &normalised(reference))
}

fn overlap(answer: &[String], reference: &[String]) -> f64 {
    if answer.is_empty() || reference.is_empty() {
        return f64::from(u8::from(answer.is_empty() && reference.is_empty()));
    }
    let n_same = n_shared(answer, reference);
    if n_same == 0 {
        return 0.0;
    }
    let precision = n_same as f64 / answer.len() as f64;
    let recall = n_same as f64 / reference.len() as f64;
    2.0 * precision * recall / (precision + recall)
}

/// Words that two multisets share.
fn n_shared(one: &[String], other: &[String]) -> usize {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in other {
        *left.entry(word).or_default() += 1;
    }
    let mut n_same = 0_usize;
    for word in one {
        if let Some(n) = left.get_mut(word.as_str()).filter(|n| **n > 0) {
            *n -= 1;
            n_same += 1;
        }
    }
    n_same
}

/// The words of a text after normalisation.
#[must_use]
pub fn normalised(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let bare: String = lower.chars().filter(|c| !python::is_punctuation(*c)).collect();
    python::split(&without_articles(&bare)).map(str::to_owned).collect()
}

/// Every `a`, `an` and `the` that stands between two edges of words becomes a space.
fn without_articles(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut run = String::new();
    // A run of word characters is what lies between two edges.
    for c in text.chars().map(Some).chain([None]) {
        match c {
            Some(c) if python::is_word(c) => run.push(c),
            other => {
                kept.push_str(if matches!(run.as_str(), "a" | "an" | "the") { " " } else { &run });
                run.clear();
                kept.extend(other);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, references: &[&str], em: f64, expected: f64) {
        let case = Case { references: references.iter().map(|text| (*text).to_owned()).collect(), ..Case::default() };
        let answer = Answer { text: answer.to_owned(), ..Answer::default() };
        assert_eq!(exact_match().score(&case, &answer).as_value(), Some(em));
        let found = f1().score(&case, &answer).as_value().unwrap();
        assert!((found - expected).abs() < 1e-12, "{found}");
    }

    #[test]
    fn articles_case_and_punctuation_do_not_count_and_repeated_words_do() {
        check("The Cat sat.", &["a cat sat down"], 0.0, 0.8);
        check("the END", &["End!"], 1.0, 1.0);
        // As multisets: refund twice over counts once.
        check("refund refund refund refund issued", &["refund issued"], 0.0, 4.0 / 7.0);
    }

    #[test]
    fn nothing_equals_only_nothing() {
        check("the", &["...", "an"], 1.0, 1.0);
        check("", &["", "yes"], 0.0, 0.0);
        check("yes", &[""], 0.0, 0.0);
    }

    #[test]
    fn an_article_ends_where_its_word_ends() {
        assert_eq!(normalised("a\u{301} x"), ["\u{301}", "x"], "a mark is no part of a word");
        assert_eq!(normalised("a² thé a\u{1f}b"), ["a²", "thé", "b"]);
        assert_eq!(normalised("a_n t.h.e"), Vec::<String>::new(), "what punctuation leaves is an article");
    }

    #[test]
    fn what_stands_in_the_documents_counts_as_often_as_it_stands_there() {
        let document = |text: &str| super::super::Document { id: String::new(), text: text.to_owned() };
        let documents = vec![document("Refunds take 72 hours."), document("Tea is free.")];
        let case = Case { documents, ..Case::default() };
        let score = |text: &str| {
            let answer = Answer { text: text.to_owned(), ..Answer::default() };
            k_precision().score(&case, &answer).as_value()
        };
        // Five words, of which `refunds`, `take`, `72` and one `hours` are known.
        assert_eq!(score("The refunds take 72 hours, hours [1]."), Some(0.8));
        assert_eq!((score("Nobody knows."), score("[1]")), (Some(0.0), None));
    }
}
