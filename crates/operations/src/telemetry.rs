//! Prometheus text: the request path's counters, the journal, and the live rollouts.

use crate::desk::Desk;

/// Every metric, in the Prometheus text format 0.0.4.
#[must_use]
pub fn metrics(desk: &Desk) -> String {
    let mut text = (desk.gateway_metrics)();
    let journal = desk.journal.counts();
    for (name, help, value) in [
        ("crossfade_journal_records_total", "Records written to the journal.", journal.records),
        ("crossfade_journal_bytes_total", "Bytes written to the journal.", journal.bytes),
        ("crossfade_journal_dropped_total", "Records the journal lost; each leaves a gap record.", journal.dropped),
    ] {
        write_line(&mut text, &format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}"));
    }
    let rollouts = desk.live.all();
    write_line(&mut text, "# HELP crossfade_rollout_share The candidate's share of units.");
    write_line(&mut text, "# TYPE crossfade_rollout_share gauge");
    for live in &rollouts {
        write_line(
            &mut text,
            &format!("crossfade_rollout_share{{rollout=\"{}\"}} {}", live.identity.name, live.view().share),
        );
    }
    write_line(&mut text, "# HELP crossfade_rollout_candidate_attempts_total Candidate attempts begun.");
    write_line(&mut text, "# TYPE crossfade_rollout_candidate_attempts_total counter");
    for live in &rollouts {
        let begun = live.attempt_counts().begun;
        let name = &live.identity.name;
        write_line(&mut text, &format!("crossfade_rollout_candidate_attempts_total{{rollout=\"{name}\"}} {begun}"));
    }
    write_line(&mut text, "# HELP crossfade_rollout_drill Whether a drill is on: its candidate fails by script.");
    write_line(&mut text, "# TYPE crossfade_rollout_drill gauge");
    for live in &rollouts {
        let name = &live.identity.name;
        let is_on = u8::from(desk.live.last_drill(name).is_some_and(|drill| drill.is_on()));
        write_line(&mut text, &format!("crossfade_rollout_drill{{rollout=\"{name}\"}} {is_on}"));
    }
    text
}

fn write_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
