//! The bootstrap: how uncertain is any statistic of a fixed sample, without a formula for it?
//!
//! Whole units are drawn, each with everything it brought: resampling the requests of a unit apart would pretend that
//! they are independent. A paired comparison draws pairs. The seed is an argument. Sources: Efron, "Better bootstrap confidence intervals" (1987), sections 2
//! and 6; Davison and Hinkley, "Bootstrap Methods and their Application" (1997), sections 2.4 (clusters) and 5.3.

use std::collections::BTreeMap;

use crate::eprocess::count;
use crate::random::Random;
use crate::special::{normal_cdf, normal_quantile, normal_tail, student_quantile};

/// A statistic, its bootstrap distribution, and what it is without each unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Bootstrap {
    estimate: f64,
    ascending: Vec<f64>,
    without_each: Vec<f64>,
}

impl Bootstrap {
    /// Draws `n_resamples` times as many units as there are, with replacement, and computes `statistic` of those drawn, given by their indices.
    ///
    /// A statistic may return NaN for draws it is not defined on; these are left out. `statistic` is called `n_resamples + n_units + 1` times.
    #[must_use]
    pub fn new(n_units: usize, n_resamples: usize, seed: u64, statistic: impl Fn(&[usize]) -> f64) -> Self {
        let drawn = Self::resampled(n_units, n_resamples, seed, &statistic);
        let without_each = (0..n_units).map(|left_out| {
            let others: Vec<usize> = (0..n_units).filter(|unit_idx| *unit_idx != left_out).collect();
            statistic(&others)
        });
        Self { without_each: without_each.collect(), ..drawn }
    }

    /// The same without what only [`bias_corrected`](Self::bias_corrected) needs: `statistic` is called `n_resamples + 1` times.
    #[must_use]
    pub fn resampled(n_units: usize, n_resamples: usize, seed: u64, statistic: impl Fn(&[usize]) -> f64) -> Self {
        let mut random = Random::new(seed);
        let mut drawn = vec![0; n_units];
        let distribution = (0..n_resamples).map(|_| {
            drawn.iter_mut().for_each(|unit_idx| *unit_idx = random.below(n_units));
            statistic(&drawn)
        });
        let distribution = distribution.collect();
        let all: Vec<usize> = (0..n_units).collect();
        Self::from_parts(statistic(&all), distribution, Vec::new())
    }

    /// Of [`mean_of`] these units, the same numbers as [`new`](Self::new) gives, in time that grows with the number of units and not with its square.
    #[must_use]
    pub fn of_mean(units: &[(u64, f64)], n_resamples: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let distribution = (0..n_resamples).map(|_| {
            let drawn = (0..units.len()).map(|_| units[random.below(units.len())]);
            mean(drawn.fold((0, 0.0), |(n, sum), (n_here, sum_here)| (n + n_here, sum + sum_here)))
        });
        let distribution = distribution.collect();
        let (n, sum) = units.iter().fold((0, 0.0), |(n, sum), (n_here, sum_here)| (n + n_here, sum + sum_here));
        let without_each = units.iter().map(|(n_here, sum_here)| mean((n - n_here, sum - sum_here))).collect();
        Self::from_parts(mean((n, sum)), distribution, without_each)
    }

    /// From the statistic of the sample, of each resample, and of the sample without each unit.
    #[must_use]
    pub fn from_parts(estimate: f64, mut distribution: Vec<f64>, without_each: Vec<f64>) -> Self {
        distribution.retain(|value| !value.is_nan());
        distribution.sort_unstable_by(f64::total_cmp);
        Self { estimate, ascending: distribution, without_each }
    }

