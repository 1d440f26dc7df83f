//! `crossfade vectors space`: which space an encoder makes.

use std::path::PathBuf;

use serde_json::json;

use super::encoder::{self, Flags, Record};
use crate::out::{Exit, Out, Stop};
use crate::verbs::Place;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    encoder: Flags,
    /// Hold it against this name; exit code 3 when it is another space.
    #[arg(long, value_name = "SPACE")]
    against: Option<String>,
    /// Write an encoder.json, which `--like` of other verbs reads.
    #[arg(short, long, alias = "out", value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Asks for the vectors of sixteen texts.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let encoder = encoder::of(place, &args.encoder)?;
    let probe = encoder.probe();
    encoder.note(place, out);
    let canaries = probe?.canaries;
    let space = encoder.recipe.space(&canaries);
    let agrees = args.against.as_ref().map(|other| wire::space::agree(other, &space));
    if let Some(path) = &args.output {
        Record { space: Some(space.clone()), ..encoder.record.clone() }.write(path)?;
        out.say(format_args!("the encoder is in {}", path.display()));
    }
    let dims = canaries.first().map_or(0, Vec::len);
    let facts = json!({ "space": space, "dims": dims, "simulated": encoder.simulated, "against": args.against, "is_same": agrees });
    out.answer(&facts, || match (&args.against, agrees) {
        (Some(other), Some(false)) => format!("{space}\nis another space than {other}\n"),
        (Some(other), _) => format!("{space}\nis the space {other}\n"),
        (None, _) => format!("{space}\n"),
    });
    if encoder.simulated {
        out.say("simulated: the vectors are made up");
    }
    Ok(if agrees == Some(false) { Exit::No } else { Exit::Ok })
}
