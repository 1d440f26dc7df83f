//! `crossfade quickstart`: one good and one bad migration, simulated.

use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What all chance is derived from.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u64,
}

/// Runs both.
pub(crate) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    out.say(args.seed);
    Ok(Exit::Ok)
}
