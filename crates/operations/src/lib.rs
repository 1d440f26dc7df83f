//! One function per verb, with its role check. The command line, the admin API and the console call only these, so that
//! a verb does the same whoever asks. Changes to a rollout are audited where they are committed, in the controller.

pub mod alerts;
pub mod audit;
pub mod benches;
pub mod blind;
pub mod contests;
pub mod costing;
pub mod costs;
mod desk;
pub mod documents;
mod door;
pub mod drills;
pub mod egress;
pub mod evaluations;
pub mod exchanges;
pub mod inventory;
pub mod journey;
pub mod judge;
pub mod keys;
pub mod leaving;
pub mod pairs;
pub mod panels;
pub mod plan;
pub mod prompts;
pub mod pulse;
pub mod replay;
pub mod reports;
pub mod retention;
pub mod revalidation;
pub mod reviews;
pub mod rollouts;
pub mod simulated;
pub mod tco;
mod telemetry;
pub mod vectors;

pub use desk::{
    Actor, Desk, Identity, JudgeFn, OperationError, Reader, ReloadFn, Reloaded, ResolvedFn, TroubleFn, reload,
};
pub use door::{Admitted, Door, NotAdmitted};
pub use govern::limits::{Budget, Period};
pub use govern::{LimitsChange, Role};
pub use store::ExchangeFilter;
/// A text that cannot be printed.
pub type Secret = wire::private::Private<String>;
pub use telemetry::metrics;
