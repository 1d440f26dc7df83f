//! Who starts a session and waits for it.

use std::path::PathBuf;

use crate::session::{Report, Session, Unavailable};

/// What may help where namespaces are not to be had.
const ALLOW: &str = "allow unprivileged user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, on Ubuntu \
                     kernel.apparmor_restrict_unprivileged_userns=0; in a container, a seccomp profile that lets `unshare` and `mount` through), \
                     or evaluate on another machine; `sandbox: none` runs code without protection";

/// Runs sessions. Any number of threads may ask it at once.
#[derive(Debug, Clone)]
pub struct Sandbox {
    program: PathBuf,
}

impl Sandbox {
    /// A sandbox whose stages are this program, which calls [`stage`](crate::stage).
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Sandbox {
        Sandbox { program: program.into() }
    }

    /// A sandbox whose stages are the program that is running, also when its file was replaced since it was started.
    #[must_use]
    pub fn of_this_program() -> Sandbox {
        Sandbox::new("/proc/self/exe")
    }

    /// Runs the commands and waits for them; the calling thread sleeps meanwhile.
    ///
    /// # Errors
    /// When there is no sandbox to be had: then nothing was run.
    pub fn run(&self, session: &Session) -> Result<Report, Unavailable> {
        run(&self.program, session)
    }
}

#[cfg(not(target_os = "linux"))]
fn run(_: &std::path::Path, _: &Session) -> Result<Report, Unavailable> {
    Err(Unavailable { why: "code is run on Linux only".to_owned(), hint: Some(ALLOW) })
}

