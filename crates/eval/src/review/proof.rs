//! What people's verdicts prove of a candidate: that it is not preferred less often than the baseline by the margin or more, or that it is.
//!
//! The unit is the case, what its verdicts are worth is averaged within it, and what is tested is how far wins exceed losses: the tests are
//! those of a comparison, `compare`. Its alpha holds for one look: nothing is proven before the last verdict of a planned review is there, and
//! of one that was not planned only when every pair of the run is judged.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use store::{BlindAssignedRow, BlindPairRow};

use super::assigned::{Assignment, CHANCE};
use super::{Sight, worths};
use crate::compare::{ALPHA, Interval, Pair, Question, Verdict, compare};
use crate::results::Results;

/// How much below one half a win rate may be where no plan says so.
pub const MARGIN: f64 = 0.05;
/// Of the cases of a run, this part may lack an answer to show: a candidate that does not answer is not judged by the rest.
const MOST_MISSING: f64 = 0.05;

/// What is proven, and by what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Proof {
    /// Whether the pairs were said before the first was shown.
    pub planned: bool,
    /// Cases that are to be judged.
    pub n_asked: u64,
    /// Verdicts on them that are still to come.
    pub n_open: u64,
    /// Cases that are judged.
    pub n: u64,
    /// Wins and half of the ties over these, averaged by case.
    pub win_rate: Option<f64>,
    /// Its interval, at 1 - 2 alpha.
    pub interval: Option<Interval>,
    /// How it was made.
    pub method: String,
    /// How much below one half the win rate may be.
    pub margin: f64,
    /// `pass` when it is proven to be above one half less the margin, `fail` when it is proven to be below.
    pub verdict: Verdict,
    /// Why nothing is proven, where that is not for want of cases.
    pub because: Option<String>,
}

/// What the verdicts on a candidate prove.
#[must_use]
pub fn proof(
    results: &Results,
    (target_idx, shown): (usize, &[BlindPairRow]),
    (plan, assigned): (Option<&Assignment>, &[BlindAssignedRow]),
    seed: u64,
) -> Proof {
    let candidate = &results.plan.targets[target_idx].name;
    let sight = Sight::of(results, target_idx);
    let mine = || assigned.iter().filter(|one| one.candidate == *candidate && one.why == CHANCE);
    let asked: BTreeSet<u64> = match plan {
        Some(_) => mine().map(|one| one.case_idx).collect(),
        None => (0..results.cases.len()).filter(|idx| sight.telling(*idx).is_some()).map(|idx| idx as u64).collect(),
    };
    let places: BTreeSet<(u64, &str)> = mine().map(|one| (one.case_idx, one.reviewer.as_str())).collect();
    let counts = |pair: &&BlindPairRow| {
        asked.contains(&pair.case_idx) && (plan.is_none() || places.contains(&(pair.case_idx, pair.reviewer.as_str())))
    };
    let rows: Vec<&BlindPairRow> = shown.iter().filter(|pair| pair.candidate == *candidate).filter(counts).collect();
    let mut by_case: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (case_idx, worth) in worths(&rows) {
        by_case.entry(case_idx).or_default().push(worth);
    }
    let n_judged: usize = by_case.values().map(Vec::len).sum();
    let n_open = match plan {
        Some(_) => places.len() - n_judged.min(places.len()),
        None => asked.len() - by_case.len() + rows.iter().filter(|pair| pair.choice.is_none()).count(),
    };
    let pair = |(case_idx, verdicts): (&u64, &Vec<f64>)| {
        let case = usize::try_from(*case_idx).ok().and_then(|case_idx| results.cases.get(case_idx));
        let worth = verdicts.iter().sum::<f64>() / verdicts.len() as f64;
        Pair { cluster: case.and_then(|case| case.cluster.clone()), baseline: 1.0 - worth, candidate: worth }
    };
    let pairs: Vec<Pair> = by_case.iter().map(pair).collect();
    let margin = plan.map_or(MARGIN, |plan| plan.margin);
    // As in a comparison, each of several candidates gets its part.
    let alpha = ALPHA / (results.plan.targets.len().saturating_sub(1)).max(1) as f64;
    // Wins less losses move twice as far as a win rate.
    let compared = compare(&pairs, 0, Question { margin: 2.0 * margin, alpha, seed });
    let rate = |difference: f64| (0.5 + difference / 2.0).clamp(0.0, 1.0);
    let without = (0..results.cases.len()).filter(|case_idx| sight.telling(*case_idx).is_none()).count();
    let too_many = without as f64 > MOST_MISSING * results.cases.len() as f64;
    let reason = if n_open > 0 {
        Some(format!("{n_open} verdicts are still to come, and nothing is proven before the last"))
    } else if too_many {
        Some(format!("{without} of {} cases have not two answers to show", results.cases.len()))
    } else {
        None
    };
    Proof {
        planned: plan.is_some(),
        n_asked: asked.len() as u64,
        n_open: n_open as u64,
        n: pairs.len() as u64,
        win_rate: compared.difference.map(rate),
        interval: compared.interval.map(|ends| Interval { low: rate(ends.low), high: rate(ends.high), ..ends }),
        method: compared.method.to_owned(),
        margin,
        verdict: if reason.is_some() { Verdict::Undecided } else { compared.verdict },
        because: reason.or(compared.because),
    }
}
