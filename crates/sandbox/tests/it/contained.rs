use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use sandbox::{Ended, Isolation, Limits, Ran, Run, Sandbox, Session};

const PYTHON: &str = "/usr/bin/python3";
const MIB: u64 = 1 << 20;

fn sandbox() -> Sandbox {
    Sandbox::new(env!("CARGO_BIN_EXE_sandbox-stage"))
}

fn limits() -> Limits {
    Limits { cpu_seconds: 5, wall_ms: 60_000, disk_bytes: 32 * MIB, file_bytes: 8 * MIB, ..Limits::default() }
}

fn session(runs: Vec<Run>) -> Session {
    let (read, environment) = (Vec::new(), BTreeMap::new());
    Session { isolation: Isolation::Namespaces, limits: limits(), read, environment, runs }
}

fn python(code: &str) -> Run {
    let files = BTreeMap::from([("attack.py".to_owned(), code.to_owned())]);
    Run { files, command: vec![PYTHON.to_owned(), "attack.py".to_owned()], ..Run::default() }
}

fn shell(code: &str) -> Run {
    Run { command: ["sh", "-c", code].map(str::to_owned).to_vec(), ..Run::default() }
}

/// Whether this machine has what the tests take; said where it has not.
fn is_possible() -> bool {
    if !Path::new(PYTHON).exists() {
        eprintln!("skipped: there is no {PYTHON} here");
        return false;
    }
    match sandbox().run(&session(vec![shell("true")])) {
        Ok(_) => true,
        Err(unavailable) => {
            eprintln!("skipped: no sandbox on this machine: {unavailable}");
            assert!(unavailable.hint.is_some(), "{unavailable}");
            false
        }
    }
}

/// Runs them where there is a sandbox, and hands over what came of each.
fn check(session: &Session, expect: impl FnOnce(&[Ran])) {
    if is_possible() {
        expect(&sandbox().run(session).unwrap().runs);
    }
}

/// Runs some Python under other limits.
fn attack(code: &str, limits: Limits, expect: impl FnOnce(&Ran)) {
    let session = Session { limits, ..session(vec![python(code)]) };
    check(&session, |runs| expect(&runs[0]));
}

/// Processes of the machine that carry the mark in their command line, this one apart.
fn marked(mark: &str) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path().join("cmdline"));
    let own = PathBuf::from(format!("/proc/{}/cmdline", std::process::id()));
    processes
        .filter(|path| *path != own)
        .filter(|path| std::fs::read(path).is_ok_and(|text| String::from_utf8_lossy(&text).contains(mark)))
        .collect()
}

#[test]
fn what_behaves_is_run_in_its_directory_and_told_apart_from_what_does_not() {
    let write = Run { collect: Some("out/result.txt".to_owned()), ..shell("mkdir out && cat > out/result.txt && pwd") };
    let runs = vec![
        Run { stdin: "as it came\n".to_owned(), ..write },
        shell("cat out/result.txt; echo wrong >&2; exit 7"),
        Run { command: vec!["no-such-program".to_owned()], ..Run::default() },
        Run { needed: true, ..shell("exit 1") },
        shell("echo never"),
    ];
    check(&session(runs), |runs| {
        assert_eq!(runs.len(), 4);
        assert_eq!((&runs[0].ended, runs[0].stdout.text.as_str()), (&Ended::Exit(0), "/box\n"));
        assert_eq!(runs[0].collected.as_deref(), Some("as it came\n"));
        assert_eq!((&runs[1].ended, runs[1].stdout.text.as_str()), (&Ended::Exit(7), "as it came\n"));
        assert_eq!(runs[1].stderr.text, "wrong\n");
        assert_eq!(runs[2].ended, Ended::NoProgram);
    });
}

#[test]
fn an_endless_loop_ends_when_its_cpu_time_is_up() {
    let limits = Limits { cpu_seconds: 1, ..limits() };
    attack("while True: pass", limits, |ran| assert_eq!(ran.ended, Ended::CpuTime));
    let ignoring = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass";
    attack(ignoring, limits, |ran| assert_eq!(ran.ended, Ended::Signal(9)));
}

#[test]
fn what_only_waits_ends_when_its_time_is_up() {
    let limits = Limits { wall_ms: 300, ..limits() };
    let code = "import time, signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(3600)";
    attack(code, limits, |ran| assert_eq!(ran.ended, Ended::WallTime));
}

