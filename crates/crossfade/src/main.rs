//! Crossfade: moves an application from one model to another on evidence. One binary, one file per verb.

mod admin;
mod cli;
mod config;
mod facade;
mod identity;
mod load;
mod metrics;
mod out;
mod rooms;
mod running;
mod telling;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A stage of a sandbox is this program again, before anything of it has begun.
    if let Some(code) = sandbox::stage(std::env::args_os().skip(1)) {
        return code;
    }
    let cli = cli::Cli::parse();
    let out = out::Out::new(cli.format).with_config(named(&cli.config));
    match verbs::run(cli, &out) {
        Ok(exit) => exit.into(),
        Err(stop) => {
            out.stop(&stop);
            stop.exit.into()
        }
    }
}

/// The config, where a command has to name it: it is neither the usual one nor the one of the environment.
fn named(config: &std::path::Path) -> Option<&'static str> {
    let is_usual = config == std::path::Path::new(cli::USUAL_CONFIG);
    let is_of_environment = std::env::var_os("CROSSFADE_CONFIG").is_some_and(|named| named == config.as_os_str());
    // Once, for as long as the process lives.
    (!is_usual && !is_of_environment).then(|| &*Box::leak(config.display().to_string().into_boxed_str()))
}
