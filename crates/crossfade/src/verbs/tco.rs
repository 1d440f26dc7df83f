//! `crossfade tco init|run|size`: what a migration costs and saves, all in, how sure that is, and how many replicas it takes.

mod init;
mod run;
mod size;
mod words;

use clap::Subcommand;

pub(crate) use init::draft;

use super::Place;
use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Write a commented worksheet to fill in, with what the record already knows.
    Init(init::Args),
    /// Cost both sides of a worksheet: item by item, for a successful task, with break-evens and how sure it is.
    Run(run::Args),
    /// Find how many replicas hold recorded arrivals, from a measured curve of their speed.
    Size(Box<size::Args>),
}

/// Costs.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Init(args) => init::run(place, &args, out),
        Verb::Run(args) => run::run(&args, out),
        Verb::Size(args) => size::run(place, *args, out),
    }
}
