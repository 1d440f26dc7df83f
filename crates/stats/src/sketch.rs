//! Latencies in a fixed space, at 1 % precision, mergeable.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Counts of durations in microseconds, from 1 µs to one hour, each kept to within 1 %.
///
/// A longer duration counts as one hour. Written down as the list of occupied buckets.
#[derive(Clone, Debug)]
pub struct LatencySketch {
    histogram: Option<Histogram<u64>>,
}

/// p50, p95 and p99 of a sketch, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many durations.
    pub n: u64,
    /// Median.
    pub p50_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
}

const LONGEST_US: u64 = 3_600_000_000;
const SIGNIFICANT_DIGITS: u8 = 2;

impl LatencySketch {
    /// An empty sketch; it takes no space until the first duration.
    #[must_use]
    pub fn new() -> Self {
        Self { histogram: None }
    }

    /// Counts one duration.
    pub fn record_us(&mut self, duration_us: u64) {
        self.record_n(duration_us, 1);
    }

    /// Adds the counts of another sketch.
    pub fn merge(&mut self, other: &Self) {
        for (duration_us, n) in other.buckets() {
            self.record_n(duration_us, n);
        }
    }

    /// p50, p95 and p99; `None` when empty.
    #[must_use]
    pub fn quantiles(&self) -> Option<Quantiles> {
        let histogram = self.histogram.as_ref().filter(|histogram| !histogram.is_empty())?;
        Some(Quantiles {
            n: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p95_us: histogram.value_at_quantile(0.95),
            p99_us: histogram.value_at_quantile(0.99),
        })
    }

    /// How many durations were counted.
    #[must_use]
    pub fn n(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len)
    }

    /// The occupied buckets in ascending order: lowest and highest duration in microseconds, and how many were counted.
    pub fn ranges(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.histogram.iter().flat_map(|histogram| {
            histogram.iter_recorded().map(|bucket| {
                let value = bucket.value_iterated_to();
                (histogram.lowest_equivalent(value), histogram.highest_equivalent(value), bucket.count_at_value())
            })
        })
    }

    fn record_n(&mut self, duration_us: u64, n: u64) {
        if self.histogram.is_none() {
            self.histogram = Histogram::new_with_bounds(1, LONGEST_US, SIGNIFICANT_DIGITS).ok();
        }
        if let Some(histogram) = &mut self.histogram {
            histogram.saturating_record_n(duration_us.clamp(1, LONGEST_US), n);
        }
    }

    fn buckets(&self) -> Vec<(u64, u64)> {
        self.histogram
            .iter()
            .flat_map(Histogram::iter_recorded)
            .map(|v| (v.value_iterated_to(), v.count_at_value()))
            .collect()
    }
}

impl Default for LatencySketch {
    fn default() -> Self {
        Self::new()
    }
}

impl PartialEq for LatencySketch {
    fn eq(&self, other: &Self) -> bool {
        self.buckets() == other.buckets()
    }
}

impl Serialize for LatencySketch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.buckets().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LatencySketch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut sketch = Self::new();
        for (duration_us, n) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            sketch.record_n(duration_us, n);
        }
        Ok(sketch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut sketch = LatencySketch::new();
        (1..=10_000).for_each(|n| sketch.record_us(n * 100));
        let quantiles = sketch.quantiles().unwrap();
        for (actual, exact) in
            [(quantiles.p50_us, 500_000_u64), (quantiles.p95_us, 950_000), (quantiles.p99_us, 990_000)]
        {
            assert!(actual.abs_diff(exact) * 100 <= exact, "{actual} for {exact}");
        }
        assert_eq!(quantiles.n, 10_000);
    }

    #[test]
    fn merging_is_counting_everything_in_one() {
        let (mut left, mut right, mut all) = (LatencySketch::new(), LatencySketch::new(), LatencySketch::new());
        for duration_us in [0, 5, 700, 700, 90_000, 5_000_000_000] {
            all.record_us(duration_us);
            if duration_us < 700 { &mut left } else { &mut right }.record_us(duration_us);
        }
        left.merge(&right);
        assert_eq!(left, all);
        assert_eq!(LatencySketch::new().quantiles(), None);
    }
}
