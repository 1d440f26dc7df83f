//! The four answers there are.

use serde::Serialize;

/// What to do with a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// To the candidate.
    Switch,
    /// A stated part to the candidate, the rest stays.
    Hybridize,
    /// Nothing is proven that would move it.
    NotEnoughEvidence,
    /// The evidence says no.
    Stay,
}

impl Decision {
    /// The words of it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Decision::Switch => "switch",
            Decision::Hybridize => "hybridize",
            Decision::Stay => "stay",
            Decision::NotEnoughEvidence => "not enough evidence",
        }
    }
}
