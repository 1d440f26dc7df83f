//! What the candidate's server does not do as the vendor's does: of a probe with `crossfade conformance`, and of refused calls.

use serde_json::Value;

use crate::rows::{Rows, Upload};
use crate::settings::Move;

/// Gaps that a report lists; the probe's own report has all.
const MOST: usize = 8;

/// Capability gaps of a move's candidate.
pub(crate) fn gaps(rows: &Rows, mv: &Move, n_refused: u64) -> Vec<String> {
    let mut gaps = Vec::new();
    if n_refused > 0 {
        gaps.push(format!("{n_refused} recorded calls were refused for what they ask of the server."));
    }
    let Some(candidate) = &mv.candidate else { return gaps };
    let probe =
        rows.probes.iter().filter_map(|upload| read(upload, &candidate.name)).max_by_key(|(began_s, _)| *began_s);
    let Some((began_s, probe)) = probe else {
        gaps.push(format!(
            "Not probed: `crossfade conformance {} -o probe.json`, and `--conformance probe.json`.",
            candidate.name
        ));
        return gaps;
    };
    if rows.settings.too_old(began_s.saturating_mul(1_000_000)).is_some() {
        gaps.push("The probe is too old; probe it again.".to_owned());
        return gaps;
    }
    if probe["model"].as_str().is_some_and(|model| model != candidate.model) {
        let then = probe["model"].as_str().unwrap_or_default();
        gaps.push(format!("The probe asked for the model {then}, which is {} now; probe it again.", candidate.model));
        return gaps;
    }
    let listed = probe["rows"].as_array().into_iter().flatten();
    let mut found: Vec<(u64, String)> = listed
        .filter_map(|row| {
            let verdict = row["verdict"].as_str().filter(|verdict| matches!(*verdict, "none" | "degraded"))?;
            let (id, what) = (row["capability"].as_str()?, row["what"].as_str()?);
            let done = row["in_gateway"].as_str().map(|done| format!(" In the gateway: {done}.")).unwrap_or_default();
            let words = if verdict == "none" { "not supported" } else { "supported in part" };
            Some((row["weight"].as_u64().unwrap_or(0), format!("{what} (`{id}`): {words}.{done}")))
        })
        .collect();
    found.sort_by(|(one, a), (other, b)| other.cmp(one).then_with(|| a.cmp(b)));
    let n_more = found.len().saturating_sub(MOST);
    gaps.extend(found.into_iter().take(MOST).map(|(_, text)| text));
    if n_more > 0 {
        gaps.push(format!("{n_more} more in the probe's report."));
    }
    if gaps.is_empty() {
        gaps.push("None that the probe found.".to_owned());
    }
    gaps
}

/// Why a file is no report of a probe; `None` when it is one.
#[must_use]
pub fn refused(upload: &Upload) -> Option<String> {
    match serde_json::from_str::<Value>(&upload.text) {
        Err(error) => Some(format!("it is no JSON ({error}); `crossfade conformance TARGET -o FILE.json` writes it")),
        Ok(facts) if reports(&facts).is_empty() => Some("it is no report of `crossfade conformance`".to_owned()),
        Ok(_) => None,
    }
}

/// The reports in what `crossfade conformance` writes: the target's, and that of the one it was held against.
fn reports(facts: &Value) -> Vec<&Value> {
    let all: Vec<&Value> = match facts {
        Value::Array(all) => all.iter().collect(),
        Value::Object(_) if facts["report"].is_object() => vec![&facts["report"], &facts["against"]],
        one => vec![one],
    };
    all.into_iter().filter(|report| report["subject"].is_string()).collect()
}

/// The report on this subject in a file, with when its probe began.
fn read(upload: &Upload, subject: &str) -> Option<(u64, Value)> {
    let facts: Value = serde_json::from_str(&upload.text).ok()?;
    let found = reports(&facts).into_iter().find(|report| report["subject"] == subject)?.clone();
    Some((found["began_s"].as_u64().unwrap_or(0), found))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_read_as_conformance_writes_it_and_what_is_none_is_refused() {
        let of = |text: &str| Upload { source: String::new(), text: text.to_owned() };
        let written = of(
            r#"{"report":{"subject":"own","began_s":7,"rows":[]},"against":{"subject":"gpt","began_s":3},"config":""}"#,
        );
        assert_eq!(
            (read(&written, "own").map(|found| found.0), read(&written, "gpt").map(|found| found.0)),
            (Some(7), Some(3))
        );
        assert!(read(&written, "other").is_none());
        assert_eq!(refused(&written), None);
        assert_eq!(refused(&of(r#"{"subject":"own"}"#)), None);
        assert!(refused(&of(r#"{"report":1}"#)).unwrap().contains("no report of `crossfade conformance`"));
        assert!(refused(&of("nothing")).unwrap().contains("it is no JSON"));
    }
}
