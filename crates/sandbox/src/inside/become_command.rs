//! The last stage: sets limits on itself, gives up what privileges there are, and becomes the command.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities, set_no_new_privs};

use crate::Limits;

/// What a shell says of a command that it cannot run.
const CANNOT: u8 = 126;

/// `LIMITS PROCESSES PROGRAM ARGUMENTS...`, where `PROCESSES` is their number or `-`: no limit of its own.
pub(super) fn run(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let limits = arguments.next().and_then(|text| serde_json::from_str(text.to_str()?).ok());
    let (Some(limits), Some(processes), Some(program)) = (limits, arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    let processes = processes.to_str().and_then(|text| text.parse().ok());
    let mut command = Command::new(program);
    command.args(arguments);
    let error = match confine(&limits, processes) {
        Ok(()) => command.exec(),
        Err(error) => error,
    };
    // What cannot be written cannot be told either.
    io::Write::write_all(&mut io::stderr(), format!("cannot be run: {error}\n").as_bytes()).unwrap_or_default();
    ExitCode::from(CANNOT)
}

fn confine(limits: &Limits, processes: Option<u64>) -> io::Result<()> {
    // Of all processes of the machine, ours are the first to go when memory is short.
    fs::write("/proc/self/oom_score_adj", "1000").unwrap_or_default();
    let none = CapabilitySet::empty();
    clear_ambient_capability_set()?;
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
    set_no_new_privs(true)?;
    let set = |resource, soft: u64, hard: u64| setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) });
    // Whoever ignores the first signal gets another a second later that cannot be ignored.
    set(Resource::Cpu, limits.cpu_seconds, limits.cpu_seconds + 1)?;
    set(Resource::Fsize, limits.file_bytes, limits.file_bytes)?;
    set(Resource::Nofile, limits.open_files, limits.open_files)?;
    set(Resource::Core, 0, 0)?;
    set(Resource::Memlock, 0, 0)?;
    if let Some(processes) = processes {
        set(Resource::Nproc, processes, processes)?;
    }
    // Last: what is left to do here needs next to nothing.
    Ok(set(Resource::As, limits.address_space_bytes, limits.address_space_bytes)?)
}
