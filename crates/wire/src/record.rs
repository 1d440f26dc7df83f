//! What is remembered of an exchange. The journal keeps these types in postcard: fields and variants are in the order of
//! the encoding, so new ones go at the end and the journal's format number says which reader to use.

mod check;
mod connection;
mod endpoint;
mod feedback;
mod pair;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::failure::FailureKind;
use crate::ids::ExchangeId;
use crate::private::{self, Body};
use crate::usage::Usage;

pub use check::{CheckRecord, ChecksRecord, Phase, Verdict};
pub use connection::{ConnectionRecord, Lane};
pub use endpoint::{Endpoint, Service};
pub use feedback::{FeedbackKind, FeedbackRecord, UnitOutcomeRecord};
pub use pair::{ComparisonRecord, DrawnRecord, PairRecord};

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A request came in; written before the first byte of its answer.
    Request(RequestRecord),
    /// Its answer is complete, or it is known that there will be none; written before the last byte.
    Answer(AnswerRecord),
    /// The candidate's answer to the same request, or the reason there is none.
    Shadow(ShadowRecord),
    /// A number learnt about an exchange later.
    Outcome(OutcomeRecord),
    /// Entries are missing.
    Gap(GapRecord),
    /// A connection to a provider was opened, or closed.
    Connection(ConnectionRecord),
    /// The policy of a route was applied.
    Checks(ChecksRecord),
    /// Somebody says something of an answer.
    Feedback(FeedbackRecord),
    /// Another system counted something of a unit.
    UnitOutcome(UnitOutcomeRecord),
    /// A request was drawn, to be copied later.
    Drawn(DrawnRecord),
    /// The answers of a pair were compared.
    Pair(PairRecord),
    /// The baseline's second answer to the same request, or the reason there is none.
    Duplicate(ShadowRecord),
    /// Embeddings of the answers of a pair were asked for.
    Meaning(ShadowRecord),
    /// A baseline was asked whether it could take all traffic back. It belongs to no exchange: its id is its own.
    Probe(ShadowRecord),
    /// A model was asked what an answer of a pair is worth, or which of the two is better.
    Judgement(ShadowRecord),
}

impl Record {
    /// The exchange the entry belongs to; `None` for a gap, for a connection, and for what is counted of a unit.
    pub const fn exchange_id(&self) -> Option<ExchangeId> {
        match self {
            Record::Request(record) => Some(record.id),
            Record::Answer(record) => Some(record.id),
            Record::Shadow(record)
            | Record::Duplicate(record)
            | Record::Meaning(record)
            | Record::Judgement(record) => Some(record.id),
            Record::Drawn(record) => Some(record.id),
            Record::Pair(record) => Some(record.drawn.id),
            Record::Outcome(record) => Some(record.id),
            Record::Checks(record) => Some(record.id),
            Record::Feedback(record) => Some(record.id),
            Record::Gap(_) | Record::Connection(_) | Record::UnitOutcome(_) | Record::Probe(_) => None,
        }
    }
}

/// A side of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// The target in use before the rollout.
    Baseline,
    /// The target the rollout moves to.
    Candidate,
}

/// A request as it came in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The exchange.
    pub id: ExchangeId,
    /// When its last byte arrived, in Unix microseconds.
    pub received_at_us: u64,
    /// Which path it came in on.
    pub endpoint: Endpoint,
    /// The route it named.
    pub route: String,
    /// A hash of the key it came with.
    pub principal: Option<String>,
    /// Whether it asked for a stream.
    pub streamed: bool,
    /// Its place in a rollout, when one is active on the route.
    pub rollout: Option<RolloutRef>,
    /// Its bytes.
    #[serde(with = "private::body")]
    pub body: Body,
    /// How often the caller's SDK says it has tried already (`x-stainless-retry-count`): above 0 it is one request again, not
    /// another.
    pub client_retry: u16,
    /// For what a provider keeps, what was asked: the method, and the path and query below the base URL.
    pub asked: Option<String>,
}

/// The place of a request in a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutRef {
    /// The rollout.
    pub name: String,
    /// The epoch it was assigned in.
    pub epoch: u32,
    /// The candidate's share at that moment, 0 to 1.
    pub share: f64,
    /// A hash of the key of its unit.
    pub unit: u64,
    /// Where that key came from.
    pub unit_source: UnitSource,
    /// The arm it was assigned to.
    pub arm: Arm,
    /// True when the caller or an operator chose the arm: such answers are no evidence.
    pub forced: bool,
}

