//! How many pairs does an evaluation need, and what could it have found with those it has?
//!
//! Normal approximations for one look at a fixed number; what is looked at as it grows needs more (`rollout plan`). Differences are candidate minus
//! baseline, of bad rates or of any value where more is worse. Sources: Connor, "Sample size for testing differences in proportions for the paired-sample design"
//! (1987); Nam, "Establishing equivalence of two treatments and sample size requirements in matched-pairs design" (1997); Guenther (1981) for
//! the term that Student's t adds; Kish (1965) for the design effect.

use crate::eprocess::count;
use crate::special::normal_quantile;

/// The error rates of a plan: each within (0, 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Errors {
    /// The chance of a wrong claim.
    pub alpha: f64,
    /// The chance of the right one.
    pub power: f64,
}

/// What non-inferiority is asked with: is the candidate worse by less than `margin`?
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NonInferiority {
    /// The margin, above the difference.
    pub margin: f64,
    /// The true difference that the plan expects, 0 for equals.
    pub difference: f64,
}

impl Errors {
    fn one_sided(self) -> Option<f64> {
        (self.is_plan()).then(|| normal_quantile(1.0 - self.alpha) + normal_quantile(self.power))
    }

    fn is_plan(self) -> bool {
        self.alpha > 0.0 && self.alpha < 0.5 && self.power >= 0.5 && self.power < 1.0
    }
}

/// Pairs until a margin between two bad rates on the same requests is proven, one-sided at `alpha`.
///
/// `(z_alpha + z_power)² (discordant - difference²) / (margin - difference)²`, where a part `discordant` of the pairs disagrees. `None` where the margin
/// is not above the difference, or no such pairs exist. Checked by hand: 10 % discordant, margin 5 points, 5 % and 80 %: 248.
#[must_use]
pub fn non_inferior_rates(discordant: f64, ask: NonInferiority, errors: Errors) -> Option<u64> {
    let spread = spread_of_rates(discordant, ask.difference)?;
    whole(errors.one_sided()?.powi(2) * spread / room(ask)?.powi(2))
}

/// Pairs until a difference between two bad rates is found by McNemar's test, two-sided at `alpha`.
///
/// `(z_(alpha/2) sqrt(discordant) + z_power sqrt(discordant - difference²))² / difference²`. Checked by hand: 10 % discordant, 3 points, 5 % and 80 %: 870.
#[must_use]
pub fn different_rates(discordant: f64, difference: f64, errors: Errors) -> Option<u64> {
    let spread = spread_of_rates(discordant, difference)?;
    if !errors.is_plan() || difference == 0.0 {
        return None;
    }
    let sum =
        normal_quantile(1.0 - 0.5 * errors.alpha) * discordant.sqrt() + normal_quantile(errors.power) * spread.sqrt();
    whole((sum / difference).powi(2))
}

/// Pairs until a margin between two means is proven by Student's t, one-sided at `alpha`; `deviation` is that of the differences of pairs.
#[must_use]
pub fn non_inferior_means(deviation: f64, ask: NonInferiority, errors: Errors) -> Option<u64> {
    let effect = room(ask)? / deviation;
    let for_student = 0.5 * normal_quantile(1.0 - errors.alpha).powi(2);
    if effect.is_nan() || effect <= 0.0 {
        return None;
    }
    whole((errors.one_sided()? / effect).powi(2) + for_student)
}

/// Pairs until a margin between two means is proven by Gaffke's bound ([`crate::sample_mean`]), where the worst a pair can be is a difference of `worst`.
///
/// The pair that the bound adds moves the mean by `(worst - difference) / (n + 1)` and widens it; and where pairs hardly differ, enough of them must be
/// there that so rare a total loss would have shown: `(1 - (margin - difference) / (worst - difference))^n <= alpha`.
#[must_use]
pub fn non_inferior_bounded_means(deviation: f64, worst: f64, ask: NonInferiority, errors: Errors) -> Option<u64> {
    let (room, reach) = (room(ask)?, worst - ask.difference);
    if !errors.is_plan() || !deviation.is_finite() || !reach.is_finite() || room >= reach {
        return None;
    }
    let rare = errors.alpha.ln() / (-room / reach).ln_1p();
    let is_enough = |n: f64| bounded_reach(n, deviation, (worst, ask.difference), errors) <= room && n >= rare;
    let mut enough = 2.0;
    while !is_enough(enough) {
        enough *= 2.0;
        if enough > 1e15 {
            return None;
        }
    }
    let mut short = 0.5 * enough;
    while enough - short > 0.5 {
        let middle = f64::midpoint(short, enough);
        if is_enough(middle) { enough = middle } else { short = middle }
    }
    whole(enough)
}

