//! What the database answers, as plain values.

use serde::{Deserialize, Serialize};
use wire::ids::ExchangeId;
use wire::usage::Usage;

use super::feedback::FeedbackRow;

/// Which exchanges to look at. The default is the newest hundred of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExchangeFilter {
    /// Only this route.
    pub route: Option<String>,
    /// Only this rollout.
    pub rollout: Option<String>,
    /// Only this epoch.
    pub epoch: Option<u32>,
    /// Only this arm: `baseline` or `candidate`.
    pub arm: Option<String>,
    /// Only this outcome: `complete`, `truncated`, `client_gone`, `failed` or `refused`.
    pub outcome: Option<String>,
    /// Received at or after this, Unix microseconds.
    pub since_us: Option<u64>,
    /// Received before this, Unix microseconds.
    pub until_us: Option<u64>,
    /// At most so many, newest first; 100 when not given.
    pub limit: Option<u32>,
    /// Only those older than this one: the last of the page before.
    pub before: Option<ExchangeId>,
}

/// One exchange.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExchangeRow {
    /// Its id.
    pub id: ExchangeId,
    /// When the request arrived, Unix microseconds; `None` when the request's record was dropped.
    pub received_at_us: Option<u64>,
    /// When it ended, Unix microseconds; `None` when the process died first.
    pub finished_at_us: Option<u64>,
    /// `chat_completions` or `embeddings`.
    pub endpoint: Option<String>,
    /// The route.
    pub route: Option<String>,
    /// The hash of the caller's key.
    pub principal: Option<String>,
    /// Whether a stream was asked for.
    pub streamed: Option<bool>,
    /// The rollout it took part in.
    pub rollout: Option<String>,
    /// The epoch.
    pub epoch: Option<u32>,
    /// The candidate's share at that moment.
    pub share: Option<f64>,
    /// The hash of its unit's key.
    pub unit: Option<u64>,
    /// Where that key came from.
    pub unit_source: Option<String>,
    /// The arm it was assigned to.
    pub arm: Option<String>,
    /// True when the arm was chosen by hand: no evidence.
    pub forced: bool,
    /// The status the caller saw.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: String,
    /// Why, when it did not end well.
    pub failure: Option<String>,
    /// How its arm's own last call failed, also when another target then answered; `None` when it did not, or there is no arm.
    pub arm_failure: Option<String>,
    /// The target whose answer the caller got.
    pub served_by: Option<String>,
    /// To the first content.
    pub time_to_first_token_us: Option<u64>,
    /// To the end.
    pub duration_us: Option<u64>,
    /// The tokens counted.
    pub usage: Option<Usage>,
    /// What all its attempts cost together, the shadow's copy apart; `None` when nothing was charged.
    pub cost: Option<CostRow>,
    /// How often the caller's SDK said it had tried before.
    pub client_retry: u16,
    /// For what a provider keeps, what was asked: the method, and the path and query.
    pub asked: Option<String>,
    /// What was changed in the request, as JSON.
    pub adaptations: serde_json::Value,
    /// What was decided about who should answer, and why, as JSON.
    pub decisions: serde_json::Value,
    /// True when the `simulated` provider answered any call made for it.
    pub simulated: bool,
}

/// One call to one target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttemptRow {
    /// Its place among the calls of its role's exchange; of copies, a number made from the rollout's name.
    pub idx: u32,
    /// `live`, `failover`, `shadow`, `duplicate` …
    pub role: String,
    /// The side of the rollout.
    pub arm: Option<String>,
    /// The rollout of a shadow.
    pub rollout: Option<String>,
    /// The epoch of a shadow.
    pub epoch: Option<u32>,
    /// Why a shadow was dropped; then there was no call or no whole answer.
    pub dropped: Option<String>,
    /// The target; `None` for a shadow dropped before its call.
    pub target: Option<String>,
    /// The provider.
    pub provider: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// When it began, Unix microseconds.
    pub started_us: Option<u64>,
    /// What was measured.
    #[serde(flatten)]
    pub measured: Measured,
    /// True when the answer was cut.
    pub truncated: bool,
    /// True when the `simulated` provider answered.
    pub simulated: bool,
    /// Length of the answer.
    pub answer_bytes: u64,
    /// Whether the answer declined what it was asked for; `None` when nobody looked, as of an older record.
    pub declined: Option<bool>,
}

