//! `crossfade rollout history`: every transition, and what it rested on.

use serde_json::Value;
use store::TransitionRow;

use super::page::way;
use crate::config::show_share;
use crate::verbs::time::us_to_text;

/// The exchanges shown of a metric and arm; `--format json` has the others.
const SHOWN: usize = 3;
/// How the reason of a rollback begins that an open breaker made.
const BREAKER: &str = "the candidate's circuit breaker";

/// The page: a block for each transition, oldest first. `crossfade` is how the commands on it begin.
pub(super) fn render(rows: &[TransitionRow], crossfade: &str) -> String {
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
        for line in numbers(row, &evidence) {
            text += &format!("  {line}\n");
        }
        if row.event == "rollback" {
            let (rollout, epoch) = (&row.rollout, row.epoch);
            text += &format!(
                "  all of them: {crossfade} exchanges list --rollout {rollout} --epoch {epoch} --arm candidate   newest first; `arm failed` says how\n"
            );
        }
        text
    };
    let blocks: Vec<String> = rows.iter().map(block).collect();
    blocks.join("\n")
}

/// The numbers that a transition rested on. A rollback rests on its breach, everything else on what was proven until then.
fn numbers(row: &TransitionRow, evidence: &Value) -> Vec<String> {
    if !evidence.is_object() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    if row.event == "rollback" {
        lines.extend(failed(&row.reason, evidence));
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

/// What failed: which guard, and what it saw of both arms. A circuit breaker and a lost store count nothing of their own; of them it is what
/// the epoch had counted. The failure that opens a breaker may be the one that a guard waited for: both are named.
fn failed(reason: &str, evidence: &Value) -> Option<String> {
    let breach = &evidence["breach"];
    let metric = breach["metric"].as_str().unwrap_or("error");
    let (guard, counted) = match breach["cause"].as_str()? {
        "relative" => (format!("the guard on `{metric}` against the baseline"), true),
        "absolute" => (format!("the limit on `{metric}`"), true),
        "breaker_open" => (format!("{BREAKER}, by calls that failed in a row"), false),
        "control_plane_lost" => ("the store, which took no decisions; not the candidate".to_owned(), false),
        other => (format!("the guard `{other}`"), true),
    };
    let opened = if counted && reason.starts_with(BREAKER) { format!("{BREAKER} and ") } else { String::new() };
    let n = |name: &str| breach[name].as_u64().unwrap_or(0);
    let [(bad, of), (bad_baseline, of_baseline)] = if counted {
        [(n("bad_candidate"), n("n_candidate")), (n("bad_baseline"), n("n_baseline"))]
    } else {
        ["candidate", "baseline"].map(|arm| tally(evidence, arm, metric))
    };
    let seen = format!(
        "{metric} in {bad} of {of} requests of the candidate and {bad_baseline} of {of_baseline} of the baseline"
    );
    let proof = match (breach["e_value"].as_f64(), breach["threshold"].as_f64()) {
        (Some(e_value), Some(threshold)) if counted => {
            format!("; e-value {} of {}", number(e_value), number(threshold))
        }
        _ => String::new(),
    };
    Some(format!("what failed: {opened}{guard}: {seen}{proof}"))
}

/// How many of an arm's requests of the epoch were bad, and of how many.
fn tally(evidence: &Value, arm: &str, metric: &str) -> (u64, u64) {
    let arm = evidence["arms"].as_array().into_iter().flatten().find(|of| of["arm"] == arm);
    let rate = arm.and_then(|of| of["rates"].as_array()?.iter().find(|rate| rate["metric"] == metric));
    let n = |name: &str| rate.and_then(|rate| rate[name].as_u64()).unwrap_or(0);
    (n("bad"), n("n"))
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

    fn row(event: &str, reason: &str) -> TransitionRow {
        TransitionRow {
            rollout: "to-qwen".into(),
            generation: 3,
            at_us: 0,
            from: "canary 5 %".into(),
            to: "rolled_back".into(),
            from_share: 0.05,
            to_share: 0.0,
            epoch: 2,
            actor: "crossfade".into(),
            event: event.into(),
            reason: reason.into(),
            evidence_json: "null".into(),
            policy_hash: String::new(),
        }
    }

    fn check(event: &str, evidence: &str, expected: &[&str]) {
        assert_eq!(numbers(&row(event, "harm"), &serde_json::from_str(evidence).unwrap()), expected);
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
                "what failed: the guard on `error` against the baseline: error in 8 of 120 requests of the candidate and 14 of 2400 of the baseline; \
                 e-value 532 of 100",
                "bad: error of the candidate: d c b",
            ],
        );
    }

    #[test]
    fn an_opened_breaker_shows_what_the_epoch_had_counted_of_both_arms() {
        check(
            "rollback",
            r#"{"breach":{"cause":"breaker_open","metric":null,"e_value":0.0,"threshold":0.0,"bad_candidate":0,"bad_baseline":0,
                "n_candidate":0,"n_baseline":0,"share":0.0},
                "arms":[{"arm":"baseline","rates":[{"metric":"error","n":90,"bad":1}]},
                        {"arm":"candidate","rates":[{"metric":"timeout","n":9,"bad":0},{"metric":"error","n":9,"bad":4}]}]}"#,
            &[
                "what failed: the candidate's circuit breaker, by calls that failed in a row: error in 4 of 9 requests of the candidate and 1 of 90 of \
                 the baseline",
            ],
        );
    }

    #[test]
    fn a_breaker_that_opened_with_the_proof_of_a_guard_is_named_beside_it() {
        let evidence = r#"{"breach":{"cause":"absolute","metric":"error","e_value":75334.0,"threshold":10000.0,"bad_candidate":5,"bad_baseline":0,
            "n_candidate":5,"n_baseline":6,"share":0.5}}"#;
        let opened = row("rollback", "the candidate's circuit breaker opened; time_to_detect 0.120 s");
        let expected = "what failed: the candidate's circuit breaker and the limit on `error`: error in 5 of 5 requests of the candidate and 0 of 6 of \
                        the baseline; e-value 75334 of 10000";
        assert_eq!(numbers(&opened, &serde_json::from_str(evidence).unwrap()), [expected]);
    }

    #[test]
    fn a_rollback_names_the_command_that_lists_what_the_candidate_did() {
        let command = "crossfade -c a.yaml exchanges list --rollout to-qwen --epoch 2 --arm candidate ";
        assert!(render(&[row("rollback", "harm")], "crossfade -c a.yaml").contains(command));
        assert!(!render(&[row("abort", "harm")], "crossfade -c a.yaml").contains("exchanges list"));
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
