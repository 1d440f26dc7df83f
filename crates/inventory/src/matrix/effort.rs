//! What a replacement asks for and risks, by stated rules.

use serde::{Deserialize, Serialize};

use super::cell::Standing;

/// What is done to the code that uses something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A base address and a key, where clients are made.
    Configuration,
    /// Each place is looked at: a parameter, a prompt, a class.
    Adjust,
    /// Each place is written anew.
    Rewrite,
    /// What the vendor keeps or does is built again elsewhere.
    Rebuild,
}

impl Change {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Change::Configuration => "configuration",
            Change::Adjust => "adjust",
            Change::Rewrite => "rewrite",
            Change::Rebuild => "rebuild",
        }
    }
}

/// How much work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Effort {
    /// Hours.
    S,
    /// Days.
    M,
    /// Weeks.
    L,
}

impl Effort {
    /// The letter.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Effort::S => "S",
            Effort::M => "M",
            Effort::L => "L",
        }
    }

    /// Of a change at so many places.
    #[must_use]
    pub const fn of(change: Change, n_places: usize) -> Effort {
        match (change, n_places) {
            (Change::Configuration, _) | (Change::Adjust, ..=3) | (Change::Rewrite, ..=1) => Effort::S,
            (Change::Adjust, ..=20) | (Change::Rewrite, ..=8) => Effort::M,
            (Change::Adjust | Change::Rewrite | Change::Rebuild, _) => Effort::L,
        }
    }

    /// Of a change at places that nobody has seen: recorded requests alone say that there are some.
    #[must_use]
    pub const fn somewhere(change: Change) -> Effort {
        match change {
            Change::Configuration => Effort::S,
            Change::Adjust | Change::Rewrite => Effort::M,
            Change::Rebuild => Effort::L,
        }
    }
}

/// How much can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Nothing that is known.
    Low,
    /// A known difference.
    Medium,
    /// A gap, or something nobody measured.
    High,
}

impl Risk {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Risk::Low => "low",
            Risk::Medium => "medium",
            Risk::High => "high",
        }
    }

    /// Of what was found, whether the gateway puts all that differs right, and what is done without it.
    #[must_use]
    pub const fn of(standing: Standing, repaired: bool, without: Change) -> Risk {
        match (standing, repaired, without) {
            (Standing::Equivalent, ..) | (Standing::Degraded, true, _) => Risk::Low,
            (Standing::Degraded, ..) | (Standing::None, _, Change::Configuration | Change::Adjust) => Risk::Medium,
            (Standing::None | Standing::Unproved, ..) => Risk::High,
        }
    }
}

/// The rules, for people.
pub const RULES: [(&str, &str); 4] = [
    (
        "cell",
        "Equivalent, degraded and none are read from a report of `crossfade conformance` on that target and model, not older than 90 days and not \
         simulated. A row that is missing there, was not measured, or has no probe is unproved. What the gateway puts right counts as degraded. \
         The best cell of a row is the replacement. What is measured is the interface, not how good the answers are: \
         that is for an evaluation (`crossfade eval`) and a rollout.",
    ),
    (
        "effort",
        "Configuration (a base address and a key): S. Adjust (each place is looked at): S up to 3 places, M up to 20, else L. Rewrite (each place \
         is written anew): S for 1 place, M up to 8, else L. Rebuild (what the vendor keeps or does is built again): L. The larger of what the \
         place's own dialect asks for and what the cell asks for. Of an unproved cell it is the least there is to do; a row whose best cell is \
         unproved asks for no less than its cells that are measured as none. Where recorded \
         requests alone say that it is used, its places are not known: M, but S for configuration and L for rebuild. \
         Embeddings are at least M, and their risk at least medium: what was indexed has to be embedded again.",
    ),
    (
        "risk",
        "Low: measured equivalent, or every difference is put right by the gateway. Medium: a measured difference, or none where adjusting the \
         places does without. High: none otherwise, and everything unproved.",
    ),
    (
        "sovereignty",
        "1 pure API, 2 API with a way out, 3 hybrid, 4 self-hosted with a vendor standing in, 5 fully self-hosted. After: what is equivalent or \
         degraded has moved, the rest stays at the vendor, who stands by. At best: everything has moved and the vendor is let go.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effort_grows_with_the_kind_of_change_and_the_number_of_places() {
        let of = |change, n| Effort::of(change, n).as_str();
        assert_eq!([0, 1, 900].map(|n| of(Change::Configuration, n)), ["S", "S", "S"]);
        assert_eq!([1, 3, 4, 20, 21].map(|n| of(Change::Adjust, n)), ["S", "S", "M", "M", "L"]);
        assert_eq!([1, 2, 8, 9].map(|n| of(Change::Rewrite, n)), ["S", "M", "M", "L"]);
        assert_eq!([0, 1].map(|n| of(Change::Rebuild, n)), ["L", "L"]);
        let all = [Change::Configuration, Change::Adjust, Change::Rewrite, Change::Rebuild];
        assert_eq!(all.map(|change| Effort::somewhere(change).as_str()), ["S", "M", "M", "L"]);
    }

    #[test]
    fn what_nobody_measured_is_a_high_risk_and_what_is_repaired_a_low_one() {
        let of = Risk::of;
        assert_eq!(of(Standing::Unproved, true, Change::Adjust), Risk::High);
        assert_eq!(of(Standing::None, false, Change::Rewrite), Risk::High);
        assert_eq!(of(Standing::None, false, Change::Adjust), Risk::Medium);
        assert_eq!(of(Standing::Degraded, false, Change::Rewrite), Risk::Medium);
        assert_eq!(of(Standing::Degraded, true, Change::Rewrite), Risk::Low);
        assert_eq!(of(Standing::Equivalent, false, Change::Rewrite), Risk::Low);
    }
}
