//! How much of what the shadow should have seen it did see, in all and by stratum: a shadow that loses its long prompts has a good
//! fraction and says nothing of long prompts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Strata counted apart; what comes later is counted in [`OTHER`]. Labels come from callers, and memory has a bound.
pub const MOST_STRATA: usize = 128;

/// The stratum of what has none of its own.
pub const OTHER: &str = "other";

/// Sampled baseline requests and what became of their copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Copies the shadow took.
    pub offered: u64,
    /// Pairs that became complete.
    pub complete: u64,
    /// Sampled requests without a complete pair, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// The same by stratum: size bucket, task label and kind of answer, `16k/summary/stream`.
    #[serde(default)]
    pub strata: BTreeMap<String, StratumCoverage>,
}

/// What became of the copies of one stratum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StratumCoverage {
    /// Requests drawn.
    pub sampled: u64,
    /// Pairs that became complete.
    pub complete: u64,
    /// Requests without a complete pair, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// How many strata are covered.
#[derive(Clone, Debug, PartialEq)]
pub struct StrataCovered {
    /// Strata of which enough became pairs.
    pub covered: usize,
    /// Strata that were seen.
    pub of: usize,
    /// The one that is covered worst, and its fraction.
    pub worst: Option<(String, f64)>,
}

impl Coverage {
    /// Complete pairs as a fraction of complete and dropped ones; `None` before any.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        fraction(self.complete, self.n_dropped())
    }

    /// Sampled requests without a complete pair.
    #[must_use]
    pub fn n_dropped(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// The reason that cost most.
    #[must_use]
    pub fn worst(&self) -> Option<(&str, u64)> {
        worst(&self.dropped)
    }

    /// Strata of which at least `need` became pairs; `None` before anything of any settled.
    #[must_use]
    pub fn strata_covered(&self, need: f64) -> Option<StrataCovered> {
        let settled = || self.strata.iter().filter_map(|(name, stratum)| Some((name, stratum.fraction()?)));
        let covered = settled().filter(|(_, fraction)| *fraction >= need).count();
        let worst = settled().filter(|(_, fraction)| *fraction < need).min_by(|a, b| a.1.total_cmp(&b.1));
        let worst = worst.map(|(name, fraction)| (name.clone(), fraction));
        let of = settled().count();
        (of > 0).then_some(StrataCovered { covered, of, worst })
    }

    /// A request of `stratum` was drawn.
    pub(crate) fn draw_one(&mut self, stratum: &str) {
        self.stratum(stratum).sampled += 1;
    }

    /// A pair of `stratum` is complete.
    pub(crate) fn complete_one(&mut self, stratum: &str) {
        self.stratum(stratum).complete += 1;
    }

    /// A request of `stratum` has no complete pair.
    pub(crate) fn drop_one(&mut self, reason: &str, stratum: &str) {
        add_one(&mut self.dropped, reason);
        add_one(&mut self.stratum(stratum).dropped, reason);
    }

    fn stratum(&mut self, name: &str) -> &mut StratumCoverage {
        let name = if name.is_empty() { OTHER } else { name };
        let has_room = self.strata.len() < MOST_STRATA - 1 || self.strata.contains_key(name);
        self.strata.entry(if has_room { name.to_owned() } else { OTHER.to_owned() }).or_default()
    }
}

impl StratumCoverage {
    /// Complete pairs as a fraction of complete and dropped ones; `None` before any.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        fraction(self.complete, self.dropped.values().sum())
    }

    /// Requests of which it is known whether they have a pair.
    #[must_use]
    pub fn n_settled(&self) -> u64 {
        self.complete + self.dropped.values().sum::<u64>()
    }

    /// The reason that cost most.
    #[must_use]
    pub fn worst(&self) -> Option<(&str, u64)> {
        worst(&self.dropped)
    }
}

fn fraction(complete: u64, dropped: u64) -> Option<f64> {
    let settled = complete + dropped;
    (settled > 0).then(|| complete as f64 / settled as f64)
}

fn worst(dropped: &BTreeMap<String, u64>) -> Option<(&str, u64)> {
    dropped.iter().max_by_key(|(_, n)| **n).map(|(reason, n)| (reason.as_str(), *n))
}

/// What whoever runs the rollout can do about copies that are lost for a reason; `None` where the reason is unknown, or passes by itself.
#[must_use]
pub fn remedy(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "overload" => {
            "this process was busy with callers: lower `stages.shadow.sample`, give it more processors, or copy at quiet hours (`stages.shadow.deferred`); \
             raising `shadow.overload` (`lag`, `cpu`) copies on at the callers' expense"
        }
        "queue_full" | "expired" => "copies come faster than they are sent: lower `stages.shadow.sample`",
        "memory_full" => {
            "raise `stages.shadow.budget.max_bytes` and `shadow.max_bytes`, or lower `stages.shadow.sample`"
        }
        "concurrency" => {
            "raise `stages.shadow.budget.in_flight`, `shadow.max_in_flight` and the provider's `max_connections` as far as the candidate's server bears it, or lower \
             `stages.shadow.sample`"
        }
        "rate" => "raise `stages.shadow.budget.per_second`, or lower `stages.shadow.sample`",
        "budget_dollars" => {
            "raise `stages.shadow.budget.usd_per_day`, or lower `stages.shadow.sample`; a candidate without a price ends the day's budget with its first call"
        }
        "budget_tokens" => "raise `stages.shadow.budget.tokens_per_day`, or lower `stages.shadow.sample`",
        "paused" => {
            "the candidate's server refuses for its own limits (429): raise these, or lower `stages.shadow.budget.per_second` and `stages.shadow.sample`"
        }
        "breaker_open" => {
            "the candidate's server failed (`crossfade exchanges pairs` shows how): mend that; once it answers, copies of new requests make up for those"
        }
        "residency" => {
            "these requests may not leave the house, and the candidate is outside: a candidate inside takes them"
        }
        "side_effects" => "these are never copied (`background`): put them on a route of their own",
        "not_on_record" => "the journal has no note of them: `crossfade_journal_dropped_total` counts what it lost",
        _ => return None,
    })
}

