//! Crossfade: moves an application from one model to another on evidence. One binary, one file per verb.

mod admin;
mod cli;
mod config;
mod load;
mod metrics;
mod out;
mod running;
mod telling;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let out = out::Out::new(cli.format);
    match verbs::run(cli, &out) {
        Ok(exit) => exit.into(),
        Err(stop) => {
            out.stop(&stop);
            stop.exit.into()
        }
    }
}
