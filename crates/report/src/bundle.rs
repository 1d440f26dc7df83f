//! A bundle: the report in every form, every row it was made of, the rules, and a manifest of SHA-256 over all of these.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::canonical::{json, sha256};
use crate::html::{appendix, html};
use crate::markdown::markdown;
use crate::report::{Engine, FORMAT, Report, report};
use crate::rows::{Files, Rows};
use crate::tar;

/// The file of the manifest.
pub(crate) const MANIFEST: &str = "manifest.json";

/// A report with all that is handed over.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// The report.
    pub report: Report,
    /// Files by their names: `report.html`, `appendix.html`, `report.md`, `report.json`, `rules.json`, `manifest.json` and `rows/…`.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The same as one archive.
    pub archive: Vec<u8>,
}

/// A bundle that cannot be.
#[derive(Debug, thiserror::Error)]
#[error("the rows are more than an archive can hold")]
pub struct BundleError;

#[derive(Serialize)]
struct Manifest<'a> {
    format: &'a str,
    files: BTreeMap<&'a str, Entry>,
}

#[derive(Serialize)]
struct Entry {
    bytes: usize,
    sha256: String,
}

/// Makes the bundle of these rows. The same rows give the same bytes.
///
/// # Errors
/// When the rows are too many for an archive.
pub fn bundle(rows: &Rows, engine: &dyn Engine) -> Result<Bundle, BundleError> {
    let report = report(rows, engine);
    let mut files = rows.files();
    files.insert("report.json".to_owned(), json(&report));
    files.insert("report.md".to_owned(), markdown(&report).into_bytes());
    files.insert("report.html".to_owned(), html(&report).into_bytes());
    files.insert("appendix.html".to_owned(), appendix(&report).into_bytes());
    files.insert("rules.json".to_owned(), json(&report.rules));
    files.insert(MANIFEST.to_owned(), manifest(&files));
    let archive = tar::write(&files).ok_or(BundleError)?;
    Ok(Bundle { report, files, archive })
}

fn manifest(files: &Files) -> Vec<u8> {
    let entry =
        |(name, bytes): (&'_ String, &Vec<u8>)| (name.clone(), Entry { bytes: bytes.len(), sha256: sha256(bytes) });
    let entries: BTreeMap<String, Entry> = files.iter().map(entry).collect();
    let files =
        entries.iter().map(|(name, entry)| (name.as_str(), Entry { bytes: entry.bytes, sha256: entry.sha256.clone() }));
    json(&Manifest { format: FORMAT, files: files.collect() })
}