#[cfg(target_os = "linux")]
use linux::run;

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, Read};
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::process::{Pid, Signal, geteuid, getgid, getuid, kill_process_group};

    use super::{ALLOW, Report, Session, Unavailable};
    use crate::STAGE;
    use crate::frame::{self, Said, Setup, Work};
    use crate::inside::USER;
    use crate::session::{Ended, Isolation, Ran};

    /// Beyond what the commands may take: for starting, building the house, and ending.
    const SLACK: Duration = Duration::from_secs(60);
    /// Who root becomes outside: nobody.
    const NOBODY: u32 = 65_534;

    pub(super) fn run(program: &Path, session: &Session) -> Result<Report, Unavailable> {
        let none = |why: String| Unavailable { why, hint: None };
        if let Some(path) = session.read.iter().find(|path| !path.is_absolute() || path.parent().is_none()) {
            return Err(none(format!("`{}` cannot be shown in the sandbox: name a directory, from /", path.display())));
        }
        let scratch = match session.isolation {
            Isolation::Namespaces => None,
            Isolation::None => Some(Scratch::new().map_err(|error| none(format!("no directory to work in: {error}")))?),
        };
        let other_user = session.isolation == Isolation::Namespaces && geteuid().is_root();
        let setup = Setup {
            isolation: session.isolation,
            disk_bytes: session.limits.disk_bytes,
            read: session.read.clone(),
            scratch: scratch.as_ref().map(|scratch| scratch.0.clone()),
            other_user,
        };
        let mut stage = Stage::start(program).map_err(|error| none(format!("no process for the sandbox: {error}")))?;
        let said = stage.serve(session, &setup);
        // Every process of the session is gone before its directory is taken away.
        drop(stage);
        drop(scratch);
        match said {
            Ok(Said::Report(report)) => Ok(report),
            Ok(Said::Failed { why, forbidden }) => Err(Unavailable { why, hint: forbidden.then_some(ALLOW) }),
            Ok(Said::Ready | Said::Begun) => Err(none("the sandbox did not get ready".to_owned())),
            Err(error) => Err(none(format!("the sandbox ended: {error}"))),
        }
    }

    /// The first stage, and with it all others: they end when this is dropped.
    struct Stage {
        child: Child,
        to: Option<ChildStdin>,
        from: Option<ChildStdout>,
    }

    impl Stage {
        fn start(program: &Path) -> io::Result<Stage> {
            let mut child = Command::new(program)
                .args([STAGE, "outer"])
                .env_clear()
                .current_dir("/")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()?;
            let (to, from) = (child.stdin.take(), child.stdout.take());
            Ok(Stage { child, to, from })
        }

        fn serve(&mut self, session: &Session, setup: &Setup) -> io::Result<Said> {
            let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
            let mut to = self.to.as_ref().ok_or_else(closed)?;
            let from = self.from.as_mut().ok_or_else(closed)?;
            frame::write(&mut to, setup)?;
            if setup.isolation == Isolation::Namespaces {
                let said = frame::read(Timed { from, until: Instant::now() + SLACK })?;
                if !matches!(said, Said::Ready) {
                    return Ok(said);
                }
                map(self.child.id(), setup.other_user)
                    .map_err(|error| io::Error::other(format!("its user cannot be mapped: {error}")))?;
                frame::write(&mut to, &())?;
            }
            // A stage that could not build the house does not read any more, and says why.
            let written = frame::write(&mut to, &Work::of(session));
            let said = frame::read(Timed { from, until: Instant::now() + SLACK });
            if said.is_err() {
                written?;
            }
            match said? {
                Said::Begun => {}
                other => return Ok(other),
            }
            let down = |why: String| Said::Report(Report { runs: vec![Ran::nothing(Ended::BroughtDown(why))] });
            Ok(match frame::read(Timed { from, until: Instant::now() + session.longest() + SLACK }) {
                Ok(Said::Failed { why, .. }) => down(why),
                Ok(said) => said,
                Err(error) => down(error.to_string()),
            })
        }
    }

    impl Drop for Stage {
        fn drop(&mut self) {
            // `init` ends when this closes, and the kernel ends what it started; the rest is for a stage that hangs.
            self.to = None;
            if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
                kill_process_group(group, Signal::KILL).unwrap_or_default();
            }
            self.child.wait().map(drop).unwrap_or_default();
            // Ends only when `init` is gone, who holds the other end: then every process of the namespace is.
            if let Some(from) = self.from.take() {
                let rest = Timed { from: &mut { from }, until: Instant::now() + Duration::from_secs(5) };
                io::copy(&mut { rest }, &mut io::sink()).map(drop).unwrap_or_default();
            }
        }
    }

    /// Says who is who in the namespace: one user there, who is us outside, or nobody where we are root.
    fn map(pid: u32, other_user: bool) -> io::Result<()> {
        let write = |file: &str, text: String| std::fs::write(format!("/proc/{pid}/{file}"), text);
        let (user, group) = if other_user { (NOBODY, NOBODY) } else { (getuid().as_raw(), getgid().as_raw()) };
        if !other_user {
            write("setgroups", "deny".to_owned())?;
        }
        write("gid_map", format!("{USER} {group} 1\n"))?;
        write("uid_map", format!("{USER} {user} 1\n"))
    }

    /// Reads a pipe, but not for ever.
    struct Timed<'p> {
        from: &'p mut ChildStdout,
        until: Instant,
    }

    impl Read for Timed<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let left = self.until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).ok();
            let mut ready = [PollFd::new(self.from, PollFlags::IN)];
            if poll(&mut ready, timeout.as_ref())? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.from.read(buffer)
        }
    }

    /// A directory of our own for what is run without isolation, removed when it is dropped.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> io::Result<Scratch> {
            static N_MADE: AtomicU64 = AtomicU64::new(0);
            use std::os::unix::fs::DirBuilderExt;
            let parent = std::env::temp_dir();
            loop {
                let n_made = N_MADE.fetch_add(1, Ordering::Relaxed);
                let path = parent.join(format!("crossfade-code-{}-{n_made}", std::process::id()));
                match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                    Ok(()) => return Ok(Scratch(path)),
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && n_made < 1_000_000 => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).unwrap_or_default();
        }
    }
}
