//! What a rollout will take at a given traffic, step by step: requests, units and days until its gates can pass and its guards can
//! find harm, and whether it can be decided at all.
//!
//! "Typical" is what the expected evidence needs; "nine in ten" what it needs after bad luck of 1.28 standard deviations. Both are about a
//! candidate that is exactly as good as the baseline (for gates) or exactly worse by the ratio named (for guards).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stats::AbsoluteGuard;
use stats::relative::grid_log_e;

use crate::Timestamp;
use crate::guards::{ABSOLUTE_START, EVEN, RELATIVE_START};
use crate::metric::Metric;
use crate::plan::needed;
use crate::policy::{Policy, Stage, StepPolicy, Unit};
use crate::traffic::Traffic;

/// One-sided 90 %.
const NINE_IN_TEN: f64 = 1.2816;
/// Ratios of risks that a guard's power is shown for.
const RATIOS: [f64; 5] = [1.5, 2.0, 3.0, 5.0, 10.0];
/// More bad events are no plan.
const MOST_EVENTS: u64 = 100_000_000;

/// What is asked of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// When the rollout would start.
    pub from: Timestamp,
    /// How long a step may last where its policy does not say.
    pub within: Option<Duration>,
    /// Requests a minute that the baseline's provider takes, if that is known.
    pub per_minute: Option<f64>,
    /// Calls the baseline's provider may have under way, if that is limited.
    pub concurrency: Option<f64>,
}

/// Something needed, in all the measures people ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Amount {
    /// Pairs, units or bad events of both arms; `None` where no number is enough.
    pub n: Option<u64>,
    /// Requests of the route.
    pub requests: Option<u64>,
    /// Days from the step's beginning; `None` for more than ten years.
    pub days: Option<f64>,
}

/// When a gate can pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateOutlook {
    /// Its metric.
    pub metric: Metric,
    /// Its margin.
    pub margin: f64,
    /// The bad rate of both arms that is assumed.
    pub rate: f64,
    /// What it needs half of the time.
    pub typical: Amount,
    /// What it needs nine times in ten.
    pub nine_in_ten: Amount,
}

/// How soon a guard finds a candidate whose risk is `ratio` times the baseline's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The ratio of risks.
    pub ratio: f64,
    /// The candidate's bad rate then.
    pub rate: f64,
    /// Half of the time.
    pub typical: Amount,
    /// Nine times in ten.
    pub nine_in_ten: Amount,
}

/// What a guard can find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardOutlook {
    /// Its metric.
    pub metric: Metric,
    /// The bad rate of the baseline that is assumed.
    pub rate: f64,
    /// Effects of growing size.
    pub finds: Vec<Finding>,
    /// The smallest of these that is found nine times in ten before the step is over.
    pub smallest_in_step: Option<f64>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepOutlook {
    /// Its index.
    pub step_idx: usize,
    /// Its stage.
    pub stage: Stage,
    /// Its share.
    pub share: f64,
    /// What the policy's own minimum of pairs, units and time takes.
    pub minimum: Amount,
    /// Its gates.
    pub gates: Vec<GateOutlook>,
    /// Its guards.
    pub guards: Vec<GuardOutlook>,
    /// Requests of the route until an outage of the candidate is found, all of them or half of them failing; `None` in shadow.
    pub outage: Option<[u64; 2]>,
    /// Days until the step can be left.
    pub typical_days: Option<f64>,
    /// The same, nine times in ten.
    pub nine_in_ten_days: Option<f64>,
    /// Longest it may last.
    pub max_days: Option<f64>,
    /// People who must approve; their time is not in the days.
    pub approvals: u32,
    /// Requests a minute that a rollback gives back to the baseline at the peak.
    pub given_back_per_minute: f64,
}

