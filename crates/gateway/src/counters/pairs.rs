//! What was found of pairs that were drawn to be judged, by rollout.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The shadow's numbers. Locked: the shadow's thread alone counts here, and only a reader locks it too.
#[derive(Debug, Default)]
pub(crate) struct Pairs(Mutex<BTreeMap<(String, bool, &'static str), u64>>);

/// How often one thing was found of the pairs of a rollout.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PairTotal {
    /// The rollout.
    pub rollout: String,
    /// They were judged, and this is the verdict; else it is why they were not.
    pub judged: bool,
    /// The verdict or the reason.
    pub what: &'static str,
    /// How many.
    pub n: u64,
}

impl Pairs {
    /// Counts one pair.
    pub(crate) fn count(&self, rollout: &str, found: Result<&'static str, &'static str>) {
        let (judged, what) = (found.is_ok(), found.unwrap_or_else(|why| why));
        let mut totals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *totals.entry((rollout.to_owned(), judged, what)).or_default() += 1;
    }

    /// All of it. One thread counts, so that nothing is added up.
    pub(crate) fn totals(&self) -> impl Iterator<Item = PairTotal> {
        let totals = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        totals.into_iter().map(|((rollout, judged, what), n)| PairTotal { rollout, judged, what, n })
    }
}
