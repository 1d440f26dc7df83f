//! What came of a drill: measured, held against what must hold.

use std::time::Duration;

use rollout::outlook::attempts_of_an_outage;
use rollout::{AbsolutePolicy, Breach, BreachCause, Policy, Stage};
use serde::{Deserialize, Serialize};

use super::{Drill, End, Kind, Plan};
use crate::live::Trip;

/// Bad events of the candidate until an outage is found, whatever came before (goal G5).
pub const MOST_BAD_EVENTS: u64 = 8;
/// The same at shares of a half and more, where nothing came before.
const MOST_BAD_EVENTS_FROM_THE_START: u64 = 6;
/// From the breaching outcome to a share of 0 (goal G7, within one process), milliseconds.
const MOST_SWITCH_MS: f64 = 10.0;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The fault is on, and nobody has seen it.
    Faulty,
    /// It was seen and switched; the baseline is watched.
    Verifying,
    /// It is over.
    Over,
}

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything held that must.
    Pass,
    /// Something did not.
    Fail,
    /// It cannot be told.
    Undecided,
}

impl Verdict {
    /// The word used in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Undecided => "undecided",
        }
    }
}

/// One thing that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What.
    pub what: String,
    /// What was measured.
    pub measured: String,
    /// What it must be.
    pub target: String,
    /// Whether it is.
    pub holds: bool,
}

impl Check {
    /// One that is measured and what it must be, in words.
    pub fn new(what: &str, measured: impl Into<String>, target: impl Into<String>, holds: bool) -> Self {
        Self { what: what.to_owned(), measured: measured.into(), target: target.into(), holds }
    }
}

/// A drill as it stands, or as it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The rollout; with a cohort, its name behind an `@`.
    pub rollout: String,
    /// What was wrong with the candidate.
    pub kind: Kind,
    /// Whether it was on copies alone.
    pub shadow: bool,
    /// Always: no provider was called for a fault.
    pub simulated: bool,
    /// Who began it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// The stage the rollout stood in.
    pub stage: Stage,
    /// The candidate's share meanwhile, until the switch.
    pub share: f64,
    /// Under which its exchanges are on record.
    pub epoch: u32,
    /// Its bounds.
    pub plan: Plan,
    /// The longest that a caller waited for the script, milliseconds.
    pub patience_ms: u64,
    /// When it began, Unix microseconds.
    pub at_us: u64,
    /// How far it is.
    pub phase: Phase,
    /// Why it is over.
    pub end: Option<End>,
    /// How it went, once it is over.
    pub verdict: Option<Verdict>,
    /// Calls that met the fault.
    pub faults: u64,
    /// Candidate attempts begun until the switch.
    pub candidate_attempts: Option<u64>,
    /// Of these, under way at the switch.
    pub in_flight: Option<u64>,
    /// From the first call that met the fault to the breach, milliseconds.
    pub time_to_detect_ms: Option<f64>,
    /// From the breaching outcome to a share of 0, milliseconds.
    pub time_to_switch_ms: Option<f64>,
    /// From the switch to the last answer of the baseline that was asked for, milliseconds.
    pub time_to_verify_ms: Option<f64>,
    /// What the guards found.
    pub breach: Option<Breach>,
    /// Callers whose request met the fault and was answered well.
    pub callers_answered: u64,
    /// Those whose answer failed.
    pub callers_failed: u64,
    /// Requests that came after the switch and were answered by the baseline.
    pub after_by_baseline: u64,
    /// Those for which the candidate was called.
    pub after_by_candidate: u64,
    /// What must hold, once it is over.
    pub checks: Vec<Check>,
}

impl DrillReport {
    /// What came of it, in one line.
    #[must_use]
    pub fn words(&self) -> String {
        let (on, ms) = (if self.shadow { "copies" } else { "live traffic" }, |time: Option<f64>| {
            time.map_or_else(|| "-".to_owned(), |time| format!("{time:.3} ms"))
        });
        let end = self.end.map_or("under way", End::words);
        format!(
            "drill `{}` on {on} at {}: {end}; {} calls met it, detected after {}, switched in {}, verified after {}",
            self.kind.as_str(),
            self.stage.as_str(),
            self.faults,
            ms(self.time_to_detect_ms),
            ms(self.time_to_switch_ms),
            ms(self.time_to_verify_ms),
        )
    }
}

