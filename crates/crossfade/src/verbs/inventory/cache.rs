//! What was read of files, kept by their content. A file that did not change is not parsed again, and a run that is cut keeps what
//! it read: the file is only ever added to, one checked record per read file, and written anew when most of it is of no use.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use inventory::scan::{self, Read};
use sha2::{Digest as _, Sha256};

/// What a file's content is called.
pub(super) type Key = [u8; 16];

/// Read files by the digest of their content.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    /// The file as it was when the run began.
    bytes: Vec<u8>,
    kept: HashMap<Key, Range<usize>>,
    /// Up to where its records are whole.
    whole: usize,
    added: Mutex<Added>,
}

/// What this run adds.
#[derive(Debug, Default)]
struct Added {
    file: Option<File>,
    waiting: Vec<u8>,
    error: Option<io::Error>,
}

const NAME: &str = "read.bin";
/// Before each record: its key, length and checksum.
const HEAD: usize = 16 + 4 + 4;
/// How much waits before it is written.
const WAITS: usize = 1 << 20;

/// What begins the file. What another version wrote counts as empty.
fn beginning() -> Vec<u8> {
    format!("crossfade inventory {} {}\n", scan::READER, env!("CARGO_PKG_VERSION")).into_bytes()
}

/// What a file's content is called: of its path too, because that says how it is read. What was read because another file led to
/// it is called otherwise.
pub(super) fn digest(path: &str, text: &str, is_followed: bool) -> Key {
    let mut hasher = Sha256::new();
    hasher.update(path.as_bytes());
    hasher.update([u8::from(is_followed)]);
    hasher.update(text.as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(&hasher.finalize()[..16]);
    key
}

impl Cache {
    /// The cache in the directory, or in the user's. Nothing where there is no place for one.
    pub(super) fn open(directory: Option<&Path>) -> Option<Cache> {
        let path = directory.map(Path::to_owned).or_else(usual)?.join(NAME);
        let bytes = std::fs::read(&path).unwrap_or_default();
        let (kept, whole) = records(&bytes);
        Some(Cache { path, bytes, kept, whole, added: Mutex::default() })
    }

    /// What is kept of a file. A record that cannot be read counts as none.
    pub(super) fn get(&self, key: &Key) -> Option<Read> {
        postcard::from_bytes(&self.bytes[self.kept.get(key)?.clone()]).ok()
    }

    /// Keeps what was read; it is on the disk soon after, so that a run that is cut loses little.
    pub(super) fn keep(&self, key: &Key, read: &Read) {
        let Ok(encoded) = postcard::to_stdvec(read) else { return };
        let Ok(mut added) = self.added.lock() else { return };
        push(&mut added.waiting, key, &encoded);
        if added.waiting.len() >= WAITS {
            self.write(&mut added);
        }
    }

    fn write(&self, added: &mut Added) {
        if added.error.is_some() || added.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut added.waiting);
        let done = match added.file.take().map_or_else(|| self.begin(), Ok) {
            Ok(mut file) => file.write_all(&waiting).map(|()| added.file = Some(file)),
            Err(error) => Err(error),
        };
        added.error = done.err();
    }

    /// The file, ready to be added to: what follows the last whole record is cut off first.
    fn begin(&self) -> io::Result<File> {
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        if file.metadata()?.len() != self.whole as u64 {
            // Of another version, torn, or another run is writing; one of two runs begins anew then.
            file.set_len(self.whole as u64)?;
        }
        if self.whole == 0 {
            file.write_all(&beginning())?;
        }
        Ok(file)
    }

    /// Writes what still waits. Where most of the file was of no use to this run, the file is written anew, beside the old one first.
    pub(super) fn save(self, used: &[Key]) -> io::Result<()> {
        let Ok(mut added) = self.added.lock() else { return Ok(()) };
        self.write(&mut added);
        if let Some(error) = added.error.take() {
            return Err(error);
        }
        let used_bytes: usize = used.iter().filter_map(|key| self.kept.get(key)).map(|range| range.len() + HEAD).sum();
        let is_wasteful = self.whole > 4 * WAITS && used_bytes * 4 < self.whole;
        if !is_wasteful {
            return Ok(());
        }
        drop(added);
        let written = std::fs::read(&self.path)?;
        let (records, _) = records(&written);
        let mut whole = beginning();
        for key in used {
            if let Some(range) = records.get(key) {
                push(&mut whole, key, &written[range.clone()]);
            }
        }
        let beside = self.path.with_extension(format!("{}.partial", std::process::id()));
        std::fs::write(&beside, whole)?;
        std::fs::rename(&beside, &self.path)
    }
}

fn push(bytes: &mut Vec<u8>, key: &Key, encoded: &[u8]) {
    let Ok(len) = u32::try_from(encoded.len()) else { return };
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(encoded).to_le_bytes());
    bytes.extend_from_slice(encoded);
}

/// Where the records are, and up to where they are whole.
fn records(bytes: &[u8]) -> (HashMap<Key, Range<usize>>, usize) {
    let begins = beginning();
    let mut records = HashMap::new();
    if !bytes.starts_with(&begins) {
        return (records, 0);
    }
    let mut at = begins.len();
    while let Some((key, range)) = record_at(bytes, at) {
        at = range.end;
        records.insert(key, range);
    }
    (records, at)
}

fn record_at(bytes: &[u8], at: usize) -> Option<(Key, Range<usize>)> {
    let head = bytes.get(at..at + HEAD)?;
    let (key, rest) = head.split_first_chunk::<16>()?;
    let (len, sum) = rest.split_first_chunk::<4>()?;
    let range = at + HEAD..(at + HEAD).checked_add(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
    let sum = u32::from_le_bytes(sum.try_into().ok()?);
    (crc32c::crc32c(bytes.get(range.clone())?) == sum).then_some((*key, range))
}

fn usual() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = base
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME").filter(|value| !value.is_empty())?).join(".cache")))?;
    Some(base.join("crossfade").join("inventory"))
}
