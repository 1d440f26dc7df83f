//! `crossfade serve`: the gateway, until it is told to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use clap::ValueEnum;
use serde_json::json;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing_subscriber::EnvFilter;

use super::Place;
use crate::load;
use crate::out::{Exit, Out, Stop};
use crate::running::Running;

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How log lines are written on stderr; `CROSSFADE_LOG` filters them, as in `info,store=debug`.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// Write the addresses listened on to this file, as JSON, once traffic is taken. For port 0.
    #[arg(long, value_name = "FILE")]
    addresses_file: Option<PathBuf>,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Serves until SIGTERM or SIGINT, then drains; SIGHUP reloads the config. A second signal ends the drain's waiting.
pub(crate) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    log_to_stderr(args.log_format, out);
    let config = load::config(&place.config)?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).context("could not listen for signals")?;
    let running = Running::start(&config, place.config.clone())?;
    announce(&running, args)?;
    let reloader = Arc::clone(&running.reloader);
    for signal in signals.forever() {
        if signal != SIGHUP {
            tracing::info!(signal, "draining");
            break;
        }
        // The log has what came of it.
        drop(reloader.reload());
    }
    let serving = Arc::clone(&running.serving);
    let handle = signals.handle();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            running.drain();
            handle.close();
        });
        for signal in signals.forever().filter(|signal| *signal != SIGHUP) {
            tracing::warn!(signal, "drain cut short");
            serving.hurry();
        }
    });
    Ok(Exit::Ok)
}

fn announce(running: &Running, args: &Args) -> Result<(), Stop> {
    let (data, admin) = (running.data_address(), running.admin_address());
    if let Some(path) = &args.addresses_file {
        let mut addresses = json!({ "data": data, "admin": admin, "pid": std::process::id() });
        if let Some(vectors) = running.vectors_address() {
            addresses["vectors"] = json!(vectors);
        }
        write_whole(path, &format!("{addresses}\n")).with_context(|| format!("could not write {}", path.display()))?;
    }
    tracing::info!(data = %format_args!("http://{data}/v1"), admin = %format_args!("http://{admin}"), "ready");
    Ok(())
}

/// Whoever finds the file finds it whole.
fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

/// Log lines go to stderr from here on.
pub(crate) fn log_to_stderr(format: LogFormat, out: &Out) {
    let filter = EnvFilter::try_from_env("CROSSFADE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    let set = match format {
        LogFormat::Text => lines.with_ansi(out.has_colour()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    if set.is_err() {
        tracing::debug!("a log is already set up");
    }
}
