use proptest::prelude::*;

use super::*;

struct Bench {
    breaker: Arc<Breaker>,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { breaker: Arc::default(), now: Instant::now() }
    }

    fn opened_by_five_failures() -> Self {
        let bench = Self::new();
        for _ in 0..TRIP_AFTER {
            bench.call(Signal::Failure);
        }
        bench
    }

    fn admit(&self) -> Admission {
        self.breaker.admit(self.now)
    }

    #[track_caller]
    fn call(&self, signal: Signal) -> bool {
        self.admit().permit().unwrap().record(self.now, signal, 0.5)
    }

    fn pass(&mut self, millis: u64) {
        self.now += Duration::from_millis(millis);
    }
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let bench = Bench::new();
    for _ in 0..4 {
        assert!(!bench.call(Signal::Failure));
    }
    bench.call(Signal::Success);
    for _ in 0..4 {
        assert!(!bench.call(Signal::Failure));
    }
    assert_eq!((bench.breaker.state(), bench.breaker.opened()), (State::Closed, 0));
    assert!(bench.call(Signal::Failure), "the fifth says that it opened");
    assert_eq!((bench.breaker.state(), bench.breaker.opened()), (State::Open, 1));
    assert!(matches!(bench.admit(), Admission::No { retry_in } if retry_in == Duration::from_secs(1)));
}

#[test]
fn a_429_never_opens_it_and_never_clears_failures() {
    let bench = Bench::new();
    for _ in 0..100 {
        bench.call(Signal::Throttled);
    }
    assert_eq!(bench.breaker.state(), State::Closed);
    for _ in 0..TRIP_AFTER {
        bench.call(Signal::Throttled);
        bench.call(Signal::Failure);
    }
    assert_eq!(bench.breaker.state(), State::Open);
}

#[test]
fn exactly_one_probe_after_the_cool_down() {
    let mut bench = Bench::opened_by_five_failures();
    bench.pass(999);
    assert!(matches!(bench.admit(), Admission::No { .. }));
    bench.pass(1);
    let Admission::Probe(probe) = bench.admit() else { panic!("no probe") };
    for _ in 0..10 {
        assert!(matches!(bench.admit(), Admission::No { .. }));
    }
    probe.record(bench.now, Signal::Success, 0.5);
    assert_eq!(bench.breaker.state(), State::Recovering);
}

#[test]
fn after_the_probe_the_share_of_calls_rises_from_a_tenth_to_all() {
    let mut bench = Bench::opened_by_five_failures();
    bench.pass(1000);
    bench.call(Signal::Success);
    for percent in [14, 23, 32, 41, 50, 59, 68, 77, 86, 95] {
        // A hundred calls in the middle of each second.
        bench.pass(500);
        let admitted = (0..100).filter(|_| matches!(bench.admit(), Admission::Yes(_))).count();
        assert!(admitted.abs_diff(percent) <= 1, "{admitted} of 100, {percent} expected");
        bench.pass(500);
    }
    assert!((0..100).all(|_| matches!(bench.admit(), Admission::Yes(_))));
    for _ in 0..PROBATION {
        bench.call(Signal::Success);
    }
    assert_eq!(bench.breaker.state(), State::Closed);
}

#[test]
fn a_call_beyond_the_ramps_share_may_be_made_and_counts_like_any_other() {
    let mut bench = Bench::opened_by_five_failures();
    bench.pass(1000);
    bench.call(Signal::Success);
    let Admission::Spare(spare) = bench.admit() else { panic!("the ramp begins at a tenth") };
    assert!(spare.record(bench.now, Signal::Failure, 0.5), "on probation");
    assert!(bench.breaker.is_shut(bench.now));
    bench.pass(2000);
    assert!(!bench.breaker.is_shut(bench.now), "a probe is possible");
}

#[test]
fn a_breaker_that_failed_on_its_ramp_pauses_longer_and_one_that_finished_it_does_not() {
    let mut bench = Bench::opened_by_five_failures();
    let open_for = |bench: &Bench| match bench.admit() {
        Admission::No { retry_in } => retry_in.as_secs(),
        other => panic!("{other:?}"),
    };
    bench.pass(1000);
    for _ in 0..=PROBATION {
        bench.call(Signal::Success);
    }
    for _ in 0..TRIP_AFTER {
        bench.call(Signal::Failure);
    }
    assert_eq!(open_for(&bench), 2, "the ramp was not over");
    bench.pass(2000);
    for _ in 0..=PROBATION {
        bench.call(Signal::Success);
    }
    bench.pass(u64::try_from(RAMP.as_millis()).unwrap());
    bench.call(Signal::Success);
    for _ in 0..TRIP_AFTER {
        bench.call(Signal::Failure);
    }
    assert_eq!(open_for(&bench), 1, "closed for good in between");
}

#[test]
fn what_was_found_elsewhere_closes_one_whose_pause_is_over_as_good_as_new() {
    let mut bench = Bench::opened_by_five_failures();
    bench.pass(999);
    assert!(!bench.breaker.close_from_elsewhere(bench.now), "its own calls failed just now");
    bench.pass(1);
    let Admission::Probe(probe) = bench.admit() else { panic!("no probe") };
    assert!(!bench.breaker.close_from_elsewhere(bench.now), "the probe will say");
    drop(probe);
    assert!(bench.breaker.close_from_elsewhere(bench.now));
    assert!(!bench.breaker.close_from_elsewhere(bench.now), "closed already");
    assert_eq!(bench.breaker.state(), State::Closed);
    assert!((0..100).all(|_| matches!(bench.admit(), Admission::Yes(_))), "no ramp");
    // It opens again as a new one does: by five failures, for the first pause.
    assert!((1..TRIP_AFTER).all(|_| !bench.call(Signal::Failure)));
    assert!(bench.call(Signal::Failure), "the fifth says that it opened");
    assert_eq!(bench.breaker.opened(), 2);
    assert!(matches!(bench.admit(), Admission::No { retry_in } if retry_in == Duration::from_secs(1)));
}

