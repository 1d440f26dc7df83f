//! A fresh reading of a rollout's gates after it was completed: of the last while alone, from the record, holdback against everybody else.
//! It decides nothing and changes no evidence; guards go on as before.

use std::collections::HashMap;

use ::alerts::{Event, Kind};
use gateway::control::StoredState;
use rollout::{Arm, Metric, MetricSet, Policy, Status};
use serde::{Deserialize, Serialize};
use serde_json::json;
use stats::UnpairedDifference;
use store::{Database, RolloutRow};

use crate::desk::OperationError;

/// So many requests are read at most, the oldest first; the page says when there were more.
const MOST_READ: u32 = 200_000;
/// The baseline's bad rate as the tests guess it before they look: without a look at the same numbers it can only be a guess.
const GUESSED_RATE: f64 = 0.01;

/// What the gates say of the last while.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Revalidation {
    /// The rollout.
    pub rollout: String,
    /// From when, Unix microseconds.
    pub from_us: u64,
    /// To when.
    pub to_us: u64,
    /// The fraction of units that was read.
    pub sample: f64,
    /// Requests that were read.
    pub requests: u64,
    /// Whether there were more than are read at once.
    pub is_cut: bool,
    /// The gates of the policy, read anew.
    pub gates: Vec<GateReading>,
    /// Whether all of them pass.
    pub is_proven: bool,
    /// One sentence.
    pub words: String,
}

/// One gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReading {
    /// What is compared.
    pub metric: Metric,
    /// Units of the baseline that were judged, and bad ones.
    pub baseline: (u64, u64),
    /// Those of the candidate.
    pub candidate: (u64, u64),
    /// The difference that would matter.
    pub margin: f64,
    /// The candidate's bad rate less the baseline's.
    pub estimate: Option<f64>,
    /// The e-value against "worse by the margin or more".
    pub e_value: f64,
    /// The e-value that passes.
    pub threshold: f64,
    /// Whether it passes.
    pub is_proven: bool,
}

/// How a rollout is read again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// How far back, in microseconds.
    pub back_us: u64,
    /// The fraction of units that is read, 0 to 1.
    pub sample: f64,
}

/// Reads the gates of a rollout that is at full, over the last while.
///
/// # Errors
/// When there is no such rollout, it is not at full, or the store cannot be read.
pub fn read(database: &Database, name: &str, span: Span, now_us: u64) -> Result<Revalidation, OperationError> {
    let row = crate::rollouts::load(database, name)?;
    let (stored, policy) = crate::rollouts::parse(&row)?;
    let share = stored.state.share(&policy);
    let is_split = share > 0.0 && share < 1.0;
    if !is_split || !policy.is_last(stored.state.step_idx) {
        let words =
            format!("rollout `{name}` is not at full with a holdback: there is nobody to compare the candidate with");
        return Err(OperationError::Refused(words));
    }
    let from_us = now_us.saturating_sub(span.back_us).max(stored.state.epoch_started.0);
    let reading = |source| OperationError::Store { doing: "read the record of the last while", source };
    let epoch = stored.state.epoch;
    let outcomes = database.sampled_outcomes(name, epoch, (from_us, span.sample), MOST_READ).map_err(reading)?;
    let judged = outcomes.iter().filter_map(|outcome| {
        let (observed, bad) = gateway::control::judged(outcome)?;
        Some((outcome.unit, outcome.arm == Arm::Candidate.as_str(), observed, bad))
    });
    let gates = gates(&policy, share, judged);
    let is_proven = !gates.is_empty() && gates.iter().all(|gate| gate.is_proven);
    let requests = outcomes.len() as u64;
    let words = words(&stored, &gates, is_proven, requests);
    Ok(Revalidation {
        rollout: name.to_owned(),
        from_us,
        to_us: now_us,
        sample: span.sample,
        requests,
        is_cut: requests >= u64::from(MOST_READ),
        gates,
        is_proven,
        words,
    })
}

/// The rollouts whose reading is due, read; as what people are told. `span_of`: how often each is read, none where never.
///
/// # Errors
/// When the store cannot be read.
pub fn due(
    database: &Database,
    span_of: impl Fn(&str) -> Option<Span>,
    now_us: u64,
) -> Result<Vec<Event>, OperationError> {
    let reading = |source| OperationError::Store { doing: "look for rollouts to read again", source };
    let mut events = Vec::new();
    for row in database.load_rollouts().map_err(reading)? {
        let Some(span) = span_of(&row.name).filter(|_| is_completed(&row)) else { continue };
        let last = database.last_alert(&[Kind::Revalidated.as_str(), Kind::NotRevalidated.as_str()], &row.name);
        let since_us = match last.map_err(reading)? {
            Some(last) => last.at_us,
            None => completed_us(&row),
        };
        if now_us.saturating_sub(since_us) < span.back_us {
            continue;
        }
        match read(database, &row.name, span, now_us) {
            Ok(found) => events.push(event(&found)),
            Err(OperationError::Refused(why)) => tracing::debug!(rollout = row.name, why, "nothing to read again"),
            Err(error) => return Err(error),
        }
    }
    Ok(events)
}

