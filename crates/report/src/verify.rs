//! Does a bundle say what its rows say? Everything is made again from the rows and held against what is there, byte by byte.

use std::fmt;

use serde_json::Value;

use crate::bundle::{Bundle, MANIFEST, bundle};
use crate::canonical::sha256;
use crate::report::{Engine, FORMAT};
use crate::rows::{Files, Rows, RowsError, SETTINGS};
use crate::tar;

/// Differences that are named; where there are more, the first of them say enough.
pub const MOST_NAMED: usize = 20;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The file.
    pub file: String,
    /// The figure or word in it, where one can be named.
    pub figure: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.figure {
            Some(figure) => write!(f, "{}: {figure}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Why a bundle cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is no bundle.
    #[error("this is no bundle of `crossfade report`: {0}")]
    NoBundle(String),
}

/// Makes everything again from the rows of a bundle, given as an archive's bytes or as files by their names. What differs comes back; nothing when
/// the bundle says what its rows say.
///
/// # Errors
/// When it is no bundle at all.
pub fn verify(
    given: Result<&[u8], Files>,
    engine: &dyn Engine,
) -> Result<(Vec<Mismatch>, Option<Bundle>), VerifyError> {
    let (files, archive) = match given {
        Ok(archive) => {
            if archive.get(257..262) != Some(b"ustar") {
                return Err(VerifyError::NoBundle("it is neither a directory nor a tar archive".to_owned()));
            }
            match tar::read(archive) {
                Ok(files) => (files, Some(archive)),
                Err(why) => return Ok((vec![mismatch("archive", None, why)], None)),
            }
        }
        Err(files) => (files, None),
    };
    if !files.contains_key(SETTINGS) && !is_format(&files, MANIFEST) {
        return Err(VerifyError::NoBundle("it holds neither a report's manifest nor its rows".to_owned()));
    }
    let mut wrong = against_manifest(&files);
    let rows = match Rows::read(&files) {
        Ok(rows) => rows,
        Err(error) => {
            let file = match &error {
                RowsError::Missing(file) | RowsError::Unreadable { file, .. } => file.clone(),
            };
            wrong.push(mismatch(&file, None, error.to_string()));
            return Ok((wrong, None));
        }
    };
    let Ok(made) = bundle(&rows, engine) else {
        wrong.push(mismatch("archive", None, "more than an archive can hold".to_owned()));
        return Ok((wrong, None));
    };
    for (name, bytes) in &made.files {
        let there = files.get(name);
        if there != Some(bytes) {
            // What is different in it says more than that something is.
            wrong.retain(|one| one.file != *name);
        }
        match there {
            None => wrong.push(mismatch(name, None, "it is missing".to_owned())),
            Some(there) if there == bytes => {}
            Some(there) => differences(name, there, bytes, &mut wrong),
        }
    }
    for name in files.keys().filter(|name| !made.files.contains_key(*name)) {
        wrong.push(mismatch(name, None, "no bundle of these rows has it".to_owned()));
    }
    if wrong.is_empty() && archive.is_some_and(|archive| *archive != *made.archive) {
        let at = archive.unwrap_or_default().iter().zip(&made.archive).position(|(one, other)| one != other);
        let at = at.map_or_else(|| "its length".to_owned(), |at| format!("byte {at}"));
        wrong.push(mismatch("archive", None, format!("{at} is not as it was written")));
    }
    wrong.truncate(MOST_NAMED);
    Ok((wrong, Some(made)))
}

fn mismatch(file: &str, figure: Option<String>, what: String) -> Mismatch {
    Mismatch { file: file.to_owned(), figure, what }
}

/// Whether a file says that it is of a report; other directories have a `manifest.json` too.
fn is_format(files: &Files, name: &str) -> bool {
    let parsed = files.get(name).and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    parsed.is_some_and(|parsed| parsed["format"] == FORMAT)
}

/// Files that are not what the manifest says. That the manifest itself is right is seen when it is made again.
fn against_manifest(files: &Files) -> Vec<Mismatch> {
    let manifest = files.get(MANIFEST).and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
    let Some(manifest) = manifest else {
        return vec![mismatch(MANIFEST, None, "it is missing or cannot be read".to_owned())];
    };
    let listed = manifest["files"].as_object().into_iter().flatten();
    let wrong = listed.filter_map(|(name, entry)| {
        let there = files.get(name)?;
        (entry["sha256"].as_str() != Some(&sha256(there)))
            .then(|| mismatch(name, None, "its SHA-256 is not that of the manifest".to_owned()))
    });
    wrong.collect()
}

/// What is different in a file; in JSON, which figures.
fn differences(name: &str, there: &[u8], made: &[u8], wrong: &mut Vec<Mismatch>) {
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    if name.starts_with("report.json")
        && let Some((there, made)) = parsed(there).zip(parsed(made))
    {
        let before = wrong.len();
        compare(name, &there, &made, &mut String::new(), wrong);
        if wrong.len() > before {
            return;
        }
    }
    let line =
        there.split(|byte| *byte == b'\n').zip(made.split(|byte| *byte == b'\n')).position(|(one, other)| one != other);
    let line = line.map_or_else(|| "its end".to_owned(), |line| format!("line {}", line + 1));
    wrong.push(mismatch(name, None, format!("{line} is not what the rows say")));
}

/// Walks two trees side by side. A figure is named by its id.
fn compare(file: &str, there: &Value, made: &Value, path: &mut String, wrong: &mut Vec<Mismatch>) {
    if wrong.len() >= MOST_NAMED || there == made {
        return;
    }
    let length = path.len();
    match (there, made) {
        (Value::Object(one), Value::Object(other)) => {
            if let Some(id) = other.get("id").and_then(Value::as_str).filter(|_| other.contains_key("unit")) {
                path.clear();
                path.push_str(id);
            }
            for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
                let at = path.len();
                path.push('.');
                path.push_str(name);
                compare(
                    file,
                    one.get(name).unwrap_or(&Value::Null),
                    other.get(name).unwrap_or(&Value::Null),
                    path,
                    wrong,
                );
                path.truncate(at);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (idx, (one, other)) in one.iter().zip(other).enumerate() {
                let at = path.len();
                path.push_str(&format!("[{idx}]"));
                compare(file, one, other, path, wrong);
                path.truncate(at);
            }
        }
        (there, made) => {
            let figure = path.trim_start_matches('.').to_owned();
            wrong.push(mismatch(file, Some(figure), format!("{there} is written, and the rows come to {made}")));
        }
    }
    if path.len() > length {
        path.truncate(length);
    }
}
