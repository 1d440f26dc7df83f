//! Room `stats`: pure numbers. Anytime-valid tests that may be read after every event, tests for samples of fixed size, exact closed
//! forms to check them against, and sketches of latency. `docs/statistics.md` has each formula with its source and its knobs.
//!
//! Nothing here reads a clock, locks, logs or draws a random number that a seed argument does not decide. Every live test is an e-value: a
//! number whose expectation is at most 1 while the null hypothesis holds, so that "it ever reached 1/alpha" happens with
//! probability at most alpha (Ville's inequality), however often one looks. `mcnemar`, `bootstrap`, `equivalence`, `permutation`, `sample_size`, `agreement`,
//! `drift`, `interval` and `sample_mean` are for samples whose size was fixed before anybody looked.

pub mod absolute;
pub mod agreement;
pub mod bands;
pub mod beta_mixture;
pub mod betting;
pub mod bootstrap;
pub mod bounded;
pub mod difference;
pub mod drift;
pub mod eprocess;
pub mod equivalence;
pub mod interval;
pub mod logistic;
pub mod mcnemar;
pub mod multiplicity;
pub mod permutation;
pub mod quantile;
pub mod random;
pub mod ranking;
pub mod relative;
pub mod retrieval;
pub mod running_mean;
pub mod sample_mean;
pub mod sample_ratio;
pub mod sample_size;
pub mod scores;
pub mod sequence;
pub mod sketch;
pub mod special;

pub use absolute::AbsoluteGuard;
pub use bounded::EmpiricalBernstein;
pub use difference::{PairedDifference, UnpairedDifference};
pub use eprocess::EProcess;
pub use relative::RelativeGuard;
pub use scores::{PairedScores, UnpairedScores};
pub use sketch::LatencySketch;