/// The smallest margin that `n` pairs without a true difference prove by Gaffke's bound: the inverse of [`non_inferior_bounded_means`].
#[must_use]
pub fn provable_bounded_margin(n: u64, deviation: f64, worst: f64, errors: Errors) -> Option<f64> {
    let rare = worst * (1.0 - errors.alpha.powf(1.0 / count(n)));
    let reach = bounded_reach(count(n), deviation, (worst, 0.0), errors);
    (n > 0 && errors.is_plan() && reach.is_finite() && deviation >= 0.0).then(|| reach.max(rare))
}

/// How far from a true difference a margin has to be for so many pairs.
fn bounded_reach(n: f64, deviation: f64, (worst, difference): (f64, f64), errors: Errors) -> f64 {
    let (variance, added) = (deviation.powi(2), worst - difference);
    let spread = (variance + added.powi(2) / (n + 1.0)) / n;
    added / (n + 1.0)
        + normal_quantile(1.0 - errors.alpha) * spread.sqrt()
        + normal_quantile(errors.power) * (variance / n).sqrt()
}

/// Pairs until a difference between two means is found by Student's t, two-sided at `alpha`.
#[must_use]
pub fn different_means(deviation: f64, difference: f64, errors: Errors) -> Option<u64> {
    let two_sided = Errors { alpha: 0.5 * errors.alpha, ..errors };
    non_inferior_means(deviation, NonInferiority { margin: difference.abs(), difference: 0.0 }, two_sided)
}

/// The smallest difference between bad rates that `n` pairs find, two-sided: the inverse of [`different_rates`]. `None` where not even the largest is.
#[must_use]
pub fn detectable_rate(n: u64, discordant: f64, errors: Errors) -> Option<f64> {
    let is_found = |difference: f64| different_rates(discordant, difference, errors).is_some_and(|needed| needed <= n);
    let (mut missed, mut found) = (0.0, discordant);
    if !is_found(found) {
        return None;
    }
    for _ in 0..60 {
        let middle = f64::midpoint(missed, found);
        if is_found(middle) { found = middle } else { missed = middle }
    }
    Some(found)
}

/// The smallest margin that equals prove with `n` pairs: the inverse of [`non_inferior_rates`] at a difference of 0.
#[must_use]
pub fn provable_rate_margin(n: u64, discordant: f64, errors: Errors) -> Option<f64> {
    let spread = spread_of_rates(discordant, 0.0)?;
    (n > 0).then_some(errors.one_sided()? * (spread / count(n)).sqrt())
}

/// The smallest margin that equals prove with `n` pairs of values: the inverse of [`non_inferior_means`] at a difference of 0.
#[must_use]
pub fn provable_mean_margin(n: u64, deviation: f64, errors: Errors) -> Option<f64> {
    let usable = count(n) - 0.5 * normal_quantile(1.0 - errors.alpha).powi(2);
    (usable > 0.0 && deviation >= 0.0).then_some(errors.one_sided()? * deviation / usable.sqrt())
}

/// How many more are needed of what is planned as `needed`, where `n` are there and come in clusters with this [`design_effect`].
#[must_use]
pub fn still_needed(needed: u64, n: u64, design_effect: f64) -> u64 {
    whole(count(needed) * design_effect.max(1.0)).unwrap_or(u64::MAX).saturating_sub(n)
}

