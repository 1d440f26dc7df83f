//! What quickstart says. Every line says that it is simulated.

use std::path::Path;
use std::time::{Duration, Instant};

use operations::rollouts::RolloutView;
use rollout::{Metric, Needed, Policy, plan_lite};
use serde_json::Value;
use store::TransitionRow;

use super::act::{End, Ending, Plot};
use super::traffic::Sent;
use crate::config::show_share;
use crate::out::Out;
use crate::running::Running;

/// The knobs of every simulated provider at the start.
const ERROR_RATE: f64 = 0.005;
/// Chats that ask for JSON are a fifth of all; 0.3 % of these are malformed.
const FORMAT_FAILURE_RATE: f64 = 0.2 * 0.003;

/// Tells the story: the timeline on stdout, progress on stderr.
pub(crate) struct Story {
    out: Out,
    began: Instant,
}

impl Story {
    /// A story that begins now.
    pub(crate) fn new(out: Out, began: Instant) -> Story {
        Story { out, began }
    }

    /// Since the beginning.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn tell(&self, line: &str) {
        if !self.out.is_json() {
            self.out.print(&format!("simulated | {:>6.1} s | {line}\n", self.elapsed().as_secs_f64()));
        }
    }

    /// What runs where.
    pub(crate) fn opening(&self, running: &Running, seed: u32, directory: &Path) {
        self.tell(&format!(
            "gateway on http://{}/v1, admin on http://{}",
            running.data_address(),
            running.admin_address()
        ));
        self.tell(&format!("seed {seed}, store and journal in {}", directory.display()));
        self.tell("medium risk template: its alphas, margins and minimum numbers; only times and rates are compressed");
    }

    /// How far it is, on stderr.
    pub(crate) fn progress(&self, view: &RolloutView, n_sent: u64) {
        let facts = &view.explanation;
        let missing = if facts.missing.is_empty() { "nothing".to_owned() } else { facts.missing.join("; ") };
        let elapsed = self.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
        let rate = n_sent as f64 / elapsed;
        let label = &view.label;
        self.out.say(format_args!(
            "simulated | {elapsed:>6.1} s | {}: {label}, {n_sent} requests ({rate:.0}/s), missing: {missing}",
            view.name
        ));
    }

    /// One transition and the evidence it rests on.
    pub(crate) fn transition(&self, running: &Running, row: &TransitionRow) {
        lines(row).iter().for_each(|line| self.tell(line));
        let rests_on_gates = matches!(row.event.as_str(), "promote" | "await_approval" | "rollback");
        let Ok(evidence) = serde_json::from_str::<Value>(&row.evidence_json) else { return };
        if !rests_on_gates {
            return;
        }
        let policy = running.policy(&row.rollout);
        let plan = policy.as_ref().map(plan).unwrap_or_default();
        for gate in evidence["gates"].as_array().into_iter().flatten() {
            if let Some(line) = gate_line(gate, &evidence, &plan) {
                self.tell(&format!("    {line}"));
            }
        }
        if row.event == "rollback" {
            guard_lines(&evidence).iter().for_each(|line| self.tell(&format!("    {line}")));
        }
    }

    /// The knob was turned.
    pub(crate) fn planted(&self, plot: &Plot, error_rate: f64) {
        let (was, is) = (ERROR_RATE * 100.0, error_rate * 100.0);
        self.tell(&format!(
            "{}: regression planted: `{}` now fails {is} % of its calls, was {was} %",
            plot.rollout, plot.provider
        ));
    }

    /// How one migration ended.
    pub(crate) fn act_ended(&self, plot: &Plot, end: &End) {
        let how = match end.ending {
            Some(Ending::Full) => "completed: the candidate serves everything but the holdback",
            Some(Ending::RolledBack) => "rolled back: everybody is on the baseline",
            None => "not decided within the time",
        };
        let planned = if end.ending == Some(plot.ending) { "as planned" } else { "NOT as planned" };
        self.tell(&format!("{}: {how}, after {:.1} s, {planned}", end.rollout, end.took_s));
        if let Some(detected) = &end.detected {
            self.tell(&format!(
                "    time to detect, from the planting: {:.2} s, {} requests, {} of them candidate attempts",
                detected.after_s, detected.after_requests, detected.after_candidate_attempts
            ));
            self.tell(&format!("    candidate attempts begun in the second after: {}", detected.attempts_afterwards));
        }
    }

    /// What there is to look at now.
    pub(crate) fn closing(&self, sent: &Sent, plots: &[Plot], ends: &[End], config: &Path) {
        let Sent { requests, failed, broken, .. } = sent;
        self.tell(&format!(
            "{requests} requests sent over HTTP, {failed} answered with an error status, {broken} broken"
        ));
        // Where the first took all the time there was, the second had none.
        let is_slow = ends.iter().any(|end| end.ending.is_none());
        if is_slow {
            self.tell("this machine was too slow for the time, which says nothing of the rollouts: try `crossfade quickstart --connections 8`");
        }
        for (plot, end) in plots.iter().zip(ends) {
            let planned = if end.ending == Some(plot.ending) { "as planned" } else { "NOT as planned" };
            self.tell(&format!("{} {planned}: {}", end.rollout, path(&end.transitions)));
        }
        let config = config.display();
        self.tell("look at what was recorded:");
        for plot in plots {
            self.tell(&format!("    crossfade --config {config} rollout status {}", plot.rollout));
            self.tell(&format!("    crossfade --config {config} rollout history {}", plot.rollout));
        }
        self.tell(&format!("    crossfade --config {config} exchanges list --arm candidate --rollout billing-to-open"));
        self.tell(&format!("    crossfade --config {config} exchanges pairs --rollout {}", plots[0].rollout));
        self.tell("go on from here, at the same addresses:");
        self.tell(&format!("    crossfade --config {config} serve"));
        self.tell(
            "decide about the simulated migrations; the report names the command for each thing that is missing:",
        );
        self.tell(&format!("    crossfade --config {config} report --output report"));
    }
}

