//! What a simulated rollout lives in: traffic by the hour, units of very different size and luck, and how good both targets are.

use std::time::Duration;

use super::Rates;
use super::chance::Chance;
use super::late::Late;
use crate::Timestamp;
use crate::assign::Arm;
use crate::metric::{Metric, MetricSet};
use crate::policy::{Objectives, Policy, Unit};
use crate::traffic::{Traffic, hour_of_week};

/// Units that are under way at the same time.
const AT_ONCE: usize = 256;

/// A world. Everything that chance does not decide.
#[derive(Clone, Debug)]
pub struct World {
    /// Requests by the hour, requests of a unit, and the baseline's bad rates.
    pub traffic: Traffic,
    /// The candidate's bad rates where they are not the baseline's.
    pub effect: Rates,
    /// Requests after which the candidate gets these rates; as good as the baseline before.
    pub effect_after: u64,
    /// How much the bad rate swings over a day, as a fraction of itself, for both targets alike.
    pub drift: f64,
    /// Spread of the number of requests of a unit: sigma of a lognormal.
    pub size_spread: f64,
    /// Spread of the bad rates of units: sigma of a lognormal with mean 1.
    pub rate_spread: f64,
    /// Whether every request is a unit by itself.
    pub unit: Unit,
    /// What is judged.
    pub observed: MetricSet,
    /// What is not known at once, and what gets lost; see [`World::living`].
    pub late: Late,
    /// What an answer may take.
    pub objectives: Objectives,
    /// Units of a recorded rollout; drawn with replacement in place of made-up ones.
    pub recorded: Vec<RecordedUnit>,
    /// What requests cost; `None` where no cost is known.
    pub costs: Option<Costs>,
    /// The chance that people say no when they are asked to approve a step.
    pub refusals: f64,
    /// When it starts.
    pub from: Timestamp,
    /// How long is simulated at most.
    pub at_most: Duration,
}

/// What requests cost: lognormal, in units of the baseline's mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Costs {
    /// The candidate's mean, once it is worse.
    pub ratio: f64,
    /// Sigma of the logarithms.
    pub spread: f64,
}

/// What a unit's requests were bad on, one after the other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RecordedUnit {
    /// Its requests.
    pub requests: Vec<RecordedRequest>,
}

/// What one recorded request came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecordedRequest {
    /// What it was bad on.
    pub bad: MetricSet,
    /// Time to the first token, if one came.
    pub time_to_first_token_us: Option<u64>,
    /// Time to the end, if it came.
    pub duration_us: Option<u64>,
}

/// One request's unit.
#[derive(Clone, Copy, Debug)]
pub struct Drawn {
    /// Where it falls on the interval.
    pub position: u64,
    rate: f64,
    recorded: Option<RecordedRequest>,
}

impl Drawn {
    /// What its request really came to.
    pub(super) fn recorded(&self) -> Option<RecordedRequest> {
        self.recorded
    }
}

/// The units under way.
#[derive(Debug)]
pub struct Units<'a> {
    world: &'a World,
    under_way: Vec<UnderWay>,
}

#[derive(Clone, Copy, Debug)]
struct UnderWay {
    position: u64,
    rate: f64,
    left: u64,
    recorded: Option<(usize, usize)>,
}

impl World {
    /// A world without drift, with units that are alike. Whatever the policy gates or guards is judged, and is never bad where no rate is
    /// known.
    #[must_use]
    pub fn plain(traffic: Traffic, policy: &Policy) -> Self {
        let gated = policy.gates.iter().map(|gate| gate.metric);
        let watched = gated.chain(policy.guards.iter().map(|guard| guard.metric));
        let observed = watched.chain(traffic.rates.keys().copied()).collect();
        Self {
            traffic,
            effect: Rates::new(),
            effect_after: 0,
            drift: 0.0,
            size_spread: 0.0,
            rate_spread: 0.0,
            unit: policy.unit,
            observed,
            late: Late::default(),
            objectives: Objectives::default(),
            recorded: Vec::new(),
            costs: None,
            refusals: 0.0,
            from: Timestamp(0),
            at_most: Duration::from_secs(365 * 86_400),
        }
    }

    /// When the next request comes after one at `now`; `None` if none comes within a week.
    pub(super) fn next_request(&self, now: Timestamp) -> Option<Timestamp> {
        const HOUR_US: u64 = 3_600_000_000;
        let mut at = now;
        for _ in 0..=crate::traffic::HOURS {
            let per_hour = self.traffic.per_hour[hour_of_week(at, 0)];
            let next_hour = Timestamp((at.0 / HOUR_US + 1) * HOUR_US);
            if per_hour > 0.0 {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
                let gap = (HOUR_US as f64 / per_hour).max(1.0) as u64;
                let next = Timestamp(at.0.saturating_add(gap));
                // An hour with hardly any traffic is no reason to sleep through a busy one.
                if next <= next_hour || gap <= HOUR_US {
                    return Some(next);
                }
            }
            at = next_hour;
        }
        None
    }