/// A whole rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// Every step.
    pub steps: Vec<StepOutlook>,
    /// Days to the end, people's time not counted.
    pub typical_days: Option<f64>,
    /// The same, nine times in ten on every step.
    pub nine_in_ten_days: Option<f64>,
    /// Requests a minute that the baseline must take back at the peak, and calls under way then.
    pub peak_per_minute: f64,
    /// Calls of the baseline under way at the peak, where its answers' duration is known.
    pub peak_concurrency: Option<f64>,
    /// Why it should not be started as it is; empty when it can be decided.
    pub refusals: Vec<String>,
}

/// Looks ahead.
#[must_use]
pub fn outlook(policy: &Policy, traffic: &Traffic, question: &Question) -> Outlook {
    let mut outlook = Outlook {
        steps: Vec::new(),
        typical_days: Some(0.0),
        nine_in_ten_days: Some(0.0),
        peak_per_minute: traffic.peak_per_minute,
        peak_concurrency: traffic.mean_duration.map(|mean| traffic.peak_per_minute / 60.0 * mean.as_secs_f64()),
        refusals: Vec::new(),
    };
    let mut from = question.from;
    for (step_idx, step) in policy.steps.iter().enumerate() {
        let planned = Ahead { policy, traffic, question, step, from }.plan(step_idx);
        outlook.refusals.extend(refusals(&planned, step, traffic));
        outlook.typical_days = add(outlook.typical_days, planned.typical_days);
        outlook.nine_in_ten_days = add(outlook.nine_in_ten_days, planned.nine_in_ten_days);
        // The next step begins at another hour of the week; where that cannot be known, at the same one.
        from = planned.typical_days.map_or(from, |days| from.plus(from_days(days)));
        outlook.steps.push(planned);
    }
    outlook.refusals.extend(quota(&outlook, question));
    outlook
}

/// One step on its way to a plan.
struct Ahead<'a> {
    policy: &'a Policy,
    traffic: &'a Traffic,
    question: &'a Question,
    step: &'a StepPolicy,
    from: Timestamp,
}

