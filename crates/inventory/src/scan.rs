//! Finds where a code base uses vendors of language models: text in, findings out.
//!
//! [`read`] looks into one file and knows nothing of others, so what it returns can be kept by the file's content. [`link`] takes
//! what was read of all files of a repository, follows names between them and returns the findings; [`Linker`] does so in parts.
//! [`Wanted`] are the names that other files would have to mention to be of interest although they name no vendor.

mod brought;
mod facts;
mod finding;
mod heirs;
mod hosts;
mod ignore;
mod language;
mod link;
mod lower;
mod manifest;
mod models;
mod notebook;
mod owners;
mod parts;
mod relevance;
pub mod render;
mod rules;
mod services;
mod site;
mod sunset;
pub(crate) mod syntax;
#[cfg(test)]
mod tests;
mod text;
mod told;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use self::facts::Facts;
use self::link::{Index, Repository, SourceFile};
use self::manifest::Package;

pub use self::finding::{
    Asked, Confidence, Finding, Flags, Kind, Model, ModelFrom, OPERATIONS, OwnersFrom, Prompt, PromptForm, Sunset,
};
pub use self::ignore::Ignore;
pub use self::language::Language;
pub(crate) use self::language::source_within;
pub(crate) use self::relevance::{may_hold_prompts, names_a_vendor};

pub use self::owners::{Owners, PLACES as OWNERS_PLACES};
pub use self::sunset::TABLE_OF as SUNSETS_OF;

/// Changes whenever what is read of a file would: what was kept under another number is read again.
pub const READER: u32 = 24;

/// What was read of one file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Read {
    language: Option<Language>,
    facts: Option<Facts>,
    findings: Vec<Finding>,
    packages: Vec<Package>,
    /// The module that a `go.mod` is of, or the crate of a `Cargo.toml`.
    module: Option<String>,
    /// Namespaces that a project of C# brings to all of its files.
    usings: Vec<String>,
    /// Addresses of vendors that configuration has, by key.
    told: Vec<(String, String)>,
    is_machine_made: bool,
}

impl Read {
    /// Whether nothing of interest is in the file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts.is_none()
            && self.findings.is_empty()
            && self.packages.is_empty()
            && self.module.is_none()
            && self.usings.is_empty()
            && self.told.is_empty()
    }

    /// Whether it is a source file that was not looked into, because no person wrote it: minified or generated.
    #[must_use]
    pub fn is_machine_made(&self) -> bool {
        self.is_machine_made
    }

    /// Whether it is a source file that was not looked into, because it names no vendor.
    #[must_use]
    pub fn was_passed_over(&self) -> bool {
        self.language.is_some() && self.facts.is_none()
    }
}

/// Every vendor that a finding can have, in the order of the alphabet.
#[must_use]
pub fn vendors() -> Vec<&'static str> {
    let mut vendors = rules::Rules::vendors();
    vendors.extend(hosts::vendors().chain(models::vendors()).chain(text::vendors()).chain(["unknown"]));
    vendors.retain(|vendor| *vendor != "-");
    vendors.sort_unstable();
    vendors.dedup();
    vendors
}

/// Whose service an address is; none where it is of no vendor.
#[must_use]
pub fn vendor_of_address(address: &str) -> Option<&'static str> {
    hosts::vendor_of(address)
}

/// Whose model an id is of; none where it is of no vendor, or no id.
#[must_use]
pub fn vendor_of_model(id: &str) -> Option<&'static str> {
    models::vendor_of(id)
}

/// Whether a library is a framework: whose models it asks is said where it is set up, not at each call.
#[must_use]
pub fn is_framework(library: &str) -> bool {
    rules::Rules::is_framework(library)
}

/// Whether a file can be of interest by its name.
#[must_use]
pub fn is_candidate(path: &str) -> bool {
    // What a tool put aside before it changed it, `.version-backups/…`, is no part of the program.
    let is_put_aside = |part: &str| part.starts_with('.') && part.contains("backup");
    if path.rsplit('/').skip(1).any(is_put_aside) {
        return false;
    }
    Language::of_path(path).is_some() || manifest::is_manifest(path) || text::is_configuration(path)
}

