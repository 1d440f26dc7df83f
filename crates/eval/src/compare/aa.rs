//! An A/A: the candidate is the baseline under another name. What it shows is the baseline's own noise, never parity.

use serde::Serialize;
use stats::interval;

use super::{ALPHA, Comparison, Interval, Pair, Verdict};

/// How far the same target's answers to the same cases come out apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Noise {
    /// Cases whose two answers are not worth the same.
    pub n_apart: u64,
    /// Of so many.
    pub n: u64,
    /// The part, and its Wilson interval at 95 %.
    pub share: Option<f64>,
    /// The interval.
    pub interval: Option<Interval>,
    /// The mean distance of the two answers' worth, in the metric's own unit.
    pub mean_distance: Option<f64>,
    /// How far a difference of two means of so many cases lies from 0 by noise alone: the end of the difference's interval that is further away.
    pub band: Option<f64>,
    /// Whether the margin lies within the band: so many cases cannot tell it from noise.
    pub margin_within_band: bool,
}

/// Of the pairs of an A/A.
pub(super) fn noise(pairs: &[Pair], comparison: &Comparison, margin: f64) -> Noise {
    let distances = || pairs.iter().map(|pair| (pair.candidate - pair.baseline).abs());
    let (n, n_apart) = (pairs.len() as u64, distances().filter(|distance| *distance > 0.0).count() as u64);
    let level = 1.0 - ALPHA;
    let z = -stats::special::normal_quantile(0.5 * ALPHA);
    let band = comparison.interval.map(|ends| ends.low.abs().max(ends.high.abs()));
    Noise {
        n_apart,
        n,
        share: (n > 0).then(|| n_apart as f64 / n as f64),
        interval: interval::wilson(n_apart, n, z).filter(|_| n > 0).map(|(low, high)| Interval { low, high, level }),
        mean_distance: (n > 0).then(|| distances().sum::<f64>() / n as f64),
        band,
        margin_within_band: band.is_some_and(|band| margin <= band),
    }
}

/// Takes from a comparison what an A/A must not say: a verdict, a parity, how many cases decide.
pub(super) fn refuse(comparison: &mut Comparison, noise: &Noise) {
    comparison.verdict = Verdict::Undecided;
    comparison.because = Some(noise.words());
    comparison.is_empty = false;
    comparison.parity = None;
    comparison.needed = None;
    comparison.still_needed = None;
}

impl Noise {
    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let mut text = "an A/A: it is the baseline under another name, which proves no parity".to_owned();
        if let (Some(share), Some(Interval { low, high, .. })) = (self.share, self.interval) {
            text += &format!(
                "; its own noise: {:.1} % of cases come out apart (95 % interval {:.1} to {:.1} %)",
                100.0 * share,
                100.0 * low,
                100.0 * high
            );
        }
        if let Some(band) = self.band {
            text += &format!(", a difference of up to {band:.4} is noise");
        }
        if self.margin_within_band {
            text += ", and the margin lies within it";
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Question, compare};
    use crate::metric::Range;

    fn pair(baseline: f64, candidate: f64) -> Pair {
        Pair { cluster: None, baseline, candidate }
    }

    #[test]
    fn the_same_target_twice_has_noise_and_no_parity() {
        let pairs: Vec<Pair> = (0..400)
            .map(|idx| match idx % 40 {
                0 => pair(1.0, 0.0),
                1 => pair(0.0, 1.0),
                _ => pair(1.0, 1.0),
            })
            .collect();
        let mut comparison = compare(&pairs, 0, Question { margin: 0.05, alpha: 0.05, seed: 1, range: Range::UNIT });
        assert_eq!(comparison.verdict, Verdict::Pass, "which is why it has to be refused");
        let noise = noise(&pairs, &comparison, 0.05);
        assert_eq!((noise.n_apart, noise.n, noise.share, noise.mean_distance), (20, 400, Some(0.05), Some(0.05)));
        assert!(noise.band.is_some_and(|band| band > 0.01 && band < 0.05) && !noise.margin_within_band);
        refuse(&mut comparison, &noise);
        assert_eq!((comparison.verdict, comparison.parity, comparison.needed), (Verdict::Undecided, None, None));
        assert!(comparison.because.is_some_and(|words| words.contains("5.0 % of cases come out apart")));
    }

    #[test]
    fn a_margin_that_noise_alone_reaches_is_named() {
        let pairs: Vec<Pair> = (0..30).map(|idx| pair(f64::from(idx % 2), f64::from((idx / 2) % 2))).collect();
        let comparison = compare(&pairs, 0, Question { margin: 0.02, alpha: 0.05, seed: 1, range: Range::UNIT });
        assert!(noise(&pairs, &comparison, 0.02).margin_within_band);
    }
}
