//! Room `bench`: what a serving stack does under load. Open loop on absolute deadlines, closed loop, sweeps, a search for the most that keeps to an
//! objective, recovery, cold start.
//!
//! Requests of an open loop are due at moments that the schedule alone decides ([`arrivals`]); every latency that heads a report is counted from
//! there, so that a server that stalls cannot hide what it kept waiting. The pure half decides nothing by a clock: [`arrivals`], [`sample`],
//! [`measure`], [`quantile`], [`slo`], [`search`], [`compare`].
//!
//! # What is kept
//!
//! A run is a [`result::BenchResult`]: one JSON document of format [`result::FORMAT`], kept under its name in the store's table `bench_results`
//! ([`result::BenchResult::keep`], [`result::BenchResult::load`], [`result::BenchResult::all`]) and written as it is by `--output`. Readers elsewhere want:
//!
//! - `verdict`: only `valid` is evidence. `invalid` says that the client lagged, `why` says how much; `partial` that it was stopped.
//! - `levels`: one [`result::Level`] for each target and load. `latency` has a [`result::Distribution`] by the id of its definition
//!   ([`definition`]), in milliseconds: `ttft.intended`, `ttft.sent`, `e2e.intended`, `e2e.sent`, `gap`, `gap.max`, `tpot`.
//! - what costs are made of: [`result::BenchResult::tpot_curve`] (milliseconds for a token by how many answers were under way),
//!   [`result::Level::out_tok_s`], [`result::Level::prefill_tok_s`], and `found[].sustained` of a search ([`result::Found`]): the most that
//!   keeps to the objective, with `out_tok_s` there.
//! - `simulated`: a provider that makes answers up took part; every report that uses the figures says so.

pub mod arrivals;
pub mod beside;
pub mod cell;
pub mod clock;
pub mod compare;
pub mod csv;
pub mod definition;
pub mod engine;
pub mod matrix;
pub mod measure;
pub mod page;
pub mod plan;
pub mod prompt;
pub mod quantile;
pub mod recovery;
pub mod result;
pub mod run;
pub mod sample;
pub mod search;
pub mod slo;
pub mod tokens;
