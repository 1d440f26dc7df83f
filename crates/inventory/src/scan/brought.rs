//! Whose models a framework asks where its code does not say it: those that the module's build file brings, or its settings are for.

use std::collections::{BTreeMap, BTreeSet};

use super::Read;
use super::finding::{Confidence, Finding, Kind};
use super::language::Language;
use super::rules::Rules;
use super::text::{SPRING_CHOICE, vendor_of_spring};

/// Of each directory with a build file the frameworks that it brings a vendor's models to.
type Modules<'f> = BTreeMap<&'f str, BTreeMap<&'static str, BTreeSet<&'static str>>>;

/// Gives a vendor to what is asked of a framework and of nobody that is known. What asks a machine of one's own asks no vendor.
pub(super) fn settle(findings: &mut [Finding], files: &[(String, Read)]) {
    by_build(findings, files);
    by_setup(findings);
}

/// A framework that a repository sets up for one vendor alone asks that one.
fn by_setup(findings: &mut [Finding]) {
    let mut set_up: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let makes = |found: &&Finding| {
        matches!(found.kind, Kind::Client | Kind::Adapter)
            && found.vendor != "unknown"
            && Rules::is_framework(&found.sdk)
    };
    for found in findings.iter().filter(makes) {
        set_up.entry(found.sdk.clone()).or_default().insert(found.vendor.clone());
    }
    for found in findings.iter_mut().filter(|found| found.kind.is_site() && found.vendor == "unknown") {
        let vendors = set_up.get(&found.sdk).filter(|vendors| vendors.len() == 1);
        if let Some(vendor) = vendors.and_then(BTreeSet::first).filter(|vendor| *vendor != "self-hosted") {
            found.vendor.clone_from(vendor);
        }
    }
}

fn by_build(findings: &mut [Finding], files: &[(String, Read)]) {
    let modules = modules(files);
    let settings = settings(findings);
    if modules.is_empty() && settings.is_empty() {
        return;
    }
    let is_open = |finding: &&mut Finding| {
        finding.kind.is_site()
            && finding.vendor == "unknown"
            && Language::of_path(&finding.path).is_some_and(Language::is_jvm)
    };
    for finding in findings.iter_mut().filter(is_open) {
        let brought = nearest(&modules, &finding.path, |module| module.get(finding.sdk.as_str()));
        let said = nearest(&settings, &finding.path, Some).filter(|_| finding.sdk == "spring-ai");
        if let Some(vendor) = vendor_of(brought, said) {
            vendor.clone_into(&mut finding.vendor);
        }
        if finding.vendor == "self-hosted" {
            finding.confidence = Confidence::Possible;
        }
    }
}

/// What the settings of a module say.
#[derive(Debug, Default)]
struct Said {
    chosen: Option<&'static str>,
    vendors: BTreeSet<&'static str>,
}

/// The one that is left: the chosen one, the only one that is brought, of several the only one that has settings.
fn vendor_of(brought: Option<&BTreeSet<&'static str>>, said: Option<&Said>) -> Option<&'static str> {
    let only = |vendors: &BTreeSet<&'static str>| vendors.first().copied().filter(|_| vendors.len() == 1);
    let is_there = |vendor: &&str| brought.is_none_or(|brought| brought.contains(vendor));
    let chosen = said.and_then(|said| said.chosen).filter(is_there);
    let of_settings = || {
        let vendors = &said?.vendors;
        only(&vendors.iter().copied().filter(|vendor| is_there(vendor)).collect())
    };
    chosen.or_else(|| brought.and_then(only)).or_else(of_settings)
}

fn modules(files: &[(String, Read)]) -> Modules<'_> {
    let mut modules = Modules::new();
    for (path, read) in files {
        for package in &read.packages {
            let (sdk, vendor) = Rules::of_package(&package.name);
            if Rules::brings(&package.name) {
                modules.entry(directory(path)).or_default().entry(sdk).or_default().insert(vendor);
            }
        }
    }
    modules
}

/// What settings say, by the directory that has `src/main/resources` or the file itself.
fn settings(findings: &[Finding]) -> BTreeMap<String, Said> {
    let mut settings: BTreeMap<String, Said> = BTreeMap::new();
    let of_spring = findings.iter().filter(|found| found.kind == Kind::Setting && found.seen.starts_with("spring.ai."));
    for found in of_spring.filter(|found| !found.path.contains("/test/")) {
        let own = directory(&found.path);
        let place = own.find("src/main/resources").map_or(own, |at| own[..at].trim_end_matches('/'));
        let said = settings.entry(place.to_owned()).or_default();
        match found.seen.strip_prefix(SPRING_CHOICE).and_then(|rest| rest.strip_prefix('=')) {
            Some(word) => said.chosen = vendor_of_spring(&format!("spring.ai.{word}")),
            None => said.vendors.extend(vendor_of_spring(&found.seen)),
        }
    }
    settings
}

/// What the nearest directory above the path has.
fn nearest<'m, K: AsRef<str> + Ord, V, T>(
    all: &'m BTreeMap<K, V>,
    path: &str,
    of: impl Fn(&'m V) -> Option<&'m T>,
) -> Option<&'m T> {
    let is_above = |place: &str| place.is_empty() || path.strip_prefix(place).is_some_and(|rest| rest.starts_with('/'));
    all.iter()
        .filter(|(place, _)| is_above(place.as_ref()))
        .filter_map(|(place, own)| Some((place.as_ref().len(), of(own)?)))
        .max_by_key(|(length, _)| *length)
        .map(|(_, found)| found)
}

fn directory(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}
