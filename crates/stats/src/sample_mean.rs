//! The mean of what lies between two known ends, from a sample of fixed size, with no shape assumed.
//!
//! A bootstrap or Student's t sees only what was drawn. Where one case in twenty is a total loss and the sample happens to hold none, both are sure of what is
//! not so; with a few dozen cases that is often. Gaffke's bound answers as if one more case had been drawn, worth the worst there is, and weighs all of
//! them at random, each weighting as likely as any other: the ends of the mean are quantiles of these weighted means. For two outcomes it is Clopper and
//! Pearson's bound; for many cases of any value it comes to Student's t. No distribution is known for which it is too sure; that there is none
//! is proven for n of 1 and 2, the rest is a conjecture that simulations bear out.
//!
//! Sources: Gaffke, "Three test statistics for a nonparametric one-sided hypothesis on the mean of a nonnegative variable" (2005); Learned-Miller and Thomas,
//! "A new confidence interval for the mean of a bounded random variable" (2020, arXiv 1905.06208); Rubin, "The Bayesian bootstrap" (1981) for the weights.
//! Clusters of unequal sizes are taken by the linear part of the ratio (Cochran, "Sampling Techniques", 1977, section 6.3).

use crate::eprocess::count;
use crate::random::Random;
use crate::special::{normal_cdf, normal_quantile};

/// Weighted means drawn at most; fewer where there are many units, and never fewer than [`LEAST_DRAWS`].
const MOST_DRAWS: usize = 4000;
const LEAST_DRAWS: usize = 1000;
/// About so many weights are drawn at most, until [`LEAST_DRAWS`] asks for more.
const MOST_WEIGHTS: usize = 8_000_000;
/// From so many units on nothing is drawn where the weighted means are as little skewed as [`LEAST_SKEWED`]: their moments are known.
const MANY: usize = 1000;
const LEAST_SKEWED: f64 = 0.3;

/// What a sample says of the mean of a quantity between two ends.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleMean {
    /// The weighted means with the lowest end added.
    lows: Means,
    /// With the highest.
    highs: Means,
}

/// How weighted means are spread.
#[derive(Clone, Debug, PartialEq)]
enum Means {
    /// Drawn, from the smallest up.
    Drawn(Vec<f64>),
    /// By their mean, deviation and skewness (Cornish and Fisher, "Moments and cumulants in the specification of distributions", 1938).
    Smooth { mean: f64, deviation: f64, skewness: f64 },
}

impl SampleMean {
    /// Of whole units `(how many values, their sum)`, each value between `ends`; a value alone is a unit of one. `None` without units, of ends that are not finite
    /// or the wrong way round, or where a number is not finite. The unit that is added counts for `n_added` values: one, where all are independent; as many as the
    /// largest unit has, where nothing is known of how much those of a unit have in common.
    #[must_use]
    pub fn new(units: &[(u64, f64)], ends: (f64, f64), n_added: f64, seed: u64) -> Option<Self> {
        let (n, sum) = units.iter().fold((0, 0.0), |(n, sum), (n_here, sum_here)| (n + n_here, sum + sum_here));
        let are_ends = ends.0.is_finite() && ends.1.is_finite() && ends.0 < ends.1;
        if n == 0 || !f64::is_finite(sum) || !are_ends || !n_added.is_finite() || n_added <= 0.0 {
            return None;
        }
        let mean = sum / count(n);
        let per_unit = count(n) / units.len() as f64;
        let linear = |n_here: f64, sum_here: f64| mean + (sum_here - mean * n_here) / per_unit;
        let values: Vec<f64> = units.iter().map(|(n_here, sum_here)| linear(count(*n_here), *sum_here)).collect();
        let (worst, best) = (linear(n_added, ends.0 * n_added), linear(n_added, ends.1 * n_added));
        if let (Some(lows), Some(highs)) = (Means::smooth(&values, worst), Means::smooth(&values, best)) {
            return Some(Self { lows, highs });
        }
        let mut random = Random::new(seed);
        let n_draws = (MOST_WEIGHTS / (values.len() + 1)).clamp(LEAST_DRAWS, MOST_DRAWS);
        let (mut lows, mut highs) = (Vec::with_capacity(n_draws), Vec::with_capacity(n_draws));
        for _ in 0..n_draws {
            // Exponential numbers over their sum: every weighting as likely as any other.
            let added = random.exponential();
            let (weights, sum) = values.iter().fold((added, 0.0), |(weights, sum), value| {
                let weight = random.exponential();
                (weights + weight, sum + weight * value)
            });
            lows.push((sum + added * worst) / weights);
            highs.push((sum + added * best) / weights);
        }
        lows.sort_unstable_by(f64::total_cmp);
        highs.sort_unstable_by(f64::total_cmp);
        Some(Self { lows: Means::Drawn(lows), highs: Means::Drawn(highs) })
    }

