//! The directory: a file of JSON lines for each collection, the bytes of contents beside it. A line is written whole or not at all, as far as a later run
//! is concerned: what a killed run left of one is taken away when the directory is opened again.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The lock of a directory: one export at a time.
const LOCK: &str = ".lock";

/// A directory that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line is none of ours.
    #[error("{path}, line {line}: {why}; this is no export, or somebody changed it", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Another export writes there.
    #[error("another export is writing to {path}", path = .0.display())]
    Busy(PathBuf),
}

/// What is kept of the bytes of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Content {
    /// They are in a file.
    Kept {
        /// Below the directory.
        path: String,
        /// How many.
        bytes: u64,
        /// Their SHA-256.
        sha256: String,
    },
    /// The vendor does not give them out.
    Refused {
        /// What it said.
        refused: String,
    },
}

/// A line as it is written.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Line {
    /// An object.
    Object {
        /// Its id.
        id: String,
        /// The object it belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// Its status, where it may change.
        #[serde(skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// As the vendor sent it.
        object: Box<RawValue>,
        /// Lists of it.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        parts: BTreeMap<String, Vec<Box<RawValue>>>,
        /// Lists of it that the vendor does not give out, with what it said.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        refused: BTreeMap<String, String>,
        /// Its bytes.
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<Content>,
    },
    /// An object that is known and is not given out.
    Absent {
        /// Its id.
        id: String,
        /// The object it belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// What the vendor said.
        absent: String,
    },
    /// How far a list is.
    Mark {
        /// The object whose list it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// Everything up to this is here.
        after: Option<String>,
        /// The list had ended.
        ended: bool,
    },
}

/// A line as it is read: all but the objects themselves.
#[derive(Debug, Deserialize)]
struct Written {
    id: Option<String>,
    of: Option<String>,
    status: Option<String>,
    object: Option<IgnoredAny>,
    #[serde(default)]
    refused: BTreeMap<String, String>,
    content: Option<Content>,
    absent: Option<String>,
    after: Option<String>,
    ended: Option<bool>,
}

/// What a line says.
pub(crate) enum Said {
    /// An object: the one it belongs to, its id, and what is known of it.
    Object((Option<String>, String), Held),
    /// How far a list is.
    Mark(Option<String>, Mark),
}

/// Reads a line.
pub(crate) fn read_line(text: &[u8]) -> Result<Said, String> {
    let written: Written = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let Written { id, of, status, object, refused, content, absent, after, ended } = written;
    match (id, ended, object.is_some(), absent) {
        (Some(id), None, true, None) => {
            let held = Held { status, is_absent: false, refused: refused.into_iter().collect(), content };
            Ok(Said::Object((of, id), held))
        }
        (Some(id), None, false, Some(absent)) => {
            let refused = vec![("object".to_owned(), absent)];
            Ok(Said::Object((of, id), Held { is_absent: true, refused, ..Held::default() }))
        }
        (None, Some(ended), false, None) => Ok(Said::Mark(of, Mark { after, ended })),
        _ => Err("it is neither an object nor a mark".to_owned()),
    }
}

/// What is known of an object that is here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    /// Its status, where it may change.
    pub(crate) status: Option<String>,
    /// It was not given out.
    pub(crate) is_absent: bool,
    /// What of it was refused.
    pub(crate) refused: Vec<(String, String)>,
    /// Its bytes.
    pub(crate) content: Option<Content>,
}

/// How far a list is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Everything up to this is here.
    pub(crate) after: Option<String>,
    /// The list had ended.
    pub(crate) ended: bool,
}

/// What a collection's file holds.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    /// By the object it belongs to, and its id; in the order in which they came.
    pub(crate) held: HashMap<(Option<String>, String), Held>,
    /// By the object whose list it is.
    pub(crate) marks: HashMap<Option<String>, Mark>,
    /// Every place up to which a list was here once, by the object whose list it is.
    pub(crate) places: HashMap<Option<String>, Vec<String>>,
    /// Ids in the order in which they came, with the object they belong to.
    pub(crate) order: Vec<(Option<String>, String)>,
    file: Option<File>,
}

/// An export's directory, open for writing.
#[derive(Debug)]
pub struct Archive {
    root: PathBuf,
    shelves: HashMap<&'static str, Shelf>,
    _lock: File,
}

