//! `crossfade exit`: being able to leave a vendor.

mod export;
mod own;
mod verify;

use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Fetch what a vendor holds of one's data, and what Crossfade recorded, into a directory of open files with a manifest.
    Export(Box<export::Args>),
    /// Count and hash an export again, offline, and look at its signature; exit code 3 names what is not as the manifest says.
    Verify(verify::Args),
}

/// Does it.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Export(args) => export::run(place, &args, out),
        Verb::Verify(args) => verify::run(&args, out),
    }
}
