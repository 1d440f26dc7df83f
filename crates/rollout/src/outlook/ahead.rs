//! One step on its way to a plan.

use std::time::Duration;

use super::finding::{certificate_needed, cost_needed, events_needed, outage_attempts};
use super::{
    Amount, CertificateOutlook, CostFinding, CostOutlook, CoverageOutlook, Finding, GateOutlook, GuardOutlook,
    Question, ShadowLimits, StepOutlook, StratumOutlook, days, whole,
};
use crate::Timestamp;
use crate::breach::{Action, percent};
use crate::guards::{EFFECT_ALPHA, EVEN};
use crate::metric::Metric;
use crate::plan::needed;
use crate::policy::{AbsolutePolicy, CertificatePolicy, GatePolicy, GuardPolicy, Policy, Stage, StepPolicy, Unit};
use crate::traffic::Traffic;

/// One-sided 90 %.
const NINE_IN_TEN: f64 = 1.2816;
/// Ratios of risks that a guard's power is shown for.
const RATIOS: [f64; 5] = [1.5, 2.0, 3.0, 5.0, 10.0];
/// The same for costs.
const COST_RATIOS: [f64; 3] = [1.5, 2.0, 3.0];
/// Sigma of the logarithms of requests' costs where none are recorded.
const COST_SPREAD: f64 = 1.0;

pub(super) struct Ahead<'a> {
    pub(super) policy: &'a Policy,
    pub(super) traffic: &'a Traffic,
    pub(super) question: &'a Question,
    pub(super) step: &'a StepPolicy,
    pub(super) from: Timestamp,
}

