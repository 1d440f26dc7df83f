//! The manifest: how much is here, what is not and why, and the SHA-256 of every file. Whoever has the directory can count it again without the vendor
//! and without this program's store.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::archive::{Archive, ArchiveError, Content, Said, at, file_of, read_line};
use crate::catalog::{COLLECTIONS, NOT_GIVEN};
use crate::fetch::hex;
use crate::signing::{PublicKey, SigningKey};

/// The name of the manifest's file.
pub const MANIFEST: &str = "manifest.json";
/// The name of the signature's file: 64 bytes in hexadecimal.
pub const SIGNATURE: &str = "manifest.sig";
/// The name of the file with the public half of the key.
pub const PUBLIC: &str = "signing.pub";
/// The format of the manifest.
const FORMAT: &str = "crossfade.export/1";

/// Something that the vendor does not give out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// Of which collection.
    pub collection: String,
    /// What.
    pub what: String,
    /// What it said.
    pub why: String,
}

/// What is here of one collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionFacts {
    /// Its name.
    pub name: String,
    /// Objects that are here.
    pub n_objects: u64,
    /// Objects whose bytes are here.
    pub n_contents: u64,
    /// Bytes of these.
    pub content_bytes: u64,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// How long it is.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// What is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `crossfade.export/1`.
    pub format: String,
    /// Whose it was: the vendor's base URL.
    pub source: String,
    /// Of all that was asked for nothing is left to fetch.
    pub complete: bool,
    /// By collection.
    pub collections: Vec<CollectionFacts>,
    /// What the vendor does not give out, to this key or at all.
    pub refused: Vec<Refusal>,
    /// What its API has no path for, and what to do about it.
    pub not_given: BTreeMap<String, String>,
    /// Every file of the directory but the manifest and its signature.
    pub files: BTreeMap<String, FileFacts>,
}

/// Writes the manifest of a directory, and signs it where there is a key. The same files give the same bytes.
///
/// # Errors
/// When the directory cannot be read or written.
pub fn seal(
    archive: &mut Archive,
    source: &str,
    (refused, complete): (Vec<Refusal>, bool),
    key: Option<&SigningKey>,
) -> Result<Manifest, ArchiveError> {
    let root = archive.root().to_owned();
    let (mut collections, mut all_refused) = (Vec::new(), refused);
    for collection in COLLECTIONS {
        let shelf = archive.shelf(collection.name)?;
        if shelf.order.is_empty() {
            continue;
        }
        let mut facts = CollectionFacts { name: collection.name.to_owned(), ..CollectionFacts::default() };
        for (key, held) in &shelf.held {
            let id = key.0.as_ref().map_or_else(|| key.1.clone(), |of| format!("{of}/{}", key.1));
            let mut refuse = |what: &str, why: &str| {
                let what = if what == "object" { id.clone() } else { format!("{what} of {id}") };
                all_refused.push(Refusal { collection: collection.name.to_owned(), what, why: why.to_owned() });
            };
            held.refused.iter().for_each(|(what, why)| refuse(what, why));
            facts.n_objects += u64::from(!held.is_absent);
            match &held.content {
                Some(Content::Kept { bytes, .. }) => {
                    facts.n_contents += 1;
                    facts.content_bytes += bytes;
                }
                Some(Content::Refused { refused }) => refuse("content", refused),
                None => {}
            }
        }
        collections.push(facts);
    }
    all_refused.sort();
    let mut files = BTreeMap::new();
    for path in files_below(&root)? {
        let name = name_of(&root, &path);
        if name != MANIFEST && name != SIGNATURE && name != PUBLIC {
            files.insert(name, facts_of(&path)?);
        }
    }
    let not_given = NOT_GIVEN.iter().map(|(what, then)| ((*what).to_owned(), (*then).to_owned())).collect();
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        source: source.to_owned(),
        complete,
        collections,
        refused: all_refused,
        not_given,
        files,
    };
    let mut text = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    text.push(b'\n');
    let path = root.join(MANIFEST);
    if fs::read(&path).ok().as_deref() != Some(&*text) {
        // A signature of another manifest would be a wrong one.
        drop(fs::remove_file(root.join(SIGNATURE)));
        replace(&path, &text)?;
    }
    if let Some(key) = key {
        replace(&root.join(PUBLIC), key.public().to_pem().as_bytes())?;
        replace(&root.join(SIGNATURE), format!("{}\n", hex(&key.sign(&text))).as_bytes())?;
    }
    Ok(manifest)
}

/// Something that is not as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.what)
    }
}

