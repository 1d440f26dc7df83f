//! A drill on the running gateway: begun and followed through its admin listener, which bounds it and files its result.

use std::time::Duration;

use anyhow::Context;
use gateway::drill::{DrillReport, Phase, Plan, Verdict};
use operations::drills::DrillRequest;
use serde_json::json;

use super::super::plan::duration;
use super::{Args, rows};
use crate::config::show_share;
use crate::out::{Exit, Out, Stop, table};
use crate::verbs::Place;
use crate::verbs::source::{Source, percent};

/// How often it is asked how it goes; a gateway that is not asked for ten seconds ends the drill.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Args {
    /// Whether it is about the running gateway.
    pub(super) fn is_live(&self) -> bool {
        self.live || self.shadow || self.end || self.cohort.is_some()
    }

    /// The rollout, or the part of it in a cohort.
    fn rollout(&self) -> String {
        match &self.cohort {
            Some(cohort) => format!("{}@{cohort}", self.name),
            None => self.name.clone(),
        }
    }

    fn plan(&self) -> Result<Plan, Stop> {
        let Some(kind) = self.kind.ok_or_else(super::no_kind)?.fault() else {
            let stop = Stop::usage("a gateway that serves is not robbed of its store or its leader for a drill");
            return Err(
                stop.hint("without `--live`, `--cohort` and `--shadow` it is rehearsed in a gateway of its own")
            );
        };
        let ms = |key: &str, text: &str| -> Result<u64, Stop> {
            Ok(u64::try_from(duration(key, text)?.as_millis()).unwrap_or(u64::MAX))
        };
        let usual = Plan::of(kind);
        Ok(Plan {
            shadow: (self.live || self.shadow).then_some(self.shadow),
            at_most_ms: ms("--at-most", &self.at_most)?,
            most_faults: self.requests,
            verify_ms: self.verify.as_deref().map_or(Ok(usual.verify_ms), |text| ms("--verify", text))?,
            verify_requests: self.verify_requests,
            patience_ms: self.patience.as_deref().map(|text| ms("--patience", text)).transpose()?,
            ..usual
        })
    }
}

/// Exits 0 when everything held, 3 when something did not, 4 when it cannot be told.
pub(super) fn run(place: &Place, args: &Args, out: &Out) -> Result<Exit, Stop> {
    let source = Source::open(place)?;
    let name = args.rollout();
    let path = format!("/api/rollouts/{}/drill", percent(&name));
    if args.end {
        let answer = source.change(&format!("{path}/end"), &json!({ "actor": args.actor }))?;
        let report = read(answer.ok_or_else(|| source.nobody())?)?;
        out.answer(&report, || render(&report));
        return Ok(Exit::Ok);
    }
    let request = DrillRequest { actor: Some(args.actor.clone()), reason: args.reason.clone(), plan: args.plan()? };
    let body = serde_json::to_value(&request).context("the drill cannot be written down")?;
    let begun = source.change(&path, &body).map_err(|stop| hinted(stop, &name))?;
    let mut report = read(begun.ok_or_else(|| source.nobody())?)?;
    let on = if report.shadow { "copies" } else { "live traffic" };
    out.say(format_args!("drill `{}` begins on {on} of {name}; `--end` ends it", report.kind.as_str()));
    let mut phase = report.phase;
    while report.phase != Phase::Over {
        std::thread::sleep(LOOK_EVERY);
        report = read(source.read(&path, |_| Err::<(), _>(lost()))?)?;
        if report.phase != phase && report.phase == Phase::Verifying {
            out.say("seen and switched; the baseline is watched");
        }
        phase = report.phase;
    }
    out.answer(&report, || render(&report));
    let filed = report.verdict.is_some_and(|verdict| verdict != Verdict::Undecided);
    out.say(if filed { "filed for the rollout's gates" } else { "not filed: no verdict" });
    Ok(match report.verdict {
        Some(Verdict::Pass) => Exit::Ok,
        Some(Verdict::Fail) => Exit::No,
        Some(Verdict::Undecided) | None => Exit::Undecided,
    })
}

fn lost() -> operations::OperationError {
    operations::OperationError::Unavailable("the gateway is gone, and the drill with it".to_owned())
}

fn read(answer: serde_json::Value) -> Result<DrillReport, Stop> {
    Ok(serde_json::from_value(answer).context("could not read the answer")?)
}

fn hinted(stop: Stop, name: &str) -> Stop {
    if stop.hint.is_some() {
        return stop;
    }
    stop.hint(format!("`crossfade rollout status {name}` shows where it stands"))
}

fn render(report: &DrillReport) -> String {
    let on = if report.shadow { "copies" } else { "live traffic" };
    let mut text = format!(
        "drill `{}` on {on} of {}, in {} at {}: the fault is SIMULATED, no provider was called for it\n\n",
        report.kind.as_str(),
        report.rollout,
        report.stage.as_str(),
        show_share(report.share)
    );
    text.push_str(&table(&["what", "measured", "target", "holds"], &rows(&report.checks)));
    let callers = format!("\ncallers whose request met it and who were answered: {}\n", report.callers_answered);
    if !report.shadow {
        text.push_str(&callers);
    }
    if let Some(breach) = &report.breach {
        text.push_str(&format!("what saw it: {}\n", breach.words()));
    }
    text.push_str(&match (report.verdict, report.end) {
        (Some(verdict), Some(end)) => format!("\n{}: {}\n", verdict.as_str(), end.words()),
        _ => "\nunder way\n".to_owned(),
    });
    text
}
