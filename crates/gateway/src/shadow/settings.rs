//! What the config says of the shadow of one rollout. Read anew for every request and every copy: a reload is taken up at once.

use std::collections::BTreeMap;

use super::judged::Judging;

/// How the shadow of one rollout behaves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ShadowSettings {
    /// What it may use.
    pub budget: ShadowBudget,
    /// Fraction of drawn requests whose baseline is asked again, 0..1.
    pub noise_duplicate: f64,
    /// Samples for requests with these task labels, in place of the policy's.
    pub task_samples: BTreeMap<String, f64>,
    /// When copies are made; at once without.
    pub deferred: Option<Window>,
    /// Members of JSON answers and of arguments that may differ: names, or paths with dots and `*`.
    pub ignore: Vec<String>,
    /// How meanings are compared; not at all without.
    pub meaning: Option<Meaning>,
    /// How answers are judged; not at all without.
    pub judged: Option<Judging>,
}

/// What the copies of one rollout, and the second answers asked of its baseline, may use. `None` is as much as comes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ShadowBudget {
    /// Nano-dollars in a day (UTC).
    pub nanos_per_day: Option<u64>,
    /// Tokens read and written in a day (UTC).
    pub tokens_per_day: Option<u64>,
    /// Copies begun in a second.
    pub per_second: Option<f64>,
    /// Copies under way at once.
    pub in_flight: Option<usize>,
    /// Bytes held for them.
    pub max_bytes: Option<usize>,
}

/// A span of the day, in minutes from midnight, local time; one that ends before it begins goes over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its first minute.
    pub from: u16,
    /// The first minute after it.
    pub to: u16,
    /// Minutes that local time is ahead of UTC.
    pub utc_offset: i16,
}

/// Minutes in a day.
const DAY: i64 = 24 * 60;

impl Window {
    /// Whether `unix_us` is within it.
    #[must_use]
    pub fn holds(&self, unix_us: u64) -> bool {
        let minutes = i64::try_from(unix_us / 60_000_000).unwrap_or(i64::MAX / 2);
        let now = (minutes + i64::from(self.utc_offset)).rem_euclid(DAY);
        let (from, to) = (i64::from(self.from), i64::from(self.to));
        if from <= to { from <= now && now < to } else { from <= now || now < to }
    }
}

/// How the meanings of two texts are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Meaning {
    /// The target that makes embeddings.
    pub target: String,
    /// Fraction of pairs that are compared so, 0..1.
    pub sample: f64,
    /// Nano-dollars in a day (UTC).
    pub nanos_per_day: Option<u64>,
    /// Tokens in a day (UTC).
    pub tokens_per_day: Option<u64>,
    /// Bytes of each text that are looked at, from its beginning.
    pub max_text: usize,
}

#[cfg(test)]
mod tests {
    use super::Window;

    #[test]
    fn a_window_is_in_local_time_and_may_go_over_midnight() {
        let at = |hour: u64, minute: u64| (20_000 * 24 * 60 + hour * 60 + minute) * 60_000_000;
        let night = Window { from: 22 * 60, to: 6 * 60, utc_offset: 120 };
        let inside = [(20, 0), (23, 59), (0, 0), (3, 59)].map(|(hour, minute)| night.holds(at(hour, minute)));
        assert_eq!(inside, [true; 4]);
        assert_eq!([(19, 59), (4, 0), (12, 0)].map(|(hour, minute)| night.holds(at(hour, minute))), [false; 3]);
        let noon = Window { from: 12 * 60, to: 13 * 60, utc_offset: -60 };
        assert!(noon.holds(at(13, 30)) && !noon.holds(at(12, 30)));
        let always = Window { from: 0, to: 24 * 60, utc_offset: 0 };
        assert!(always.holds(at(0, 0)) && always.holds(at(23, 59)));
    }
}
