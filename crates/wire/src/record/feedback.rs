//! What is learnt of an answer from outside: a user's signal, and counters of other systems.

use serde::{Deserialize, Serialize};

use super::Arm;
use crate::ids::ExchangeId;
use crate::private::{self, Body};

/// What somebody says of an answer. Of one exchange, kind and source the first entry stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeedbackRecord {
    /// The exchange.
    pub id: ExchangeId,
    /// When it came in, in Unix microseconds.
    pub at_us: u64,
    /// What kind of signal it is.
    pub kind: FeedbackKind,
    /// Who says so, in the caller's word.
    pub source: String,
    /// 0 for down and 1 for up, or the score; `None` for a label or a comment.
    pub value: Option<f64>,
    /// The label.
    pub label: Option<String>,
    /// What was written with it.
    #[serde(with = "private::body")]
    pub comment: Body,
    /// Whether it says that the answer was bad; `None` when it says neither.
    pub bad: Option<bool>,
}

/// A kind of signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedbackKind {
    /// Up or down.
    Thumb,
    /// A number from 0, bad, to 1, good.
    Score,
    /// A word.
    Label,
    /// Words alone.
    Comment,
}

impl FeedbackKind {
    /// Every kind.
    pub const ALL: [FeedbackKind; 4] =
        [FeedbackKind::Thumb, FeedbackKind::Score, FeedbackKind::Label, FeedbackKind::Comment];

    /// The word in requests, tables and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            FeedbackKind::Thumb => "thumb",
            FeedbackKind::Score => "score",
            FeedbackKind::Label => "label",
            FeedbackKind::Comment => "comment",
        }
    }
}

/// An event of a unit that another system counts: a ticket, a search that found nothing, an escalation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnitOutcomeRecord {
    /// The rollout whose unit it is.
    pub rollout: String,
    /// The epoch it counts for.
    pub epoch: u32,
    /// The position of the unit.
    pub unit: u64,
    /// The arm the unit is on.
    pub arm: Arm,
    /// What is counted, in the config's word.
    pub metric: String,
    /// Whether it was bad.
    pub bad: bool,
    /// When it happened, in Unix microseconds.
    pub happened_us: u64,
    /// When it came in, in Unix microseconds.
    pub at_us: u64,
    /// Who says so, in the caller's word.
    pub source: String,
    /// The exchange it was posted for, when it was posted for one.
    pub exchange: Option<ExchangeId>,
}
