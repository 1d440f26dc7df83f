//! When requests are due. A schedule is made before the first one is sent and never waits for an answer: that is what makes a loop open.

pub mod lineage;
pub mod trace;

use std::time::Duration;

use stats::random::Random;

use crate::clock::seconds;

/// How the times between requests are spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pattern {
    /// Independent arrivals: exponential times between.
    Poisson,
    /// Always the same time between.
    Constant,
    /// Gamma times between with this coefficient of variation: 1 is Poisson, above come bursts, below it is more even.
    Gamma {
        /// Standard deviation of the times between, by their mean.
        cv: f64,
    },
}

impl Pattern {
    /// The word in results.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Pattern::Poisson => "poisson".to_owned(),
            Pattern::Constant => "constant".to_owned(),
            Pattern::Gamma { cv } => format!("gamma:{cv}"),
        }
    }
}

/// Moments at which requests are due, ascending, without end. The first is one gap after the start.
#[derive(Debug, Clone)]
pub struct Arrivals {
    pattern: Pattern,
    mean_s: f64,
    at_s: f64,
    n: u64,
    random: Random,
}

impl Arrivals {
    /// So many a second on the mean; none when that is not above 0.
    #[must_use]
    pub fn new(pattern: Pattern, per_s: f64, seed: u64) -> Arrivals {
        Arrivals { pattern, mean_s: 1.0 / per_s, at_s: 0.0, n: 0, random: Random::new(seed) }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if !(self.mean_s.is_finite() && self.mean_s > 0.0) {
            return None;
        }
        self.n += 1;
        self.at_s = match self.pattern {
            // Not a sum: no error adds up.
            Pattern::Constant => self.n as f64 * self.mean_s,
            Pattern::Poisson => self.at_s + self.mean_s * self.random.exponential(),
            Pattern::Gamma { cv } => {
                let shape = 1.0 / (cv * cv);
                self.at_s + self.mean_s / shape * self.random.gamma(shape)
            }
        };
        Some(seconds(self.at_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean and coefficient of variation of the times between the first `n` arrivals.
    fn between(pattern: Pattern, per_s: f64, n: usize) -> (f64, f64) {
        let moments: Vec<f64> = Arrivals::new(pattern, per_s, 7).take(n).map(|at| at.as_secs_f64()).collect();
        let gaps: Vec<f64> =
            std::iter::once(moments[0]).chain(moments.windows(2).map(|pair| pair[1] - pair[0])).collect();
        let mean = gaps.iter().sum::<f64>() / n as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / n as f64;
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn arrivals_have_the_mean_and_the_spread_of_their_pattern() {
        for (pattern, cv) in [
            (Pattern::Poisson, 1.0),
            (Pattern::Constant, 0.0),
            (Pattern::Gamma { cv: 0.5 }, 0.5),
            (Pattern::Gamma { cv: 1.0 }, 1.0),
            (Pattern::Gamma { cv: 3.0 }, 3.0),
        ] {
            let (mean, found) = between(pattern, 50.0, 100_000);
            assert!((mean / 0.02 - 1.0).abs() < 0.03, "{pattern:?}: {mean}");
            assert!((found - cv).abs() < 0.05 * cv.max(0.01), "{pattern:?}: {found}");
        }
    }

    #[test]
    fn the_same_seed_is_the_same_schedule_and_no_rate_is_no_schedule() {
        let of = |seed| Arrivals::new(Pattern::Poisson, 10.0, seed).take(5).collect::<Vec<_>>();
        assert_eq!(of(3), of(3));
        assert_ne!(of(3), of(4));
        assert_eq!(Arrivals::new(Pattern::Poisson, 0.0, 1).next(), None);
        assert_eq!(Arrivals::new(Pattern::Constant, 4.0, 1).nth(3), Some(Duration::from_secs(1)));
    }
}
