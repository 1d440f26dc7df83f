//! Maven's `pom.xml`, and what Gradle, its catalogue and sbt write: a library is its group and its name, and its version is said at it, by a
//! property, or by the bill of materials of its group. What is commented out is not there.

use std::collections::HashSet;

use super::{Package, names, short, version_in};
use crate::scan::language::Language;

/// The known packages that a `pom.xml` depends on, each once.
pub(super) fn of_pom(text: &str, known: &HashSet<&'static str>) -> Vec<Package> {
    let text = &uncommented(text);
    let mut packages: Vec<Package> = Vec::new();
    // Of a group by its bill of materials, and of what the file only manages.
    let mut boms: Vec<(String, String)> = Vec::new();
    let mut managed: Vec<(String, String)> = Vec::new();
    let management = text.find("<dependencyManagement>").zip(text.find("</dependencyManagement>"));
    for (at, block) in blocks(text) {
        let (Some(group), Some(artifact)) = (within(block, "groupId"), within(block, "artifactId")) else { continue };
        let version = within(block, "version").map(|version| resolved(version, text)).unwrap_or_default();
        if within(block, "scope") == Some("import") {
            boms.push((group.to_owned(), version));
            continue;
        }
        if management.is_some_and(|(from, to)| from < at && at < to) {
            managed.push((format!("{group}:{artifact}"), version));
            continue;
        }
        let Some(name) = known.get(format!("{group}:{artifact}").as_str()) else { continue };
        let before = at + block.find("<artifactId>").unwrap_or(0);
        let line = u32::try_from(text[..before].matches('\n').count() + 1).unwrap_or(u32::MAX);
        add(&mut packages, Package { name: (*name).to_owned(), version, is_locked: false, line });
    }
    for package in packages.iter_mut().filter(|package| package.version.is_empty()) {
        let group = package.name.split(':').next().unwrap_or_default();
        let managed = managed.iter().find(|(name, _)| *name == package.name);
        if let Some((_, version)) = managed.or_else(|| boms.iter().find(|(own, _)| own == group)) {
            package.version.clone_from(version);
        }
    }
    packages
}

/// The same of what Gradle, its catalogue of versions and sbt write in a line.
pub(super) fn of_lines(text: &str, known: &HashSet<&'static str>) -> Vec<Package> {
    let mut packages = Vec::new();
    for (idx, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with("//") || line.starts_with('#') || line.starts_with('*') {
            continue;
        }
        let is_named = |name: &&&str| {
            let group = name.split(':').next().unwrap_or_default();
            line.contains(group) && names(line, name, Language::Java)
        };
        for name in known.iter().filter(is_named) {
            let after = &line[line.find(short(name)).map_or(0, |at| at + short(name).len())..];
            let version = version_after(after, text);
            let line = u32::try_from(idx + 1).unwrap_or(u32::MAX);
            add(&mut packages, Package { name: (*name).to_owned(), version, is_locked: false, line });
        }
    }
    // Names of a line come in no order.
    packages.sort_by(|one: &Package, other| (one.line, &one.name).cmp(&(other.line, &other.name)));
    packages
}

fn add(packages: &mut Vec<Package>, package: Package) {
    match packages.iter_mut().find(|own| own.name == package.name) {
        Some(own) if own.version.is_empty() => own.version = package.version,
        Some(_) => {}
        None => packages.push(package),
    }
}

/// The text with what is between `<!--` and `-->` blank, line for line.
fn uncommented(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("<!--") {
        let end = rest[at..].find("-->").map_or(rest.len(), |end| at + end + 3);
        kept.push_str(&rest[..at]);
        kept.extend(rest[at..end].chars().filter(|one| *one == '\n'));
        rest = &rest[end..];
    }
    kept + rest
}

/// What stands in each `<dependency>`, and where.
fn blocks(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.match_indices("<dependency>").map(|(at, _)| {
        let rest = &text[at..];
        // What it leaves out of another library is not its own.
        let end = ["<exclusions>", "</dependency>"].iter().filter_map(|tag| rest.find(tag)).min();
        (at, &rest[..end.unwrap_or(rest.len())])
    })
}

/// What stands in the first element of the name.
fn within<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once("</")?.0.trim())
}

/// The version, where it is written or behind a property of the same file.
fn resolved(version: &str, text: &str) -> String {
    let property = version.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    let version = property.map_or(Some(version), |property| within(text, property)).unwrap_or_default();
    if version.starts_with(|first: char| first.is_ascii_digit()) { version.to_owned() } else { String::new() }
}

/// `:1.0")`, `", version = "1.0" }`, `", version.ref = "ai" }`, `" % "1.0"`; nothing of another library in the line.
fn version_after(after: &str, text: &str) -> String {
    if let Some(own) = after.strip_prefix(':') {
        return version_in(own.split(['"', '\'', '@']).next().unwrap_or(own)).unwrap_or_default();
    }
    let rest = after.trim_start_matches(['"', '\'', ' ', ',', '%', '(']);
    if let Some((_, name)) = rest.split_once("version.ref") {
        let name = name.trim_start_matches(['=', ' ', '"', '\'']).split(['"', '\'']).next().unwrap_or_default();
        let mut said = text.lines().filter_map(|line| line.trim().split_once('='));
        let said = said.find(|(key, _)| key.trim() == name).map(|(_, value)| value);
        return said.and_then(version_in).unwrap_or_default();
    }
    let said = rest.strip_prefix("version").or_else(|| after.contains('%').then_some(rest));
    said.and_then(version_in).unwrap_or_default()
}