    /// The interval at level `1 - alpha`: each end is a bound at `alpha / 2`.
    #[must_use]
    pub fn interval(&self, alpha: f64) -> (f64, f64) {
        (self.low(0.5 * alpha), self.high(0.5 * alpha))
    }

    /// The mean is above this but for `alpha`.
    #[must_use]
    pub fn low(&self, alpha: f64) -> f64 {
        self.lows.quantile(alpha)
    }

    /// The mean is below this but for `alpha`.
    #[must_use]
    pub fn high(&self, alpha: f64) -> f64 {
        self.highs.quantile(1.0 - alpha)
    }

    /// How likely values as high are, were the mean at most `bound`. Never below one in the number of draws.
    #[must_use]
    pub fn p_at_most(&self, bound: f64) -> f64 {
        self.lows.part_to(bound)
    }

    /// How likely values as low are, were the mean at least `bound`.
    #[must_use]
    pub fn p_at_least(&self, bound: f64) -> f64 {
        self.highs.part_from(bound)
    }
}

impl Means {
    /// Of weights that are each as likely as any other, `n` of them, the weighted mean of values with the central moments `m2` and `m3` has the variance
    /// `m2 / (n + 1)` and the third central moment `2 m3 / ((n + 1) (n + 2))`. `None` of few values, or where that is too skewed for these to say enough.
    fn smooth(values: &[f64], added: f64) -> Option<Self> {
        let n = values.len() as f64 + 1.0;
        let all = || values.iter().copied().chain([added]);
        let mean = all().sum::<f64>() / n;
        let (m2, m3) = all().fold((0.0, 0.0), |(m2, m3), value| {
            let from = value - mean;
            (m2 + from * from / n, m3 + from * from * from / n)
        });
        let deviation = (m2 / (n + 1.0)).sqrt();
        let skewness = 2.0 * m3 / ((n + 1.0) * (n + 2.0)) / deviation.powi(3);
        (values.len() >= MANY && skewness.abs() <= LEAST_SKEWED).then_some(Means::Smooth { mean, deviation, skewness })
    }

    /// Linear between the two nearest of those drawn.
    fn quantile(&self, level: f64) -> f64 {
        let ascending = match self {
            Means::Drawn(ascending) => ascending,
            Means::Smooth { mean, deviation, skewness } => {
                let z = normal_quantile(level);
                return mean + deviation * (z + skewness * (z * z - 1.0) / 6.0);
            }
        };
        let last = ascending.len() - 1;
        let place = level.clamp(0.0, 1.0) * last as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last index")]
        let below = place.floor() as usize;
        let (low, high) = (ascending[below], ascending[(below + 1).min(last)]);
        low + (place - below as f64) * (high - low)
    }

    /// The part at or below a bound. Of those drawn one is added to both counts, so that no number of draws proves a thing impossible.
    fn part_to(&self, bound: f64) -> f64 {
        match self {
            Means::Drawn(ascending) => part(ascending.partition_point(|mean| *mean <= bound), ascending.len()),
            Means::Smooth { .. } => self.smooth_part_to(bound),
        }
    }

    /// The part at or above it.
    fn part_from(&self, bound: f64) -> f64 {
        match self {
            Means::Drawn(ascending) => {
                part(ascending.len() - ascending.partition_point(|mean| *mean < bound), ascending.len())
            }
            Means::Smooth { .. } => 1.0 - self.smooth_part_to(bound),
        }
    }

    /// The inverse of the quantile, which grows with the level, by halves: the two must say the same.
    fn smooth_part_to(&self, bound: f64) -> f64 {
        let (mut low, mut high) = (-6.0_f64, 6.0_f64);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if self.quantile(normal_cdf(middle)) <= bound { low = middle } else { high = middle }
        }
        normal_cdf(f64::midpoint(low, high))
    }
}

