//! The page one reads at 3 a.m.: where it stands, what the numbers say, what is missing, what to do.

mod bands;
mod beside;
mod exit;
mod fit;
mod shadow;
mod why;

use operations::rollouts::{ArmCosts, RolloutView};
use rollout::Status;
use rollout::explain::{ArmView, Explanation, GateView, GuardKind, GuardView, StratumView, Verdict};
use stats::sketch::Quantiles;
use store::{ArmCost, TransitionRow, WebhookState};

use crate::config::{show_duration, show_share};
use crate::out::table;
use crate::verbs::time::us_to_text;

/// What a page is drawn for.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The moment.
    pub now_us: u64,
    /// Whether it may be coloured.
    pub colour: bool,
    /// The config that was named on the command line: commands on the page name it too.
    pub config: Option<&'static str>,
    /// What whoever asked found out about where the numbers come from.
    pub notice: Option<String>,
}

/// The page whole.
pub(crate) fn render(view: &RolloutView, look: &Look) -> String {
    let paint = Paint { colour: look.colour };
    let facts = &view.explanation;
    let mut page = String::new();
    notices(view, look, paint).iter().for_each(|notice| line(&mut page, notice));
    line(&mut page, &title(view, look));
    line(&mut page, "");
    line(&mut page, &format!("  {}", rail(facts, paint)));
    line(&mut page, "");
    line(&mut page, &format!("status    {}", paint.status(facts.status, &label(view))));
    line(&mut page, &format!("because   {}", facts.reason));
    if view.taken_over {
        // Its gates and guards watch nothing any more, whatever they counted.
        section(&mut page, "last transitions", &transitions(&view.transitions));
        section(&mut page, "next", &next(view, look));
        return page;
    }
    standing(view, look, paint).iter().for_each(|text| line(&mut page, text));
    section(&mut page, "arms", &arms(facts, &view.costs));
    section(&mut page, bands::TITLE, &bands::lines(facts));
    section(&mut page, "gates: proof that the candidate is not worse", &(gates(facts, paint) + &judge(view)));
    section(&mut page, "also asked for", &beside::asked(facts, paint));
    let guards = guards(facts.guards.iter(), paint) + &harm(facts) + &beside::alarms(facts);
    section(&mut page, "guards: proof of harm rolls back", &guards);
    section(&mut page, "why, and what would change it", &why::lines(view, &crossfade(look.config)));
    rest(&mut page, view, look);
    section(&mut page, "next", &next(view, look));
    page
}

/// The page for a terminal of so many columns and lines: first what one looks for, whatever is cut off.
pub(crate) fn fitted(view: &RolloutView, look: &Look, size: (usize, usize)) -> String {
    if view.taken_over {
        return fit::fit(&[], &render(view, look), size);
    }
    let paint = Paint { colour: look.colour };
    let facts = &view.explanation;
    let mut head = notices(view, look, paint);
    head.push(title(view, look));
    head.push(format!("  {}", rail(facts, paint)));
    head.push(format!("status    {}", paint.status(facts.status, &label(view))));
    head.extend(standing(view, look, paint));
    head.extend(next(view, look).lines().map(|text| format!("next      {text}")));
    let mut page = String::new();
    line(&mut page, &format!("because   {}", facts.reason));
    section(&mut page, "gates: proof that the candidate is not worse", &(gates(facts, paint) + &judge(view)));
    section(&mut page, "also asked for", &beside::asked(facts, paint));
    let (news, quiet): (Vec<&GuardView>, Vec<&GuardView>) =
        facts.guards.iter().partition(|guard| guard.bad_candidate > 0 || guard.verdict == Verdict::Fail);
    let news = if news.is_empty() { String::new() } else { guards(news.into_iter(), paint) };
    let quiet = if quiet.is_empty() { String::new() } else { format!("{} guards without news\n", quiet.len()) };
    section(&mut page, "guards: proof of harm rolls back", &(news + &quiet + &harm(facts) + &beside::alarms(facts)));
    section(&mut page, "why, and what would change it", &why::lines(view, &crossfade(look.config)));
    section(&mut page, "arms", &arms(facts, &view.costs));
    section(&mut page, bands::TITLE, &bands::lines(facts));
    rest(&mut page, view, look);
    fit::fit(&head, &page, size)
}

