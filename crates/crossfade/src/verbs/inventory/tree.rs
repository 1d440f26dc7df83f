//! The files of a directory, read by as many threads as there are cores.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use inventory::scan::{self, Finding, Owners, Read};
use serde::Serialize;

use super::cache::{Cache, digest};
use crate::out::{Out, Stop};
use crate::verbs::eval::draw;

/// What came of a directory.
pub(super) struct Scanned {
    pub(super) findings: Vec<Finding>,
    pub(super) counts: Counts,
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
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts) {
        self.candidates += other.candidates;
        self.lines += other.lines;
        self.kept += other.kept;
        self.unreadable += other.unreadable;
    }
}

/// Directories that hold what others wrote or what was built.
const PASSED_OVER: [&str; 25] = [
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    "bower_components",
    "vendor",
    "target",
    "dist",
    "build",
    "out",
    "bin",
    "obj",
    ".venv",
    "venv",
    "__pycache__",
    ".tox",
    ".mypy_cache",
    "site-packages",
    ".next",
    ".nuxt",
    ".terraform",
    ".gradle",
    ".idea",
    "third_party",
    "coverage",
];

/// A file larger than this was not written by a person.
const LARGEST: u64 = 4_000_000;

/// A thread's stack: grammars and our own walk go deep in machine-made sources.
const STACK: usize = 32 << 20;

struct Candidate {
    path: PathBuf,
    shown: String,
}

/// Looks through a directory.
pub(super) fn scan(root: &Path, exclude: &[String], cache: Option<&mut Cache>, out: &Out) -> Result<Scanned, Stop> {
    let metadata =
        std::fs::metadata(root).map_err(|error| Stop::usage(format!("cannot read {}: {error}", root.display())))?;
    if !metadata.is_dir() {
        let stop = Stop::usage(format!("{} is no directory", root.display()));
        return Err(stop.hint("name the directory that the code is in"));
    }
    if root.join("HEAD").is_file() && root.join("objects").is_dir() {
        let stop = Stop::usage(format!("{} is a git repository without its files", root.display()));
        return Err(stop.hint("`git worktree add` or `git clone` puts the files somewhere; name that directory"));
    }
    let mut candidates = Vec::new();
    walk(root, root, exclude, &mut candidates);
    candidates.sort_by(|a, b| a.shown.cmp(&b.shown));
    let (mut files, counts) = read_all(&candidates, cache.as_deref(), out);
    if let Some(cache) = cache {
        for (_, read, digest) in &files {
            cache.keep(digest, read);
        }
    }
    follow(&candidates, &mut files);
    let owners = scan::OWNERS_PLACES.iter().find_map(|place| std::fs::read_to_string(root.join(place)).ok());
    let owners = owners.map(|text| Owners::read(&text)).unwrap_or_default();
    let files: Vec<(String, Read)> = files.into_iter().map(|(shown, read, _)| (shown, read)).collect();
    Ok(Scanned { findings: scan::link(&files, &owners), counts })
}

/// Candidates below a directory. Links are not followed: what they lead to is either here already or not the repository's.
fn walk(root: &Path, directory: &Path, exclude: &[String], found: &mut Vec<Candidate>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let shown = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        if exclude
            .iter()
            .any(|under| shown == *under || shown.starts_with(&format!("{}/", under.trim_end_matches('/'))))
        {
            continue;
        }
        if kind.is_dir() {
            if !PASSED_OVER.contains(&name.as_ref()) {
                walk(root, &path, exclude, found);
            }
        } else if kind.is_file() && scan::is_candidate(&shown) && !name.contains(".min.") {
            found.push(Candidate { path, shown });
        }
    }
}

type File = (String, Read, String);

fn read_all(candidates: &[Candidate], cache: Option<&Cache>, out: &Out) -> (Vec<File>, Counts) {
    let next = AtomicUsize::new(0);
    let whole = Mutex::new((Vec::new(), Counts::default()));
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from).min(16);
    let watched = std::io::stderr().is_terminal() && !out.is_json();
    let work = || {
        let mut own: Vec<(usize, File)> = Vec::new();
        let mut counts = Counts::default();
        loop {
            let idx = next.fetch_add(1, Ordering::Relaxed);
            let Some(candidate) = candidates.get(idx) else { break };
            if watched && idx.is_multiple_of(256) {
                draw(&format!("{idx} of {} files", candidates.len()));
            }
            counts.candidates += 1;
            match read_one(candidate, cache, &mut counts) {
                Some((read, digest)) => own.push((idx, (candidate.shown.clone(), read, digest))),
                None => counts.unreadable += 1,
            }
        }
        if let Ok(mut whole) = whole.lock() {
            whole.0.append(&mut own);
            whole.1.add(counts);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..n_threads {
            // Without another thread this one does it all.
            if std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).is_err() {
                tracing::debug!("no thread to read with");
            }
        }
        match std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work) {
            Ok(_) => {}
            Err(_) => work(),
        }
    });
    if watched {
        draw("");
    }
    let (mut files, counts) = whole.into_inner().unwrap_or_default();
    files.sort_by_key(|(idx, _)| *idx);
    (files.into_iter().map(|(_, file)| file).collect(), counts)
}

fn read_one(candidate: &Candidate, cache: Option<&Cache>, counts: &mut Counts) -> Option<(Read, String)> {
    let metadata = std::fs::metadata(&candidate.path).ok()?;
    if metadata.len() > LARGEST {
        return None;
    }
    let bytes = std::fs::read(&candidate.path).ok()?;
    let text = text_of(bytes)?;
    counts.lines += text.lines().count();
    let digest = digest(&candidate.shown, &text);
    if let Some(read) = cache.and_then(|cache| cache.get(&digest)) {
        counts.kept += 1;
        return Some((read, digest));
    }
    Some((scan::read(&candidate.shown, &text, false), digest))
}

/// The text of a file: UTF-8, with what is not replaced; nothing when it is no text.
fn text_of(bytes: Vec<u8>) -> Option<String> {
    let head = &bytes[..bytes.len().min(8000)];
    if head.contains(&0) {
        return None;
    }
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Reads files that name no vendor, but a client or model that another file makes.
fn follow(candidates: &[Candidate], files: &mut [File]) {
    let known: Vec<(String, Read)> = files.iter().map(|(shown, read, _)| (shown.clone(), read.clone())).collect();
    let names = scan::wanted(&known);
    if names.is_empty() {
        return;
    }
    for (shown, read, _) in files.iter_mut().filter(|(_, read, _)| read.was_passed_over()) {
        let Ok(at) = candidates.binary_search_by(|candidate| candidate.shown.as_str().cmp(shown)) else { continue };
        let Some(text) = std::fs::read(&candidates[at].path).ok().and_then(text_of) else { continue };
        if names.iter().any(|name| mentions(&text, name)) {
            *read = scan::read(shown, &text, true);
        }
    }
}

/// Whether the text has the name as a whole word.
fn mentions(text: &str, name: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices(name).any(|(at, _)| {
        !text[..at].chars().next_back().is_some_and(is_part)
            && !text[at + name.len()..].chars().next().is_some_and(is_part)
    })
}
