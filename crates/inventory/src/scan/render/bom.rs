//! As a machine-learning bill of materials: CycloneDX 1.6 (ECMA-424) as JSON. Models and libraries are components, each with the places
//! where it occurs; vendors are services.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::About;
use crate::scan::finding::{Finding, Kind};

const SCHEMA: &str = "http://cyclonedx.org/schema/bom-1.6.schema.json";

/// One component per model and library, one service per vendor. The same findings give the same text but for the time.
#[must_use]
pub fn bom(findings: &[Finding], about: &About<'_>) -> String {
    let models = models(findings);
    let libraries = libraries(findings);
    let services = services(findings);
    let refs: BTreeSet<&String> = models.keys().chain(libraries.keys()).chain(services.keys()).collect();
    let uses = |service: &str| -> Vec<&String> {
        models.iter().filter(|(_, model)| model["publisher"] == service).map(|(name, _)| name).collect()
    };
    let mut dependencies = vec![json!({ "ref": "application", "dependsOn": refs })];
    dependencies.extend(services.iter().filter_map(|(name, service)| {
        let models = uses(service["name"].as_str()?);
        (!models.is_empty()).then(|| json!({ "ref": name, "dependsOn": models }))
    }));
    let tool = json!({ "type": "application", "name": "crossfade inventory", "version": about.version });
    let log = json!({
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": format!("{}Z", about.now.replace(' ', "T")),
            "tools": { "components": [tool] },
            "component": { "type": "application", "bom-ref": "application", "name": about.names.join(", ") },
        },
        "components": models.values().chain(libraries.values()).collect::<Vec<_>>(),
        "services": services.values().collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    // Maps with text keys always serialise.
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

/// Where something occurs.
fn occurrence(finding: &Finding) -> Value {
    let mut context = format!("{} {} ({})", finding.kind.as_str(), finding.operation, finding.confidence.as_str());
    for flag in finding.flags.words() {
        context += " ";
        context += flag;
    }
    let symbol = finding.seen.as_str();
    json!({ "location": finding.path, "line": finding.line, "symbol": symbol, "additionalContext": context })
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": format!("crossfade:inventory:{name}"), "value": value })
}

fn models(findings: &[Finding]) -> BTreeMap<String, Value> {
    let mut by_id: BTreeMap<(&str, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        if let Some(id) = finding.model.id.as_deref().filter(|id| !id.is_empty()) {
            by_id.entry((&finding.vendor, id)).or_default().push(finding);
        }
    }
    let component = |((vendor, id), found): (&(&str, &str), &Vec<&Finding>)| {
        let name = format!("model:{vendor}/{id}");
        let mut properties: Vec<Value> = distinct(found.iter().map(|finding| finding.operation.as_str()))
            .map(|of| property("operation", of))
            .collect();
        let ends = found.iter().flat_map(|finding| &finding.sunsets).filter(|sunset| sunset.what == *id);
        let ends: BTreeMap<&str, &str> = ends.map(|sunset| (sunset.ends.as_str(), sunset.source.as_str())).collect();
        properties.extend(ends.keys().map(|day| property("ends", day)));
        let sources: Vec<Value> = ends
            .values()
            .map(|url| json!({ "type": "documentation", "url": url, "comment": "says when it ends" }))
            .collect();
        let component = json!({
            "type": "machine-learning-model",
            "bom-ref": name,
            "publisher": vendor,
            "name": id,
            "externalReferences": sources,
            "properties": properties,
            "evidence": { "occurrences": found.iter().map(|finding| occurrence(finding)).collect::<Vec<_>>() },
        });
        (name, component)
    };
    by_id.iter().map(component).collect()
}

/// A component for each package that manifests name, each of its versions apart; call sites are occurrences of the package that is called
/// like the library, or of its first one of that version. A library that no manifest names has a component without a URL.
fn libraries(findings: &[Finding]) -> BTreeMap<String, Value> {
    let mut by_package: BTreeMap<(&str, String, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| !finding.sdk.is_empty()) {
        if let Some(url) = package_url(finding) {
            let package = finding.seen.split(' ').next().unwrap_or_default();
            by_package.entry((&finding.sdk, url, package)).or_default().push(finding);
        }
    }
    let mut sites: BTreeMap<(&str, Option<&str>), Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| !finding.sdk.is_empty() && package_url(finding).is_none()) {
        sites.entry((&finding.sdk, finding.version.as_deref())).or_default().push(finding);
    }
    let mut components = BTreeMap::new();
    for ((sdk, url, package), found) in &by_package {
        let version = found.first().and_then(|finding| finding.version.as_deref());
        let own = sites.remove(&(*sdk, version)).unwrap_or_default();
        let found: Vec<&Finding> = found.iter().copied().chain(own).collect();
        components
            .insert(format!("library:{package}@{}", version.unwrap_or("-")), library(sdk, version, Some(url), &found));
    }
    for ((sdk, version), found) in &sites {
        components.insert(format!("library:{sdk}@{}", version.unwrap_or("-")), library(sdk, *version, None, found));
    }
    for (name, component) in &mut components {
        component["bom-ref"] = json!(name);
    }
    components
}

fn library(name: &str, version: Option<&str>, url: Option<&str>, found: &[&Finding]) -> Value {
    let mut component = json!({
        "type": "library",
        "bom-ref": "",
        "name": name,
        "evidence": { "occurrences": found.iter().map(|finding| occurrence(finding)).collect::<Vec<_>>() },
    });
    if let Some(version) = version {
        component["version"] = json!(version);
    }
    if let Some(url) = url {
        component["purl"] = json!(url);
    }
    component
}

/// The package URL of a dependency, by the manifest that names it.
fn package_url(finding: &Finding) -> Option<String> {
    if finding.kind != Kind::Dependency {
        return None;
    }
    let package = finding.seen.split(' ').next()?;
    let file = finding.path.rsplit('/').next()?;
    let kind = match file {
        "package.json" => "npm",
        "go.mod" => "golang",
        "Cargo.toml" => "cargo",
        "Gemfile" => "gem",
        "composer.json" => "composer",
        "pom.xml" | "build.gradle" | "build.gradle.kts" | "libs.versions.toml" | "build.sbt" => "maven",
        _ if file.ends_with(".gemspec") => "gem",
        _ if file.ends_with("proj") || file.ends_with(".props") || file.ends_with(".config") => "nuget",
        _ => "pypi",
    };
    let package = if kind == "maven" { package.replacen(':', "/", 1) } else { package.to_owned() };
    let escaped = package.replace('@', "%40");
    let version =
        finding.version.as_ref().map(|version| format!("@{}", version.replace('+', "%2B"))).unwrap_or_default();
    Some(format!("pkg:{kind}/{escaped}{version}"))
}

fn services(findings: &[Finding]) -> BTreeMap<String, Value> {
    let mut by_vendor: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| !matches!(finding.vendor.as_str(), "-" | "unknown" | "")) {
        by_vendor.entry(&finding.vendor).or_default().push(finding);
    }
    let service = |(vendor, found): (&&str, &Vec<&Finding>)| {
        let name = format!("service:{vendor}");
        let sites: Vec<&&Finding> = found.iter().filter(|finding| finding.kind.is_site()).collect();
        let mut operations: BTreeMap<&str, usize> = BTreeMap::new();
        for finding in &sites {
            *operations.entry(&finding.operation).or_default() += 1;
        }
        let mut properties: Vec<Value> =
            operations.iter().map(|(operation, n)| property(&format!("sites:{operation}"), &n.to_string())).collect();
        properties.extend(
            distinct(found.iter().flat_map(|finding| &finding.owners).map(String::as_str))
                .map(|of| property("owner", of)),
        );
        let service = json!({
            "bom-ref": name,
            "name": vendor,
            "provider": { "name": vendor },
            "x-trust-boundary": *vendor != "self-hosted",
            "properties": properties,
        });
        (name, service)
    };
    by_vendor.iter().map(service).collect()
}