/// How many times as many are needed because they come in clusters: the variance of the mean by whole clusters, over the one that
/// pretends every value is independent. Takes the clusters as `(how many, their sum)` and the sum of all squares; `None` where it is not defined.
#[must_use]
pub fn design_effect(clusters: &[(u64, f64)], sum_of_squares: f64) -> Option<f64> {
    let (n, sum) =
        clusters.iter().fold((0.0, 0.0), |(n, sum), (n_here, sum_here)| (n + count(*n_here), sum + sum_here));
    let (groups, mean) = (clusters.len() as f64, sum / n);
    let between: f64 = clusters.iter().map(|(n_here, sum_here)| (sum_here - count(*n_here) * mean).powi(2)).sum();
    let clustered = between * groups / (groups - 1.0) / (n * n);
    let apart = (sum_of_squares - n * mean * mean) / (n - 1.0) / n;
    (groups > 1.0 && apart > 0.0).then(|| clustered / apart)
}

/// The variance of one pair's difference of bad events.
fn spread_of_rates(discordant: f64, difference: f64) -> Option<f64> {
    (discordant > 0.0 && discordant <= 1.0 && difference.abs() <= discordant)
        .then_some(discordant - difference * difference)
}

fn room(ask: NonInferiority) -> Option<f64> {
    let room = ask.margin - ask.difference;
    (room > 0.0).then_some(room)
}

fn whole(n: f64) -> Option<u64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a finite number from 0 up; what is larger is cut to the largest"
    )]
    n.is_finite().then(|| n.ceil().max(1.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Errors = Errors { alpha: 0.05, power: 0.8 };

    #[test]
    fn published_numbers_of_pairs() {
        for (discordant, at_five, at_two, found_at_three) in
            [(0.05, 124, 773, 434), (0.1, 248, 1546, 870), (0.2, 495, 3092, 1742)]
        {
            let proven = |margin| non_inferior_rates(discordant, NonInferiority { margin, difference: 0.0 }, USUAL);
            assert_eq!((proven(0.05), proven(0.02)), (Some(at_five), Some(at_two)));
            assert_eq!(different_rates(discordant, 0.03, USUAL), Some(found_at_three));
        }
    }

    #[test]
    fn what_is_provable_with_n_needs_n() {
        let margin = provable_rate_margin(500, 0.1, USUAL).unwrap();
        assert_eq!(
            non_inferior_rates(0.1, NonInferiority { margin: margin + 1e-9, difference: 0.0 }, USUAL),
            Some(500)
        );
        let margin = provable_mean_margin(80, 0.4, USUAL).unwrap();
        assert_eq!(non_inferior_means(0.4, NonInferiority { margin: margin + 1e-9, difference: 0.0 }, USUAL), Some(80));
        let difference = detectable_rate(870, 0.1, USUAL).unwrap();
        assert!((difference - 0.03).abs() < 1e-4, "{difference}");
        assert_eq!(detectable_rate(3, 0.1, USUAL), None);
    }

    #[test]
    fn what_no_number_can_prove_is_none() {
        let at_margin = NonInferiority { margin: 0.02, difference: 0.02 };
        assert_eq!(non_inferior_rates(0.1, at_margin, USUAL), None);
        assert_eq!(non_inferior_means(1.0, at_margin, USUAL), None);
        assert_eq!(non_inferior_rates(0.01, NonInferiority { margin: 0.3, difference: 0.2 }, USUAL), None);
        assert_eq!(different_rates(0.1, 0.0, USUAL), None);
    }

    #[test]
    fn clusters_of_equal_values_count_once() {
        let clusters: Vec<(u64, f64)> = (0..200).map(|idx| (10, f64::from(idx % 2) * 10.0)).collect();
        let effect = design_effect(&clusters, 1000.0).unwrap();
        assert!((effect - 10.0).abs() < 0.1, "{effect}");
        assert!(still_needed(100, 400, effect).abs_diff(600) <= 6);
        assert_eq!(still_needed(100, 400, 1.0), 0);
        assert_eq!(design_effect(&[(3, 1.0)], 1.0), None);
    }
}
