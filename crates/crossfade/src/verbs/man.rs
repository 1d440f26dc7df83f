//! `crossfade man`: manual pages.

use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;

use crate::cli::Cli;
use crate::out::{Exit, Out, Stop};

/// What can be typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write one page per verb into this directory, instead of the first page to stdout.
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

/// Prints or writes the pages.
pub(crate) fn run(args: &Args, out: &Out) -> Result<Exit, Stop> {
    match &args.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory).context("could not make the directory")?;
            clap_mangen::generate_to(Cli::command(), directory).context("could not write the pages")?;
            out.say(format_args!("manual pages written to {}", directory.display()));
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).context("could not render the page")?;
            out.print(&String::from_utf8_lossy(&page));
        }
    }
    Ok(Exit::Ok)
}