/// Where a transition led and why. One that leads nowhere else, such as an approval, is what happened and nothing more.
fn lines(row: &TransitionRow) -> Vec<String> {
    if row.from == row.to {
        return vec![format!("{}: {}", row.rollout, row.reason)];
    }
    let shares = format!("share {} -> {}", show_share(row.from_share), show_share(row.to_share));
    vec![
        format!("{}: {} -> {} ({shares}) by {}", row.rollout, row.from, row.to, row.actor),
        format!("    why: {}", row.reason),
    ]
}

/// Every place a rollout was at, each once after the other.
fn path(transitions: &[TransitionRow]) -> String {
    let mut path: Vec<&str> = transitions.iter().map(|row| row.to.as_str()).collect();
    path.dedup();
    path.join(" -> ")
}

fn plan(policy: &Policy) -> Vec<Needed> {
    plan_lite(policy, |metric| if metric == Metric::Format { FORMAT_FAILURE_RATE } else { ERROR_RATE })
}

/// `gate error: 1530 pairs used; a typical run takes 1472, nine in ten at most 2538. …`.
fn gate_line(gate: &Value, evidence: &Value, plan: &[Needed]) -> Option<String> {
    let step_idx = usize::try_from(evidence["step_idx"].as_u64()?).ok()?;
    let needed = plan.iter().find(|needed| needed.step_idx == step_idx && gate["metric"] == needed.metric.as_str())?;
    let n = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let what = if evidence["share"].as_f64() == Some(0.0) { "pairs" } else { "units" };
    let points =
        |value: &Value| value.as_f64().map_or_else(|| "?".to_owned(), |value| format!("{:+.2}", value * 100.0));
    Some(format!(
        "gate {}: {} {what} used; a typical run takes {}, nine in ten at most {}. Candidate - baseline {} pp, below {} pp, \
         margin {} pp, e-value {} of {:.0}: {}",
        gate["metric"].as_str()?,
        gate["n"],
        n(needed.typical),
        n(needed.nine_in_ten),
        points(&gate["estimate"]),
        points(&gate["upper_bound"]),
        points(&gate["margin"]),
        e_value(gate["e_value"].as_f64()?),
        gate["threshold"].as_f64()?,
        gate["verdict"].as_str()?,
    ))
}

/// An e-value without digits that say nothing.
fn e_value(value: f64) -> String {
    if value < 1e7 { format!("{value:.1}") } else { format!("{value:.0e}") }
}

fn guard_lines(evidence: &Value) -> Vec<String> {
    let line = |guard: &Value| {
        let (e_value, threshold) = (guard["e_value"].as_f64()?, guard["threshold"].as_f64()?);
        let kind = guard["kind"]["kind"].as_str()?;
        let (baseline, candidate) = (&guard["bad_baseline"], &guard["bad_candidate"]);
        let on_baseline = if kind == "absolute" { String::new() } else { format!("{baseline} on the baseline, ") };
        Some(format!(
            "guard {} ({kind}): bad {on_baseline}{candidate} on the candidate, e-value {} of {threshold:.0}",
            guard["metric"].as_str()?,
            self::e_value(e_value),
        ))
    };
    evidence["guards"].as_array().into_iter().flatten().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(from: &str, to: &str, reason: &str) -> TransitionRow {
        TransitionRow {
            rollout: "support-to-open".into(),
            generation: 1,
            at_us: 1,
            from: from.into(),
            to: to.into(),
            from_share: 0.1,
            to_share: 0.1,
            epoch: 2,
            actor: "quickstart".into(),
            event: "approve".into(),
            reason: reason.into(),
            evidence_json: "{}".into(),
            policy_hash: String::new(),
        }
    }

    #[test]
    fn an_approval_says_who_approved_and_no_way_from_a_place_to_itself() {
        let waiting = "canary 10 % (awaiting_approval)";
        let rows = [
            row("canary 10 %", waiting, "every gate passed; waiting for approval"),
            row(waiting, waiting, "approved by quickstart (1 of 1)"),
            row(waiting, "majority 50 %", "every gate passed; on to majority 50 %"),
        ];
        assert_eq!(lines(&rows[1]), ["support-to-open: approved by quickstart (1 of 1)"]);
        assert_eq!(
            lines(&rows[0]),
            [
                "support-to-open: canary 10 % -> canary 10 % (awaiting_approval) (share 0.1 -> 0.1) by quickstart",
                "    why: every gate passed; waiting for approval"
            ]
        );
        assert_eq!(path(&rows), "canary 10 % (awaiting_approval) -> majority 50 %");
    }
}
