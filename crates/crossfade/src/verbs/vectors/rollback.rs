//! `crossfade vectors rollback`: an index is answered from its old store again.

use vectors::facade::pair::Mode;

use super::alias;
use super::moves::{self, By};
use super::switch;
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The index; or qdrant:HOST:PORT#NAME, a name that applications ask Qdrant by and that stands for a collection.
    index: String,
    /// Though the old store lacks changes: what it lacks stays in the file of the moves.
    #[arg(long, requires = "reason")]
    force: bool,
    #[command(flatten)]
    by: By,
}

/// Goes back. That needs no evidence.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    if alias::is_one(&args.index) {
        return alias::rollback(&args.index, out);
    }
    let moving = moves::find(place, &args.index)?;
    let turned = moving.turn(place, out, Mode::RolledBack, &args.by, (None, args.force))?;
    switch::said(&moving, Mode::RolledBack, &turned, out);
    Ok(Exit::Ok)
}
