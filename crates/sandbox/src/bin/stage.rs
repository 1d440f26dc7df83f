//! Nothing but the stages of a sandbox, for tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbox::stage(std::env::args_os().skip(1)).unwrap_or(ExitCode::from(2))
}
