//! Several candidates for one route: who leads, who is out and why. Two questions, with everything counted that was ever a contender: is a
//! candidate acceptable (each of its gates speaks for it), and is it better than another, on the requests that both were given? Both
//! are corrected for how many candidates there are, and may be asked as often as one likes (`stats::ranking`).

use std::collections::BTreeMap;

use gateway::control::StoredState;
use gateway::snapshot::cohorts::{AT, cohort_of};
use rollout::{Evidence, Explanation, Health, Policy, Status};
use serde::{Deserialize, Serialize};
use stats::PairedDifference;
use stats::ranking::{every, rank, winner};
use store::{ArmCost, Database, RolloutRow};

use crate::desk::OperationError;
use crate::rollouts::{corrupt, now, parse};

/// The candidates of one route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contest {
    /// The route.
    pub route: String,
    /// The chance of any false claim below.
    pub alpha: f64,
    /// The rollout that serves anyone: while it does, no other goes beyond shadow.
    pub serving: Option<String>,
    /// The candidate that is acceptable and proven better than every other acceptable one that is not out.
    pub winner: Option<String>,
    /// The first of those that are not out, proven or not.
    pub leader: Option<String>,
    /// In order: those that are not out first.
    pub contenders: Vec<Contender>,
}

/// One candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contender {
    /// Its rollout.
    pub rollout: String,
    /// The target on trial.
    pub candidate: String,
    /// Where its rollout stands.
    pub label: String,
    /// What the config says of the target: context length, GPU, licence.
    pub labels: BTreeMap<String, String>,
    /// Why it is out; `None` while it is not.
    pub eliminated: Option<String>,
    /// Whether all its gates speak for it, corrected for the number of candidates.
    pub acceptable: bool,
    /// The e-value of that, corrected; `1 / alpha` is needed.
    pub e_value: f64,
    /// The best and the worst rank it can have.
    pub ranks: (usize, usize),
    /// Complete pairs of distinct units.
    pub pairs: u64,
    /// Of its pairs whose answers were compared, those whose request holds results of tools: it was given the baseline's steps and is judged on
    /// the next one.
    #[serde(default)]
    pub teacher_forced: u64,
    /// How much more often it is bad than the baseline, by gate: estimate and upper bound.
    pub gates: Vec<ContestGate>,
    /// Half of its answers came within this, and nearly all within that, microseconds.
    pub duration_us: Option<(u64, u64)>,
    /// What a copy cost on average, nano-dollars.
    pub mean_cost_nanos: Option<u64>,
}

/// What one gate of a candidate says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContestGate {
    /// On what.
    pub metric: rollout::Metric,
    /// The candidate's bad rate less the baseline's.
    pub difference: Option<f64>,
    /// It is below this, at all times.
    pub below: Option<f64>,
    /// The difference that would matter.
    pub margin: f64,
}

/// One rollout as it is read.
struct Read {
    name: String,
    stored: StoredState,
    policy: Policy,
    facts: Explanation,
    cost: ArmCost,
}

/// The contest on a route, or on a cohort of it, `ROUTE@COHORT`.
///
/// # Errors
/// When no rollout of the route was ever started, or the store cannot be read.
pub fn contest(database: &Database, route: &str) -> Result<Contest, OperationError> {
    let reading = |source| OperationError::Store { doing: "compare candidates", source };
    let mut parsed = Vec::new();
    for row in database.load_rollouts().map_err(reading)? {
        let (stored, policy) = parse(&row)?;
        parsed.push((row, stored, policy));
    }
    // The rollouts of a cohort have requests of their own, and are no contenders of the others.
    let is_route = parsed.iter().any(|(_, stored, _)| stored.route == route);
    let (of_route, cohort) = match route.rsplit_once(AT) {
        Some((of_route, cohort)) if !is_route => (of_route, Some(cohort)),
        _ => (route, None),
    };
    let mut all = Vec::new();
    for (row, stored, policy) in parsed {
        if stored.route == of_route && cohort_of(&row.name) == cohort {
            all.push(read(database, &row, stored, policy)?);
        }
    }
    if all.is_empty() {
        return Err(OperationError::NotFound(format!("no rollout of route `{route}` has been started")));
    }
    let alpha = all.iter().map(|one| one.policy.alpha_promote).fold(1.0, f64::min);
    let acceptable: Vec<f64> =
        all.iter().map(|one| every(one.facts.gates.iter().map(|gate| gate.e_value.ln()))).collect();
    let better = betters(database, &all)?;
    let standings = rank(&acceptable, |one, other| better.get(&(one, other)).copied().unwrap_or(0.0), alpha);
    let eliminated: Vec<Option<String>> = all.iter().map(eliminated).collect();
    let is_in = |idx: usize| eliminated[idx].is_none();
    let mut contenders: Vec<Contender> = standings
        .iter()
        .map(|standing| {
            let one = &all[standing.candidate_idx];
            contender(one, eliminated[standing.candidate_idx].clone(), standing)
        })
        .collect();
    contenders.sort_by_key(|contender| contender.eliminated.is_some());
    let serves = |one: &&Read| one.stored.state.share(&one.policy) > 0.0;
    Ok(Contest {
        route: route.to_owned(),
        alpha,
        serving: all.iter().find(serves).map(|one| one.name.clone()),
        winner: winner(&standings, is_in).map(|idx| all[idx].name.clone()),
        leader: contenders.first().filter(|first| first.eliminated.is_none()).map(|first| first.rollout.clone()),
        contenders,
    })
}

