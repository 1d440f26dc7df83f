//! A browser that is spoken to over two pipes (the DevTools protocol, messages of JSON that end with a zero byte). It reads and writes no file of ours, so it
//! may be a headless shell without the page that `--print-to-pdf` needs, or one that sees another file system.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use super::error_of;

/// The browser reads from descriptor 3 and writes to 4: the shell puts our two pipes there.
const BEGIN: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#;
/// How long one that was asked to end may take.
const GOODBYE: Duration = Duration::from_secs(3);

/// One that runs. When it is dropped, it and all that it started are ended.
pub(super) struct Browser {
    child: Child,
    questions: SyncSender<Vec<u8>>,
    answers: Receiver<Vec<u8>>,
    deadline: Instant,
    patience: Duration,
    n: u64,
    profile: PathBuf,
}

impl Browser {
    /// Starts the one at `path`; everything has to be done by `deadline`.
    ///
    /// # Errors
    /// When it does not start.
    pub(super) fn start(path: &Path, deadline: Instant, patience: Duration) -> Result<Browser, String> {
        let profile = std::env::temp_dir().join(format!("crossfade-report-{}", std::process::id()));
        std::fs::create_dir_all(&profile).map_err(|error| format!("no directory for its profile: {error}"))?;
        let log = std::fs::File::create(profile.join("log")).map_err(|error| error.to_string())?;
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(BEGIN).arg(path).args(["--headless", "--disable-gpu", "--no-first-run"]);
        command.args(["--disable-extensions", "--disable-dev-shm-usage", "--remote-debugging-pipe"]);
        if rustix::process::geteuid().is_root() {
            // Chromium refuses to run as root with its own sandbox, as in a container.
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", profile.join("profile").display()));
        // A group of its own, so that all of it can be ended.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut child = command.spawn().map_err(|error| format!("it does not start: {error}"))?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (questions, asked) = sync_channel(4);
        let (answered, answers) = sync_channel(64);
        // Both threads end with the pipes, which end with the browser.
        std::thread::spawn(move || write(stdin, &asked));
        std::thread::spawn(move || read(stdout, &answered));
        Ok(Browser { child, questions, answers, deadline, patience, n: 0, profile })
    }

    /// What a method answers.
    ///
    /// # Errors
    /// When it ends, refuses, or takes too long.
    pub(super) fn call(&mut self, method: &str, params: &Value, session: Option<&str>) -> Result<Value, String> {
        self.n += 1;
        let mut message = json!({ "id": self.n, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.questions.send(bytes).map_err(|_| "it ended".to_owned())?;
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            let answer = self.answers.recv_timeout(left).map_err(|error| match error {
                RecvTimeoutError::Timeout => format!("it took longer than {} s", self.patience.as_secs()),
                RecvTimeoutError::Disconnected => "it ended".to_owned(),
            })?;
            // What is not an answer to this tells of something that happened.
            let Ok(mut answer) = serde_json::from_slice::<Value>(&answer) else { continue };
            if answer["id"].as_u64() == Some(self.n) {
                return error_of(&answer).map_or_else(|| Ok(answer["result"].take()), Err);
            }
        }
    }

    /// Why it did not print, with what it said last where it ended by itself.
    pub(super) fn died_of(&mut self, why: String) -> String {
        if why != "it ended" {
            return why;
        }
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let said = std::fs::read(self.profile.join("log")).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        let line = said.lines().rev().find(|line| !line.trim().is_empty() && !line.contains("dbus"));
        let line: String = line.unwrap_or_default().chars().take(200).collect();
        format!("it ended with {status}{}{line}", if line.is_empty() { "" } else { ": " })
    }

    /// Asks it to end, and waits a little.
    pub(super) fn close(mut self) {
        self.deadline = Instant::now() + GOODBYE;
        drop(self.call("Browser.close", &json!({}), None));
        while Instant::now() < self.deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Of its own group; where the leader has ended, the rest of it is ended all the same.
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Where nobody of it is left there is nothing to end.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
        drop(self.child.wait());
        // The profile is Chromium's; where it still writes, it stays.
        drop(std::fs::remove_dir_all(&self.profile));
    }
}

fn write(stdin: Option<ChildStdin>, asked: &Receiver<Vec<u8>>) {
    let Some(mut stdin) = stdin else { return };
    while let Ok(bytes) = asked.recv() {
        if stdin.write_all(&bytes).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read(stdout: Option<ChildStdout>, answered: &SyncSender<Vec<u8>>) {
    let Some(stdout) = stdout else { return };
    let mut stdout = BufReader::new(stdout);
    loop {
        let mut bytes = Vec::new();
        match stdout.read_until(0, &mut bytes) {
            Ok(n) if n > 0 => {}
            _ => return,
        }
        bytes.pop();
        if answered.send(bytes).is_err() {
            return;
        }
    }
}
