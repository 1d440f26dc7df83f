//! How many events, units or attempts a test needs until its evidence is enough.

use stats::AbsoluteGuard;
use stats::absolute::certificate_log_e;
use stats::relative::grid_log_e;

use super::whole;
use crate::assign::Arm;
use crate::cost::CostGuard;
use crate::guards::{ABSOLUTE_START, RELATIVE_START};
use crate::policy::{AbsolutePolicy, CostPolicy};
use crate::simulate::Chance;

/// More bad events are no plan.
const MOST_EVENTS: u64 = 100_000_000;
/// More units are no plan.
const MOST_UNITS: u64 = 1_000_000_000;
/// More attempts until a limit finds an outage are no plan.
const MOST_ATTEMPTS: f64 = 1e5;
/// Streams of made-up costs that are played, and how many units each is played for.
const COST_RUNS: u64 = 15;
const MOST_COSTS: u64 = 20_000;
/// A cost that both arms' made-up costs are multiples of; what it is does not matter.
const COST_UNIT: f64 = 1e6;

/// The fewest bad events whose expected evidence, less `luck` standard deviations, is enough.
pub(super) fn events_needed(share: f64, allowed: f64, of_candidate: f64, threshold: f64, luck: f64) -> Option<u64> {
    smallest(MOST_EVENTS, |n| {
        let n = n as f64;
        let spread = luck * (n * of_candidate * (1.0 - of_candidate)).sqrt();
        let candidate = (n * of_candidate - spread).max(0.0);
        RELATIVE_START.ln() + grid_log_e(share, allowed, whole(candidate), whole(n - candidate)) >= threshold
    })
}

/// The fewest units of the candidate that certify a rate below `limit`, where it is `rate` and luck is bad.
pub(super) fn certificate_needed(limit: f64, rate: f64, alpha: f64, luck: f64) -> Option<u64> {
    smallest(MOST_UNITS, |n| {
        let expected = n as f64 * rate;
        let bad = whole((expected + luck * (expected * (1.0 - rate)).sqrt()).round()).min(n);
        certificate_log_e(limit, n - bad, bad) >= -alpha.ln()
    })
}

fn smallest(most: u64, enough: impl Fn(u64) -> bool) -> Option<u64> {
    if !enough(most) {
        return None;
    }
    let (mut too_few, mut plenty) = (0, most);
    while plenty - too_few > 1 {
        let middle = too_few.midpoint(plenty);
        if enough(middle) { plenty = middle } else { too_few = middle }
    }
    Some(plenty)
}

/// Attempts of the candidate until a limit finds that this fraction of them is bad, good ones coming first; `None` where the fraction is not
/// above the limit, or hardly.
pub(super) fn outage_attempts(limit: &AbsolutePolicy, failing: f64) -> Option<f64> {
    if failing <= limit.limit {
        return None;
    }
    let mut guard = AbsoluteGuard::new(limit.limit, ABSOLUTE_START);
    let (mut attempts, mut good_to_come) = (0.0, 0.0);
    while guard.log_e() < -limit.alpha.ln() {
        if attempts >= MOST_ATTEMPTS {
            return None;
        }
        good_to_come += failing.recip() - 1.0;
        while good_to_come >= 1.0 {
            guard.observe_good();
            (good_to_come, attempts) = (good_to_come - 1.0, attempts + 1.0);
        }
        guard.observe_bad();
        attempts += 1.0;
    }
    Some(attempts)
}

/// Units of both arms until the guard of costs finds a candidate `ratio` times as dear, half of the time and nine times in ten: the guard
/// itself is played on lognormal costs. The same arguments give the same numbers.
pub(super) fn cost_needed(policy: &CostPolicy, share: f64, ratio: f64, spread: f64) -> [Option<u64>; 2] {
    let mut found: Vec<u64> = (0..COST_RUNS).map(|run| cost_run(policy, share, (ratio, spread), run)).collect();
    found.sort_unstable();
    let at = |quantile: f64| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
        let rank = (quantile * COST_RUNS as f64).ceil() as usize;
        found.get(rank.max(1) - 1).copied().filter(|n| *n < MOST_COSTS)
    };
    [at(0.5), at(0.9)]
}

fn cost_run(policy: &CostPolicy, share: f64, (ratio, spread): (f64, f64), run: u64) -> u64 {
    let mut chance = Chance::of(share.to_bits(), run);
    let Some(mut guard) = CostGuard::new(policy, share) else { return MOST_COSTS };
    let speaks = |n: &u64| {
        let arm = if chance.one_in(share) { Arm::Candidate } else { Arm::Baseline };
        let times = if arm == Arm::Candidate { ratio } else { 1.0 };
        guard.observe(arm, whole(COST_UNIT * times * chance.lognormal(spread)));
        // Asked now and then: it is asked after every request in truth, and a little sooner.
        n.is_multiple_of(10) && guard.breach().is_some()
    };
    (1..MOST_COSTS).find(speaks).unwrap_or(MOST_COSTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breach::Action;

    #[test]
    fn a_certificate_needs_more_the_nearer_the_rate_is_to_its_limit_and_none_is_given_above() {
        let needs = |rate: f64| certificate_needed(0.05, rate, 0.05, 0.0);
        let (clean, one, four) = (needs(0.0).unwrap(), needs(0.01).unwrap(), needs(0.04).unwrap());
        assert!(clean < one && one < four, "{clean} {one} {four}");
        assert!(one < 250, "published: 169 at a true rate of 1 %; planned: {one}");
        assert_eq!((needs(0.05), needs(0.2)), (None, None));
        assert!(certificate_needed(0.05, 0.01, 0.05, 1.2816) > Some(one));
    }

    #[test]
    fn an_outage_takes_more_attempts_the_higher_the_limit_and_one_below_it_is_none() {
        let of = |limit: f64| AbsolutePolicy { metric: crate::metric::Metric::Slow, limit, alpha: 1e-4 };
        assert_eq!(outage_attempts(&of(0.05), 1.0), Some(5.0));
        let late = outage_attempts(&of(0.5), 1.0).unwrap();
        assert!((14.0..=20.0).contains(&late), "{late}");
        assert!(outage_attempts(&of(0.3), 0.5) > outage_attempts(&of(0.05), 0.5));
        assert_eq!((outage_attempts(&of(0.5), 0.5), outage_attempts(&of(0.499_999), 0.5)), (None, None));
    }

    #[test]
    fn a_candidate_twice_as_dear_is_found_sooner_than_one_a_little_dearer() {
        let policy = CostPolicy { ratio: 1.5, alpha: 0.01, action: Action::Pause };
        let [twice, unlucky] = cost_needed(&policy, 0.5, 4.5, 1.0);
        let [little, _] = cost_needed(&policy, 0.5, 2.25, 1.0);
        assert!(twice.unwrap() <= unlucky.unwrap(), "{twice:?} {unlucky:?}");
        assert!(little.is_none_or(|little| little > twice.unwrap()), "{little:?} {twice:?}");
        assert_eq!(cost_needed(&policy, 0.5, 1.0, 0.5), [None, None], "one that is not dearer is not found");
        assert_eq!(cost_needed(&policy, 1.0, 4.5, 1.0), [None, None], "nor without a baseline");
    }
}
