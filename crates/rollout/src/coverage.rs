//! How much of what the shadow should have seen it did see.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Sampled baseline requests and what became of their copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Copies the shadow took.
    pub offered: u64,
    /// Pairs that became complete.
    pub complete: u64,
    /// Sampled requests without a complete pair, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// The same by stratum: requests of one size, task and kind of answer.
    #[serde(default)]
    pub strata: BTreeMap<String, Stratum>,
}

/// Sampled requests of one stratum and what became of their copies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stratum {
    /// Pairs that became complete.
    pub complete: u64,
    /// Sampled requests without a complete pair.
    pub dropped: u64,
}

impl Stratum {
    fn fraction(self) -> f64 {
        self.complete as f64 / (self.complete + self.dropped).max(1) as f64
    }
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

/// More strata are counted together, as `other`: a caller that names tasks must not fill the evidence.
const MOST_STRATA: usize = 64;

impl Coverage {
    /// Complete pairs as a fraction of complete and dropped ones; `None` before any.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        let settled = self.complete + self.n_dropped();
        (settled > 0).then(|| self.complete as f64 / settled as f64)
    }

    /// Sampled requests without a complete pair.
    #[must_use]
    pub fn n_dropped(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// The reason that cost most.
    #[must_use]
    pub fn worst(&self) -> Option<(&str, u64)> {
        self.dropped.iter().max_by_key(|(_, n)| **n).map(|(reason, n)| (reason.as_str(), *n))
    }

    /// Strata of which at least `need` became pairs; `None` before any was seen.
    #[must_use]
    pub fn strata_covered(&self, need: f64) -> Option<StrataCovered> {
        let covered = self.strata.values().filter(|stratum| stratum.fraction() >= need).count();
        let worst = self.strata.iter().map(|(name, stratum)| (name, stratum.fraction()));
        let worst = worst.filter(|(_, fraction)| *fraction < need).min_by(|a, b| a.1.total_cmp(&b.1));
        let worst = worst.map(|(name, fraction)| (name.clone(), fraction));
        (!self.strata.is_empty()).then_some(StrataCovered { covered, of: self.strata.len(), worst })
    }

    pub(crate) fn settle(&mut self, stratum: &str, complete: bool) {
        let known = self.strata.contains_key(stratum) || self.strata.len() < MOST_STRATA;
        let stratum = self.strata.entry(if known { stratum } else { "other" }.to_owned()).or_default();
        if complete {
            stratum.complete += 1;
        } else {
            stratum.dropped += 1;
        }
    }

    pub(crate) fn drop_one(&mut self, reason: &str) {
        if let Some(n) = self.dropped.get_mut(reason) {
            *n += 1;
        } else {
            self.dropped.insert(reason.to_owned(), 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_count_against_coverage_by_reason() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.fraction(), None);
        coverage.complete = 8;
        ["queue_full", "timeout", "queue_full"].into_iter().for_each(|reason| coverage.drop_one(reason));
        coverage.dropped.insert("timeout".to_owned(), 0);
        assert_eq!(coverage.fraction(), Some(0.8));
        assert_eq!(coverage.worst(), Some(("queue_full", 2)));
    }

    #[test]
    fn long_prompts_that_never_become_pairs_are_a_stratum_of_their_own() {
        let mut coverage = Coverage::default();
        assert_eq!(coverage.strata_covered(0.9), None);
        (0..1000).for_each(|_| coverage.settle("short", true));
        (0..5).for_each(|_| coverage.settle("long", false));
        let covered = coverage.strata_covered(0.9).unwrap();
        assert_eq!((covered.covered, covered.of, covered.worst), (1, 2, Some(("long".to_owned(), 0.0))));
        (0..1000).for_each(|n| coverage.settle(&n.to_string(), true));
        assert_eq!(coverage.strata.len(), MOST_STRATA + 1);
    }
}