#[test]
fn a_fork_bomb_finds_no_place_and_leaves_nobody() {
    let code = "import os\nn = 0\ntry:\n    while True:\n        if os.fork() == 0:\n            import time; time.sleep(3600)\n        n += 1\nexcept BlockingIOError:\n    print(n)";
    let bounded = Limits { processes: 20, ..limits() };
    attack(code, bounded, |ran| {
        assert_eq!(ran.ended, Ended::Exit(0), "{ran:?}");
        let n: u64 = ran.stdout.text.trim().parse().unwrap();
        assert!((10..=20).contains(&n), "{n} processes");
    });
    // One that goes on trying, in every process, until its time is up.
    let mark = format!("mark-bomb-{}", std::process::id());
    let bomb = shell(&format!(": {mark}; f() {{ f | f & wait; }}; f; sleep 3600"));
    let session =
        Session { limits: Limits { wall_ms: 1500, ..bounded }, ..session(vec![bomb, shell("echo still here")]) };
    check(&session, |runs| {
        assert_eq!(runs[1].stdout.text, "still here\n", "{runs:?}");
        assert_eq!(marked(&mark), Vec::<PathBuf>::new());
    });
}

#[test]
fn memory_ends_at_its_limit_in_one_process_and_in_many() {
    let hog = "held = []\nwhile True: held.append(bytearray(b'x' * (1 << 20)))";
    let small = Limits { address_space_bytes: 256 * MIB, ..limits() };
    attack(hog, small, |ran| assert!(ran.stderr.text.contains("MemoryError"), "{ran:?}"));
    let together = Limits { memory_bytes: 100 * MIB, ..limits() };
    attack(hog, together, |ran| assert_eq!(ran.ended, Ended::Memory));
    let many = "import os, time\nfor _ in range(12):\n    if os.fork() == 0:\n        held = bytearray(b'x' * (20 << 20)); time.sleep(3600)\ntime.sleep(3600)";
    attack(many, together, |ran| assert_eq!(ran.ended, Ended::Memory));
}

#[test]
fn files_end_at_their_limits_and_output_is_kept_in_part() {
    let one = "try:\n    open('large', 'wb').write(b'x' * (64 << 20))\nexcept OSError as error: print(error.errno)";
    attack(one, limits(), |ran| assert_eq!(ran.stdout.text, "27\n", "{ran:?}"));
    let many = "import os\ntry:\n    for n in range(1000): open(f'f{n}', 'wb').write(b'x' * (1 << 20))\nexcept OSError as error:\n    os.remove('f0')\n    print(n < 33, error.errno)";
    attack(many, limits(), |ran| assert_eq!(ran.stdout.text, "True 28\n", "{ran:?}"));
    check(&session(vec![shell("exec yes 0123456789")]), |runs| {
        assert_eq!(runs[0].ended, Ended::Signal(25));
        assert!(!runs[0].stdout.whole && runs[0].stdout.text.len() < 70_000, "{}", runs[0].stdout.text.len());
        assert!(runs[0].stdout.text.contains("bytes left out"));
    });
}

#[test]
fn nothing_outside_is_read_or_written() {
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret.txt");
    std::fs::write(&secret, "canary").unwrap();
    let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
    let code = format!(
        "import os\nfor path in [{secret:?}, {home:?}, '/root', '/home', '/var', '/run', '/sys', '/old', '/etc/shadow', '/etc/hostname']:\n    print(path, os.path.exists(path))\nfor path in ['/usr/planted', '/bin/planted', '/usr/lib/planted', {:?}]:\n    try:\n        open(path, 'w').write('x'); print('wrote', path)\n    except OSError: pass\nfor name in os.listdir('/'): print('root', name)",
        directory.path().join("planted")
    );
    attack(&code, limits(), |ran| {
        assert_eq!(ran.ended, Ended::Exit(0), "{ran:?}");
        assert!(!ran.stdout.text.contains(" True") && !ran.stdout.text.contains("wrote"), "{}", ran.stdout.text);
        for name in ran.stdout.text.lines().filter_map(|line| line.strip_prefix("root ")) {
            let known =
                ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix", "etc", "proc", "dev", "tmp", "box"];
            assert!(known.contains(&name), "{name}");
        }
    });
    assert!(!Path::new("/usr/planted").exists() && std::fs::read_dir(directory.path()).unwrap().count() == 1);
    // What the owner shows is there, and not to be written.
    let shown = format!(
        "import os\nprint(open({secret:?}).read())\ntry: open({secret:?}, 'a').write('x')\nexcept OSError: print('kept')"
    );
    let session = Session { read: vec![directory.path().to_owned()], ..session(vec![python(&shown)]) };
    check(&session, |runs| assert_eq!(runs[0].stdout.text, "canary\nkept\n", "{runs:?}"));
}

