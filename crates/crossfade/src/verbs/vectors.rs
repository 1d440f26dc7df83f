//! `crossfade vectors`: moving a knowledge base from one store into another.

mod alias;
mod copy;
mod doctor;
mod encoder;
mod eval;
mod export;
mod import;
mod mode;
mod moves;
pub(crate) mod page;
mod plan;
mod reembed;
mod rollback;
pub(crate) mod runs;
mod shadow;
mod space;
mod switch;
mod verify;

pub(crate) use encoder::serving;

use vectors::retry::Trouble;
use vectors::run::RunError;
use vectors::schema::Metric;
use vectors::stores::Address;

use super::Place;
use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Look through a collection for what a copy, a search or another store stumbles over; exit code 3 when rows cannot be copied as they are.
    Doctor(doctor::Args),
    /// Say what a copy comes to: rows, bytes, how each part is kept, what the target cannot keep; exit code 3 when it cannot be done.
    Plan(plan::Args),
    /// Copy a collection into another store; goes on where it was stopped or killed. Exit code 3 when rows were put aside, or the target cannot keep them.
    Copy(copy::Args),
    /// Copy a collection with a dense vector made anew from each row's text, by any server that answers /v1/embeddings or by a model in a directory; goes on
    /// where it was stopped or killed, and asks for no text twice.
    Reembed(Box<reembed::Args>),
    /// Say which vector space an encoder makes, as `crossfade.yaml` and `--like` take it.
    Space(Box<space::Args>),
    /// Compare every row of two collections, bit by bit; exit code 3 names what differs.
    Verify(verify::Args),
    /// Compare what is found in two collections: how alike the lists are, what an index loses, and how good they are; exit code 3 when it is worse by more than the margin,
    /// 4 when there is not enough evidence.
    Eval(eval::Args),
    /// Copy a collection into a directory of Parquet files with a manifest, and compare.
    Export(export::Args),
    /// Check a directory against its manifest, copy it into a store, and compare.
    Import(import::Args),
    /// Say how far an index of the config is on its way to another store, or turn it: collect, dual-write, shadow, or source, which gives the move up.
    Mode(mode::Args),
    /// Say how alike what both stores find is, of the queries that the shadow asked both; exit code 3 or 4 when that does not carry a switch.
    Shadow(shadow::Args),
    /// Have an index answered from the store that it moves to, once it has every change and the evidence says that as much is found in it. What is written then goes back to the old one too. Or have a name
    /// of Qdrant stand for another collection.
    Switch(switch::Args),
    /// Have it answered from the old store again, which has had every change since; or have a name of Qdrant stand for the collection before.
    Rollback(rollback::Args),
}

/// Does it.
pub(crate) fn run(place: &Place, verb: &Verb, out: &Out) -> Result<Exit, Stop> {
    match verb {
        Verb::Doctor(args) => doctor::run(args, out),
        Verb::Plan(args) => plan::run(args, out),
        Verb::Copy(args) => copy::run(place, args, out),
        Verb::Reembed(args) => reembed::run(place, args, out),
        Verb::Space(args) => space::run(place, args, out),
        Verb::Verify(args) => verify::run(place, args, out),
        Verb::Eval(args) => eval::run(place, args, out),
        Verb::Export(args) => export::run(place, args, out),
        Verb::Import(args) => import::run(place, args, out),
        Verb::Mode(args) => mode::run(place, args, out),
        Verb::Shadow(args) => shadow::run(place, args, out),
        Verb::Switch(args) => switch::run(place, args, out),
        Verb::Rollback(args) => rollback::run(place, args, out),
    }
}

/// `NAME=METRIC`, as it is typed.
fn metric(text: &str) -> Result<(String, Metric), String> {
    let (name, metric) = text.split_once('=').ok_or("write NAME=METRIC")?;
    let metric = match metric {
        "cosine" => Metric::Cosine,
        "l2" => Metric::L2,
        "dot" => Metric::Dot,
        "hamming" => Metric::Hamming,
        _ => return Err(format!("`{metric}` is none of cosine, l2, dot and hamming")),
    };
    Ok((name.to_owned(), metric))
}

/// Why a store made a verb stop.
fn stop_of(trouble: Trouble) -> Stop {
    Stop::failed(trouble)
}

/// Why a copy did not begin.
fn stop_of_run(error: RunError) -> Stop {
    match error {
        RunError::Refused(_) => {
            Stop::failed(error).exit(Exit::No).hint("`crossfade vectors plan` says how each part would be kept")
        }
        RunError::NoSuchVector(_) => Stop::failed(error).exit(Exit::Usage),
        RunError::Other(..) => Stop::failed(error).exit(Exit::Usage).hint("name another directory with `--run`"),
        RunError::Running => Stop::failed(error).hint("wait for it, or name another directory with `--run`"),
        error => Stop::failed(error),
    }
}

/// A collection, as it was typed. Clap would repeat what is wrong, and there may be a password in it.
fn address(text: &str) -> Result<Address, Stop> {
    Address::parse(text).map_err(|why| Stop::usage(format_args!("the address of a collection: {why}")))
}
