//! Replicas count apart and their sums are the statistic of all events together.

use proptest::prelude::{any, prop, proptest};
use stats::{AbsoluteGuard, RelativeGuard, UnpairedDifference};

const RESTART_EVERY: usize = 50;

#[track_caller]
fn check(actual: f64, expected: f64) {
    assert!((actual - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{actual} instead of {expected}");
}

proptest! {
    /// Replicas report at times of their own, and all of them when a restart is due.
    #[test]
    fn a_relative_guard_of_three_replicas_is_the_guard_of_one(
        events in prop::collection::vec((any::<bool>(), 0_usize..3, 0_u8..20), 1..600),
        share in 0.01_f64..0.99,
    ) {
        let (mut single, mut merged) = (RelativeGuard::new(share, 1.0, 0.6), RelativeGuard::new(share, 1.0, 0.6));
        let mut counters = [(0_u64, 0_u64); 3];
        for (event_idx, (is_candidate, replica, report)) in events.iter().enumerate() {
            single.observe_bad(*is_candidate);
            let counter = &mut counters[*replica];
            if *is_candidate { counter.0 += 1 } else { counter.1 += 1 }
            let is_restart = (event_idx + 1) % RESTART_EVERY == 0;
            if *report == 0 || is_restart || event_idx + 1 == events.len() {
                let sum = counters.iter().fold((0, 0), |sum, counter| (sum.0 + counter.0, sum.1 + counter.1));
                merged.add(sum.0, sum.1);
                counters = Default::default();
            }
        }
        check(merged.log_e(), single.log_e());
        assert_eq!((merged.n_candidate(), merged.n_baseline()), (single.n_candidate(), single.n_baseline()));
    }

    /// Good events may come late and together; a bad one is reported at once.
    #[test]
    fn an_absolute_breaker_of_three_replicas_is_the_breaker_of_one(
        events in prop::collection::vec((0_u8..10, 0_usize..3), 1..600),
    ) {
        let (mut single, mut merged) = (AbsoluteGuard::new(0.05, 0.4), AbsoluteGuard::new(0.05, 0.4));
        let mut good = [0_u64; 3];
        for (event, replica) in events {
            if event == 0 {
                single.observe_bad();
                merged.add(good.iter().sum(), 1);
                good = [0; 3];
            } else {
                single.observe_good();
                good[replica] += 1;
            }
        }
        merged.add(good.iter().sum(), 0);
        check(merged.log_e(), single.log_e());
    }

    #[test]
    fn a_difference_of_two_replicas_is_the_difference_of_one(
        events in prop::collection::vec((any::<bool>(), any::<bool>(), any::<bool>()), 0..300),
    ) {
        let new = || UnpairedDifference::new(0.3, 0.02);
        let (mut single, mut left, mut right) = (new(), new(), new());
        for (is_left, is_candidate, bad) in events {
            single.observe(is_candidate, bad);
            if is_left { &mut left } else { &mut right }.observe(is_candidate, bad);
        }
        left.merge(&right);
        assert_eq!(left, single);
    }
}