fn read(database: &Database, row: &RolloutRow, stored: StoredState, policy: Policy) -> Result<Read, OperationError> {
    let reading = |source| OperationError::Store { doing: "compare candidates", source };
    let epoch = stored.state.epoch;
    let saved = database.load_evidence(&row.name, epoch).map_err(reading)?;
    let evidence: Evidence = match saved {
        Some(saved) => serde_json::from_str(&saved.json).map_err(|error| corrupt(&row.name, &error))?,
        None => Evidence::begin(&policy, &stored.state, None),
    };
    let facts = rollout::explain(&policy, &stored.state, &evidence, &Health::default(), now());
    let cost = database.arm_cost(&row.name, epoch, "candidate").map_err(reading)?;
    Ok(Read { name: row.name.clone(), stored, policy, facts, cost })
}

/// `ln E` against "the first is not better than the second", from the requests that both were given a copy of.
fn betters(database: &Database, all: &[Read]) -> Result<BTreeMap<(usize, usize), f64>, OperationError> {
    let reading = |source| OperationError::Store { doing: "compare candidates", source };
    let mut better = BTreeMap::new();
    for (one_idx, one) in all.iter().enumerate() {
        for (other_idx, other) in all.iter().enumerate().skip(one_idx + 1) {
            let both = [one, other].map(|read| (read.name.as_str(), read.stored.state.epoch));
            let counts = database.copies_of_both(both[0], both[1]).map_err(reading)?;
            let (n, one_bad, other_bad) = (counts.both, counts.only_first_bad, counts.only_second_bad);
            better.insert((one_idx, other_idx), PairedDifference::from_counts(n, one_bad, other_bad).log_e(0.0));
            better.insert((other_idx, one_idx), PairedDifference::from_counts(n, other_bad, one_bad).log_e(0.0));
        }
    }
    Ok(better)
}

fn eliminated(one: &Read) -> Option<String> {
    let state = &one.stored.state;
    match state.status {
        Status::RolledBack => Some(format!("rolled back: {}", state.reason)),
        // Its reason says so, and by whom.
        Status::Aborted => Some(state.reason.clone()),
        _ => one.stored.facts.unmet.first().cloned(),
    }
}

fn contender(one: &Read, eliminated: Option<String>, standing: &stats::ranking::Standing) -> Contender {
    let state = &one.stored.state;
    let arm = one.facts.arms.iter().find(|arm| arm.arm == rollout::Arm::Candidate);
    let gates = one.facts.gates.iter().map(|gate| ContestGate {
        metric: gate.metric,
        difference: gate.estimate,
        below: gate.upper_bound,
        margin: gate.margin,
    });
    Contender {
        rollout: one.name.clone(),
        candidate: state.candidate.clone(),
        label: state.label(&one.policy),
        labels: one.stored.facts.labels.clone(),
        eliminated,
        acceptable: standing.is_acceptable,
        e_value: standing.adjusted_log_e.min(690.0).exp(),
        ranks: (standing.best_rank, standing.worst_rank),
        pairs: one.facts.pairs.have,
        teacher_forced: one.facts.comparisons.teacher_forced,
        gates: gates.collect(),
        duration_us: arm.and_then(|arm| arm.duration).map(|quantiles| (quantiles.p50_us, quantiles.p99_us)),
        mean_cost_nanos: one.cost.mean_nanos(),
    }
}