    /// What the hour makes of every bad rate.
    pub(super) fn factor(&self, now: Timestamp) -> f64 {
        if self.drift <= 0.0 {
            return 1.0;
        }
        let day = (now.0 % 86_400_000_000) as f64 / 86_400_000_000.0;
        1.0 + self.drift * (std::f64::consts::TAU * day).sin()
    }

    pub(super) fn baseline(&self, unit: &Drawn, factor: f64, chance: &mut Chance) -> MetricSet {
        if let Some(recorded) = unit.recorded() {
            return recorded.bad.and(self.observed);
        }
        self.draw(|metric| self.traffic.rate(metric), unit.rate * factor, chance)
    }

    /// As good as the baseline where nothing else is said. On recorded units, an effect turns good answers bad (or bad ones good) as often
    /// as it takes to get from the baseline's rate to the candidate's.
    pub(super) fn candidate(&self, unit: &Drawn, factor: f64, is_worse: bool, chance: &mut Chance) -> MetricSet {
        let rate = |metric: Metric| {
            let changed = self.effect.get(&metric).filter(|_| is_worse);
            changed.copied().unwrap_or_else(|| self.traffic.rate(metric))
        };
        let Some(recorded) = unit.recorded() else { return self.draw(rate, unit.rate * factor, chance) };
        let turned = self.observed.iter().filter(|metric| {
            let (was, is) = (self.traffic.rate(*metric), rate(*metric));
            let is_bad = recorded.bad.contains(*metric);
            if is > was {
                is_bad || chance.one_in((is - was) / (1.0 - was).max(f64::MIN_POSITIVE))
            } else {
                is_bad && (is >= was || chance.one_in(is / was))
            }
        });
        turned.collect()
    }

    /// Whether what is told of an answer is bad: of the candidate as often as the effect says once it is worse.
    pub(super) fn told(&self, metric: Metric, unit: &Drawn, (arm, is_worse): (Arm, bool), chance: &mut Chance) -> bool {
        let changed = self.effect.get(&metric).filter(|_| is_worse && arm == Arm::Candidate);
        let rate = changed.copied().unwrap_or_else(|| self.traffic.rate(metric));
        chance.one_in((rate * unit.rate).min(1.0))
    }

    fn draw(&self, rate: impl Fn(Metric) -> f64, factor: f64, chance: &mut Chance) -> MetricSet {
        self.observed.iter().filter(|metric| chance.one_in((rate(*metric) * factor).min(1.0))).collect()
    }

    pub(super) fn units(&self, chance: &mut Chance) -> Units<'_> {
        let mut units = Units { world: self, under_way: Vec::new() };
        if self.unit != Unit::Request || !self.recorded.is_empty() {
            // Of the first ones some have been under way for long.
            units.under_way = (0..AT_ONCE).map(|_| units.begin(chance)).collect();
        }
        units
    }
}

impl Units<'_> {
    /// The unit of the next request.
    pub(super) fn next(&mut self, chance: &mut Chance) -> Drawn {
        if self.under_way.is_empty() {
            let rate = self.spread(chance);
            return Drawn { position: chance.bits(), rate, recorded: None };
        }
        let idx = chance.below(self.under_way.len());
        let UnderWay { position, rate, left, recorded } = self.under_way[idx];
        let bad = recorded.map(|(unit, request)| self.world.recorded[unit].requests[request]);
        self.under_way[idx] = if left > 1 {
            let recorded = recorded.map(|(unit, request)| (unit, request + 1));
            UnderWay { position, rate, left: left - 1, recorded }
        } else {
            self.begin(chance)
        };
        let position = if self.world.unit == Unit::Request { chance.bits() } else { position };
        Drawn { position, rate, recorded: bad }
    }

    fn begin(&self, chance: &mut Chance) -> UnderWay {
        let position = chance.bits();
        if !self.world.recorded.is_empty() {
            let unit = chance.below(self.world.recorded.len());
            let left = self.world.recorded[unit].requests.len() as u64;
            return UnderWay { position, rate: 1.0, left, recorded: Some((unit, 0)) };
        }
        let size = self.world.traffic.requests_per_unit * chance.lognormal(self.world.size_spread);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative; saturates")]
        let whole = size as u64;
        // Rounded up or down by chance, so that the mean stays; nobody comes without a request.
        let left = (whole + u64::from(chance.one_in(size - whole as f64))).max(1);
        UnderWay { position, rate: self.spread(chance), left, recorded: None }
    }

    fn spread(&self, chance: &mut Chance) -> f64 {
        if self.world.rate_spread > 0.0 { chance.lognormal(self.world.rate_spread) } else { 1.0 }
    }
}