/// What was measured of an answer, live or shadow.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Measured {
    /// The status.
    pub status: Option<u16>,
    /// Why it failed, when it failed.
    pub failure: Option<String>,
    /// To the first content.
    pub time_to_first_token_us: Option<u64>,
    /// To the end.
    pub duration_us: Option<u64>,
    /// The tokens counted.
    pub usage: Option<Usage>,
    /// What it cost; `None` when nothing was charged.
    pub cost: Option<CostRow>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// Whether the answer was well-formed; `None` when it did not have to be.
    pub format_valid: Option<bool>,
    /// Whether its text was as the schema that was asked for; `None` when none was, or nobody knows.
    pub schema_valid: Option<bool>,
    /// Whether its tool calls were as the tools that were offered.
    pub tool_calls_valid: Option<bool>,
    /// The first thing wrong with it.
    pub violation: Option<String>,
    /// Why something that had a schema was not held against it.
    pub not_validated: Option<String>,
}

/// What something cost, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostRow {
    /// Nano-dollars (10^-9 US dollars).
    pub nanos: Option<u64>,
    /// The price row that says so.
    pub row: Option<String>,
    /// Why it is not known.
    pub unknown: Option<String>,
}

/// What an arm of a rollout cost in one epoch. Of the candidate, copies are among them; calls after a failed one are not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmCost {
    /// Requests at a known cost, a caller's own retries not counted again.
    pub requests: u64,
    /// Attempts with a known price.
    pub known: u64,
    /// Attempts that were charged for and have none.
    pub unknown: u64,
    /// What the known ones cost, in nano-dollars.
    pub nanos: u64,
}

impl ArmCost {
    /// What a request cost on average, in nano-dollars, rounded half up; `None` while none has a known cost.
    #[must_use]
    pub fn mean_nanos(&self) -> Option<u64> {
        let requests = std::num::NonZeroU64::new(self.requests)?;
        Some(self.nanos.saturating_add(requests.get() / 2) / requests)
    }
}

/// What a target cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetCost {
    /// The target.
    pub target: String,
    /// `live`, `failover` or `shadow`.
    pub role: String,
    /// Its sums.
    #[serde(flatten)]
    pub sums: ArmCost,
}

/// A number learnt about an exchange later.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutcomeRow {
    /// When, Unix microseconds.
    pub at_us: u64,
    /// What was measured.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Who says so.
    pub source: String,
}

/// Records missing from the journal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GapRow {
    /// From, Unix microseconds.
    pub from_us: u64,
    /// To, Unix microseconds.
    pub to_us: u64,
    /// How many.
    pub n: u64,
    /// Why.
    pub reason: String,
}

/// Which body of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyKind {
    /// The request as it came.
    Request,
    /// The answer the caller got.
    Answer,
    /// A candidate's answer to a copy; read with [`copy_bodies`](super::Database::copy_bodies).
    Shadow,
    /// The baseline's second answer; read with the same.
    Duplicate,
}

impl BodyKind {
    /// The number in the table.
    pub(crate) const fn code(self) -> i64 {
        match self {
            BodyKind::Request => 0,
            BodyKind::Answer => 1,
            BodyKind::Shadow => 2,
            BodyKind::Duplicate => 3,
        }
    }

    pub(crate) const fn from_code(code: i64) -> Option<BodyKind> {
        match code {
            0 => Some(BodyKind::Request),
            1 => Some(BodyKind::Answer),
            2 => Some(BodyKind::Shadow),
            3 => Some(BodyKind::Duplicate),
            _ => None,
        }
    }
}

/// A body that is kept, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BodyRow {
    /// Which.
    pub kind: BodyKind,
    /// Its length.
    pub bytes: u64,
    /// Its length as stored.
    pub stored_bytes: u64,
}

/// Everything known of one exchange, but for its bodies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExchangeDetail {
    /// The exchange.
    #[serde(flatten)]
    pub exchange: ExchangeRow,
    /// Every call, live ones first.
    pub attempts: Vec<AttemptRow>,
    /// What was learnt later.
    pub outcomes: Vec<OutcomeRow>,
    /// What bodies are kept.
    pub bodies: Vec<BodyRow>,
    /// What users say of it.
    pub feedback: Vec<FeedbackRow>,
    /// How the answers compare, for each rollout that copied it.
    pub pairs: Vec<super::ComparedRow>,
}

/// An answer that nobody but Crossfade reads.
#[derive(Debug)]
pub struct CopyBody {
    /// The rollout it was asked for.
    pub rollout: String,
    /// The baseline's second answer, not the candidate's.
    pub duplicate: bool,
    /// What it says.
    pub body: wire::private::Private<Vec<u8>>,
}

