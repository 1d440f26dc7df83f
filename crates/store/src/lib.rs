//! The record: a crash-safe journal on local disk, and the SQLite database it is shipped into.
//!
//! A request thread calls [`Journal::submit`] and awaits the [`Ticket`]. The [`Shipper`] moves what was written into
//! the [`Database`], which is always downstream of the journal. The [`Lease`] says who may write stages.

mod database;
pub mod failpoints;
pub mod files;
mod journal;
mod lease;
pub mod private;
mod shipper;

pub use database::{
    AlertDetail, AlertRow, BenchRow, DeliveryRow, EXTERNAL_METRIC, InventoryRow, PanelItemRow, PanelJudgedRow,
    PanelPairRow, PanelRow, ProbeRow, PromptLabelRow, PromptRow, RUNNING, ShownRow, Tried, UnitOutcomeRow,
    WebhookState,
};
pub use database::{
    AnsweredRow, BlindAssignedRow, BlindPairRow, BlindPlanRow, BlindVerdict, ClaimedBlock, DatasetRow, EvalRunRow,
    EvalWriter, ScoredRow, Took,
};
pub use database::{
    ArmCost, AttemptRow, AuditRow, Beside, BodyKind, BodyRow, CallRow, CallSums, CheckRow, CommitError, CostRow,
    CountedRow, Counts, Database, DatabaseError, EpochOutcome, EpochSignal, EvidenceRow, ExchangeDetail,
    ExchangeFilter, ExchangeRow, FEEDBACK_METRIC, FeedbackRow, FiledRow, GapRow, Held, InputsRow, Judged, JudgedPlace,
    KeyChangeError, KeyRow, Lateness, Measured, OutcomeRow, PairCounts, PairRow, PrunedInputs, ReferralRow, RequestRow,
    RequestShape, ReviewRow, RolloutRow, RouteTraffic, SecretRow, SeenUnit, SpendRow, TargetCost, TransitionRow,
    VerdictSums,
};
pub use database::{BenchLine, BothCopied, ComparedRow, CopyBody, CopySpend, DeferredCounts, DeferredRow, Refusing};
pub use database::{KeptFor, Part, Pruned, Pruner, StoreSize, Turn, VectorRunRow};
pub use journal::{Config, Journal, JournalCounts, Mode, OpenError, Recovered, SubmitError, Ticket, WriteError};
pub use lease::{Lease, LeaseError};
pub use shipper::{Shipper, ShipperConfig, ShipperCounts};