#[test]
fn no_variable_of_ours_is_seen() {
    let code = "import os\nprint(sorted(os.environ))\nfor path in ['/proc/1/environ', '/proc/1/mem', '/proc/1/fd/1', '/proc/1/fd/0']:\n    try: open(path, 'rb').read(); print('opened', path)\n    except OSError: pass\nprint(open('/proc/1/cmdline').read())";
    attack(code, limits(), |ran| {
        let first = ran.stdout.text.lines().next().unwrap_or_default();
        assert_eq!(first.replace(", 'LC_CTYPE'", ""), "['HOME', 'LANG', 'PATH', 'TMPDIR']", "{ran:?}");
        assert!(!ran.stdout.text.contains("opened"), "{ran:?}");
        assert!(ran.stdout.text.contains("sandbox-stage\0init"), "the namespace has processes of its own: {ran:?}");
    });
}

#[test]
fn nobody_is_called_on_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let code = format!(
        "import socket\nfor address in [('127.0.0.1', {port}), ('10.0.0.1', 80), ('8.8.8.8', 53)]:\n    try:\n        socket.create_connection(address, 2); print('connected', address)\n    except OSError as error: print(error.errno)\ntry:\n    socket.getaddrinfo('example.org', 80); print('connected by name')\nexcept OSError: pass"
    );
    attack(&code, limits(), |ran| {
        assert_eq!(ran.ended, Ended::Exit(0), "{ran:?}");
        assert!(!ran.stdout.text.contains("connected"), "{ran:?}");
    });
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn a_grandchild_that_went_its_own_way_is_ended_with_the_rest() {
    let mark = format!("mark-daemon-{}", std::process::id());
    let code = format!(
        "import os, time, signal\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        for s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)\n        open('begun', 'w').close()\n        os.execvp('sh', ['sh', '-c', ': {mark}; while :; do date >> alive; sleep 0.01; done'])\n    os._exit(0)\nwhile not os.path.exists('begun'): time.sleep(0.01)"
    );
    let look = shell("rm -f alive; sleep 0.3; test ! -e alive && ls /proc | grep -c '^[0-9]'");
    check(&session(vec![python(&code), look]), |runs| {
        assert_eq!(runs[0].ended, Ended::Exit(0), "{runs:?}");
        assert!(runs[1].ended.is_success(), "it goes on: {runs:?}");
        assert_eq!(marked(&mark), Vec::<PathBuf>::new());
    });
}

#[test]
fn links_and_pipes_lead_nowhere() {
    let plant = "import os\nos.remove('attack.py')\nos.symlink('/proc/self/environ', 'result')\nos.mkfifo('pipe')\nos.symlink('/proc/sys/kernel', 'tests')\nos.symlink('/usr/bin/python3', 'run.py')\nos.rename('/box', '/elsewhere')\nos.symlink('/usr', '/box')";
    let file =
        |name: &str| Run { files: BTreeMap::from([(name.to_owned(), "print(6 * 7)".to_owned())]), ..shell("true") };
    let collect = |name: &str| Run { collect: Some(name.to_owned()), ..shell("true") };
    let runs = vec![
        python(plant),
        collect("result"),
        collect("pipe"),
        collect("../etc/passwd"),
        file("tests/hostname"),
        file("../etc/passwd"),
        Run { command: vec![PYTHON.to_owned(), "run.py".to_owned()], ..file("run.py") },
    ];
    check(&session(runs), |runs| {
        assert_eq!(runs[0].ended, Ended::Exit(0), "{runs:?}");
        assert!(runs[1..4].iter().all(|ran| ran.ended.is_success() && ran.collected.is_none()), "{runs:?}");
        assert!(runs[4..6].iter().all(|ran| matches!(ran.ended, Ended::NotStarted(_))), "{runs:?}");
        assert_eq!(runs[6].stdout.text, "42\n", "{runs:?}");
    });
}

