//! Several candidates against one baseline and against each other: which may be promoted, and which is the best?
//!
//! Two questions, each with its own `alpha`, both answered at all times at once. *Acceptable*: every gate of a candidate must
//! speak for it, so its e-value is the least of its gates' (no correction: intersection-union); over the candidates the
//! e-values are adjusted familywise, so the chance that any unacceptable candidate is ever called acceptable is at most `alpha`. *Rank*: every ordered pair of
//! candidates is a hypothesis "the first is not better"; what is rejected familywise bounds the ranks, so with probability
//! `1 - alpha` every true rank is within its range at all times.
//!
//! Sources: Berger (1982) for intersection-union; Vovk and Wang (2021) for the adjustment ([`familywise_log_e`]); Mogstad, Romano, Shaikh and
//! Wilhelm, "Inference for ranks" (2024), section 3, for ranks from pairwise comparisons.

use crate::multiplicity::familywise_log_e;

/// Where one candidate stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// Which candidate, by its place in the arguments.
    pub candidate_idx: usize,
    /// Whether it is proven acceptable.
    pub is_acceptable: bool,
    /// `ln E` against "not acceptable", adjusted for the number of candidates; `ln(1 / alpha)` is needed.
    pub adjusted_log_e: f64,
    /// The best rank it can still have, 1 for the best of all.
    pub best_rank: usize,
    /// The worst rank it can still have.
    pub worst_rank: usize,
}

/// Ranks `acceptable_log_e.len()` candidates.
///
/// `acceptable_log_e` holds each candidate's `ln E` against "not acceptable" ([`every`] of its gates). `better_log_e(i, j)` is `ln E` against
/// "candidate `i` is not better than `j`", for instance [`PairedScores::log_e`](crate::PairedScores::log_e)`(0.0)` over requests both
/// answered; 0 where nothing is known. The acceptable come first, then the better rank, then the narrower range, then the
/// order of the arguments: a first place shared in rank is no proof.
#[must_use]
pub fn rank(acceptable_log_e: &[f64], better_log_e: impl Fn(usize, usize) -> f64, alpha: f64) -> Vec<Standing> {
    let n = acceptable_log_e.len();
    let pairs: Vec<(usize, usize)> =
        (0..n).flat_map(|i| (0..n).filter(move |j| *j != i).map(move |j| (i, j))).collect();
    let log_e: Vec<f64> = pairs.iter().map(|(i, j)| better_log_e(*i, *j)).collect();
    let threshold = -alpha.ln();
    let proven: Vec<(usize, usize)> = pairs
        .into_iter()
        .zip(familywise_log_e(&log_e))
        .filter(|(_, log_e)| *log_e >= threshold)
        .map(|(pair, _)| pair)
        .collect();
    let standing = |(candidate_idx, adjusted_log_e): (usize, f64)| {
        let n_better = proven.iter().filter(|(_, worse)| *worse == candidate_idx).count();
        let n_worse = proven.iter().filter(|(better, _)| *better == candidate_idx).count();
        let is_acceptable = adjusted_log_e >= threshold;
        Standing { candidate_idx, is_acceptable, adjusted_log_e, best_rank: 1 + n_better, worst_rank: n - n_worse }
    };
    let mut standings: Vec<Standing> =
        familywise_log_e(acceptable_log_e).into_iter().enumerate().map(standing).collect();
    standings.sort_by_key(|standing| (!standing.is_acceptable, standing.best_rank, standing.worst_rank));
    standings
}

/// The one candidate that is acceptable and proven better than every other acceptable one, if there is one.
#[must_use]
pub fn winner(standings: &[Standing], is_eligible: impl Fn(usize) -> bool) -> Option<usize> {
    let mut eligible =
        standings.iter().filter(|standing| standing.is_acceptable && is_eligible(standing.candidate_idx));
    let first = eligible.next()?;
    eligible.all(|other| other.best_rank > first.worst_rank).then_some(first.candidate_idx)
}

/// `ln E` that speaks only where all of these do: the least of them. Negative infinity for none, since nothing proves nothing.
#[must_use]
pub fn every(log_e: impl IntoIterator<Item = f64>) -> f64 {
    log_e.into_iter().reduce(f64::min).unwrap_or(f64::NEG_INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURE: f64 = 12.0;

    #[test]
    fn a_clear_order_is_found() {
        let standings = rank(&[SURE, SURE, SURE], |i, j| if i > j { SURE } else { -3.0 }, 0.05);
        let order: Vec<(usize, usize, usize)> = standings
            .iter()
            .map(|standing| (standing.candidate_idx, standing.best_rank, standing.worst_rank))
            .collect();
        assert_eq!(order, [(2, 1, 1), (1, 2, 2), (0, 3, 3)]);
        assert_eq!(winner(&standings, |_| true), Some(2));
        assert_eq!(winner(&standings, |candidate_idx| candidate_idx != 2), Some(1));
    }

    #[test]
    fn nothing_known_leaves_every_rank_open() {
        let standings = rank(&[SURE, 0.0, SURE], |_, _| 0.0, 0.05);
        assert!(standings.iter().all(|standing| (standing.best_rank, standing.worst_rank) == (1, 3)));
        let order: Vec<(usize, bool)> =
            standings.iter().map(|standing| (standing.candidate_idx, standing.is_acceptable)).collect();
        assert_eq!(order, [(0, true), (2, true), (1, false)]);
        assert_eq!(winner(&standings, |_| true), None);
        assert_eq!(winner(&standings, |candidate_idx| candidate_idx == 2), Some(2));
    }

    #[test]
    fn one_candidate_pays_for_no_other() {
        let alone = rank(&[20_f64.ln()], |_, _| 0.0, 0.05);
        assert!(alone[0].is_acceptable);
        let among = rank(&[20_f64.ln() + 0.5, -9.0, -9.0, -9.0], |_, _| 0.0, 0.05);
        assert!(!among[0].is_acceptable, "one of four needs more");
    }

    #[test]
    fn no_gate_proves_nothing() {
        assert_eq!(every([]), f64::NEG_INFINITY);
        assert_eq!(every([3.0, 1.0, 2.0]), 1.0);
        assert_eq!(rank(&[], |_, _| 0.0, 0.05), []);
    }
}