fn is_completed(row: &RolloutRow) -> bool {
    crate::rollouts::parse(row).is_ok_and(|(stored, _)| stored.state.status == Status::Completed)
}

fn completed_us(row: &RolloutRow) -> u64 {
    crate::rollouts::parse(row).map_or(0, |(stored, _)| stored.state.moved_at.0.max(stored.state.epoch_started.0))
}

fn event(found: &Revalidation) -> Event {
    Event {
        kind: if found.is_proven { Kind::Revalidated } else { Kind::NotRevalidated },
        subject: found.rollout.clone(),
        occasion: found.to_us,
        at_us: found.to_us,
        words: found.words.clone(),
        data: json!({ "rollout": found.rollout, "reading": found }),
    }
}

/// Every gate of the policy by the first outcome of each unit. The share was the same all the time, so counts are all there is to it.
fn gates(
    policy: &Policy,
    share: f64,
    judged: impl Iterator<Item = (u64, bool, MetricSet, MetricSet)>,
) -> Vec<GateReading> {
    let fresh = |metric| (metric, UnpairedDifference::new(share, GUESSED_RATE));
    let mut tests: Vec<(Metric, UnpairedDifference)> = policy.gates.iter().map(|gate| fresh(gate.metric)).collect();
    let mut seen: HashMap<u64, MetricSet> = HashMap::new();
    for (unit, is_candidate, observed, bad) in judged {
        let counted = seen.entry(unit).or_default();
        for (metric, test) in &mut tests {
            if observed.contains(*metric) && !counted.contains(*metric) {
                counted.insert(*metric);
                test.observe(is_candidate, bad.contains(*metric));
            }
        }
    }
    let reading = |(gate, (metric, test)): (&rollout::GatePolicy, (Metric, UnpairedDifference))| {
        let threshold = 1.0 / gate.alpha.unwrap_or(policy.alpha_promote);
        let log_e = test.log_e(gate.margin);
        GateReading {
            metric,
            baseline: test.baseline(),
            candidate: test.candidate(),
            margin: gate.margin,
            estimate: test.estimate(),
            e_value: log_e.min(690.0).exp(),
            threshold,
            is_proven: log_e >= threshold.ln(),
        }
    };
    policy.gates.iter().zip(tests).map(reading).collect()
}

fn words(stored: &StoredState, gates: &[GateReading], is_proven: bool, requests: u64) -> String {
    let (candidate, baseline) = (&stored.state.candidate, &stored.state.baseline);
    if is_proven {
        return format!(
            "{candidate} is proven again to be not worse than {baseline}, by {requests} requests of the last while"
        );
    }
    let open = gates.iter().filter(|gate| !gate.is_proven).map(|gate| {
        let (n_baseline, n_candidate) = (gate.baseline.0, gate.candidate.0);
        format!(
            "{} (e-value {:.2} of {:.0} after {n_candidate} units against {n_baseline})",
            gate.metric, gate.e_value, gate.threshold
        )
    });
    let open: Vec<String> = open.collect();
    format!("{candidate} could not be proven again to be not worse than {baseline}: {}", open.join(", "))
}

#[cfg(test)]
mod tests {
    use rollout::Risk;

    use super::*;

    /// `n` units of each arm, of which every `bad`-th is bad; each unit has two requests.
    fn check(n: u64, every_baseline: u64, every_candidate: u64) -> Vec<GateReading> {
        let policy = Policy::template(Risk::Medium);
        let errors = MetricSet::of(&[Metric::Error]);
        let outcomes = (0..2 * n).flat_map(|unit| {
            let is_candidate = unit % 2 == 1;
            let every = if is_candidate { every_candidate } else { every_baseline };
            let bad = if (unit / 2) % every == 0 { errors } else { MetricSet::EMPTY };
            let again = (unit, is_candidate, MetricSet::ALL, errors);
            [(unit, is_candidate, MetricSet::ALL, bad), again]
        });
        gates(&policy, 0.5, outcomes)
    }

    #[test]
    fn equal_arms_are_proven_again_and_the_first_outcome_of_a_unit_counts() {
        let gates = check(20_000, 100, 100);
        assert!(gates.iter().all(|gate| gate.is_proven), "{gates:#?}");
        let error = gates.iter().find(|gate| gate.metric == Metric::Error).unwrap();
        assert_eq!((error.baseline, error.candidate), ((20_000, 200), (20_000, 200)));
    }

    #[test]
    fn a_worse_candidate_and_too_few_units_are_not() {
        let error = |gates: Vec<GateReading>| gates.into_iter().find(|gate| gate.metric == Metric::Error).unwrap();
        assert!(!error(check(20_000, 100, 25)).is_proven);
        assert!(!error(check(100, 100, 100)).is_proven);
    }
}