    /// The statistic of the sample.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        self.estimate
    }

    /// The percentile interval at level `1 - alpha`: the middle of the distribution. `None` without resamples.
    #[must_use]
    pub fn percentile(&self, alpha: f64) -> Option<(f64, f64)> {
        Some((self.quantile(0.5 * alpha)?, self.quantile(1.0 - 0.5 * alpha)?))
    }

    /// The percentile interval at level `1 - alpha` that is as wide as `n_units` units deserve.
    ///
    /// Resamples of `n` units spread by the root of `(n - 1) / n` too little, and what is estimated from few units has Student's tails, not the normal ones:
    /// the middle of the distribution that is taken lies between the levels `Phi(-+ t sqrt(n / (n - 1)))`, `t` being Student's at `n - 1` degrees (Hesterberg, "What
    /// teachers should know about the bootstrap", 2015: the expanded percentile). Its ends are the resamples of rank `(R + 1) level`, of which one more draw lies
    /// below with that chance. `None` for fewer than two units, or too few resamples to have these ranks.
    ///
    /// Checked by hand: ten units at 5 % have t = 2.262157, times 1.054093 is 2.384525, and both tails together are 1.71 %.
    #[must_use]
    pub fn expanded(&self, n_units: usize, alpha: f64) -> Option<(f64, f64)> {
        let (n, last) = (n_units as f64, self.ascending.len().checked_sub(1)? as f64);
        if n_units < 2 {
            return None;
        }
        let level = normal_tail(student_quantile(1.0 - 0.5 * alpha, n - 1.0) * (n / (n - 1.0)).sqrt());
        // Ranks are counted from 1, places from 0.
        let place = (last + 2.0) * level - 1.0;
        (place >= 0.0).then(|| (self.between(place), self.between(last - place)))
    }

    /// The bias-corrected and accelerated interval at level `1 - alpha`, closer to its level where the distribution is skewed.
    ///
    /// `Phi(z0 + (z0 + z) / (1 - a (z0 + z)))` with `z0` from the part of the distribution below the estimate (ties count half) and `a` the
    /// skewness of the values without each unit over 6. `None` where these are not defined: no resamples, all on one side, or no spread.
    #[must_use]
    pub fn bias_corrected(&self, alpha: f64) -> Option<(f64, f64)> {
        let below = self.ascending.partition_point(|value| *value < self.estimate);
        let at_or_below = self.ascending.partition_point(|value| *value <= self.estimate);
        let part = (below + at_or_below) as f64 / (2.0 * self.ascending.len() as f64);
        let bias = normal_quantile(part);
        let mean = self.without_each.iter().sum::<f64>() / self.without_each.len() as f64;
        let moment = |power: i32| self.without_each.iter().map(|value| (mean - value).powi(power)).sum::<f64>();
        let acceleration = moment(3) / (6.0 * moment(2).powf(1.5));
        if !bias.is_finite() || !acceleration.is_finite() {
            return None;
        }
        let corrected = |level: f64| {
            let shifted = bias + normal_quantile(level);
            self.quantile(normal_cdf(bias + shifted / (1.0 - acceleration * shifted)))
        };
        Some((corrected(0.5 * alpha)?, corrected(1.0 - 0.5 * alpha)?))
    }

    /// Linear between the two nearest of the distribution.
    fn quantile(&self, level: f64) -> Option<f64> {
        let last = self.ascending.len().checked_sub(1)?;
        Some(self.between(level.clamp(0.0, 1.0) * last as f64))
    }

    /// Linear between the two that are nearest to this place.
    fn between(&self, place: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the last index")]
        let below = place.floor() as usize;
        let (low, high) = (self.ascending[below], self.ascending[(below + 1).min(self.ascending.len() - 1)]);
        low + (place - below as f64) * (high - low)
    }
}

/// The mean over observations of units that brought `(how many, their sum)`, over the units at these indices.
///
/// With one observation per unit it is the plain mean; a paired comparison takes differences. NaN where nothing was brought.
#[must_use]
pub fn mean_of(units: &[(u64, f64)], drawn: &[usize]) -> f64 {
    mean(drawn.iter().fold((0, 0.0), |(n, sum), unit_idx| (n + units[*unit_idx].0, sum + units[*unit_idx].1)))
}

/// Values gathered by the cluster they come from (a document, a conversation), each cluster as `(how many, their sum)`, in the order of the clusters' names.
#[must_use]
pub fn by_cluster<Cluster: Ord>(values: impl IntoIterator<Item = (Cluster, f64)>) -> Vec<(u64, f64)> {
    let mut clusters: BTreeMap<Cluster, (u64, f64)> = BTreeMap::new();
    for (cluster, value) in values {
        let (n, sum) = clusters.entry(cluster).or_default();
        *n += 1;
        *sum += value;
    }
    clusters.into_values().collect()
}

