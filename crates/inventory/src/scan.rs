//! Finds where a code base uses vendors of language models: text in, findings out.
//!
//! [`read`] looks into one file and knows nothing of others, so what it returns can be kept by the file's content. [`link`] takes
//! what was read of all files of a repository, follows names between them and returns the findings. [`wanted`] says which names
//! other files would have to mention to be of interest although they name no vendor.

mod facts;
mod finding;
mod hosts;
mod language;
mod link;
mod lower;
mod manifest;
mod models;
mod owners;
mod relevance;
pub mod render;
mod rules;
mod site;
mod sunset;
mod syntax;
#[cfg(test)]
mod tests;
mod text;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use self::facts::Facts;
use self::link::{Repository, SourceFile};
use self::manifest::Package;

pub use self::finding::{Confidence, Finding, Flags, Kind, Model, ModelFrom, OPERATIONS, Sunset};
pub use self::language::Language;
pub use self::owners::{Owners, PLACES as OWNERS_PLACES};
pub use self::sunset::TABLE_OF as SUNSETS_OF;

/// Changes whenever what is read of a file would: what was kept under another number is read again.
pub const READER: u32 = 1;

/// What was read of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Read {
    language: Option<Language>,
    facts: Option<Facts>,
    findings: Vec<Finding>,
    packages: Vec<Package>,
}

impl Read {
    /// Whether nothing of interest is in the file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_none() && self.findings.is_empty() && self.packages.is_empty()
    }

    /// Whether it is a source file that was not looked into, because it names no vendor.
    #[must_use]
    pub fn was_passed_over(&self) -> bool {
        self.language.is_some() && self.facts.is_none()
    }
}

/// Whether a file can be of interest by its name.
#[must_use]
pub fn is_candidate(path: &str) -> bool {
    Language::of_path(path).is_some() || manifest::is_manifest(path) || text::is_configuration(path)
}

/// Reads a file. A source file that names no vendor and no library is passed over unless `mentions` is true: then another file
/// made it interesting.
#[must_use]
pub fn read(path: &str, text: &str, mentions: bool) -> Read {
    let mut findings = text::keys_of(path, text);
    let language = Language::of_path(path);
    if let Some(language) = language {
        if !relevance::is_readable(text) {
            return Read { language: None, facts: None, findings, packages: Vec::new() };
        }
        let is_read = mentions || relevance::names_a_vendor(text);
        let facts = is_read.then(|| {
            let within = language::source_within(path, text);
            lower::facts_of(language, within.as_deref().unwrap_or(text))
        });
        return Read { language: Some(language), facts, findings, packages: manifest::packages_of(path, text) };
    }
    if text::is_configuration(path) {
        findings.extend(text::configuration_of(path, text));
    }
    Read { language: None, facts: None, findings, packages: manifest::packages_of(path, text) }
}

/// Names by which files that were passed over would reach a client or model made elsewhere in the repository.
#[must_use]
pub fn wanted(files: &[(String, Read)]) -> Vec<String> {
    let repository = repository(files);
    let mut names: Vec<String> = repository.shared().into_iter().filter(|name| name.len() > 2).collect();
    names.sort();
    names.dedup();
    names
}

fn repository(files: &[(String, Read)]) -> Repository {
    let packages: HashSet<String> =
        files.iter().flat_map(|(_, read)| read.packages.iter().map(|package| package.name.clone())).collect();
    let sources = files.iter().filter_map(|(path, read)| {
        Some(SourceFile { path: path.clone(), language: read.language?, facts: read.facts.clone()? })
    });
    Repository::new(sources.collect(), &packages)
}

/// The findings of a repository, in the order of paths and lines.
#[must_use]
pub fn link(files: &[(String, Read)], owners: &Owners) -> Vec<Finding> {
    let repository = repository(files);
    let mut findings: Vec<Finding> =
        (0..repository.files().len()).flat_map(|file| site::sites_of(&repository, file)).collect();
    findings.extend(files.iter().flat_map(|(_, read)| read.findings.iter().cloned()));
    findings.extend(files.iter().flat_map(|(path, read)| dependencies(path, &read.packages)));
    for finding in &mut findings {
        finding.version = version_of(files, finding);
        finding.owners = owners.of(&finding.path);
        finding.sunsets = sunset::of(finding);
        finding.seen = text::masked(&finding.seen);
    }
    findings.sort_by(|a, b| (&a.path, a.line, a.kind).cmp(&(&b.path, b.line, b.kind)));
    findings
}

/// Libraries that a manifest names, as findings; lock files say versions and are none.
fn dependencies<'f>(path: &'f str, packages: &'f [Package]) -> impl Iterator<Item = Finding> + use<'f> {
    let own = packages.iter().filter(|package| !package.is_locked || path.ends_with("go.mod"));
    own.map(|package| {
        let (sdk, vendor) = rules::Rules::of_package(&package.name);
        Finding {
            path: path.to_owned(),
            line: package.line,
            kind: Kind::Dependency,
            operation: "client".to_owned(),
            vendor: vendor.to_owned(),
            sdk: sdk.to_owned(),
            version: None,
            model: Model::default(),
            parameters: Vec::new(),
            flags: Flags::default(),
            confidence: Confidence::Certain,
            seen: format!("{} {}", package.name, package.version).trim().to_owned(),
            owners: Vec::new(),
            sunsets: Vec::new(),
        }
    })
}

/// The version of a finding's library: of the manifest nearest above the file, one that is locked before one that is asked for.
fn version_of(files: &[(String, Read)], finding: &Finding) -> Option<String> {
    if finding.sdk.is_empty() {
        return None;
    }
    let names = rules::Rules::packages_of_sdk(&finding.sdk);
    let found = files.iter().flat_map(|(path, read)| {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let is_above = directory.is_empty() || finding.path.starts_with(&format!("{directory}/"));
        let own = read
            .packages
            .iter()
            .filter(|package| names.contains(&package.name.as_str()) && !package.version.is_empty());
        own.filter(move |_| is_above).map(move |package| (directory.len(), package.is_locked, package.version.clone()))
    });
    found.max_by_key(|(depth, is_locked, _)| (*is_locked, *depth)).map(|(_, _, version)| version)
}
