//! What a rollout will take, from what the store has recorded of its route or from what is stated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use gateway::control::judged;
use rollout::outlook::{Outlook, Question, outlook};
use rollout::simulate::{RecordedRequest, RecordedUnit};
use rollout::traffic::{HOURS, Traffic, hour_of_week};
use rollout::{Arm, Input, InputPart, Metric, Policy, Timestamp, Unit};
use serde::{Deserialize, Serialize};
use store::Database;

use crate::desk::OperationError;

const HOUR_US: u64 = 3_600_000_000;
/// Below so many requests an hour-by-hour plan would be a guess.
const LEAST_REQUESTS: u64 = 100;

/// What a rollout's first evidence assumes too.
const ASSUMED_RATE: f64 = 0.01;

/// What somebody says instead of what was recorded.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stated {
    /// Requests in a day, every hour alike.
    pub requests_per_day: Option<f64>,
    /// Requests of a unit.
    pub requests_per_unit: Option<f64>,
    /// The most in a minute.
    pub peak_per_minute: Option<f64>,
    /// The baseline's bad rates.
    pub rates: BTreeMap<Metric, f64>,
    /// Tokens of a request and its answer.
    pub tokens_per_request: Option<f64>,
    /// The fraction of answers that anything is known of, by metric.
    pub observed: BTreeMap<Metric, f64>,
}

/// Whose plan it is.
#[derive(Debug, Clone)]
pub struct Planned<'a> {
    /// The rollout.
    pub name: &'a str,
    /// The route it splits.
    pub route: &'a str,
    /// The target in production today.
    pub baseline: &'a str,
    /// Its policy.
    pub policy: &'a Policy,
}

/// What a plan is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// Requests that were recorded and looked at.
    pub recorded_requests: u64,
    /// The hours from the first of them to the last.
    pub recorded_hours: u64,
    /// What had to be assumed, in words.
    pub assumed: Vec<String>,
    /// The traffic that was planned for.
    pub traffic: Traffic,
    /// Mean tokens of a request and of its answer, as they were recorded.
    #[serde(default)]
    pub tokens: Option<(f64, f64)>,
}

/// A plan and what it is made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanReport {
    /// The rollout.
    pub rollout: String,
    /// The hash of the policy it is for.
    pub policy_hash: String,
    /// What it is made from; `None` when there is nothing to make it from.
    pub basis: Basis,
    /// The plan.
    pub outlook: Outlook,
}

/// The traffic a plan or a simulation is for: what is stated, else what was recorded since `since_us`.
///
/// # Errors
/// When the store cannot be read, or has too few requests and nothing is stated.
pub fn basis(
    database: Option<&Database>,
    planned: &Planned<'_>,
    stated: &Stated,
    since_us: u64,
) -> Result<Basis, OperationError> {
    let mut basis = match database {
        Some(database) => recorded(database, planned, since_us)?,
        None => nothing(),
    };
    if let Some(per_day) = stated.requests_per_day {
        let even = Traffic::even(per_day, basis.traffic.requests_per_unit, BTreeMap::new());
        let (per_hour, peak_per_minute) = (even.per_hour, even.peak_per_minute);
        basis.traffic = Traffic { per_hour, peak_per_minute, ..basis.traffic };
        basis.assumed.push(format!("{per_day:.0} requests a day, every hour alike (stated)"));
    } else if basis.recorded_requests < LEAST_REQUESTS {
        return Err(OperationError::Refused(format!(
            "the store has {} requests of route `{}`, too few to plan from",
            basis.recorded_requests, planned.route
        )));
    }
    if let Some(per_unit) = stated.requests_per_unit {
        basis.traffic.requests_per_unit = per_unit.max(1.0);
        basis.assumed.retain(|words| !words.starts_with("one request"));
        basis.assumed.push(format!("{per_unit} requests of a unit (stated)"));
    }
    if let Some(peak) = stated.peak_per_minute {
        basis.traffic.peak_per_minute = peak;
    } else if stated.requests_per_day.is_some() {
        basis.assumed.push("the peak is the mean: state `--peak-per-minute` to see what a rollback gives back".into());
    }
    for (metric, rate) in &stated.rates {
        basis.traffic.rates.insert(*metric, *rate);
        basis.assumed.push(format!("{} {:.3} % (stated)", metric.rate_name(), rate * 100.0));
    }
    if let Some(tokens) = stated.tokens_per_request {
        basis.traffic.tokens_per_request = Some(tokens);
        basis.assumed.push(format!("{tokens} tokens of a request (stated)"));
    }
    for (metric, fraction) in &stated.observed {
        basis.traffic.observed.insert(*metric, *fraction);
        basis.assumed.push(format!("{metric} is known of {:.1} % of answers (stated)", fraction * 100.0));
    }
    assume_rates(&mut basis, planned.policy);
    Ok(basis)
}