#[test]
fn there_is_no_privilege_to_be_had() {
    let code = "import ctypes, os, signal\nlibc = ctypes.CDLL(None, use_errno=True)\nprint('user', os.getuid(), os.geteuid())\nfor line in open('/proc/self/status'):\n    if line.startswith(('CapEff', 'CapPrm', 'CapAmb', 'NoNewPrivs')): print(line.strip())\nprint('mount', libc.mount(b'tmpfs', b'/usr', b'tmpfs', 0, None))\nprint('remount', libc.mount(None, b'/usr', None, 32 | 4096, None))\nprint('umount', libc.umount2(b'/usr', 2))\nfor flag in (0x10000000, 0x20000000, 0x40000000): print('unshare', libc.unshare(flag))\nprint('setuid', libc.setuid(0))\nprint('ptrace', libc.ptrace(16, 1, 0, 0))\nos.kill(1, signal.SIGKILL)\nos.kill(1, signal.SIGTERM)\nprint('end')";
    attack(code, limits(), |ran| {
        assert_eq!(ran.ended, Ended::Exit(0), "{ran:?}");
        let said: Vec<&str> = ran.stdout.text.lines().collect();
        assert_eq!(said[0], "user 1000 1000");
        assert_eq!(said.last(), Some(&"end"));
        for line in said.iter().filter(|line| line.starts_with("Cap")) {
            assert!(line.ends_with("0000000000000000"), "{line}");
        }
        assert!(said.contains(&"NoNewPrivs:\t1"), "{said:?}");
        let calls: Vec<&&str> = said.iter().filter(|line| line.ends_with(" -1")).collect();
        assert_eq!(calls.len(), 8, "{said:?}");
    });
}

#[test]
fn what_brings_the_sandbox_down_has_failed_and_is_not_left_out() {
    // Limits of a process of one's own user may be lowered: the one that watches dies of it, and everything with it.
    let code = "import resource, time\nresource.prlimit(1, resource.RLIMIT_CPU, (0, 0))\nwhile True: time.sleep(0.01)";
    attack(code, Limits { wall_ms: 20_000, ..limits() }, |ran| {
        assert!(matches!(ran.ended, Ended::BroughtDown(_) | Ended::WallTime), "{ran:?}");
    });
    // No place is left for the next command's files.
    let full = "try:\n    for n in range(100000): open(f'f{n}', 'w').close()\nexcept OSError: pass";
    let files = BTreeMap::from([("more".to_owned(), "x".to_owned())]);
    check(&session(vec![python(full), Run { files, ..shell("true") }]), |runs| {
        assert!(matches!(runs[1].ended, Ended::NotStarted(_)), "{runs:?}");
    });
}

#[test]
fn no_open_file_of_ours_is_handed_on() {
    if !is_possible() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (script, canary) = (directory.path().join("stage"), directory.path().join("canary"));
    let text =
        format!("#!/bin/sh\nexec 7<>{} 9>&7\nexec {} \"$@\"\n", canary.display(), env!("CARGO_BIN_EXE_sandbox-stage"));
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let code = "import os\nfor n in range(3, 64):\n    try: os.write(n, b'x'); print('open', n)\n    except OSError: pass\nprint(sorted(os.listdir('/proc/self/fd')))";
    let report = Sandbox::new(&script).run(&session(vec![python(code)])).unwrap();
    // The fourth is the one by which they are listed.
    assert_eq!(report.runs[0].stdout.text, "['0', '1', '2', '3']\n", "{report:?}");
    assert!(canary.exists() && std::fs::read(&canary).unwrap().is_empty());
}

