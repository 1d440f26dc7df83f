//! What people say of pairs of answers when they do not know whose they are: which pair comes next, and what all verdicts come to.
//!
//! Pairs whose answers are worth different things by the metric that decides come in turns with pairs of every slice, both in an order
//! that the seed decides: the first show where metric and people disagree, the second what is usual. A pair goes to as many people as
//! said before new ones are begun, so that agreement can be measured. The unit is the case: several verdicts on one are averaged.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use stats::agreement::{Scale, krippendorff};
use stats::bootstrap::Bootstrap;
use stats::random::Random;
use store::BlindPairRow;

use crate::compare::{ALPHA, Interval};
use crate::results::Results;

/// Draws of the bootstrap.
const RESAMPLES: usize = 4000;

/// What is said of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The answer that stands first is better.
    First,
    /// The second one is.
    Second,
    /// Neither is.
    Tie,
}

impl Choice {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Choice::First => "first",
            Choice::Second => "second",
            Choice::Tie => "tie",
        }
    }

    /// The choice of this word.
    #[must_use]
    pub fn named(word: &str) -> Option<Choice> {
        [Choice::First, Choice::Second, Choice::Tie].into_iter().find(|choice| choice.as_str() == word)
    }
}

/// What all verdicts on a candidate come to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// The candidate.
    pub candidate: String,
    /// Cases with a verdict.
    pub n_cases: u64,
    /// Verdicts.
    pub n_verdicts: u64,
    /// Of these, for the candidate.
    pub won: u64,
    /// Of these, neither.
    pub tied: u64,
    /// Of these, for the baseline.
    pub lost: u64,
    /// Wins and half of the ties over the verdicts, averaged by case: 0.5 is even.
    pub win_rate: Option<f64>,
    /// Its bootstrap interval over cases, or clusters of them.
    pub interval: Option<Interval>,
    /// Krippendorff's alpha (ordinal) of verdicts on the same cases; none where no case has two.
    pub agreement: Option<f64>,
    /// How often the answer that stood first was chosen, ties apart: far from 0.5 people go by the place.
    pub first_chosen: Option<f64>,
    /// The middle of the times from showing to verdict, in seconds.
    pub median_seconds: Option<f64>,
}

/// The next case for a reviewer; `None` when there is none left. Cases that lack an answer are left out.
#[must_use]
pub fn next(
    results: &Results,
    (target_idx, shown): (usize, &[BlindPairRow]),
    (reviewer, overlap, seed): (&str, u64, u64),
) -> Option<usize> {
    let candidate = &results.plan.targets[target_idx].name;
    let of_candidate = shown.iter().filter(|pair| pair.candidate == *candidate);
    let mut n_shown: BTreeMap<u64, u64> = BTreeMap::new();
    let mut own = BTreeSet::new();
    for pair in of_candidate {
        *n_shown.entry(pair.case_idx).or_default() += 1;
        if pair.reviewer == reviewer {
            own.insert(pair.case_idx);
        }
    }
    let order = order(results, target_idx, seed);
    let free = |case_idx: &usize| {
        let case_idx = *case_idx as u64;
        !own.contains(&case_idx) && n_shown.get(&case_idx).copied().unwrap_or(0) < overlap
    };
    let is_begun = |case_idx: &usize| n_shown.contains_key(&(*case_idx as u64));
    let begun = order.iter().copied().find(|case_idx| free(case_idx) && is_begun(case_idx));
    begun.or_else(|| order.iter().copied().find(free))
}