/// Counts and hashes a directory again. `None` where it has no manifest at all, else what is not as it says; with a key, the signature has to be
/// its own. `is_signed` of the answer: whether there is a signature that holds.
///
/// # Errors
/// When a file cannot be read.
pub fn verify(root: &Path, key: Option<&PublicKey>) -> Result<Option<(Manifest, bool, Vec<Problem>)>, ArchiveError> {
    let path = root.join(MANIFEST);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(at(&path)(source)),
    };
    let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { return Ok(None) };
    let mut problems = Vec::new();
    let is_signed = signature(root, &text, key, &mut problems);
    let mut there = BTreeMap::new();
    for path in files_below(root)? {
        there.insert(name_of(root, &path), path);
    }
    for (name, said) in &manifest.files {
        match there.get(name) {
            None => problems.push(problem(name, "it is missing")),
            Some(path) => {
                let facts = facts_of(path)?;
                if facts.bytes != said.bytes {
                    problems.push(problem(
                        name,
                        &format!("it has {} bytes, the manifest says {}", facts.bytes, said.bytes),
                    ));
                } else if facts.sha256 != said.sha256 {
                    problems.push(problem(name, "its SHA-256 is not the manifest's"));
                }
            }
        }
    }
    let known =
        |name: &str| name == MANIFEST || name == SIGNATURE || name == PUBLIC || manifest.files.contains_key(name);
    for name in there.keys().filter(|name| !known(name)) {
        problems.push(problem(name, "the manifest does not have it"));
    }
    if problems.is_empty() {
        counted(root, &manifest, &mut problems)?;
    }
    Ok(Some((manifest, is_signed, problems)))
}

fn problem(file: &str, what: &str) -> Problem {
    Problem { file: file.to_owned(), what: what.to_owned() }
}

fn signature(root: &Path, text: &[u8], key: Option<&PublicKey>, problems: &mut Vec<Problem>) -> bool {
    let Ok(signature) = fs::read_to_string(root.join(SIGNATURE)) else {
        if key.is_some() {
            problems.push(problem(SIGNATURE, "it is missing: nobody signed this"));
        }
        return false;
    };
    let bundled = fs::read_to_string(root.join(PUBLIC)).ok().and_then(|pem| PublicKey::from_pem(&pem).ok());
    let Some(key) = key.cloned().or(bundled) else {
        problems.push(problem(PUBLIC, "it is missing or no key, so that the signature cannot be looked at"));
        return false;
    };
    let holds = unhex(signature.trim()).is_some_and(|signature| key.verify(text, &signature));
    if !holds {
        problems.push(problem(SIGNATURE, "it is no signature of this manifest by this key"));
    }
    holds
}

/// Counts the objects of the files again, and holds what lines say of bytes against the manifest.
fn counted(root: &Path, manifest: &Manifest, problems: &mut Vec<Problem>) -> Result<(), ArchiveError> {
    for facts in &manifest.collections {
        let Some(collection) = crate::catalog::named(&facts.name) else { continue };
        let path = file_of(root, collection.name);
        let text = fs::read_to_string(&path).map_err(at(&path))?;
        let mut held = BTreeMap::new();
        for line in text.lines() {
            match read_line(line.as_bytes()) {
                Ok(Said::Object(key, known)) => drop(held.insert(key, (!known.is_absent).then_some(known.content))),
                Ok(Said::Mark(..)) => {}
                Err(_) => problems.push(problem(&name_of(root, &path), "a line of it is none of an export")),
            }
        }
        let n = held.values().flatten().count() as u64;
        if n != facts.n_objects {
            problems.push(problem(
                &name_of(root, &path),
                &format!("it has {n} objects, the manifest says {}", facts.n_objects),
            ));
        }
        for content in held.into_values().flatten().flatten() {
            if let Content::Kept { path, bytes, sha256 } = content
                && manifest.files.get(&path) != Some(&FileFacts { bytes, sha256 })
            {
                problems.push(problem(&path, "it is not what the line of its object says"));
            }
        }
    }
    Ok(())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Writes a file that is there whole or as it was.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    let part = path.with_extension("part");
    fs::write(&part, bytes).map_err(at(&part))?;
    fs::rename(&part, path).map_err(at(path))
}

fn facts_of(path: &Path) -> Result<FileFacts, ArchiveError> {
    let mut file = File::open(path).map_err(at(path))?;
    let (mut hash, mut bytes, mut piece) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n = file.read(&mut piece).map_err(at(path))?;
        if n == 0 {
            return Ok(FileFacts { bytes, sha256: hex(&hash.finalize()) });
        }
        hash.update(&piece[..n]);
        bytes += n as u64;
    }
}

/// Every file but the lock and what a killed run left of one.
fn files_below(root: &Path) -> Result<Vec<PathBuf>, ArchiveError> {
    let (mut found, mut left) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).map_err(at(&dir))? {
            let path = entry.map_err(at(&dir))?.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_none_or(|ending| ending != "part") && path != root.join(".lock") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn name_of(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned()
}