fn rest(page: &mut String, view: &RolloutView, look: &Look) {
    section(page, "shadow", &shadow::coverage(view));
    let comparisons = shadow::comparisons(view);
    section(page, "answers of pairs: how far apart (for triage: moves no guard and no gate)", &comparisons);
    section(page, "way back", &way_back(view, look.now_us));
    section(page, exit::TITLE, &exit::last(view));
    section(page, "alerts that did not arrive", &untold(&view.webhooks, look.now_us));
    section(page, "last transitions", &transitions(&view.transitions));
}

/// What changes how everything below is to be read.
fn notices(view: &RolloutView, look: &Look, paint: Paint) -> Vec<String> {
    let down = view.down.as_ref().map(|down| {
        let what = if down.unreachable { "candidate unreachable" } else { "candidate fails" };
        let since = us_to_text(down.since_us);
        let since = since.split(' ').next_back().unwrap_or_default();
        // A server that is slow and well is thrown back for our impatience.
        let patience = down.kind.strip_prefix("timeout_").map_or_else(String::new, |key| {
            format!("; where its answers may take longer, raise `timeouts.{key}` of its provider")
        });
        format!("{what}: {}, breaker open since {since} UTC{patience}", down.words)
    });
    let drill = view.drill.as_ref().map(|drill| {
        let on = if drill.shadow { "its copies" } else { "what callers are served" };
        let (kind, faults, by) = (drill.kind.as_str(), drill.faults, &drill.actor);
        format!("a drill is on: `{kind}` on {on}, {faults} calls met it, begun by {by}; nothing counts as evidence meanwhile")
    });
    look.notice
        .iter()
        .cloned()
        .chain(down)
        .chain(drill)
        .chain(exit::notice(view))
        .map(|notice| paint.with(31, &notice))
        .collect()
}

/// Where it stands; of what is done, that the config has its place.
fn label(view: &RolloutView) -> String {
    if view.taken_over {
        format!("{}, and out of the config: the route `{}` asks its own target", view.label, view.route)
    } else {
        view.label.clone()
    }
}

fn title(view: &RolloutView, look: &Look) -> String {
    let Explanation { rollout, baseline, candidate, .. } = &view.explanation;
    let simulated = if view.simulated { "   SIMULATED" } else { "" };
    let at = us_to_text(look.now_us);
    format!("{rollout}   {baseline} -> {candidate} on route {}   {at} UTC{simulated}", view.route)
}

/// The verdict, how far it is, and what is missing. An aborted rollout has no verdict.
fn standing(view: &RolloutView, look: &Look, paint: Paint) -> Vec<String> {
    let facts = &view.explanation;
    if !facts.status.is_serving() {
        let has_verdict = matches!(facts.status, Status::RolledBack | Status::Completed);
        return has_verdict.then(|| format!("verdict   {}", paint.verdict(facts.verdict))).into_iter().collect();
    }
    let only_approval = facts.decision.starts_with("wait for approval");
    let verdict = if only_approval {
        let (have, need) = (facts.approvals.len(), facts.approvals_needed);
        paint.with(33, &format!("every gate passes, waits for approval ({have} of {need})"))
    } else {
        format!("{}: {}", paint.verdict(facts.verdict), facts.decision)
    };
    let missing = facts.missing.iter().map(|missing| format!("missing   {missing}"));
    [format!("verdict   {verdict}"), progress(facts), saved(view, look.now_us)].into_iter().chain(missing).collect()
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
    let in_shadow = facts.stage == rollout::Stage::Shadow;
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
            if in_shadow { facts.pairs.have.to_string() } else { arm.units.to_string() },
            // In shadow only the copies are looked at one by one.
            if in_shadow && n == 0 { "-".to_owned() } else { n.to_string() },
            latency(arm.time_to_first_token),
            latency(arm.duration),
            mean(cost),
            bad.collect::<Vec<_>>().join(", "),
        ]
    };
    let rows: Vec<Vec<String>> = facts.arms.iter().map(row).collect();
    let counted = if in_shadow { "pairs" } else { "units" };
    let (first, total) = ("ttft p50/p95/p99 ms", "total p50/p95/p99 ms");
    let headings = ["arm", "target", counted, "requests", first, total, "cost/request $", "bad requests"];
    table(&headings, &rows)
}

