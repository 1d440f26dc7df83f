//! Running the commands: their files, their time, their memory, and what they leave behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fstat, mkdirat, openat2, unlinkat};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, set_child_subreaper,
    set_dumpable_behavior, wait,
};

use super::house::BOX;
use crate::frame::{self, Said};
use crate::session::{Ended, Limits, Output, Ran, Report, Run};
use crate::{STAGE, frame::Work};

/// How long a look takes at most at whether a command has ended.
const LOOK: Duration = Duration::from_millis(5);
/// How often memory is counted.
const COUNT: Duration = Duration::from_millis(50);
/// Threads of ours that a limit of processes must leave room for.
const OURS: u64 = 2;

/// A place in which commands are run.
struct Place {
    /// The working directory, held open: whatever a command does to its name, this is it.
    work: OwnedFd,
    /// Where `HOME` and `TMPDIR` are.
    home: PathBuf,
    /// Whether this is process 1 of a namespace.
    isolated: bool,
}

/// Runs the commands as process 1 of the namespace.
pub(super) fn isolated(from: &File, to: &File) -> Said {
    said(from, to, || {
        // What we hold in memory is nobody's business inside either.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        Ok(Place { work: directory(Path::new(BOX))?, home: PathBuf::from("/tmp"), isolated: true })
    })
}

/// Runs them in a directory of the machine, with limits and without walls.
pub(super) fn bare(scratch: &Path, from: &File, to: &File) -> Said {
    said(from, to, || {
        // Orphans become ours, so that they can be found.
        set_child_subreaper(Some(rustix::process::getpid()))?;
        for name in ["work", "home"] {
            fs::create_dir(scratch.join(name))?;
        }
        Ok(Place { work: directory(&scratch.join("work"))?, home: scratch.join("home"), isolated: false })
    })
}

fn said(from: &File, to: &File, place: impl FnOnce() -> io::Result<Place>) -> Said {
    let worked = (|| {
        let place = place()?;
        let work: Work = frame::read(from)?;
        frame::write(to, &Said::Begun)?;
        session(&place, &work, from)
    })();
    match worked {
        Ok(report) => Said::Report(report),
        Err(error) => Said::Failed { why: format!("the sandbox: {error}"), forbidden: false },
    }
}

fn directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

fn session(place: &Place, work: &Work, from: &File) -> io::Result<Report> {
    let mut report = Report::default();
    for run in &work.runs {
        let ran = one(place, work, run, from)?;
        let goes_on = ran.ended.is_success() || !run.needed;
        report.runs.push(ran);
        if !goes_on {
            break;
        }
    }
    Ok(report)
}

fn one(place: &Place, work: &Work, run: &Run, from: &File) -> io::Result<Ran> {
    let not_run = Ran::nothing;
    for (name, text) in &run.files {
        if let Err(error) = put(&place.work, name, text) {
            return Ok(not_run(Ended::NotStarted(format!("the file `{name}` cannot be written: {error}"))));
        }
    }
    let environment = environment(place, &work.environment);
    let Some(program) = program(run.command.first(), environment.get("PATH"), &place.work) else {
        return Ok(not_run(Ended::NoProgram));
    };
    let mut files = [(); 3].map(|()| hidden(place));
    if let Some(Err(error)) = files.iter().find(|file| file.is_err()) {
        return Ok(not_run(Ended::NotStarted(format!("there is no place for its output: {error}"))));
    }
    let [Ok(stdin), Ok(stdout), Ok(stderr)] = &mut files else { return Err(io::ErrorKind::InvalidData.into()) };
    if let Err(error) = stdin.write_all(run.stdin.as_bytes()).and_then(|()| stdin.rewind()) {
        return Ok(not_run(Ended::NotStarted(format!("its input cannot be written: {error}"))));
    }
    let processes = if place.isolated { (work.limits.processes + OURS).to_string() } else { "-".to_owned() };
    let mut command = Command::new("/proc/self/exe");
    command.args([STAGE, "exec", &serde_json::to_string(&work.limits)?, &processes]).arg(program);
    command.args(run.command.iter().skip(1)).env_clear().envs(&environment).process_group(0);
    command.current_dir(format!("/proc/self/fd/{}", place.work.as_raw_fd()));
    command.stdin(stdin.try_clone()?).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let began = Instant::now();
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Ok(not_run(Ended::NotStarted(error.to_string()))),
    };
    drop(command);
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let ended = watch(place, &work.limits, (pid, began), from)?;
    let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    end_all(place, pid)?;
    let most = work.limits.output_bytes;
    Ok(Ran {
        ended,
        stdout: kept(stdout, most)?,
        stderr: kept(stderr, most)?,
        collected: run.collect.as_deref().and_then(|name| collected(&place.work, name, most)),
        wall_ms,
    })
}

