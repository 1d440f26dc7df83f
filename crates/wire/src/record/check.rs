//! What the inline policy of a route found: one entry for each exchange that was looked at, and one for its copy.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Arm;
use crate::ids::ExchangeId;

/// The verdicts on one exchange, or on the copy of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChecksRecord {
    /// The exchange.
    pub id: ExchangeId,
    /// True for the candidate's answer to a copy.
    pub shadow: bool,
    /// The route whose policy it is.
    pub route: String,
    /// When the last of them was made, in Unix microseconds.
    pub at_us: u64,
    /// Every check, in the order in which they were made.
    pub checks: Vec<CheckRecord>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// Its name in the policy.
    pub name: String,
    /// Of what.
    pub phase: Phase,
    /// What came of it.
    pub verdict: Verdict,
    /// Whose answer was looked at; `None` before a call.
    pub target: Option<String>,
    /// The side of the rollout that target is on.
    pub arm: Option<Arm>,
    /// How long it took.
    pub latency_us: u64,
    /// Why, in words that quote nothing of what was said.
    pub detail: Option<Cow<'static, str>>,
    /// The check could not be made: the verdict is what the policy says for that.
    pub failed: bool,
    /// The target that was asked for it, and its provider.
    pub asked: Option<(String, String)>,
    /// Length of the body that was sent for it.
    pub request_bytes: u64,
    /// Length of the answer to that.
    pub answer_bytes: u64,
}

/// What of an exchange is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The request, before any call.
    Before,
    /// The answer, before its caller has all of it.
    After,
}

impl Phase {
    /// The word in tables, metrics and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Phase::Before => "before",
            Phase::After => "after",
        }
    }
}

/// What comes of a check. The later, the stricter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing was found, or it is only counted.
    #[default]
    Allow,
    /// What was found was taken out, and the rest goes on.
    Redact,
    /// It does not go on, and a person decides.
    Escalate,
    /// It does not go on.
    Block,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 4] = [Verdict::Allow, Verdict::Redact, Verdict::Escalate, Verdict::Block];

    /// The word in the config, tables, metrics and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Redact => "redact",
            Verdict::Escalate => "escalate",
            Verdict::Block => "block",
        }
    }

    /// Whether nothing goes on.
    pub const fn stops(self) -> bool {
        matches!(self, Verdict::Escalate | Verdict::Block)
    }
}
