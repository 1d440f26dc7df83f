//! What applications asked for through the gateway, added up, and held against what their code says.
//!
//! [`Gathering`] takes requests one by one in the order of the record and keeps counts and sketches, never the requests; [`join()`] lays the
//! sums beside what was found in code.

pub(crate) mod asks;
mod gather;
mod hours;
pub mod html;
mod join;
mod peak;
pub mod render;
#[cfg(test)]
mod tests;

pub use gather::{Asked, Caller, Gathering, Latency, Lengths, Needed, Quantiles, Request, Served, Tally, Use, Who};
pub use hours::{HOURS, Week};
pub use join::{By, Row, Seen, join};
pub use peak::{Peak, Peaks};