/// Epochs from here on are drills: the Unix second a drill began in, above this. Evidence is read by epoch, so that nothing of a drill is
/// ever the rollout's; its own epochs count from 1 and never get here.
pub const FIRST_DRILL_EPOCH: u32 = 1 << 31;

/// Whether an epoch is a drill.
#[must_use]
pub const fn is_drill(epoch: u32) -> bool {
    epoch >= FIRST_DRILL_EPOCH
}

/// Where the key of a unit came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitSource {
    /// An `x-crossfade-…-id` header.
    Header,
    /// `metadata.conversation_id` of the body.
    Metadata,
    /// `user` of the body.
    User,
    /// A hash of the principal and the messages up to the first user message.
    Prefix,
    /// The principal itself.
    Principal,
    /// The request is its own unit.
    Request,
}

impl UnitSource {
    /// Every source.
    pub const ALL: [UnitSource; 6] = [
        UnitSource::Header,
        UnitSource::Metadata,
        UnitSource::User,
        UnitSource::Prefix,
        UnitSource::Principal,
        UnitSource::Request,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            UnitSource::Header => "header",
            UnitSource::Metadata => "metadata",
            UnitSource::User => "user",
            UnitSource::Prefix => "prefix",
            UnitSource::Principal => "principal",
            UnitSource::Request => "request",
        }
    }
}

/// One call to one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its place among the attempts of the exchange, from 0.
    pub idx: u16,
    /// The target called.
    pub target: String,
    /// The provider of the target.
    pub provider: String,
    /// The model of the target.
    pub model: String,
    /// The side of the rollout the target is on.
    pub arm: Option<Arm>,
    /// Why the call was made.
    pub role: AttemptRole,
    /// When it began, in Unix microseconds.
    pub started_us: u64,
    /// The status answered.
    pub status: Option<u16>,
    /// Why it failed, when it failed.
    pub failure: Option<FailureKind>,
    /// From its beginning to the first content.
    pub time_to_first_token_us: Option<u64>,
    /// From its beginning to its end.
    pub duration_us: u64,
    /// The tokens the provider counted.
    pub usage: Option<Usage>,
    /// Why the model stopped.
    pub finish_reason: Option<String>,
    /// Whether the answer is well-formed JSON; `None` when it did not have to be.
    pub format_valid: Option<bool>,
    /// True when the `simulated` provider answered.
    pub simulated: bool,
    /// True when the answer was cut.
    pub truncated: bool,
    /// Length of the answer.
    pub answer_bytes: u64,
    /// What it cost; `None` when nothing was charged: no call was made, or the provider refused it.
    pub cost: Option<Charge>,
    /// How the answer compares with its schemas.
    pub validity: Validity,
    /// Length of the body that was sent.
    pub request_bytes: u64,
}

/// What a call cost. A price that is not known is never 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// It has a price.
    Priced {
        /// Nano-dollars (10^-9 US dollars).
        nanos: u64,
        /// The id of the price row that says so.
        row: String,
    },
    /// Something was charged, and nobody knows how much.
    Unknown {
        /// Why, in one word of a closed list (`docs/reference/prices.md`).
        why: Cow<'static, str>,
    },
}

impl Charge {
    /// What several calls cost together: unknown if any is, else their sum and the row of the last. `None` when none is charged.
    pub fn sum<'a>(charges: impl IntoIterator<Item = &'a Charge>) -> Option<Charge> {
        charges.into_iter().fold(None, |sum, charge| match (sum, charge) {
            (Some(Charge::Unknown { why }), _) => Some(Charge::Unknown { why }),
            (Some(Charge::Priced { nanos: before, .. }), Charge::Priced { nanos, row }) => {
                Some(Charge::Priced { nanos: before.saturating_add(*nanos), row: row.clone() })
            }
            (_, charge) => Some(charge.clone()),
        })
    }
}

/// How an answer compares with the schemas that the request had for it. Every field is `None` where there was nothing to compare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Validity {
    /// Whether the text is as `response_format` says.
    pub schema_valid: Option<bool>,
    /// Whether every tool call names a tool that was offered and has arguments as its parameters say.
    pub tool_calls_valid: Option<bool>,
    /// The first thing that is wrong: where, and the keyword that is not satisfied. It quotes nothing.
    pub violation: Option<String>,
    /// Why something that had a schema was not held against it.
    pub not_validated: Option<Cow<'static, str>>,
}

