//! The page one reads at 3 a.m.: where it stands, what the numbers say, what is missing, what to do.

mod shadow;
mod why;

use operations::rollouts::{ArmCosts, RolloutView};
use rollout::Status;
use rollout::explain::{ArmView, Explanation, GateView, GuardKind, GuardView, Verdict};
use stats::sketch::Quantiles;
use store::{ArmCost, TransitionRow, WebhookState};

use crate::config::{show_duration, show_share};
use crate::out::table;
use crate::verbs::time::us_to_text;

/// The page, at the moment `now_us`.
pub(crate) fn render(view: &RolloutView, now_us: u64, colour: bool) -> String {
    let facts = &view.explanation;
    let paint = Paint { colour };
    let mut page = String::new();
    let (rollout, baseline, candidate) = (&facts.rollout, &facts.baseline, &facts.candidate);
    let simulated = if view.simulated { "   SIMULATED" } else { "" };
    let title = format!("{rollout}   {baseline} -> {candidate} on route {}   {} UTC", view.route, us_to_text(now_us));
    line(&mut page, &(title + simulated));
    line(&mut page, "");
    line(&mut page, &format!("  {}", rail(facts, paint)));
    line(&mut page, "");
    line(&mut page, &format!("status    {}", paint.status(facts.status, &view.label)));
    line(&mut page, &format!("because   {}", facts.reason));
    if facts.status.is_serving() {
        line(&mut page, &format!("verdict   {}: {}", paint.verdict(facts.verdict), facts.decision));
        line(&mut page, &progress(facts));
        line(&mut page, &saved(view, now_us));
        facts.missing.iter().for_each(|missing| line(&mut page, &format!("missing   {missing}")));
    } else {
        line(&mut page, &format!("verdict   {}", paint.verdict(facts.verdict)));
    }
    section(&mut page, "arms", &arms(facts, &view.costs));
    section(&mut page, "gates: proof that the candidate is not worse", &gates(&facts.gates, paint));
    section(&mut page, "guards: proof of harm rolls back", &(guards(&facts.guards, paint) + &harm(facts)));
    section(&mut page, "why, and what would change it", &why::lines(view));
    section(&mut page, "shadow", &shadow::coverage(view));
    section(
        &mut page,
        "answers of pairs: how far apart (for triage: moves no guard and no gate)",
        &shadow::comparisons(view),
    );
    section(&mut page, "way back", &way_back(view, now_us));
    section(&mut page, "alerts that did not arrive", &untold(&view.webhooks, now_us));
    section(&mut page, "last transitions", &transitions(&view.transitions));
    section(&mut page, "next", &next(view));
    page
}

fn line(page: &mut String, text: &str) {
    page.push_str(text.trim_end());
    page.push('\n');
}

fn section(page: &mut String, title: &str, body: &str) {
    if body.is_empty() {
        return;
    }
    line(page, "");
    line(page, title);
    body.lines().for_each(|text| line(page, &format!("  {text}")));
}

#[derive(Clone, Copy)]
struct Paint {
    colour: bool,
}

