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
            Some((row["weight"].as_u64().unwrap_or(0), format!("{what} (`{id}`): {verdict}.{done}")))
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

/// The report on this subject in a file, with when its probe began.
fn read(upload: &Upload, subject: &str) -> Option<(u64, Value)> {
    let facts: Value = serde_json::from_str(&upload.text).ok()?;
    let reports = match &facts {
        Value::Array(reports) => reports.clone(),
        one => vec![one.clone()],
    };
    let found = reports.into_iter().find(|report| report["subject"] == subject)?;
    Some((found["began_s"].as_u64().unwrap_or(0), found))
}
