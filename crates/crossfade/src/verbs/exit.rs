//! `crossfade exit`: being able to leave a vendor.

mod drill;
mod export;
mod own;
mod plan;
mod verify;

use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Rehearse leaving: a route's traffic goes to another target and back, and both ways are measured; exit code 3 when something did
    /// not hold, 4 when it cannot be told.
    Drill(Box<drill::Args>),
    /// Fetch what a vendor holds of one's data, and what Crossfade recorded, into a directory of open files with a manifest.
    Export(Box<export::Args>),
    /// The plan of leaving: owners, triggers, measured parity, runbook, data, cost, the last drill; what is missing, and what supplies it. Exit
    /// code 4 when something is missing, 3 when the last drill failed.
    Plan(Box<plan::Args>),
    /// Count and hash an export again, offline, and look at its signature; exit code 3 names what is not as the manifest says.
    Verify(verify::Args),
}

/// Does it.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Drill(args) => drill::run(place, &args, out),
        Verb::Export(args) => export::run(place, &args, out),
        Verb::Plan(args) => plan::run(place, &args, out),
        Verb::Verify(args) => verify::run(&args, out),
    }
}
