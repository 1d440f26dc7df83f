//! The config from its file.

use std::path::Path;

use crate::config::{self, Binding, Config, Places};
use crate::out::Stop;

/// Reads the config a process is to run on.
///
/// # Errors
/// When the file cannot be read, or has problems: all of them.
pub(crate) fn config(path: &Path) -> Result<Config, Stop> {
    let text = text(path)?;
    config::resolve(&path.display().to_string(), &text, &|name| std::env::var(name).ok()).map_err(Stop::config)
}

/// Reads of the config what a verb needs that only talks to a gateway or reads its store.
///
/// # Errors
/// When the file cannot be read, or says neither where the gateway nor where the store is.
pub(crate) fn places(path: &Path) -> Result<Places, Stop> {
    let text = text(path)?;
    config::places(&path.display().to_string(), &text, &stand_in).map_err(Stop::config)
}

/// Reads the config for what is called what in it, as far as that goes without the keys of providers; `None` when it has problems.
pub(crate) fn names(path: &Path) -> Option<Config> {
    config::resolve(&path.display().to_string(), &text(path).ok()?, &stand_in).ok()
}

/// Reads which files the prompts of the config are.
///
/// # Errors
/// When the config's file cannot be read.
pub(crate) fn prompt_bindings(path: &Path) -> Result<Vec<Binding>, Stop> {
    Ok(config::prompt_bindings(&path.display().to_string(), &text(path)?))
}

/// A variable of the environment, or a text in the place of one that is not set here.
fn stand_in(name: &str) -> Option<String> {
    Some(std::env::var(name).unwrap_or_else(|_| format!("unset-{name}")))
}

fn text(path: &Path) -> Result<String, Stop> {
    std::fs::read_to_string(path).map_err(|error| {
        let missing = error.kind() == std::io::ErrorKind::NotFound;
        let stop = Stop::usage(format!("cannot read {}: {error}", path.display()));
        if missing {
            stop.hint("`crossfade init` writes one to start from; `--config FILE` names another")
        } else {
            stop
        }
    })
}
