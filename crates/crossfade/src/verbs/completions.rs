//! `crossfade completions`: a completion script for a shell.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell.
    shell: clap_complete::Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "crossfade", &mut script);
    out.print(&String::from_utf8_lossy(&script));
    Ok(Exit::Ok)
}