fn distinct<'a>(words: impl Iterator<Item = &'a str>) -> impl Iterator<Item = &'a str> {
    words.collect::<BTreeSet<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::{Owners, link, read};

    #[test]
    fn each_package_has_its_own_url_with_the_version_that_its_own_entry_of_the_lock_file_says() {
        let files = [
            (
                "package.json",
                "{ \"dependencies\": {\n  \"langchain\": \"^0.1.0\",\n  \"@langchain/openai\": \"^0.2.0\"\n} }\n",
            ),
            (
                "package-lock.json",
                "{ \"packages\": {\n  \"node_modules/langchain\": {\n    \"version\": \"0.1.9\",\n    \"dependencies\": {\n      \"@langchain/openai\": \"~0.0.1\"\n    }\n  },\n  \
                 \"node_modules/@langchain/openai\": {\n    \"version\": \"0.2.7\"\n  }\n} }\n",
            ),
        ];
        let files: Vec<_> = files.map(|(path, text)| (path.to_owned(), read(path, text, true))).into();
        let findings = link(&files, &Owners::default());
        let about = About { names: &[], version: "0", now: "2026-11-27 00:00:00", lines: 0, files: 2 };
        let bom: Value = serde_json::from_str(&bom(&findings, &about)).unwrap();
        let urls: Vec<&str> =
            bom["components"].as_array().unwrap().iter().filter_map(|one| one["purl"].as_str()).collect();
        assert_eq!(urls, ["pkg:npm/%40langchain/openai@0.2.7", "pkg:npm/langchain@0.1.9"]);
    }
}