/// Makes the plan.
#[must_use]
pub fn plan(planned: &Planned<'_>, basis: Basis, question: &Question) -> PlanReport {
    let outlook = outlook(planned.policy, &basis.traffic, question);
    PlanReport { rollout: planned.name.to_owned(), policy_hash: planned.policy.hash(), basis, outlook }
}

fn nothing() -> Basis {
    let assumed = vec!["one request of a unit".to_owned()];
    let traffic = Traffic::even(0.0, 1.0, BTreeMap::new());
    Basis { recorded_requests: 0, recorded_hours: 0, assumed, traffic, tokens: None }
}

/// What no metric was seen for is assumed to be 1 %, as a rollout's first evidence assumes it.
fn assume_rates(basis: &mut Basis, policy: &Policy) {
    let gates = policy.gates.iter().map(|gate| gate.metric).chain(policy.certificates.iter().map(|one| one.metric));
    let metrics: BTreeSet<Metric> = gates.chain(policy.guards.iter().map(|guard| guard.metric)).collect();
    let unknown: Vec<Metric> = metrics.into_iter().filter(|metric| !basis.traffic.rates.contains_key(metric)).collect();
    basis.traffic.rates.extend(unknown.iter().map(|metric| (*metric, ASSUMED_RATE)));
    let names: Vec<&str> = unknown.into_iter().map(Metric::as_str).collect();
    if !names.is_empty() {
        basis.assumed.push(format!(
            "a rate of 1 % where fewer than {LEAST_REQUESTS} answers are recorded: {}",
            names.join(", ")
        ));
    }
}

fn recorded(database: &Database, planned: &Planned<'_>, since_us: u64) -> Result<Basis, OperationError> {
    let reading = |source| OperationError::Store { doing: "read the route's traffic", source };
    let rows = database.route_traffic(planned.route, since_us).map_err(reading)?;
    let outcomes = database.route_outcomes(planned.route, planned.baseline, since_us).map_err(reading)?;
    let recorded_requests: u64 = rows.per_hour.iter().map(|(_, n)| n).sum();
    let (Some((first, _)), Some((last, _))) = (rows.per_hour.first(), rows.per_hour.last()) else {
        return Ok(nothing());
    };
    let recorded_hours = last - first + 1;
    let mut assumed = Vec::new();
    let per_hour = by_hour_of_week(&rows.per_hour, (*first, recorded_hours), &mut assumed);
    let requests_per_unit = if planned.policy.unit == Unit::Request {
        1.0
    } else if rows.units > 0 {
        rows.with_unit as f64 / rows.units as f64
    } else {
        assumed.push("one request of a unit: units are not recorded before a rollout is live".to_owned());
        1.0
    };
    let mut rates = rates(&outcomes);
    let mut observed = BTreeMap::new();
    let mut seen = |metric: Metric, (n, bad): (u64, u64), of: u64| {
        if n > 0 {
            observed.insert(metric, n as f64 / of.max(n) as f64);
        }
        // Of a few answers no rate is known.
        if n >= LEAST_REQUESTS {
            rates.insert(metric, (bad as f64 + 0.5) / (n as f64 + 1.0));
        }
    };
    let objectives = &planned.policy.objectives;
    let us = |time: Option<Duration>| {
        time.map_or(u64::MAX >> 1, |time| u64::try_from(time.as_micros()).unwrap_or(u64::MAX >> 1))
    };
    let times = (us(objectives.total), us(objectives.first_token));
    let late = database.route_lateness((planned.route, planned.baseline), since_us, times).map_err(reading)?;
    let calls = late.total.0;
    if objectives.total.is_some() {
        seen(Metric::Slow, late.total, calls);
    }
    if objectives.first_token.is_some() {
        seen(Metric::SlowFirstToken, late.first_token, calls);
    }
    seen(Metric::Feedback, rows.judged, recorded_requests);
    let mean_duration = rows.mean_duration_us.map(|us| Duration::from_secs_f64((us / 1e6).max(0.0)));
    let peak_per_minute = rows.peak_per_minute as f64;
    let traffic = Traffic {
        per_hour,
        peak_per_minute,
        requests_per_unit,
        rates,
        mean_duration,
        tokens_per_request: rows.mean_tokens.map(|(input, output)| input + output),
        cost_spread: rows.mean_nanos.and_then(spread),
        observed,
    };
    Ok(Basis { recorded_requests, recorded_hours, assumed, traffic, tokens: rows.mean_tokens })
}

/// Sigma of the lognormal that has this mean and mean square.
fn spread((mean, square): (f64, f64)) -> Option<f64> {
    (mean > 0.0 && square.is_finite()).then(|| (square / (mean * mean)).max(1.0).ln().sqrt())
}

