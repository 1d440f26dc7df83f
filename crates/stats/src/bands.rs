//! T7: bands that hold for all quantiles and at all times at once, for a page that shows a whole distribution. They decide nothing.
//!
//! [`quantile::interval`](crate::quantile::interval) is for one quantile chosen beforehand and is narrower; whoever picks the quantile after looking needs these.
//! Source: Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B testing and best-arm identification" (2022), theorem 2
//! (iterated logarithm) and theorem 3 (double stitching).

use crate::eprocess::count;
use crate::sketch::LatencySketch;
use crate::special::zeta;

/// How much the grid of quantiles is refined, how fast chance is spent on later epochs, and how long these are.
const FINENESS: f64 = 0.5;
const SPENDING: f64 = 1.4;
const EPOCHS: f64 = 2.0;

/// A quantile's band, in microseconds and rounded outward; no upper end where too little was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// Which quantile, within (0, 1).
    pub quantile: f64,
    /// It is at least this.
    pub low_us: u64,
    /// It is at most this.
    pub high_us: Option<u64>,
}

/// How far the part of values at or below any `x` may be from its probability, for all `x` and all `n` from `n_min` on, but for `alpha`.
///
/// `leading sqrt((ln(1 + ln(n / n_min)) + C) / n)`, with `C` the smallest for which theorem 2's bound on the error is `alpha`; `leading` is above
/// `1 / sqrt(2)`. Infinite below `n_min`. Checked by hand: 1000 values from 100 on, 0.05 and 0.85 is 0.082048.
#[must_use]
pub fn distribution_margin(n: u64, alpha: f64, n_min: u64, leading: f64) -> f64 {
    if n < n_min.max(1) {
        return f64::INFINITY;
    }
    let (n, n_min) = (count(n), count(n_min.max(1)));
    let (mut low, mut high) = (0.0, 1.0);
    while least_error(high, leading) > alpha && high < 1e6 {
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if least_error(middle, leading) > alpha { low = middle } else { high = middle }
    }
    leading * (((n / n_min).ln().ln_1p() + high) / n).sqrt()
}

/// The bound of theorem 2 on the chance of a miss, at its best spacing of epochs.
fn least_error(constant: f64, leading: f64) -> f64 {
    let error = |spacing: f64| {
        let root = leading - (2.0 * (spacing - 1.0) / constant).sqrt();
        let squared = 2.0 / spacing * root * root;
        if root <= 0.0 || squared <= 1.0 {
            return f64::INFINITY;
        }
        4.0 * (-squared * constant).exp() * (1.0 + 1.0 / ((squared - 1.0) * spacing.ln()))
    };
    // Where the spacing is 1 the bound is infinite, and again where `squared` falls to 1: in between it has one least value.
    let (mut low, mut high) = (1.0, 2.0 * leading * leading);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        let room = leading - (2.0 * (middle - 1.0) / constant).sqrt() - (0.5 * middle).sqrt();
        if room > 0.0 { low = middle } else { high = middle }
    }
    let (mut low, mut high) = (1.0, low);
    for _ in 0..200 {
        let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        let is_left = error(left) < error(right) || error(right).is_infinite();
        if is_left { high = right } else { low = left }
    }
    error(f64::midpoint(low, high))
}

/// How many values more than `n quantile` may lie at or below that quantile, for all quantiles and all `n` at once, but for `alpha`; tightest
/// around `n_tuned`. Infinite for a quantile outside (0, 1).
///
/// Checked by hand: 0.9 and 1000 values, 0.05, tuned for 100, is 43.721190.
#[must_use]
pub fn double_stitching(quantile: f64, n: u64, alpha: f64, n_tuned: u64) -> f64 {
    if !(quantile > 0.0 && quantile < 1.0) {
        return f64::INFINITY;
    }
    let tuned = count(n_tuned.max(1));
    let n = count(n).max(tuned);
    let logit = (quantile / (1.0 - quantile)).ln();
    let outer = if quantile >= 0.5 {
        quantile
    } else {
        let shifted = logit + 2.0 * FINENESS * (tuned * EPOCHS / n).sqrt();
        (1.0 / (1.0 + (-shifted).exp())).min(0.5)
    };
    let variance = outer * (1.0 - outer);
    let grid = (n / tuned).sqrt() * logit.abs() / (2.0 * FINENESS) + 1.0;
    let zeta = zeta(SPENDING);
    let spent = SPENDING * (EPOCHS * n / tuned).ln().ln()
        + SPENDING * grid.ln()
        + (2.0 * zeta * (2.0 * zeta + 1.0) / (alpha * EPOCHS.ln().powf(SPENDING))).ln();
    let first = (EPOCHS.powf(0.25) + EPOCHS.powf(-0.25)) / 2.0_f64.sqrt();
    let second = f64::midpoint(EPOCHS.sqrt(), 1.0) * (1.0 - 2.0 * quantile) / 3.0 * spent;
    FINENESS * (EPOCHS * n * variance / tuned).sqrt()
        + (first * first * variance * n * spent + second * second).sqrt()
        + second
}

/// Bands for these quantiles that hold together and at all times, but for `alpha`: between the values that so many more and so many fewer lie below.
#[must_use]
pub fn of(sketch: &LatencySketch, quantiles: &[f64], alpha: f64, n_tuned: u64) -> Vec<Band> {
    let n = count(sketch.n());
    let band = |quantile: &f64| {
        let quantile = *quantile;
        let fewer = n * quantile - double_stitching(1.0 - quantile, sketch.n(), alpha, n_tuned);
        let more = n * quantile + double_stitching(quantile, sketch.n(), alpha, n_tuned);
        let (mut low_us, mut high_us, mut below) = (0, None, 0.0);
        for (lowest, highest, n_here) in sketch.ranges() {
            // The value that `fewer` lie at or below, and the first one that more than `more` do.
            if below < fewer {
                low_us = lowest;
            }
            below += count(n_here);
            if below > more && high_us.is_none() {
                high_us = Some(highest);
            }
        }
        Band { quantile, low_us, high_us }
    };
    quantiles.iter().map(band).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values that the reference implementation of the paper tests itself with.
    #[test]
    fn margins_agree_with_the_published_vectors() {
        let margin = distribution_margin(1000, 0.05, 100, 0.85);
        assert!((margin - 0.08204769).abs() < 1e-6, "{margin}");
        let stitched = double_stitching(0.9, 1000, 0.05, 100);
        assert!((stitched - 43.72119).abs() < 1e-5, "{stitched}");
        assert!(distribution_margin(99, 0.05, 100, 0.85).is_infinite());
        assert!(double_stitching(1.0, 1000, 0.05, 100).is_infinite());
    }

    #[test]
    fn bands_hold_the_quantiles_and_narrow() {
        let width = |n: u64| {
            let mut sketch = LatencySketch::new();
            (0..n).for_each(|idx| sketch.record_us(1000 + idx * 100_000 / n));
            let bands = of(&sketch, &[0.5, 0.95], 0.05, 1000);
            for (band, at) in bands.iter().zip([51_000, 96_000]) {
                assert!(band.low_us <= at && band.high_us.is_none_or(|high| at <= high), "{band:?}");
            }
            bands[0].high_us.unwrap() - bands[0].low_us
        };
        assert!(width(30_000) < width(1000));
        let few = of(&LatencySketch::new(), &[0.95], 0.05, 1000);
        assert_eq!(few, [Band { quantile: 0.95, low_us: 0, high_us: None }]);
    }
}
