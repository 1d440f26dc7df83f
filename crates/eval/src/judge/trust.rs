//! Whether a judge is to be trusted: how far it agrees with people on the pairs that they judged without knowing whose they were.
//!
//! A pairwise judge is held against people as it is; one by rubric prefers the answer it gives the higher grade. What several people say of a pair is
//! one word: that of most of them. The agreement is Cohen's kappa over candidate, tie and baseline with the interval that the agreement of people has
//! ([`crate::agreement`]), and it is on the answers of the first repeat, which is what people see.

use std::collections::BTreeMap;

use serde::Serialize;
use stats::interval::wilson;
use store::BlindPairRow;

use super::pairs::of_candidate;
use super::said::Judged;
use super::{Floor, Kind, Z};
use crate::agreement;
use crate::compare::Interval;
use crate::results::Results;
use crate::review::Choice;

/// What intervals of kappa draw with: the same labels give the same.
const SEED: u64 = 1;

/// So far below the floor the interval of kappa at 95 % may reach.
const MOST_BELOW: f64 = 0.2;

/// What people and a judge say of the same pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Pairs by what people say and what the judge says, each for the baseline, neither or the candidate.
    pub table: [[u64; 3]; 3],
    /// Pairs that people judged and the judge has no verdict on.
    pub n_unscored: u64,
    /// What was looked for and is not there, in words.
    pub missing: Vec<String>,
}

/// How far a judge agrees with people, and what follows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trust {
    /// Whether its word may decide.
    pub trusted: bool,
    /// Why, or why not.
    pub why: String,
    /// Pairs that both judged.
    pub n_labelled: u64,
    /// Pairs that people judged and the judge has no verdict on.
    pub n_unscored: u64,
    /// The part of them on which both say the same.
    pub agreement: Option<f64>,
    /// Its Wilson interval.
    pub agreement_interval: Option<Interval>,
    /// Cohen's kappa; none where it is not defined.
    pub kappa: Option<f64>,
    /// Its interval: the bootstrap over pairs, as for people; none of few pairs.
    pub kappa_interval: Option<Interval>,
    /// The kappa that is asked for.
    pub floor: f64,
    /// On so many pairs.
    pub floor_labelled: u64,
}

/// 0 for the baseline, 1 for neither, 2 for the candidate.
pub(super) fn place(worth: f64) -> usize {
    match worth {
        worth if worth < 0.5 => 0,
        worth if worth > 0.5 => 2,
        _ => 1,
    }
}

impl Labels {
    /// The pairs of a run that people judged, beside what the judge says of them.
    pub(super) fn of(results: &Results, judged: &Judged, shown: &[BlindPairRow]) -> Labels {
        let mut people: BTreeMap<(usize, usize), Vec<f64>> = BTreeMap::new();
        for pair in shown {
            let target_idx = results.plan.targets.iter().position(|target| target.name == pair.candidate);
            let choice = pair.choice.as_deref().and_then(Choice::named);
            let case_idx = usize::try_from(pair.case_idx).ok().filter(|idx| *idx < results.cases.len());
            if let (Some(target_idx), Some(choice), Some(case_idx)) = (target_idx, choice, case_idx) {
                people.entry((case_idx, target_idx)).or_default().push(of_candidate(choice, pair.candidate_first));
            }
        }
        let words: BTreeMap<(usize, usize), f64> = judged
            .pairs
            .iter()
            .filter(|pair| pair.repeat == 0)
            .filter_map(|pair| Some(((pair.case_idx, pair.target_idx), pair.word.worth()?)))
            .collect();
        let id = judged.judge.id();
        let word = |case_idx: usize, target_idx: usize| match judged.judge.rules.kind {
            Kind::Pairwise => words.get(&(case_idx, target_idx)).copied(),
            Kind::Rubric(_) => {
                let grade = |target_idx| {
                    let first = results.of(case_idx, target_idx).find(|record| record.item.repeat == 0)?;
                    first.scores.get(&id)?.as_value()
                };
                let (baseline, candidate) = (grade(0)?, grade(target_idx)?);
                Some(0.5 + 0.5 * f64::from(i8::from(candidate > baseline) - i8::from(candidate < baseline)))
            }
        };
        let mut labels = Labels::default();
        for ((case_idx, target_idx), said) in people {
            let of_people = said.iter().sum::<f64>() / said.len() as f64;
            match word(case_idx, target_idx) {
                Some(of_judge) => labels.table[place(of_people)][place(of_judge)] += 1,
                None => labels.n_unscored += 1,
            }
        }
        labels
    }

    /// Adds those of another run.
    pub(crate) fn add(&mut self, other: &Labels) {
        for (row, more) in self.table.iter_mut().zip(&other.table) {
            row.iter_mut().zip(more).for_each(|(n, more)| *n += more);
        }
        self.n_unscored += other.n_unscored;
        self.missing.extend(other.missing.iter().cloned());
    }

    /// Adds something that people and the judge each say yes or no to; `None` where the judge has no verdict.
    pub(crate) fn note(&mut self, people: bool, judge: Option<bool>) {
        let place = |yes: bool| if yes { 2 } else { 0 };
        match judge {
            Some(judge) => self.table[place(people)][place(judge)] += 1,
            None => self.n_unscored += 1,
        }
    }