fn mean((n, sum): (u64, f64)) -> f64 {
    sum / count(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skewed(n: u32) -> Vec<(u64, f64)> {
        (0..n).map(|idx| (1, f64::from(idx * idx % 97))).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_interval_and_it_holds_the_estimate() {
        let units = skewed(60);
        let bootstrap = |seed| Bootstrap::new(units.len(), 2000, seed, |drawn| mean_of(&units, drawn));
        assert_eq!(bootstrap(5), bootstrap(5));
        assert_ne!(bootstrap(5).percentile(0.05), bootstrap(6).percentile(0.05));
        for (low, high) in [bootstrap(5).percentile(0.05).unwrap(), bootstrap(5).bias_corrected(0.05).unwrap()] {
            assert!(low < bootstrap(5).estimate() && bootstrap(5).estimate() < high, "{low} {high}");
        }
    }

    /// The bootstrap's standard error of a mean is known: the population deviation over the root of n.
    #[test]
    fn the_spread_of_a_mean_is_the_one_of_the_formula() {
        let units = skewed(80);
        let mean = mean_of(&units, &(0..80).collect::<Vec<_>>());
        let deviation =
            (units.iter().map(|(_, value)| (value - mean).powi(2)).sum::<f64>() / 80.0).sqrt() / 80_f64.sqrt();
        let (low, high) = Bootstrap::new(80, 20_000, 3, |drawn| mean_of(&units, drawn)).percentile(0.05).unwrap();
        assert!(((high - low) / (2.0 * 1.959964 * deviation) - 1.0).abs() < 0.03, "{low} {high}");
    }

    #[test]
    fn drawing_units_whole_is_wider_than_drawing_their_requests() {
        // Ten units with a hundred requests each, and all of a unit's requests alike.
        let clustered: Vec<(u64, f64)> = (0..10_u32).map(|idx| (100, f64::from(idx % 2) * 100.0)).collect();
        let apart: Vec<(u64, f64)> = (0..1000_u32).map(|idx| (1, f64::from(idx % 2))).collect();
        let width = |units: &[(u64, f64)]| {
            let (low, high) =
                Bootstrap::new(units.len(), 1000, 1, |drawn| mean_of(units, drawn)).percentile(0.05).unwrap();
            high - low
        };
        assert!(width(&clustered) > 8.0 * width(&apart));
    }

    #[test]
    fn the_short_way_to_a_mean_draws_the_same() {
        let units = by_cluster([("b", 1.0), ("a", 4.0), ("b", 2.5), ("c", 0.0), ("a", -1.0), ("d", 7.0)]);
        assert_eq!(units, [(2, 3.0), (2, 3.5), (1, 0.0), (1, 7.0)]);
        let long = Bootstrap::new(units.len(), 500, 9, |drawn| mean_of(&units, drawn));
        assert_eq!(Bootstrap::of_mean(&units, 500, 9), long);
        assert_eq!(Bootstrap::of_mean(&[], 10, 9).percentile(0.05), None);
    }

    #[test]
    fn what_is_not_defined_is_none() {
        let flat = Bootstrap::from_parts(1.0, vec![1.0; 10], vec![1.0; 5]);
        assert_eq!((flat.percentile(0.05), flat.bias_corrected(0.05)), (Some((1.0, 1.0)), None));
        let empty = Bootstrap::new(0, 10, 1, |_| f64::NAN);
        assert_eq!((empty.percentile(0.05), empty.bias_corrected(0.05)), (None, None));
        assert_eq!([empty.expanded(10, 0.05), flat.expanded(1, 0.05), flat.expanded(10, 0.05)], [None; 3]);
    }

    /// Means of ten values of a normal distribution, whose true interval is Student's: 1.96 standard errors over the root of `n` are too few of them.
    #[test]
    fn the_expanded_interval_of_few_units_is_as_wide_as_students() {
        let resamples: Vec<f64> = (1..=9999).map(|rank| normal_quantile(f64::from(rank) / 10_000.0)).collect();
        // Resampled means of ten values spread by the root of 9 / 10 of what one would estimate.
        let spread = resamples.iter().map(|z| z * 0.9_f64.sqrt()).collect();
        let bootstrap = Bootstrap::from_parts(0.0, spread, Vec::new());
        let (low, high) = bootstrap.expanded(10, 0.05).unwrap();
        assert!((high - 2.262_157).abs() < 1e-4 && (low + high).abs() < 1e-9, "{low} {high}");
        let (low, high) = bootstrap.expanded(100_000, 0.05).unwrap();
        assert!((high - 1.959_964 * 0.9_f64.sqrt()).abs() < 1e-3 && (low + high).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    fn without_the_values_without_each_it_is_the_same_distribution() {
        let units = skewed(20);
        let whole = Bootstrap::new(20, 300, 4, |drawn| mean_of(&units, drawn));
        let resampled = Bootstrap::resampled(20, 300, 4, |drawn| mean_of(&units, drawn));
        assert_eq!((resampled.percentile(0.05), resampled.bias_corrected(0.05)), (whole.percentile(0.05), None));
    }
}