/// The mean of each hour of the week over the weeks that were recorded; of the hours that no week has yet, the mean of all.
fn by_hour_of_week(rows: &[(u64, u64)], (first, n_hours): (u64, u64), assumed: &mut Vec<String>) -> Vec<f64> {
    let (mut requests, mut times) = (vec![0.0; HOURS], vec![0.0; HOURS]);
    for hour in 0..n_hours.min(HOURS as u64 * 520) {
        times[hour_of_week(Timestamp((first + hour) * HOUR_US), 0)] += 1.0;
    }
    for (hour, n) in rows {
        requests[hour_of_week(Timestamp(hour * HOUR_US), 0)] += *n as f64;
    }
    let mean = requests.iter().sum::<f64>() / n_hours as f64;
    if n_hours < HOURS as u64 {
        assumed.push(format!("{n_hours} hours are recorded: the other hours of the week are taken to be their mean"));
    }
    requests.iter().zip(&times).map(|(n, times)| if *times > 0.0 { n / times } else { mean }).collect()
}

/// The units that a rollout's evidence counted on its baseline, each with what its requests were bad on, in their order.
///
/// # Errors
/// When the store cannot be read, or has nothing counted of the rollout.
pub fn recorded_units(database: &Database, name: &str) -> Result<Vec<RecordedUnit>, OperationError> {
    let reading = |source| OperationError::Store { doing: "read what was counted", source };
    let epochs = database.transitions(Some(name)).map_err(reading)?.iter().map(|row| row.epoch).max().unwrap_or(0);
    // By epoch and unit: a unit that comes back in another epoch is another one.
    let mut units: BTreeMap<(u32, u64), RecordedUnit> = BTreeMap::new();
    for epoch in 0..=epochs {
        let mut from = 0;
        while let Some(row) = database.next_inputs(name, epoch, from).map_err(reading)? {
            from = row.first + row.n.max(1);
            let part = InputPart::from_lines(row.first, &row.lines)
                .map_err(|error| OperationError::Unavailable(format!("what was counted cannot be read: {error}")))?;
            for input in part.inputs {
                if let Input::Outcome(outcome) = input
                    && outcome.arm == Arm::Baseline
                    && outcome.observed.contains(Metric::Error)
                {
                    units.entry((epoch, outcome.unit)).or_default().requests.push(RecordedRequest {
                        bad: outcome.bad,
                        time_to_first_token_us: outcome.time_to_first_token_us,
                        duration_us: outcome.duration_us,
                    });
                }
            }
        }
    }
    if units.is_empty() {
        return Err(OperationError::Refused(format!("the store has nothing counted of rollout `{name}`")));
    }
    Ok(units.into_values().collect())
}

/// The bad rates of recorded units.
#[must_use]
pub fn rates_of(units: &[RecordedUnit]) -> BTreeMap<Metric, f64> {
    let n: usize = units.iter().map(|unit| unit.requests.len()).sum();
    let bad = |metric: Metric| {
        units.iter().flat_map(|unit| &unit.requests).filter(|request| request.bad.contains(metric)).count()
    };
    Metric::ALL.into_iter().map(|metric| (metric, bad(metric) as f64 / n.max(1) as f64)).collect()
}

/// Half an event more than was seen, so that what never happened yet is not impossible. Of a few answers no rate is known: half an event
/// in one would be a quarter of all.
fn rates(outcomes: &[(store::EpochOutcome, u64)]) -> BTreeMap<Metric, f64> {
    let mut tallies: BTreeMap<Metric, (u64, u64)> = BTreeMap::new();
    for (outcome, times) in outcomes {
        let Some((observed, bad)) = judged(outcome) else { continue };
        for metric in observed.iter() {
            let (n, n_bad) = tallies.entry(metric).or_default();
            *n += times;
            *n_bad += if bad.contains(metric) { *times } else { 0 };
        }
    }
    tallies.retain(|_, (n, _)| *n >= LEAST_REQUESTS);
    tallies.into_iter().map(|(metric, (n, bad))| (metric, (bad as f64 + 0.5) / (n as f64 + 1.0))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_the_week_is_the_mean_of_its_weeks_and_what_was_not_seen_the_mean_of_all() {
        let mut assumed = Vec::new();
        // Two Mondays at midnight, 10 and 30 requests, with a silent week between.
        let first = 4 * 24;
        let rows = [(first, 10), (first + HOURS as u64, 30)];
        let week = by_hour_of_week(&rows, (first, HOURS as u64 + 1), &mut assumed);
        assert_eq!((week[0], week[1], assumed.len()), (20.0, 0.0, 0));
        let short = by_hour_of_week(&[(first, 10), (first + 1, 20)], (first, 2), &mut assumed);
        assert_eq!((short[0], short[1], short[2]), (10.0, 20.0, 15.0));
        assert_eq!(assumed.len(), 1);
    }
}
