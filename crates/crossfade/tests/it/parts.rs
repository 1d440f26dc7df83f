//! A directory with a config, the binary run in it, and a client on a raw socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for a state before it says that it did not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two simulated providers, one route, one rollout that is not started. Compressed times, so that a promotion by evidence
/// is possible; every test names what it changes.
pub const CONFIG: &str = "\
listen: 127.0.0.1:0
admin: { listen: 127.0.0.1:0 }
shadow: { overload: false }
providers:
  old: { dialect: simulated, simulated: { seed: 1, time_to_first_token: { median: 1 }, output_tokens: { median: 4 } } }
  new: { dialect: simulated, simulated: { seed: 2, time_to_first_token: { median: 1 }, output_tokens: { median: 4 } } }
targets:
  gpt:  { provider: old, model: gpt-4o }
  qwen: { provider: new, model: qwen }
routes:
  gpt-4o: { target: gpt, workload: support }
workloads:
  support: { risk: medium }
rollouts:
  to-qwen:
    route: gpt-4o
    baseline: gpt
    candidate: qwen
    unit: request
    stages: { shadow: { sample: 1.0 }, canary: { shares: [0.5] }, majority: { shares: [0.9] } }
    policy: { warm_up: 0 }
";

/// What a run of the binary left.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    fn of(output: std::process::Output) -> Done {
        Done {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The same, checked for its exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Done {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}

/// A directory with a `crossfade.yaml`.
pub struct House {
    directory: TempDir,
}

impl House {
    pub fn new(config: &str) -> House {
        let house = House { directory: TempDir::new().unwrap() };
        house.write(config);
        house
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn write(&self, config: &str) {
        std::fs::write(self.path().join("crossfade.yaml"), config).unwrap();
    }

    /// A file in it.
    pub fn write_file(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.current_dir(self.path()).args(arguments).env_clear().env("USER", "tester");
        command
    }

    /// Runs a verb to its end.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.run_with(arguments, &[])
    }

    pub fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Done {
        Done::of(self.command(arguments).envs(environment.iter().copied()).output().unwrap())
    }

    /// Starts a verb that somebody waits for, or kills.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// Runs a verb that reads stdin.
    pub fn run_fed(&self, arguments: &[&str], stdin: &str) -> Done {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
        Done::of(child.wait_with_output().unwrap())
    }

    /// Starts the gateway and waits until it takes traffic.
    pub fn serve(&self) -> Gateway<'_> {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, environment: &[(&str, &str)]) -> Gateway<'_> {
        let addresses = self.path().join("addresses.json");
        let log = self.path().join("serve.log");
        // What a gateway before this one wrote is not this one's address.
        drop(std::fs::remove_file(&addresses));
        let log_file = std::fs::OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let mut child = self
            .command(&["serve", "--addresses-file", "addresses.json"])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(log_file)
            .spawn()
            .unwrap();
        let found = until(|| {
            let has_ended = child.try_wait().unwrap().is_some();
            (addresses.exists() || has_ended).then(|| std::fs::read_to_string(&addresses).ok())
        });
        let text = found.unwrap_or_else(|| panic!("the gateway ended:\n{}", std::fs::read_to_string(&log).unwrap()));
        let addresses: Value = serde_json::from_str(&text).unwrap();
        let address = |key: &str| addresses[key].as_str().unwrap().parse().unwrap();
        Gateway { house: self, child, data: address("data"), admin: address("admin"), log }
    }
}

/// A running gateway; killed when dropped.
pub struct Gateway<'a> {
    house: &'a House,
    child: Child,
    pub data: SocketAddr,
    pub admin: SocketAddr,
    log: PathBuf,
}

impl Gateway<'_> {
    /// Runs a verb against this gateway.
    pub fn run(&self, arguments: &[&str]) -> Done {
        self.house.run_with(arguments, &[("CROSSFADE_ADMIN", &self.admin.to_string())])
    }

    /// The same, with a key or token for the admin listener.
    pub fn run_as(&self, key: &str, arguments: &[&str]) -> Done {
        let environment = [("CROSSFADE_ADMIN", &*self.admin.to_string()), ("CROSSFADE_ADMIN_TOKEN", key)];
        self.house.run_with(arguments, &environment)
    }

    /// The status page as JSON, whatever the exit code.
    pub fn status(&self) -> Value {
        self.run(&["rollout", "status", "to-qwen", "--format", "json"]).json()
    }

    /// One chat by route name.
    pub fn chat(&self, route: &str, text: &str) -> Answer {
        let body = serde_json::json!({ "model": route, "messages": [{ "role": "user", "content": text }] });
        post(self.data, "/v1/chat/completions", &body.to_string())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// SIGTERM, and its exit code.
    pub fn stop(mut self) -> i32 {
        self.signal("-TERM");
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Gateway<'_> {
    fn drop(&mut self) {
        // Gone already when it was stopped.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What came back over HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

pub fn post(address: SocketAddr, path: &str, body: &str) -> Answer {
    let length = body.len();
    exchange(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\nauthorization: Bearer {CALLER_KEY}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// One request with these headers.
pub fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    exchange(
        address,
        &format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    )
}

pub fn get(address: SocketAddr, path: &str) -> Answer {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"))
}

/// Sent with every request; nothing may ever write it down.
pub const CALLER_KEY: &str = "sk-canary-caller-3f9a";

fn exchange(address: SocketAddr, request: &str) -> Answer {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in `{answer}`"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// Waits for a state: until `look` finds something.
#[track_caller]
pub fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come to that within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// [`CONFIG`] with other stages and another policy, each as it stands between the braces.
pub fn with_policy(stages: &str, policy: &str) -> String {
    let (before, _) = CONFIG.split_once("    stages: ").unwrap();
    format!("{before}    stages: {{ {stages} }}\n    policy: {{ warm_up: 0, requires: [], {policy} }}\n")
}

/// Gates that a handful of good answers proves.
pub const WIDE_GATES: &str = "gates: { error: { margin: 0.3 }, format: { margin: 0.3 }, tool_call: { margin: 0.3 } }";
