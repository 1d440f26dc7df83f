//! Room `rollout`: who gets the candidate, and what the evidence says should happen next. Pure: time, randomness and evidence
//! are arguments; decisions are return values.
//!
//! The parts, in the order of a rollout's life: [`assign`] puts a unit on an arm; [`Evidence`] counts what came of it, one
//! epoch at a time, and says at once when a guard is breached; [`decide`] reads evidence against the [`Policy`]; [`apply`]
//! turns an [`Event`] (a decision or an operator's command) into the next [`State`] and the [`Transition`] to write down;
//! [`explain()`] says all of it in words and numbers; [`plan_lite`] says beforehand how much a gate
//! will need, [`outlook`] what the whole rollout will take, [`simulate`] how a policy behaves in thousands of them, and [`Replay`] makes every
//! decision again from the record.

mod asked;
pub mod assign;
pub mod bands;
mod breach;
pub mod comparison;
mod cost;
pub mod coverage;
pub mod decide;
pub mod evidence;
mod examples;
pub mod explain;
mod filed;
mod gates;
mod guards;
mod input;
pub mod metric;
pub mod outlook;
pub mod plan;
pub mod policy;
mod record;
mod remarks;
pub mod replay;
mod seen;
pub mod simulate;
pub mod state;
pub mod strata;
pub mod template;
pub mod traffic;
pub mod transition;
pub mod why;

pub use asked::Asked;
pub use assign::Arm;
pub use breach::{Action, Alarm, Breach, BreachCause};
pub use comparison::{Compared, Comparison, Comparisons, ComparisonsView};
pub use cost::CostOutcome;
pub use coverage::{Coverage, StrataCovered, StratumCoverage};
pub use decide::{Decision, Health, HeldBecause, Reason, decide};
pub use evidence::{ArmEvidence, Carry, Evidence, JudgedPair, Outcome, PairOutcome, Signal, Tally};
pub use examples::Examples;
pub use explain::{Explanation, explain};
pub use filed::{Filed, FiledKind};
pub use input::{Input, InputLog, InputPart};
pub use metric::{Metric, MetricSet};
pub use plan::{Needed, plan_lite};
pub use policy::{
    AbsolutePolicy, CertificatePolicy, CostPolicy, FiledPolicy, GatePolicy, GuardPolicy, Objectives, Policy,
    PolicyError, Risk, Stage, StepPolicy, StrataGatePolicy, Unit,
};
pub use record::{Decided, Looked, digest};
pub use remarks::overruled;
pub use replay::Replay;
pub use seen::SeenUnit;
pub use state::{Approval, State, Status};
pub use template::StageShares;
pub use transition::{Event, Refused, Transition, apply};
pub use why::Why;

use serde::{Deserialize, Serialize};

/// A moment in microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time since `earlier`; zero if that is later (a clock may step back).
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This moment and `duration` more.
    #[must_use]
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)))
    }
}
