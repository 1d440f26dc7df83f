//! What only git knows: the files of a repository that has none checked out, and who wrote a line last. Asked of the `git` program,
//! of local data alone.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::out::Stop;

/// A repository by the directory that git keeps it in.
#[derive(Debug, Clone)]
pub(super) struct Git {
    directory: PathBuf,
}

/// A file of the last commit.
pub(super) struct Blob {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) size: u64,
}

impl Git {
    /// The repository that the directory is, when it is one without its files: bare, or the `.git` of another directory.
    pub(super) fn of_bare(root: &Path) -> Option<Git> {
        let is_one = root.join("HEAD").is_file() && root.join("objects").is_dir() && root.join("refs").is_dir();
        is_one.then(|| Git { directory: root.to_owned() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.arg("--git-dir").arg(&self.directory).stdin(Stdio::null()).stderr(Stdio::piped());
        quiet(&mut command);
        command
    }

    /// The files of the last commit.
    pub(super) fn files(&self) -> Result<Vec<Blob>, Stop> {
        let shown = self.directory.display();
        let done = self.command().args(["ls-tree", "-r", "-z", "--long", "--full-tree", "HEAD"]).output();
        let done = done.map_err(|error| {
            let stop =
                Stop::usage(format!("{shown} is a git repository without its files, and git cannot be run: {error}"));
            stop.hint("install git, or name a directory with the files")
        })?;
        if !done.status.success() {
            let words = String::from_utf8_lossy(&done.stderr);
            let words = words.lines().next().unwrap_or("git failed").to_owned();
            let stop = Stop::usage(format!("cannot list the files of the git repository {shown}: {words}"));
            return Err(stop.hint("HEAD has to name a commit: `git symbolic-ref HEAD refs/heads/BRANCH` sets it"));
        }
        let lines = done.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        Ok(lines.filter_map(|line| blob(&String::from_utf8_lossy(line))).collect())
    }

    /// A program that gives files out one after the other.
    pub(super) fn reader(&self) -> io::Result<Objects> {
        let mut child = self
            .command()
            .args(["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (Some(to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("git gives nothing out"));
        };
        Ok(Objects { child, to: Some(to), from: BufReader::new(from) })
    }
}

/// Nothing is fetched, asked or locked.
fn quiet(command: &mut Command) {
    let said = [("GIT_OPTIONAL_LOCKS", "0"), ("GIT_NO_LAZY_FETCH", "1"), ("GIT_TERMINAL_PROMPT", "0"), ("LC_ALL", "C")];
    command.envs(said);
    // Those of a hook that runs us would name another repository.
    for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"] {
        command.env_remove(name);
    }
}

/// `MODE blob ID SIZE\tPATH`; links and other repositories are left out.
fn blob(line: &str) -> Option<Blob> {
    let (head, path) = line.split_once('\t')?;
    let mut words = head.split_whitespace();
    let (mode, kind, id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let is_file = kind == "blob" && mode != "120000";
    is_file.then_some(())?;
    Some(Blob { path: path.to_owned(), id: id.to_owned(), size: size.parse().unwrap_or(0) })
}

/// A program that gives files out.
pub(super) struct Objects {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Objects {
    /// The content of a file.
    pub(super) fn read(&mut self, id: &str) -> io::Result<Vec<u8>> {
        let to = self.to.as_mut().ok_or_else(|| io::Error::other("git has ended"))?;
        writeln!(to, "{id}")?;
        to.flush()?;
        let mut head = String::new();
        self.from.read_line(&mut head)?;
        // `ID blob SIZE`, or `ID missing`
        let size = head.split_whitespace().nth(2).and_then(|size| size.parse::<usize>().ok());
        let size = size.ok_or_else(|| io::Error::other("git does not have it here"))?;
        let mut bytes = vec![0; size];
        self.from.read_exact(&mut bytes)?;
        self.from.read_exact(&mut [0])?;
        Ok(bytes)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // It ends when nothing more can be asked.
        self.to = None;
        self.child.wait().map(|_| ()).unwrap_or_default();
    }
}

/// Who wrote lines of a file last, by the line: addresses of mail. Lines that are in no commit have nobody.
pub(super) fn blame(root: &Path, path: &str, lines: &[u32]) -> Option<HashMap<u32, String>> {
    let mut command = Command::new("git");
    match Git::of_bare(root) {
        Some(git) => command.arg("--git-dir").arg(git.directory),
        None => command.arg("-C").arg(root),
    };
    quiet(&mut command);
    command.args(["-c", "core.fsmonitor=false", "blame", "--porcelain"]);
    for line in lines {
        command.arg("-L").arg(format!("{line},{line}"));
    }
    if Git::of_bare(root).is_some() {
        command.arg("HEAD");
    }
    let done = command.arg("--").arg(path).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    done.status.success().then(|| porcelain(&String::from_utf8_lossy(&done.stdout)))
}

/// The format of `git blame --porcelain`: what is known of a commit stands where it comes first.
fn porcelain(text: &str) -> HashMap<u32, String> {
    let mut mails: HashMap<&str, &str> = HashMap::new();
    let mut lines = HashMap::new();
    let (mut commit, mut number) = ("", 0);
    for line in text.lines() {
        if let Some(mail) = line.strip_prefix("author-mail ") {
            mails.insert(commit, mail.trim_matches(['<', '>']));
        } else if line.starts_with('\t') {
            if let Some(mail) = mails.get(commit).filter(|mail| **mail != "not.committed.yet") {
                lines.insert(number, (*mail).to_owned());
            }
        } else if let [id, _, at, ..] = line.split(' ').collect::<Vec<_>>()[..]
            && id.len() >= 40
            && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        {
            (commit, number) = (id, at.parse().unwrap_or(0));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_commit_have_the_same_author() {
        let (a, b) = ("a".repeat(40), "0".repeat(40));
        let text = format!(
            "{a} 1 1 1\nauthor A\nauthor-mail <a@example.com>\nsummary author-mail x\nfilename f\n\tone\n{a} 4 5 1\n\ttwo\n\
             {b} 9 9 1\nauthor-mail <not.committed.yet>\n\tthree\n"
        );
        let found = porcelain(&text);
        assert_eq!(found.get(&1).map(String::as_str), Some("a@example.com"));
        assert_eq!(found.get(&5).map(String::as_str), Some("a@example.com"));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn links_and_other_repositories_are_no_files() {
        let id = "1".repeat(40);
        assert!(
            blob(&format!("100644 blob {id}      12\ta b.py"))
                .is_some_and(|blob| blob.path == "a b.py" && blob.size == 12)
        );
        assert!(blob(&format!("120000 blob {id}      12\ta")).is_none());
        assert!(blob(&format!("160000 commit {id}       -\ta")).is_none());
    }
}
