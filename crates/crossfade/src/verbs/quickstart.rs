//! `crossfade quickstart`: two migrations in one process, on simulated providers, over real HTTP. A good candidate goes from
//! shadow to full; one with a planted regression is rolled back. Only durations and rates are compressed: error probabilities,
//! margins and minimum numbers are the medium template's own.

mod act;
mod story;
pub(crate) mod traffic;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::load;
use crate::out::{Exit, Out, Stop};
use crate::running::Running;
use act::{Act, Ending, Plot};
use story::Story;
use traffic::Traffic;

const TEMPLATE: &str = include_str!("quickstart/crossfade.yaml");
/// Everything ends within three minutes; this leaves time for the end itself.
const CURTAIN: Duration = Duration::from_secs(165);

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What all chance in the simulated providers and in the traffic is derived from.
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: u32,
    /// Keep config, store, journal and log in this directory; default is a new one under the system's temporary directory.
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    /// Put a good candidate in place of the bad one: it must not be rolled back.
    #[arg(long)]
    good_second_candidate: bool,
    /// Connections that send requests.
    #[arg(long, value_name = "N", default_value_t = 48)]
    connections: usize,
}

/// Runs both migrations. Exits 0 only if both ended as planned.
pub(crate) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let directory = directory(args)?;
    log_to_file(&directory.join("crossfade.log"))?;
    let path = directory.join("crossfade.yaml");
    let template = TEMPLATE.replace("{seed}", &args.seed.to_string());
    std::fs::write(&path, &template).context("could not write the config")?;
    let config = load::config(&path)?;
    let running = Running::start(&config, path.clone())?;
    // Any port would do; from now on it is these, so that `serve` and every other verb find the same gateway again.
    std::fs::write(&path, with_ports(&template, running.data_address(), running.admin_address()))
        .context("could not write the config")?;
    let story = Story::new(*out, Instant::now());
    story.opening(&running, args.seed, &directory);
    let traffic = Traffic::start(running.data_address(), args.seed, args.connections)?;
    let second = if args.good_second_candidate { Ending::Full } else { Ending::RolledBack };
    let plots = [
        Plot { rollout: "support-to-open", route: 0, provider: "open", ending: Ending::Full },
        Plot { rollout: "billing-to-open", route: 1, provider: "open-next", ending: second },
    ];
    let curtain = Instant::now() + CURTAIN;
    let mut ends = Vec::new();
    for plot in &plots {
        ends.push(Act { plot, running: &running, traffic: &traffic, story: &story, curtain }.play()?);
    }
    let sent = traffic.stop();
    if !running.ship(Duration::from_secs(20)) {
        out.say("simulated | the journal is still being shipped; it goes on at the next start");
    }
    running.drain();
    let as_planned = plots.iter().zip(&ends).all(|(plot, end)| Some(plot.ending) == end.ending);
    let took_s = story.elapsed().as_secs_f64();
    story.closing(&sent, &plots, &ends, &path);
    let facts = json!({
        "simulated": true, "seed": args.seed, "took_s": took_s, "as_planned": as_planned, "directory": directory,
        "requests": sent, "rollouts": ends,
    });
    if out.is_json() {
        out.answer(&facts, String::new);
    }
    Ok(exit(as_planned, &ends))
}

/// The config with the addresses that the gateway got.
fn with_ports(template: &str, data: SocketAddr, admin: SocketAddr) -> String {
    template.replacen("\nlisten: 127.0.0.1:0\n", &format!("\nlisten: {data}\n"), 1).replacen(
        "admin: { listen: 127.0.0.1:0 }",
        &format!("admin: {{ listen: {admin} }}"),
        1,
    )
}

fn exit(as_planned: bool, ends: &[act::End]) -> Exit {
    if as_planned {
        Exit::Ok
    } else if ends.iter().any(|end| end.ending.is_none()) {
        Exit::Undecided
    } else {
        Exit::No
    }
}

fn directory(args: &Args) -> Result<PathBuf, Stop> {
    let directory = args.dir.clone().unwrap_or_else(|| {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
        std::env::temp_dir().join(format!("crossfade-quickstart-{seconds}-{}", std::process::id()))
    });
    if directory.join("crossfade.db").exists() {
        let stop = Stop::usage(format!("{} holds a quickstart already", directory.display()));
        return Err(stop.hint("name another `--dir`, or remove it"));
    }
    std::fs::create_dir_all(&directory).with_context(|| format!("could not make {}", directory.display()))?;
    // Commands to look at it later are run from anywhere.
    Ok(directory.canonicalize().context("could not find the directory again")?)
}

/// The log goes to a file: the terminal is for the story.
fn log_to_file(path: &Path) -> Result<(), Stop> {
    let file = std::fs::File::create(path).context("could not write the log")?;
    let filter = EnvFilter::try_from_env("CROSSFADE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(Mutex::new(file)).with_ansi(false);
    lines.try_init().map_err(|error| Stop::failed(anyhow::anyhow!("could not set up the log: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_keeps_the_ports_that_it_ran_on() {
        let config = with_ports(TEMPLATE, ([127, 0, 0, 1], 4123).into(), ([127, 0, 0, 1], 4124).into());
        assert!(!config.contains(":0\n") && !config.contains(":0 }"), "{config}");
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("crossfade.yaml");
        std::fs::write(&path, config.replace("{seed}", "7")).unwrap();
        let read = load::config(&path).unwrap();
        assert_eq!((read.listen.port(), read.admin.listen.port()), (4123, 4124));
    }
}