#[test]
fn where_there_are_no_namespaces_nothing_is_run_and_it_is_said_why() {
    // Inside a sandbox there is none to be had: the stage is started there by hand.
    let stage = PathBuf::from(env!("CARGO_BIN_EXE_sandbox-stage"));
    let setup = r#"{"isolation":"namespaces","disk_bytes":1000000,"read":[],"scratch":null,"other_user":false}"#;
    let length = char::from(u8::try_from(setup.len()).unwrap());
    let nested = Run {
        command: [stage.to_str().unwrap(), sandbox::STAGE, "outer"].map(str::to_owned).to_vec(),
        stdin: format!("{length}\0\0\0{setup}"),
        ..Run::default()
    };
    let session = Session { read: vec![stage.parent().unwrap().to_owned()], ..session(vec![nested]) };
    check(&session, |runs| {
        assert!(runs[0].stdout.text.contains("no namespaces (unshare)"), "{runs:?}");
        assert!(runs[0].stdout.text.contains(r#""forbidden":true"#), "{runs:?}");
    });
    let unavailable = Sandbox::new("/bin/false").run(&self::session(vec![shell("true")])).unwrap_err();
    assert!(unavailable.why.contains("the sandbox ended"), "{unavailable}");
}

#[test]
fn without_isolation_there_are_limits_and_nothing_stays() {
    if !is_possible() {
        return;
    }
    let mark = format!("mark-bare-{}", std::process::id());
    let daemon = format!("(setsid sh -c ': {mark}; sleep 3600' &) ; pwd");
    let bare = Session { isolation: Isolation::None, ..session(vec![shell(&daemon), python("while True: pass")]) };
    let bare = Session { limits: Limits { cpu_seconds: 1, ..limits() }, ..bare };
    let report = sandbox().run(&bare).unwrap();
    let place = report.runs[0].stdout.text.trim().to_owned();
    assert!(place.contains("crossfade-code-") && !Path::new(&place).exists(), "{place}");
    assert_eq!(marked(&mark), Vec::<PathBuf>::new());
    assert_eq!(report.runs[1].ended, Ended::CpuTime);
}

#[test]
fn whoever_started_it_takes_it_along() {
    if !is_possible() {
        return;
    }
    // The stage is started by a shell that is killed, as a worker is.
    let stage = env!("CARGO_BIN_EXE_sandbox-stage");
    let mark = format!("mark-orphan-{}", std::process::id());
    let run = serde_json::json!({
        "files": {}, "command": ["sh", "-c", format!(": {mark}; sleep 3600")], "stdin": "", "collect": null, "needed": false
    });
    let work = serde_json::json!({ "limits": limits(), "environment": {}, "runs": [run] });
    let scratch = tempfile::tempdir().unwrap();
    let setup = serde_json::json!({
        "isolation": "none", "disk_bytes": 1_000_000, "read": [], "scratch": scratch.path(), "other_user": false
    });
    let mut child = std::process::Command::new(stage)
        .args([sandbox::STAGE, "outer"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    for message in [setup.to_string(), work.to_string()] {
        to.write_all(&u32::try_from(message.len()).unwrap().to_le_bytes()).unwrap();
        to.write_all(message.as_bytes()).unwrap();
    }
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while marked(&mark).is_empty() {
        assert!(std::time::Instant::now() < deadline, "it never began");
        std::thread::yield_now();
    }
    drop(to);
    child.wait().unwrap();
    assert_eq!(marked(&mark), Vec::<PathBuf>::new());
}
/// Compilers take more than interpreters.
fn of_compilers(read: Vec<PathBuf>, runs: Vec<Run>) -> Session {
    let limits = Limits {
        cpu_seconds: 60,
        wall_ms: 300_000,
        memory_bytes: 1024 * MIB,
        disk_bytes: 128 * MIB,
        ..Limits::default()
    };
    Session { limits, read, ..session(runs) }
}

fn build_and_run(compiler: &str, (name, text): (&str, &str)) -> Vec<Run> {
    let files = BTreeMap::from([(name.to_owned(), text.to_owned())]);
    let command = [compiler, "-o", "program", name].map(str::to_owned).to_vec();
    let run = Run { command: vec!["./program".to_owned()], stdin: "6 7\n".to_owned(), ..Run::default() };
    vec![Run { files, command, needed: true, ..Run::default() }, run]
}

#[test]
fn c_is_compiled_and_run() {
    if !Path::new("/usr/bin/cc").exists() {
        eprintln!("skipped: there is no /usr/bin/cc here");
        return;
    }
    let good = "#include <stdio.h>\nint main(void) { int a, b; scanf(\"%d %d\", &a, &b); printf(\"%d\\n\", a * b); return 0; }\n";
    check(&of_compilers(Vec::new(), build_and_run("cc", ("main.c", good))), |runs| {
        assert_eq!(runs[1].stdout.text, "42\n", "{runs:?}");
    });
    check(&of_compilers(Vec::new(), build_and_run("cc", ("main.c", "int main(void) { return x; }\n"))), |runs| {
        assert!(runs.len() == 1 && runs[0].stderr.text.contains("undeclared"), "{runs:?}");
    });
}

#[test]
fn rust_of_a_toolchain_in_a_home_is_compiled_and_run() {
    let sysroot = std::process::Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = sysroot.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    let rustc = Path::new(sysroot.trim()).join("bin/rustc");
    if !rustc.exists() || !Path::new("/usr/bin/cc").exists() {
        eprintln!("skipped: there is no rustc, or no linker, here");
        return;
    }
    let good = "use std::io::Read;\nfn main() {\n    let mut text = String::new();\n    std::io::stdin().read_to_string(&mut text).unwrap();\n    println!(\"{}\", text.split_whitespace().map(|n| n.parse::<i32>().unwrap()).product::<i32>());\n}\n";
    let session =
        of_compilers(vec![PathBuf::from(sysroot.trim())], build_and_run(rustc.to_str().unwrap(), ("main.rs", good)));
    check(&session, |runs| assert_eq!(runs[1].stdout.text, "42\n", "{runs:?}"));
}
