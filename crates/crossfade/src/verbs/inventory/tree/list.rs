//! Which files of a directory or a git repository are looked into, and their texts.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use inventory::scan::{self, Ignore, Owners};

use super::git::{Git, Objects};
use super::{Choice, NotRead};
use crate::out::Stop;

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

/// A file that is looked into.
pub(super) struct Candidate {
    from: From,
    /// Its path from the root, with `/`.
    pub(super) shown: String,
    /// Its size where that is known before it is opened.
    size: Option<u64>,
}

enum From {
    Disk(PathBuf),
    Object(String),
}

/// What is there to look into.
#[derive(Default)]
pub(super) struct List {
    /// In the order of their paths.
    pub(super) candidates: Vec<Candidate>,
    /// What could not be listed.
    pub(super) not_read: Vec<NotRead>,
    /// Who owns what.
    pub(super) owners: Owners,
    git: Option<Git>,
}

/// Lists a directory, or the last commit of a git repository without its files.
pub(super) fn list(root: &Path, choice: &Choice<'_>) -> Result<List, Stop> {
    let metadata =
        std::fs::metadata(root).map_err(|error| Stop::usage(format!("cannot read {}: {error}", root.display())))?;
    if !metadata.is_dir() {
        let stop = Stop::usage(format!("{} is no directory", root.display()));
        return Err(stop.hint("name the directory that the code is in, or a git repository"));
    }
    let mut list = List { git: Git::of_bare(root), ..List::default() };
    match list.git.clone() {
        Some(git) => in_git(&git, choice, &mut list)?,
        None => {
            let mut ignore = Ignore::default();
            on_disk(root, root, choice, &mut ignore, &mut list);
            let owners = scan::OWNERS_PLACES.iter().find_map(|place| std::fs::read_to_string(root.join(place)).ok());
            list.owners = owners.map(|text| Owners::read(&text)).unwrap_or_default();
        }
    }
    list.candidates.sort_by(|a, b| a.shown.cmp(&b.shown));
    Ok(list)
}

fn in_git(git: &Git, choice: &Choice<'_>, list: &mut List) -> Result<(), Stop> {
    let blobs = git.files()?;
    let owners = scan::OWNERS_PLACES.iter().find_map(|place| blobs.iter().find(|blob| blob.path == *place));
    let text = owners.and_then(|blob| git.reader().and_then(|mut reader| reader.read(&blob.id)).ok());
    list.owners = text.map(|text| Owners::read(&String::from_utf8_lossy(&text))).unwrap_or_default();
    for blob in blobs {
        let mut above = blob.path.rsplit('/').skip(1);
        let is_passed_over = above.any(|name| PASSED_OVER.contains(&name));
        let is_excluded = blob.path.match_indices('/').any(|(at, _)| choice.excludes(&blob.path[..at]));
        if !is_passed_over && !is_excluded && !choice.excludes(&blob.path) && is_looked_into(&blob.path, choice) {
            list.candidates.push(Candidate { from: From::Object(blob.id), shown: blob.path, size: Some(blob.size) });
        }
    }
    Ok(())
}

/// Candidates below a directory. Links are not followed: what they lead to is either here already or not the repository's.
fn on_disk(root: &Path, directory: &Path, choice: &Choice<'_>, ignore: &mut Ignore, list: &mut List) {
    let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let path = shown(directory);
            let path = if path.is_empty() { ".".to_owned() } else { path };
            list.not_read.push(NotRead { path, why: format!("cannot be listed: {error}") });
            return;
        }
    };
    let before = ignore.len();
    if !choice.with_ignored
        && let Ok(bytes) = std::fs::read(directory.join(".gitignore"))
    {
        ignore.add(&shown(directory), &String::from_utf8_lossy(&bytes));
    }
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let shown = shown(&path);
        let is_wanted = if kind.is_dir() {
            !PASSED_OVER.contains(&name.as_ref())
        } else {
            kind.is_file() && is_looked_into(&shown, choice)
        };
        if !is_wanted || choice.excludes(&shown) || ignore.leaves_out(&shown, kind.is_dir()) {
            continue;
        }
        if kind.is_dir() {
            on_disk(root, &path, choice, ignore, list);
        } else {
            list.candidates.push(Candidate { from: From::Disk(path), shown, size: None });
        }
    }
    ignore.truncate(before);
}

fn is_looked_into(shown: &str, choice: &Choice<'_>) -> bool {
    (choice.wants)(shown) && !shown.rsplit('/').next().unwrap_or(shown).contains(".min.")
}

impl List {
    /// What gives texts out, one for each thread.
    pub(super) fn reader(&self) -> Reader {
        Reader { git: self.git.clone(), objects: None }
    }
}

/// Gives the texts of candidates out.
pub(super) struct Reader {
    git: Option<Git>,
    objects: Option<Objects>,
}

impl Reader {
    /// The text, or why there is none.
    pub(super) fn text(&mut self, candidate: &Candidate) -> Result<String, String> {
        let cannot = |error: std::io::Error| format!("cannot be read: {error}");
        let bytes = match &candidate.from {
            From::Disk(path) => {
                let mut file = std::fs::File::open(path).map_err(cannot)?;
                let size = file.metadata().map_err(cannot)?.len();
                if size > LARGEST {
                    return Err(too_large(size));
                }
                let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1);
                file.read_to_end(&mut bytes).map_err(cannot)?;
                bytes
            }
            From::Object(id) => {
                if let Some(size) = candidate.size.filter(|size| *size > LARGEST) {
                    return Err(too_large(size));
                }
                self.object(id).map_err(cannot)?
            }
        };
        text_of(bytes).ok_or_else(|| "is no text".to_owned())
    }

    fn object(&mut self, id: &str) -> std::io::Result<Vec<u8>> {
        if self.objects.is_none() {
            self.objects = self.git.as_ref().map(Git::reader).transpose()?;
        }
        let objects = self.objects.as_mut().ok_or_else(|| std::io::Error::other("there is no repository"))?;
        let read = objects.read(id);
        if read.is_err() {
            // What stands in its pipe is not known: the next is asked of another.
            self.objects = None;
        }
        read
    }
}

fn too_large(size: u64) -> String {
    format!("is larger than {} MB: {} MB", LARGEST / 1_000_000, size / 1_000_000)
}

/// The text of a file: UTF-8, or UTF-16 that says so, with what is neither replaced; nothing when it is no text.
fn text_of(bytes: Vec<u8>) -> Option<String> {
    let unit: Option<fn([u8; 2]) -> u16> = match bytes.get(..2) {
        Some([0xff, 0xfe]) => Some(u16::from_le_bytes),
        Some([0xfe, 0xff]) => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(unit) = unit {
        let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        return Some(String::from_utf16_lossy(&units));
    }
    if bytes[..bytes.len().min(8000)].contains(&0) {
        return None;
    }
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_from_other_files_and_lose_nothing_but_what_is_no_character() {
        assert_eq!(text_of(b"a\xffb".to_vec()).as_deref(), Some("a\u{fffd}b"));
        assert_eq!(text_of(b"\xef\xbb\xbfa".to_vec()).as_deref(), Some("a"));
        assert_eq!(text_of(b"\xff\xfea\0b\0".to_vec()).as_deref(), Some("ab"));
        assert_eq!(text_of(b"\xfe\xff\0a\0b".to_vec()).as_deref(), Some("ab"));
        assert_eq!(text_of(b"\x7fELF\0\0".to_vec()), None);
    }
}