/// Why a call was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptRole {
    /// The target the request was assigned to.
    Live,
    /// Another target, after one failed.
    Failover,
    /// A copy whose answer nobody but Crossfade reads.
    Shadow,
    /// The same target again, after the attempt before this one.
    Retry,
    /// A replica that failed and gave way to another one of the same target, whose attempt follows.
    Replaced,
    /// The target the request was assigned to, for a request that its caller's SDK sent before and sends again.
    CallerRetry,
    /// The same target again, with what was wrong with its answer.
    Repair,
    /// The next target of a cascade, after an answer that was not good enough.
    Escalation,
    /// The baseline once more, with a request that it has answered: how far its own answers are apart is noise.
    Duplicate,
    /// Embeddings of the answers of a pair, to see how far their meanings are apart.
    Meaning,
    /// A question to a baseline, to see whether it could take all traffic back.
    Probe,
    /// A question to a model that judges the answers of a pair.
    Judge,
}

impl AttemptRole {
    /// The word in tables, the database and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            AttemptRole::Live => "live",
            AttemptRole::Failover => "failover",
            AttemptRole::Shadow => "shadow",
            AttemptRole::Retry => "retry",
            AttemptRole::Replaced => "replaced",
            AttemptRole::CallerRetry => "caller_retry",
            AttemptRole::Repair => "repair",
            AttemptRole::Escalation => "escalation",
            AttemptRole::Duplicate => "duplicate",
            AttemptRole::Meaning => "meaning",
            AttemptRole::Probe => "probe",
            AttemptRole::Judge => "judge",
        }
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// The exchange.
    pub id: ExchangeId,
    /// When it ended, in Unix microseconds.
    pub finished_at_us: u64,
    /// The status the caller saw.
    pub status: u16,
    /// How it ended.
    pub outcome: ExchangeOutcome,
    /// Why, when it did not end well.
    pub failure: Option<FailureKind>,
    /// The target whose answer the caller got.
    pub served_by: Option<String>,
    /// From the arrival of the request to the first content.
    pub time_to_first_token_us: Option<u64>,
    /// From the arrival of the request to the end.
    pub duration_us: u64,
    /// The tokens of the answer the caller got.
    pub usage: Option<Usage>,
    /// What was changed in the request on its way.
    pub adaptations: Vec<Adaptation>,
    /// Every call made for it, in order.
    pub attempts: Vec<AttemptRecord>,
    /// The bytes the provider answered.
    #[serde(with = "private::body")]
    pub body: Body,
    /// What all its attempts cost together; the shadow's copy is not among them.
    pub cost: Option<Charge>,
    /// What was decided about which target should answer, in order.
    pub decisions: Vec<Decision>,
    /// Whether an attempt's answer declines or says nothing, by the attempt's place; those of which that is not known are not in it.
    pub declined: Vec<(u16, bool)>,
}

impl AnswerRecord {
    /// Whether the answer of the attempt at this place declines or says nothing; `None` when that is not known.
    pub fn declined_by(&self, idx: u16) -> Option<bool> {
        self.declined.iter().find(|(of, _)| *of == idx).map(|(_, declined)| *declined)
    }
}

/// A choice that Crossfade made about who should answer, and why. It quotes nothing of the request but numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What made it.
    pub by: DecidedBy,
    /// What was chosen: `route NAME`, `target NAME`.
    pub choice: String,
    /// Why, in words.
    pub because: String,
}

/// What made a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecidedBy {
    /// A rule of the route that the request named.
    Rule,
    /// The route's cascade, about the answer of one of its targets.
    Cascade,
    /// The route's cache.
    Cache,
}

/// How an exchange ended for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExchangeOutcome {
    /// The caller was given a whole answer.
    Complete,
    /// The answer was cut; the caller was told.
    Truncated,
    /// The caller left first.
    ClientGone,
    /// No target answered.
    Failed,
    /// Crossfade did not pass the request on.
    Refused,
}

impl ExchangeOutcome {
    /// The word in tables and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            ExchangeOutcome::Complete => "complete",
            ExchangeOutcome::Truncated => "truncated",
            ExchangeOutcome::ClientGone => "client_gone",
            ExchangeOutcome::Failed => "failed",
            ExchangeOutcome::Refused => "refused",
        }
    }
}

/// One change Crossfade made to a request or its answer, or what it saw in them and left.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Adaptation {
    /// The field, with dots between levels: `stream_options.include_usage`.
    pub field: Cow<'static, str>,
    /// What was done to it.
    pub action: AdaptationAction,
    /// The target it was done for.
    pub target: String,
}