/// All cases with both answers, in the order in which they are judged.
fn order(results: &Results, target_idx: usize, seed: u64) -> Vec<usize> {
    let mut random = Random::new(seed);
    let yardsticks = results.yardsticks();
    let primary = yardsticks.iter().find(|yardstick| yardstick.name == results.plan.primary);
    let has_answer = |case_idx: usize, target_idx: usize| {
        results.of(case_idx, target_idx).next().is_some_and(|record| record.answered.answer.is_some())
    };
    let (mut differing, mut by_slice) = (Vec::new(), BTreeMap::<String, Vec<usize>>::new());
    for (case_idx, case) in results.cases.iter().enumerate() {
        if !has_answer(case_idx, 0) || !has_answer(case_idx, target_idx) {
            continue;
        }
        let worth = |target_idx| primary.and_then(|primary| results.worth(primary, case_idx, target_idx).ok());
        if worth(0).map(f64::to_bits) == worth(target_idx).map(f64::to_bits) {
            let slice = case.slices.values().cloned().collect::<Vec<_>>().join(" / ");
            by_slice.entry(slice).or_default().push(case_idx);
        } else {
            differing.push(case_idx);
        }
    }
    let mut alike = Vec::new();
    while !by_slice.is_empty() {
        for cases in by_slice.values_mut() {
            alike.push(cases.swap_remove(random.below(cases.len())));
        }
        by_slice.retain(|_, cases| !cases.is_empty());
    }
    let mut order = Vec::with_capacity(differing.len() + alike.len());
    let mut alike = alike.into_iter();
    while !differing.is_empty() {
        order.push(differing.swap_remove(random.below(differing.len())));
        order.extend(alike.next());
    }
    order.extend(alike);
    order
}

/// What the verdicts on a candidate come to.
#[must_use]
pub fn standing(results: &Results, (target_idx, shown): (usize, &[BlindPairRow]), seed: u64) -> Standing {
    let candidate = results.plan.targets[target_idx].name.clone();
    let judged: Vec<(&BlindPairRow, Choice)> = shown
        .iter()
        .filter(|pair| pair.candidate == candidate)
        .filter_map(|pair| Some((pair, Choice::named(pair.choice.as_deref()?)?)))
        .collect();
    let mut standing = Standing {
        candidate,
        n_cases: 0,
        n_verdicts: judged.len() as u64,
        won: 0,
        tied: 0,
        lost: 0,
        win_rate: None,
        interval: None,
        agreement: None,
        first_chosen: None,
        median_seconds: None,
    };
    let mut by_case: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let (mut n_first, mut seconds) = (0_u64, Vec::new());
    for (pair, choice) in &judged {
        let worth = match (choice, pair.candidate_first) {
            (Choice::Tie, _) => 0.5,
            (Choice::First, true) | (Choice::Second, false) => 1.0,
            (Choice::First, false) | (Choice::Second, true) => 0.0,
        };
        match worth {
            worth if worth > 0.75 => standing.won += 1,
            worth if worth < 0.25 => standing.lost += 1,
            _ => standing.tied += 1,
        }
        n_first += u64::from(*choice == Choice::First);
        by_case.entry(pair.case_idx).or_default().push(worth);
        let took = pair.judged_at_us.map(|at| at.saturating_sub(pair.shown_at_us));
        seconds.extend(took.map(|took| took as f64 * 1e-6));
    }
    standing.n_cases = by_case.len() as u64;
    let decided = standing.won + standing.lost;
    standing.first_chosen = (decided > 0).then(|| n_first as f64 / decided as f64);
    seconds.sort_unstable_by(f64::total_cmp);
    standing.median_seconds = seconds.get(seconds.len() / 2).copied();
    let items: Vec<Vec<f64>> = by_case.values().filter(|verdicts| verdicts.len() > 1).cloned().collect();
    standing.agreement = krippendorff(&items, Scale::Ordinal);
    let mut clusters: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for (case_idx, verdicts) in &by_case {
        let case = usize::try_from(*case_idx).ok().and_then(|case_idx| results.cases.get(case_idx));
        let cluster = case.and_then(|case| case.cluster.clone()).unwrap_or_else(|| format!("\u{0}{case_idx}"));
        let sum = clusters.entry(cluster).or_default();
        *sum = (sum.0 + 1, sum.1 + verdicts.iter().sum::<f64>() / verdicts.len() as f64);
    }
    let clusters: Vec<(u64, f64)> = clusters.into_values().collect();
    if !clusters.is_empty() {
        let bootstrap = Bootstrap::of_mean(&clusters, RESAMPLES, seed);
        standing.win_rate = Some(bootstrap.estimate());
        let ends = bootstrap.bias_corrected(2.0 * ALPHA).or_else(|| bootstrap.percentile(2.0 * ALPHA));
        // Of two cases there is an interval, and it says nothing.
        let ends = ends.filter(|_| clusters.len() > 2);
        standing.interval = ends.map(|(low, high)| Interval { low, high, level: 1.0 - 2.0 * ALPHA });
    }
    standing
}
