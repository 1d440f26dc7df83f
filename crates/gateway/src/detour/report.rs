//! What came of a detour: measured, held against what must hold.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::counts::Crossing;
use super::{Detour, GRACE, Part, Plan, WayBack};
use crate::drill::{Check, Verdict};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Everything goes as ever, and is counted.
    Before,
    /// Requests go to the alternative.
    Away,
    /// They go as ever again, and are counted.
    Back,
    /// It is over.
    Over,
}

/// What was found of the alternative while traffic was there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probes {
    /// Golden tests of prompts that passed.
    pub golden_passed: u64,
    /// Those that did not, by name.
    pub golden_failed: Vec<String>,
    /// Those that could not be measured.
    pub golden_unmeasured: u64,
    /// Capabilities that the probes found equivalent or degraded.
    pub capabilities_there: u64,
    /// Essential ones that are not there.
    pub essential_missing: Vec<String>,
    /// Capabilities that could not be measured.
    pub capabilities_unmeasured: u64,
    /// The drop-in score, 0 to 1.
    pub score: Option<f64>,
    /// Why there is no finding.
    pub problem: Option<String>,
}

impl Probes {
    /// Whether anything was found at all.
    fn has_measured(&self) -> bool {
        self.golden_passed + self.capabilities_there > 0
            || !self.golden_failed.is_empty()
            || !self.essential_missing.is_empty()
    }
}

/// One switch, in milliseconds from its order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// When the first request came after it.
    pub first_asked_ms: Option<f64>,
    /// When the first of these had the beginning of its answer from whom it was switched to.
    pub first_answer_ms: Option<f64>,
    /// When the last request was sent to whom it was switched from; `None` when none was after the order.
    pub last_asked_of_previous_ms: Option<f64>,
    /// When the last answer of that one ended, of requests that came before the order.
    pub last_answer_of_previous_ms: Option<f64>,
    /// The time to switch: until the first answer by the new one and the last request to the old one.
    pub time_to_switch_ms: Option<f64>,
}

impl Way {
    fn of(crossing: &Crossing) -> Self {
        let ms = |us: Option<u64>| us.map(|us| us as f64 / 1e3);
        let first_answer = crossing.first_answer_us;
        Self {
            first_asked_ms: ms(crossing.first_asked_us),
            first_answer_ms: ms(first_answer),
            last_asked_of_previous_ms: ms(crossing.last_asked_of_previous_us),
            last_answer_of_previous_ms: ms(crossing.last_answer_of_previous_us),
            time_to_switch_ms: ms(first_answer.map(|first| first.max(crossing.last_asked_of_previous_us.unwrap_or(0)))),
        }
    }
}

/// A detour as it stands, or as it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DetourReport {
    /// The route.
    pub route: String,
    /// The route's own target.
    pub from: String,
    /// The alternative.
    pub to: String,
    /// A provider of either is simulated.
    pub simulated: bool,
    /// Who began it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Its bounds.
    pub plan: Plan,
    /// When it began, Unix microseconds.
    pub at_us: u64,
    /// How far it is.
    pub phase: Phase,
    /// Why traffic went back.
    pub way_back: Option<WayBack>,
    /// How it went, once it is over.
    pub verdict: Option<Verdict>,
    /// The way to the alternative.
    pub there: Way,
    /// The way back.
    pub home: Way,
    /// How long traffic was away, milliseconds.
    pub away_ms: Option<f64>,
    /// What came before the switch.
    pub before: Part,
    /// What came while traffic was away.
    pub away: Part,
    /// What came once it was back.
    pub back: Part,
    /// What was found of the alternative.
    pub probes: Option<Probes>,
    /// What must hold, once it is over.
    pub checks: Vec<Check>,
}

impl DetourReport {
    /// What came of it, in one line.
    #[must_use]
    pub fn words(&self) -> String {
        let ms = |time: Option<f64>| time.map_or_else(|| "-".to_owned(), |time| format!("{time:.1} ms"));
        format!(
            "exit drill of {} from {} to {}: {}; switched in {}, {} requests, {} failed for callers and {} at the alternative, back in {}",
            self.route,
            self.from,
            self.to,
            self.way_back.map_or("under way", WayBack::words),
            ms(self.there.time_to_switch_ms),
            self.away.requests,
            self.away.failed,
            self.away.fell_back + self.away.failed,
            ms(self.home.time_to_switch_ms),
        )
    }
}

impl Detour {
    /// The report as it stands, or as it ends.
    pub(super) fn draft(&self, is_over: bool) -> DetourReport {
        let counts = self.lock();
        let (away, back) = (self.away.get(), self.back.get());
        let away_ms = away.zip(back).map(|(away, (back, _))| ms(back.at.saturating_duration_since(away.at)));
        let mut report = DetourReport {
            route: self.route.clone(),
            from: self.from.clone(),
            to: self.plan.to.clone(),
            simulated: self.simulated,
            actor: self.asked.actor.clone(),
            reason: self.asked.reason.clone(),
            plan: self.plan.clone(),
            at_us: self.began_at.0,
            phase: if is_over { Phase::Over } else { self.phase() },
            way_back: back.map(|(_, why)| *why),
            verdict: None,
            there: Way::of(&counts.there),
            home: Way::of(&counts.home),
            away_ms,
            before: counts.before.settled(self.arrived(Phase::Before)),
            away: counts.away.settled(self.arrived(Phase::Away)),
            back: counts.back.settled(self.arrived(Phase::Back)),
            probes: self.probes.get().cloned(),
            checks: Vec::new(),
        };
        let leaked = counts.leaked;
        drop(counts);
        if is_over {
            report.checks = checks(&report, leaked);
            report.verdict = Some(verdict(&report));
        }
        report
    }
}