/// What was done to a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdaptationAction {
    /// It was not there.
    Added,
    /// Its value is another.
    Replaced,
    /// It is gone.
    Removed,
    /// Its name is another.
    Renamed,
    /// The request was refused because of it.
    Refused,
    /// It was put right, in the request or in the answer.
    Fixed,
    /// It went through as it was, and is known or was seen not to work.
    Counted,
}

impl AdaptationAction {
    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            AdaptationAction::Added => "added",
            AdaptationAction::Replaced => "replaced",
            AdaptationAction::Removed => "removed",
            AdaptationAction::Renamed => "renamed",
            AdaptationAction::Refused => "refused",
            AdaptationAction::Fixed => "fixed",
            AdaptationAction::Counted => "counted",
        }
    }
}

/// The candidate's answer to a copy of a request, or the reason there is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShadowRecord {
    /// The exchange copied.
    pub id: ExchangeId,
    /// The rollout.
    pub rollout: String,
    /// Its epoch.
    pub epoch: u32,
    /// The call; `None` when the copy was dropped before one.
    pub attempt: Option<AttemptRecord>,
    /// Why the copy was dropped.
    pub drop: Option<ShadowDrop>,
    /// The bytes the candidate answered.
    #[serde(with = "private::body")]
    pub body: Body,
    /// Whether the answer declines or says nothing; `None` when that is not known.
    pub declined: Option<bool>,
}

/// Why a copy for the shadow was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShadowDrop {
    /// The queue was full.
    QueueFull,
    /// The bytes waiting were at their bound.
    MemoryFull,
    /// As many copies were under way as the ledger allows.
    Concurrency,
    /// It waited too long to be worth sending.
    Expired,
    /// The candidate's breaker was open.
    BreakerOpen,
    /// It would have had side effects (server-side tools, stored state).
    SideEffects,
    /// The process was draining, or the rollout had ended.
    ShuttingDown,
    /// The candidate's provider had asked for a pause.
    Paused,
    /// The request may not leave the house, and the candidate is outside it.
    Residency,
    /// The machine was busy, and the sample was 0 until it no longer was.
    Overload,
    /// The dollars of the day were spent.
    BudgetDollars,
    /// The tokens of the day were spent.
    BudgetTokens,
    /// More copies in a second than the rollout's shadow may make.
    Rate,
    /// The process died between the copy and its record.
    Interrupted,
    /// The request is not on record as it came, so that it cannot be copied later.
    NotOnRecord,
}

impl ShadowDrop {
    /// Every reason.
    pub const ALL: [ShadowDrop; 15] = [
        ShadowDrop::QueueFull,
        ShadowDrop::MemoryFull,
        ShadowDrop::Concurrency,
        ShadowDrop::Expired,
        ShadowDrop::BreakerOpen,
        ShadowDrop::SideEffects,
        ShadowDrop::ShuttingDown,
        ShadowDrop::Paused,
        ShadowDrop::Residency,
        ShadowDrop::Overload,
        ShadowDrop::BudgetDollars,
        ShadowDrop::BudgetTokens,
        ShadowDrop::Rate,
        ShadowDrop::Interrupted,
        ShadowDrop::NotOnRecord,
    ];

    /// The metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            ShadowDrop::QueueFull => "queue_full",
            ShadowDrop::MemoryFull => "memory_full",
            ShadowDrop::Concurrency => "concurrency",
            ShadowDrop::Expired => "expired",
            ShadowDrop::BreakerOpen => "breaker_open",
            ShadowDrop::SideEffects => "side_effects",
            ShadowDrop::ShuttingDown => "shutting_down",
            ShadowDrop::Paused => "paused",
            ShadowDrop::Residency => "residency",
            ShadowDrop::Overload => "overload",
            ShadowDrop::BudgetDollars => "budget_dollars",
            ShadowDrop::BudgetTokens => "budget_tokens",
            ShadowDrop::Rate => "rate",
            ShadowDrop::Interrupted => "interrupted",
            ShadowDrop::NotOnRecord => "not_on_record",
        }
    }
}

/// A number learnt about an exchange after it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutcomeRecord {
    /// The exchange.
    pub id: ExchangeId,
    /// When it was learnt, in Unix microseconds.
    pub at_us: u64,
    /// What was measured, such as `format_valid`.
    pub name: String,
    /// The number; 0 and 1 for no and yes.
    pub value: f64,
    /// Who says so.
    pub source: String,
}

/// Entries are missing from the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRecord {
    /// The first moment entries are missing from, in Unix microseconds.
    pub from_us: u64,
    /// The last such moment.
    pub to_us: u64,
    /// How many are missing.
    pub n: u64,
    /// Why.
    pub reason: String,
}

#[cfg(test)]
mod tests;