/// Both answers to one request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PairRow {
    /// The exchange.
    pub id: ExchangeId,
    /// When the request arrived, Unix microseconds.
    pub received_at_us: Option<u64>,
    /// The route.
    pub route: Option<String>,
    /// The rollout.
    pub rollout: Option<String>,
    /// The epoch of the shadow.
    pub epoch: Option<u32>,
    /// The unit.
    pub unit: Option<u64>,
    /// How the exchange ended for the caller; `None` while its answer is not in the database.
    pub outcome: Option<String>,
    /// The target whose answer the caller got.
    pub live_target: Option<String>,
    /// The caller's answer.
    pub live: Measured,
    /// The target of the copy; `None` when it was dropped before a call.
    pub shadow_target: Option<String>,
    /// The answer to the copy.
    pub shadow: Option<Measured>,
    /// Why the copy was dropped.
    pub dropped: Option<String>,
    /// True when the `simulated` provider gave either answer.
    pub simulated: bool,
    /// How it was drawn and how far the answers are apart; `None` while they have not been compared.
    pub compared: Option<super::ComparedRow>,
}

/// How many pairs there are, and why the others are not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PairCounts {
    /// Both answers are there.
    pub complete: u64,
    /// Copies dropped, by reason.
    pub dropped: std::collections::BTreeMap<String, u64>,
    /// Exchanges of the rollout without a copy: not sampled, or the process died.
    pub without_shadow: u64,
    /// Whether every exchange that the filter may be of was looked at; else the newest 20 000 of them.
    pub whole: bool,
}

/// How much the database holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Exchanges by outcome.
    pub exchanges: std::collections::BTreeMap<String, u64>,
    /// Requests whose answer is not there yet.
    pub pending: u64,
    /// Live calls and failovers.
    pub attempts: u64,
    /// Copies, dropped ones included.
    pub shadows: u64,
    /// Records known to be missing.
    pub missing: u64,
}

/// A rollout as the controller keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolloutRow {
    /// Its name.
    pub name: String,
    /// Grows by one with every transition.
    pub generation: u64,
    /// `rollout::State` as JSON.
    pub state_json: String,
    /// `rollout::Policy` as JSON.
    pub policy_json: String,
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TransitionRow {
    /// The rollout.
    pub rollout: String,
    /// The generation it led to; filled in by the database.
    #[serde(default)]
    pub generation: u64,
    /// When, Unix microseconds.
    pub at_us: u64,
    /// The stage or status before.
    pub from: String,
    /// The stage or status after.
    pub to: String,
    /// The share before.
    pub from_share: f64,
    /// The share after.
    pub to_share: f64,
    /// The epoch it led to.
    pub epoch: u32,
    /// Who: an operator's name, or the part of the program that decided.
    pub actor: String,
    /// What happened.
    pub event: String,
    /// Why, in plain words.
    pub reason: String,
    /// The numbers it rests on.
    pub evidence_json: String,
    /// The hash of the policy in force.
    pub policy_hash: String,
}

/// The evidence of one epoch, saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceRow {
    /// The rollout.
    pub rollout: String,
    /// The epoch.
    pub epoch: u32,
    /// When it was saved, Unix microseconds.
    pub updated_at_us: u64,
    /// `rollout::Evidence` as JSON.
    pub json: String,
    /// Which exchanges it counted lately, in the gateway's own form; empty in a row of before that was kept.
    pub lately: Vec<u8>,
}

/// Entries that the evidence of an epoch has counted since it was saved before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputsRow {
    /// The number of the first one; the epoch's first is 0.
    pub first: u64,
    /// How many.
    pub n: u64,
    /// When they were saved, Unix microseconds.
    pub at_us: u64,
    /// What was decided of the evidence with them, as JSON.
    pub looked_json: String,
    /// `rollout::Input` as JSON, a line for each.
    pub lines: Vec<u8>,
}

/// The evidence of one epoch, and what it has counted since it was saved before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountedRow {
    /// The evidence.
    pub evidence: EvidenceRow,
    /// The units it has newly counted.
    pub units: Vec<SeenUnit>,
    /// The entries it has newly counted, in order.
    pub inputs: Vec<InputsRow>,
}

/// What is written down with a transition, in the same transaction.
#[derive(Debug, Clone, Default)]
pub struct Beside<'a> {
    /// The evidence of the epoch it happened in.
    pub counted: Option<&'a CountedRow>,
    /// The evidence of the epoch it begins.
    pub begun: Option<&'a EvidenceRow>,
    /// What it was made of, as JSON.
    pub decided_json: Option<&'a str>,
}

/// A unit the evidence of an epoch has counted, so that it is not counted again after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeenUnit {
    /// The unit.
    pub unit: u64,
    /// What it was counted for; bits only ever get added.
    pub flags: u64,
}
