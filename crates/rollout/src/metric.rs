//! What can go wrong with an answer, and small sets of it.

use serde::{Deserialize, Serialize};

/// One way an attempt can be bad. Each attempt is judged on the metrics that could be observed for it.
///
/// What counts is the attempt of the arm the unit is assigned to, not what the caller saw after a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The attempt failed, for any reason that is not the caller's: refused by a breaker or queue, connection, status, cut
    /// stream, timeout. Observed for every attempt.
    Error,
    /// The attempt ran into a deadline. Observed for every attempt; report it when the deadline passes, not when the attempt ends.
    Timeout,
    /// The answer is not in the format the request asked for: no JSON, or not as its schema says. Observed for every complete answer; a request that asked for no
    /// format is answered in the right one.
    Format,
    /// Slower than the latency objective. Observed where one is set.
    Slow,
    /// Refused by the model, or empty.
    Refusal,
    /// A tool call that names no offered tool or has arguments that its parameters do not allow. Observed for every complete
    /// answer whose calls could be checked; an answer that calls nothing calls nothing wrong.
    ToolCall,
}

impl Metric {
    /// Every metric, in the order of [`MetricSet`]'s bits.
    pub const ALL: [Self; 6] = [Self::Error, Self::Timeout, Self::Format, Self::Slow, Self::Refusal, Self::ToolCall];
    pub(crate) const COUNT: usize = Self::ALL.len();

    /// The word used in config, metrics and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Format => "format",
            Self::Slow => "slow",
            Self::Refusal => "refusal",
            Self::ToolCall => "tool_call",
        }
    }

    /// What a rate of it is called in a sentence.
    #[must_use]
    pub fn rate_name(self) -> &'static str {
        match self {
            Self::Error => "error rate",
            Self::Timeout => "timeout rate",
            Self::Format => "format failure rate",
            Self::Slow => "slow answer rate",
            Self::Refusal => "refusal rate",
            Self::ToolCall => "invalid tool call rate",
        }
    }

    pub(crate) fn idx(self) -> usize {
        self as usize
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of metrics in one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricSet(u8);

impl MetricSet {
    /// No metric.
    pub const EMPTY: Self = Self(0);
    /// Every metric.
    pub const ALL: Self = Self((1 << Metric::COUNT) - 1);

    /// The set of these.
    #[must_use]
    pub const fn of(metrics: &[Metric]) -> Self {
        let mut bits = 0;
        let mut idx = 0;
        while idx < metrics.len() {
            bits |= 1 << metrics[idx] as u8;
            idx += 1;
        }
        Self(bits)
    }

    /// This set and `metric`.
    #[must_use]
    pub const fn with(self, metric: Metric) -> Self {
        Self(self.0 | 1 << metric as u8)
    }

    /// Adds `metric`.
    pub fn insert(&mut self, metric: Metric) {
        *self = self.with(metric);
    }

    /// Whether `metric` is in the set.
    #[must_use]
    pub const fn contains(self, metric: Metric) -> bool {
        self.0 & (1 << metric as u8) != 0
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in exactly one.
    #[must_use]
    pub const fn xor(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }

    /// The metrics in the set.
    pub fn iter(self) -> impl Iterator<Item = Metric> {
        Metric::ALL.into_iter().filter(move |metric| self.contains(*metric))
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::ALL.0)
    }
}

impl FromIterator<Metric> for MetricSet {
    fn from_iter<I: IntoIterator<Item = Metric>>(metrics: I) -> Self {
        metrics.into_iter().fold(Self::EMPTY, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let set = MetricSet::of(&[Metric::Error, Metric::ToolCall]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Metric::Error, Metric::ToolCall]);
        assert!(!set.contains(Metric::Slow));
        assert_eq!(set, set.iter().collect());
        assert_eq!(MetricSet::ALL.iter().count(), Metric::COUNT);
        assert!(set.and(MetricSet::of(&[Metric::Slow])).is_empty());
    }
}
