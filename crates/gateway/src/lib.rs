//! The data listener and the life of a request; shadowing; recording; live guards; the one writer of stages.
//!
//! `pipeline.rs` reads as the life of a request; each step is a file of the same name. `live.rs` holds what of a rollout the
//! request path acts on; `control.rs` is the only place that moves a stage.

pub mod live;
pub mod snapshot;
