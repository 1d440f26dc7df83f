//! As SARIF 2.1.0 (OASIS), for code hosts and editors.

use serde_json::{Value, json};

use crate::scan::finding::{Confidence, Finding, Kind};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// One rule per kind and operation, one result per finding. `today` is `YYYY-MM-DD`: what has ended by then is an error.
#[must_use]
pub fn sarif(findings: &[Finding], version: &str, today: &str) -> String {
    let mut ids: Vec<String> = findings.iter().map(rule_id).collect();
    ids.sort();
    ids.dedup();
    let rules: Vec<Value> =
        ids.iter().map(|id| json!({ "id": id, "shortDescription": { "text": id.replace('/', ": ") } })).collect();
    let results: Vec<Value> = findings.iter().map(|finding| result(finding, today)).collect();
    let driver = json!({ "name": "crossfade inventory", "version": version, "rules": rules });
    let log = json!({ "$schema": SCHEMA, "version": "2.1.0", "runs": [{ "tool": { "driver": driver }, "results": results }] });
    // Maps with text keys always serialise.
    serde_json::to_string_pretty(&log).unwrap_or_default() + "\n"
}

fn rule_id(finding: &Finding) -> String {
    format!("{}/{}", finding.kind.as_str(), finding.operation)
}

fn result(finding: &Finding, today: &str) -> Value {
    let is_over = finding.sunsets.iter().any(|sunset| sunset.ends.as_str() <= today);
    let level = match (finding.kind, finding.confidence) {
        (Kind::Key, _) => "error",
        _ if is_over => "error",
        _ if !finding.sunsets.is_empty() => "warning",
        (_, Confidence::Possible) => "none",
        _ => "note",
    };
    let model = finding.model.id.as_ref().map(|id| format!(", model {id}")).unwrap_or_default();
    let ends: String = finding.sunsets.iter().map(|sunset| format!("; {} ends {}", sunset.what, sunset.ends)).collect();
    let text =
        format!("{} {} ({}{model}){ends}: {}", finding.vendor, finding.operation, finding.kind.as_str(), finding.seen);
    json!({
        "ruleId": rule_id(finding),
        "level": level,
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": uri(&finding.path) },
            "region": { "startLine": finding.line },
        } }],
        "properties": finding,
    })
}

/// A relative reference: what may not stand in one is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri += &format!("%{byte:02X}");
        }
    }
    uri
}
