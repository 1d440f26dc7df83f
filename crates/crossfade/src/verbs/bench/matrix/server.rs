//! A server of a cell: started, waited for and stopped as the file says. It has a process group of its own, which does not outlive this process however
//! that ends: a watcher in the group holds a pipe, and kills the group when the other end is gone.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bench::engine::turns::Turns;
use bench::engine::{Engine, Pace, Phase, Target};
use bench::prompt::{Lengths, Maker, Source};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

/// How often a server that starts or stops is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// From one try of a first request to the next.
const TRY: Duration = Duration::from_millis(500);
/// The end of a server's output that is told where it failed.
const TAIL: usize = 2000;

/// Runs `$1` in a group with the watcher. `cat` ends when the pipe does.
const SCRIPT: &str = "exec 3<&0 </dev/null; { cat <&3 >/dev/null 2>&1; kill -s KILL 0; } & exec 3<&-; eval \"$1\"";

/// A server that was started here.
pub(super) struct Server {
    child: Child,
    group: Option<Pid>,
    started: Instant,
    /// How its command ended, once it has.
    ended: Option<ExitStatus>,
    log: PathBuf,
    /// Somebody else's command stops it: it may go on when its own has ended.
    is_detached: bool,
}

/// Why a server does not answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoAnswer {
    /// Somebody stopped the run.
    Stopped,
    /// It is not there, or not in time.
    Failed(String),
}

impl Server {
    /// Runs the command in a shell, with its output in `log`.
    pub(super) fn start(command: &str, log: &Path, is_detached: bool) -> std::io::Result<Server> {
        let output = File::create(log)?;
        let started = Instant::now();
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "sh", command])
            .stdin(Stdio::piped())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        Ok(Server { child, group, started, ended: None, log: log.to_owned(), is_detached })
    }

    /// How its command ended, where it has and nothing else could be the server.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.filter(|status| !self.is_detached || !status.success())
    }

    /// Waits for the first whole answer; since the start it took so long.
    pub(super) fn ready(&mut self, engine: &Engine, patience: Duration) -> Result<Duration, NoAnswer> {
        let mut tried = None::<Instant>;
        loop {
            if engine.stop.load(Ordering::Relaxed) {
                return Err(NoAnswer::Stopped);
            }
            if let Some(status) = self.ended() {
                return Err(NoAnswer::Failed(
                    self.words(&format!("the start command ended ({status}) before the server answered")),
                ));
            }
            if tried.is_none_or(|tried| tried.elapsed() >= TRY) && engine.targets[0].is_healthy() {
                if answers(engine) {
                    return Ok(self.started.elapsed());
                }
                tried = Some(Instant::now());
            }
            if self.started.elapsed() >= patience {
                return Err(NoAnswer::Failed(
                    self.words(&format!("no whole answer came within {} s of the start", patience.as_secs())),
                ));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Stops it: by `stop`, else by SIGTERM; what is left of its group after `patience` is killed. Says what did not go as it should.
    pub(super) fn stop(mut self, stop: Option<&str>, (target, patience): (&Target, Duration)) -> Result<(), String> {
        let until = Instant::now() + patience;
        let mut done = Ok(());
        match stop {
            Some(command) => done = run(command, until),
            None => self.signal(Signal::TERM),
        }
        while Instant::now() < until && self.is_there(stop.is_some().then_some(target)) {
            std::thread::sleep(LOOK);
        }
        self.kill();
        if stop.is_some() && done.is_ok() && target.is_healthy() {
            done = Err(format!("the server still answers {} s after `stop`", patience.as_secs()));
        }
        done
    }

    /// Words with the end of what it wrote.
    pub(super) fn words(&self, why: &str) -> String {
        let mut text = Vec::new();
        // A log that cannot be read says nothing.
        File::open(&self.log).and_then(|mut file| file.read_to_end(&mut text)).ok();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(TAIL)..]).trim().to_owned();
        if text.is_empty() { why.to_owned() } else { format!("{why}; its last words: {text}") }
    }

    /// Whether anything of it is left: of its group without the watcher's being one, or at the URL where a command stops it.
    fn is_there(&mut self, at: Option<&Target>) -> bool {
        let runs = self.child.try_wait().is_ok_and(|ended| ended.is_none());
        match at {
            Some(target) => runs || target.is_healthy(),
            None => runs || self.group.is_some_and(|group| test_kill_process_group(group).is_ok()),
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // A group that is gone needs no signal.
            kill_process_group(group, signal).ok();
        }
    }

    fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One short request has a whole answer.
pub(super) fn answers(engine: &Engine) -> bool {
    let maker = Maker {
        source: Source::Synthetic { input: Lengths::Fixed(4), prefix: (0, 1) },
        output: Some(Lengths::Fixed(1)),
        ignore_eos: false,
        ..engine.maker.clone()
    };
    let short = Engine {
        targets: engine.targets.clone(),
        maker,
        n_workers: 1,
        stop: std::sync::Arc::new(AtomicBool::new(false)),
    };
    let patience = Duration::from_secs(30);
    let phase = Phase {
        pace: Pace::Open(vec![(Duration::ZERO, None)]),
        turns: Turns::Each,
        warm_up: Duration::ZERO,
        end: Duration::from_millis(1),
        drain: patience,
        timeout: patience,
        give_up: None,
        most: None,
        first_idx: u64::MAX / 2,
    };
    short.run(&phase, &|_| {}).samples.first().is_some_and(bench::sample::Sample::is_good)
}

/// Runs a command that stops a server.
fn run(command: &str, until: Instant) -> Result<(), String> {
    let spawned = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut child = spawned.map_err(|error| format!("cannot run `stop`: {error}"))?;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("`stop` failed ({status})")),
            _ if Instant::now() >= until => {
                child.kill().ok();
                child.wait().ok();
                return Err("`stop` did not end in time".to_owned());
            }
            _ => std::thread::sleep(LOOK),
        }
    }
}
