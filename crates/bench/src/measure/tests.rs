use super::*;
use crate::sample::TokenSource;
use crate::slo::Verdict;

const SLO: Slo = Slo { ttft_ms: Some(100.0), e2e_ms: None, tpot_ms: None, gap_max_ms: None, share: 0.95 };

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// 1000 requests, ten milliseconds apart, each first token after 50 ms and ten more 10 ms apart.
fn steady() -> Vec<Sample> {
    let one = |idx: u64| {
        let at = ms(idx * 10);
        let mut sample = Sample::begun(0, 0, (at, at));
        sample.sent = Some(at);
        (sample.first, sample.last, sample.ended) = (Some(at + ms(50)), Some(at + ms(150)), at + ms(151));
        (sample.n_chunks, sample.output) = (11, Some((11, TokenSource::Usage)));
        (sample.longest_gap, sample.input) = (Some(ms(10)), Some((100, 25)));
        sample.outcome = Outcome::Good;
        sample
    };
    (0..1000).map(one).collect()
}

/// Ten seconds of an open loop at 100 requests a second.
fn measured<'s>(samples: &'s [Sample], gaps: &'s Gaps) -> Measured<'s> {
    Measured {
        target: "a",
        load: Load::Rate { per_s: 100.0 },
        window: (Duration::ZERO, Duration::from_secs(10)),
        active_s: 10.0,
        samples: samples.iter().collect(),
        earlier: Vec::new(),
        beats: &[],
        gaps,
        network_ms: Some(2.0),
    }
}

#[track_caller]
fn check(samples: &[Sample], expected: impl FnOnce(&Level)) {
    let mut gaps = Gaps::new();
    samples.iter().filter_map(|sample| sample.longest_gap).for_each(|gap| gaps.add(gap));
    expected(&level(&measured(samples, &gaps), Some(&SLO)));
}

#[test]
fn a_steady_level_is_what_it_was_made_of() {
    check(&steady(), |level| {
        let p99 = |id: &str| level.latency[id].value("p99");
        assert_eq!(
            (p99("ttft.intended"), p99("e2e.sent"), p99("tpot"), p99("gap.max")),
            (Some(50.0), Some(150.0), Some(10.0), Some(10.0))
        );
        assert!((p99("gap").unwrap() - 10.0).abs() < 0.01);
        assert_eq!((level.n_requests, level.n_good, level.errors.len()), (1000, 1000, 0));
        // The last fifteen end after the window.
        assert_eq!((level.requests_per_s, level.out_tok_s), (Some(98.5), Some(1083.5)));
        assert_eq!((level.out_tok_s_steady, level.in_tok_s), (Some(1100.0), Some(9850.0)));
        assert!((level.mean_active.unwrap() - 15.0).abs() < 0.2, "{:?}", level.mean_active);
        assert_eq!((level.cached_share, level.tokens_from["usage"]), (Some(0.25), 1000));
        assert_eq!((level.verdict, level.invalid.clone()), (Some(Verdict::Pass), None));
        assert_eq!((level.budget.prefill_ms, level.budget.queue_ms, level.budget.decode_ms), (None, None, Some(100.0)));
        assert_eq!(level.shares["ttft.intended"].last(), Some(&(50.0, 1.0)));
    });
}