impl Ahead<'_> {
    fn plan(&self, step_idx: usize) -> StepOutlook {
        let Self { policy, step, .. } = self;
        let gated = step.stage != Stage::Full;
        let gates: Vec<GateOutlook> = policy
            .gates
            .iter()
            .filter(|_| gated)
            .map(|gate| {
                let rate = self.traffic.rate(gate.metric);
                let at = |luck: f64| {
                    self.of_units(needed(
                        gate.alpha.unwrap_or(policy.alpha_promote),
                        gate.margin,
                        step.share,
                        rate,
                        luck,
                    ))
                };
                let (typical, nine_in_ten) = (at(0.0), at(NINE_IN_TEN));
                GateOutlook { metric: gate.metric, margin: gate.margin, rate, typical, nine_in_ten }
            })
            .collect();
        let minimum = self.minimum();
        let longest = |of: fn(&GateOutlook) -> Amount| {
            gates.iter().map(|gate| of(gate).days).fold(minimum.days, |longest, days| Some(longest?.max(days?)))
        };
        let (typical_days, nine_in_ten_days) = (longest(|gate| gate.typical), longest(|gate| gate.nine_in_ten));
        let max_days = step.max_duration.or(self.question.within).map(days);
        let lasts = match (nine_in_ten_days, max_days) {
            (Some(days), Some(most)) => Some(days.min(most)),
            (days, most) => days.or(most),
        };
        let sleeps = step.share >= 1.0 || (step.stage == Stage::Shadow && !policy.shadow_guards);
        let guards = policy.guards.iter().filter(|_| !sleeps);
        let guards = guards.map(|guard| self.guard(guard.metric, guard.ratio, guard.weight, lasts)).collect();
        StepOutlook {
            step_idx,
            stage: step.stage,
            share: step.share,
            minimum,
            gates,
            guards,
            outage: self.outage(),
            typical_days,
            nine_in_ten_days,
            max_days,
            approvals: step.approvals,
            given_back_per_minute: step.share * self.traffic.peak_per_minute,
        }
    }

    /// The policy's own minimum, whichever of pairs, units and time is reached last.
    fn minimum(&self) -> Amount {
        let n = if self.step.stage == Stage::Shadow { self.step.min_pairs } else { self.step.min_units };
        let units = self.of_units(Some(n));
        let least = days(self.step.min_duration);
        Amount { days: units.days.map(|days| days.max(least)), ..units }
    }

    /// Pairs of distinct units in shadow, else distinct units of both arms.
    fn of_units(&self, n: Option<u64>) -> Amount {
        let requests = n.map(|n| n as f64 * self.requests_per_counted_unit());
        self.amount(n, requests)
    }

    fn amount(&self, n: Option<u64>, requests: Option<f64>) -> Amount {
        let warm_up =
            if requests.is_some_and(|requests| requests > 0.0) { self.policy.warm_up } else { Duration::ZERO };
        let begun = self.from.plus(warm_up);
        let time = requests.and_then(|requests| self.traffic.time_for(requests, begun));
        let days = time.map(|time| days(time + warm_up));
        Amount { n: n.filter(|_| requests.is_some()), requests: requests.map(whole), days }
    }

    fn requests_per_unit(&self) -> f64 {
        if self.policy.unit == Unit::Request { 1.0 } else { self.traffic.requests_per_unit.max(1.0) }
    }

    /// Requests of the route until one more unit has been counted: in shadow at least one of its requests must have been sampled.
    fn requests_per_counted_unit(&self) -> f64 {
        let per_unit = self.requests_per_unit();
        if self.step.stage != Stage::Shadow {
            return per_unit;
        }
        let sampled = 1.0 - (1.0 - self.policy.shadow_sample.clamp(0.0, 1.0)).powf(per_unit);
        per_unit / sampled
    }

    fn guard(&self, metric: Metric, allowed: f64, weight: f64, lasts: Option<f64>) -> GuardOutlook {
        let rate = self.traffic.rate(metric);
        let worse = RATIOS.into_iter().map(|ratio| ratio * allowed).filter(|ratio| ratio * rate <= 1.0 && rate > 0.0);
        let finds: Vec<Finding> = worse.map(|ratio| self.finding(rate, ratio, allowed, weight)).collect();
        let in_time =
            |finding: &&Finding| finding.nine_in_ten.days.zip(lasts).is_some_and(|(days, lasts)| days <= lasts);
        let smallest_in_step = finds.iter().find(in_time).map(|finding| finding.ratio);
        GuardOutlook { metric, rate, finds, smallest_in_step }
    }

    /// At most the first bad event of each unit counts, so a unit of many requests says less than its requests would.
    fn finding(&self, rate: f64, ratio: f64, allowed: f64, weight: f64) -> Finding {
        let is_shadow = self.step.stage == Stage::Shadow;
        let share = if is_shadow { EVEN } else { self.step.share };
        let per_unit = self.requests_per_unit();
        let judged = if is_shadow { (per_unit * self.policy.shadow_sample).max(1.0) } else { per_unit };
        let once = |rate: f64| 1.0 - (1.0 - rate).powf(judged);
        let worse = (rate * ratio).min(1.0);
        // Of a pair only what one arm alone was bad on counts.
        let (of_baseline, of_candidate) = if is_shadow {
            (once(rate * (1.0 - worse)) * 2.0, once(worse * (1.0 - rate)) * 2.0)
        } else {
            (once(rate), once(worse))
        };
        let per_counted = share * of_candidate + (1.0 - share) * of_baseline;
        let of_candidate = share * of_candidate / per_counted;
        let threshold = self.log_threshold(weight);
        let amount = |luck: f64| {
            let events = events_needed(share, allowed, of_candidate, threshold, luck);
            let requests = events.map(|n| n as f64 / per_counted * self.requests_per_counted_unit());
            self.amount(events, requests)
        };
        Finding { ratio, rate: worse, typical: amount(0.0), nine_in_ten: amount(NINE_IN_TEN) }
    }

    /// What one guard must reach while the others say nothing.
    fn log_threshold(&self, weight: f64) -> f64 {
        let part = self.policy.step_weight() * weight;
        ((self.policy.alpha_harm.recip() - 1.0 + part) / part).ln()
    }

    /// Requests of the route until the absolute breaker finds that all, or half, of the candidate's requests fail.
    fn outage(&self) -> Option<[u64; 2]> {
        let absolute = self.policy.absolute.filter(|_| self.step.share > 0.0)?;
        let requests = |failing: f64| whole(outage_attempts(absolute.limit, absolute.alpha, failing) / self.step.share);
        Some([requests(1.0), requests(0.5)])
    }
}

