//! The candidate's replicas by the hour of the week, from what `crossfade tco size --week` said.

use std::path::Path;

use cost::date::Date;
use serde_json::Value;

use super::known::text;
use crate::out::Stop;

/// The form of the file.
const FORMAT: &str = "crossfade-size/1";

/// What a worksheet has under `gpus`.
pub(super) fn hours(path: &Path, today: Date) -> Result<String, Stop> {
    let shown = path.display();
    let content =
        std::fs::read_to_string(path).map_err(|error| Stop::usage(format!("cannot read {shown}: {error}")))?;
    let hint = "`crossfade tco size … --week --format json > FILE` writes one";
    let wrong = |words: &str| Stop::usage(format!("{shown}: {words}")).hint(hint);
    let found: Value = serde_json::from_str(&content).map_err(|error| wrong(&error.to_string()))?;
    if found["format"] != FORMAT {
        return Err(wrong(&format!("this is not what `tco size` says, whose format is `{FORMAT}`")));
    }
    let week = &found["hours"];
    let replicas = week["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
    let replicas: Vec<String> = replicas.iter().filter_map(Value::as_u64).map(|n| n.to_string()).collect();
    if replicas.len() != 168 {
        return Err(wrong("it has no replicas of the 168 hours of a week, or even the most do not hold one"));
    }
    let is_made_up = found["made_up"] == true;
    let recorded = week["recorded"].as_u64().unwrap_or(0);
    // Hours that nobody saw are as the busiest: that is an assumption.
    let provenance = if is_made_up || recorded < 168 { "assumed" } else { "measured" };
    let evidence = format!(
        "{} requests of {}, {recorded} of 168 hours on record; {}",
        found["requests"],
        found["from"].as_str().unwrap_or_default(),
        found["curve"].as_str().unwrap_or_default()
    );
    let days: Vec<String> = replicas.chunks(24).map(|day| format!("        {},\n", day.join(", "))).collect();
    Ok(format!(
        "\n    hours:\n      replicas: [\n{}      ]\n      gpus_each: unknown\n      cold_start_s: {}\n      provenance: {provenance}\n      date: {today}\n      \
         evidence: {}\n      evidence_id: {}",
        days.concat(),
        week["cold_start_s"].as_f64().unwrap_or(0.0),
        text(&evidence),
        text(&format!("size:{shown}"))
    ))
}