#[test]
fn what_was_due_in_the_warm_up_is_work_of_the_window_and_turns_of_others_are_part_of_the_time() {
    let samples = steady();
    let (earlier, counted): (Vec<&Sample>, Vec<&Sample>) =
        samples.iter().partition(|sample| sample.intended < Duration::from_secs(2));
    let measured = |earlier: Vec<&Sample>, active_s: f64| {
        let measured = Measured {
            target: "a",
            load: Load::Rate { per_s: 100.0 },
            window: (Duration::from_secs(2), Duration::from_secs(6)),
            active_s,
            samples: counted.iter().copied().filter(|sample| sample.intended < Duration::from_secs(6)).collect(),
            earlier,
            beats: &[],
            gaps: &Gaps::new(),
            network_ms: None,
        };
        level(&measured, None)
    };
    // As many end in the window that were due before it as were due in it and end after.
    let goes_on = earlier.iter().copied().filter(|sample| sample.ended > Duration::from_secs(2)).collect();
    let found = measured(goes_on, 4.0);
    assert_eq!((found.requests_per_s, found.out_tok_s, found.n_requests), (Some(100.0), Some(1100.0), 400));
    assert!((found.mean_active.unwrap() - 15.1).abs() < 0.01, "{:?}", found.mean_active);
    assert!((found.duty - 1.0).abs() < 1e-12);
    // Asked for half of the time: what came is over all of it.
    let half = measured(Vec::new(), 2.0);
    assert_eq!((half.duty, half.seconds, half.requests_per_s), (0.5, 2.0, Some(96.25)));
    // Its rate was that of its turns: beside answers a second over all of the time it says so.
    assert!(
        half.load_words().ends_with("/s for 50 % of the time") && !found.load_words().contains("time"),
        "{}",
        half.load_words()
    );
    assert_eq!(half.out_tok_s_steady, None);
}

#[test]
fn a_stall_is_in_the_intended_latencies_and_not_in_those_of_a_client_that_waits() {
    // The server stands still from 5.0 to 5.5 s; a client with one place at a time sends late what is due meanwhile.
    let mut samples = steady();
    for sample in samples.iter_mut().filter(|sample| sample.intended >= ms(5000) && sample.intended < ms(5500)) {
        let late = ms(5500) - sample.intended;
        (sample.first, sample.last) = (Some(ms(5500) + ms(50)), Some(ms(5500) + ms(150)));
        sample.sent = sample.sent.map(|sent| sent + late);
    }
    check(&samples, |level| {
        // 50 of 1000 waited up to 500 ms: the p99 is 40 of these 50 down the line of 10 ms each.
        let truth = 50.0 + 400.0;
        let found = level.latency["ttft.intended"].value("p99").unwrap();
        assert!((found / truth - 1.0).abs() <= 0.05, "{found}");
        assert_eq!(level.latency["ttft.sent"].value("p99"), Some(50.0));
        assert_eq!(level.verdict, Some(Verdict::Undecided));
    });
}

#[test]
fn a_client_that_lags_makes_the_level_invalid() {
    let mut samples = steady();
    samples.iter_mut().step_by(50).for_each(|sample| sample.started += ms(2));
    check(&samples, |level| {
        assert!(level.invalid.as_deref().is_some_and(|why| why.contains("2.00 ms")), "{:?}", level.invalid);
    });
    // 1 % of a first token that takes 50 ms is less than the 1 ms that is always allowed.
    samples.iter_mut().for_each(|sample| sample.started = sample.intended + Duration::from_micros(900));
    check(&samples, |level| assert_eq!(level.invalid, None));
}

fn slo(ttft_ms: Option<f64>, e2e_ms: Option<f64>, tpot_ms: Option<f64>) -> Slo {
    Slo { ttft_ms, e2e_ms, tpot_ms, gap_max_ms: None, share: 0.95 }
}

fn check_allowed(load: Load, ttft_ms: f64, slo: Option<Slo>, (ms, because): (f64, &str)) {
    let allowed = AllowedLag::of(load, Some(ttft_ms), slo.as_ref());
    assert!((allowed.ms - ms).abs() < 1e-9 && allowed.because.contains(because), "{load:?} {allowed:?}");
}

