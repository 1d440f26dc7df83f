//! The stages: what a process of ours does on the way to the command.

mod become_command;
mod house;
mod init;
mod work;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use crate::frame::{self, Said, Setup};
use crate::session::Isolation;

/// The user in the namespace: not root, so that what is run has no privilege even there.
pub(crate) const USER: u32 = 1000;

/// Why a house cannot be built.
struct Failed {
    why: String,
    /// Whether it is the namespaces that are not to be had.
    forbidden: bool,
}

impl Failed {
    fn at<E: std::fmt::Display>(step: impl std::fmt::Display) -> impl FnOnce(E) -> Failed {
        move |error| Failed { why: format!("{step}: {error}"), forbidden: true }
    }

    fn said(self) -> Said {
        Said::Failed { why: self.why, forbidden: self.forbidden }
    }
}

/// Is the stage that the arguments name.
pub(crate) fn stage(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let name = arguments.next();
    let done = match name.as_deref().and_then(OsStr::to_str) {
        Some("outer") => outer(),
        Some("init") => init(),
        Some("exec") => return become_command::run(arguments),
        _ => return ExitCode::from(2),
    };
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Both ends of the talk with whoever started us, unbuffered: the next stage goes on where this one stops.
fn talk() -> io::Result<(File, File)> {
    let from = io::stdin().as_fd().try_clone_to_owned()?;
    let to = io::stdout().as_fd().try_clone_to_owned()?;
    Ok((from.into(), to.into()))
}

/// Closes what whoever started us had open and did not mean for us, or for what we start: files, sockets, locks.
fn close_others() -> io::Result<()> {
    let open = std::fs::read_dir("/proc/self/fd")?.flatten();
    let open: Vec<i32> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| *number > 2) {
        // The one by which they were listed is closed already.
        nix::unistd::close(number).unwrap_or_default();
    }
    Ok(())
}

fn outer() -> io::Result<()> {
    close_others()?;
    let (from, to) = talk()?;
    let setup: Setup = frame::read(&from)?;
    let said = match (setup.isolation, &setup.scratch) {
        (Isolation::None, Some(scratch)) => work::bare(scratch, &from, &to),
        (Isolation::None, None) => return Err(io::Error::other("no directory to work in")),
        (Isolation::Namespaces, _) => {
            if let Err(failed) = house::take_namespaces() {
                return frame::write(&to, &failed.said());
            }
            frame::write(&to, &Said::Ready)?;
            let () = frame::read(&from)?;
            match house::build(&setup).and_then(|()| init::start()) {
                // It has said what came of the session.
                Ok(()) => return Ok(()),
                Err(failed) => failed.said(),
            }
        }
    };
    frame::write(&to, &said)
}

fn init() -> io::Result<()> {
    let (from, to) = talk()?;
    let said = match house::move_in() {
        Ok(()) => work::isolated(&from, &to),
        Err(failed) => failed.said(),
    };
    frame::write(&to, &said)
}
