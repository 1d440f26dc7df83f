//! What is asked of a sandbox and what it says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Commands that are run one after the other over one working directory, which is empty at first and gone afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// What keeps the commands in.
    pub isolation: Isolation,
    /// What each command may take.
    pub limits: Limits,
    /// Files and directories beyond the system's own that may be read.
    pub read: Vec<PathBuf>,
    /// Variables of the environment, beside a plain `PATH`, `HOME`, `TMPDIR` and `LANG`. Nothing of ours is handed on.
    pub environment: BTreeMap<String, String>,
    /// The commands.
    pub runs: Vec<Run>,
}

/// What keeps commands in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Namespaces of Linux: no network, no files but the system's (read-only), no other processes.
    #[default]
    Namespaces,
    /// Nothing but limits: the commands may do whatever the user may who runs Crossfade.
    None,
}

/// What a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Seconds of CPU of each process.
    pub cpu_seconds: u64,
    /// Milliseconds from beginning to end.
    pub wall_ms: u64,
    /// Bytes of memory of all processes together, files in the working directory apart; looked at twenty times a second.
    pub memory_bytes: u64,
    /// Bytes of address space of each process.
    pub address_space_bytes: u64,
    /// Bytes of the largest file, output included.
    pub file_bytes: u64,
    /// Bytes of all files together.
    pub disk_bytes: u64,
    /// Processes and threads at once.
    pub processes: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// Bytes of each output that are kept.
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        const MIB: u64 = 1 << 20;
        Limits {
            cpu_seconds: 10,
            wall_ms: 30_000,
            memory_bytes: 512 * MIB,
            address_space_bytes: 4096 * MIB,
            file_bytes: 64 * MIB,
            disk_bytes: 256 * MIB,
            processes: 64,
            open_files: 256,
            output_bytes: 64 * 1024,
        }
    }
}

/// One command.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Files that are put into the working directory before it, in place of what is there under the name.
    pub files: BTreeMap<String, String>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// What it reads.
    pub stdin: String,
    /// A file of the working directory that is read when it has ended.
    pub collect: Option<String>,
    /// Whether the commands after it are left out when it does not exit with 0.
    pub needed: bool,
}

impl Session {
    /// The longest that its commands can take together.
    #[must_use]
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.limits.wall_ms.saturating_mul(self.runs.len() as u64))
    }
}

/// What came of a session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What came of each command, in their order; those after a needed one that failed are not among them.
    pub runs: Vec<Ran>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// How it ended.
    pub ended: Ended,
    /// What it wrote to its output.
    pub stdout: Output,
    /// What it wrote to its error output.
    pub stderr: Output,
    /// The file that was asked for, where there is one, it is a plain file, and it is no larger than an output may be.
    pub collected: Option<String>,
    /// Milliseconds from beginning to end.
    pub wall_ms: u64,
}

impl Ran {
    /// A command of which there is nothing but how it ended.
    pub(crate) fn nothing(ended: Ended) -> Ran {
        let empty = Output { text: String::new(), whole: true };
        Ran { ended, stdout: empty.clone(), stderr: empty, collected: None, wall_ms: 0 }
    }
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// By itself, with this code.
    Exit(i32),
    /// By a signal, of its own or the kernel's.
    Signal(i32),
    /// By us, because it took too long.
    WallTime,
    /// By the kernel, because it took too much CPU.
    CpuTime,
    /// By us, because it took too much memory.
    Memory,
    /// It never began: there is no such program.
    NoProgram,
    /// Nobody knows: the sandbox ended under it, which a command can bring about for all of them.
    BroughtDown(String),
    /// It never began, for another reason.
    NotStarted(String),
}

impl Ended {
    /// Whether it exited with 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Ended::Exit(0)
    }

    /// The words of a page.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Ended::Exit(code) => format!("exited with {code}"),
            Ended::Signal(25) => "killed: a file became too large".to_owned(),
            Ended::Signal(signal) => format!("killed by signal {signal}"),
            Ended::WallTime => "killed: out of time".to_owned(),
            Ended::CpuTime => "killed: out of CPU time".to_owned(),
            Ended::Memory => "killed: out of memory".to_owned(),
            Ended::NoProgram => "not run: there is no such program in the sandbox".to_owned(),
            Ended::BroughtDown(why) => format!("the sandbox was brought down: {why}"),
            Ended::NotStarted(why) => format!("not run: {why}"),
        }
    }
}

/// What a command wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The text; the middle is left out where it is longer than what is kept. Bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Whether it is all there is.
    pub whole: bool,
}

/// Why there is no sandbox. Nothing was run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct Unavailable {
    /// What failed.
    pub why: String,
    /// What may help.
    pub hint: Option<&'static str>,
}
