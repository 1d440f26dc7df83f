//! `crossfade init`: a commented config to start from.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::Context;
use clap::ValueEnum;

use super::Place;
use crate::out::{Exit, Out, Stop};

/// The config that `init` writes.
pub(crate) const TEMPLATE: &str = include_str!("init/crossfade.yaml");
/// The config that `init --simulated` writes.
pub(crate) const SIMULATED: &str = include_str!("init/simulated.yaml");

/// Configs that kinds of enterprises start from.
pub(crate) const PROFILES: [(Profile, &str); 3] = [
    (Profile::Startup, include_str!("init/startup.yaml")),
    (Profile::Regulated, include_str!("init/regulated.yaml")),
    (Profile::Platform, include_str!("init/platform.yaml")),
];

/// Whose gates, approvals, retention and cost assumptions a config starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Few people, small risk, money counts most.
    Startup,
    /// Everything recorded, approved by a second person and proven before it moves.
    Regulated,
    /// Many applications: keys, budgets, several workloads of different risk.
    Platform,
}

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The gates, approvals, retention and cost assumptions that such an enterprise starts from.
    #[arg(long, value_enum, value_name = "KIND", conflicts_with = "simulated")]
    profile: Option<Profile>,
    /// Print the config instead of writing it.
    #[arg(long)]
    print: bool,
    /// A rehearsal: the same config with simulated providers and times of seconds, that needs no key and no server.
    #[arg(long)]
    simulated: bool,
}

/// Writes the config; never over a file that is there.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let of_profile = args.profile.and_then(|asked| PROFILES.iter().find(|(profile, _)| *profile == asked));
    let template = match of_profile {
        Some((_, template)) => template,
        None if args.simulated => SIMULATED,
        None => TEMPLATE,
    };
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