impl Ahead<'_> {
    pub(super) fn plan(&self, step_idx: usize) -> StepOutlook {
        let Self { policy, step, .. } = self;
        let gated = step.stage != Stage::Full;
        let asked = |metric: Metric| gated && metric.is_asked_in(step.stage);
        let gates: Vec<GateOutlook> =
            policy.gates.iter().filter(|gate| asked(gate.metric)).map(|gate| self.gate(gate)).collect();
        let certificates = policy.certificates.iter().filter(|one| asked(one.metric));
        let certificates: Vec<CertificateOutlook> = certificates.map(|one| self.certificate(one)).collect();
        let minimum = self.minimum();
        let of_gates = gates.iter().map(|gate| [gate.typical, gate.nine_in_ten]);
        let all = of_gates.chain(certificates.iter().map(|one| [one.typical, one.nine_in_ten]));
        let longest = |which: usize| {
            let amounts = all.clone().map(|amounts| amounts[which].days);
            amounts.fold(minimum.days, |longest, days| Some(longest?.max(days?)))
        };
        let (typical_days, nine_in_ten_days) = (longest(0), longest(1));
        let max_days = step.max_duration.or(self.question.within).map(days);
        let lasts = match (nine_in_ten_days, max_days) {
            (Some(days), Some(most)) => Some(days.min(most)),
            (days, most) => days.or(most),
        };
        let sleeps = step.share >= 1.0 || (step.stage == Stage::Shadow && !policy.shadow_guards);
        let guards = policy.guards.iter().filter(|_| !sleeps);
        let guards = guards.map(|guard| self.guard(guard, lasts)).collect();
        StepOutlook {
            step_idx,
            stage: step.stage,
            share: step.share,
            minimum,
            gates,
            guards,
            certificates,
            coverage: self.coverage(),
            cost: self.cost(),
            filed: self.filed(step_idx),
            outage: self.outage(policy.absolute),
            late: self.outage(policy.absolute_late),
            typical_days,
            nine_in_ten_days,
            max_days,
            approvals: step.approvals,
            given_back_per_minute: step.share * self.traffic.peak_per_minute,
            strata: self.strata(),
        }
    }

    /// What each kind of request proves by itself. How many kinds there are, and how large, only the traffic will say.
    fn strata(&self) -> Vec<StratumOutlook> {
        let Some(demand) = self.policy.strata_gate.filter(|_| self.step.stage == Stage::Shadow) else {
            return Vec::new();
        };
        let gates = self.policy.gates.iter().filter(|gate| gate.metric.is_asked_in(Stage::Shadow));
        let of_gate = |gate: &GatePolicy| {
            let (margin, rate) = (demand.margin.max(gate.margin), self.traffic.rate(gate.metric));
            let alpha = gate.alpha.unwrap_or(self.policy.alpha_promote);
            let at = |luck: f64| needed(alpha, margin, self.step.share, rate, luck).map(|n| n.max(demand.min_pairs));
            StratumOutlook { metric: gate.metric, margin, typical: at(0.0), nine_in_ten: at(NINE_IN_TEN) }
        };
        gates.map(of_gate).collect()
    }

    fn gate(&self, gate: &GatePolicy) -> GateOutlook {
        let GatePolicy { metric, margin, alpha } = *gate;
        let (rate, observed) = (self.traffic.rate(metric), self.traffic.observed(metric));
        let at = |luck: f64| {
            let alpha = alpha.unwrap_or(self.policy.alpha_promote);
            let n = needed(alpha, margin, self.step.share, rate, luck);
            self.of_units(n.filter(|_| observed > 0.0), observed)
        };
        let (typical, nine_in_ten) = (at(0.0), at(NINE_IN_TEN));
        GateOutlook { metric, margin, rate, typical, nine_in_ten, never: self.unseen(metric) }
    }

    fn certificate(&self, certificate: &CertificatePolicy) -> CertificateOutlook {
        let CertificatePolicy { metric, limit, alpha } = *certificate;
        let (rate, observed) = (self.traffic.rate(metric), self.traffic.observed(metric));
        // Of serving steps, the candidate's units alone.
        let part = if self.step.stage == Stage::Shadow { 1.0 } else { self.step.share };
        let at = |luck: f64| {
            let n = certificate_needed(limit, rate, alpha.unwrap_or(self.policy.alpha_promote), luck);
            let n = n.filter(|_| observed > 0.0 && part > 0.0);
            let requests = n.map(|n| n as f64 / part * self.requests_per_counted_unit(observed));
            self.amount(n, requests)
        };
        let too_high = (rate >= limit)
            .then(|| format!("it is {} on the baseline, and is to be below {}", percent(rate), percent(limit)));
        let never = self.unseen(metric).or(too_high);
        CertificateOutlook { metric, limit, rate, typical: at(0.0), nine_in_ten: at(NINE_IN_TEN), never }
    }

    /// Why nothing will ever be known of a metric.
    fn unseen(&self, metric: Metric) -> Option<String> {
        let objectives = &self.policy.objectives;
        let said = match metric {
            Metric::Slow if objectives.total.is_none() => "there is no `objectives.total` to be late for",
            Metric::SlowFirstToken if objectives.first_token.is_none() => {
                "there is no `objectives.first_token` to be late for"
            }
            Metric::Judged if !metric.is_asked_in(self.step.stage) => "only pairs of the shadow are judged",
            metric if !metric.is_asked_in(self.step.stage) => "copies have no users",
            Metric::Feedback if self.traffic.observed(metric) <= 0.0 => {
                "nobody has said anything of an answer yet; state how many do with `--observed feedback=0.05`"
            }
            Metric::External if self.traffic.observed(metric) <= 0.0 => {
                "nothing is counted outside yet; state of how many with `--observed external=0.5`"
            }
            Metric::Judged if self.traffic.observed(metric) <= 0.0 => {
                "nobody judges answers yet; state how many are with `--observed judged=0.1`"
            }
            _ => return None,
        };
        Some(said.to_owned())
    }

    /// The policy's own minimum, whichever of pairs, units and time is reached last.
    fn minimum(&self) -> Amount {
        let n = if self.step.stage == Stage::Shadow { self.step.min_pairs } else { self.step.min_units };
        let units = self.of_units(Some(n), 1.0);
        let least = days(self.step.min_duration);
        Amount { days: units.days.map(|days| days.max(least)), ..units }
    }

    /// Pairs of distinct units in shadow, else distinct units of both arms, of which a part of the requests is observed.
    fn of_units(&self, n: Option<u64>, observed: f64) -> Amount {
        let requests = n.map(|n| n as f64 * self.requests_per_counted_unit(observed));
        self.amount(n, requests)
    }

    fn amount(&self, n: Option<u64>, requests: Option<f64>) -> Amount {
        let requests = requests.filter(|requests| requests.is_finite());
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

    /// The fraction of requests that become pairs.
    fn paired(&self) -> f64 {
        self.policy.shadow_sample.clamp(0.0, 1.0) * self.coverage().map_or(1.0, |coverage| coverage.expected)
    }

    /// Requests of the route until one more unit has been counted: at least one of its requests must have been observed, and in shadow
    /// have become a pair.
    fn requests_per_counted_unit(&self, observed: f64) -> f64 {
        let per_unit = self.requests_per_unit();
        let counts = observed * if self.step.stage == Stage::Shadow { self.paired() } else { 1.0 };
        let counted = 1.0 - (1.0 - counts.clamp(0.0, 1.0)).powf(per_unit);
        per_unit / counted
    }

    fn guard(&self, guard: &GuardPolicy, lasts: Option<f64>) -> GuardOutlook {
        let rate = self.traffic.rate(guard.metric);
        let blind = self.unseen(guard.metric);
        let is_blind = blind.is_some();
        let worse = RATIOS.into_iter().map(|ratio| ratio * guard.ratio);
        let worse = worse.filter(|ratio| !is_blind && ratio * rate <= 1.0 && rate > 0.0);
        let finds: Vec<Finding> = worse.map(|ratio| self.finding(guard, rate, ratio)).collect();
        let in_time =
            |finding: &&Finding| finding.nine_in_ten.days.zip(lasts).is_some_and(|(days, lasts)| days <= lasts);
        let smallest_in_step = finds.iter().find(in_time).map(|finding| finding.ratio);
        GuardOutlook { metric: guard.metric, rate, finds, smallest_in_step, weight: guard.weight, blind }
    }

    /// At most the first bad event of each unit counts, so a unit of many requests says less than its requests would.
    fn finding(&self, guard: &GuardPolicy, rate: f64, ratio: f64) -> Finding {
        let is_shadow = self.step.stage == Stage::Shadow;
        let share = if is_shadow { EVEN } else { self.step.share };
        let per_unit = self.requests_per_unit();
        let part = self.traffic.observed(guard.metric) * if is_shadow { self.paired() } else { 1.0 };
        // A unit that is counted has one observed request at least.
        let judged = (per_unit * part).max(1.0);
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
        // Proof of harm, and where that alone pauses, proof that it is more than the effect that matters.
        let matters = guard.ratio + guard.min_effect / rate;
        let action = if ratio > matters { guard.action } else { Action::Pause };
        let amount = |luck: f64| {
            let harm = events_needed(share, guard.ratio, of_candidate, self.log_threshold(guard), luck);
            let effect = (guard.min_effect > 0.0 && action == Action::Rollback)
                .then(|| events_needed(share, matters, of_candidate, -EFFECT_ALPHA.ln(), luck));
            let events = match effect {
                Some(effect) => harm.zip(effect).map(|(harm, effect)| harm.max(effect)),
                None => harm,
            };
            let per_event = self.requests_per_counted_unit(self.traffic.observed(guard.metric)) / per_counted;
            self.amount(events, events.map(|n| n as f64 * per_event))
        };
        Finding { ratio, rate: worse, action, typical: amount(0.0), nine_in_ten: amount(NINE_IN_TEN) }
    }

    /// What one guard must reach while the others say nothing; one that pauses speaks for itself.
    fn log_threshold(&self, guard: &GuardPolicy) -> f64 {
        let (part, budget) = (self.policy.step_weight() * guard.weight, self.policy.alpha_harm.recip());
        match guard.action {
            Action::Rollback => ((budget - 1.0 + part) / part).ln(),
            Action::Pause => (budget / part).ln(),
        }
    }

    /// Requests of the route until a limit finds that all, or half, of the candidate's are bad.
    fn outage(&self, limit: Option<AbsolutePolicy>) -> Option<[Option<u64>; 2]> {
        let limit = limit.filter(|_| self.step.share > 0.0)?;
        Some([1.0, 0.5].map(|failing| Some(whole(outage_attempts(&limit, failing)? / self.step.share))))
    }

    fn cost(&self) -> Option<CostOutlook> {
        let policy = self.policy.cost.filter(|_| self.step.share > 0.0 && self.step.share < 1.0)?;
        let spread = self.traffic.cost_spread.unwrap_or(COST_SPREAD);
        let find = |times: f64| {
            let ratio = times * policy.ratio;
            let [typical, nine_in_ten] =
                cost_needed(&policy, self.step.share, ratio, spread).map(|n| self.of_units(n, 1.0));
            CostFinding { ratio, typical, nine_in_ten }
        };
        Some(CostOutlook { allowed: policy.ratio, action: policy.action, finds: COST_RATIOS.map(find).to_vec() })
    }

    /// What the next step's stage asks for, where that is another one.
    fn filed(&self, step_idx: usize) -> Vec<crate::policy::FiledPolicy> {
        let next = self.policy.steps.get(step_idx + 1).map(|step| step.stage);
        let here = self.step.stage;
        let asked = self.policy.filed.iter().filter(|one| here < one.before && next >= Some(one.before));
        asked.cloned().collect()
    }

    /// What the budgets of copies leave of what is drawn.
    fn coverage(&self) -> Option<CoverageOutlook> {
        if self.step.stage != Stage::Shadow {
            return None;
        }
        let sample = self.policy.shadow_sample.clamp(0.0, 1.0);
        let ShadowLimits { tokens_per_day, per_second, nanos_per_day, nanos_per_copy } = self.question.shadow;
        let per_hour = &self.traffic.per_hour;
        let by_day = |most: f64| left(per_hour.chunks(24).map(|day| day.iter().sum::<f64>() * sample), most);
        let tokens = tokens_per_day.zip(self.traffic.tokens_per_request.filter(|tokens| *tokens > 0.0));
        let dollars = nanos_per_day.zip(nanos_per_copy.filter(|nanos| *nanos > 0.0));
        let limits = [
            tokens.map(|(most, each)| (by_day(most as f64 / each), format!("{most} tokens a day"))),
            dollars.map(|(most, each)| (by_day(most as f64 / each), format!("{:.2} dollars a day", most as f64 / 1e9))),
            per_second.map(|most| {
                let hours = per_hour.iter().map(|requests| requests * sample);
                (left(hours, most * 3600.0), format!("{most} copies a second"))
            }),
        ];
        let worst = limits.into_iter().flatten().min_by(|a, b| a.0.total_cmp(&b.0)).filter(|(left, _)| *left < 1.0);
        let (expected, limited_by) = worst.map_or((1.0, None), |(left, what)| (left, Some(what)));
        Some(CoverageOutlook { need: self.policy.min_coverage, expected, limited_by })
    }
}

/// The fraction that is left where each of these may be `most` at most.
fn left(amounts: impl Iterator<Item = f64>, most: f64) -> f64 {
    let (kept, all) = amounts.fold((0.0, 0.0), |(kept, all), amount| (kept + amount.min(most), all + amount));
    if all > 0.0 { kept / all } else { 1.0 }
}