#[test]
fn exactly_one_of_many_threads_gets_the_probe() {
    let mut bench = Bench::opened_by_five_failures();
    bench.pass(2000);
    let probes: Vec<Admission> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| bench.admit())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(probes.iter().filter(|admission| matches!(admission, Admission::Probe(_))).count(), 1);
    assert_eq!(probes.iter().filter(|admission| matches!(admission, Admission::No { .. })).count(), 7);
}

#[test]
fn a_failed_probe_doubles_the_cool_down_up_to_a_bound() {
    let mut bench = Bench::opened_by_five_failures();
    for expected in [2, 4, 8, 16, 30, 30] {
        bench.pass(30_000);
        bench.call(Signal::Failure);
        assert!(matches!(bench.admit(), Admission::No { retry_in } if retry_in == Duration::from_secs(expected)));
    }
    assert_eq!(bench.breaker.opened(), 1, "a failed probe is no new opening");
}

#[test]
fn a_429_or_an_abandoned_probe_frees_the_probe_for_the_next_call() {
    let mut bench = Bench::opened_by_five_failures();
    bench.pass(1000);
    bench.call(Signal::Throttled);
    assert_eq!(bench.breaker.state(), State::Open);
    let Admission::Probe(given_up) = bench.admit() else { panic!("no probe after a 429") };
    drop(given_up);
    assert!(matches!(bench.admit(), Admission::Probe(_)), "no probe after an abandoned one");
}

#[test]
fn one_failure_on_probation_opens_it_again() {
    let mut bench = Bench::opened_by_five_failures();
    bench.pass(1000);
    bench.call(Signal::Success);
    bench.call(Signal::Success);
    assert!(bench.call(Signal::Failure));
    assert_eq!(bench.breaker.opened(), 2);
    bench.pass(2000);
    for _ in 0..=PROBATION {
        bench.call(Signal::Success);
    }
    assert!(!bench.call(Signal::Failure), "after probation five are needed again");
}

#[test]
fn results_of_calls_admitted_before_it_opened_are_ignored() {
    let mut bench = Bench::new();
    let late: Vec<Permit> = (0..3).map(|_| bench.admit().permit().unwrap()).collect();
    for _ in 0..TRIP_AFTER {
        bench.call(Signal::Failure);
    }
    bench.pass(1000);
    let Admission::Probe(probe) = bench.admit() else { panic!("no probe") };
    for (permit, signal) in late.into_iter().zip([Signal::Success, Signal::Failure, Signal::Neutral]) {
        permit.record(bench.now, signal, 0.5);
        assert_eq!(bench.breaker.state(), State::Probing);
    }
    probe.record(bench.now, Signal::Success, 0.5);
    assert_eq!(bench.breaker.state(), State::Recovering);
}

#[test]
fn jitter_moves_the_cool_down_by_a_fifth() {
    for (jitter, millis) in [(0.0, 800), (0.5, 1000), (1.0, 1200)] {
        let bench = Bench::new();
        for _ in 0..TRIP_AFTER {
            bench.admit().permit().unwrap().record(bench.now, Signal::Failure, jitter);
        }
        assert!(matches!(bench.admit(), Admission::No { retry_in } if retry_in == Duration::from_millis(millis)));
    }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Admit,
    End(usize, Signal),
    GiveUp(usize),
    Pass(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let signal = prop_oneof![
        4 => Just(Signal::Failure),
        4 => Just(Signal::Success),
        1 => Just(Signal::Throttled),
        1 => Just(Signal::Neutral),
    ];
    let one = prop_oneof![
        6 => Just(Move::Admit),
        6 => (any::<usize>(), signal).prop_map(|(idx, signal)| Move::End(idx, signal)),
        1 => any::<usize>().prop_map(Move::GiveUp),
        2 => (0_u64..3000).prop_map(Move::Pass),
    ];
    prop::collection::vec(one, 0..300)
}

proptest! {
    /// Whatever happens in whatever order: never two probes at once, nobody gets in while it is open or a probe is out, and
    /// after the longest pause there is always a way back.
    #[test]
    fn it_never_lets_two_probe_and_never_stays_shut(moves in moves()) {
        let mut bench = Bench::new();
        let mut permits: Vec<Permit> = Vec::new();
        for step in moves {
            match step {
                Move::Admit => {
                    let shut = bench.breaker.is_shut(bench.now);
                    let admission = bench.admit();
                    prop_assert_eq!(shut, matches!(admission, Admission::No { .. }));
                    permits.extend(admission.permit());
                    let probing = bench.breaker.state() == State::Probing;
                    let generation = bench.breaker.generation.load(Ordering::Acquire);
                    let probes = permits.iter().filter(|permit| permit.probe && permit.generation == generation);
                    prop_assert_eq!(probes.count(), usize::from(probing));
                }
                Move::End(idx, signal) if !permits.is_empty() => {
                    permits.swap_remove(idx % permits.len()).record(bench.now, signal, 0.5);
                }
                Move::GiveUp(idx) if !permits.is_empty() => drop(permits.swap_remove(idx % permits.len())),
                Move::Pass(millis) => bench.pass(millis),
                Move::End(..) | Move::GiveUp(_) => {}
            }
        }
        permits.clear();
        bench.pass(u64::try_from(LONGEST_PAUSE.as_millis()).unwrap() * 2);
        prop_assert!(!bench.breaker.is_shut(bench.now));
        prop_assert!(bench.admit().permit().is_ok());
    }
}