fn gates(facts: &Explanation, paint: Paint) -> String {
    if facts.gates.is_empty() {
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
    let kind = |kind: &StratumView| {
        let dash = || "-".to_owned();
        vec![
            format!("{} of {}", kind.metric, kind.stratum),
            kind.n.to_string(),
            dash(),
            dash(),
            points(kind.margin),
            number(kind.e_value),
            number(kind.threshold),
            paint.verdict(kind.verdict),
            String::new(),
        ]
    };
    let rows: Vec<Vec<String>> = facts.gates.iter().map(row).chain(facts.strata.iter().map(kind)).collect();
    table(&["gate", "n", "difference", "below", "margin", "e-value", "passes at", "verdict", "missing"], &rows)
}

/// How far the model that judges pairs agrees with people, beside the gate that reads its word.
fn judge(view: &RolloutView) -> String {
    let Some(judge) = &view.judge else { return String::new() };
    let agreement = match judge.kappa {
        _ if judge.n_labelled == 0 => "no verdict of people on pairs that it judged".to_owned(),
        None => format!("kappa with people not defined, over {} pairs", judge.n_labelled),
        Some(kappa) => {
            let ends = judge.interval.map_or_else(String::new, |(low, high)| format!(" ({low:.3} to {high:.3})"));
            format!("kappa with people {kappa:.3}{ends} over {} pairs", judge.n_labelled)
        }
    };
    let asked = judge.floor.map_or_else(String::new, |(kappa, n)| format!(", {kappa} over {n} is asked for"));
    let decides = match (judge.untested, judge.decides) {
        (true, _) => "its word decides untested (`agreement: false`)",
        (false, true) => "its word decides",
        (false, false) => "its word decides nothing yet",
    };
    format!("judge `{}`: {agreement}{asked}: {decides}\n", judge.target)
}

fn guards<'a>(guards: impl Iterator<Item = &'a GuardView>, paint: Paint) -> String {
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
    let rows: Vec<Vec<String>> = guards.map(row).collect();
    table(&["guard", "what", "units bad: baseline", "candidate", "e-value", "rolls back at", "verdict"], &rows)
}

fn harm(facts: &Explanation) -> String {
    let harm = &facts.harm;
    format!("relative guards together: e-value {}, rolls back at {}\n", number(harm.e_value), number(harm.threshold))
}

/// Whether the baseline could take all traffic back, and whether the candidate is still as it was proven to be.
fn way_back(view: &RolloutView, now_us: u64) -> String {
    let again = view
        .revalidated
        .as_ref()
        .map_or_else(String::new, |(at_us, words)| format!("{}  {words}\n", us_to_text(*at_us)));
    let Some(probe) = &view.probe else { return again };
    let verdict = if probe.finding.ok { "ok" } else { "NOT SURE" };
    let age = show_duration(std::time::Duration::from_secs(now_us.saturating_sub(probe.at_us) / 1_000_000));
    let simulated = if probe.finding.simulated { " (simulated)" } else { "" };
    format!("{verdict}: {}{simulated}, {} ms, {age} ago\n{again}", probe.finding.words, probe.finding.latency_ms)
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
        // Most reasons say who.
        let by = if row.reason.contains(&row.actor) { String::new() } else { format!("by {}: ", row.actor) };
        format!("{}  {}  {by}{}\n", us_to_text(row.at_us), way(row), row.reason)
    };
    transitions.iter().map(line).collect()
}

/// From where to where; one place when it stayed there.
pub(super) fn way(row: &TransitionRow) -> String {
    if row.from == row.to { row.from.clone() } else { format!("{} -> {}", row.from, row.to) }
}

/// How the next command begins: with the config that the last one named.
pub(super) fn crossfade(config: Option<&str>) -> String {
    config.map_or_else(|| "crossfade".to_owned(), |config| format!("crossfade -c {config}"))
}

