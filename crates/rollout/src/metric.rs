//! What can go wrong with an answer, and small sets of it.

use serde::{Deserialize, Serialize};

use crate::policy::Stage;

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
    /// Not at its end when the objective for the whole answer passed. Observed where one is set; bad as soon as the objective passes, so
    /// that an answer which never ends is seen.
    Slow,
    /// Refused by the model, or empty. Observed for every complete answer.
    Refusal,
    /// A tool call that names no offered tool or has arguments that its parameters do not allow. Observed for every complete
    /// answer whose calls could be checked; an answer that calls nothing calls nothing wrong.
    ToolCall,
    /// Without any content when the objective for the first token passed. Observed where one is set, for answers that are streamed.
    SlowFirstToken,
    /// Somebody who got the answer says that it was bad. Observed for every answer that somebody says anything of.
    Feedback,
    /// A check or a judge finds the answer wanting. Observed for both answers of every pair that was judged.
    Judged,
    /// Something outside happened to the unit that should not: a ticket, a failed search, an escalation. Observed for every unit that is
    /// counted outside.
    External,
}

impl Metric {
    /// Every metric, in the order of [`MetricSet`]'s bits. A new one goes to the end: the bits and the counters of a store that is there
    /// already keep their places.
    pub const ALL: [Self; 10] = [
        Self::Error,
        Self::Timeout,
        Self::Format,
        Self::Slow,
        Self::Refusal,
        Self::ToolCall,
        Self::SlowFirstToken,
        Self::Feedback,
        Self::Judged,
        Self::External,
    ];
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
            Self::SlowFirstToken => "slow_first_token",
            Self::Feedback => "feedback",
            Self::Judged => "judged",
            Self::External => "external",
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
            Self::SlowFirstToken => "slow first token rate",
            Self::Feedback => "negative feedback rate",
            Self::Judged => "rate of judged losses",
            Self::External => "rate of bad outcomes outside",
        }
    }

    /// The metric of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == word)
    }

    /// Whether it becomes known after the answer, from somebody who saw it. Only such metrics may be reported as signals.
    #[must_use]
    pub fn is_signal(self) -> bool {
        matches!(self, Self::Feedback | Self::Judged | Self::External)
    }

    /// Whether a step of this stage can ask for it. Copies have no users: nobody says anything of them, and nothing happens to anybody. Both
    /// answers to one request are what is judged, and there are two only while requests are copied.
    #[must_use]
    pub fn is_asked_in(self, stage: Stage) -> bool {
        match self {
            Self::Feedback | Self::External => stage != Stage::Shadow,
            Self::Judged => stage == Stage::Shadow,
            _ => true,
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

/// A set of metrics in two bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricSet(u16);

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
            bits |= 1 << metrics[idx] as u16;
            idx += 1;
        }
        Self(bits)
    }

    /// This set and `metric`.
    #[must_use]
    pub const fn with(self, metric: Metric) -> Self {
        Self(self.0 | 1 << metric as u16)
    }

    /// Adds `metric`.
    pub fn insert(&mut self, metric: Metric) {
        *self = self.with(metric);
    }

    /// Whether `metric` is in the set.
    #[must_use]
    pub const fn contains(self, metric: Metric) -> bool {
        self.0 & (1 << metric as u16) != 0
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

    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u16) -> Self {
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