impl Drill {
    /// The report as it stands, or at this end.
    pub(super) fn draft(&self, end: Option<End>) -> DrillReport {
        let (script, trip) = (&self.script, self.stand_in.pending_trip());
        let phase = match (end, script.switched()) {
            (Some(_), _) => Phase::Over,
            (None, Some(_)) => Phase::Verifying,
            (None, None) => Phase::Faulty,
        };
        let breach = trip
            .as_ref()
            .map(|trip| trip.breach.clone())
            .or_else(|| self.stand_in.with_counting(|counting| counting.evidence.alarms().first().cloned()));
        let (after_by_baseline, after_by_candidate) = script.after();
        let mut report = DrillReport {
            rollout: self.stand_in.identity.name.clone(),
            kind: self.plan.kind,
            shadow: script.on_copies(),
            simulated: true,
            actor: self.asked.actor.clone(),
            reason: self.asked.reason.clone(),
            stage: self.stage,
            share: self.view.share,
            epoch: self.stand_in.view().epoch,
            plan: self.plan.clone(),
            patience_ms: u64::try_from(script.patience().as_millis()).unwrap_or(u64::MAX),
            at_us: self.began_at.0,
            phase,
            end,
            verdict: None,
            faults: script.faults(),
            candidate_attempts: trip.as_ref().map(|trip| trip.candidate_attempts),
            in_flight: trip.as_ref().map(|trip| trip.in_flight),
            time_to_detect_ms: script.detected_after().map(ms),
            time_to_switch_ms: trip.as_ref().map(|trip| ms(trip.time_to_switch)),
            time_to_verify_ms: script.verified_after().map(ms),
            breach,
            callers_answered: script.callers_answered(),
            callers_failed: script.callers_failed(),
            after_by_baseline,
            after_by_candidate,
            checks: Vec::new(),
        };
        if let Some(end) = end {
            report.checks = self.checks(&report, trip.as_ref());
            report.verdict = Some(verdict(end, &report));
        }
        report
    }

    fn checks(&self, report: &DrillReport, trip: Option<&Trip>) -> Vec<Check> {
        let seen = report.time_to_detect_ms;
        let mut checks = vec![Check::new(
            "the fault is seen",
            seen.map_or_else(|| "no".to_owned(), |ms| format!("after {:.3} s", ms / 1e3)),
            format!("within {:.0} s and {} requests", self.plan.at_most().as_secs_f64(), self.plan.most_faults),
            trip.is_some(),
        )];
        if let Some(trip) = trip {
            checks.extend(self.outage(&trip.breach));
            let switch_ms = ms(trip.time_to_switch);
            let target = format!("at most {MOST_SWITCH_MS:.0} ms");
            checks.push(Check::new(
                "the switch, from the breaching outcome",
                format!("{switch_ms:.3} ms"),
                target,
                switch_ms <= MOST_SWITCH_MS,
            ));
            let strays = report.after_by_candidate;
            let what = "requests after the switch that reached the candidate";
            checks.push(Check::new(what, strays.to_string(), "0", strays == 0));
            let verified = report.time_to_verify_ms;
            checks.push(Check::new(
                "requests after the switch that the baseline answered",
                match verified {
                    Some(ms) => format!("{} after {:.3} s", report.after_by_baseline, ms / 1e3),
                    None => report.after_by_baseline.to_string(),
                },
                format!("{} within {:.1} s", self.plan.verify_requests, self.plan.verify().as_secs_f64()),
                verified.is_some(),
            ));
        }
        let failed = report.callers_failed;
        checks.push(Check::new("answers to callers that failed", failed.to_string(), "0", failed == 0));
        let (faults, most) = (report.faults, self.plan.most_faults);
        checks.push(Check::new(
            "calls that met the fault",
            faults.to_string(),
            format!("at most {most}"),
            faults <= most,
        ));
        let took = self.began.elapsed();
        let most = self.plan.at_most() + self.plan.verify() + super::GRACE;
        checks.push(Check::new(
            "how long it was on",
            format!("{:.1} s", took.as_secs_f64()),
            format!("at most {:.1} s", most.as_secs_f64()),
            took <= most,
        ));
        checks
    }

    /// Whether an outage was found by a limit within as many bad events as it may take; `None` where the kind or the policy promises nothing.
    fn outage(&self, breach: &Breach) -> Option<Check> {
        let is_outage = matches!(self.plan.kind, Kind::Error | Kind::Hang) && !self.script.on_copies();
        let most = most_bad_events_of(&self.policy, breach, self.view.share).filter(|_| is_outage)?;
        let (bad, what) = (breach.bad_candidate, "bad events of the candidate until then");
        Some(Check::new(what, bad.to_string(), format!("at most {most}"), bad <= most))
    }
}

/// Bad events until what spoke must have spoken, by a ledger that begins with the outage. A guard that compares promises nothing on another
/// metric than the breaker's.
fn most_bad_events_of(policy: &Policy, breach: &Breach, share: f64) -> Option<u64> {
    let is_of = |limit: &AbsolutePolicy| breach.metric == Some(limit.metric);
    match breach.cause {
        BreachCause::Relative | BreachCause::Absolute if policy.absolute.as_ref().is_some_and(is_of) => {
            Some(most_bad_events(share))
        }
        BreachCause::Absolute => attempts_of_an_outage(policy.absolute_late.as_ref().filter(|limit| is_of(limit))?),
        _ => None,
    }
}

/// Bad events until an outage must be found by a ledger that begins with it.
pub(super) fn most_bad_events(share: f64) -> u64 {
    if share >= 0.5 { MOST_BAD_EVENTS_FROM_THE_START } else { MOST_BAD_EVENTS }
}

/// An end that is nobody's finding is no verdict, and neither is a fault that nobody met.
fn verdict(end: End, report: &DrillReport) -> Verdict {
    let all_hold = report.checks.iter().all(|check| check.holds);
    match end {
        End::Verified if all_hold => Verdict::Pass,
        End::Verified | End::CallerFailed => Verdict::Fail,
        // Too little traffic says nothing; a candidate that was reached does.
        End::Unverified if report.after_by_candidate > 0 => Verdict::Fail,
        End::Unseen if report.faults > 0 => Verdict::Fail,
        _ => Verdict::Undecided,
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
