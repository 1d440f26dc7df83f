//! The search against queues in virtual time, whose truth is known.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::convert::Infallible;
use std::time::Duration;

use stats::random::Random;

use super::*;
use crate::arrivals::{Arrivals, Pattern};

const SLO: Slo = Slo { ttft_ms: None, e2e_ms: Some(3000.0), tpot_ms: None, gap_max_ms: None, share: 0.95 };

/// A queue of `k` servers whose first tenth of requests warms it up (G/G/k, first come first served).
struct Queue {
    pattern: Pattern,
    k: usize,
    /// Mean of a service and the sigma of its logarithm; 0 is always the same time.
    service: (f64, f64),
    n: u64,
    seed: u64,
}

impl Queue {
    fn attained(&self, rate: f64, seed: u64) -> Attained {
        let mut random = Random::new(seed ^ 0x5eed);
        let mut free: BinaryHeap<Reverse<Duration>> = (0..self.k).map(|_| Reverse(Duration::ZERO)).collect();
        let (mean, sigma) = self.service;
        let mut attained = Attained::default();
        let n_warm = self.n / 10;
        let arrivals = Arrivals::new(self.pattern, rate, seed);
        for (idx, at) in (0..self.n + n_warm).zip(arrivals) {
            let Some(Reverse(free_at)) = free.pop() else { continue };
            let service = mean * (sigma * random.normal() - sigma * sigma / 2.0).exp();
            let done = free_at.max(at) + Duration::from_secs_f64(service);
            free.push(Reverse(done));
            if idx >= n_warm {
                attained.n += 1;
                attained.n_met += u64::from((done - at).as_secs_f64() * 1e3 <= SLO.e2e_ms.unwrap());
            }
        }
        attained
    }

    /// The highest rate whose attainment is the share, by a sweep in steps of 1 % over many requests each.
    fn swept(&self) -> f64 {
        let many = Queue { n: 20_000, ..*self };
        let capacity = self.k as f64 / self.service.0;
        let reaches = |step: &i32| {
            let attained = many.attained(capacity * 1.01_f64.powi(*step), 99);
            attained.share().is_some_and(|share| share >= SLO.share)
        };
        capacity * 1.01_f64.powi((-100..10).rev().find(reaches).unwrap())
    }
}

impl Probe for Queue {
    type Error = Infallible;

    fn probe(&mut self, load: f64) -> Result<Probed, Infallible> {
        self.seed += 1;
        Ok(Probed { attained: self.attained(load, self.seed), ..Probed::default() })
    }
}

#[test]
fn a_planted_saturation_is_found_within_three_percent() {
    for (capacity, start) in [(0.3, 1.0), (1.7, 1.0), (13.0, 1.0), (40.0, 1.0), (333.0, 1.0), (2100.0, 5.0)] {
        // Always the same times: below its capacity nobody waits, above it everybody does after a while.
        let k = 8;
        let mut queue =
            Queue { pattern: Pattern::Constant, k, service: (k as f64 / capacity, 0.0), n: 100_000, seed: 0 };
        let slo = Slo { e2e_ms: Some(k as f64 / capacity * 1e3 * 5.0), ..SLO };
        struct Of<'q>(&'q mut Queue, f64);
        impl Probe for Of<'_> {
            type Error = Infallible;
            fn probe(&mut self, load: f64) -> Result<Probed, Infallible> {
                // The objective of this queue in units of that of all.
                let scale = SLO.e2e_ms.unwrap() / self.1;
                let (mean, _) = self.0.service;
                let scaled = Queue { service: (mean * scale, 0.0), ..*self.0 };
                Ok(Probed { attained: scaled.attained(load / scale, 1), ..Probed::default() })
            }
        }
        let found =
            search(Range { start, ..Range::default() }, &slo, &mut Of(&mut queue, slo.e2e_ms.unwrap())).unwrap();
        let sustained = found.sustained.unwrap();
        assert!((sustained / capacity - 1.0).abs() <= 0.03, "{sustained} of {capacity}: {:?}", found.tried);
        assert!(found.tried.len() <= 12 && found.width().unwrap() <= 0.03, "{:?}", found.tried);
    }
}

