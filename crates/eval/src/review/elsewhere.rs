//! What a reviewer sees with another candidate of the same run. Both pairs hold the baseline's answer, so whoever gets both reads from the text that
//! stands in two of them whose it is: a person gets a case with one candidate only.

use std::collections::{BTreeMap, BTreeSet};

use store::{BlindAssignedRow, BlindPairRow};

use crate::panel::shown;
use crate::results::Results;
use crate::review::names;

/// Which cases of a run are one to a reader: those with the same answer of the baseline, word for word, which no candidate gave to anything.
/// A text that candidates write as well, such as a label, tells nothing of whose it is.
#[derive(Debug)]
pub struct Alike {
    /// For each case the first that is one with it.
    first: Vec<u64>,
}

impl Alike {
    /// Of the cases of a run.
    #[must_use]
    pub fn of(results: &Results) -> Alike {
        let n_cases = results.cases.len();
        let mut first: Vec<u64> = (0..n_cases as u64).collect();
        let n_targets = results.plan.targets.len();
        // One candidate has one pair of each case.
        if n_targets < 3 {
            return Alike { first };
        }
        let names = names(results);
        let text = |case_idx: usize, target_idx: usize| {
            let answer = results.of(case_idx, target_idx).next().and_then(|record| record.answered.answer.as_ref());
            answer.map(|answer| shown(answer, &names))
        };
        let of_candidates: BTreeSet<String> = (0..n_cases)
            .flat_map(|case_idx| (1..n_targets).map(move |target_idx| (case_idx, target_idx)))
            .filter_map(|(case_idx, target_idx)| text(case_idx, target_idx))
            .collect();
        let mut known: BTreeMap<String, u64> = BTreeMap::new();
        for (case_idx, place) in first.iter_mut().enumerate() {
            if let Some(text) = text(case_idx, 0).filter(|text| !of_candidates.contains(text)) {
                *place = *known.entry(text).or_insert(case_idx as u64);
            }
        }
        Alike { first }
    }

    fn first(&self, case_idx: u64) -> u64 {
        usize::try_from(case_idx).ok().and_then(|idx| self.first.get(idx)).copied().unwrap_or(case_idx)
    }

    /// What this reviewer was shown, or is to be, with other candidates than this.
    #[must_use]
    pub fn elsewhere(
        &self,
        (candidate, reviewer): (&str, &str),
        (shown, assigned): (&[BlindPairRow], &[BlindAssignedRow]),
    ) -> Elsewhere<'_> {
        let shown = shown.iter().map(|pair| (&pair.candidate, &pair.reviewer, pair.case_idx));
        let assigned = assigned.iter().map(|one| (&one.candidate, &one.reviewer, one.case_idx));
        let others = shown.chain(assigned).filter(|(other, whose, _)| *other != candidate && *whose == reviewer);
        Elsewhere { alike: self, cases: others.map(|(_, _, case_idx)| self.first(case_idx)).collect() }
    }
}

/// The cases that a reviewer sees with other candidates than one.
#[derive(Debug)]
pub struct Elsewhere<'a> {
    alike: &'a Alike,
    cases: BTreeSet<u64>,
}

impl Elsewhere<'_> {
    /// Whether this case, or one with the same answer of the baseline, is among them.
    #[must_use]
    pub fn has(&self, case_idx: u64) -> bool {
        self.cases.contains(&self.alike.first(case_idx))
    }
}