/// A rate above its limit that is not proven to be above it is no failure, and no pass.
const FAILED_BY_IT: &str = "requests that the alternative failed";

/// Traffic that was at the alternative anyway rehearses no switch.
const NOT_THERE_YET: &str = "answered by another than the alternative beforehand";

/// What does not hold where nobody sends requests.
const OF_TRAFFIC: [&str; 3] = ["time to switch", "time to switch back", "answered once back"];

fn checks(report: &DetourReport, leaked: u64) -> Vec<Check> {
    let (plan, away) = (&report.plan, &report.away);
    let within = |way: &Way| {
        let time = way.time_to_switch_ms;
        let measured = time.map_or_else(|| "no answer".to_owned(), |time| format!("{time:.1} ms"));
        let holds = time.is_some_and(|time| time <= plan.within_ms as f64);
        (measured, format!("at most {:.1} s", plan.within_ms as f64 / 1e3), holds)
    };
    let none = |what: &str, n: u64| Check::new(what, n.to_string(), "0", n == 0);
    let (measured, target, holds) = within(&report.there);
    let mut checks = vec![
        Check::new("time to switch", measured, target, holds),
        none("requests afterwards for which the alternative was not asked", leaked),
        none("answers to callers that failed, while away", away.failed),
        Check::new(
            FAILED_BY_IT,
            observed(away),
            format!("at most {:.2} % observed", plan.error_limit * 100.0),
            away.error_rate().is_none_or(|rate| rate <= plan.error_limit),
        ),
    ];
    if let Some(probes) = &report.probes {
        checks.extend(of_probes(probes));
    }
    let (measured, target, holds) = within(&report.home);
    checks.push(Check::new("time to switch back", measured, target, holds));
    checks.push(none("answers to callers that failed, once back", report.back.failed));
    checks.push(Check::new(
        "answered once back",
        report.back.answered().to_string(),
        format!("at least {} within {:.0} s", plan.verify_requests, plan.verify().as_secs_f64()),
        report.back.answered() >= plan.verify_requests,
    ));
    if report.before.by_alternative > 0 && report.before.by_others == 0 {
        checks.push(Check::new(NOT_THERE_YET, "0".to_owned(), "more: else nothing is switched".to_owned(), false));
    }
    // A rollout may send it some, before and after.
    if report.before.by_alternative == 0 {
        checks.push(none("answered by the alternative once back", report.back.by_alternative));
    }
    if let Some(took) = report.away_ms {
        let (most, grace) = (plan.at_most().as_secs_f64(), GRACE.as_secs_f64());
        let (measured, target) =
            (format!("{:.1} s", took / 1e3), format!("at most {most:.1} s, and {grace:.0} s to notice"));
        checks.push(Check::new("how long traffic was away", measured, target, took <= ms(plan.at_most() + GRACE)));
    }
    checks
}

/// What the alternative failed of what it was asked, and what so many can show: a limit that none of few exceeded is not proven.
fn observed(away: &Part) -> String {
    let (failed, moved) = (away.fell_back + away.failed, away.moved());
    let most = stats::interval::at_most(failed, moved, 0.05);
    let shown =
        most.map_or_else(String::new, |most| format!("; the true rate may be up to {:.2} % (95 %)", most * 100.0));
    format!("{failed} of {moved}{shown}")
}

fn of_probes(probes: &Probes) -> Vec<Check> {
    let mut checks = Vec::new();
    let n_golden = probes.golden_passed + probes.golden_failed.len() as u64;
    if n_golden > 0 {
        let failed = probes.golden_failed.len();
        let measured = match failed {
            0 => format!("{n_golden} of {n_golden}"),
            _ => format!("{} of {n_golden}; not {}", probes.golden_passed, probes.golden_failed.join(", ")),
        };
        checks.push(Check::new("golden tests that the alternative passes", measured, "all", failed == 0));
    }
    if probes.capabilities_there > 0 || !probes.essential_missing.is_empty() {
        let missing = &probes.essential_missing;
        let measured = if missing.is_empty() { "none".to_owned() } else { missing.join(", ") };
        let what = "essential capabilities that the alternative has not";
        checks.push(Check::new(what, measured, "none", missing.is_empty()));
    }
    checks
}

/// A drill that somebody or something broke off is no verdict unless what was seen until then is one; neither is one without traffic or
/// without a finding of its probes.
fn verdict(report: &DetourReport) -> Verdict {
    let too_little = report.away.moved() == 0 || report.back.answered() < report.plan.verify_requests;
    match report.way_back {
        Some(WayBack::CallerFailed | WayBack::Failing) => Verdict::Fail,
        Some(WayBack::Asked) => {
            let unfound = report.probes.as_ref().is_some_and(|probes| !probes.has_measured());
            // What comes of too little traffic is no finding.
            let is_open = |check: &&Check| {
                [FAILED_BY_IT, NOT_THERE_YET].contains(&check.what.as_str())
                    || too_little && OF_TRAFFIC.contains(&check.what.as_str())
            };
            let open = report.checks.iter().filter(|check| !check.holds);
            match open.clone().all(|check| is_open(&check)) {
                false => Verdict::Fail,
                true if open.count() == 0 && !unfound => Verdict::Pass,
                true => Verdict::Undecided,
            }
        }
        _ => Verdict::Undecided,
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