/// Whether a rollout that collects evidence goes on by itself: not where waiting does not bring what is missing, nor past people.
fn goes_on(facts: &Explanation) -> String {
    let mut text: String = facts
        .stuck
        .iter()
        .map(|why| format!("waiting alone does not help while {why}; `missing` says more\n"))
        .collect();
    let then = match (facts.stuck.is_empty(), facts.approvals_needed) {
        (true, 0) => "nothing: it goes on by itself when nothing is missing, and".to_owned(),
        (false, 0) => "then it goes on by itself when nothing is missing, and".to_owned(),
        (_, n) => {
            let s = if n == 1 { "" } else { "s" };
            let now = if text.is_empty() { "nothing yet: " } else { "then " };
            format!("{now}when its gates pass it waits for {n} approval{s} (`rollout approve`); it goes")
        }
    };
    text += &format!("{then} back by itself on proof of harm\n");
    text
}

fn next(view: &RolloutView, look: &Look) -> String {
    let name = &view.name;
    let crossfade = crossfade(look.config);
    let verb = |verb: &str, why: &str| format!("{crossfade} rollout {verb} {name:<24} {why}\n");
    let with = |verb: &str, option: &str, why: &str| format!("{crossfade} rollout {verb} {name} {option}   {why}\n");
    match view.explanation.status {
        Status::Draft => verb("start", "begins in shadow"),
        Status::Active => {
            goes_on(&view.explanation)
                + &verb("pause", "keeps the share; guards stay armed")
                + &verb("abort", "everybody back to the baseline, now")
        }
        Status::AwaitingApproval => {
            let author = &view.author;
            let approve = if view.explanation.author_may_approve {
                verb("approve", &format!("lets it go on; by anybody who may approve, {author} too"))
            } else {
                with("approve", "--actor NAME", &format!("lets it go on; not by {author}, who started it"))
            };
            approve + &verb("abort", "everybody back to the baseline, now")
        }
        Status::Held => {
            with("extend", "--reason TEXT", "more time, as much again as the step may last")
                + &with("accept", "--reason TEXT", "on to the next step as it is")
                + &verb("abort", "everybody back to the baseline, now")
        }
        Status::Paused => {
            with("resume", "--reason TEXT", "goes on where it was")
                + &verb("abort", "everybody back to the baseline, now")
        }
        Status::RolledBack | Status::Aborted if view.candidate_is_target => format!(
            "the config's route `{}` asks `{}` itself: everybody is on it, and no guard takes it back. The way back: set `routes.{}.target: {}` in the config and take that name out of the route's `fallback`, then `{crossfade} reload`\n",
            view.route, view.explanation.candidate, view.route, view.explanation.baseline
        ),
        Status::RolledBack | Status::Aborted => {
            "everybody is on the baseline; there is nothing urgent\n".to_owned()
                + &format!(
                    "{crossfade} exchanges list --rollout {name} --arm candidate   shows what the candidate did\n"
                )
                + &format!("{crossfade} rollout history {name}   shows every step; --format json has the evidence\n")
                + &with("resume", "--reason TEXT", "begins again in shadow, with new evidence")
        }
        Status::Completed if view.taken_over => {
            let (to, target) = if view.candidate_is_target {
                ("go back", &view.explanation.baseline)
            } else {
                ("switch again", &view.explanation.candidate)
            };
            format!(
                "nothing: it is done, splits nothing any more, and none of its guards is armed. The config says who answers: to {to}, set `routes.{}.target: {target}` in the config and take that name out of the route's `fallback`, then `{crossfade} reload`\n",
                view.route
            )
        }
        Status::Completed => {
            let (route, candidate) = (&view.route, &view.explanation.candidate);
            format!(
                "`{crossfade} report` says whether quality, latency, load, safety and cost are proven too; then make `{candidate}` the target of route `{route}` in the config, remove the rollout, and `crossfade reload`\n"
            )
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

/// Microseconds as milliseconds.
#[expect(clippy::cast_precision_loss, reason = "a duration of hours is far below 2^53 microseconds")]
fn ms(us: u64) -> String {
    let ms = us as f64 / 1000.0;
    if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

fn latency(quantiles: Option<Quantiles>) -> String {
    quantiles.map_or_else(|| "-".to_owned(), |q| format!("{} / {} / {}", ms(q.p50_us), ms(q.p95_us), ms(q.p99_us)))
}

#[cfg(test)]
mod tests;