#[test]
fn it_agrees_with_a_sweep_within_a_tenth_in_95_of_100_seeds() {
    let of = |seed| Queue { pattern: Pattern::Poisson, k: 8, service: (1.0, 0.6), n: 2000, seed };
    let truth = of(0).swept();
    let mut n_close = 0;
    let mut far = Vec::new();
    for seed in 0..100 {
        let found = search(Range::default(), &SLO, &mut of(seed * 1000)).unwrap();
        assert!(found.tried.len() <= 12);
        let sustained = found.sustained.unwrap();
        if (sustained / truth - 1.0).abs() <= 0.1 { n_close += 1 } else { far.push(sustained) }
    }
    assert!(n_close >= 95, "{n_close} of 100 within a tenth of {truth}; far: {far:?}");
}

/// A server that holds so many at once.
struct Holds(f64);

impl Probe for Holds {
    type Error = Infallible;

    fn probe(&mut self, load: f64) -> Result<Probed, Infallible> {
        let n_met = if load <= self.0 { 1000 } else { 0 };
        Ok(Probed { attained: Attained { n_met, n: 1000, n_unseen: 0 }, ..Probed::default() })
    }
}

#[test]
fn whole_loads_are_found_exactly_and_a_limit_is_kept() {
    let range = Range { is_whole: true, most: 1024.0, ..Range::default() };
    for most in [1.0, 2.0, 3.0, 7.0, 30.0] {
        let found = search(range, &SLO, &mut Holds(most)).unwrap();
        assert_eq!(found.sustained, Some(most), "{:?}", found.tried);
        assert_eq!(found.failed, Some(most + 1.0), "{:?}", found.tried);
    }
    let found = search(Range { most: 20.0, ..Range::default() }, &SLO, &mut Holds(100.0)).unwrap();
    assert_eq!((found.sustained, found.failed), (Some(20.0), None));
    let found = search(range, &SLO, &mut Holds(0.0)).unwrap();
    assert_eq!((found.sustained, found.failed, found.tried.len()), (None, Some(1.0), 1));
}

/// A client that lags so often from the beginning, before a server that holds 50.
struct Lags(usize);

impl Probe for Lags {
    type Error = std::convert::Infallible;

    fn probe(&mut self, load: f64) -> Result<Probed, Self::Error> {
        let is_invalid = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        let n_met = if load <= 50.0 { 200 } else { 0 };
        Ok(Probed { attained: Attained { n_met, n: 200, n_unseen: 0 }, is_invalid, ..Probed::default() })
    }
}

#[test]
fn a_client_that_lags_from_the_first_is_given_one_more_try_and_no_less_load() {
    let found = search(Range::default(), &SLO, &mut Lags(1)).unwrap();
    assert!(!found.is_client_bound && (48.0..=50.0).contains(&found.sustained.unwrap()), "{found:?}");
    let found = search(Range::default(), &SLO, &mut Lags(9)).unwrap();
    let loads: Vec<f64> = found.tried.iter().map(|tried| tried.load).collect();
    assert_eq!((loads, found.sustained, found.failed, found.is_client_bound), (vec![1.0, 1.0], None, None, true));
}

/// A server that holds 100, and has a bad moment the first time it is asked for 80.
struct Unlucky(usize);

impl Probe for Unlucky {
    type Error = Infallible;

    fn probe(&mut self, load: f64) -> Result<Probed, Infallible> {
        let is_bad = (load - 80.0).abs() < 1e-6 && self.0 == 0;
        self.0 += usize::from(is_bad);
        let n_met = if is_bad { 952 } else { 990 };
        Ok(Probed {
            attained: Attained { n_met: if load <= 100.0 { n_met } else { 0 }, n: 1000, n_unseen: 0 },
            ..Probed::default()
        })
    }
}