impl Archive {
    /// Opens a directory, or makes it.
    ///
    /// # Errors
    /// When it cannot be written, another export writes to it, or it holds lines that are not ours.
    pub fn open(root: &Path) -> Result<Archive, ArchiveError> {
        fs::create_dir_all(root).map_err(at(root))?;
        let path = root.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ArchiveError::Busy(root.to_owned())),
            Err(TryLockError::Error(source)) => return Err(ArchiveError::File { path, source }),
        }
        Ok(Archive { root: root.to_owned(), shelves: HashMap::new(), _lock: lock })
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What a collection's file holds; it is read the first time.
    pub(crate) fn shelf(&mut self, name: &'static str) -> Result<&mut Shelf, ArchiveError> {
        if !self.shelves.contains_key(name) {
            let shelf = Shelf::read(&file_of(&self.root, name))?;
            self.shelves.insert(name, shelf);
        }
        Ok(self.shelves.entry(name).or_default())
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, name: &'static str, line: Line) -> Result<(), ArchiveError> {
        let path = file_of(&self.root, name);
        let mut text = serde_json::to_vec(&line).map_err(|error| at(&path)(error.into()))?;
        let said = read_line(&text).map_err(|why| ArchiveError::Line { path: path.clone(), line: 0, why })?;
        text.push(b'\n');
        let shelf = self.shelf(name)?;
        if shelf.file.is_none() {
            shelf.file = Some(OpenOptions::new().create(true).append(true).open(&path).map_err(at(&path))?);
        }
        if let Some(file) = &mut shelf.file {
            file.write_all(&text).map_err(at(&path))?;
        }
        shelf.take(said);
        Ok(())
    }

    /// Brings what was written to the disk.
    pub(crate) fn sync(&mut self) -> Result<(), ArchiveError> {
        for (name, shelf) in &self.shelves {
            if let Some(file) = &shelf.file {
                file.sync_data().map_err(at(&file_of(&self.root, name)))?;
            }
        }
        Ok(())
    }
}

/// The file of a collection.
pub(crate) fn file_of(root: &Path, name: &str) -> PathBuf {
    root.join(format!("{name}.jsonl"))
}

/// Where the bytes of an object are, below the directory. An id is a vendor's text: what is no letter or digit is spelt out, so that it stays below.
pub(crate) fn content_of(name: &str, of: Option<&str>, id: &str) -> String {
    let spelt = |text: &str| {
        let mut spelt = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => spelt.push(char::from(byte)),
                other => spelt.push_str(&format!("%{other:02x}")),
            }
        }
        spelt
    };
    match of {
        Some(of) => format!("content/{name}/{}/{}", spelt(of), spelt(id)),
        None => format!("content/{name}/{}", spelt(id)),
    }
}

impl Shelf {
    fn take(&mut self, said: Said) {
        match said {
            Said::Object(key, held) => self.keep(key, held),
            Said::Mark(of, mark) => {
                if let Some(after) = &mark.after {
                    self.places.entry(of.clone()).or_default().push(after.clone());
                }
                self.marks.insert(of, mark);
            }
        }
    }

    fn keep(&mut self, key: (Option<String>, String), held: Held) {
        if self.held.insert(key.clone(), held).is_none() {
            self.order.push(key);
        }
    }

    /// Reads a file; a last line without an end is taken away.
    fn read(path: &Path) -> Result<Shelf, ArchiveError> {
        let mut shelf = Shelf::default();
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(shelf),
            Err(source) => return Err(at(path)(source)),
        };
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let (mut text, mut whole, mut number) = (Vec::new(), 0_u64, 0);
        loop {
            text.clear();
            let n = reader.read_until(b'\n', &mut text).map_err(at(path))?;
            if n == 0 {
                break;
            }
            number += 1;
            if text.last() != Some(&b'\n') {
                file.set_len(whole).map_err(at(path))?;
                break;
            }
            let wrong = |why| ArchiveError::Line { path: path.to_owned(), line: number, why };
            shelf.take(read_line(&text).map_err(wrong)?);
            whole += n as u64;
        }
        Ok(shelf)
    }
}

/// Names the file in an error.
pub(crate) fn at(path: &Path) -> impl Fn(std::io::Error) -> ArchiveError + '_ {
    |source| ArchiveError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(id: &str) -> Line {
        let object = RawValue::from_string(format!(r#"{{"id": "{id}"}}"#)).unwrap();
        let (parts, refused) = (BTreeMap::new(), BTreeMap::new());
        Line::Object { id: id.to_owned(), of: None, status: None, object, parts, refused, content: None }
    }

    #[test]
    fn what_was_written_is_there_again_and_a_torn_line_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::open(dir.path()).unwrap();
        archive.add("files", object("a")).unwrap();
        archive.add("files", Line::Mark { of: None, after: Some("a".to_owned()), ended: false }).unwrap();
        archive.add("files", object("b")).unwrap();
        assert!(matches!(Archive::open(dir.path()), Err(ArchiveError::Busy(_))));
        drop(archive);
        let path = file_of(dir.path(), "files");
        let length = fs::metadata(&path).unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(length - 3).unwrap();
        let mut archive = Archive::open(dir.path()).unwrap();
        let shelf = archive.shelf("files").unwrap();
        assert_eq!(shelf.order, [(None, "a".to_owned())]);
        assert_eq!(shelf.marks[&None], Mark { after: Some("a".to_owned()), ended: false });
        archive.add("files", object("c")).unwrap();
        drop(archive);
        let ids = Archive::open(dir.path()).unwrap().shelf("files").unwrap().order.len();
        assert_eq!(ids, 2);
        fs::write(&path, "{\"a\":1}\n").unwrap();
        let error = Archive::open(dir.path()).unwrap().shelf("files").unwrap_err();
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn an_id_never_leaves_the_directory() {
        assert_eq!(content_of("files", None, "../../etc"), "content/files/%2e%2e%2f%2e%2e%2fetc");
        assert_eq!(content_of("container_files", Some("c/1"), "f-1"), "content/container_files/c%2f1/f-1");
    }
}
