//! `crossfade vectors export`: a collection into open files.

use std::path::PathBuf;

use vectors::stores::Address;

use super::{address, copy};
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The collection: parquet:DIR, jsonl:PATH, sqlite-vec:FILE#TABLE, postgres://USER@HOST/DATABASE#TABLE, chroma:HOST:PORT#COLLECTION, milvus:HOST:PORT#COLLECTION, qdrant:HOST:PORT#COLLECTION or pinecone:HOST#NAMESPACE.
    source: String,
    /// The directory of Parquet files; it must not hold anything yet.
    #[arg(long, short, alias = "out", value_name = "DIR")]
    output: PathBuf,
    #[command(flatten)]
    how: copy::How,
}

/// Exports.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    copy::both(place, (&address(&args.source)?, &Address::Parquet(args.output.clone())), &args.how, true, out)
}
