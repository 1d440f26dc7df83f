//! `crossfade bench`: what a serving stack does under load.

mod against;
mod asker;
mod cases;
mod cells;
mod flags;
mod judge;
mod load;
mod matrix;
mod phases;
mod process;
mod recovery;
mod resume;
mod run;
mod show;
mod subject;
mod tokens;

use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Send load to one or several targets: a rate, so many at once, a replay, or the search for the most that keeps to an objective.
    Run(Box<run::Args>),
    /// Kill a server under load and start it again: what is lost, and how long it takes to come back.
    Recovery(Box<recovery::RecoveryArgs>),
    /// Start a server from nothing, again and again: to the first connection, to health, to the first token, to a steady pace.
    ColdStart(Box<recovery::ColdArgs>),
    /// Start a server with one setting after another, send each the same load, and compare.
    Matrix(matrix::Args),
    /// Show a result of the store, also as JSON, CSV or a page.
    Show(show::Args),
    /// List the results of the store, the newest first.
    List(show::ListArgs),
}

/// Does it.
pub(crate) fn run(place: &Place, verb: Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Run(args) => run::run(place, &args, out),
        Verb::Recovery(args) => recovery::recovery(place, &args, out),
        Verb::ColdStart(args) => recovery::cold(place, &args, out),
        Verb::Matrix(args) => matrix::run(place, &args, out),
        Verb::Show(args) => show::run(place, &args, out),
        Verb::List(args) => show::list(place, &args, out),
    }
}
