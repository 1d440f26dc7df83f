//! What a pairwise judge says of each pair: its word counts where both orders say the same, and is a tie where they do not.
//!
//! The rule is that of MT-Bench (Zheng et al. 2023, "Judging LLM-as-a-Judge with MT-Bench and Chatbot Arena", section 3.4): a win only if the same
//! answer wins in both orders.

use std::collections::BTreeMap;

use super::prompt::text_of_answer;
use super::questions::answered;
use super::said::Judged;
use super::{Kind, NoVerdict};
use crate::results::Results;
use crate::review::Choice;

/// A pair and what came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Which case.
    pub case_idx: usize,
    /// Which candidate.
    pub target_idx: usize,
    /// Which time.
    pub repeat: u64,
    /// What came of it.
    pub word: Word,
    /// How many characters longer the candidate's answer is; `None` where an answer is missing.
    pub longer_by: Option<f64>,
}

/// What came of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// Both orders were asked and both verdicts can be read.
    Said {
        /// With the baseline's answer first.
        baseline_first: Choice,
        /// With the candidate's answer first.
        candidate_first: Choice,
    },
    /// Both answers say the same, or neither target answered: a tie, and nobody was asked.
    Alike,
    /// Only the candidate answered: it wins, and nobody was asked.
    OnlyCandidate,
    /// Only the baseline answered: the candidate loses, and nobody was asked.
    OnlyBaseline,
    /// One of the targets was not allowed the case: nothing is known of the pair.
    Withheld,
    /// A verdict cannot be read.
    Unread(NoVerdict),
    /// It has not been asked in both orders yet.
    Open,
}

impl Word {
    /// What the pair is worth to the candidate: 1, one half or 0; `None` where it has no verdict.
    #[must_use]
    pub fn worth(self) -> Option<f64> {
        match self {
            Word::Said { baseline_first, candidate_first } => {
                Some(settle(of_candidate(baseline_first, false), of_candidate(candidate_first, true)))
            }
            Word::Alike => Some(0.5),
            Word::OnlyCandidate => Some(1.0),
            Word::OnlyBaseline => Some(0.0),
            Word::Withheld | Word::Unread(_) | Word::Open => None,
        }
    }

    /// Whether both orders say the same; `None` where both were not read.
    #[must_use]
    pub fn is_consistent(self) -> Option<bool> {
        match self {
            Word::Said { baseline_first, candidate_first } => {
                Some(of_candidate(baseline_first, false).to_bits() == of_candidate(candidate_first, true).to_bits())
            }
            _ => None,
        }
    }
}

/// What a choice is worth to the candidate.
pub(super) fn of_candidate(choice: Choice, candidate_first: bool) -> f64 {
    match (choice, candidate_first) {
        (Choice::Tie, _) => 0.5,
        (Choice::First, true) | (Choice::Second, false) => 1.0,
        (Choice::First, false) | (Choice::Second, true) => 0.0,
    }
}

fn settle(one: f64, other: f64) -> f64 {
    if one.to_bits() == other.to_bits() { one } else { 0.5 }
}

/// What was said to a pair in each order, the baseline's answer first and then the candidate's; `None` where it has not been asked.
pub(super) type Orders = [Option<Result<Choice, NoVerdict>>; 2];

/// Every pair of a run, as far as a pairwise judge has been asked.
pub(super) fn pairs(results: &Results, judged: &Judged) -> Vec<Pair> {
    debug_assert_eq!(judged.judge.rules.kind, Kind::Pairwise);
    let mut asked: BTreeMap<(usize, usize, u64), Orders> = BTreeMap::new();
    for (idx, subject) in judged.subjects.iter().enumerate() {
        let key = (subject.case_idx, subject.target_idx, subject.repeat);
        asked.entry(key).or_default()[usize::from(subject.candidate_first)] = judged.choice(idx);
    }
    let mut pairs = Vec::new();
    for case_idx in 0..results.cases.len() {
        for target_idx in 1..results.plan.targets.len() {
            for repeat in 0..results.plan.repeats {
                let key = (case_idx, target_idx, repeat);
                let both = [(case_idx, 0, repeat), key].map(|key| answered(results, key));
                let is_withheld = both.iter().flatten().any(|answered| answered.withheld.is_some());
                let [baseline, candidate] = both.map(|answered| answered?.answer.as_ref());
                let word = match (asked.get(&key), baseline, candidate) {
                    (Some(said), ..) => word(*said),
                    _ if is_withheld => Word::Withheld,
                    _ if !results.is_whole() => Word::Open,
                    (None, Some(_), None) => Word::OnlyBaseline,
                    (None, None, Some(_)) => Word::OnlyCandidate,
                    (None, ..) => Word::Alike,
                };
                let length = |answer| text_of_answer(answer).chars().count() as f64;
                let longer_by =
                    baseline.zip(candidate).map(|(baseline, candidate)| length(candidate) - length(baseline));
                pairs.push(Pair { case_idx, target_idx, repeat, word, longer_by });
            }
        }
    }
    pairs
}

pub(super) fn word(said: Orders) -> Word {
    match said {
        [Some(Err(why)), _] | [_, Some(Err(why))] => Word::Unread(why),
        [Some(Ok(baseline_first)), Some(Ok(candidate_first))] => Word::Said { baseline_first, candidate_first },
        _ => Word::Open,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_win_is_the_same_winner_in_both_orders_and_anything_else_a_tie() {
        use Choice::{First, Second, Tie};
        // With the baseline first, with the candidate first, worth, consistent.
        let table = [
            (Second, First, 1.0, true),
            (First, Second, 0.0, true),
            (Tie, Tie, 0.5, true),
            (First, First, 0.5, false),
            (Second, Second, 0.5, false),
            (Second, Tie, 0.5, false),
            (Tie, Second, 0.5, false),
        ];
        for (baseline_first, candidate_first, worth, consistent) in table {
            let word = word([Some(Ok(baseline_first)), Some(Ok(candidate_first))]);
            assert_eq!((word.worth(), word.is_consistent()), (Some(worth), Some(consistent)), "{word:?}");
        }
    }

    #[test]
    fn one_verdict_that_cannot_be_read_leaves_the_pair_without_one() {
        let said = word([Some(Ok(Choice::First)), Some(Err(NoVerdict::Leaked))]);
        assert_eq!((said, said.worth(), said.is_consistent()), (Word::Unread(NoVerdict::Leaked), None, None));
        assert_eq!(word([Some(Ok(Choice::First)), None]), Word::Open);
        assert_eq!(Word::Withheld.worth(), None, "what may not leave the house is no loss");
    }
}
