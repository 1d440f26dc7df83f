//! Results that were found elsewhere and filed for a rollout: evaluation suites, drills, reviews. A gate names one; nobody filed is never a
//! pass.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::policy::FiledPolicy;

/// What kind of result was filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiledKind {
    /// An evaluation suite was run on the candidate.
    Suite,
    /// A failure was rehearsed.
    Drill,
    /// People looked at answers.
    Review,
    /// Anything else that somebody vouches for.
    Other,
}

impl FiledKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Suite, Self::Drill, Self::Review, Self::Other];

    /// The word used in config, records and pages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suite => "suite",
            Self::Drill => "drill",
            Self::Review => "review",
            Self::Other => "other",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One filed result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// What kind of result.
    pub kind: FiledKind,
    /// Which suite, drill or review.
    pub name: String,
    /// Whether it was a pass.
    pub passed: bool,
    /// When it was found.
    pub at: Timestamp,
    /// SHA-256 of the report it comes from, or whatever else tells which report that is.
    pub digest: String,
    /// How many cases it covered.
    pub n: u64,
}

/// The name that stands for whichever was filed last.
pub(crate) const ANY: &str = "any";

impl FiledPolicy {
    /// What keeps it from being met, in words; `None` when it is met.
    pub(crate) fn unmet(&self, filed: &[Filed], now: Timestamp) -> Option<String> {
        let fits = |filed: &&Filed| filed.kind == self.kind && (self.name == ANY || filed.name == self.name);
        let Some(latest) = filed.iter().filter(fits).max_by_key(|filed| filed.at) else {
            return Some("nothing is filed".to_owned());
        };
        let age = now.since(latest.at);
        if latest.at > now {
            Some("the latest is dated in the future".to_owned())
        } else if !latest.passed {
            Some("the latest is a failure".to_owned())
        } else if age > self.max_age {
            Some(format!("the latest is {} old", crate::decide::duration(age.as_secs())))
        } else if latest.n < self.min_n {
            Some(format!("the latest covers {} cases of {}", latest.n, self.min_n))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::Stage;

    const NOW: Timestamp = Timestamp(10 * 86_400_000_000);

    fn filed(name: &str, passed: bool, days_ago: u64, n: u64) -> Filed {
        let at = Timestamp(NOW.0 - days_ago * 86_400_000_000);
        Filed { kind: FiledKind::Suite, name: name.to_owned(), passed, at, digest: String::new(), n }
    }

    fn check(name: &str, filed: &[Filed], expected: Option<&str>) {
        let max_age = Duration::from_secs(2 * 86_400);
        let demand =
            FiledPolicy { kind: FiledKind::Suite, name: name.to_owned(), max_age, before: Stage::Full, min_n: 100 };
        assert_eq!(demand.unmet(filed, NOW).as_deref(), expected);
    }

    #[test]
    fn only_the_latest_counts_and_only_as_a_fresh_and_large_enough_pass() {
        let good = filed("support", true, 1, 100);
        check("support", std::slice::from_ref(&good), None);
        check("any", std::slice::from_ref(&good), None);
        check("support", &[], Some("nothing is filed"));
        check("billing", std::slice::from_ref(&good), Some("nothing is filed"));
        check("support", &[filed("support", false, 0, 100), good.clone()], Some("the latest is a failure"));
        check("support", &[filed("support", true, 3, 100)], Some("the latest is 3 d 0 h old"));
        check("support", &[filed("support", true, 0, 99)], Some("the latest covers 99 cases of 100"));
        let drill = Filed { kind: FiledKind::Drill, ..good };
        check("support", &[drill], Some("nothing is filed"));
        let tomorrow = Filed { at: Timestamp(NOW.0 + 1), ..filed("support", true, 0, 100) };
        check("support", &[tomorrow], Some("the latest is dated in the future"));
    }
}