fn part(n: usize, of: usize) -> f64 {
    (n + 1) as f64 / (of + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(values: impl IntoIterator<Item = f64>) -> Vec<(u64, f64)> {
        values.into_iter().map(|value| (1, value)).collect()
    }

    /// Clopper and Pearson of 0 of 59: `1 - 0.05^(1/59)`. Of 3 of 20 the bound at 5 % is the quantile of Beta(4, 17): 0.343664 (Brown, Cai and DasGupta 2001 have the form).
    #[test]
    fn of_two_outcomes_it_is_clopper_and_pearsons_bound() {
        let none = SampleMean::new(&alone([0.0; 59]), (0.0, 1.0), 1.0, 1).unwrap();
        assert!((none.high(0.05) - (1.0 - 0.05_f64.powf(1.0 / 59.0))).abs() < 2e-3, "{}", none.high(0.05));
        let three =
            SampleMean::new(&alone((0..20).map(|idx| f64::from(u8::from(idx < 3)))), (0.0, 1.0), 1.0, 1).unwrap();
        assert!((three.high(0.05) - 0.343_664).abs() < 6e-3, "{}", three.high(0.05));
        // The other way round it is the same, from the other end.
        let turned =
            SampleMean::new(&alone((0..20).map(|idx| f64::from(u8::from(idx >= 3)))), (0.0, 1.0), 1.0, 1).unwrap();
        assert!((turned.low(0.05) - (1.0 - 0.343_664)).abs() < 6e-3, "{}", turned.low(0.05));
    }

    #[test]
    fn of_many_values_it_is_students_t() {
        let values: Vec<f64> = (0..2000_u32).map(|idx| f64::from(idx * 37 % 101) / 101.0 - 0.5).collect();
        let mean = values.iter().sum::<f64>() / 2000.0;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1999.0;
        let (low, high) = SampleMean::new(&alone(values), (-1.0, 1.0), 1.0, 3).unwrap().interval(0.1);
        let reach = 1.6456 * (variance / 2000.0).sqrt();
        assert!((low - (mean - reach)).abs() < 0.08 * reach, "{low} {}", mean - reach);
        assert!((high - (mean + reach)).abs() < 0.08 * reach, "{high} {}", mean + reach);
    }

    #[test]
    fn what_is_not_drawn_is_what_would_be_drawn() {
        // Of ten nine are much alike, and one is lost: skewed.
        let value = |idx: u32| f64::from(idx * 37 % 101) / 1010.0 - f64::from(u8::from(idx % 10 == 3));
        let values: Vec<f64> = (0..1500).map(value).collect();
        let smooth = SampleMean::new(&alone(values.iter().copied()), (-1.0, 1.0), 1.0, 3).unwrap();
        assert!(matches!(smooth.lows, Means::Smooth { .. }), "{smooth:?}");
        let mut random = Random::new(9);
        let mut drawn: Vec<f64> = (0..4000)
            .map(|_| {
                let weights: Vec<f64> = (0..=values.len()).map(|_| random.exponential()).collect();
                let sum: f64 = values.iter().zip(&weights).map(|(value, weight)| value * weight).sum();
                (sum - weights[values.len()]) / weights.iter().sum::<f64>()
            })
            .collect();
        drawn.sort_unstable_by(f64::total_cmp);
        let drawn = Means::Drawn(drawn);
        let width = drawn.quantile(0.95) - drawn.quantile(0.05);
        for level in [0.01, 0.05, 0.5, 0.95] {
            let (one, other) = (drawn.quantile(level), smooth.lows.quantile(level));
            assert!((one - other).abs() < 0.04 * width, "{level}: {one} {other}");
            assert!((smooth.lows.part_to(other) - level).abs() < 1e-6);
        }
        // A single loss among many is too skewed for moments.
        let rare = alone((0..1500_u32).map(|idx| -f64::from(u8::from(idx == 7))));
        assert!(matches!(SampleMean::new(&rare, (-1.0, 1.0), 1.0, 3).unwrap().lows, Means::Drawn(_)));
    }

    #[test]
    fn the_interval_and_the_chances_say_the_same() {
        let values: Vec<f64> = (0..80_u32).map(|idx| f64::from(idx % 9) / 9.0).collect();
        let found = SampleMean::new(&alone(values), (0.0, 1.0), 1.0, 5).unwrap();
        assert!((found.p_at_most(found.low(0.05)) - 0.05).abs() < 1e-3);
        assert!((found.p_at_least(found.high(0.05)) - 0.05).abs() < 1e-3);
        assert!(found.p_at_most(1.0) > 0.999 && found.p_at_least(1.0) < 1e-3);
    }

    #[test]
    fn values_that_come_together_say_less_than_as_many_alone() {
        let (together, apart) = ([(10, 7.0); 12], alone((0..120).map(|idx| f64::from(u8::from(idx % 10 < 7)))));
        let width = |units: &[(u64, f64)], n_added: f64| {
            let (low, high) = SampleMean::new(units, (0.0, 1.0), n_added, 5).unwrap().interval(0.1);
            assert!(low < 0.7 && high > 0.7);
            high - low
        };
        assert!(width(&together, 10.0) > width(&together, 1.0) && width(&together, 10.0) > width(&apart, 1.0));
    }

    #[test]
    fn what_is_no_sample_of_such_a_quantity_is_none() {
        assert_eq!(SampleMean::new(&[], (0.0, 1.0), 1.0, 1), None);
        assert_eq!(SampleMean::new(&[(1, 0.5)], (0.0, f64::INFINITY), 1.0, 1), None);
        assert_eq!(SampleMean::new(&[(1, 0.5)], (1.0, 0.0), 1.0, 1), None);
        assert_eq!(SampleMean::new(&[(1, f64::NAN)], (0.0, 1.0), 1.0, 1), None);
    }
}
