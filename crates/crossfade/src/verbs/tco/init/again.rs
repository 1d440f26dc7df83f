//! How often a side is right at first, and at each attempt after, as an evaluation run counted it.

use cost::date::Date;
use eval::again::{Counted, again};
use eval::compare::Report;

use super::known::{Known, text};
use crate::out::Stop;
use crate::verbs::{Place, eval as evaluations};

/// A run that is asked.
pub(super) struct Asked<'a> {
    pub(super) run: &'a str,
    pub(super) date: Date,
    pub(super) report: &'a Report,
    /// The baseline and the candidate.
    pub(super) names: [&'a str; 2],
}

impl Asked<'_> {
    /// A share that was counted, as a worksheet has it.
    pub(super) fn seen(&self, right: u64, of: u64, which: &str) -> String {
        let (report, run, date) = (self.report, self.run, self.date);
        let evidence = format!("eval run {run}, {}{which} on {}{}", report.primary, report.dataset, self.made_up());
        format!(
            "{{ seen: {right}, of: {of}, provenance: measured, date: {date}, evidence: {}, evidence_id: {} }}",
            text(&evidence),
            text(&format!("eval-run:{run}"))
        )
    }

    pub(super) fn made_up(&self) -> &'static str {
        if self.report.simulated { ", answers of a simulated provider among them" } else { "" }
    }

    pub(super) fn not_right_or_wrong(&self) -> String {
        format!(
            "run {} decides by {}, which is not right or wrong: first-pass success stays unknown",
            self.run, self.report.primary
        )
    }
}

/// A run that asked each case once knows nothing of a second time.
pub(super) fn once(run: &str) -> Stop {
    let stop =
        Stop::usage(format!("run `{run}` asked each case once: how likely a second attempt is right is not known"));
    stop.hint("`crossfade eval run … --repeats 2` asks again")
}

/// First-pass success is that of the first time each case was asked, and what is right at a retry that of the cases wrong until then.
pub(super) fn of_repeats(
    place: &Place,
    asked: &Asked<'_>,
    retries: Option<u32>,
    known: &mut Known,
) -> Result<(), Stop> {
    let (run, repeats) = (asked.run, asked.report.repeats);
    let results = evaluations::numbers(place, run)?;
    let yardsticks = results.yardsticks();
    let counted = |name: &str| -> Option<Vec<Counted>> {
        let yardstick = yardsticks.iter().find(|yardstick| yardstick.name == asked.report.primary)?;
        let target_idx = results.plan.targets.iter().position(|target| target.name == name)?;
        again(&results, yardstick, target_idx).filter(|counted| !counted.is_empty())
    };
    let [Some(baseline), Some(candidate)] = asked.names.map(counted) else {
        known.said.push(asked.not_right_or_wrong());
        return Ok(());
    };
    let n = retries.unwrap_or(0) as usize;
    if n as u64 >= repeats {
        let stop =
            Stop::usage(format!("run `{run}` asked each case {repeats} times: {n} retries are not known from it"));
        return Err(stop.hint(format!("`--retries {}` at most, or a run with more `--repeats`", repeats - 1)));
    }
    for (places, counted, name) in [
        (["BASELINE_FIRST_PASS", "BASELINE_RETRIES"], &baseline, asked.names[0]),
        (["CANDIDATE_FIRST_PASS", "CANDIDATE_RETRIES"], &candidate, asked.names[1]),
    ] {
        known.put(places[0], asked.seen(counted[0].right, counted[0].of, " at the first time"));
        known.said.push(format!(
            "first-pass success of {name} is that of the first time {} cases of run {run} were asked{}",
            counted[0].of,
            asked.made_up()
        ));
        let after = |idx: usize| counted.get(idx).copied().unwrap_or_default();
        if n == 0 {
            let second = after(1);
            known.put(places[1], "[]".to_owned());
            known.said.push(format!(
                "of the {} cases {name} had wrong, {} were right the second time: where the application asks again, `--retries 1` takes that",
                second.of, second.right
            ));
            continue;
        }
        // A case that nobody asked so often says nothing; an attempt that no case came to is unknown.
        let retry = |idx: usize| match after(idx) {
            Counted { of: 0, .. } => "unknown".to_owned(),
            Counted { right, of } => {
                asked.seen(right, of, &format!(" at attempt {} of cases wrong until then", idx + 1))
            }
        };
        known.put(places[1], format!("[{}]", (1..=n).map(retry).collect::<Vec<_>>().join(", ")));
        known.said.push(format!("what {name} has right when it is asked again is that of run {run}"));
    }
    Ok(())
}
