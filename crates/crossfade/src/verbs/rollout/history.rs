//! `crossfade rollout history`: every transition, and what it rested on.

use serde_json::Value;
use store::TransitionRow;

use super::page::way;
use crate::config::show_share;
use crate::verbs::time::us_to_text;

/// The exchanges shown of a metric and arm; `--format json` has the others.
const SHOWN: usize = 3;

/// The page: a block for each transition, oldest first.
pub(super) fn render(rows: &[TransitionRow]) -> String {
    let block = |row: &TransitionRow| {
        let (from, to) = (show_share(row.from_share), show_share(row.to_share));
        if row.event == "drill" {
            return format!(
                "{}  drill at {}, epoch {}\n  by {}: {}\n",
                us_to_text(row.at_us),
                row.to,
                row.epoch,
                row.actor,
                row.reason
            );
        }
        let share = if from == to { to } else { format!("{from} -> {to}") };
        let mut text = format!(
            "{}  {}, share {share}, epoch {}\n  {} by {}: {}\n",
            us_to_text(row.at_us),
            way(row),
            row.epoch,
            row.event.replace('_', " "),
            row.actor,
            row.reason
        );
        let evidence: Value = serde_json::from_str(&row.evidence_json).unwrap_or_default();
        for line in numbers(&row.event, &evidence) {
            text += &format!("  {line}\n");
        }
        text
    };
    let blocks: Vec<String> = rows.iter().map(block).collect();
    blocks.join("\n")
}

/// The numbers that a transition rested on. A rollback rests on its breach, everything else on what was proven until then.
fn numbers(event: &str, evidence: &Value) -> Vec<String> {
    if !evidence.is_object() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if event == "rollback" {
        lines.extend(breach(&evidence["breach"]));
        let metric = &evidence["breach"]["metric"];
        lines.extend(exchanges(evidence, |bad| metric.is_null() || bad["metric"] == *metric));
        return lines;
    }
    let list = |name: &str| evidence[name].as_array().into_iter().flatten();
    lines.extend(list("gates").map(gate));
    let harm = &evidence["harm"];
    if let (Some(e_value), Some(threshold)) = (harm["e_value"].as_f64(), harm["threshold"].as_f64()) {
        lines.push(format!("harm: e-value {} of {}", number(e_value), number(threshold)));
    }
    lines.extend(exchanges(evidence, |bad| bad["arm"] == "candidate"));
    lines
}

/// What a guard saw. A circuit breaker and a lost store count nothing; the reason says it all.
fn breach(breach: &Value) -> Option<String> {
    let n = |name: &str| breach[name].as_u64();
    Some(format!(
        "breach: {}, e-value {} of {}, {} bad of the candidate ({} requests), {} of the baseline ({})",
        breach["metric"].as_str()?,
        number(breach["e_value"].as_f64()?),
        number(breach["threshold"].as_f64()?),
        n("bad_candidate")?,
        n("n_candidate")?,
        n("bad_baseline")?,
        n("n_baseline")?,
    ))
}

fn gate(gate: &Value) -> String {
    let points =
        |name: &str| gate[name].as_f64().map_or_else(|| "-".to_owned(), |value| format!("{:+.2} pp", value * 100.0));
    let text = |name: &str| gate[name].as_f64().map_or_else(|| "-".to_owned(), number);
    format!(
        "gate {}: {} after {}, difference {}, below {}, margin {}, e-value {} of {}",
        gate["metric"].as_str().unwrap_or("-"),
        gate["verdict"].as_str().unwrap_or("-"),
        gate["n"].as_u64().unwrap_or(0),
        points("estimate"),
        points("upper_bound"),
        points("margin"),
        text("e_value"),
        text("threshold"),
    )
}

/// Some of the bad exchanges, the newest first.
fn exchanges(evidence: &Value, is_asked: impl Fn(&Value) -> bool) -> Vec<String> {
    let asked = evidence["bad_exchanges"].as_array().into_iter().flatten().filter(|bad| is_asked(bad));
    let line = |bad: &Value| {
        let names = bad["exchanges"].as_array().into_iter().flatten().rev().take(SHOWN);
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        let text = |name: &str| bad[name].as_str().unwrap_or("-").to_owned();
        format!("bad: {} of the {}: {}", text("metric"), text("arm"), names.join(" "))
    };
    asked.map(line).collect()
}

fn number(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(event: &str, evidence: &str, expected: &[&str]) {
        assert_eq!(numbers(event, &serde_json::from_str(evidence).unwrap()), expected);
    }

    #[test]
    fn a_rollback_shows_the_events_the_e_value_its_threshold_and_the_exchanges() {
        check(
            "rollback",
            r#"{"breach":{"cause":"relative","metric":"error","e_value":532.1,"threshold":100.0,"bad_candidate":8,"bad_baseline":14,
                "n_candidate":120,"n_baseline":2400,"share":0.05},
                "bad_exchanges":[{"metric":"error","arm":"candidate","exchanges":["a","b","c","d"]},
                                 {"metric":"format","arm":"candidate","exchanges":["e"]}]}"#,
            &[
                "breach: error, e-value 532 of 100, 8 bad of the candidate (120 requests), 14 of the baseline (2400)",
                "bad: error of the candidate: d c b",
            ],
        );
    }

    #[test]
    fn a_promotion_shows_what_every_gate_had_proven() {
        check(
            "promote",
            r#"{"gates":[{"metric":"error","n":1200,"estimate":0.0,"upper_bound":0.008,"margin":0.01,"e_value":65.94,"threshold":20.0,
                "verdict":"pass"}],"harm":{"e_value":0.95,"threshold":100.0}}"#,
            &[
                "gate error: pass after 1200, difference +0.00 pp, below +0.80 pp, margin +1.00 pp, e-value 65.94 of 20.00",
                "harm: e-value 0.95 of 100",
            ],
        );
        check("start", "null", &[]);
    }
}