fn environment(place: &Place, more: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let home = place.home.display().to_string();
    let plain = [
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("HOME", home.clone()),
        ("TMPDIR", home),
        ("LANG", "C.UTF-8".to_owned()),
    ];
    let mut all: BTreeMap<String, String> = plain.map(|(name, value)| (name.to_owned(), value)).into();
    all.extend(more.clone());
    all
}

/// The program's path; `None` when there is none. A name without a slash is looked up as a shell does it.
fn program(name: Option<&String>, path: Option<&String>, work: &OwnedFd) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let name = name.filter(|name| !name.is_empty())?;
    if name.contains('/') {
        let from = PathBuf::from(format!("/proc/self/fd/{}", work.as_raw_fd()));
        return from.join(name).exists().then(|| PathBuf::from(name));
    }
    let runs = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    path?.split(':').filter(|one| one.starts_with('/')).map(|one| Path::new(one).join(name)).find(runs)
}

/// A file without a name.
fn hidden(place: &Place) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut n_tried = 0;
    loop {
        let name = format!(".crossfade-{n_tried}");
        match beneath(&place.work, &name, flags) {
            Ok(file) => {
                unlinkat(&place.work, &name, AtFlags::empty())?;
                return Ok(file.into());
            }
            Err(Errno::EXIST) if n_tried < 1000 => n_tried += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Opens what is below the directory by plain names: never through a link, whoever made it.
fn beneath(directory: &OwnedFd, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mode = if flags.contains(OFlags::CREATE) { Mode::from_raw_mode(0o644) } else { Mode::empty() };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(directory, name, flags | OFlags::CLOEXEC, mode, resolve)
}

/// Puts a file into the working directory, in place of whatever has its name; a directory stays, and is an error.
fn put(work: &OwnedFd, name: &str, text: &str) -> io::Result<()> {
    let mut at = work.try_clone()?;
    let mut parts: Vec<&str> = name.split('/').collect();
    let last = parts.pop().filter(|last| !last.is_empty()).ok_or(io::ErrorKind::InvalidInput)?;
    for part in parts {
        if matches!(part, "" | "." | "..") {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match mkdirat(&at, part, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        at = beneath(&at, part, OFlags::DIRECTORY | OFlags::RDONLY)?;
    }
    match unlinkat(&at, last, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let file = beneath(&at, last, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
    File::from(file).write_all(text.as_bytes())
}

/// Reads a plain file of the working directory that is no larger than this.
fn collected(work: &OwnedFd, name: &str, most: u64) -> Option<String> {
    // A pipe would keep us waiting for whoever writes.
    let file = beneath(work, name, OFlags::RDONLY | OFlags::NONBLOCK).ok()?;
    let about = fstat(&file).ok()?;
    let is_plain = FileType::from_raw_mode(about.st_mode) == FileType::RegularFile;
    if !is_plain || u64::try_from(about.st_size).ok()? > most {
        return None;
    }
    let mut bytes = Vec::new();
    File::from(file).take(most).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// What was written, its middle left out where it is longer than what is kept.
fn kept(file: &mut File, most: u64) -> io::Result<Output> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut part = |from: u64, n: u64| -> io::Result<Vec<u8>> {
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(n).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    if length <= most {
        let text = String::from_utf8_lossy(&part(0, length)?).into_owned();
        return Ok(Output { text, whole: true });
    }
    let half = most / 2;
    let (first, last) = (part(0, half)?, part(length - half, half)?);
    let (first, last) = (String::from_utf8_lossy(&first), String::from_utf8_lossy(&last));
    let text = format!("{first}\n[{} bytes left out]\n{last}", length - 2 * half);
    Ok(Output { text, whole: false })
}

/// Waits until the command has ended, by itself or by us.
fn watch(place: &Place, limits: &Limits, (pid, began): (Pid, Instant), from: &File) -> io::Result<Ended> {
    let until = began + Duration::from_millis(limits.wall_ms);
    let mut counted = began;
    loop {
        // Orphans are ours to bury: a dead process counts until it is.
        while let Some((dead, status)) = any_dead()? {
            if dead == pid {
                return Ok(how(status));
            }
        }
        if Instant::now() >= until {
            return Ok(Ended::WallTime);
        }
        if place.isolated && counted.elapsed() >= COUNT {
            counted = Instant::now();
            if memory() > limits.memory_bytes {
                return Ok(Ended::Memory);
            }
        }
        let left = until.saturating_duration_since(Instant::now()).min(LOOK);
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut talk = [PollFd::from_borrowed_fd(from.as_fd(), PollFlags::empty())];
        match poll(&mut talk, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => {}
            // Whoever asked is gone, and so are we, and with us everything in the namespace.
            Ok(_) => {
                end_all(place, pid)?;
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// A child that has ended, if there is one.
fn any_dead() -> io::Result<Option<(Pid, WaitStatus)>> {
    match wait(WaitOptions::NOHANG) {
        Ok(found) => Ok(found),
        Err(Errno::CHILD) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn how(status: WaitStatus) -> Ended {
    const OUT_OF_CPU: i32 = 24;
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Ended::Exit(code),
        (None, Some(OUT_OF_CPU)) => Ended::CpuTime,
        (None, signal) => Ended::Signal(signal.unwrap_or_default()),
    }
}

/// Bytes of memory that processes other than this one have to themselves.
fn memory() -> u64 {
    let pages = processes().into_iter().filter_map(|pid| {
        let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let mut fields = text.split(' ').skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
        let (resident, shared) = (fields.next()?, fields.next()?);
        Some(resident.saturating_sub(shared))
    });
    pages.sum::<u64>().saturating_mul(rustix::param::page_size() as u64)
}

/// Processes that /proc shows, this one apart.
fn processes() -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(|pid| *pid != own).collect()
}

/// Ends the command and everything it started, and buries it.
fn end_all(place: &Place, pid: Pid) -> io::Result<()> {
    let give_up = Instant::now() + Duration::from_secs(10);
    loop {
        if place.isolated && std::process::id() == 1 {
            // To all that we can see, which is the namespace: in one go, so that none can start another meanwhile.
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(-1), nix::sys::signal::Signal::SIGKILL)
                .unwrap_or_default();
        } else {
            kill_process_group(pid, Signal::KILL).unwrap_or_default();
            for orphan in children() {
                kill_process(orphan, Signal::KILL).unwrap_or_default();
            }
        }
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                // None is left.
                Err(Errno::CHILD) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        if Instant::now() > give_up {
            return Err(io::Error::other("a process of the session does not end"));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Children of this process, as /proc says.
fn children() -> Vec<Pid> {
    let own = std::process::id().to_string();
    let is_ours = |pid: &i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name stands in parentheses and may hold anything; state and parent follow.
        text.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)) == Some(&own)
    };
    processes().into_iter().filter(is_ours).filter_map(Pid::from_raw).collect()
}
