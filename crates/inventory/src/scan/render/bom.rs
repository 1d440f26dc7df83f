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

fn libraries(findings: &[Finding]) -> BTreeMap<String, Value> {
    let mut by_name: BTreeMap<(&str, Option<&str>), Vec<&Finding>> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| !finding.sdk.is_empty()) {
        by_name.entry((&finding.sdk, finding.version.as_deref())).or_default().push(finding);
    }
    let component = |((sdk, version), found): (&(&str, Option<&str>), &Vec<&Finding>)| {
        let name = format!("library:{sdk}@{}", version.unwrap_or("-"));
        let mut component = json!({
            "type": "library",
            "bom-ref": name,
            "name": sdk,
            "evidence": { "occurrences": found.iter().map(|finding| occurrence(finding)).collect::<Vec<_>>() },
        });
        if let Some(version) = version {
            component["version"] = json!(version);
        }
        if let Some(url) = found.iter().find_map(|finding| package_url(finding)) {
            component["purl"] = json!(url);
        }
        (name, component)
    };
    by_name.iter().map(component).collect()
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
