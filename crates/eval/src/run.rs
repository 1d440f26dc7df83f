//! The runner: every case to every target, as often as said, and what each answer is worth.
//!
//! A run is planned whole before its first call ([`Plan`]) and its items are numbered, so that any worker of any process knows from a
//! number what to do. Workers share nothing but the store: they claim blocks of items for a while, hold their claims as long as
//! they live, and write each answer with its scores in one transaction. An item has no answer or one; a worker that is killed loses
//! the calls it had in flight and nothing else. An answer is looked up by everything it depends on before a call is made for it.

mod call;
mod plan;
mod score;
mod stream;
mod work;
mod write;

pub use call::{Ask, Asked, ReadStream, Used, whole_answer};
pub(crate) use call::{micros, now_us};
pub use plan::{Item, Plan, PlannedTarget};
pub(crate) use score::shown;
pub use score::{CHECKS, Scorer, Spec, Took};
pub(crate) use work::LEASE;
pub use work::{Ended, Job, Progress, RunError, Target, work};

use serde::{Deserialize, Serialize};
use wire::usage::Usage;

use crate::case::Answer;

/// What became of an item: an answer or the failure that stands for it, and what its calls took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    /// Why there is none, after the last attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// Why it was not asked: the case may not go to this target. No failure of the target's, and no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withheld: Option<String>,
    /// Calls that were made for it.
    pub attempts: u32,
    /// From the call to the last byte of the answer, of the attempt that answered.
    pub latency_us: u64,
    /// From the first call to the end, failed attempts and waits included.
    pub total_us: u64,
    /// What the provider counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What all attempts cost, in billionths of a dollar; not known where one of them has no known price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanos: Option<u64>,
    /// How a streamed answer came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// Whether it is made up.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
}

/// How a streamed answer came, of the attempt that answered. The clock is read when bytes arrive: what comes together has no gap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// From the call to the first content, reasoning or call of a tool.
    pub time_to_first_token_us: u64,
    /// Gaps between events with content: one less than there are such events.
    pub n_gaps: u64,
    /// From the first of these events to the last.
    pub gaps_us: u64,
    /// The longest gap.
    pub longest_gap_us: u64,
}