#[test]
fn what_a_client_may_lag_follows_from_the_objective_and_keeps_the_arrivals_shape() {
    let rate = |per_s: f64| Load::Rate { per_s };
    let closed = Load::Concurrency { n: 8 };
    let reports = Some(slo(None, Some(2500.0), None));
    check_allowed(rate(4.0), 50.0, None, (1.0, "always"));
    check_allowed(rate(4.0), 450.0, None, (4.5, "p50 of ttft.intended, 450 ms"));
    check_allowed(rate(4.0), 450.0, reports, (25.0, "e2e.intended <= 2500 ms"));
    check_allowed(rate(4.0), 50.0, Some(slo(Some(500.0), Some(2500.0), None)), (5.0, "ttft.intended <= 500 ms"));
    check_allowed(rate(4.0), 50.0, Some(slo(None, Some(2500.0), Some(50.0))), (1.0, "always"));
    // Arrivals keep their shape, whatever latency would allow: that of a server that is drowned as well.
    check_allowed(rate(100.0), 50.0, reports, (10.0, "arrivals are 10 ms apart"));
    check_allowed(rate(100.0), 60_000.0, None, (10.0, "arrivals are 10 ms apart"));
    check_allowed(Load::Replay { per_s: 80.0 }, 50.0, reports, (12.5, "arrivals are 12.5 ms apart"));
    check_allowed(rate(5000.0), 50.0, reports, (1.0, "arrivals are 0.2 ms apart"));
    check_allowed(closed, 50.0, None, (5.0, "always"));
    check_allowed(closed, 50.0, reports, (25.0, "e2e.intended"));
}

#[test]
fn lag_that_an_objective_allows_leaves_the_level_evidence_and_counts_against_the_server() {
    let mut samples = steady();
    // 4 ms late, all of them: the server's own 98 ms would have kept to 100.
    for sample in &mut samples {
        (sample.started, sample.sent) = (sample.intended + ms(4), Some(sample.intended + ms(4)));
        sample.first = Some(sample.intended + ms(102));
    }
    let gaps = Gaps::new();
    let of = |slo: Slo| level(&measured(&samples, &gaps), Some(&slo));
    let wide = of(slo(None, Some(2500.0), None));
    assert_eq!((wide.invalid.clone(), wide.verdict), (None, Some(Verdict::Pass)));
    let narrow = of(slo(Some(100.0), None, None));
    let why = narrow.invalid.unwrap();
    assert!(why.contains("4.00 ms, of which 1.02 ms are allowed (1 % of the p50 of ttft.intended"), "{why}");
    assert_eq!(narrow.verdict, Some(Verdict::Fail), "lag is never to the server's good");
}

#[test]
fn failures_are_counted_by_kind_and_what_never_came_is_latest() {
    let mut samples = steady();
    samples[0].outcome = Outcome::Truncated;
    samples[1].outcome = Outcome::Http5xx;
    samples.iter_mut().skip(2).step_by(10).for_each(|sample| sample.outcome = Outcome::Timeout);
    check(&samples, |level| {
        let expected = [("http_5xx", 1), ("timeout", 100), ("truncated", 1)];
        assert!(level.errors.iter().map(|(word, n)| (word.as_str(), *n)).eq(expected), "{:?}", level.errors);
        assert_eq!(level.latency["ttft.intended"].value("p50"), Some(50.0));
        assert_eq!(level.latency["ttft.intended"].value("p95"), None);
        assert_eq!(level.verdict, Some(Verdict::Fail));
        assert_eq!(level.goodput.as_ref().unwrap().attained, Attained { n_met: 898, n: 1000, n_unseen: 0 });
    });
}

#[test]
fn a_server_that_times_itself_splits_the_latency() {
    let mut samples = steady();
    samples.iter_mut().for_each(|sample| {
        sample.server = ServerTimes {
            prefill_ms: Some(20.0),
            prefill_tokens: Some(80.0),
            decode_ms: Some(99.0),
            ..ServerTimes::default()
        };
    });
    check(&samples, |level| {
        let Budget { network_ms, queue_ms, prefill_ms, decode_ms, gateway_ms } = level.budget;
        assert_eq!(
            [network_ms, queue_ms, prefill_ms, decode_ms, gateway_ms],
            [Some(2.0), Some(28.0), Some(20.0), Some(99.0), None]
        );
        assert_eq!(level.prefill_tok_s, Some(4000.0));
    });
}