/// Reads a file. A source file that names no vendor and no library is passed over unless `mentions` is true: then another file
/// made it interesting.
#[must_use]
pub fn read(path: &str, text: &str, mentions: bool) -> Read {
    let mut findings = text::keys_of(path, text);
    let language = Language::of_path(path);
    if let Some(language) = language {
        let within = language::code_within(path, text);
        let (code, lines) = within.as_ref().map_or((text, &[][..]), |(code, lines)| (code.as_str(), lines.as_slice()));
        if !relevance::is_readable(code) {
            return Read { findings, is_machine_made: true, ..Read::default() };
        }
        let is_read = mentions
            || relevance::names_a_vendor(code)
            || relevance::names_a_library(language, code)
            || relevance::is_for_a_vendor(language, path);
        let facts = is_read.then(|| Facts { lines: lines.to_vec(), ..lower::facts_of(language, code) });
        let packages = manifest::packages_of(path, text);
        findings.extend(parts::of(path, text));
        findings.extend(services::of(path, text));
        return Read { language: Some(language), facts, findings, packages, ..Read::default() };
    }
    let mut told = Vec::new();
    if text::is_configuration(path) {
        findings.extend(text::configuration_of(path, text));
        told = told::addresses_of(path, text);
    }
    let (packages, module) = (manifest::packages_of(path, text), manifest::module_of(path, text));
    Read { findings, packages, module, usings: manifest::usings(path, text), told, ..Read::default() }
}

/// How large the pattern of those names may be.
const PATTERN_LIMIT: usize = 256 << 20;

/// Names by which files that were passed over would reach a client or model made elsewhere in the repository.
#[derive(Debug)]
pub struct Wanted(Regex);

impl Wanted {
    /// Whether the text has one of the names as a whole word.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl Wanted {
    /// By names; none when nothing is made that another file could use.
    #[must_use]
    pub fn of(names: impl IntoIterator<Item = String>) -> Option<Wanted> {
        let mut names: Vec<String> = names.into_iter().filter(|name| name.len() > 2).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return None;
        }
        let names: Vec<String> = names.iter().map(|name| regex::escape(name)).collect();
        let pattern = format!(r"(?-u:\b)(?:{})(?-u:\b)", names.join("|"));
        // Escaped names always are a pattern; ten thousand of them are a large one.
        RegexBuilder::new(&pattern).size_limit(PATTERN_LIMIT).dfa_size_limit(PATTERN_LIMIT).build().ok().map(Wanted)
    }
}

/// Follows names between the files of a repository, in parts that threads can share. What a name is found to stand for depends
/// on what was followed before it, so the parts are the same on every machine.
#[derive(Debug)]
pub struct Linker<'f> {
    files: &'f [(String, Read)],
    index: Arc<Index<'f>>,
    parts: Vec<Range<usize>>,
}

/// In how many parts names are followed.
const PARTS: usize = 4;

/// What a part of the files has.
#[derive(Debug, Default)]
pub struct Sites {
    own: Vec<Finding>,
    /// Calls that are sites only beside a client or a model.
    near: Vec<Finding>,
}

