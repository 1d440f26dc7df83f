//! A server that is started and killed here, as the operator's commands say.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bench::engine::Target;

use crate::out::Stop;

/// How often a server that starts is asked whether it is there.
const ASKED: Duration = Duration::from_millis(10);

/// A server that was started here. Whatever happens, it does not outlive this.
pub(super) struct Server {
    child: Child,
    started: Instant,
}

impl Server {
    /// Runs a command of the operator's in a shell that it takes the place of, so that a signal reaches it.
    pub(super) fn start(command: &str) -> Result<Server, Stop> {
        let started = Instant::now();
        let child = Command::new("sh")
            .args(["-c", &format!("exec {command}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Stop::failed(anyhow::anyhow!("cannot start `{command}`: {error}")))?;
        Ok(Server { child, started })
    }

    /// Since the command was given.
    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// SIGKILL, and waits until the process is gone.
    pub(super) fn kill(&mut self) {
        // One that is gone already needs no killing.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Whether it ended by itself.
    pub(super) fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until a connection is accepted; when that was, or `None` where it ended or took too long.
    pub(super) fn listening(&mut self, target: &Target, patience: Duration) -> Option<Instant> {
        self.once(patience, || target.is_listening())
    }

    /// The same for a good answer that needs no model.
    pub(super) fn healthy(&mut self, target: &Target, patience: Duration) -> Option<Instant> {
        self.once(patience, || target.is_healthy())
    }

    fn once(&mut self, patience: Duration, is_there: impl Fn() -> bool) -> Option<Instant> {
        while self.started.elapsed() < patience && !self.is_gone() {
            if is_there() {
                return Some(Instant::now());
            }
            std::thread::sleep(ASKED);
        }
        None
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
