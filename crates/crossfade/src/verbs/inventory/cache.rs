//! What was read of files, kept by their content. A file that did not change is not parsed again.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use inventory::scan::{self, Read};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Read files by the digest of their content.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    kept: HashMap<String, Read>,
    used: HashMap<String, Read>,
    is_changed: bool,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    reader: u32,
    version: String,
    files: HashMap<String, Read>,
}

const NAME: &str = "read.json";

/// What a file's content is called: of its ending too, because that says how it is read.
pub(super) fn digest(path: &str, text: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(path.as_bytes());
    hasher.update([0]);
    hasher.update(text.as_bytes());
    hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

impl Cache {
    /// The cache in the directory, or in the user's. Nothing where there is no place for one. What another version wrote, or a
    /// run that was cut, counts as empty.
    pub(super) fn open(directory: Option<&Path>) -> Option<Cache> {
        let path = directory.map(Path::to_owned).or_else(usual)?.join(NAME);
        let stored = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Stored>(&bytes).ok());
        let stored =
            stored.filter(|stored| stored.reader == scan::READER && stored.version == env!("CARGO_PKG_VERSION"));
        let kept = stored.map(|stored| stored.files).unwrap_or_default();
        Some(Cache { path, kept, used: HashMap::new(), is_changed: false })
    }

    pub(super) fn get(&self, digest: &str) -> Option<Read> {
        self.kept.get(digest).cloned()
    }

    /// Keeps what was read, for as long as the file is as it is.
    pub(super) fn keep(&mut self, digest: &str, read: &Read) {
        self.is_changed |= !self.kept.contains_key(digest);
        self.used.insert(digest.to_owned(), read.clone());
    }

    /// Writes it, beside the old one first. What the last run did not see is forgotten.
    pub(super) fn save(self) -> io::Result<()> {
        if !self.is_changed && self.used.len() == self.kept.len() {
            return Ok(());
        }
        if let Some(directory) = self.path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let stored = Stored { reader: scan::READER, version: env!("CARGO_PKG_VERSION").to_owned(), files: self.used };
        let beside = self.path.with_extension(format!("{}.partial", std::process::id()));
        std::fs::write(&beside, serde_json::to_vec(&stored)?)?;
        std::fs::rename(&beside, &self.path)
    }
}

fn usual() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = base
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME").filter(|value| !value.is_empty())?).join(".cache")))?;
    Some(base.join("crossfade").join("inventory"))
}
