//! The decision report: stay, switch or hybridize, workload by workload, by stated rules from rows of evidence.
//!
//! [`Rows`] are everything a report may speak of; [`report`] is a pure function of them, and [`bundle`] writes both down so that [`verify`]
//! can make every figure again, anywhere, without the store. What the rows do not prove is "not enough evidence", with what would settle it.

mod advice;
mod area;
mod bench;
mod bundle;
mod canonical;
mod commands;
mod csv;
mod decision;
mod exit_plan;
mod failing;
mod figure;
mod gaps;
mod html;
mod latency;
mod live;
mod load;
mod markdown;
mod matrix;
mod money;
mod outcomes;
mod phases;
mod plot;
mod quality;
mod report;
mod rows;
mod rules;
mod safety;
mod settings;
mod sovereignty;
mod tar;
#[cfg(test)]
mod tests;
mod verify;
mod words;

pub use area::{Area, Found, Standing};
pub use bundle::{Bundle, BundleError, bundle};
pub use canonical::Real;
pub use decision::Decision;
pub use exit_plan::{
    Block, Contract, DrillCheck, DrillPart, DrillProbes, DrillWay, ExitDrill, ExitPlan, ExportFacts, Item, Leaving,
    MatrixAlternative, MatrixCell, MatrixProbe, MatrixRow, Missing, People, RECORD_ALONE, Replacements, Residual,
    Review, Section, Telling, Trigger, exit_plan,
};
pub use figure::Figure;
pub use gaps::refused as refused_probe;
pub use html::{MOST_PAGES, appendix, html, page_one};
pub use live::{Approvals, Gate, Standings};
pub use markdown::markdown;
pub use matrix::refused as refused_matrix;
pub use money::doubled;
pub use outcomes::refused as refused_outcomes;
pub use report::{Engine, MoveReport, Report, report};
pub use rows::{Asked, Call, CasePair, FiledRow, RolloutRow, Rows, RowsError, Run, RunHead, Upload};
pub use rules::{Rule, rules};
pub use settings::{
    Demanded, Down, LatencyDemand, LatencyOf, Move, QualityDemand, RecordedLoad, SafetyDemand, Scorecard, Settings,
    TargetFacts, TcoDemand, ThroughputDemand, Worksheet,
};
pub use verify::{MOST_NAMED, Mismatch, VerifyError, verify};