#[test]
fn an_upper_end_that_showed_neither_is_tried_once_more_and_both_tries_count() {
    let found = search(Range { start: 40.0, ..Range::default() }, &SLO, &mut Unlucky(0)).unwrap();
    let at_80: Vec<_> = found.tried.iter().filter(|tried| (tried.load - 80.0).abs() < 1e-6).collect();
    assert_eq!(at_80.iter().map(|tried| tried.verdict).collect::<Vec<_>>(), [Verdict::Undecided, Verdict::Pass]);
    assert_eq!(at_80[1].attained, Attained { n_met: 1942, n: 2000, n_unseen: 0 });
    assert!((90.0..=100.0).contains(&found.sustained.unwrap()) && found.tried.len() <= 12, "{found:?}");
    assert!(found.failed.unwrap() > 100.0, "{found:?}");
}

/// A server that fails 4 % of all requests whatever their rate, and holds 30.
struct Flaky(Vec<String>);

impl Probe for Flaky {
    type Error = Infallible;

    fn probe(&mut self, load: f64) -> Result<Probed, Infallible> {
        let n_met = if load <= 30.0 { 190 } else { 0 };
        Ok(Probed { attained: Attained { n_met, n: 198, n_unseen: 0 }, ..Probed::default() })
    }

    fn begins(&mut self, number: usize, load: f64, why: &str) {
        self.0.push(format!("{number} {load} {why}"));
    }
}

#[test]
fn a_first_try_that_showed_neither_is_made_once_more_and_goes_down_by_half_only() {
    let mut flaky = Flaky(Vec::new());
    let found = search(Range { start: 8.0, most_probes: 4, ..Range::default() }, &SLO, &mut flaky).unwrap();
    assert!(found.is_undecided_at(found.failed.unwrap()), "{found:?}");
    assert_eq!(
        flaky.0,
        [
            "1 8 where the search begins",
            "2 8 once more: it was neither shown to be held nor not to be",
            "3 4 half of 8, which showed neither",
            "4 4 once more: it was neither shown to be held nor not to be"
        ]
    );
    let mut flaky = Flaky(Vec::new());
    search(Range { start: 128.0, most_probes: 2, ..Range::default() }, &SLO, &mut flaky).unwrap();
    assert_eq!(flaky.0[1], "2 32 a quarter of 128, which was not held");
}

#[test]
fn a_probe_whose_client_lagged_is_no_evidence() {
    struct Lags;
    impl Probe for Lags {
        type Error = Infallible;
        fn probe(&mut self, load: f64) -> Result<Probed, Infallible> {
            let attained = Attained { n_met: 1000, n: 1000, n_unseen: 0 };
            Ok(Probed { attained, is_invalid: load > 50.0, ..Probed::default() })
        }
    }
    let found = search(Range::default(), &SLO, &mut Lags).unwrap();
    assert!(found.sustained.unwrap() <= 50.0 && found.is_client_bound, "{found:?}");
}

#[test]
fn a_server_that_answers_nothing_is_asked_once() {
    struct Dead;
    impl Probe for Dead {
        type Error = Infallible;
        fn probe(&mut self, _: f64) -> Result<Probed, Infallible> {
            Ok(Probed { attained: Attained { n_met: 0, n: 100, n_unseen: 0 }, is_dead: true, ..Probed::default() })
        }
    }
    let Ok(found) = search(Range::default(), &SLO, &mut Dead);
    assert_eq!((found.tried.len(), found.sustained, found.failed, found.is_stopped), (1, None, Some(1.0), false));
}

#[test]
fn a_search_ends_where_what_is_asked_for_is_held_and_goes_on_where_it_is_not() {
    let loads = |most: f64, enough: Option<f64>| -> Vec<f64> {
        let range = Range { start: 10.0, enough, ..Range::default() };
        let found = search(range, &SLO, &mut Holds(most)).unwrap();
        found.tried.iter().map(|tried| tried.load).collect()
    };
    assert_eq!(loads(1_000.0, Some(12.0)), [10.0, 12.0], "the peak, then the peak with its headroom");
    assert_eq!(loads(1_000.0, None)[..3], [10.0, 40.0, 160.0]);
    let short = loads(11.0, Some(12.0));
    assert!(short.len() > 3 && short.iter().all(|load| *load <= 12.0), "{short:?}");
}
