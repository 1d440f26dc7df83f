//! Whether what an answer quotes is what a right answer rests on, to the character.
//!
//! A case marks the spans of its documents that hold the answer ([`Case::evidence`](super::Case)). The answer's spans are its quotes that stand in
//! a document which their sentence cites ([`quotes`]). What is measured is how much of the one lies in the other, as for the rationales of
//! ERASER (DeYoung et al. 2020), over characters in place of tokens.

use super::citations::{quotes, stands};
use super::{Answer, Case, Metric, Score, Unscored};

/// Characters of all documents together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Marked as evidence.
    pub evidence: usize,
    /// Quoted, and found in a document that is cited for it.
    pub quoted: usize,
    /// Both.
    pub both: usize,
    /// Of quotes that stand in no document that is cited for them.
    pub nowhere: usize,
}

/// How the quotes of an answer lie to the evidence in the documents that were shown.
#[must_use]
pub fn overlap(case: &Case, answer: &str) -> Overlap {
    let mut overlap = Overlap::default();
    let blank = || case.documents.iter().map(|document| vec![false; document.text.len()]).collect::<Vec<_>>();
    let (mut evidence, mut quoted) = (blank(), blank());
    for (id, words) in &case.evidence {
        let found = case.documents.iter().position(|document| document.id == *id);
        if let Some((idx, range)) = found.and_then(|idx| Some((idx, stands(words, &case.documents[idx].text)?))) {
            evidence[idx][range].fill(true);
        }
    }
    for quote in quotes(answer, &case.documents) {
        let place =
            quote.source.and_then(|(number, range)| Some((usize::try_from(number.checked_sub(1)?).ok()?, range)));
        match place {
            Some((idx, range)) => quoted[idx][range].fill(true),
            None => overlap.nowhere += answer[quote.span].chars().count(),
        }
    }
    for (idx, document) in case.documents.iter().enumerate() {
        for (at, _) in document.text.char_indices() {
            let (is_evidence, is_quoted) = (evidence[idx][at], quoted[idx][at]);
            overlap.evidence += usize::from(is_evidence);
            overlap.quoted += usize::from(is_quoted);
            overlap.both += usize::from(is_evidence && is_quoted);
        }
    }
    overlap
}

/// `evidence_precision`.
pub(super) fn precision() -> Metric {
    Metric::new(
        "evidence_precision@crossfade-1",
        "characters of quotes that are evidence, among all that are quoted, quotes that stand nowhere included; without a quote: unscored",
        |case: &Case, answer: &Answer| match overlap(case, &answer.text) {
            Overlap { evidence: 0, .. } => Score::unscored(Unscored::NoContext),
            Overlap { quoted: 0, nowhere: 0, .. } => Score::unscored(Unscored::NoClaims),
            Overlap { quoted, nowhere, both, .. } => Score::value(both as f64 / (quoted + nowhere) as f64),
        },
    )
}

/// `evidence_recall`.
pub(super) fn recall() -> Metric {
    Metric::new(
        "evidence_recall@crossfade-1",
        "characters of the evidence in the documents shown that are quoted with a citation of where they stand, among all",
        |case: &Case, answer: &Answer| match overlap(case, &answer.text) {
            Overlap { evidence: 0, .. } => Score::unscored(Unscored::NoContext),
            Overlap { evidence, both, .. } => Score::value(both as f64 / evidence as f64),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::super::Document;
    use super::*;

    #[track_caller]
    fn check(answer: &str, expected: (Option<f64>, Option<f64>)) {
        let document = |id: &str, text: &str| Document { id: id.to_owned(), text: text.to_owned() };
        let case = Case {
            documents: vec![
                document("a", "Doors open at nine. Ünits ship in May."),
                document("b", "Units ship in June."),
            ],
            evidence: vec![("a".to_owned(), "Ünits ship\nin May".to_owned()), ("z".to_owned(), "not shown".to_owned())],
            ..Case::default()
        };
        let answer = Answer { text: answer.to_owned(), ..Answer::default() };
        let found = [precision(), recall()].map(|metric| metric.score(&case, &answer).as_value());
        assert_eq!((found[0], found[1]), expected);
    }

    #[test]
    fn a_quote_counts_by_its_characters_and_only_where_it_is_cited_from() {
        check("It says \"Ünits ship in May\" [1].", (Some(1.0), Some(1.0)));
        // 17 characters of evidence, of which "ship in May" is 11.
        check("It says \"ship in May\" [1].", (Some(1.0), Some(11.0 / 17.0)));
        check("It says \"Doors open at nine\" [1].", (Some(0.0), Some(0.0)));
        check("It says \"Ünits ship in May\" [2].", (Some(0.0), Some(0.0)));
        check("It says \"Units ship in June\" [2] and \"Ünits ship in May\" [1].", (Some(17.0 / 35.0), Some(1.0)));
        check("In May [1].", (None, Some(0.0)));
    }

    #[test]
    fn without_evidence_among_the_documents_there_is_no_number() {
        let case = Case { evidence: vec![("a".to_owned(), "x y z".to_owned())], ..Case::default() };
        let scored = recall().score(&case, &Answer::default());
        assert_eq!(scored, Score::unscored(Unscored::NoContext));
    }
}