impl Paint {
    fn with(self, code: u8, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn verdict(self, verdict: Verdict) -> String {
        match verdict {
            Verdict::Pass => self.with(32, "pass"),
            Verdict::Fail => self.with(31, "fail"),
            Verdict::Undecided => self.with(33, "undecided"),
        }
    }

    fn status(self, status: Status, label: &str) -> String {
        match status {
            Status::RolledBack | Status::Aborted => self.with(31, label),
            Status::Completed => self.with(32, label),
            _ => self.with(1, label),
        }
    }
}

/// `[shadow] - canary 5 % - …`: brackets are where it is, a star is what it has left behind.
fn rail(facts: &Explanation, paint: Paint) -> String {
    let step = |step: &rollout::explain::StepView| {
        let name = match step.share {
            0.0 => step.stage.as_str().to_owned(),
            share => format!("{} {}", step.stage.as_str(), rate(share)),
        };
        match (step.is_current, step.is_done) {
            (true, _) => paint.with(1, &format!("[{name}]")),
            (_, true) => format!("*{name}"),
            _ => name,
        }
    };
    facts.steps.iter().map(step).collect::<Vec<_>>().join(" - ")
}

fn progress(facts: &Explanation) -> String {
    let seconds = std::time::Duration::from_secs;
    let age = show_duration(seconds(facts.epoch_age_s));
    let least = show_duration(seconds(facts.min_duration_s));
    let mut parts = vec![format!("share {}", show_share(facts.share)), format!("epoch {}", facts.epoch)];
    parts.push(format!("{age} of at least {least}"));
    for (what, progress) in [("pairs", facts.pairs), ("units", facts.units)] {
        if progress.need > 0 {
            parts.push(format!("{} of {} {what}", progress.have, progress.need));
        } else if progress.have > 0 {
            parts.push(format!("{} {what}", progress.have));
        }
    }
    if facts.approvals_needed > 0 {
        parts.push(format!("{} of {} approvals", facts.approvals.len(), facts.approvals_needed));
    }
    format!("now       {}", parts.join(", "))
}

fn saved(view: &RolloutView, now_us: u64) -> String {
    match view.evidence_saved_at_us {
        Some(at) => format!("numbers   {} s old", now_us.saturating_sub(at) / 1_000_000),
        None => "numbers   none yet".to_owned(),
    }
}

fn arms(facts: &Explanation, costs: &ArmCosts) -> String {
    let row = |arm: &ArmView| {
        let (name, target, cost) = match arm.arm {
            rollout::Arm::Baseline => ("baseline", &facts.baseline, &costs.baseline),
            rollout::Arm::Candidate => ("candidate", &facts.candidate, &costs.candidate),
        };
        let error = arm.rates.iter().find(|rate| rate.metric == rollout::Metric::Error);
        let n = error.map_or(0, |rate| rate.n);
        let bad = arm.rates.iter().map(|tally| format!("{} {} ({})", tally.metric, rate(tally.rate), tally.bad));
        vec![
            name.to_owned(),
            target.clone(),
            arm.units.to_string(),
            n.to_string(),
            latency(arm.time_to_first_token),
            latency(arm.duration),
            mean(cost),
            bad.collect::<Vec<_>>().join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = facts.arms.iter().map(row).collect();
    let headings =
        ["arm", "target", "units", "requests", "ttft p50/p95/p99 ms", "total p50/p95/p99 ms", "cost/request $", "bad"];
    table(&headings, &rows)
}

fn gates(gates: &[GateView], paint: Paint) -> String {
    if gates.is_empty() {
        return String::new();
    }
    let row = |gate: &GateView| {
        vec![
            gate.metric.to_string(),
            gate.n.to_string(),
            gate.estimate.map_or_else(|| "-".to_owned(), points),
            // With few numbers the bound is above what a difference of rates can be.
            gate.upper_bound.map_or_else(|| "-".to_owned(), |bound| points(bound.min(1.0))),
            points(gate.margin),
            number(gate.e_value),
            number(gate.threshold),
            paint.verdict(gate.verdict),
            gate.missing.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = gates.iter().map(row).collect();
    table(&["gate", "n", "difference", "below", "margin", "e-value", "passes at", "verdict", "missing"], &rows)
}

fn guards(guards: &[GuardView], paint: Paint) -> String {
    let row = |guard: &GuardView| {
        let kind = match guard.kind {
            GuardKind::Relative { weight } => format!("against the baseline, weight {}", show_share(weight)),
            GuardKind::Absolute { limit } => format!("above {}", rate(limit)),
        };
        vec![
            guard.metric.to_string(),
            kind,
            match guard.kind {
                GuardKind::Relative { .. } => guard.bad_baseline.to_string(),
                GuardKind::Absolute { .. } => "-".to_owned(),
            },
            guard.bad_candidate.to_string(),
            number(guard.e_value),
            number(guard.threshold),
            match guard.verdict {
                Verdict::Fail => paint.verdict(Verdict::Fail),
                _ => "no harm seen".to_owned(),
            },
        ]
    };
    let rows: Vec<Vec<String>> = guards.iter().map(row).collect();
    table(&["guard", "what", "bad baseline", "bad candidate", "e-value", "rolls back at", "verdict"], &rows)
}

fn harm(facts: &Explanation) -> String {
    let harm = &facts.harm;
    format!("relative guards together: e-value {}, rolls back at {}\n", number(harm.e_value), number(harm.threshold))
}

/// Whether the baseline could take all traffic back.
fn way_back(view: &RolloutView, now_us: u64) -> String {
    let Some(probe) = &view.probe else { return String::new() };
    let verdict = if probe.finding.ok { "ok" } else { "NOT SURE" };
    let age = show_duration(std::time::Duration::from_secs(now_us.saturating_sub(probe.at_us) / 1_000_000));
    let simulated = if probe.finding.simulated { " (simulated)" } else { "" };
    format!("{verdict}: {}{simulated}, {} ms, {age} ago\n", probe.finding.words, probe.finding.latency_ms)
}

/// Webhooks that something waits for, or that something was given up for.
fn untold(webhooks: &[WebhookState], now_us: u64) -> String {
    let line = |state: &WebhookState| {
        let waits = state.oldest_us.map(|since| {
            let since = std::time::Duration::from_secs(now_us.saturating_sub(since) / 1_000_000);
            format!("{} wait, the oldest for {}", state.waiting, show_duration(since))
        });
        let given_up = (state.given_up > 0).then(|| format!("{} given up", state.given_up));
        let parts: Vec<String> = waits.into_iter().chain(given_up).chain(state.problem.clone()).collect();
        (!parts.is_empty()).then(|| format!("{}: {}\n", state.webhook, parts.join(", ")))
    };
    webhooks.iter().filter_map(line).collect()
}

fn transitions(transitions: &[TransitionRow]) -> String {
    let line = |row: &TransitionRow| {
        let (at, from, to) = (us_to_text(row.at_us), &row.from, &row.to);
        format!("{at}  {from} -> {to}  by {}: {}\n", row.actor, row.reason)
    };
    transitions.iter().map(line).collect()
}

fn next(view: &RolloutView) -> String {
    let name = &view.name;
    let verb = |verb: &str, why: &str| format!("crossfade rollout {verb} {name:<24} {why}\n");
    match view.explanation.status {
        Status::Draft => verb("start", "begins in shadow"),
        Status::Active => {
            "nothing: it goes on by itself when nothing is missing, and back by itself on proof of harm\n".to_owned()
                + &verb("pause", "keeps the share; guards stay armed")
                + &verb("abort", "everybody back to the baseline, now")
        }
        Status::AwaitingApproval => {
            verb(
                "approve",
                &format!("lets it go on; not by {}, who started it, unless the policy says so", view.author),
            ) + &verb("abort", "everybody back to the baseline, now")
        }
        Status::Held => {
            verb("extend", "more time, as much again as the step may last; give --reason")
                + &verb("accept", "on to the next step as it is; give --reason")
                + &verb("abort", "everybody back to the baseline, now")
        }
        Status::Paused => {
            verb("resume", "goes on where it was") + &verb("abort", "everybody back to the baseline, now")
        }
        Status::RolledBack | Status::Aborted => {
            "everybody is on the baseline; there is nothing urgent\n".to_owned()
                + &format!("crossfade exchanges list --rollout {name} --arm candidate   shows what the candidate did\n")
                + &format!("crossfade rollout history {name}   shows every step; --format json has the evidence\n")
                + &verb("resume", "begins again in shadow, with new evidence; give --reason")
        }
        Status::Completed => {
            let (route, candidate) = (&view.route, &view.explanation.candidate);
            format!("make `{candidate}` the target of route `{route}` in the config, and remove the rollout\n")
        }
    }
}

/// What a request cost on average, and how many attempts are not in it because their price is not known. Where only what was free is
/// known, such as a refused connection, nothing is.
fn mean(cost: &ArmCost) -> String {
    let known = cost.mean_nanos().filter(|_| cost.nanos > 0 || cost.unknown == 0);
    let mean = known.map(cost::decimal::dollars);
    match (mean, cost.unknown) {
        (Some(mean), 0) => mean,
        (Some(mean), n) => format!("{mean} ({n} unknown)"),
        (None, 0) => "-".to_owned(),
        (None, _) => "unknown".to_owned(),
    }
}

/// A fraction as a percentage.
fn rate(fraction: f64) -> String {
    format!("{} %", show_share((fraction * 1e4).round() / 100.0))
}

/// A difference of rates in percentage points.
fn points(difference: f64) -> String {
    format!("{:+.2} pp", difference * 100.0)
}

fn number(value: f64) -> String {
    match value {
        _ if value >= 1e7 => format!("{value:.1e}"),
        _ if value >= 100.0 => format!("{value:.0}"),
        _ => format!("{value:.2}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a duration of hours is far below 2^53 microseconds")]
fn latency(quantiles: Option<Quantiles>) -> String {
    let ms = |us: u64| {
        let ms = us as f64 / 1000.0;
        if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
    };
    quantiles.map_or_else(|| "-".to_owned(), |q| format!("{} / {} / {}", ms(q.p50_us), ms(q.p95_us), ms(q.p99_us)))
}

#[cfg(test)]
mod tests;
