//! `crossfade vectors import`: open files into a store, when they are what their manifest says.

use std::path::PathBuf;

use vectors::stores::{Address, MANIFEST, differences, manifest};

use super::{address, copy, stop_of};
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A directory that `vectors export` or a copy to parquet: has written.
    directory: PathBuf,
    /// Where it goes: sqlite-vec:FILE#TABLE, postgres://USER@HOST/DATABASE#TABLE, chroma:HOST:PORT#COLLECTION, milvus:HOST:PORT#COLLECTION, qdrant:HOST:PORT#COLLECTION, pinecone:HOST#NAMESPACE, jsonl:DIR or parquet:DIR. It must not hold anything yet.
    target: String,
    #[command(flatten)]
    how: copy::How,
}

/// Imports.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let (directory, target) = (&args.directory, address(&args.target)?);
    let Some(said) = manifest(directory).map_err(stop_of)? else {
        let stop = Stop::usage(format!("{} has no {MANIFEST}: nothing says whether it is whole", directory.display()));
        return Err(stop.hint(format!(
            "`crossfade vectors copy parquet:{} {}` copies it all the same",
            directory.display(),
            target
        )));
    };
    let wrong = differences(directory, &said).map_err(stop_of)?;
    if !wrong.is_empty() {
        let stop = Stop::failed(anyhow::anyhow!(
            "{} is not as its {MANIFEST} says: {}",
            directory.display(),
            wrong.join("; ")
        ));
        return Err(stop.exit(Exit::No).hint("nothing was copied; export it again"));
    }
    copy::both(place, (&Address::Parquet(directory.clone()), &target), &args.how, true, out)
}
