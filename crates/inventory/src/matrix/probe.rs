//! Reports of `crossfade conformance`, as far as the matrix goes: which server was asked, when, and what was found of each capability.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::capability::{BackendKind, Capability, Treatment};

/// What a report says.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// About it as a whole.
    pub head: ProbeHead,
    /// Whether it is the one that the report's own subject was held against: no alternative by itself.
    pub held_against: bool,
    /// Capability by capability.
    pub(super) rows: BTreeMap<Capability, Measured>,
}

/// About a report as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeHead {
    /// The file.
    pub source: String,
    /// The target's name, or a URL.
    pub subject: String,
    /// The model that was asked for.
    pub model: String,
    /// When the probe began, Unix seconds.
    pub began_s: u64,
    /// Whether the answers were made up.
    pub simulated: bool,
}

/// What was found of a capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Measured {
    pub(super) verdict: Verdict,
    pub(super) how: String,
    /// What the gateway does about it.
    pub(super) repair: Option<String>,
    /// Entries of the report that it was read from.
    pub(super) evidence: Vec<String>,
}

/// What a probe found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// An application notices no difference to the vendor.
    Equivalent,
    /// It is there and differs.
    Degraded,
    /// It is not there.
    None,
    /// It could not be measured.
    NotMeasured,
}

impl Verdict {
    /// The words in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Equivalent => "equivalent",
            Verdict::Degraded => "degraded",
            Verdict::None => "none",
            Verdict::NotMeasured => "not measured",
        }
    }
}

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It is no JSON.
    #[error("it is no JSON; `crossfade conformance TARGET -o FILE.json` writes it")]
    Json(#[source] serde_json::Error),
    /// It is something else.
    #[error("it is no report of `crossfade conformance`")]
    Other,
}

/// Reads a file: one report, or that of a target and of the one it was held against.
///
/// # Errors
/// When it holds no report.
pub fn probes(source: &str, text: &str) -> Result<Vec<Probe>, ProbeError> {
    let facts: Value = serde_json::from_str(text).map_err(ProbeError::Json)?;
    let all: Vec<&Value> = match &facts {
        Value::Array(all) => all.iter().collect(),
        Value::Object(_) if facts["report"].is_object() => vec![&facts["report"], &facts["against"]],
        one => vec![one],
    };
    let read =
        all.into_iter().enumerate().filter_map(|(idx, report)| probe(source, report, idx > 0 && facts.is_object()));
    let read: Vec<Probe> = read.collect();
    if read.is_empty() { Err(ProbeError::Other) } else { Ok(read) }
}

fn probe(source: &str, report: &Value, held_against: bool) -> Option<Probe> {
    let text = |name: &str| report[name].as_str().map(str::to_owned);
    let kind = report["kind"].as_str().and_then(|word| BackendKind::ALL.into_iter().find(|kind| kind.as_str() == word));
    let rows = report["rows"].as_array()?.iter().filter_map(|row| measured(row, kind)).collect();
    let head = ProbeHead {
        source: source.to_owned(),
        subject: text("subject")?,
        model: text("model")?,
        began_s: report["began_s"].as_u64()?,
        simulated: report["simulated"].as_bool()?,
    };
    Some(Probe { head, held_against, rows })
}

/// A row; one of a capability that is not known here, or without a verdict, is none.
fn measured(row: &Value, kind: Option<BackendKind>) -> Option<(Capability, Measured)> {
    let capability = Capability::named(row["capability"].as_str()?)?;
    let verdict = Verdict::deserialize(&row["verdict"]).ok()?;
    let evidence = row["evidence"].as_array().into_iter().flatten();
    let measured = Measured {
        verdict,
        how: row["how"].as_str().unwrap_or_default().to_owned(),
        repair: repair(capability, row["advice"].as_str(), kind),
        evidence: evidence.filter_map(Value::as_str).map(str::to_owned).collect(),
    };
    Some((capability, measured))
}

/// What the gateway does so that an application notices nothing: by itself, by what the probe advises for the config, or by what it
/// does for this kind of server anyway. Leaving a field out repairs only what says nothing to a model.
fn repair(capability: Capability, advice: Option<&str>, kind: Option<BackendKind>) -> Option<String> {
    if let Some(inherent) = capability.inherent() {
        return Some(inherent.to_owned());
    }
    let advised = advice.and_then(|word| Treatment::ALL.into_iter().find(|treatment| treatment.as_str() == word));
    let treatment = advised.or_else(|| kind.map(|kind| kind.known(capability).treatment))?;
    let is_repair = match treatment {
        Treatment::Fix | Treatment::Rename => true,
        Treatment::Drop => matches!(capability, Capability::VendorFields | Capability::StreamOptions),
        Treatment::Pass | Treatment::Count | Treatment::Refuse => false,
    };
    is_repair.then(|| format!("the gateway puts it right (`{}: {}`)", capability.id(), treatment.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"{"capability":"max_completion_tokens","verdict":"none","how":"ignored","advice":"rename","evidence":["e4"]}"#;

    #[test]
    fn a_report_is_read_as_conformance_writes_it_with_the_one_it_was_held_against() {
        let of = |subject: &str| {
            format!(
                r#"{{"subject":"{subject}","model":"m","began_s":7,"simulated":false,"kind":"generic","rows":[{ROW}]}}"#
            )
        };
        let text = format!(r#"{{"report":{},"against":{},"config":""}}"#, of("own"), of("gpt"));
        let read = probes("probe.json", &text).unwrap();
        assert_eq!(read.iter().map(|probe| probe.head.subject.as_str()).collect::<Vec<_>>(), ["own", "gpt"]);
        assert_eq!(read.iter().map(|probe| probe.held_against).collect::<Vec<_>>(), [false, true]);
        let row = &read[0].rows[&Capability::MaxCompletionTokens];
        assert_eq!((row.verdict, row.evidence.as_slice()), (Verdict::None, ["e4".to_owned()].as_slice()));
        assert!(row.repair.as_ref().unwrap().contains("max_completion_tokens: rename"));
    }

    #[test]
    fn a_row_without_a_known_verdict_is_not_there_and_another_file_is_refused() {
        let text = r#"{"subject":"own","model":"m","began_s":7,"simulated":false,"rows":[{"capability":"chat","verdict":"fine"}]}"#;
        assert!(probes("p", text).unwrap()[0].rows.is_empty());
        assert!(probes("p", "{}").unwrap_err().to_string().contains("no report"));
        assert!(probes("p", "x").unwrap_err().to_string().contains("no JSON"));
    }

    #[test]
    fn leaving_a_field_out_repairs_only_what_says_nothing_to_a_model() {
        assert_eq!(repair(Capability::Seed, Some("drop"), None), None);
        assert!(repair(Capability::VendorFields, Some("drop"), None).is_some());
        assert_eq!(repair(Capability::JsonSchema, Some("refuse"), Some(BackendKind::Vllm)), None);
        assert!(repair(Capability::ToolsAuto, None, Some(BackendKind::Vllm)).is_some(), "vLLM's own treatment");
    }
}
