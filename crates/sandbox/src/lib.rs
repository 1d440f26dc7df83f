//! Programs of others, run where they can do no harm: the only room that starts a program, and never one that a request names.
//!
//! A [`Session`] is commands over one working directory. [`Sandbox::run`] starts this very binary again as a *stage* (no code runs
//! between `fork` and `exec`, so that nothing here is `unsafe`), and the stages build what the commands see:
//!
//! 1. `outer` takes namespaces of its own for users, mounts, network, processes, IPC and names, and makes a root of a `tmpfs` of bounded
//!    size with the system's directories in it, read-only. The working directory is in that `tmpfs`: nothing is written anywhere else, and
//!    it is gone when the last process is.
//! 2. `init` is process 1 of the namespace. It keeps the time and the memory of what it starts, and when it ends, for whatever reason,
//!    the kernel ends every process in the namespace. It ends when whoever asked for the session does.
//! 3. `exec` sets the limits of a process on itself, gives up every privilege, and becomes the command.
//!
//! Where namespaces are not to be had, nothing is run and [`Unavailable`] says why. [`Isolation::None`] runs commands with limits and
//! nothing else; somebody has to say so.
//!
//! What is kept from whom, and what is not: `docs/decisions/0011-code-in-a-room-of-its-own.md`.

mod session;

#[cfg(target_os = "linux")]
mod frame;
#[cfg(target_os = "linux")]
mod inside;
mod outside;

use std::ffi::OsString;
use std::process::ExitCode;

pub use outside::Sandbox;
pub use session::{Ended, Isolation, Limits, Output, Ran, Report, Run, Session, Unavailable};

/// The first argument of a process that is a stage.
pub const STAGE: &str = "sandbox-stage";

/// Where the arguments (without the program's name) are those of a stage, is it, and says how it ended. To be asked first thing in
/// `main`, before any thread is started.
#[must_use]
pub fn stage(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if arguments.next()? != STAGE {
        return None;
    }
    #[cfg(target_os = "linux")]
    let code = inside::stage(arguments);
    #[cfg(not(target_os = "linux"))]
    let code = ExitCode::from(2);
    Some(code)
}