impl<'f> Linker<'f> {
    /// Of what was read of every file.
    #[must_use]
    pub fn new(files: &'f [(String, Read)]) -> Linker<'f> {
        let packages: HashSet<&str> =
            files.iter().flat_map(|(_, read)| read.packages.iter().map(|package| package.name.as_str())).collect();
        let sources = files.iter().filter_map(|(path, read)| {
            Some(SourceFile { path, language: read.language?, facts: read.facts.as_ref()? })
        });
        let modules = files.iter().filter_map(|(path, read)| {
            let begins = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            Some((begins, read.module.as_deref()?))
        });
        let usings = files.iter().flat_map(|(_, read)| read.usings.iter().cloned());
        let told = told::Told::new(files.iter().flat_map(|(_, read)| &read.told));
        let index = Index::new(sources.collect(), &packages, modules.collect(), usings.collect(), told);
        let parts = even(index.files().iter().map(|file| file.facts.values.len() + 1));
        Linker { files, index: Arc::new(index), parts }
    }

    /// How many parts there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// Whether there is nothing to follow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Names under which clients and models of a part are known outside of their file.
    #[must_use]
    pub fn shared(&self, part: usize) -> Vec<String> {
        let mut names = Repository::new(Arc::clone(&self.index)).shared(self.parts[part].clone());
        if part == 0 {
            names.extend(told::Told::keys(self.files.iter().flat_map(|(_, read)| &read.told)));
        }
        names
    }

    /// What a part has.
    #[must_use]
    pub fn sites(&self, part: usize) -> Sites {
        let repository = Repository::new(Arc::clone(&self.index));
        let mut sites = Sites::default();
        for file in self.parts[part].clone() {
            let (own, near) = site::sites_of(&repository, file);
            sites.own.extend(own);
            sites.near.extend(near);
        }
        sites
    }

    /// The findings of the repository, in the order of paths and lines, from those of every part.
    #[must_use]
    pub fn findings(&self, parts: Vec<Sites>, owners: &Owners) -> Vec<Finding> {
        let files = self.files;
        let (mut findings, mut near) = (Vec::new(), Vec::new());
        for part in parts {
            findings.extend(part.own);
            near.extend(part.near);
        }
        findings.extend(beside(&findings, near));
        findings.extend(files.iter().flat_map(|(_, read)| read.findings.iter().cloned()));
        findings.extend(files.iter().flat_map(|(path, read)| dependencies(path, &read.packages)));
        heirs::settle(&mut findings, &self.index);
        parts::settle(&mut findings);
        brought::settle(&mut findings, files);
        weigh_keys(&mut findings);
        weigh_dependencies(&mut findings);
        let versions = Versions::of(files);
        for finding in &mut findings {
            finding.version = versions.nearest(finding);
            finding.owners = owners.of(&finding.path);
            finding.owners_from = (!finding.owners.is_empty()).then_some(OwnersFrom::Codeowners);
            finding.sunsets = sunset::of(finding);
            finding.seen = text::masked(&finding.seen);
        }
        findings.sort_by(|a, b| (&a.path, a.line, a.kind).cmp(&(&b.path, b.line, b.kind)));
        findings
    }
}

/// Ranges of about the same weight, at most [`PARTS`].
fn even(weights: impl Iterator<Item = usize>) -> Vec<Range<usize>> {
    let weights: Vec<usize> = weights.collect();
    let most = weights.iter().sum::<usize>().div_ceil(PARTS);
    let (mut parts, mut begins, mut own) = (Vec::new(), 0, 0);
    for (idx, weight) in weights.iter().enumerate() {
        own += weight;
        if own >= most || idx + 1 == weights.len() {
            parts.push(begins..idx + 1);
            (begins, own) = (idx + 1, 0);
        }
    }
    parts
}

/// The findings of a repository, in the order of paths and lines, by one thread.
#[must_use]
pub fn link(files: &[(String, Read)], owners: &Owners) -> Vec<Finding> {
    let linker = Linker::new(files);
    let sites = (0..linker.len()).map(|part| linker.sites(part)).collect();
    linker.findings(sites, owners)
}

/// Of calls that are sites only beside a client or a model those that have one: in their file, else above or below its directory.
fn beside(findings: &[Finding], near: Vec<Finding>) -> Vec<Finding> {
    if near.is_empty() {
        return near;
    }
    let directory = |path: &'_ str| path.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
    let mut vendors: HashMap<&str, &str> = HashMap::new();
    let mut lines: HashSet<(&str, u32)> = HashSet::new();
    let sure = findings.iter().filter(|finding| finding.kind.is_site() && finding.confidence >= Confidence::Likely);
    for finding in sure {
        lines.insert((&finding.path, finding.line));
        if ["chat", "completions", "responses", "client"].contains(&finding.operation.as_str()) {
            vendors.entry(&finding.path).or_insert(&finding.vendor);
        }
    }
    let mut places: Vec<(String, &str)> = vendors.iter().map(|(path, vendor)| (directory(path), *vendor)).collect();
    places.sort_unstable();
    places.dedup_by(|one, other| one.0 == other.0);
    let is_under = |one: &str, other: &str| {
        other.is_empty() || one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let of = |mut finding: Finding| {
        let own = directory(&finding.path);
        let place = || places.iter().find(|(place, _)| is_under(place, &own) || is_under(&own, place));
        // A notebook runs by itself.
        let elsewhere = || place().map(|(_, vendor)| *vendor).filter(|_| !finding.path.ends_with(".ipynb"));
        let vendor = vendors.get(finding.path.as_str()).copied().or_else(elsewhere)?;
        // What fills an index asks no model.
        if finding.seen.to_lowercase().starts_with("index") {
            return None;
        }
        if finding.vendor == "unknown" {
            vendor.clone_into(&mut finding.vendor);
        }
        (!lines.contains(&(finding.path.as_str(), finding.line))).then_some(finding)
    };
    near.into_iter().filter_map(of).collect()
}

/// A key of Google's may be for maps or mail; where the repository uses Google's models it is likely for them.
fn weigh_keys(findings: &mut [Finding]) {
    let is_used = findings.iter().any(|finding| {
        finding.kind != Kind::Key && finding.confidence >= Confidence::Likely && finding.vendor.starts_with("google")
    });
    if is_used {
        let keys = findings.iter_mut().filter(|finding| finding.kind == Kind::Key);
        keys.for_each(|key| key.confidence = key.confidence.max(Confidence::Likely));
    }
}

/// A library with other uses is named for one of those, unless a call site of it is found.
fn weigh_dependencies(findings: &mut [Finding]) {
    let is_site = |finding: &&Finding| finding.kind.is_site() && finding.confidence >= Confidence::Likely;
    let used: HashSet<String> = findings.iter().filter(is_site).map(|finding| finding.sdk.clone()).collect();
    let named = findings.iter_mut().filter(|finding| finding.kind == Kind::Dependency && !used.contains(&finding.sdk));
    named
        .filter(|finding| rules::Rules::is_general(&finding.sdk))
        .for_each(|finding| finding.confidence = Confidence::Possible);
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
            among: Vec::new(),
            sdk: sdk.to_owned(),
            version: None,
            model: Model::default(),
            parameters: Vec::new(),
            flags: Flags::default(),
            confidence: Confidence::Certain,
            seen: format!("{} {}", package.name, package.version).trim().to_owned(),
            prompt: None,
            response: Vec::new(),
            owners: Vec::new(),
            owners_from: None,
            sunsets: Vec::new(),
        }
    })
}

