//! The files of a directory or repository, read by as many threads as there are cores.

mod git;
mod list;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use inventory::scan::{self, Finding, Linker, OwnersFrom, Read, Wanted};
use serde::Serialize;

use self::list::{Candidate, List, Reader};
use super::cache::{Cache, Key, digest};
use crate::out::{Out, Stop};
use crate::verbs::eval::draw;

/// What came of directories.
#[derive(Default)]
pub(super) struct Scanned {
    pub(super) findings: Vec<Finding>,
    pub(super) counts: Counts,
    /// Files that were not looked into, and why.
    pub(super) not_read: Vec<NotRead>,
    /// Under which digests what was read of the files is kept.
    pub(super) used: Vec<Key>,
}

impl Scanned {
    /// Adds what came of another; its paths begin with the prefix.
    pub(super) fn add(&mut self, other: Scanned, prefix: &str) {
        self.counts.add(other.counts);
        self.used.extend(other.used);
        self.not_read
            .extend(other.not_read.into_iter().map(|of| NotRead { path: format!("{prefix}{}", of.path), ..of }));
        self.findings.extend(other.findings.into_iter().map(|mut finding| {
            finding.path.insert_str(0, prefix);
            if let Some(prompt) = &mut finding.prompt {
                prompt.path.insert_str(0, prefix);
            }
            finding
        }));
    }
}

/// A file or directory that was not looked into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NotRead {
    /// Its path from the root.
    pub(super) path: String,
    /// Why.
    pub(super) why: String,
}

/// What is looked into.
pub(super) struct Choice<'a> {
    /// Paths that are left out.
    pub(super) exclude: &'a [String],
    /// Whether files that a `.gitignore` names are looked into.
    pub(super) with_ignored: bool,
    /// Whether git is asked who wrote a site last, where CODEOWNERS says nobody.
    pub(super) with_blame: bool,
    /// Which files are of interest, by their names.
    pub(super) wants: fn(&str) -> bool,
}

impl Choice<'_> {
    fn excludes(&self, path: &str) -> bool {
        let is_under =
            |under: &str| path.strip_prefix(under).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.exclude.iter().any(|under| is_under(under.trim_start_matches("./").trim_end_matches('/')))
    }
}

/// How many files became what.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Counts {
    /// Files of a language or form that is looked into.
    pub(super) candidates: usize,
    /// Their lines.
    pub(super) lines: usize,
    /// Of them, files whose content was known from an earlier run.
    pub(super) kept: usize,
    /// Files that could not be read, or are no text.
    pub(super) unreadable: usize,
    /// Source files that no person wrote: minified or generated; looked through for keys only.
    pub(super) machine_made: usize,
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts) {
        self.candidates += other.candidates;
        self.lines += other.lines;
        self.kept += other.kept;
        self.unreadable += other.unreadable;
        self.machine_made += other.machine_made;
    }
}

/// A thread's stack: grammars and our own walk go deep in machine-made sources.
const STACK: usize = 32 << 20;

/// What was read of a file, and what that is kept under.
struct Seen {
    read: Read,
    key: Key,
    lines: usize,
    is_kept: bool,
}

/// Looks through a directory or a git repository.
pub(super) fn scan(root: &Path, choice: &Choice<'_>, cache: Option<&Cache>, out: &Out) -> Result<Scanned, Stop> {
    let mut list = list::list(root, choice)?;
    let mut not_read = std::mem::take(&mut list.not_read);
    let mut counts = Counts { candidates: list.candidates.len(), unreadable: not_read.len(), ..Counts::default() };
    let watch = Watch { is_drawn: std::io::stderr().is_terminal() && !out.is_json() };
    let seen = in_parallel(
        list.candidates.len(),
        "files",
        watch,
        || list.reader(),
        |reader, idx| read_one(reader, &list.candidates[idx], cache),
    );
    let (mut files, mut used, mut at) = (Vec::with_capacity(seen.len()), Vec::with_capacity(seen.len()), Vec::new());
    for (idx, (seen, candidate)) in seen.into_iter().zip(&list.candidates).enumerate() {
        match seen {
            Ok(seen) => {
                counts.lines += seen.lines;
                counts.kept += usize::from(seen.is_kept);
                counts.machine_made += usize::from(seen.read.is_machine_made());
                used.push(seen.key);
                files.push((candidate.shown.clone(), seen.read));
                at.push(idx);
            }
            Err(why) => {
                counts.unreadable += 1;
                not_read.push(NotRead { path: candidate.shown.clone(), why });
            }
        }
    }
    follow(&list, &at, &mut files, &mut used, cache, watch);
    // The process ends soon: giving back millions of small pieces of memory would only take time.
    let files = std::mem::ManuallyDrop::new(files);
    let linker = Linker::new(&files);
    let sites = in_parallel(linker.len(), "parts", watch, || (), |(), part| linker.sites(part));
    let mut findings = linker.findings(sites, &list.owners);
    if choice.with_blame {
        blame(root, &mut findings, watch);
    }
    Ok(Scanned { findings, counts, not_read, used })
}

