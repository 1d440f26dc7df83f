//! A directory of files that a copy writes one batch to each: what Parquet and JSONL have in common.
//!
//! A file is written beside its name, flushed to the disk and renamed, so it is there whole or not at all. Its name says which batch of which partition it
//! holds, so one that was written and never acknowledged is found and taken away when the copy goes on.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::retry::{Class, Trouble};
use crate::schema::Schema;
use crate::store::{Partition, Sealed, Slot, Survey};

/// The name of the file that says what the others hold.
pub const MANIFEST: &str = "manifest.json";
/// The directory of the others.
const DATA: &str = "data";
/// Here as long as a copy into the directory is not through.
const INCOMPLETE: &str = "INCOMPLETE";
/// The version of the format.
const VERSION: u32 = 1;

/// What a directory holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The version of the format.
    pub version: u32,
    /// How many rows.
    pub n_rows: u64,
    /// The sum of the digests of all rows modulo 2^128, as hexadecimal.
    pub digest: String,
    /// What the rows look like.
    pub schema: Schema,
    /// Every file.
    pub files: Vec<FileFacts>,
}

/// What a file holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// Its name, below the directory.
    pub name: String,
    /// What it weighs.
    pub n_bytes: u64,
    /// SHA-256 of it.
    pub sha256: String,
}

/// The directory.
#[derive(Debug)]
pub(super) struct Parts {
    root: PathBuf,
    extension: &'static str,
    schema: Schema,
}