/// Versions of libraries, by the name of their package and the directory of the manifest.
struct Versions<'f>(HashMap<&'f str, Vec<Wants<'f>>>);

/// A version in a manifest.
struct Wants<'f> {
    directory: &'f str,
    is_locked: bool,
    version: &'f str,
}

impl<'f> Versions<'f> {
    fn of(files: &'f [(String, Read)]) -> Versions<'f> {
        let mut versions: HashMap<&str, Vec<Wants<'_>>> = HashMap::new();
        for (path, read) in files {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            for package in read.packages.iter().filter(|package| !package.version.is_empty()) {
                let asked = Wants { directory, is_locked: package.is_locked, version: &package.version };
                versions.entry(&package.name).or_default().push(asked);
            }
        }
        Versions(versions)
    }

    /// The version of a finding's library: of the manifest nearest above the file, one that is locked before one that is asked for.
    fn nearest(&self, finding: &Finding) -> Option<String> {
        if finding.sdk.is_empty() || self.0.is_empty() {
            return None;
        }
        let is_above = |directory: &str| {
            directory.is_empty() || finding.path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
        };
        // A manifest's line is of one package, and has no version of another that belongs to the same library.
        let package = finding.seen.split(' ').next().unwrap_or_default();
        let names = match finding.kind {
            Kind::Dependency => vec![package],
            _ => rules::Rules::packages_of_sdk(&finding.sdk),
        };
        let found = names.iter().filter_map(|name| self.0.get(name)).flatten();
        found
            .filter(|asked| is_above(asked.directory))
            .max_by_key(|asked| (asked.is_locked, asked.directory.len()))
            .map(|asked| asked.version.to_owned())
    }
}
