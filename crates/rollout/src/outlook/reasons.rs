//! Why a rollout should not be started as it is, and what its owner may not expect.

use std::time::Duration;

use super::{Amount, Outlook, Question, StepOutlook};
use crate::breach::percent;
use crate::decide::duration;
use crate::policy::{Policy, Stage, StepPolicy};
use crate::traffic::{HOURS, Traffic};

/// Why a step can never be left, or not in time.
pub(super) fn refusals(
    planned: &StepOutlook,
    step: &StepPolicy,
    (policy, traffic): (&Policy, &Traffic),
) -> Vec<String> {
    let place = format!("{} {}", planned.stage.as_str(), percent(planned.share));
    let mut refusals = Vec::new();
    let mut too_late = |what: &str, amount: &Amount, never: Option<&String>| {
        if let Some(why) = never {
            refusals.push(format!("{place}: {what} can never be decided: {why}"));
        } else if traffic.per_week() <= 0.0 && amount.n != Some(0) {
            refusals.push(format!("{place}: {what} needs traffic, and there is none"));
        } else if amount.n.is_none() {
            refusals.push(format!("{place}: {what} is proven by no number of requests"));
        } else if let (Some(n), None) = (amount.n, amount.days) {
            refusals.push(format!("{place}: {what} takes {n} units, more than ten years at this traffic"));
        } else if let (Some(days), Some(most)) = (amount.days, planned.max_days)
            && days > most
        {
            refusals.push(format!("{place}: {what} typically takes {days:.1} days, and the step ends after {most:.1}"));
        }
    };
    let minimum = if step.stage == Stage::Shadow { "its minimum of pairs" } else { "its minimum of units and time" };
    too_late(minimum, &planned.minimum, None);
    for gate in &planned.gates {
        let what = format!("the gate on the {} (margin {})", gate.metric.rate_name(), percent(gate.margin));
        too_late(&what, &gate.typical, gate.never.as_ref());
    }
    for one in &planned.certificates {
        let what = format!("the certificate of a {} below {}", one.metric.rate_name(), percent(one.limit));
        too_late(&what, &one.typical, one.never.as_ref());
    }
    if let Some(coverage) = planned.coverage.as_ref().filter(|coverage| coverage.expected < coverage.need) {
        let enough = policy.shadow_sample * coverage.expected;
        let limited_by = coverage.limited_by.as_deref().unwrap_or("its budget");
        refusals.push(format!(
            "{place}: {limited_by} leave {} of the copies, and {} must become pairs: lower `sample` to {enough:.2}, or raise the budget",
            percent(coverage.expected),
            percent(coverage.need),
        ));
    }
    refusals
}

/// A rollback that the baseline's provider refuses is the real outage.
pub(super) fn quota(outlook: &Outlook, traffic: &Traffic, question: &Question) -> Vec<String> {
    let peak = outlook.peak_per_minute;
    let per_minute = question.per_minute.filter(|limit| peak > *limit).map(|limit| {
        format!("the baseline takes {limit:.0} requests a minute, and a rollback at the peak gives it {peak:.0}")
    });
    let tokens = question.tokens_per_minute.zip(traffic.tokens_per_request.map(|each| each * peak));
    let tokens = tokens.filter(|(limit, peak)| peak > limit).map(|(limit, peak)| {
        format!("the baseline takes {limit:.0} tokens a minute, and a rollback at the peak gives it {peak:.0}")
    });
    let under_way = question.concurrency.zip(outlook.peak_concurrency).filter(|(limit, peak)| peak > limit);
    let concurrency = under_way.map(|(limit, peak)| {
        format!(
            "the baseline takes {limit:.0} calls at once, and at the peak there would be {peak:.0} after a rollback"
        )
    });
    per_minute.into_iter().chain(tokens).chain(concurrency).collect()
}

/// Quiet hours in which a rollout would be held as stale.
pub(super) fn remarks(policy: &Policy, traffic: &Traffic) -> Vec<String> {
    let quiet = longest_quiet(&traffic.per_hour);
    let stale = policy.stale_after.filter(|after| traffic.per_week() > 0.0 && quiet >= *after);
    let stale = stale.map(|after| {
        format!(
            "nothing comes for {} of the week, and evidence is stale after {}: it will be held then, for a person to extend",
            duration(quiet.as_secs()),
            duration(after.as_secs()),
        )
    });
    let kinds = policy.strata_gate.map(|strata| {
        format!(
            "each kind of request (size, task, streamed or not) proves its gates by itself in shadow: one that is a tenth of all requests \
             takes ten times the pairs stated for a kind, and kinds with less than {} pairs count together",
            strata.min_pairs
        )
    });
    stale.into_iter().chain(kinds).collect()
}

/// The longest run of hours in which nothing comes, around the end of the week too.
fn longest_quiet(per_hour: &[f64]) -> Duration {
    let (mut longest, mut run) = (0_usize, 0_usize);
    for requests in per_hour.iter().chain(per_hour) {
        run = if *requests > 0.0 { 0 } else { run + 1 };
        longest = longest.max(run);
    }
    Duration::from_secs(longest.min(HOURS) as u64 * 3600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_weekend_is_one_run_though_the_week_ends_in_it() {
        let mut per_hour = vec![1.0; HOURS];
        per_hour[..6].fill(0.0);
        per_hour[150..].fill(0.0);
        assert_eq!(longest_quiet(&per_hour), Duration::from_secs(24 * 3600));
        assert_eq!(longest_quiet(&vec![0.0; HOURS]), Duration::from_secs(168 * 3600));
        assert_eq!(longest_quiet(&vec![1.0; HOURS]), Duration::ZERO);
    }
}
