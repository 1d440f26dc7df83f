//! Who is to judge which pairs, decided before the first is shown.
//!
//! What people say of pairs that were chosen because metrics differ on them is no estimate of all pairs, and whoever looks at verdicts while they
//! come and stops when they please proves nothing. So a review that is to be evidence is planned: so many pairs, drawn by chance from each slice in
//! proportion, for people who are named. The pairs that metrics see differently are beside them and count for nothing but themselves.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stats::sample_size::{Errors, provable_mean_margin};
use store::{BlindAssignedRow, BlindPairRow};

use super::{Alike, Elsewhere, Sight};
use crate::compare::{ALPHA, POWER};
use crate::panel::{Drawable, Why, assign, draw};
use crate::results::Results;

/// The word of a pair that was drawn by chance, on record.
pub(super) const CHANCE: &str = "chance";
/// The word of a pair that metrics see differently.
const TELLING: &str = "telling";

/// What is planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// Who judges.
    pub reviewers: Vec<String>,
    /// How many pairs.
    pub pairs: usize,
    /// The part of them that everybody judges, 0 to 1.
    pub overlap: f64,
    /// The part of them that metrics see differently, 0 to 1: no part of the proof.
    pub telling: f64,
    /// How much below one half the win rate may be.
    pub margin: f64,
}

/// Draws the pairs of a candidate and says who judges which: nobody one that he sees with another candidate. With them comes how many cases
/// were left out of the draw, because each of the reviewers sees them so.
#[must_use]
pub fn assigned(
    results: &Results,
    target_idx: usize,
    (plan, taken): (&Assignment, (&[BlindPairRow], &[BlindAssignedRow])),
    secret: &[u8; 32],
) -> (Vec<BlindAssignedRow>, u64) {
    let sight = Sight::of(results, target_idx);
    let alike = Alike::of(results);
    let candidate = results.plan.targets[target_idx].name.as_str();
    let elsewhere: BTreeMap<&str, Elsewhere<'_>> = plan
        .reviewers
        .iter()
        .map(|reviewer| (reviewer.as_str(), alike.elsewhere((candidate, reviewer), taken)))
        .collect();
    let may_see = |case_idx: usize, reviewer: &str| {
        elsewhere.get(reviewer).is_none_or(|elsewhere| !elsewhere.has(case_idx as u64))
    };
    let mut n_left_out = 0;
    let shown: Vec<(usize, Drawable)> = (0..results.cases.len())
        .filter_map(|case_idx| {
            let disagreement = sight.telling(case_idx)?.rank();
            if !plan.reviewers.iter().any(|reviewer| may_see(case_idx, reviewer)) {
                n_left_out += 1;
                return None;
            }
            Some((case_idx, Drawable { stratum: sight.slice(case_idx), disagreement }))
        })
        .collect();
    let pairs: Vec<Drawable> = shown.iter().map(|(_, pair)| pair.clone()).collect();
    let drawn = draw(&pairs, plan.pairs, plan.telling, secret);
    let of_pair = |pair: usize| drawn.get(pair).and_then(|(idx, _)| shown.get(*idx)).map(|(case_idx, _)| *case_idx);
    let may_judge = |pair: usize, reviewer: &str| of_pair(pair).is_some_and(|case_idx| may_see(case_idx, reviewer));
    let items = assign(drawn.len(), (&plan.reviewers, plan.overlap), secret, may_judge).into_iter();
    let row = |item: crate::panel::Item| {
        let (idx, why) = drawn.get(item.pair)?;
        let why = match why {
            Why::Chance => CHANCE,
            Why::Disagreement => TELLING,
        };
        Some(BlindAssignedRow {
            candidate: candidate.to_owned(),
            case_idx: shown.get(*idx)?.0 as u64,
            reviewer: item.reviewer,
            why: why.to_owned(),
        })
    };
    (items.filter_map(row).collect(), n_left_out)
}

/// The smallest margin that so many pairs prove of equals four times in five, were nobody ever to say that neither is better: with ties it is smaller.
#[must_use]
pub fn provable_margin(n_pairs: u64) -> Option<f64> {
    // What a pair is worth is then 1 or -1, and a win rate moves by half of that.
    provable_mean_margin(n_pairs, 1.0, Errors { alpha: ALPHA, power: POWER }).map(|margin| margin / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_pairs_prove_so_small_a_margin() {
        // (1.645 + 0.842) / sqrt(620 - 1.35) / 2 = 0.05
        let margin = provable_margin(620).unwrap();
        assert!((margin - 0.05).abs() < 1e-3, "{margin}");
        assert_eq!(provable_margin(1), None);
    }
}