    /// What follows from them.
    #[must_use]
    pub fn trust(&self, floor: &Floor) -> Trust {
        self.trust_in(floor, "pairs")
    }

    /// The same, in words about what they are.
    pub(crate) fn trust_in(&self, floor: &Floor, what: &str) -> Trust {
        let n_labelled: u64 = self.table.iter().flatten().sum();
        let n_agreed: u64 = (0..3).map(|idx| self.table[idx][idx]).sum();
        let kappa = agreement::of_table(&self.table, ["people", "judge"], SEED);
        let interval = |(low, high)| Interval { low, high, level: 0.95 };
        let interval_of_kappa = kappa.interval;
        let (trusted, mut why) = match kappa.kappa {
            _ if n_labelled < floor.labelled => {
                let why = format!("people judged {n_labelled} {what} of the {} that are asked for", floor.labelled);
                (false, why)
            }
            None => (false, "kappa is not defined: people and judge always say the same one thing".to_owned()),
            Some(kappa) => held_to(floor, (n_labelled, what), (kappa, interval_of_kappa)),
        };
        for missing in &self.missing {
            why += &format!("; {missing}");
        }
        Trust {
            trusted,
            why,
            n_labelled,
            n_unscored: self.n_unscored,
            agreement: (n_labelled > 0).then(|| n_agreed as f64 / n_labelled as f64),
            agreement_interval: wilson(n_agreed, n_labelled, Z).map(interval),
            kappa: kappa.kappa,
            kappa_interval: kappa.interval.map(interval),
            floor: floor.kappa,
            floor_labelled: floor.labelled,
        }
    }
}

/// Kappa has to be at the floor, and its interval must not reach far below: of few pairs a judge that agrees by luck looks as good as one that agrees.
fn held_to(
    floor: &Floor,
    (n_labelled, what): (u64, &str),
    (kappa, interval): (f64, Option<(f64, f64)>),
) -> (bool, String) {
    if kappa < floor.kappa {
        return (false, format!("kappa {kappa:.3} on {n_labelled} {what} is below {}", floor.kappa));
    }
    let least = floor.kappa - MOST_BELOW;
    let Some((low, high)) = interval else {
        return (
            false,
            format!("kappa {kappa:.3} on {n_labelled} {what} has no interval: they are too few, or too much alike"),
        );
    };
    let said = format!("kappa {kappa:.3} [{low:.3}, {high:.3}] on {n_labelled} {what}");
    if low < least {
        return (
            false,
            format!("{said} is not sure enough: its interval reaches below {least:.2}; more {what} settle it"),
        );
    }
    (true, format!("{said} is at or above {}", floor.kappa))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(table: [[u64; 3]; 3], expected: (bool, Option<f64>, &str)) {
        let labels = Labels { table, ..Labels::default() };
        let trust = labels.trust(&Floor::default());
        let kappa = trust.kappa.map(|kappa| (kappa * 1e6).round() / 1e6);
        assert_eq!((trust.trusted, kappa), (expected.0, expected.1), "{trust:?}");
        assert!(trust.why.contains(expected.2), "{}", trust.why);
    }

    #[test]
    fn a_judge_is_trusted_at_the_floor_on_enough_pairs_and_not_before() {
        // 20 + 20 of 50 agree in two categories of 25 each: 0.8 observed, 0.5 by chance.
        // Of 50 its interval begins near 0.38, of 150 near 0.47.
        check([[20, 0, 5], [0, 0, 0], [5, 0, 20]], (false, Some(0.6), "more pairs settle it"));
        check([[60, 0, 15], [0, 0, 0], [15, 0, 60]], (true, Some(0.6), "on 150 pairs is at or above 0.6"));
        check([[19, 0, 6], [0, 0, 0], [6, 0, 19]], (false, Some(0.52), "is below 0.6"));
        check([[10, 0, 0], [0, 10, 0], [0, 0, 10]], (false, Some(1.0), "30 pairs of the 50"));
        check([[0; 3]; 3], (false, None, "0 pairs of the 50"));
    }

    #[test]
    fn the_interval_of_kappa_is_that_of_two_people_who_say_the_same() {
        let table = [[20, 0, 5], [0, 0, 0], [5, 0, 20]];
        let trust = Labels { table, ..Labels::default() }.trust(&Floor::default());
        let interval = trust.kappa_interval.unwrap();
        // Kappa of 50 pairs with 40 agreements in two even categories has the standard error 0.113.
        assert!((interval.low - 0.38).abs() < 0.06 && (interval.high - 0.82).abs() < 0.06, "{interval:?}");
        let full = Labels { table: [[25, 0, 0], [0, 0, 0], [0, 0, 25]], ..Labels::default() };
        let interval = full.trust(&Floor::default()).kappa_interval.unwrap();
        assert!(
            interval.low > 0.8 && interval.low < 0.9 && interval.high >= 1.0,
            "no width would be too much: {interval:?}"
        );
    }

    #[test]
    fn always_the_same_word_is_no_agreement() {
        check([[0, 0, 0], [0, 0, 0], [0, 0, 80]], (false, None, "not defined"));
    }
}