/// A reason for lost copies with its remedy, where there is one.
pub(crate) fn lost_to(reason: &str) -> String {
    remedy(reason).map_or_else(|| reason.to_owned(), |words| format!("{reason}: {words}"))
}

fn add_one(counts: &mut BTreeMap<String, u64>, key: &str) {
    if let Some(n) = counts.get_mut(key) {
        *n += 1;
    } else {
        counts.insert(key.to_owned(), 1);
    }
}

/// Sizes of requests, by the bytes of their bodies: a bucket holds what is at least as large as its name says.
const SIZES: [(usize, &str); 6] =
    [(256 << 10, "256k"), (64 << 10, "64k"), (16 << 10, "16k"), (4 << 10, "4k"), (1 << 10, "1k"), (0, "0k")];

/// The names of all buckets.
pub const SIZE_NAMES: [&str; 6] = ["256k", "64k", "16k", "4k", "1k", "0k"];

/// The size bucket of a request of so many bytes: `0k`, `1k`, `4k`, `16k`, `64k`, `256k`.
#[must_use]
pub fn size_bucket(n_bytes: usize) -> &'static str {
    SIZES.iter().find(|(least, _)| n_bytes >= *least).map_or("0k", |(_, name)| name)
}

/// The name of a stratum: `16k/summary/stream`; a request without a task label has `-` there.
#[must_use]
pub fn stratum(size: &str, task: Option<&str>, streamed: bool) -> String {
    format!("{size}/{}/{}", task.unwrap_or("-"), if streamed { "stream" } else { "whole" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_count_against_coverage_by_reason() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.fraction(), None);
        coverage.complete = 8;
        ["queue_full", "timeout", "queue_full"].into_iter().for_each(|reason| coverage.drop_one(reason, "0k/-/whole"));
        coverage.dropped.insert("timeout".to_owned(), 0);
        assert_eq!(coverage.fraction(), Some(0.8));
        assert_eq!(coverage.worst(), Some(("queue_full", 2)));
    }

    #[test]
    fn a_stratum_that_is_lost_shows_though_the_whole_looks_well() {
        let mut coverage = Coverage::default();
        for (n, stratum) in [(990, "0k/-/whole"), (10, "256k/-/whole")] {
            (0..n).for_each(|_| coverage.draw_one(stratum));
        }
        (0..990).for_each(|_| coverage.complete_one("0k/-/whole"));
        coverage.complete = 990;
        (0..10).for_each(|_| coverage.drop_one("memory_full", "256k/-/whole"));
        assert_eq!(coverage.fraction(), Some(0.99));
        assert_eq!(coverage.strata["256k/-/whole"].fraction(), Some(0.0));
        assert_eq!(coverage.strata["256k/-/whole"].worst(), Some(("memory_full", 10)));
        let covered = coverage.strata_covered(0.9).unwrap();
        assert_eq!((covered.covered, covered.of, covered.worst), (1, 2, Some(("256k/-/whole".to_owned(), 0.0))));
        assert_eq!(Coverage::default().strata_covered(0.9), None);
    }

    #[test]
    fn labels_without_end_take_no_memory_without_end() {
        let mut coverage = Coverage::default();
        (0..1000).for_each(|n| coverage.draw_one(&stratum("0k", Some(&n.to_string()), true)));
        assert_eq!(coverage.strata.len(), MOST_STRATA);
        assert_eq!(coverage.strata.values().map(|stratum| stratum.sampled).sum::<u64>(), 1000);
        assert_eq!(coverage.strata[OTHER].sampled, 1000 - MOST_STRATA as u64 + 1);
    }

    #[test]
    fn what_is_lost_for_want_of_room_names_the_key_that_gives_more() {
        for (reason, key) in [
            ("overload", "`shadow.overload`"),
            ("memory_full", "`shadow.max_bytes`"),
            ("concurrency", "`stages.shadow.budget.in_flight`"),
            ("rate", "`stages.shadow.budget.per_second`"),
            ("budget_dollars", "`stages.shadow.budget.usd_per_day`"),
            ("queue_full", "`stages.shadow.sample`"),
        ] {
            assert!(remedy(reason).is_some_and(|words| words.contains(key)), "{reason}");
        }
        assert_eq!(remedy("shutting_down"), None);
    }

    #[test]
    fn sizes_fall_into_buckets() {
        let sizes = [0, 1023, 1024, 20_000, 300_000].map(size_bucket);
        assert_eq!(sizes, ["0k", "0k", "1k", "16k", "256k"]);
    }
}