impl Parts {
    pub(super) fn new(root: &Path, extension: &'static str) -> Parts {
        Parts { root: root.to_owned(), extension, schema: Schema::default() }
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What it says of itself, if it does.
    pub(super) fn manifest(&self) -> Result<Option<Manifest>, Trouble> {
        manifest(&self.root)
    }

    /// What its manifest says is in it; none where it has no manifest, or one of rows whose files are not there.
    pub(super) fn said(&self) -> Result<Option<Survey>, Trouble> {
        let files = self.files()?;
        let manifest = self.manifest()?.filter(|manifest| !files.is_empty() || manifest.n_rows == 0);
        Ok(manifest.map(|manifest| Survey { n_rows: manifest.n_rows, schema: manifest.schema }))
    }

    /// Its files, in order, or the one file that the path names.
    pub(super) fn files(&self) -> Result<Vec<(String, u64)>, Trouble> {
        let doing = || format!("could not list {}", self.root.display());
        if self.root.join(INCOMPLETE).exists() {
            let why = "a copy into it is not through; run that copy again";
            return Err(Trouble::permanent(format!("{} is incomplete", self.root.display()), why));
        }
        if self.root.is_file() {
            let n_bytes = self.root.metadata().map_err(|error| trouble(doing(), &error))?.len();
            return Ok(vec![(String::new(), n_bytes)]);
        }
        let data = self.root.join(DATA);
        let (directory, prefix) = if data.is_dir() { (data, "data/") } else { (self.root.clone(), "") };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&directory).map_err(|error| trouble(doing(), &error))? {
            let entry = entry.map_err(|error| trouble(doing(), &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(&format!(".{}", self.extension)) {
                let n_bytes = entry.metadata().map_err(|error| trouble(doing(), &error))?.len();
                files.push((format!("{prefix}{name}"), n_bytes));
            }
        }
        if files.is_empty() && self.manifest()?.is_none() {
            return Err(Trouble::permanent(doing(), format!("there are no .{} files in it", self.extension)));
        }
        files.sort();
        Ok(files)
    }

    /// One partition for each file.
    pub(super) fn partitions(&self) -> Result<Vec<Partition>, Trouble> {
        Ok(self.files()?.into_iter().map(|(name, n_bytes)| Partition::File { name, n_bytes }).collect())
    }

    /// Where the file of a partition is, if it still is what was planned.
    pub(super) fn planned(&self, partition: &Partition) -> Result<PathBuf, Trouble> {
        let Partition::File { name, n_bytes } = partition else {
            return Err(Trouble::permanent("could not read a partition", "it is one of keys, and this store is files"));
        };
        let path = if name.is_empty() { self.root.clone() } else { self.root.join(name) };
        let doing = || format!("could not read {}", path.display());
        let found = path.metadata().map_err(|error| trouble(doing(), &error))?.len();
        if found == *n_bytes {
            Ok(path)
        } else {
            Err(Trouble::permanent(
                doing(),
                format!("it has {found} bytes and had {n_bytes} when the copy was planned"),
            ))
        }
    }

    pub(super) fn prepare(&mut self, schema: &Schema, acknowledged: Option<&[u64]>) -> Result<(), Trouble> {
        self.schema = schema.clone();
        let doing = format!("could not prepare {}", self.root.display());
        let data = self.root.join(DATA);
        let is_ours = self.root.join(INCOMPLETE).exists() || self.root.join(MANIFEST).exists();
        // A copy that was ended before it had planned leaves a mark and an empty directory.
        let is_used = std::fs::read_dir(&self.root).is_ok_and(|entries| {
            let is_begun = |name: &std::ffi::OsStr| name == INCOMPLETE || name == DATA;
            entries.flatten().any(|entry| !is_begun(&entry.file_name()))
                || std::fs::read_dir(&data).is_ok_and(|mut parts| parts.next().is_some())
        });
        if is_used && (acknowledged.is_none() || !is_ours) {
            return Err(Trouble::permanent(doing, "it is there already and not empty"));
        }
        if acknowledged.is_some_and(|parts| parts.iter().any(|n_parts| *n_parts > 0)) && !data.is_dir() {
            return Err(Trouble::permanent(doing, "what was written there before is gone"));
        }
        let make = || -> std::io::Result<()> {
            std::fs::create_dir_all(&self.root)?;
            File::create(self.root.join(INCOMPLETE))?.sync_all()?;
            std::fs::create_dir_all(&data)?;
            sync_directory(&self.root)?;
            for entry in std::fs::read_dir(&data)? {
                let path = entry?.path();
                let slot = path.file_name().and_then(|name| slot(name.to_str()?));
                let is_kept = slot.is_some_and(|slot| {
                    acknowledged.and_then(|parts| parts.get(slot.partition)).is_some_and(|n_parts| slot.part < *n_parts)
                });
                if !is_kept {
                    std::fs::remove_file(&path)?;
                }
            }
            sync_directory(&data)
        };
        make().map_err(|error| trouble(doing, &error))
    }

    /// Writes a file whole.
    pub(super) fn write(&self, slot: Slot, bytes: &[u8]) -> Result<(), Trouble> {
        let name = format!("part-{:05}-{:08}.{}", slot.partition, slot.part, self.extension);
        let data = self.root.join(DATA);
        let path = data.join(name);
        write_whole(&data, &path, bytes).map_err(|error| trouble(format!("could not write {}", path.display()), &error))
    }

    pub(super) fn seal(&mut self, sealed: &Sealed) -> Result<(), Trouble> {
        let data = self.root.join(DATA);
        let doing = format!("could not seal {}", self.root.display());
        let make = || -> std::io::Result<()> {
            let mut files = Vec::new();
            for entry in std::fs::read_dir(&data)? {
                let entry = entry?;
                let name = format!("{DATA}/{}", entry.file_name().to_string_lossy());
                let (sha256, n_bytes) = hash(&entry.path())?;
                files.push(FileFacts { name, n_bytes, sha256 });
            }
            files.sort_by(|one, other| one.name.cmp(&other.name));
            let (n_rows, digest) = (sealed.n_rows, format!("{:032x}", sealed.digest));
            let manifest = Manifest { version: VERSION, n_rows, digest, schema: self.schema.clone(), files };
            let text = serde_json::to_string_pretty(&manifest)? + "\n";
            write_whole(&self.root, &self.root.join(MANIFEST), text.as_bytes())?;
            std::fs::remove_file(self.root.join(INCOMPLETE)).or_else(|error| match error.kind() {
                std::io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            sync_directory(&self.root)
        };
        make().map_err(|error| trouble(doing, &error))
    }
}

/// What a directory says of itself, if it does.
///
/// # Errors
/// Where the file is there and cannot be read.
pub fn manifest(root: &Path) -> Result<Option<Manifest>, Trouble> {
    let path = root.join(MANIFEST);
    let doing = format!("could not read {}", path.display());
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(trouble(doing, &error)),
    };
    let manifest: Manifest = serde_json::from_str(&text).map_err(|error| Trouble::permanent(&doing, error))?;
    if manifest.version != VERSION {
        let why = format!("it is of version {} of the format, and this program knows {VERSION}", manifest.version);
        return Err(Trouble::permanent(doing, why));
    }
    Ok(Some(manifest))
}

/// What of a directory is not as its manifest says, file by file.
///
/// # Errors
/// Where it cannot be read.
pub fn differences(root: &Path, manifest: &Manifest) -> Result<Vec<String>, Trouble> {
    let mut wrong = Vec::new();
    for facts in &manifest.files {
        match hash(&root.join(&facts.name)) {
            Ok((sha256, _)) if sha256 == facts.sha256 => {}
            Ok((_, n_bytes)) if n_bytes != facts.n_bytes => {
                wrong.push(format!("{} has {n_bytes} bytes, not {}", facts.name, facts.n_bytes));
            }
            Ok(_) => wrong.push(format!("{} is not what was written: its SHA-256 differs", facts.name)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                wrong.push(format!("{} is not there", facts.name))
            }
            Err(error) => return Err(trouble(format!("could not read {}", facts.name), &error)),
        }
    }
    let known: Vec<&str> = manifest.files.iter().map(|facts| facts.name.as_str()).collect();
    for entry in std::fs::read_dir(root.join(DATA)).into_iter().flatten().flatten() {
        let name = format!("{DATA}/{}", entry.file_name().to_string_lossy());
        if !known.contains(&name.as_str()) {
            wrong.push(format!("{name} is not in the manifest"));
        }
    }
    Ok(wrong)
}

/// An error of files: nothing to wait for.
pub(super) fn trouble(doing: impl Into<String>, error: &std::io::Error) -> Trouble {
    let class = match error.kind() {
        std::io::ErrorKind::Interrupted | std::io::ErrorKind::TimedOut | std::io::ErrorKind::WouldBlock => {
            Class::Transient
        }
        _ => Class::Permanent,
    };
    Trouble::of(class, doing, error)
}

/// The batch that a file of this name holds.
fn slot(name: &str) -> Option<Slot> {
    let (partition, part) = name.strip_prefix("part-")?.split_once('.')?.0.split_once('-')?;
    // A file that is still being written ends otherwise.
    (!name.ends_with(".new")).then_some(Slot { partition: partition.parse().ok()?, part: part.parse().ok()? })
}

fn write_whole(directory: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    sync_directory(directory)
}

/// A name in a directory is on the disk when the directory is.
fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

fn hash(path: &Path) -> std::io::Result<(String, u64)> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut block = vec![0; 1 << 16];
    let mut n_bytes = 0;
    loop {
        let n = std::io::Read::read(&mut file, &mut block)?;
        if n == 0 {
            break;
        }
        n_bytes += n as u64;
        context.update(&block[..n]);
    }
    let digest = context.finish();
    Ok((digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(), n_bytes))
}