/// Attempts of the candidate until the breaker finds that this fraction of them fails, good ones coming first.
fn outage_attempts(limit: f64, alpha: f64, failing: f64) -> f64 {
    let mut guard = AbsoluteGuard::new(limit, ABSOLUTE_START);
    let (mut attempts, mut good_to_come) = (0.0, 0.0);
    while guard.log_e() < -alpha.ln() && attempts < 1e6 {
        good_to_come += failing.recip() - 1.0;
        while good_to_come >= 1.0 {
            guard.observe_good();
            (good_to_come, attempts) = (good_to_come - 1.0, attempts + 1.0);
        }
        guard.observe_bad();
        attempts += 1.0;
    }
    attempts
}

/// The fewest bad events whose expected evidence, less `luck` standard deviations, is enough.
fn events_needed(share: f64, allowed: f64, of_candidate: f64, threshold: f64, luck: f64) -> Option<u64> {
    let enough = |n: u64| {
        let n = n as f64;
        let spread = luck * (n * of_candidate * (1.0 - of_candidate)).sqrt();
        let candidate = (n * of_candidate - spread).max(0.0);
        RELATIVE_START.ln() + grid_log_e(share, allowed, whole(candidate), whole(n - candidate)) >= threshold
    };
    if !enough(MOST_EVENTS) {
        return None;
    }
    let (mut too_few, mut plenty) = (0, MOST_EVENTS);
    while plenty - too_few > 1 {
        let middle = too_few.midpoint(plenty);
        if enough(middle) { plenty = middle } else { too_few = middle }
    }
    Some(plenty)
}

/// Why a step can never be left, or not in time.
fn refusals(planned: &StepOutlook, step: &StepPolicy, traffic: &Traffic) -> Vec<String> {
    let place = format!("{} {}", planned.stage.as_str(), crate::breach::percent(planned.share));
    let mut refusals = Vec::new();
    let mut too_late = |what: &str, amount: &Amount| {
        if traffic.per_week() <= 0.0 && amount.n != Some(0) {
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
    too_late(minimum, &planned.minimum);
    for gate in &planned.gates {
        let margin = crate::breach::percent(gate.margin);
        too_late(&format!("the gate on the {} (margin {margin})", gate.metric.rate_name()), &gate.typical);
    }
    refusals
}

/// A rollback that the baseline's provider refuses is the real outage.
fn quota(outlook: &Outlook, question: &Question) -> Vec<String> {
    let per_minute = question.per_minute.filter(|limit| outlook.peak_per_minute > *limit).map(|limit| {
        let peak = outlook.peak_per_minute;
        format!("the baseline takes {limit:.0} requests a minute, and a rollback at the peak gives it {peak:.0}")
    });
    let under_way = question.concurrency.zip(outlook.peak_concurrency).filter(|(limit, peak)| peak > limit);
    let concurrency = under_way.map(|(limit, peak)| {
        format!(
            "the baseline takes {limit:.0} calls at once, and at the peak there would be {peak:.0} after a rollback"
        )
    });
    per_minute.into_iter().chain(concurrency).collect()
}

fn add(total: Option<f64>, more: Option<f64>) -> Option<f64> {
    Some(total? + more?)
}

fn days(time: Duration) -> f64 {
    time.as_secs_f64() / 86_400.0
}

fn from_days(days: f64) -> Duration {
    Duration::from_secs_f64((days * 86_400.0).clamp(0.0, 1e10))
}

fn whole(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
    let whole = value.max(0.0).ceil() as u64;
    whole
}
