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
}

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
}
