//! The root that commands see: a `tmpfs` with the system's directories in it, read-only, and nothing else of the machine's files.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sched::CloneFlags;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_remount, unmount,
};
use rustix::process::pivot_root;
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::{Failed, USER};
use crate::frame::Setup;

/// Where the new root is put together.
const BASE: &str = "/tmp";
/// The directory in which commands are run.
pub(super) const BOX: &str = "/box";
/// What a program needs of the system. What is not there is left out.
const SYSTEM: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/java",
];
/// Devices without a device behind them.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
/// Files and directories in all of the `tmpfs`.
const MOST_FILES: u32 = 65_536;

/// Namespaces of our own. The next process started is the first of the new one.
pub(super) fn take_namespaces() -> Result<(), Failed> {
    let all = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP;
    nix::sched::unshare(all).map_err(Failed::at("no namespaces (unshare)"))
}

/// Something to be shown in the house.
enum Shown {
    Link(PathBuf),
    Opened { what: OwnedFd, is_directory: bool },
}

/// Builds it. Everything is looked up before we become another user: the directories above what is shown may be closed to that one.
pub(super) fn build(setup: &Setup) -> Result<(), Failed> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .map_err(Failed::at("mounts cannot be made private"))?;
    let mut shown = Vec::new();
    for path in SYSTEM.iter().map(Path::new) {
        match look(path, true) {
            Ok(found) => shown.push((path.to_owned(), found)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Failed::at(path.display())(error)),
        }
    }
    for path in &setup.read {
        let found = look(path, false)
            .map_err(|error| Failed { why: format!("`read` {}: {error}", path.display()), forbidden: false })?;
        if !SYSTEM.iter().any(|known| path.starts_with(known)) {
            shown.push((path.clone(), found));
        }
    }
    if setup.other_user {
        become_other().map_err(Failed::at("the user cannot be changed"))?;
    }
    let size = format!("size={},nr_inodes={MOST_FILES},mode=0755", setup.disk_bytes);
    let size = CString::new(size).map_err(Failed::at("tmpfs"))?;
    mount("tmpfs", BASE, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, size.as_c_str())
        .map_err(Failed::at("no tmpfs"))?;
    furnish(&shown).map_err(Failed::at("the root of the sandbox"))?;
    read_only().map_err(Failed::at("what is shown cannot be made read-only"))?;
    devices().map_err(Failed::at("the devices of the sandbox"))
}

fn look(path: &Path, keep_links: bool) -> io::Result<Shown> {
    if keep_links && fs::symlink_metadata(path)?.is_symlink() {
        return fs::read_link(path).map(Shown::Link);
    }
    let what = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let is_directory = FileType::from_raw_mode(rustix::fs::fstat(&what)?.st_mode) == FileType::Directory;
    Ok(Shown::Opened { what, is_directory })
}

fn become_other() -> io::Result<()> {
    let (group, user) = (Gid::from_raw(USER), Uid::from_raw(USER));
    set_thread_groups(&[])?;
    set_thread_res_gid(group, group, group)?;
    Ok(set_thread_res_uid(user, user, user)?)
}

fn furnish(shown: &[(PathBuf, Shown)]) -> io::Result<()> {
    for directory in ["old", "proc", "dev", "dev/shm", "tmp", "etc", &BOX[1..]] {
        fs::create_dir(Path::new(BASE).join(directory))?;
    }
    let user = format!("user:x:{USER}:{USER}::/tmp:/bin/sh\n");
    fs::write(Path::new(BASE).join("etc/passwd"), user)?;
    fs::write(Path::new(BASE).join("etc/group"), format!("user:x:{USER}:\n"))?;
    fs::write(Path::new(BASE).join("etc/hosts"), "127.0.0.1 localhost\n")?;
    for (path, found) in shown {
        let Ok(below) = path.strip_prefix("/") else { continue };
        let place = Path::new(BASE).join(below);
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        match found {
            Shown::Link(to) => std::os::unix::fs::symlink(to, &place)?,
            Shown::Opened { what, is_directory } => {
                if *is_directory {
                    fs::create_dir_all(&place)?;
                } else if !place.exists() {
                    fs::write(&place, "")?;
                }
                mount_bind_recursive(format!("/proc/self/fd/{}", what.as_raw_fd()), &place)?;
            }
        }
    }
    Ok(())
}

/// Makes every mount below the new root read-only. The flags that a mount has cannot be taken from it here, so they are said again.
fn read_only() -> io::Result<()> {
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let mut fields = line.split(' ').skip(4);
        let (Some(place), Some(options)) = (fields.next(), fields.next()) else { continue };
        let place = unescaped(place);
        if !place.starts_with(&format!("{BASE}/")) {
            continue;
        }
        let has = |option: &str| options.split(',').any(|one| one == option);
        let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        flags.set(MountFlags::NOEXEC, has("noexec"));
        flags.set(MountFlags::NODIRATIME, has("nodiratime"));
        flags |= match () {
            () if has("noatime") => MountFlags::NOATIME,
            () if has("relatime") => MountFlags::RELATIME,
            () => MountFlags::STRICTATIME,
        };
        mount_remount(place.as_str(), flags, "").map_err(|error| io::Error::other(format!("{place}: {error}")))?;
    }
    Ok(())
}

/// A path as mountinfo writes it: blanks and backslashes in octal.
fn unescaped(text: &str) -> String {
    let mut plain = text.to_owned();
    for (code, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        plain = plain.replace(code, character);
    }
    plain
}

fn devices() -> io::Result<()> {
    let dev = Path::new(BASE).join("dev");
    for name in DEVICES {
        fs::write(dev.join(name), "")?;
        mount_bind(Path::new("/dev").join(name), dev.join(name))?;
    }
    for (name, to) in [("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1")] {
        std::os::unix::fs::symlink(to, dev.join(name))?;
    }
    std::os::unix::fs::symlink("/proc/self/fd/2", dev.join("stderr"))
}

/// Makes the new root the root, and the old one unreachable. What is mounted for the namespace's own processes is theirs only.
pub(super) fn move_in() -> Result<(), Failed> {
    let proc = Path::new(BASE).join("proc");
    mount("proc", &proc, "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)
        .map_err(Failed::at("no /proc of its own"))?;
    pivot_root(BASE, Path::new(BASE).join("old")).map_err(Failed::at("the root cannot be changed"))?;
    std::env::set_current_dir("/").map_err(Failed::at("the new root"))?;
    unmount("/old", UnmountFlags::DETACH).map_err(Failed::at("the old root cannot be let go"))?;
    fs::remove_dir("/old").map_err(Failed::at("the old root's place"))?;
    rustix::system::sethostname(b"sandbox").map_err(Failed::at("the name of the sandbox"))?;
    // In a namespace inside this one a command would have privileges again, over a part of the kernel that has had its holes.
    fs::write("/proc/sys/user/max_user_namespaces", "0").map_err(Failed::at("namespaces in the namespace"))
}
