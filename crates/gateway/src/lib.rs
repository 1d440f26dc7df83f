//! The data listener and the life of a request; shadowing; recording; live guards; the one writer of stages.
//!
//! `pipeline.rs` reads as the life of a request; each step is a file of the same name. `live.rs` holds what of a rollout the
//! request path acts on; `control.rs` is the only place that moves a stage.

pub mod beside;
pub mod control;
pub mod detour;
pub mod drill;
pub mod live;
pub mod offline;
pub mod serve;
pub mod snapshot;

mod accept;
mod adapt;
mod admit;
mod allowance;
mod answer;
mod asked;
mod assign;
mod authenticate;
mod body;
pub mod cache;
mod call;
pub mod counters;
pub mod drain;
mod feedback;
mod hints;
mod lately;
pub mod ledger;
mod memory;
mod mend;
mod observe;
mod outward;
mod panics;
mod parse;
mod paths;
mod pipeline;
mod policy;
pub mod prices;
pub mod probe;
pub mod recall;
mod record;
mod refuse;
mod relay;
mod residency;
mod resolve;
pub mod retention;
pub mod shadow;
mod socket;
pub mod targets;
mod translate;
mod upstream;
mod worker;
