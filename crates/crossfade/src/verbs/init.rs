//! `crossfade init`: a commented config to start from.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::Context;

use super::Place;
use crate::out::{Exit, Out, Stop};

/// The config that `init` writes.
pub(crate) const TEMPLATE: &str = include_str!("init/crossfade.yaml");
/// The config that `init --simulated` writes.
pub(crate) const SIMULATED: &str = include_str!("init/simulated.yaml");

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the config instead of writing it.
    #[arg(long)]
    print: bool,
    /// A rehearsal: the same config with simulated providers and times of seconds, that needs no key and no server.
    #[arg(long)]
    simulated: bool,
}

/// Writes the config; never over a file that is there.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let template = if args.simulated { SIMULATED } else { TEMPLATE };
    if args.print {
        out.print(template);
        return Ok(Exit::Ok);
    }
    let path = &place.config;
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file = file.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let stop = Stop::usage(format!("{} exists and is left as it is", path.display()));
            stop.hint("`--config FILE` writes another; `crossfade init --print` shows the text")
        }
        _ => Stop::failed(anyhow::Error::new(error).context(format!("could not write {}", path.display()))),
    })?;
    file.write_all(template.as_bytes()).with_context(|| format!("could not write {}", path.display()))?;
    let facts = serde_json::json!({ "written": path });
    out.answer(&facts, || format!("{}\n", path.display()));
    out.say(if args.simulated {
        "hint: `crossfade serve`, then send requests for gpt-4o and `crossfade rollout start support-to-qwen`"
    } else {
        "hint: put your provider's address and key in it, then `crossfade check` and `crossfade serve`"
    });
    Ok(Exit::Ok)
}
