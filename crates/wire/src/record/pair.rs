//! What is remembered of a pair beside its two answers: how it was drawn, what kind of request it was, and how far the answers
//! are apart.

use serde::{Deserialize, Serialize};

use crate::ids::ExchangeId;

/// How a request came to be copied.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrawnRecord {
    /// The exchange.
    pub id: ExchangeId,
    /// The rollout it was drawn for.
    pub rollout: String,
    /// Its epoch.
    pub epoch: u32,
    /// When, in Unix microseconds.
    pub at_us: u64,
    /// The chance with which it was drawn, above 0 and at most 1: the weight of its pair is the inverse.
    pub probability: f64,
    /// Its size, a word of a short list.
    pub size: String,
    /// What its caller says it is for.
    pub task: Option<String>,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// A hash of the key of its unit.
    pub unit: u64,
    /// Whether the baseline is asked the same again, to tell noise from difference.
    pub duplicate: bool,
    /// Whether it may not leave the house.
    pub internal: bool,
}

/// How far apart the answers of a pair are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairRecord {
    /// How it was drawn.
    pub drawn: DrawnRecord,
    /// When it was compared, in Unix microseconds.
    pub at_us: u64,
    /// The copy was made later than its request came: its times say nothing.
    pub deferred: bool,
    /// The copy was not the same request: what a provider would have run was taken out of it.
    pub altered: bool,
    /// The request holds results of tools, which the baseline's answers led to: only the next step is compared.
    pub teacher_forced: bool,
    /// One for each kind that could be compared.
    pub comparisons: Vec<ComparisonRecord>,
    /// What could not be compared, and why.
    pub not_compared: Option<String>,
}

/// How far apart two answers are in one respect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparisonRecord {
    /// In which respect: `outcome`, `finish`, `refusal`, `json`, `tool_calls`, `meaning`, `judged`.
    pub kind: String,
    /// From 0, the same, to 1: candidate against baseline.
    pub distance: f64,
    /// The baseline against its own second answer.
    pub noise: Option<f64>,
    /// Where they differ, without what they say: paths and classes.
    pub detail: Option<String>,
}