/// Reads the text of every wanted file of a directory or repository, in the order of their paths.
pub(super) fn each<T: Send>(
    root: &Path,
    choice: &Choice<'_>,
    out: &Out,
    read: impl Fn(&str, &str) -> T + Sync,
) -> Result<Vec<T>, Stop> {
    let list = list::list(root, choice)?;
    let watch = Watch { is_drawn: std::io::stderr().is_terminal() && !out.is_json() };
    let one = |reader: &mut Reader, idx: usize| {
        let candidate = &list.candidates[idx];
        reader.text(candidate).ok().map(|text| read(&candidate.shown, &text))
    };
    let done = in_parallel(list.candidates.len(), "files", watch, || list.reader(), one);
    Ok(done.into_iter().flatten().collect())
}

fn read_one(reader: &mut Reader, candidate: &Candidate, cache: Option<&Cache>) -> Result<Seen, String> {
    let text = reader.text(candidate)?;
    let ends = text.bytes().filter(|byte| *byte == b'\n').count();
    let lines = ends + usize::from(!text.is_empty() && !text.ends_with('\n'));
    let (read, key, is_kept) = kept_or_read(candidate, &text, false, cache);
    Ok(Seen { read, key, lines, is_kept })
}

fn kept_or_read(candidate: &Candidate, text: &str, is_followed: bool, cache: Option<&Cache>) -> (Read, Key, bool) {
    let key = digest(&candidate.shown, text, is_followed);
    if let Some(read) = cache.and_then(|cache| cache.get(&key)) {
        return (read, key, true);
    }
    let read = scan::read(&candidate.shown, text, is_followed);
    if let Some(cache) = cache {
        cache.keep(&key, &read);
    }
    (read, key, false)
}

/// Reads files that name no vendor, but a client or model that another file makes.
fn follow(
    list: &List,
    at: &[usize],
    files: &mut [(String, Read)],
    used: &mut Vec<Key>,
    cache: Option<&Cache>,
    watch: Watch,
) {
    let linker = Linker::new(files);
    let shared = in_parallel(linker.len(), "parts", watch, || (), |(), part| linker.shared(part));
    let Some(wanted) = Wanted::of(shared.into_iter().flatten()) else { return };
    let passed_over: Vec<usize> = (0..files.len()).filter(|idx| files[*idx].1.was_passed_over()).collect();
    let followed = in_parallel(
        passed_over.len(),
        "other files",
        watch,
        || list.reader(),
        |reader, idx| {
            let candidate = &list.candidates[at[passed_over[idx]]];
            let text = reader.text(candidate).ok().filter(|text| wanted.is_in(text))?;
            Some(kept_or_read(candidate, &text, true, cache))
        },
    );
    for (idx, found) in passed_over.into_iter().zip(followed) {
        if let Some((read, key, _)) = found {
            files[idx].1 = read;
            used.push(key);
        }
    }
}

/// Names who wrote a call site last, where nobody is said to own it.
fn blame(root: &Path, findings: &mut [Finding], watch: Watch) {
    let mut lines: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| finding.kind.is_site() && finding.owners.is_empty()) {
        lines.entry(finding.path.clone()).or_default().push(finding.line);
    }
    let files: Vec<(&String, &Vec<u32>)> = lines.iter().collect();
    let found = in_parallel(
        files.len(),
        "files with sites",
        watch,
        || (),
        |(), idx| git::blame(root, files[idx].0, files[idx].1),
    );
    let authors: BTreeMap<(&str, u32), String> = files
        .iter()
        .zip(found)
        .flat_map(|((path, _), lines)| {
            lines.into_iter().flatten().map(move |(line, mail)| ((path.as_str(), line), mail))
        })
        .collect();
    for finding in findings.iter_mut().filter(|finding| finding.kind.is_site() && finding.owners.is_empty()) {
        if let Some(mail) = authors.get(&(finding.path.as_str(), finding.line)) {
            finding.owners = vec![mail.clone()];
            finding.owners_from = Some(OwnersFrom::Blame);
        }
    }
}

/// Whether somebody sees how far it is.
#[derive(Clone, Copy)]
struct Watch {
    is_drawn: bool,
}

/// Does something for each of `n` things on every core; what comes of it is in their order.
fn in_parallel<S, T: Send>(
    n: usize,
    what: &str,
    watch: Watch,
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let whole = Mutex::new(Vec::with_capacity(n));
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(16);
    let take = || {
        let mut own = Vec::new();
        let mut state = begin();
        loop {
            let idx = next.fetch_add(1, Ordering::Relaxed);
            if idx >= n {
                break;
            }
            if watch.is_drawn && idx.is_multiple_of(64) {
                draw(&bar(idx, n, what));
            }
            own.push((idx, work(&mut state, idx)));
        }
        if let Ok(mut whole) = whole.lock() {
            whole.append(&mut own);
        }
    };
    std::thread::scope(|scope| {
        let mut n_begun = 0;
        for _ in 0..n_threads.min(n) {
            n_begun += usize::from(std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, take).is_ok());
        }
        // Without another thread this one does it all.
        if n_begun == 0 {
            take();
        }
    });
    if watch.is_drawn {
        draw("");
    }
    let mut whole = whole.into_inner().unwrap_or_default();
    whole.sort_by_key(|(idx, _)| *idx);
    whole.into_iter().map(|(_, done)| done).collect()
}

/// How far it is, in twenty steps.
fn bar(done: usize, n: usize, what: &str) -> String {
    let filled = done * 20 / n.max(1);
    format!("[{}{}] {done} of {n} {what}", "#".repeat(filled), "-".repeat(20 - filled))
}
